"""fio: its engines write and verify checksums, in processes and in threads."""

import os
import re

from . import base, prepare

JOB = os.path.join(base.TESTS, "public", "verify.fio")
ENGINES = ["sync", "psync", "vsync", "pvsync2", "posixaio", "libaio", "mmap", "splice"]
# Not served: the error must be a clear one, at once. Engine -> what fio says of its first writes.
REFUSED = {"io_uring": "Operation not permitted"}
TIMEOUT = 120


def runs():
    """(name, engine, further words)."""
    for engine in ENGINES + sorted(REFUSED):
        yield f"fio-{engine}-processes", engine, []
        yield f"fio-{engine}-threads", engine, ["--thread"]


def _try(place, engine, words):
    return place.run(["fio", f"--ioengine={engine}", f"--directory={place.directory}", *words, JOB], TIMEOUT)


def _counts(ran):
    """How much was written and read, for the result's line."""
    found = re.findall(r"(READ|WRITE): .*? io=(\S+)", ran.out.decode(errors="replace"))
    return ", ".join(" ".join(pair) for pair in found)


def on_mount(test, places, engine, words):
    kernel, mounted = places
    if not prepare.have("fio"):
        return test.skipped("no fio")
    native = _try(kernel, engine, words)
    if native.status != 0:
        return test.skipped(f"not on this kernel: {native.says(200)}")
    ours = _try(mounted, engine, words)
    if engine in REFUSED:
        said = REFUSED[engine].encode() in ours.out + ours.err
        clear = ours.status > 0 and said and not ours.timed_out
        return test.passed("refused") if clear else test.failed(f"wants a clear error: {ours.says()}")
    return test.passed(_counts(ours)) if ours.status == 0 else test.failed(ours.says())


def transparent(test, armed, engine, words):
    if not prepare.have("fio"):
        return test.skipped("no fio")
    ours = _try(armed, engine, words)
    return test.passed(_counts(ours)) if ours.status == 0 else test.failed(ours.says())
