"""What the files of a replica say of the database that they make: pure, from a listing and the first bytes of one."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable

from atcgen.system.store import Entry

_NAME = re.compile(r"/(\d+)/[0-9a-f]{16}-([0-9a-f]{16})\.ltx$")
_HEADER = struct.Struct(">4sIII")  # the mark, flags, bytes of a page, pages of the database after this
HEADER_SIZE = _HEADER.size
_MARK = b"LTX1"


def newest(files: Iterable[Entry], txid: int | None = None) -> Entry | None:
    """The file that tells how large a database is after a transaction; after the last one when none is said."""
    found = [(int(said[2], 16), each) for each in files if (said := _NAME.search(each.key))]
    known = [each for each in found if txid is None or each[0] <= txid]
    return max(known, key=lambda each: (each[0], -each[1].size))[1] if known else None


def database_size(header: bytes) -> int:
    """How many bytes the database has after a file, by how that begins; 0 when it is no such file."""
    if len(header) < HEADER_SIZE:
        return 0
    mark, _, page_size, pages = _HEADER.unpack_from(header)
    return page_size * pages if mark == _MARK else 0
