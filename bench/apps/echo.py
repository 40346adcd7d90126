"""Answers every method with who it is and what it got: a tenant that boots in a few hundredths of a second.

It listens on the unix socket in SOCKET and says, in headers, whose it is (OWNER), on which machine (MACHINE), and the
length and SHA-256 of the body. The id of each request (X-Number) and OWNER are added to the file NOTES once its body is
there.
"""

from __future__ import annotations

import os
import socket
from _thread import start_new_thread
from hashlib import sha256

Head = dict[bytes, bytes]


class Reader:
    """What comes over a connection."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._said = b""

    def until(self, mark: bytes) -> bytes:
        """Everything before a mark, which is taken as well; b'' at the end."""
        while mark not in self._said:
            if not self._more():
                return b""
        found, _, self._said = self._said.partition(mark)
        return found

    def exactly(self, count: int) -> bytes:
        """So many bytes, fewer at the end."""
        parts, missing = [], count
        while missing and (self._said or self._more()):
            parts.append(self._said[:missing])
            self._said = self._said[missing:]
            missing -= len(parts[-1])
        return b"".join(parts)

    def _more(self) -> bool:
        data = self._sock.recv(262_144)
        self._said += data
        return bool(data)


def body_of(reader: Reader, head: Head) -> bytes | None:
    """The body of a request; None when it was cut off."""
    if head.get(b"transfer-encoding") != b"chunked":
        length = int(head.get(b"content-length", b"0"))
        body = reader.exactly(length)
        return body if len(body) == length else None
    parts = []
    while size := int(reader.until(b"\r\n") or b"0", 16):
        parts.append(reader.exactly(size))
        reader.until(b"\r\n")
    reader.until(b"\r\n")
    return b"".join(parts)


def serve(sock: socket.socket) -> None:
    """Answer the requests of one connection."""
    reader = Reader(sock)
    try:
        while said := reader.until(b"\r\n\r\n"):
            line, *rest = said.split(b"\r\n")
            head = {name.lower(): value.strip() for name, _, value in (each.partition(b":") for each in rest)}
            body = body_of(reader, head)
            if body is None:
                break
            note(head.get(b"x-number", b""))
            sock.sendall(answer(line.split(b" ")[0], body))
            if head.get(b"connection", b"").lower() == b"close":
                break
    except OSError:
        pass
    finally:
        sock.close()


def note(number: bytes) -> None:
    """Remember that a request was carried out, by one write."""
    if number:
        os.write(NOTES, f"{number.decode()} {os.environ['OWNER']}\n".encode())


def answer(method: bytes, body: bytes) -> bytes:
    """What is said to a request."""
    text = f"{os.environ['OWNER']} {os.environ['MACHINE']} {len(body)} {sha256(body).hexdigest()}"
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Echo: {text}\r\nContent-Length: {len(text)}\r\n\r\n"
    return head.encode() + (b"" if method == b"HEAD" else text.encode())


if __name__ == "__main__":
    NOTES = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.environ["SOCKET"])
    listener.listen(512)
    while True:
        start_new_thread(serve, (listener.accept()[0],))
