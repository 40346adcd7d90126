"""The object store, of both kinds: a directory, and a bucket of a real server."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from atcgen.system.store import Changed, Conflict, Found, Store, StoreError, open_store
from tests.replica.conftest import Place
from tests.replica.servers import BUCKET, CREDENTIALS, free_port, without_aws

pytestmark = pytest.mark.system

ODD = [
    "a b",
    "ü",
    "a%20b",
    "a~b",
    "a#b",
    "a?b",
    "a:b",
    "a+b",
    "a\\b",
    "a'\"b",
    "-a",
    "db.sqlite3-wal",
    ".hidden",
    "a..",
]
IMPOSSIBLE = ["", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/..", "a/./b", "a\nb", "a\0b", ".atc-lock", "a<b"]
ASKING: list[Callable[[Store], Awaitable[object]]] = [
    lambda store: store.get("a"),
    lambda store: store.create("a", b""),
    lambda store: store.replace("a", b"", '"00000000000000000000000000000000"'),
    lambda store: store.put("a", b""),
    lambda store: store.entries(""),
    lambda store: store.delete(["a"]),
]


def refusal(work: Awaitable[object]) -> str:
    """What a store says that cannot do it."""

    async def tried() -> None:
        await work

    with pytest.raises(StoreError) as raised:
        asyncio.run(tried())
    for secret in CREDENTIALS.values():
        assert secret not in f"{raised.value} {raised.value.hint}"
    return str(raised.value)


def keys(store: Store, prefix: str = "") -> list[str]:
    """What is below a prefix."""
    return [each.key for each in asyncio.run(store.entries(prefix))]


async def found(store: Store, key: str) -> Found:
    """An object that must be there."""
    there = await store.get(key)
    assert there is not None
    return there


def test_an_object_is_created_once(store: Store) -> None:
    """Whoever comes second changes nothing."""

    async def scenario() -> None:
        assert await store.get("t/a/lease.json") is None
        tag = await store.create("t/a/lease.json", b"one")
        with pytest.raises(Conflict):
            await store.create("t/a/lease.json", b"two")
        assert await store.get("t/a/lease.json") == Found(b"one", tag)

    asyncio.run(scenario())


def test_an_object_is_replaced_only_as_it_was_seen(store: Store) -> None:
    """Not once it was changed, nor once it is gone, nor where it never was."""

    async def scenario() -> None:
        first = await store.create("a", b"one")
        second = await store.replace("a", b"two", first)
        assert second != first
        with pytest.raises(Conflict):
            await store.replace("a", b"three", first)
        assert await store.get("a") == Found(b"two", second)
        await store.delete(["a"])
        with pytest.raises(Conflict):
            await store.replace("a", b"three", second)
        with pytest.raises(Conflict):
            await store.replace("b/c", b"three", second)
        assert await store.entries("") == []

    asyncio.run(scenario())


def test_an_object_is_put_whatever_was_there(store: Store) -> None:
    """And an empty one is an object."""

    async def scenario() -> None:
        for body in (b"one", b"", bytes(range(256)) * 5000):
            await store.put("a/b", body)
            assert (await found(store, "a/b")).body == body

    asyncio.run(scenario())


def test_one_of_many_wins(place: Place) -> None:
    """Each with a store of its own."""

    async def scenario() -> None:
        tag = await place.open().create("a", b"")
        stores = [place.open() for _ in range(12)]
        writes = [each.replace("a", f"{number}".encode(), tag) for number, each in enumerate(stores)]
        done = await asyncio.gather(*writes, return_exceptions=True)
        winners = [number for number, each in enumerate(done) if isinstance(each, str)]
        assert len(winners) == 1
        assert sum(isinstance(each, Conflict) for each in done) == 11
        assert (await found(place.open(), "a")).body == f"{winners[0]}".encode()

    asyncio.run(scenario())


def test_entries_are_what_is_below(store: Store) -> None:
    """Not what merely begins alike; sorted, with size and time."""

    async def scenario() -> None:
        for key in ("t/b/2", "t/b/1", "t/bb", "t/b/c/3"):
            await store.put(key, key.encode())
        assert [each.key for each in await store.entries("")] == ["t/b/1", "t/b/2", "t/b/c/3", "t/bb"]
        below = await store.entries("t/b")
        assert [(each.key, each.size) for each in below] == [("t/b/1", 5), ("t/b/2", 5), ("t/b/c/3", 7)]
        assert all(abs(each.modified - time.time()) < 60 for each in below)
        assert await store.entries("t/bb") == await store.entries("nothing/here") == []

    asyncio.run(scenario())


def test_more_entries_than_a_page_has(rclone: str) -> None:
    """A server gives a thousand at a time; as many are deleted at once."""
    store = open_store(f"s3://{BUCKET}/many", endpoint=rclone, credentials=CREDENTIALS)
    many = [f"many/{number:04}" for number in range(1005)]

    async def scenario() -> None:
        await asyncio.gather(*(store.put(each, b"") for each in many))
        assert [each.key for each in await store.entries("many")] == many
        await store.delete(many)
        assert await store.entries("") == []

    asyncio.run(scenario())


def test_the_first_bytes_of_an_object(store: Store) -> None:
    """No more of it than that; None where there is none."""

    async def scenario() -> None:
        await store.put("x/a", b"0123456789")
        assert await store.get_first("x/a", 4) == b"0123"
        assert await store.get_first("x/b", 4) is None

    asyncio.run(scenario())


def test_what_is_deleted_is_gone(store: Store) -> None:
    """What was not there does not matter, nor do none at all."""

    async def scenario() -> None:
        await store.put("a/b/c", b"")
        await store.put("a/d", b"")
        await store.delete([])
        await store.delete(["a/b/c", "a/b/none", "none"])
        assert [each.key for each in await store.entries("")] == ["a/d"]
        assert await store.get("a/b/c") is None
        await store.put("a/b", b"a folder before")
        assert (await found(store, "a/b")).body == b"a folder before"

    asyncio.run(scenario())


def test_what_is_below_an_object_or_above_one_is_absent(store: Store) -> None:
    """In a directory it would be another kind of file."""

    async def scenario() -> None:
        await store.put("a/b", b"")
        assert await store.get("a/b/c") is None
        assert await store.get("a") is None
        await store.delete(["a/b/c", "a"])
        assert [each.key for each in await store.entries("")] == ["a/b"]

    asyncio.run(scenario())


@pytest.mark.parametrize("key", ODD)
def test_an_odd_key_is_a_key(store: Store, key: str) -> None:
    """As the files of an application may have odd names."""

    async def scenario() -> None:
        for each in (key, f"a/{key}/b"):
            await store.create(each, each.encode())
            assert (await found(store, each)).body == each.encode()
        assert [each.key for each in await store.entries("")] == sorted([key, f"a/{key}/b"])
        await store.delete([key, f"a/{key}/b"])
        assert await store.entries("") == []

    asyncio.run(scenario())


@pytest.mark.parametrize("key", IMPOSSIBLE)
def test_a_key_stays_inside(place: Place, key: str) -> None:
    """And there is no other way to spell one."""
    store = place.open()
    for work in (store.get(key), store.create(key, b""), store.replace(key, b"", "x"), store.put(key, b"")):
        assert "cannot be the key" in refusal(work)
    assert "cannot be the key" in refusal(store.delete([key]))
    if key:
        assert "cannot be the key" in refusal(store.entries(key))
    assert keys(store) == []


@pytest.mark.parametrize("ask", ASKING)
def test_a_missing_bucket_is_no_absent_object(ask: Callable[[Store], Awaitable[object]], moto: str) -> None:
    """Nor a conflict."""
    store = open_store("s3://elsewhere/x", endpoint=moto, credentials=CREDENTIALS)

    said = refusal(ask(store))

    assert said == f"s3://elsewhere/x at {moto} does not exist: there is no such bucket"


@pytest.mark.parametrize("ask", ASKING)
def test_a_missing_directory_is_no_absent_object(ask: Callable[[Store], Awaitable[object]], tmp_path: Path) -> None:
    """It may be on a disk that is not mounted."""
    store = open_store(f"file://{tmp_path}/none", credentials={})

    assert refusal(ask(store)) == f"file://{tmp_path}/none does not exist: there is no such directory"
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("ask", ASKING)
def test_an_empty_directory_in_its_place_is_not_the_store(
    ask: Callable[[Store], Awaitable[object]], tmp_path: Path
) -> None:
    """Its disk was unmounted. Nothing is made in the empty place, and the store is there again when the disk is."""
    (tmp_path / "store").mkdir()
    store = open_store(f"file://{tmp_path}/store", credentials={})
    asyncio.run(store.create("b", b"1"))
    (tmp_path / "store").rename(tmp_path / "away")
    (tmp_path / "store").mkdir()

    assert refusal(ask(store)) == f"file://{tmp_path}/store is not there: another directory is in its place"
    assert not list((tmp_path / "store").iterdir())
    (tmp_path / "store").rmdir()
    (tmp_path / "away").rename(tmp_path / "store")
    assert (asyncio.run(store.get("a")), keys(store)) == (None, ["b"])


@pytest.mark.parametrize("wrong", CREDENTIALS)
@pytest.mark.parametrize("ask", ASKING)
def test_wrong_credentials_are_forbidden(ask: Callable[[Store], Awaitable[object]], wrong: str, rclone: str) -> None:
    """The right ones are not; and nothing secret is said."""
    url = f"s3://{BUCKET}/x"
    right = open_store(url, endpoint=rclone, credentials=CREDENTIALS)
    assert asyncio.run(right.get("none")) is None

    said = refusal(ask(open_store(url, endpoint=rclone, credentials=CREDENTIALS | {wrong: "something"})))

    assert re.fullmatch(rf"{url} at {rclone} is forbidden: it said 403 \w+", said)


@pytest.mark.parametrize("ask", ASKING)
def test_a_server_that_is_down_does_not_answer(ask: Callable[[Store], Awaitable[object]]) -> None:
    """Soon."""
    endpoint = f"http://127.0.0.1:{free_port()}"
    begun = time.monotonic()

    said = refusal(ask(open_store(f"s3://{BUCKET}", endpoint=endpoint, credentials=CREDENTIALS)))

    assert said == f"s3://{BUCKET} at {endpoint} does not answer"
    assert time.monotonic() - begun < 10


def test_a_server_that_hangs_does_not_answer() -> None:
    """All six at once, within ten seconds."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        store = open_store(f"s3://{BUCKET}", endpoint=endpoint, credentials=CREDENTIALS)

        async def scenario() -> Sequence[object]:
            return await asyncio.gather(*(ask(store) for ask in ASKING), return_exceptions=True)

        begun = time.monotonic()
        said = asyncio.run(scenario())
        assert time.monotonic() - begun < 10
    assert [str(each) for each in said] == [f"s3://{BUCKET} at {endpoint} does not answer"] * len(ASKING)


async def _answering(status: str, body: str, ask: Callable[[Store], Awaitable[object]]) -> tuple[str, int]:
    """What a store makes of a server that always says this, and how often it asked."""
    asked = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        await reader.readuntil(b"\r\n\r\n")
        asked += 1
        writer.write(f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        store = open_store(f"s3://{BUCKET}", endpoint=f"http://127.0.0.1:{port}", credentials=CREDENTIALS)
        try:
            return repr(await ask(store)), asked
        except (StoreError, Conflict) as problem:
            return f"{type(problem).__name__} {problem}".replace(f" at http://127.0.0.1:{port}", ""), asked


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        ("404 Not Found", "<html>nothing here</html>", "StoreError s3://databases did not do it: it said 404"),
        ("404 Not Found", "", "StoreError s3://databases did not do it: it said 404"),
        ("404 Not Found", "<Error><Code>NoSuchKey</Code></Error>", "None"),
        ("403 Forbidden", "<Error><Code>AccessDenied</Code></Error>",
         "StoreError s3://databases is forbidden: it said 403 AccessDenied"),
        ("500 Oh", "<Error><Message>x</Message><Code>InternalError</Code></Error>",
         "StoreError s3://databases did not do it: it said 500 InternalError"),
        ("200 OK", "a page of a hotel's network", "StoreError s3://databases gives its objects no ETag"),
    ],
)  # fmt: skip
def test_only_a_proof_is_a_proof(status: str, body: str, says: str) -> None:
    """Whatever else may answer there: a proxy, another server, a page to log in."""
    said, _ = asyncio.run(_answering(status, body, ASKING[0]))

    assert said.startswith(says)


def test_a_conditional_write_is_sent_once() -> None:
    """Sent again, it could meet itself; reads are sent again."""
    for ask, times in zip(ASKING[:4], (3, 1, 1, 3), strict=True):
        assert asyncio.run(_answering("500 Oh", "", ask)) == (
            "StoreError s3://databases did not do it: it said 500",
            times,
        )


def test_a_race_that_the_server_noticed_is_a_conflict() -> None:
    """S3 says 409 to one of two writes that happen at once."""
    body = "<Error><Code>ConditionalRequestConflict</Code></Error>"

    assert asyncio.run(_answering("409 Conflict", body, ASKING[2]))[0].startswith("Conflict ")


def test_the_environment_plays_no_part(moto: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even variables that would win over what is given; and it stays as it is."""
    for name, value in {
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_BUCKET": "other",
        "AWS_SERVER_SIDE_ENCRYPTION": "sse-c",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
    }.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)

    store = open_store(f"s3://{BUCKET}/environment", endpoint=moto, credentials=CREDENTIALS)

    assert asyncio.run(store.create("a", b""))
    assert dict(os.environ) == before


def test_what_comes_with_the_credentials_counts(moto: str) -> None:
    """An endpoint and a region, where none are given."""
    more = {"AWS_ENDPOINT_URL_S3": moto, "AWS_REGION": "eu-central-1", "AWS_SESSION_TOKEN": "token"}
    store = open_store(f"s3://{BUCKET}/credentials", credentials=CREDENTIALS | more)

    assert asyncio.run(store.create("a", b""))


@pytest.mark.parametrize(
    "url",
    ["", "s3://", "s3://B", "s3:///x", "http://a/b", "file://host/x", "file:///", "file:x", "s3://ab", "s3://abc/../d"],
)
def test_what_is_no_store(url: str) -> None:
    """It is said at once."""
    with pytest.raises(StoreError):
        open_store(url, credentials=CREDENTIALS)


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("s3://testkeyid:testsecret@abc/x", ""),
        ("s3://abc/x?secret=testsecret", ""),
        ("s3://abc/x", "http://testkeyid:testsecret@host"),
        ("s3://abc/x", "testsecret"),
    ],
)
def test_a_url_that_holds_a_secret_is_not_quoted(url: str, endpoint: str) -> None:
    """People paste what they have."""
    with pytest.raises(StoreError) as raised:
        open_store(url, endpoint=endpoint, credentials=CREDENTIALS)
    assert "testsecret" not in str(raised.value)


@pytest.mark.parametrize("missing", CREDENTIALS)
def test_a_bucket_needs_credentials(missing: str) -> None:
    """obstore would look for a cloud's metadata service, for a minute."""
    with pytest.raises(StoreError, match="needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        open_store("s3://abc", credentials={key: value for key, value in CREDENTIALS.items() if key != missing})


def test_obstore_is_imported_only_for_buckets(tmp_path: Path) -> None:
    """It costs megabytes."""
    code = (
        "import sys; from atcgen.system.store import open_store\n"
        f"open_store('file://{tmp_path}', credentials={{}})\n"
        "assert 'obstore' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=without_aws())


def test_a_write_into_a_directory_is_whole(tmp_path: Path) -> None:
    """Whoever reads meanwhile sees the old one or the new one; and nothing is left behind."""
    store = open_store(f"file://{tmp_path}", credentials={})
    bodies = [bytes([each]) * 300_000 for each in range(20)]

    async def scenario() -> None:
        await store.put("a", bodies[0])
        writing = asyncio.gather(*(store.put("a", each) for each in bodies))
        while not writing.done():
            assert (await found(store, "a")).body in bodies
        await writing

    asyncio.run(scenario())
    assert {each.name for each in tmp_path.iterdir()} == {"a", ".atc-lock"}


def test_the_same_content_written_again_has_another_tag(tmp_path: Path) -> None:
    """In a directory; in a bucket the tag follows from the content."""
    store = open_store(f"file://{tmp_path}", credentials={})

    async def scenario() -> None:
        first = await store.create("a", b"one")
        await store.replace("a", b"two", first)
        await store.put("a", b"one")
        with pytest.raises(Conflict):
            await store.replace("a", b"three", first)

    asyncio.run(scenario())


def test_a_process_that_is_stuck_with_the_lock_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for it for ever; reading needs no lock."""
    import fcntl

    monkeypatch.setattr("atcgen.system.store_directory._LOCK_SECONDS", 0.1)
    store = open_store(f"file://{tmp_path}", credentials={})
    with open(tmp_path / ".atc-lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert refusal(store.put("a", b"")).endswith("does not answer: another process holds its lock")
        assert asyncio.run(store.get("a")) is None
    asyncio.run(store.put("a", b""))


def test_what_the_system_says_is_said(tmp_path: Path) -> None:
    """A file stands where a folder would have to be."""
    store = open_store(f"file://{tmp_path}", credentials={})
    asyncio.run(store.put("a", b""))

    assert refusal(store.put("a/b", b"")) == f"file://{tmp_path} did not do it: File exists"


# Files


SIZES = [0, 1, 8 << 20, (8 << 20) + 1, 20_000_003]


def written(path: Path, size: int) -> str:
    """Make a file; its digest."""
    body = (b"0123456789abcde" * (size // 15 + 1))[:size]
    path.write_bytes(body)
    return hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("size", SIZES)
def test_a_file_of_any_size_comes_back(store: Store, tmp_path: Path, size: int) -> None:
    """In one part or in several; and it takes the place of what was there."""
    digest = written(tmp_path / "a", size)

    async def scenario() -> None:
        await store.put("x/a", b"before")
        await store.put_file("x/a", tmp_path / "a", digest)
        assert await store.get_file("x/a", tmp_path / "b") == digest
        assert [(each.key, each.size) for each in await store.entries("x")] == [("x/a", size)]

    asyncio.run(scenario())
    assert (tmp_path / "b").read_bytes() == (tmp_path / "a").read_bytes()


@pytest.mark.parametrize("size", SIZES)
def test_a_file_that_was_changed_is_not_written(store: Store, tmp_path: Path, size: int) -> None:
    """Not even what is in the store already is touched."""
    written(tmp_path / "a", size)

    async def scenario() -> None:
        await store.put("x/a", b"before")
        with pytest.raises(Changed):
            await store.put_file("x/a", tmp_path / "a", "00" * 32)
        assert (await found(store, "x/a")).body == b"before"
        assert [each.key for each in await store.entries("")] == ["x/a"]

    asyncio.run(scenario())


def test_a_file_that_is_not_there(store: Store, tmp_path: Path) -> None:
    """In the store, or here, or here already."""
    digest = written(tmp_path / "a", 5)

    async def scenario() -> None:
        assert await store.get_file("x", tmp_path / "b") is None
        assert not (tmp_path / "b").exists()
        with pytest.raises(FileNotFoundError):
            await store.put_file("x", tmp_path / "b", digest)
        await store.put_file("x", tmp_path / "a", digest)
        with pytest.raises(FileExistsError):
            await store.get_file("x", tmp_path / "a")
        (tmp_path / "link").symlink_to("a")
        with pytest.raises(OSError, match="symbolic"):
            await store.put_file("x", tmp_path / "link", digest)

    asyncio.run(scenario())


def test_a_large_file_is_not_held_in_memory(place: Place, tmp_path: Path) -> None:
    """Of 200 MB no more than some parts."""
    code = (
        "import asyncio, re, sys\nfrom pathlib import Path\n"
        "from atcgen.system.store import open_store\nfrom tests.replica.servers import CREDENTIALS\n"
        "store = open_store(sys.argv[1], endpoint=sys.argv[2], credentials=CREDENTIALS)\n"
        "async def both():\n"
        "    await store.put_file('a', Path(sys.argv[3]), sys.argv[4])\n"
        "    assert await store.get_file('a', Path(sys.argv[3] + '.back')) == sys.argv[4]\n"
        "asyncio.run(both())\n"
        "print(int(re.search('VmHWM:\\s*([0-9]+)', Path('/proc/self/status').read_text())[1]) // 1024)\n"
    )
    with open(tmp_path / "a", "w+b") as file:
        file.truncate(200 << 20)
        digest = hashlib.file_digest(file, "sha256").hexdigest()

    words = [sys.executable, "-c", code, place.url, place.endpoint, str(tmp_path / "a"), digest]
    said = subprocess.run(words, check=True, capture_output=True, text=True, timeout=120, env=without_aws())

    assert int(said.stdout) < 150


def test_a_missing_store_takes_and_gives_no_files(tmp_path: Path) -> None:
    """It may be on a disk that is not mounted."""
    store = open_store(f"file://{tmp_path}/none", credentials={})
    digest = written(tmp_path / "a", 5)

    for work in (store.put_file("a", tmp_path / "a", digest), store.get_file("a", tmp_path / "b")):
        assert refusal(work).endswith("does not exist: there is no such directory")


def test_what_a_killed_writer_left_goes_after_a_day(tmp_path: Path) -> None:
    """And is no object meanwhile."""
    store = open_store(f"file://{tmp_path}", credentials={})
    for name, age in (("old", 90_000), ("new", 0)):
        (tmp_path / f".atc-put-{name}").write_bytes(b"half")
        os.utime(tmp_path / f".atc-put-{name}", (time.time() - age,) * 2)
    assert keys(store) == []

    asyncio.run(store.put_file("a", tmp_path / ".atc-put-new", hashlib.sha256(b"half").hexdigest()))

    assert {each.name for each in tmp_path.iterdir()} == {"a", ".atc-put-new", ".atc-lock"}
