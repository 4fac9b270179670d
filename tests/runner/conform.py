"""conform-native and conform-mount: the same programs against the kernel and against DAOS."""

import os

from . import base, mount, programs

TIMEOUT = 60


def _judge(test, outcome, leaks=""):
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
                outcome = base.run([binary, os.path.join(directory, "w"), "kernel"], who, timeout=TIMEOUT)
                context.scratch.drop(directory)
                return _judge(test, outcome)

            yield base.Test("conform-native", f"{who.name}/{name}", run)


def mounted(context):
    """The same on a mount of the embedded provider."""
    for name, (binary, error) in context.conform.items():
        for who in context.identities:

            def run(test, binary=binary, error=error, who=who):
                if error or context.unbuilt:
                    return test.failed(error or context.unbuilt)
                directory = context.scratch.directory(who)
                place = mount.Mount(context.products, who, directory)
                error = place.create()
                if error:
                    return test.failed(error)
                outcome = place.run([binary, f"{base.MOUNT}/x", "mount"], timeout=TIMEOUT)
                result = _judge(test, outcome, place.leaks())
                context.scratch.drop(directory)
                return result

            yield base.Test("conform-mount", f"{who.name}/{name}", run)
