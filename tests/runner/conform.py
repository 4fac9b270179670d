"""conform-native and conform-mount: the same programs against the kernel and against DAOS.

A test PROGRAM@balanced is the program in a balanced container, PROGRAM@ro a second run of it where
nothing may be written any more."""

import os

from . import base, mount, prepare, programs

TIMEOUT = 60
LONG_TIMEOUT = 600

# What names come to and where they go: the calls that run as transactions in a balanced container.
BALANCED = (
    "chmod link mkdir mknod open_flags readdir rename rename_open rename_trees renameat2 rmdir symlink "
    "symlink_walk temporary truncate unlink xattr"
).split()
READ_ONLY = ["read_only"]

# A file system of its own at $1, written by the program, then closed and read by it.
CLOSED = (
    'mount -t tmpfs -o mode=0755 none "$1" && cd / && chown "$2" "$1" && shift 2 && '
    '"$@" && mount -o remount,ro none "$0" && exec "$@"'
)


def _mode(context):
    """What tells a program that it may take its time."""
    return {"T_LONG": "1"} if context.args.long else {}


def _timeout(context):
    return LONG_TIMEOUT if context.args.long else TIMEOUT


def judge(test, outcome, leaks=""):
    """Exit status 0 and nothing where nothing may be: passed; 77: skipped."""
    if outcome.status == 77 and not leaks:
        return test.skipped(outcome.says(500))
    if outcome.status == 0 and not outcome.timed_out and not leaks:
        return test.passed()
    return test.failed("\n".join(filter(None, [outcome.says(), leaks])))


def native(context):
    """The oracle: each program on a kernel directory, no library."""
    for name, (binary, error) in context.conform.items():
        for who in context.identities:

            def run(test, binary=binary, error=error, who=who):
                if error:
                    return test.failed(error)
                directory = context.scratch.directory(who)
                command = [binary, os.path.join(directory, "w"), "kernel"]
                outcome = base.run(command, who, base.clean_env(**_mode(context)), timeout=_timeout(context))
                context.scratch.drop(directory)
                return judge(test, outcome)

            yield base.Test("conform-native", f"{who.name}/{name}", run)
            if name in READ_ONLY:
                yield base.Test("conform-native", f"{who.name}/{name}@ro", _native_closed(context, binary, error, who))


def _native_closed(context, binary, error, who):
    """The oracle of a read-only mount: a tmpfs in a mount name space of its own."""

    def run(test):
        if error:
            return test.failed(error)
        if not prepare.have("unshare"):
            return test.skipped("no unshare")
        directory = context.scratch.directory(who)
        program = who.prefix + [binary, os.path.join(directory, "w"), "kernel"]
        space = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
        if base.run(space + ["mount", "-t", "tmpfs", "none", directory]).status != 0:
            return test.skipped("no mount name space may be made here")
        owner = str(who.uid if os.geteuid() == 0 else 0)
        outcome = base.run(space + ["sh", "-c", CLOSED, directory, directory, owner] + program, timeout=TIMEOUT)
        context.scratch.drop(directory)
        return judge(test, outcome)

    return run


def mounted(context):
    """The same on a mount of the embedded provider."""
    for name, (binary, error) in context.conform.items():
        variants = [""] + ["@balanced"] * (name in BALANCED) + ["@ro"] * (name in READ_ONLY)
        for who in context.identities:
            for variant in variants:
                run = _mounted(context, binary, error, who, variant)
                yield base.Test("conform-mount", f"{who.name}/{name}{variant}", run)


def _mounted(context, binary, error, who, variant):
    def run(test):
        if error or context.unbuilt:
            return test.failed(error or context.unbuilt)
        directory = context.scratch.directory(who)
        place = mount.Mount(context.products, who, directory)
        wrong = place.create(balanced=variant == "@balanced")
        if wrong:
            return test.failed(wrong)
        program = [binary, f"{base.MOUNT}/x", "mount"]
        outcome = place.run(program, timeout=_timeout(context), **_mode(context))
        if variant == "@ro" and outcome.status == 0:
            wrong = place.protect()
            if wrong:
                return test.failed(wrong)
            outcome = place.run(program, timeout=TIMEOUT)
        result = judge(test, outcome, place.leaks())
        context.scratch.drop(directory)
        return result

    return run
