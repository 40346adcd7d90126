"""Where a WebSocket frame ends in a stream of bytes, so that a close frame can be put between two. Pure."""

from __future__ import annotations

from websockets.frames import Close, CloseCode, Frame, Opcode

GOING_AWAY = Frame(Opcode.CLOSE, Close(CloseCode.GOING_AWAY, "").serialize()).serialize(mask=False)
_LONG = {126: 2, 127: 8}


class Boundary:
    """Follows the frames that a server sends."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._left = 0  # bytes of the payload still to come

    @property
    def is_between(self) -> bool:
        """Would the next byte begin a frame?"""
        return not self._head and not self._left

    def feed(self, data: bytes) -> int:
        """Take bytes; how many of them belong to frames that are complete."""
        complete = at = 0
        while at < len(data):
            if self._left:
                taken = min(self._left, len(data) - at)
                self._left -= taken
                at += taken
            else:
                self._head.append(data[at])
                at += 1
                self._measure()
            if self.is_between:
                complete = at
        return complete

    def _measure(self) -> None:
        if len(self._head) < 2:
            return
        size = self._head[1] & 0x7F
        extra = _LONG.get(size, 0)
        mask = 4 if self._head[1] & 0x80 else 0
        if len(self._head) < 2 + extra + mask:
            return
        self._left = int.from_bytes(self._head[2 : 2 + extra], "big") if extra else size
        self._head.clear()
