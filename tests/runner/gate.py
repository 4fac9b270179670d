"""gate: instructions a call, counted under callgrind, against those recorded in bench/instructions.txt."""

import os
import sys

from . import base

# Behind a row that is not as it should be.
WRONG = ("WORSE", "ALLOCATES")


def tests(context):
    yield base.Test("gate", "any/instructions", lambda test: _counted(test, context))


def _counted(test, context):
    if context.unbuilt:
        return test.failed(context.unbuilt)
    command = [sys.executable, os.path.join(base.TESTS, "bench", "gate"), "--build", context.products.top]
    done = base.run(command, None, dict(os.environ), base.ROOT, timeout=300)
    text = done.out.decode(errors="replace")
    if done.status == 77:
        return test.skipped(text.strip())
    rows = [line for line in text.splitlines() if line[:1].isalpha() and line[55:64].strip().lstrip("-").isdigit()]
    if done.status not in (0, 1) or not rows:
        return test.failed(done.says())
    return [_judge(row) for row in rows]


def _judge(row):
    test = base.Test("gate", f"any/{row[:55].strip()}", None)
    return test.failed(row) if row.endswith(WRONG) else test.passed(row)
