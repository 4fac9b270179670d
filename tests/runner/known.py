"""tests/known-failures.txt: a listed test may fail, and must leave the list when it passes."""

import os

from . import base

FILE = os.path.join(base.TESTS, "known-failures.txt")


def load():
    """(suite, test) -> reason; the test is a name, or identity/name."""
    listed = {}
    with open(FILE, encoding="utf-8") as lines:
        for line in lines:
            words = line.split("#", 1)[0].split(None, 2)
            if not words:
                continue
            if len(words) < 3:
                raise SystemExit(f"{FILE}: wants SUITE TEST REASON: {line.rstrip()}")
            listed[words[0], words[1]] = words[2].strip()
    return listed


def judge(result, listed):
    """The result as it counts, the list considered."""
    short = result.name.split("/", 1)[-1]
    reason = listed.get((result.suite, result.name)) or listed.get((result.suite, short))
    if reason is None or result.status == base.SKIP:
        return result
    if result.status == base.FAIL:
        return base.Result(result.suite, result.name, base.SKIP, f"known failure: {reason}")
    return base.Result(
        result.suite, result.name, base.FAIL, "passes now: remove it from tests/known-failures.txt"
    )
