"""A program whose DAOS goes away: guest.py DIR, told on its standard input what to do next.

One line of JSON answers each word. `first` is the first use of the mount; `prepare` makes files and opens some;
`meet` makes calls of every kind and says of each its errno (null: none) and how long it took; `after` says what the
files hold, by its own open descriptors and anew."""
import errno
import json
import mmap
import os
import sys
import time

TOP = sys.argv[1]
KEPT = b"a" * 100
MORE = b"b" * 100
held = {}


def at(name):
    return os.path.join(TOP, name)


def attempt(call):
    start = time.monotonic()
    try:
        call()
        failed = None
    except OSError as error:
        failed = errno.errorcode.get(error.errno, str(error.errno))
    return [failed, round(time.monotonic() - start, 2)]


def first():
    return {"open": attempt(lambda: os.close(os.open(at("f"), os.O_RDONLY)))}


def prepare():
    for name in ("read", "write", "append", "big", "map", "cut", "gone", "moved", "still", "unlinked"):
        held[name] = os.open(at(name), os.O_RDWR | os.O_CREAT | (os.O_APPEND if name == "append" else 0), 0o644)
        os.write(held[name], KEPT)
    os.makedirs(at("d/e"))
    with open(at("d/e/deep"), "wb") as file:
        file.write(KEPT)
    os.ftruncate(held["map"], 64 << 10)
    held["mapping"] = mmap.mmap(held["map"], 64 << 10)
    os.unlink(at("unlinked"))
    return {"prepared": [None, 0]}


def msync():
    for page in range(0, 64 << 10, 4096):
        held["mapping"][page] = 77
    held["mapping"].flush()


CALLS = {
    "pread": lambda: os.pread(held["read"], 10, 0),
    "write": lambda: os.write(held["write"], MORE),
    "append": lambda: os.write(held["append"], MORE),
    "pwrite": lambda: os.pwrite(held["read"], MORE, 100),
    "big": lambda: os.pwrite(held["big"], b"c" * (8 << 20), 0),
    "stat": lambda: os.stat(at("still")),
    "deep": lambda: os.stat(at("d/e/deep")),
    "fstat": lambda: os.fstat(held["still"]),
    "size": lambda: os.lseek(held["still"], 0, os.SEEK_END),
    "open": lambda: os.close(os.open(at("still"), os.O_RDONLY)),
    "create": lambda: os.close(os.open(at("new"), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)),
    "list": lambda: os.listdir(TOP),
    "mkdir": lambda: os.mkdir(at("newd")),
    "rename": lambda: os.rename(at("moved"), at("moved2")),
    "unlink": lambda: os.unlink(at("gone")),
    "truncate": lambda: os.ftruncate(held["cut"], 10),
    "chmod": lambda: os.chmod(at("still"), 0o600),
    "setxattr": lambda: os.setxattr(at("still"), "user.x", b"1"),
    "statvfs": lambda: os.statvfs(TOP),
    "chdir": lambda: os.chdir(at("d/e")),
    "msync": msync,
    "close-unlinked": lambda: os.close(held.pop("unlinked")),
    "close": lambda: os.close(held.pop("gone")),
}


def meet():
    return {name: attempt(call) for name, call in CALLS.items()}


def after():
    def content(name):
        with open(at(name), "rb") as file:
            data = file.read()
        return [len(data), data.count(b"a"), data.count(b"b")]

    files = {name: content(name) for name in ("read", "write", "append", "still", "d/e/deep")}
    files["offset"] = os.lseek(held["write"], 0, os.SEEK_CUR)
    files["held"] = len(os.pread(held["still"], 999, 0))
    return files


def burden():
    """What the end of the process would have to do: changed mappings, files without a name."""
    held["large"] = os.open(at("large"), os.O_RDWR | os.O_CREAT, 0o644)
    os.ftruncate(held["large"], 8 << 20)
    held["pages"] = mmap.mmap(held["large"], 8 << 20)
    for page in range(0, 8 << 20, 65536):
        held["pages"][page] = 66
    for number in range(20):
        os.open(at(f"n{number}"), os.O_RDWR | os.O_CREAT, 0o644)
        os.unlink(at(f"n{number}"))
    return {"burden": [None, 0]}


for line in sys.stdin:
    try:
        answer = globals()[line.strip()]()
    except OSError as error:
        answer = {"failed": errno.errorcode.get(error.errno, str(error.errno))}
    print(json.dumps(answer), flush=True)
