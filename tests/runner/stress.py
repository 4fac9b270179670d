"""stress: processes fork, exec and kill each other at random while an auditor reads what they write."""

import os

from . import base, mount, programs

SOURCE = os.path.join(base.TESTS, "stress", "stress.c")
SEED = 1


def tests(context):
    for side in ("kernel", "mount"):
        for who in context.identities:

            def run(test, side=side, who=who):
                return attempt(test, context, side, who)

            yield base.Test("stress", f"{who.name}/processes-{side}", run)


def attempt(test, context, side, who):
    """The kernel side shows that what is asked for holds there; minutes of it only with --long."""
    if side == "mount" and context.unbuilt:
        return test.failed(context.unbuilt)
    with context.lock:
        binary, error = programs.compile_one(SOURCE)
    if error:
        return test.failed(error)
    seconds = {"kernel": 3, "mount": 20}[side] * (15 if context.args.long else 1)
    directory = context.scratch.directory(who)
    ledger = os.path.join(directory, "ledger")
    words = [ledger, str(seconds), str(SEED if not context.args.long else os.getpid())]
    if side == "kernel":
        outcome = base.run([binary, os.path.join(directory, "w"), *words], who, timeout=seconds + 60)
        leaks = ""
    else:
        place = mount.Mount(context.products, who, directory)
        error = place.create()
        if error:
            return test.failed(error)
        outcome = place.run([binary, f"{base.MOUNT}/x", *words], timeout=seconds + 60)
        leaks = place.leaks()
    context.scratch.drop(directory)
    if outcome.status == 0 and not outcome.timed_out and not leaks:
        return test.passed(outcome.out.decode().strip())
    return test.failed("\n".join(filter(None, [outcome.says(), leaks])))
