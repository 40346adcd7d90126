"""Text that means something to YAML, nginx, supervisord or a shell, and whole atc.yml that are full of it."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

_PIECES = (
    *"\"'\\;{}#$%`*?[]~=<>&|!@()^",
    *" \t\n\r\0\x1b\x7f\x85\u00a0\u2028\u3000",
    *("a", "B", "7", "é", "日本", "🩰", "-", "--", "..", "/", "//", "0", "no", "1.10"),
    *(" ;", " #", "\u00a0#", "; ", "\\n", "\\\\", "${", "$${", "%(x)s", "%(here)s", "%%", "%s"),
    *(
        '"; } atc_injected; #',
        "; } atc_injected; {",
        "\n[program:injected]\ncommand=x\n",
        "'; injected; '",
        "$(injected)",
    ),
)
text = st.one_of(
    st.lists(st.sampled_from(_PIECES), max_size=8).map("".join),
    st.text(max_size=20),
    st.text(st.characters(exclude_categories=()), max_size=8),
)


def _writable(value: str) -> bool:
    """A text an owner can write into a file, and that is no reference."""
    return "${" not in value and "\0" not in value and not any("\ud800" <= each <= "\udfff" for each in value)


value = text.filter(_writable)
# Mostly directories that nginx can name, or the whole file would nearly always be refused.
_directory = st.lists(
    st.sampled_from(
        ['"', "'", "\\", ";", "{", "}", "#", " ", "%", "é", "日本", "a", "..", "/", "=", ",", "atc_injected"]
    ),
    max_size=6,
).map("".join)

_segment = st.one_of(
    st.sampled_from(
        ["a", "b", "A", "up", "x", "2025", "winter", "no", "1.10", "~", "@a", "a+b", "default", "hostnames"]
    ),
    st.text("abcXYZ019._~@+-", min_size=1, max_size=70),
)
_path = st.one_of(st.just(""), st.lists(_segment, min_size=1, max_size=4).map("/".join))
_label = st.from_regex(r"\A[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
_host = st.lists(_label, min_size=1, max_size=3).map(".".join)
_duration = st.sampled_from(["500ms", "1s", "90s", "1m30s", "1h", 1, 5, 30, 2.5])
_size = st.sampled_from([0, 1, 1023, "512KB", "64MB", "1GB", "1TB", "10 k"])


def _some(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A mapping with some of the keys."""
    return st.fixed_dictionaries({}, optional=keys)


_env = st.dictionaries(st.from_regex(r"\AV_[A-Za-z0-9_]{1,8}\Z"), value | st.integers() | st.booleans(), max_size=4)
_static = st.one_of(
    _directory,
    st.dictionaries(
        _path,
        st.one_of(_directory, st.fixed_dictionaries({"dir": _directory}, optional={"immutable": st.booleans()})),
        max_size=3,
    ),
)
_command = st.sampled_from(["/usr/bin/env -0", "exec /usr/bin/env -0; false", "/usr/bin/env -0 A=${socket}"])
_app = _some(
    root=_directory,
    start=_command,
    prepare=st.sampled_from(["", "true", "echo ${tenant.name}"]),
    health=st.sampled_from(["", "/", "/up?a=%20b"]),
    env=_env,
    databases=st.lists(st.sampled_from(["a.sqlite3", "b/c.sqlite3"]), max_size=2, unique=True),
    files=st.lists(st.sampled_from(["storage", "up.loads/", "b"]), max_size=2, unique=True),
    static=_static,
    websocket=_path.filter(bool),
    streaming=st.booleans(),
    cache=st.sampled_from(["assets", "all", "off"]),
    restart=st.sampled_from(["overlap", "hold"]),
    start_timeout=st.sampled_from([1, "1h"]),
    stop_timeout=st.sampled_from([0, 1, 0.4]),
    stop_signal=st.sampled_from(["TERM", "INT", "QUIT"]),
)
_level: dict[str, st.SearchStrategy[Any]] = {
    "name": value,
    "app": _app,
    "env": _env,
    "idle": st.sampled_from(["1s", 600]),
    "pin": st.booleans(),
    "start": st.sampled_from(["demand", "eager"]),
    "region": st.sampled_from(["sea", "bos", "iad"]),
    "instance": st.sampled_from(["m1", "m2"]),
}
_tenants = st.dictionaries(_path, st.one_of(st.none(), _some(**_level, host=_host)), max_size=4)
_server = _some(
    http_port=st.integers(1024, 65535),
    bind=st.sampled_from(["127.0.0.1", "127.0.0.2"]),
    cache_size=_size,
    max_cache_item_size=_size,
    max_request_body=_size,
    x_sendfile_enabled=st.booleans(),
    bad_gateway_page=_directory,
    error_pages=st.dictionaries(st.sampled_from(["404", "413", "502", "503"]), _directory, max_size=2),
    http_idle_timeout=_duration,
    response_timeout=st.sampled_from([1, "1d"]),
    forward_headers=st.booleans(),
    trusted_proxies=st.lists(st.sampled_from(["10.0.0.0/8", "::1", "fd00::/8", "1.2.3.4"]), max_size=3),
    gzip_compression_enabled=st.booleans(),
    log_requests=st.booleans(),
    log_level=st.sampled_from(["debug", "info", "warn", "error"]),
    health_check_path=_path,
)
_routes = st.lists(
    _some(**_level, endpoint=_path, database=_segment, host=_host),
    max_size=3,
    unique_by=str,
)
# A whole atc.yml: mostly right, and hostile wherever the schema takes free text.
atc_yml = _some(
    server=_server,
    app=_app,
    storage=_some(
        volume=_directory, replica=st.sampled_from(["file:./copies", "file:///var/copies", "s3://bucket/a/b"])
    ),
    backup=_some(sync=_duration, files=st.sampled_from(["1s", 60]), retention=st.sampled_from(["1h", "7d"])),
    users=st.dictionaries(_segment, _some(**_level, tenants=_tenants), max_size=3),
    routes=_routes,
)
