"""keep: `pil4dfs keep` holds DAOS handles for the processes of a user. Connects and imports are counted by
the provider; the keeper dies, ends, idles and comes back; what lies where its file belongs is forged."""

import fcntl
import json
import os
import signal
import time

from . import base, mount

SEVERAL = 4
# Handles die that soon after their owner: the real agent takes seconds.
EVICT = {"PIL4DFS_EMBEDDED_EVICT_MS": "100"}
INSTEAD = b"connecting instead"
# Several append lines; when all do, the first acts, and all go on for a while.
AT_WORK = f"""
line() {{ i=$((i + 1)); echo $i >> /dfs/w.$1; sleep 0.04; }}
line $1
if [ $1 = 1 ]; then
    for n in $(seq {SEVERAL}); do until [ -e /dfs/w.$n ]; do line 1; done; done
    ACT
    : > /dfs/acted
fi
until [ -e /dfs/acted ]; do line $1; done
for n in $(seq 15); do line $1; done
"""
IN_ORDER = f"awk 'FNR != $1 {{ exit 1 }} END {{ exit NR < {16 * SEVERAL} }}' /dfs/w.* && echo in order"


class Kept:
    """A mount, a run directory of its own, and the keeper's command."""

    def __init__(self, place, directory):
        self.mount, self.who = place, place.identity
        self.tool = place.products.path("pil4dfs")
        self.run_directory = os.path.join(directory, "run")
        os.mkdir(self.run_directory, 0o700)
        self.who.own(self.run_directory)
        self.env = dict(EVICT, PIL4DFS_RUNDIR=self.run_directory)

    def keep(self, *words, **more):
        """The keeper's command; one that a test forgets ends by itself."""
        idle = [] if set(words) & {"--stop", "--status", "--idle"} else ["--idle", "120"]
        command = [self.tool, "keep", *([] if "--status" in words else self.mount.options()), *idle, *words]
        return base.run(command, self.who, base.clean_env(**self.env, **more), "/", 60)

    def keepers(self):
        return json.loads(self.keep("--status", "--json").out)

    def file(self):
        """Where the keeper's file lies; there is one."""
        top = os.path.join(self.run_directory, "keep")
        (name,) = os.listdir(top)
        return os.path.join(top, name)

    def counts(self):
        """Connects and imports."""
        counted = self.mount.counted()
        return counted["daos_pool_connect"], counted["daos_pool_global2local"]


class Place(Kept):
    """A fresh store, and what runs on it."""

    def __init__(self, context, who):
        self.directory = context.scratch.directory(who)
        super().__init__(mount.Mount(context.products, who, self.directory), self.directory)

    def run(self, script, **more):
        return self.mount.run(["/bin/sh", "-c", script], **self.env, **more)

    def several(self, script):
        """The script in several processes at once; $1 tells them apart."""
        words = self.mount.command(["/bin/bash", "-c", script, "worker"])
        loop = f'for n in $(seq {SEVERAL}); do "$@" $n & done; wait'
        return base.run(["/bin/bash", "-c", loop, "all", *words], self.who, base.clean_env(**self.env), self.mount.cwd)


def expect(what, found, wanted):
    return "" if found == wanted else f"{what}: {found!r} instead of {wanted!r}"


def nobody_connects(place):
    """N processes with a keeper: no connect, N imports; without: a connect each."""
    script = "echo $1 > /dfs/several.$1; read -r n < /dfs/several.$1; echo $n"
    for kept in (False, True):
        if kept and place.keep().status != 0:
            return "the keeper does not start"
        place.mount.reset_counters()
        done = place.several(script)
        wrong = expect("printed", sorted(done.out.split()), [b"%d" % n for n in range(1, SEVERAL + 1)])
        wrong = wrong or expect(f"keeper: {kept}: connects and imports", place.counts(), (0, SEVERAL) if kept else (SEVERAL, 0))
        if wrong or done.err:
            return wrong or done.says()
    return ""


def children_too(place):
    """What a shell starts has the keeper's handles from it: neither side connects."""
    place.keep()
    place.mount.reset_counters()
    done = place.run("echo hi > /dfs/f; cat /dfs/f; (cat /dfs/f; env -i cat /dfs/f) & wait")
    return expect("printed", done.out, b"hi\n" * 3) or expect("connects", place.counts()[0], 0)


def killed(place):
    """kill -9 of the keeper: processes that work go on by a connection of their own; the next ones say a
    line, once, and connect; a new keeper takes the place."""
    place.keep()
    place.mount.reset_counters()
    (keeper,) = place.keepers()
    script = AT_WORK.replace("ACT", f'kill -9 {keeper["pid"]}')
    done = place.several(script)
    # The workers, and the one that looks: it meets the dead keeper's file, and removes it.
    looked = place.run(IN_ORDER)
    wrong = expect("lines", (looked.out, looked.err.count(INSTEAD)), (b"in order\n", 1))
    wrong = wrong or expect("connects", place.counts()[0], SEVERAL + 1)
    wrong = wrong or expect("keepers", place.keepers(), [])
    if wrong or done.status or done.err:
        return wrong or done.says()
    place.keep()
    place.mount.reset_counters()
    quiet = place.run(IN_ORDER)
    return expect("lines", (quiet.out, quiet.err), (b"in order\n", b"")) or expect("connects", place.counts()[0], 0)


def stopped(place):
    """--stop ends it, whoever works goes on, and it can be started again."""
    place.keep()
    done = place.several(AT_WORK.replace("ACT", f"LD_PRELOAD= {place.tool} keep --stop"))
    wrong = expect("lines", place.run(IN_ORDER).out, b"in order\n")
    wrong = wrong or expect("files left", os.listdir(os.path.join(place.run_directory, "keep")), [])
    if wrong or done.status or done.err:
        return wrong or done.says()
    for words in (["--stop"], []):
        done = place.keep(*words)
        if done.status or done.err:
            return done.says()
    place.mount.reset_counters()
    return expect("lines", place.run(IN_ORDER).out, b"in order\n") or expect("connects", place.counts()[0], 0)


def one_only(place):
    """A second keeper of the same container says so and leaves the first alone; --status lists it."""
    place.keep()
    first = place.keepers()
    done = place.keep()
    if done.status or b"already" not in done.err or place.keepers() != first:
        return done.says()
    shown = place.keep("--status")
    if place.mount.cont.encode() not in shown.out or shown.status:
        return shown.says()
    place.keep("--stop")
    shown = place.keep("--status")
    return "" if shown.status == 1 and b"no keeper" in shown.out else shown.says()


def idle(place):
    """It ends when nobody asks any more."""
    place.keep("--idle", "1")
    for _ in range(100):
        if not place.keepers():
            return expect("files left", os.listdir(os.path.join(place.run_directory, "keep")), [])
        time.sleep(0.1)
    return f"still there: {place.keepers()}"


def refused(place):
    """No container, no names, a run directory of somebody else's: a sentence, and status 1 or 2."""
    options = [word if word != place.mount.cont else "nothing" for word in place.mount.options()]
    for words, env, status, said in (
        (options, place.env, 1, "cannot be mounted"),
        ([], place.env, 2, "say whose handles"),
        ([*place.mount.options(), "--mount", "/b=daos://pool/other"], place.env, 2, "one container"),
        (["--mount", "/b=daos://pool/cont/below"], place.env, 2, "one container"),
        (place.mount.options(), dict(place.env, PIL4DFS_RUNDIR="/usr"), 1, "run directory"),
    ):
        done = base.run([place.tool, "keep", *words], place.who, base.clean_env(**env), "/", 60)
        if done.status != status or said not in done.err.decode():
            return done.says()
    return ""


def forged(place):
    """Whatever lies where the keeper's file belongs: the program works by a connection of its own."""
    place.keep()
    path = place.file()
    with open(path, "rb") as file:
        good = file.read()
    place.keep("--stop")
    place.run("echo right > /dfs/f")
    other = base.ORDINARY_UID if place.who.uid == 0 else 0

    def plant(data=good, mode=0o600, uid=place.who.uid):
        with open(path, "wb") as file:
            file.write(data)
        os.chmod(path, mode)
        if os.geteuid() == 0:
            os.chown(path, uid, uid)

    def size(length):
        plant()
        os.truncate(path, length)

    pool, cont = b"\x04\0\0\0pool", place.mount.cont.encode()
    ways = {
        "dead": plant,
        "cut": lambda: plant(good[:-3]),
        "longer": lambda: plant(good + b"\0"),
        "empty": lambda: plant(b""),
        "noise": lambda: plant(bytes(range(256)) * 8),
        "of another version": lambda: plant(good[:8] + b"\xff" + good[9:]),
        "for another container": lambda: plant(good.replace(cont, b"x" * len(cont))),
        "for another pool": lambda: plant(good.replace(pool, b"\x04\0\0\0loop")),
        "open to others": lambda: plant(mode=0o644),
        "huge": lambda: size(1 << 40),
        "a link": lambda: os.symlink("/etc/passwd", path),
        "a FIFO": lambda: (os.mkfifo(path, 0o600), place.who.own(path)),
        "a directory": lambda: (os.mkdir(path, 0o700), place.who.own(path)),
    }
    if os.geteuid() == 0:
        ways["another user's"] = lambda: plant(uid=other)
    for name, make in ways.items():
        make()
        place.mount.reset_counters()
        done = place.run("read -r line < /dfs/f; echo $line")
        said = [line for line in done.err.splitlines() if INSTEAD in line]
        wrong = expect(name, (done.status, done.out, len(said), len(done.err.splitlines())), (0, b"right\n", 1, 1))
        wrong = wrong or expect(f"{name}: connects", place.counts()[0], 1)
        if wrong:
            return f"{wrong}\n{done.says()}"
        if os.path.isdir(path):
            os.rmdir(path)
        elif os.path.lexists(path):
            os.unlink(path)
    return forged_and_locked(place, path, good, plant)


def forged_and_locked(place, path, good, plant):
    """Somebody lives, but the handles are nobody's: they do not serve, and are replaced in silence."""
    first = good.index(place.mount.cont.encode()) + len(place.mount.cont) + 12
    for data in (good, good[:first] + b"\x5a" * (len(good) - first - 16) + good[-16:]):
        plant(data)
        with open(path, "r+b") as held:
            fcntl.lockf(held, fcntl.LOCK_EX)
            done = place.run("read -r line < /dfs/f; echo $line")
        wrong = expect("locked by another", (done.status, done.out), (0, b"right\n"))
        if wrong:
            return f"{wrong}\n{done.says()}"
    return ""


def terminal_goes(place):
    """The signals of a session that ends do: SIGTERM and SIGHUP end it in order, the file goes first."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        place.keep()
        (keeper,) = place.keepers()
        base.run(["kill", f"-{int(number)}", str(keeper["pid"])], place.who)
        for _ in range(100):
            if not place.keepers():
                break
            time.sleep(0.05)
        wrong = expect("files left", os.listdir(os.path.join(place.run_directory, "keep")), [])
        if wrong:
            return wrong
    return ""


def prolog_and_epilog(place):
    """Slurm's scripts start and end a keeper of the job's user, and never fail a job."""
    if os.geteuid() != 0:
        return ""
    script = os.path.join(base.ROOT, "packaging", "slurm", "keep_prolog")
    epilog = os.path.join(place.directory, "keep_epilog")
    os.symlink(script, epilog)
    containers = os.path.join(place.directory, "containers")
    with open(containers, "w", encoding="utf-8") as file:
        file.write(f"# options\n\n{' '.join(place.mount.options())} --idle 120\n--pool none --cont none --mount /x\n")
    job = {"SLURM_JOB_UID": str(place.who.uid), "SLURM_JOB_GID": str(place.who.uid), "PIL4DFS_KEEP_LIST": containers}
    job.update(PIL4DFS_COMMAND=place.tool, PIL4DFS_RUNDIR=place.run_directory)
    for program, env, wanted in ((script, {}, 0), (script, job, 1), (epilog, job, 0)):
        done = base.run([program], None, base.clean_env(**env), "/", 60)
        if done.status or done.out or done.err or len(place.keepers()) != wanted:
            return f"{program}: {done.says()}: {place.keepers()}"
        if wanted:
            place.mount.reset_counters()
            place.run("echo hi > /dfs/f")
            wrong = expect("connects", place.counts()[0], 0)
            if wrong:
                return wrong
    return ""


CASES = [prolog_and_epilog, nobody_connects, children_too, killed, stopped, one_only, idle, refused, forged, terminal_goes]


def tests(context):
    for who in context.identities:
        for case in CASES:

            def run(test, who=who, case=case):
                if context.unbuilt:
                    return test.failed(context.unbuilt)
                place = Place(context, who)
                wrong = place.mount.create()
                if wrong:
                    return test.failed(wrong)
                try:
                    wrong = case(place)
                finally:
                    place.keep("--stop")
                wrong = wrong or place.mount.leaks()
                context.scratch.drop(place.directory)
                return test.failed(wrong) if wrong else test.passed()

            yield base.Test("keep", f"{who.name}/{case.__name__.replace('_', '-')}", run)
