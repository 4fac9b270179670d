"""cpython: the tests of Python's own library that live on files, below a mount; each that passes in a
kernel directory passes there, too, but for the published list."""

import fnmatch
import os
import re

from . import base

PYTHON = "/usr/bin/python3"
LIST = os.path.join(base.TESTS, "public", "cpython-exceptions.txt")
MODULES = """test_os test_posix test_shutil test_tempfile test_pathlib test_glob test_file test_fileio test_filecmp
    test_genericpath test_posixpath test_fcntl test_fileinput test_linecache test_stat test_univnewlines test_dbm_dumb
    test_shelve test_mailbox test_zipimport test_unicode_file_functions test_largefile test_pty""".split()
LONG_MODULES = """test_io test_bufio test_mmap test_tarfile test_zipfile test_gzip test_bz2 test_lzma test_import test_importlib
    test_py_compile test_compileall test_runpy test_pkgutil test_subprocess test_cmd_line_script test_venv test_sqlite3
    test_logging test_dbm_ndbm test_trace test_site test_popen""".split()
TIMEOUT, LONG_TIMEOUT = 120, 500
# "test_x (test.test_y.Class.test_x)", perhaps a line of documentation, " ... ok"; what the test prints
# itself may come before the last.
HEAD = re.compile(r"^test\w* \((?:test\.)?([\w.]+)\)")
ENDS = {"ok", "FAIL", "ERROR", "skipped", "expected"}


def modules(context):
    return MODULES + (LONG_MODULES if context.args.long else [])


def exceptions():
    """pattern -> reason."""
    with open(LIST, encoding="utf-8") as lines:
        rows = [line.split("#", 1)[0].split(None, 1) for line in lines]
    return {row[0]: row[1].strip() for row in rows if row}


def cases(text):
    """case -> how it ended."""
    found, name = {}, ""
    for line in text.splitlines():
        head = HEAD.match(line)
        name = head[1] if head else name
        said = line.rpartition(" ... ")[2].split() or [""]
        if name and said[0] in ENDS and (" ... " in line or line in ENDS):
            found[name] = said[0]
            name = ""
    return found


def _run(place, module, timeout):
    """(cases, error text) of a module whose temporary files lie in the place."""
    words = [PYTHON, "-m", "test", "-v", "--tempdir", place.directory, module]
    there = f'cd "{place.directory}" && TMPDIR="{place.directory}" exec "$@"'
    ran = place.run(["/bin/sh", "-c", there, "sh", *words], timeout)
    text = (ran.out + b"\n" + ran.err).decode(errors="replace")
    if ran.timed_out or ran.status < 0:
        return {}, ran.says()
    return cases(text), "" if re.search(r"^Tests result: ", text, re.M) or "== Tests result: " in text else ran.says()


def on_mount(test, context, kernel, mounted, module):
    """One result for each case that passes on the kernel directory."""
    if base.run([PYTHON, "-c", f"import test.{module}"], None, base.clean_env()).status != 0:
        return test.skipped(f"no test.{module} (libpython3-testsuite)")
    timeout = LONG_TIMEOUT if context.args.long else TIMEOUT
    native, error = _run(kernel, module, timeout)
    if error:
        return test.skipped(f"not here: {error}")
    ours, error = _run(mounted, module, timeout)
    if error:
        return test.failed(error)
    results = []
    for name in sorted(name for name, end in native.items() if end == "ok"):
        case = base.Test(test.suite, f"{test.name}:{name.partition('.')[2]}", None)
        reason = next((why for pattern, why in exceptions().items() if fnmatch.fnmatchcase(name, pattern)), "")
        got = ours.get(name, "missing")
        if got == "ok":
            results.append(case.failed("passes now: take it off tests/public/cpython-exceptions.txt") if reason else case.passed())
        else:
            results.append(case.skipped(f"exception: {reason}") if reason else case.failed(got))
    return results or test.skipped("no case passes on a kernel directory")
