"""stress: processes fork, exec and kill each other at random while an auditor reads what they write;
and what becomes of the handles that one process leaves to the next."""

import os
import time

from . import base, mount, programs

SOURCE = os.path.join(base.TESTS, "stress", "stress.c")
SEED = 1


def tests(context):
    for side in ("kernel", "mount"):
        for who in context.identities:

            def run(test, side=side, who=who):
                return attempt(test, context, side, who)

            yield base.Test("stress", f"{who.name}/processes-{side}", run)


    for name, (script, env, connects, text) in HANDED_ON.items():
        for who in context.identities:

            def run(test, who=who, script=script, env=env, connects=connects, text=text):
                return handed_on(test, context, who, script, env, connects, text)

            yield base.Test("stress", f"{who.name}/{name}", run)


# name -> (script, more environment, connects it may make, what it prints). A connect is what handles save.
HANDED_ON = {
    "handles-over-exec": (
        "echo hi > f; for i in 1 2 3 4 5; do cat f; done; (cat f; sh -c 'cat f; /bin/cat f; true'; ls | cat) > out; wc -l < out",
        {},
        1,
        "hi\n" * 5 + "5\n",
    ),
    "handles-through-idle-programs": (
        "echo hi > f; env -i cat f; setsid -w nice timeout 5 cat f; sh -c 'exec sh -c \"exec cat f\"'; env - /bin/sh -c 'cat f; cat f'",
        {},
        1,
        "hi\n" * 5,
    ),
    # The script ends; what it started goes on, with handles that die.
    "handles-outlive-their-owner": (
        "exec 5> f; echo one >&5; setsid bash -c \"sleep 1; echo two >&5; cat f; "
        "sh -c 'sleep 0.5; echo three >&5; cat f; echo late > late; cat late'; : > done\" & sleep 0.5; exit",
        {"PIL4DFS_EMBEDDED_EVICT_MS": "100"},
        None,
        "one\ntwo\none\ntwo\nthree\nlate\n",
    ),
}


def handed_on(test, context, who, script, env, connects, text):
    """Runs a script in a mount; counts the connects."""
    if context.unbuilt:
        return test.failed(context.unbuilt)
    directory = context.scratch.directory(who)
    place = mount.Mount(context.products, who, directory)
    error = place.create()
    if error:
        return test.failed(error)
    place.run(["mkdir", f"{base.MOUNT}/x"])
    place.reset_counters()
    out = os.path.join(directory, "out")
    command = f'exec > "$1"; cd {base.MOUNT}/x; {script}'
    ran = place.run(["/bin/bash", "-c", command, "script", out], **env)
    end = time.monotonic() + 30
    while connects is None and time.monotonic() < end and place.run(["test", "-e", f"{base.MOUNT}/x/done"]).status != 0:
        time.sleep(0.2)
    made = place.counted()["daos_pool_connect"]
    with open(out, encoding="utf-8") as file:
        got = file.read()
    context.scratch.drop(directory)
    if ran.status != 0 or got != text:
        return test.failed(f"{ran.says()}\nprinted {got!r}, expected {text!r}")
    if connects is not None and made != connects:
        return test.failed(f"{made} connects, expected {connects}")
    return test.passed()


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
