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
        if "dlsym(" in text:  # elsewhere "read" is only a word
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


def _notices(test):
    """What glibc or Linux may bring tomorrow would be seen: functions and a call that nothing knows."""
    sys.path.insert(0, SPEC)
    import catalogue  # pylint: disable=import-error,import-outside-toplevel
    import generate  # pylint: disable=import-error,import-outside-toplevel
    import surface  # pylint: disable=import-error,import-outside-toplevel

    new = {
        "frob_path": ["const char *__file", "int __count"],
        "frob_fd": ["int __fd", "void *__buf"],
        "frob_out": ["size_t __n", "int __out_fd"],
        "frob_directory": ["DIR *__dirp"],
        "frob_stat": ["struct stat64 *__st"],
        "frob_many": ["char *const __paths[]"],
    }
    fine = {"frob_number": ["int __count"], "frob_text": ["const char *__s"], "open": ["const char *__file", "int __oflag", "..."]}
    found = {name: {("libc.so.6", name)} for name in [*new, *fine, "frob_unknown"]}
    found["frob_again"] = found["open"]  # another name of a function with a row
    operations, passes = catalogue.read_calls()
    verdicts, complaints = surface.judge(operations, passes, surface.read(), {**new, **fine}, found)
    seen = {re.match(r"\w+", line)[0] for line in complaints}
    wrong = [f"{name} is not noticed" for name in [*new, "frob_unknown"] if name not in seen]
    wrong += [f"{name} is complained of" for name in [*fine, "frob_again"] if name in seen or name not in verdicts]
    header = "#define __NR_read 0\n#define __NR_frob 9999\n"
    if generate.without_row(operations, passes, header) != [("frob", 9999)]:
        wrong.append("call 9999 is not noticed")
    return test.failed("\n".join(wrong)) if wrong else test.passed()


def tests(context):
    for name, run in (("notices", _notices), ("symbols", _generate("surface")), ("numbers", _generate("check")), ("rows", _rows(context))):
        yield base.Test("surface", f"any/{name}", run)
