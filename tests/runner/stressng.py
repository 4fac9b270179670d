"""stress-ng: its file stressors with --verify, a bounded number of operations each."""

import os

from . import base, prepare

LIST = os.path.join(base.TESTS, "public", "stress-ng.txt")
OPERATIONS, LONG_OPERATIONS = 200, 5000
SECONDS, LONG_SECONDS = 1, 10
# What its exit status says: 3 is "not possible here", 4 "not made for this system".
ABSENT = {3, 4}


def stressors():
    """stressor -> why the mount refuses it, or nothing."""
    with open(LIST, encoding="utf-8") as lines:
        rows = [line.split("#", 1)[0].split(None, 1) for line in lines]
    return {row[0]: row[1].strip() if len(row) > 1 else "" for row in rows if row}


def _try(place, stressor, long):
    operations, seconds = (LONG_OPERATIONS, LONG_SECONDS) if long else (OPERATIONS, SECONDS)
    command = ["stress-ng", f"--{stressor}", "1", f"--{stressor}-ops", str(operations), "--timeout", str(seconds)]
    return place.run(command + ["--verify", "--temp-path", place.directory], 60 + seconds)


def on_mount(test, context, places, stressor, reason):
    kernel, mounted = places
    if not prepare.have("stress-ng"):
        return test.skipped("no stress-ng")
    native = _try(kernel, stressor, context.args.long)
    if native.status != 0:
        return test.skipped(f"not here: {native.says(200)}")
    ours = _try(mounted, stressor, context.args.long)
    if ours.timed_out or ours.status < 0:
        return test.failed(ours.says())
    if ours.status == 0:
        return test.failed("passes now: take its reason off tests/public/stress-ng.txt") if reason else test.passed()
    return test.skipped(f"exception: {reason}") if reason else test.failed(ours.says())


def transparent(test, context, places, stressor):
    kernel, armed = places
    if not prepare.have("stress-ng"):
        return test.skipped("no stress-ng")
    native = _try(kernel, stressor, context.args.long)
    if native.status in ABSENT:
        return test.skipped("not possible here")
    ours = _try(armed, stressor, context.args.long)
    same = (ours.status, ours.timed_out) == (native.status, native.timed_out)
    return test.passed(f"status {native.status}") if same else test.failed(f"status {native.status} became: {ours.says()}")
