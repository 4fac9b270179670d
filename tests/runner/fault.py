"""fault: each DFS call of a workload fails once, or is the process's last, alone and beside others; another
session changes everything between two calls; and the provider's own crash test."""

import errno
import os
import re
import shlex
import signal

from . import base, history, mount, programs

WORKLOAD = os.path.join(base.TESTS, "fault", "workload.c")
BESIDE = os.path.join(base.TESTS, "fault", "beside.c")
REMOTE = os.path.join(base.TESTS, "fault", "remote.c")
# Calls of the bring-up have their own tests in `bad`; these have no error to give.
NOT_STRUCK = {"daos_init", "daos_fini", "daos_pool_connect", "daos_cont_open", "dfs_mount", "dfs_umount", "daos_reinit"}
CLOSING = re.compile(r"^(\d+) passed, (\d+) failed", re.M)


def _spread(count, most):
    """At most so many call numbers, the first and the last among them."""
    if count <= most:
        return list(range(1, count + 1))
    return sorted({1 + round(i * (count - 1) / (most - 1)) for i in range(most)})


class Field:
    """The workload on stores of its own, for one identity."""

    def __init__(self, context, who, binary):
        self.context, self.who, self.binary = context, who, binary

    def place(self):
        directory = self.context.scratch.directory(self.who)
        place = mount.Mount(self.context.products, self.who, directory)
        error = place.create()
        if error:
            raise RuntimeError(error)
        return place, directory

    def counts(self, argv):
        """How often each function is called when nothing fails."""
        place, directory = self.place()
        tool = [self.context.products.path("pil4dfs-embedded"), "--root", place.store, "counters"]
        base.run(tool + ["--reset"], self.who)
        outcome = place.run(argv)
        if outcome.status != 0:
            raise RuntimeError(f"without a fault: {outcome.says()}")
        lines = base.run(tool, self.who).out.decode().split("\n")
        self.context.scratch.drop(directory)
        pairs = [line.split() for line in lines if len(line.split()) == 2]
        return {name: int(count) for name, count in pairs if name not in NOT_STRUCK}

    def strike(self, function, number, error):
        """A text, empty when the fault was borne well."""
        place, directory = self.place()
        fault = f"{function}:{number}:{errno.errorcode[error]}"
        outcome = place.run([self.binary, f"{base.MOUNT}/x", str(error)], PIL4DFS_EMBEDDED_FAULT=fault)
        text = "" if outcome.status == 0 and not place.leaks() else f"{fault}: {outcome.says(600)} {place.leaks()}"
        self.context.scratch.drop(directory)
        return text

    def kill(self, function, number):
        """The next process finds a whole store and can do everything in it."""
        place, directory = self.place()
        fault = f"{function}:{number}:KILL"
        died = place.run([self.binary, f"{base.MOUNT}/x"], PIL4DFS_EMBEDDED_FAULT=fault)
        text = ""
        if died.timed_out:
            text = f"{fault}: hangs after the death of a process"
        after = place.run([self.binary, f"{base.MOUNT}/y"])
        if after.status != 0:
            text += f"{fault}: the next process: {after.says(600)}"
        looked = place.run(["/bin/sh", "-c", f"[ ! -d {base.MOUNT}/x ] || find {base.MOUNT}/x -type f -exec cat {{}} + > /dev/null"])
        if looked.status != 0 and died.status in (-signal.SIGKILL, 128 + signal.SIGKILL):
            text += f"{fault}: what it left: {looked.says(600)}"
        self.context.scratch.drop(directory)
        return text


def tests(context):
    for who in context.identities:
        for kind in ("fails", "kills"):

            def run(test, who=who, kind=kind):
                if context.unbuilt:
                    return test.failed(context.unbuilt)
                with context.lock:
                    binary, error = programs.compile_one(WORKLOAD)
                return test.failed(error) if error else campaign(test, Field(context, who, binary), kind)

            yield base.Test("fault", f"{who.name}/{kind}", run)
    for who in context.identities:
        for kind, source, attempt in (("beside", BESIDE, beside), ("remote", REMOTE, remote)):

            def run_one(test, who=who, source=source, attempt=attempt):
                if context.unbuilt:
                    return test.failed(context.unbuilt)
                with context.lock:
                    binary, error = programs.compile_one(source)
                return test.failed(error) if error else attempt(test, Field(context, who, binary))

            yield base.Test("fault", f"{who.name}/{kind}", run_one)
    yield base.Test("fault", "any/provider-crash", provider)


def campaign(test, field, kind):
    """One result for each function."""
    long = field.context.args.long
    most = 1000 if long else (6 if kind == "fails" else 3)
    errors = [errno.EIO, errno.ENOMEM] if long else [errno.EIO]
    results = []
    try:
        counts = field.counts([field.binary, f"{base.MOUNT}/x"])
        # Those of the bring-up are the business of `bad`.
        begun = field.counts(["/usr/bin/stat", base.MOUNT])
    except RuntimeError as error:
        return test.failed(str(error))
    for function, count in sorted(counts.items()):
        problems = []
        first = begun.get(function, 0)
        for number in [first + step for step in _spread(count - first, most)]:
            if kind == "kills":
                problems.append(field.kill(function, number))
            else:
                problems += [field.strike(function, number, error) for error in errors]
        problems = [problem for problem in problems if problem]
        status = base.FAIL if problems else base.PASS
        results.append(base.Result("fault", f"{test.name}-{function}", status, "\n".join(problems[:4])))
    return results


def beside(test, field):
    """A process dies at its DFS call number 1, 2, ... beside others; then no hidden file is left."""
    place, directory = field.place()
    with field.context.lock:
        made = history.Programs()
    if made.error:
        return test.failed(made.error)
    outcome = place.run([field.binary, f"{base.MOUNT}/x", "1"], timeout=240)
    problems = [] if outcome.status == 0 else [outcome.says()]
    place.run(["/bin/mkdir", f"{base.MOUNT}/y"])
    swept = place.run([made.history, f"{base.MOUNT}/y", "sweep"])
    left = base.run([made.reader, "dfs", "/y"], field.who, place.bare_env())
    problems += [each.says() for each in (swept, left) if each.status != 0]
    problems += [place.leaks()] if place.leaks() else []
    field.context.scratch.drop(directory)
    return test.failed("\n".join(problems)) if problems else test.passed(outcome.out.decode().strip())


def remote(test, field):
    """The program in two sessions with run-time directories of their own; natively it is the oracle."""
    place, directory = field.place()
    problems = []
    for name, words in (("kernel", lambda role: [field.binary, os.path.join(directory, "t"), role]),
                        ("mount", lambda role: place.command([field.binary, f"{base.MOUNT}/t", role]))):
        lines = [f"cd {directory}", "rm -rf t a b", "mkfifo a b", "mkdir -m 700 -p node-1 node-2"]
        lines.append("mkdir t" if name == "kernel" else shlex.join(place.command(["/bin/mkdir", f"{base.MOUNT}/t"])))
        node = "PIL4DFS_RUNDIR=$PWD/node-%d "
        lines.append(node % 1 + shlex.join(words("other")) + " < a > b &")
        lines.append(node % 2 + shlex.join(words("first")) + " > a < b")
        outcome = base.run(["/bin/sh", "-c", "\n".join(lines)], field.who, place.env(), timeout=120)
        if outcome.status != 0:
            problems.append(f"{name}: {outcome.says(1500)}")
            break
    problems += [place.leaks()] if place.leaks() else []
    field.context.scratch.drop(directory)
    return test.failed("\n".join(problems)) if problems else test.passed()


def provider(test):
    """The provider's own test, which prints a closing line of the same kind."""
    script = os.path.join(base.ROOT, "tests", "fault", "provider-crash.sh")
    if not os.path.exists(script):
        return test.skipped("not there")
    env = dict(os.environ, PIL4DFS_BUILD=base.BUILD)
    outcome = base.run(["/bin/sh", "-c", 'exec "$0"', script], None, env, base.ROOT, timeout=300)
    match = CLOSING.search(outcome.out.decode(errors="replace"))
    if outcome.status == 0 and match and match[2] == "0":
        return test.passed(match[0])
    return test.failed(outcome.says())
