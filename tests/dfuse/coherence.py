"""Cases of what one client sees of another's changes: the library and the server, cached or not, in both directions;
two processes under the library, of one node and of two."""

import json
import os
import subprocess
import sys
import time

from kit import case
from stage import CONT, POOL, check

# A client: looks at everything below its directory, by name and through what it has open, or makes one change.
CLIENT = r'''
import json, os, sys
top = sys.argv[1]
held = {}
def at(name): return os.path.join(top, name)
def failed(error): return {2: "ENOENT", 20: "ENOTDIR", 116: "ESTALE"}.get(error.errno, str(error))
def put(name, text):
    with open(at(name), "w") as file: file.write(text)
def hold(*names):
    for name in names:
        fd = os.open(at(name), os.O_RDONLY)
        held.setdefault(os.pread(fd, 1, 0).decode() + name, fd)
def one(name):
    try:
        st = os.lstat(at(name))
        kind = {0o04: "dir", 0o10: "file", 0o12: "link"}[st.st_mode >> 12]
        if kind == "dir": return [kind, st.st_mode & 0o777, sorted(n for n in os.listdir(at(name)) if n[0] != ".")]
        if kind == "link": return [kind, os.readlink(at(name))]
        with open(at(name)) as file: return [kind, st.st_mode & 0o777, st.st_size, file.read()]
    except OSError as error:
        return [failed(error)]
def open_one(fd):
    try: return [os.pread(fd, 999, 0).decode(), os.fstat(fd).st_size]
    except OSError as error: return [failed(error)]
def look(names): return {name: one(name) for name in names}
def look_held(): return {name: open_one(fd) for name, fd in held.items()}
for line in sys.stdin:
    word, arguments = json.loads(line)
    try:
        if word == "look": answer = [look(*arguments), look_held()]
        elif word in ("put", "hold"): answer = globals()[word](*arguments)
        elif word == "append":
            with open(at(arguments[0]), "a") as file: file.write(arguments[1])
        elif word == "truncate": os.truncate(at(arguments[0]), arguments[1])
        elif word == "chmod": os.chmod(at(arguments[0]), arguments[1])
        elif word == "symlink": os.symlink(arguments[1], at(arguments[0]))
        elif word == "rename": os.rename(at(arguments[0]), at(arguments[1]))
        else: getattr(os, word)(at(arguments[0]))
        if word not in ("look",): answer = None
    except OSError as error: answer = failed(error)
    print(json.dumps(answer), flush=True)
'''

# What a client does, step after step; every file's text says which file it is, so that none can pass for another.
STEPS = [
    [("put", "f", "f one")],
    [("put", "f", "f two, longer")],
    [("append", "f", " and more")],
    [("truncate", "f", 5)],
    [("chmod", "f", 0o600)],
    [("put", "g", "g one"), ("rename", "g", "f")],
    [("put", "k", "k one")],
    [("unlink", "k")],
    [("mkdir", "d"), ("put", "d/x", "d's x")],
    [("rename", "d", "e")],
    [("mkdir", "d"), ("put", "d/x", "new d's x")],
    [("unlink", "e/x"), ("rmdir", "e")],
    [("put", "e", "e is a file")],
    [("unlink", "e"), ("mkdir", "e"), ("put", "e/y", "e's y")],
    [("symlink", "l", "f")],
    [("unlink", "l"), ("symlink", "l", "d/x")],
    [("rename", "d", "e/d")],
    [("rename", "e", "top")],
    [("unlink", "f")],
]
NAMES = ["", "f", "g", "k", "d", "d/x", "e", "e/x", "e/y", "e/d", "e/d/x", "l", "top", "top/d", "top/d/x", "top/y"]


class Client:
    """A process that looks and changes, by the kernel's path or under the library."""

    def __init__(self, directory, env):
        self.process = subprocess.Popen([sys.executable, "-c", CLIENT, directory], env=env, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def do(self, word, *arguments):
        self.process.stdin.write(json.dumps([word, arguments]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def look(self):
        return self.do("look", NAMES)

    def close(self):
        self.process.kill()
        self.process.wait()


def follows(changer, watcher, within):
    """After each step the watcher sees, name by name, the old or the new, or that something is gone; after `within`
    seconds the new. What it holds open keeps to be the file it was."""
    before = watcher.look()[0]
    for step in STEPS:
        for change in step:
            failed = changer.do(*change)
            check(failed is None, f"{change}: {failed}")
        truth = changer.look()[0]
        end = time.monotonic() + within
        while True:
            late = time.monotonic() >= end
            seen, held = watcher.look()
            for name in NAMES:
                known = [truth[name], before[name], ["ENOENT"], ["ESTALE"], ["ENOTDIR"]]
                mixed = known[0][0] == known[1][0] == "file" or truth[name][0] == "dir" or before[name][0] == "dir"
                check(seen[name] in known or mixed and not late, f"after {step}: {name} is {seen[name]}, of {known}")
            for name, what in held.items():
                # its first letter is the first letter of the file's text when it was opened
                check(what in (["ENOENT"], ["ESTALE"]) or what[0][:1] in (name[0], ""), f"after {step}: {name}, held open, is {what}")
            if seen == truth:
                break
            wrong = {name: (seen[name], truth[name]) for name in NAMES if seen[name] != truth[name]}
            check(not late, f"after {step} and {within} s: seen and true {wrong}")
            time.sleep(0.05)
        # What is there now is held open from here on.
        before = truth
        for name in ("f", "k"):
            if truth[name][0] == "file":
                watcher.do("hold", name)


def both_ways(stage, one, other, within, names=("by-one", "by-other")):
    """Two (directory, environment, seconds to see the other's changes): each changes, the other watches."""
    for (mine, mine_env, _), (others, others_env, delay), name in ((one, other, names[0]), (other, one, names[1])):
        changer_dir, watcher_dir = os.path.join(mine, name), os.path.join(others, name)
        changer = watcher = None
        try:
            changer = Client(changer_dir, mine_env)
            changer.do("mkdir", "")
            time.sleep(delay if within is None else within)
            watcher = Client(watcher_dir, others_env)
            follows(changer, watcher, delay)
        finally:
            for client in (changer, watcher):
                if client:
                    client.close()


def named(stage, point, **more):
    """The library on a mount point of its own, that no server knows."""
    return stage.library(D_IL_MOUNT_POINT=point, D_IL_POOL=POOL, D_IL_CONTAINER=CONT, **more)


@case
def library_and_uncached_server(stage):
    """Each sees the other's changes at once; the library's directories after its own time."""
    point = stage.serve("--disable-caching").point
    kernel = (point, stage.env(), 0)
    both_ways(stage, kernel, (point, stage.library(D_IL_DCACHE_REC_TIMEOUT="0"), 0), 0)
    both_ways(stage, kernel, (point, stage.library(D_IL_DCACHE_REC_TIMEOUT="1"), 2.5), 0, ("late-one", "late-other"))


@case
def library_and_cached_server(stage):
    """What dfuse keeps it keeps for five seconds at most (directories), and the library sees its writes at once."""
    point = stage.serve("--enable-caching").point
    both_ways(stage, (point, stage.env(), 6.5), (point, stage.library(D_IL_DCACHE_REC_TIMEOUT="0"), 0), 0)


@case
def processes_of_one_node(stage):
    """All at once, with the dcache as it is."""
    env = named(stage, "/coherent")
    both_ways(stage, ("/coherent", env, 0), ("/coherent", env, 0), 0)


@case
def processes_of_two_nodes(stage):
    """A run directory each: directories after the dcache's time at the latest, all else at once."""
    clients = []
    for node in ("a", "b"):
        rundir = os.path.join(stage.top, "node-" + node)
        os.mkdir(rundir, 0o700)
        clients.append(("/coherent", named(stage, "/coherent", PIL4DFS_RUNDIR=rundir, D_IL_DCACHE_REC_TIMEOUT="1"), 2.5))
    both_ways(stage, *clients, 0)
