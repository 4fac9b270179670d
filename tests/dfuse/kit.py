"""What the cases share: their list, small helpers for files, errnos and ioctls, and guests of the library."""

import errno
import fcntl
import os
import sys

from stage import Failure, check

ALL = {}
# One that every user can run.
PYTHON = next((p for p in ("/usr/bin/python3", "/usr/local/bin/python3") if os.path.exists(p)), sys.executable)


def case(function):
    ALL[function.__name__.replace("_", "-")] = function
    return function


def refused(call, *numbers):
    """The call fails with one of these errnos."""
    try:
        got = call()
    except OSError as error:
        check(error.errno in numbers, f"errno {errno.errorcode.get(error.errno)}, expected {[errno.errorcode[n] for n in numbers]}")
        return
    raise Failure(f"succeeded with {got!r}, expected {[errno.errorcode[n] for n in numbers]}")


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def read(path):
    with open(path, "rb") as file:
        return file.read()


IL, IL_SIZE, DSIZE, PFILE, WHO = 0x8040A3C1, 0x8020A3C7, 0x8010A3C8, 0x8080A3C9, 0x8008A3CA
POH, COH, DOH, DOOH = 0x8000A3C3, 0x8000A3C4, 0x8000A3C5, 0x8000A3C6


def ask(fd, request, room=None):
    buffer = bytearray(room if room is not None else (request >> 16) & 0x3FFF)
    fcntl.ioctl(fd, request, buffer)
    return bytes(buffer)


def blob(fd, request, size):
    return ask(fd, request | size << 16, size)


def guest(stage, program, timeout=30, **env):
    """A Python program under the library; its output as text."""
    return stage.run([sys.executable, "-c", program], stage.library(**env), timeout).stdout.decode()
