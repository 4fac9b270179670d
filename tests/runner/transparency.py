"""transparency: the conformance programs on a kernel directory with the library loaded and a
mount armed elsewhere: equal results, and call for call the same system calls."""

import collections
import difflib
import glob
import os
import re

from . import base, mount, prepare

EXCEPTIONS = os.path.join(base.TESTS, "transparency", "exceptions.txt")
LINE = re.compile(r"^(\w+)\((.*)\)\s+= (.*)$")
# Too many calls to be traced.
UNTRACED = {"big_directory"}
CHILD_MAKERS = {"clone", "clone3", "fork", "vfork"}
PIDS = CHILD_MAKERS | {"wait4", "waitid", "getpid", "gettid", "getppid", "set_tid_address", "setsid", "getpgrp", "getpgid"}
# Scheduling decides whether these happen at all.
RACY = {"futex", "sched_yield", "restart_syscall"}

# After these a symbolic link into a mount is looked for (README, the list of exceptions).
LOOKED_INTO = re.compile(r" = -1 (ENOENT|ENOTDIR|EACCES|EROFS)$")

LOOK = {"readlinkat", "newfstatat", "getcwd"}

Call = collections.namedtuple("Call", "name result args")


def exceptions():
    """(program, call) -> reason, from the list of deliberate differences."""
    listed = {}
    with open(EXCEPTIONS, encoding="utf-8") as lines:
        for line in lines:
            words = line.split("#", 1)[0].split(None, 2)
            if len(words) == 3:
                listed[words[0], words[1]] = words[2].strip()
    return listed


def normal(name, result):
    """The result without what differs between any two runs: pids, addresses, words."""
    head = result.split()[0] if result.split() else ""
    if name in PIDS and head.isdigit() and head != "0":
        return "PID"
    if head.startswith("0x"):
        return "ADDR"
    if head == "-1" or head == "?":
        return " ".join(result.split()[:2])
    return head


def read_calls(path):
    calls = []
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            match = LINE.match(line.rstrip("\n"))
            if match:
                calls.append(Call(match[1], normal(match[1], match[3]), match[2] + " = " + match[3]))
    return calls


class Trace:
    """What one traced run did: process name -> list of images, each a list of calls.

    Processes are named by descent: "0", its second child "0.1", and so on."""

    def __init__(self, prefix, marker):
        self.by_pid = {int(path.rsplit(".", 1)[1]): read_calls(path) for path in glob.glob(prefix + ".*")}
        self.images = {}
        for pid, calls in self.by_pid.items():
            begin = next((i for i, c in enumerate(calls) if c.name in ("mkdir", "mkdirat") and marker in c.args), None)
            if begin is not None:
                self._take("0", calls[begin:])
                break

    def _take(self, name, calls):
        images, children = [[]], 0
        for call in calls:
            name_now = "fork" if call.name in CHILD_MAKERS else call.name  # vfork is served as fork
            images[-1].append(f"{name_now} = {call.result}")
            if call.name in ("execve", "execveat") and call.result == "0":
                images.append([])
            if call.name in CHILD_MAKERS and call.result == "PID":
                child = int(call.args.rsplit("= ", 1)[1].split()[0])
                self._take(f"{name}.{children}", self.by_pid.get(child, []))
                children += 1
        self.images[name] = images


def after_start(image):
    """A later image's calls behind ld.so's work: what follows its last start-up call."""
    for index, call in enumerate(image):
        if call.startswith("munmap"):
            return image[index + 1 :]
    return image


def keep(calls, dropped):
    """The calls that count: no racy ones, no listed ones, no look for links after a failure."""
    kept, failed = [], False
    for call in calls:
        name = call.split(" ", 1)[0]
        if name in RACY or (failed and name in LOOK):
            continue
        into = bool(LOOKED_INTO.search(call))
        # A process that is killed may or may not have reached the call it was to wait in.
        killed = call.endswith("= ?") and not name.startswith("exit")
        if name in dropped or "ERESTART" in call or killed:
            failed = failed or into
            continue
        failed = into
        kept.append(call)
    return kept


def differences(want, got, dropped):
    """A text, empty when every process made the same calls."""
    if sorted(want.images) != sorted(got.images):
        return f"processes: {sorted(want.images)} became {sorted(got.images)}"
    for name in sorted(want.images):
        pairs = list(zip(want.images[name], got.images[name]))
        if len(want.images[name]) != len(got.images[name]):
            return f"process {name}: {len(want.images[name])} programs became {len(got.images[name])}"
        for number, (plain, ours) in enumerate(pairs):
            plain, ours = keep(plain, dropped), keep(ours, dropped)
            if number:
                plain = after_start(plain)
                ours = ours[-len(plain) :] if plain else []
            if plain != ours:
                lines = list(difflib.unified_diff(plain, ours, "without", "with", lineterm="", n=3))
                return f"process {name}, program {number}:\n" + "\n".join(lines[:30])
    return ""


class Runs:
    """One program's traced runs in one and the same directory name."""

    def __init__(self, context, binary, who):
        self.context, self.binary, self.who = context, binary, who
        self.top = context.scratch.directory(who)
        self.work = os.path.join(self.top, "w")
        self.traces = 0

    def trace(self, env):
        """Runs under strace; the variables are set for the program only."""
        self.traces += 1
        where = os.path.join(self.top, f"t{self.traces}")
        os.mkdir(where, 0o755)
        self.who.own(where)
        prefix = os.path.join(where, "t")
        base.remove_tree(self.work)
        command = ["strace", "-ff", "-qq", "-s", "1000", "-o", prefix]
        for name, value in env.items():
            command += ["-E", f"{name}={value}"]
        outcome = base.run(command + [self.binary, self.work, "kernel"], self.who, timeout=120)
        return outcome, Trace(prefix, f'"{self.work}"')


def tests(context):
    listed = exceptions()
    for name, (binary, error) in context.conform.items():
        if name in UNTRACED:
            continue
        for who in context.identities:

            def run(test, name=name, binary=binary, error=error, who=who):
                if error or context.unbuilt:
                    return test.failed(error or context.unbuilt)
                if not prepare.have("strace"):
                    return test.skipped("no strace")
                return compare(test, Runs(context, binary, who), name, listed)

            yield base.Test("transparency", f"{who.name}/{name}", run)


def compare(test, runs, name, listed):
    dropped = {call for (program, call) in listed if program in ("*", name)}
    place = mount.Mount(runs.context.products, runs.who, runs.top)
    error = place.create()
    if error:
        return test.failed(error)
    preload = place.preload_env()
    plain, want = runs.trace({})
    ours, got = runs.trace(preload)
    if (plain.status, plain.timed_out) != (ours.status, ours.timed_out):
        return test.failed(f"results differ: {plain.says(800)}\nwith the library: {ours.says()}")
    if not want.images:
        return test.failed(f"no trace: {plain.says()}")
    problem = "" if "*" in dropped else differences(want, got, dropped)
    if problem:
        # A program that differs from itself says nothing about us.
        _, again = runs.trace({})
        if differences(want, again, dropped):
            problem = ""
    if not problem:
        runs.context.scratch.drop(runs.top)
    return test.failed(problem) if problem else test.passed()
