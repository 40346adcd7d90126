"""Notices when this machine, or this process, stood still while time went on."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

_ABSOLUTE, _CANCEL_ON_SET = 1, 2  # timerfd_create(2)
_FAR = 1 << 33  # seconds of the epoch


class _TimeSpec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Timer(ctypes.Structure):
    _fields_ = (("interval", _TimeSpec), ("value", _TimeSpec))


def notice_pauses(noticed: Callable[[], None]) -> None:
    """Call a function of the running loop whenever time may have passed unseen.

    That is when somebody sets the clock, as the kernel does after a suspend and a host's agent after a restored
    snapshot, and when this process is continued after a SIGSTOP.
    """
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGCONT, noticed)
    libc = ctypes.CDLL(None, use_errno=True)
    timer = libc.timerfd_create(time.CLOCK_REALTIME, os.O_NONBLOCK | os.O_CLOEXEC)
    if timer < 0:
        return

    def arm() -> None:
        never = _Timer(_TimeSpec(0, 0), _TimeSpec(_FAR, 0))
        libc.timerfd_settime(timer, _ABSOLUTE | _CANCEL_ON_SET, ctypes.byref(never), None)

    def was_set() -> None:
        with suppress(OSError):  # ECANCELED: that is the news
            os.read(timer, 8)
        arm()
        noticed()

    arm()
    loop.add_reader(timer, was_set)
