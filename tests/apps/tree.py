#!/usr/bin/python3 -I
"""Prints a tree so that two can be compared: type, mode, size, hash or target, name."""
import hashlib
import os
import stat
import sys


def line(path, name):
    st = os.lstat(path)
    mode = stat.S_IMODE(st.st_mode)
    if stat.S_ISLNK(st.st_mode):
        return f"l {os.readlink(path)!r} {name!r}"
    if stat.S_ISDIR(st.st_mode):  # sizes of directories are the file system's own
        return f"d {mode:04o} {st.st_uid}:{st.st_gid} {name!r}"
    with open(path, "rb") as data:
        digest = hashlib.sha256(data.read()).hexdigest()
    return f"- {mode:04o} {st.st_uid}:{st.st_gid} {st.st_size} {digest[:16]} {name!r}"


def walk(top, name=""):
    for entry in sorted(os.listdir(os.path.join(top, name))):
        inner = os.path.join(name, entry)
        path = os.path.join(top, inner)
        try:
            print(line(path, inner))
            if os.path.isdir(path) and not os.path.islink(path):
                walk(top, inner)
        except OSError as error:
            print(f"! {error.errno} {inner!r}")


os.umask(0)
walk(sys.argv[1])
