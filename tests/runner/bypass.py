"""bypass: somebody who does not go through libc uses our numbers: right bytes or an error."""

import glob
import os

from . import base, mount, programs


def tests(context):
    sources = sorted(glob.glob(os.path.join(base.TESTS, "bypass", "*.c")))
    child = os.path.join(base.TESTS, "bypass", "static_child.c")
    for side in ("kernel", "mount"):
        for source in sources:
            if source == child:
                continue
            name = os.path.splitext(os.path.basename(source))[0]
            for who in context.identities:

                def run(test, source=source, side=side, who=who):
                    return attempt(test, context, source, child, side, who)

                yield base.Test("bypass", f"{who.name}/{name}-{side}", run)


def attempt(test, context, source, child, side, who):
    """The kernel side is the oracle: there every byte is right."""
    if side == "mount" and context.unbuilt:
        return test.failed(context.unbuilt)
    with context.lock:
        static, error = programs.compile_one(child, ["-static"])
        binary, more = programs.compile_one(source)
    if error or more:
        return test.failed(error or more)
    directory = context.scratch.directory(who)
    if side == "kernel":
        outcome = base.run([binary, os.path.join(directory, "w"), "kernel"], who, base.clean_env(T_STATIC_CHILD=static))
        leaks = ""
    else:
        place = mount.Mount(context.products, who, directory)
        error = place.create()
        if error:
            return test.failed(error)
        outcome = place.run([binary, f"{base.MOUNT}/x", "mount"], T_STATIC_CHILD=static)
        leaks = place.leaks()
    context.scratch.drop(directory)
    if outcome.status == 0 and not leaks:
        return test.passed()
    if outcome.status == 77 and not leaks:
        return test.skipped(outcome.says(300))
    return test.failed("\n".join(filter(None, [outcome.says(), leaks])))
