"""surface: the tables of spec/ against this machine's kernel headers and libc, and against the tests:
every symbol has an opinion, every row that is served has a conformance program that uses it."""

import glob
import os
import re
import subprocess
import sys

from . import base

SPEC = os.path.join(base.ROOT, "spec")


def _generate(what):
    def run(test):
        outcome = base.run([sys.executable, os.path.join(SPEC, "generate.py"), what], None, dict(os.environ), base.ROOT)
        return test.passed(outcome.says()) if outcome.status == 0 else test.failed(outcome.says(20000))

    return run


def _imports(binary):
    """The functions a program takes from libraries."""
    done = subprocess.run(["nm", "-D", "--undefined-only", binary], stdout=subprocess.PIPE, text=True, check=False)
    return {line.split()[-1].partition("@")[0] for line in done.stdout.splitlines()}


def exercised(context):
    """(functions the conformance programs import or look up by name, kernel calls they make by number)."""
    functions, calls = set(), set()
    for binary, error in context.conform.values():
        if not error and os.path.exists(binary):
            functions |= _imports(binary)
    for source in glob.glob(os.path.join(base.TESTS, "conform", "*.c")):
        with open(source, encoding="utf-8") as file:
            text = file.read()
        calls |= set(re.findall(r"\b(?:SYS|__NR)_(\w+)", text))
        functions |= set(re.findall(r'"(\w+)"', text))
    return functions, calls


def _rows(context):
    """A test for every row of level full or partial: which program names it?"""

    def run(test):
        sys.path.insert(0, SPEC)
        import catalogue  # pylint: disable=import-error,import-outside-toplevel

        operations, _ = catalogue.read_calls()
        functions, calls = exercised(context)
        missing = []
        for op in operations:
            if op.level not in ("full", "partial"):
                continue
            kernel = {kernel.name for kernel in op.kernels}
            named = {symbol.name for symbol in op.symbols} | kernel
            if not (named & functions or kernel & calls):
                missing.append(f"{op.name}: no conformance program uses {', '.join(sorted(named))}")
            for symbol in op.symbols:
                if symbol.name not in functions:
                    missing.append(f"{op.name}: no conformance program calls {symbol.name}")
        return test.failed("\n".join(missing)) if missing else test.passed()

    return run


def tests(context):
    for name, run in (("symbols", _generate("surface")), ("numbers", _generate("check")), ("rows", _rows(context))):
        yield base.Test("surface", f"any/{name}", run)
