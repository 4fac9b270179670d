# SPDX-License-Identifier: BSD-2-Clause-Patent
"""The test command behind ./tests/run: builds, runs every suite as root and as an ordinary
user, and ends with `N passed, N failed, N skipped`. See tests/README.md."""

import argparse
import concurrent.futures
import fnmatch
import os
import sys
import threading
import time
import traceback
import types

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from runner import base, closed, known, mount, prepare, programs, suites  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(prog="tests/run", description=__doc__)
    parser.add_argument("--only", action="append", metavar="PATTERN", default=[],
                        help="a suite, or a pattern of suite/identity/test; may be repeated")
    parser.add_argument("--long", action="store_true", help="more seeds, more rounds")
    parser.add_argument("-v", "--verbose", action="store_true", help="a line for every test")
    parser.add_argument("-j", "--jobs", type=int, default=2)
    parser.add_argument("--keep", action="store_true", help="keep the scratch directories")
    parser.add_argument("--list", action="store_true", help="print the tests and stop")
    parser.add_argument("--no-install", action="store_true", help="install nothing (seen to by tests/run)")
    parser.add_argument("--no-build", action="store_true", help="take build/ as it is")
    return parser.parse_args()


def chosen(test_id, patterns):
    """A pattern with a slash is matched with the whole id, one without with suite and test name."""
    suite, _, rest = test_id.partition("/")

    def matches(pattern):
        if "/" in pattern:
            return fnmatch.fnmatchcase(test_id, pattern)
        return pattern == suite or fnmatch.fnmatchcase(rest.partition("/")[2], f"*{pattern}*")

    return not patterns or any(matches(pattern) for pattern in patterns)


def attempt(test):
    """Runs one test; a runner's own mistake is a failed test."""
    start = time.monotonic()
    try:
        results = test.run(test)
    except Exception:  # pylint: disable=broad-except
        results = test.failed(traceback.format_exc())
    return (results if isinstance(results, list) else [results]), time.monotonic() - start


class Tally:
    """Counts and prints."""

    def __init__(self, verbose):
        self.verbose, self.listed = verbose, known.load()
        self.counts = {base.PASS: 0, base.FAIL: 0, base.SKIP: 0}
        self.failed = []

    def add(self, result, seconds=0.0):
        result = known.judge(result, self.listed)
        self.counts[result.status] += 1
        if result.status == base.FAIL:
            self.failed.append(result.id)
        if result.status == base.FAIL or self.verbose:
            print(f"{result.status:8}{result.id}  ({seconds:.1f} s)")
            if result.detail and (result.status != base.PASS or self.verbose):
                print("        " + result.detail.replace("\n", "\n        "))
            sys.stdout.flush()

    def close(self):
        """The closing line, last on stdout; the exit status."""
        for name in self.failed:
            print(f"FAILED {name}")
        print(", ".join(f"{count} {word}" for word, count in self.counts.items()), flush=True)
        return 1 if self.counts[base.FAIL] or not sum(self.counts.values()) else 0


def main():
    args = arguments()
    os.umask(0o022)
    tally = Tally(args.verbose)
    wanted = [suite for suite in suites.ALL if suite.may_match(args.only)]
    context = types.SimpleNamespace(args=args, identities=base.identities(), unbuilt="", lock=threading.Lock())
    if any(suite.needs_build for suite in wanted) and not args.list:
        context.unbuilt = ("" if args.no_build else prepare.build()) or mount.missing()
        if context.unbuilt:
            print(f"the product is not there, so its suites fail: {context.unbuilt}", flush=True)
    context.scratch = base.Scratch(args.keep)
    try:
        if not args.list:
            closed.open_up(context.scratch, context.identities)
        context.products = mount.Products(context.scratch, context.identities)
        needs_programs = any(suite.needs_programs for suite in wanted) and not args.list
        context.conform = programs.conform() if needs_programs else suites.program_names()
        for suite in wanted:
            tests = [test for test in suite.tests(context) if chosen(test.id, args.only)]
            if args.list:
                print("\n".join(test.id for test in tests))
                continue
            start, before = time.monotonic(), dict(tally.counts)
            with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
                for results, seconds in pool.map(attempt, tests):
                    for result in results:
                        tally.add(result, seconds)
            if tests:
                delta = ", ".join(f"{tally.counts[word] - before[word]} {word}" for word in tally.counts)
                print(f"{suite.name}: {delta} ({time.monotonic() - start:.0f} s)", flush=True)
    finally:
        context.scratch.close()
    return 0 if args.list else tally.close()


if __name__ == "__main__":
    sys.exit(main())
