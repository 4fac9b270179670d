"""pjdfstest: some 400 cases of what POSIX says about file calls; on a mount, each that passes on a
kernel directory passes too, but for the published list."""

import fnmatch
import grp
import os
import pwd
import re
import shutil
import tempfile

from . import base, crates

LIST = os.path.join(base.TESTS, "public", "pjdfstest-exceptions.txt")
LINE = re.compile(r"^(\S+::\S+)\s+(ok|FAILED|skipped)$")
TIMEOUT = 300
# What it can ask for on Linux; the rest is FreeBSD's.
CONFIG = """[features]
posix_fallocate = {{}}
rename_ctime = {{}}
stat_st_birthtime = {{}}
utime_now = {{}}
utimensat = {{}}
[settings]
naptime = 0.02
[dummy_auth]
entries = [{users}]
"""


def exceptions():
    """pattern -> reason."""
    with open(LIST, encoding="utf-8") as lines:
        rows = [line.split("#", 1)[0].split(None, 1) for line in lines]
    return {row[0]: row[1].strip() for row in rows if row}


def _config(directory):
    """Two users that every system has, and their groups."""
    users = []
    for name in ("nobody", "daemon"):
        group = grp.getgrgid(pwd.getpwnam(name).pw_gid).gr_name
        users.append(f'["{name}", "{group}"]')
    path = os.path.join(directory, "pjdfstest.toml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(CONFIG.format(users=", ".join(users)))
    return path


def cases(place, program):
    """(case -> (ok|FAILED|skipped, what it said), error text)."""
    other = tempfile.mkdtemp(prefix="pil4dfs-pjd", dir="/dev/shm")
    os.chmod(other, 0o755)
    place.who.own(other)
    try:
        ran = place.run([program, "-c", _config(place.top), "-s", other, "-p", place.directory], TIMEOUT)
    finally:
        shutil.rmtree(other, ignore_errors=True)
    found, name = {}, ""
    for line in ran.out.decode(errors="replace").splitlines():
        match = LINE.match(line)
        if match:
            name = match[1]
            found[name] = match[2], ""
        elif name and line.startswith("\t"):
            found[name] = found[name][0], (found[name][1] + line.strip() + " ")[:300]
    if ran.timed_out or b"Summary: " not in ran.out:
        return found, ran.says()
    return found, ""


def compare(test, native, mounted):
    """One result for each case that passes on the kernel directory, and one that says how many."""
    listed = exceptions()
    results = []
    for name, (want, _) in sorted(native.items()):
        got, says = mounted.get(name, ("missing", ""))
        reason = next((why for pattern, why in listed.items() if fnmatch.fnmatchcase(name, pattern)), "")
        case = base.Test(test.suite, f"{test.name}:{name}", None)
        if want != "ok":
            continue
        if got == "ok":
            results.append(case.failed("passes now: take it off tests/public/pjdfstest-exceptions.txt") if reason else case.passed())
        elif reason:
            results.append(case.skipped(f"exception: {reason}"))
        else:
            results.append(case.failed(f"{got}: {says}"))
    same = sum(result.status == base.PASS for result in results)
    count = f"{same} of the {len(results)} cases that pass on the kernel pass; {len(native) - len(results)} of {len(native)} do not run there"
    return results + [test.passed(count)]


def on_mount(test, context, kernel, mounted):
    program, reason = crates.program("pjdfstest", context)
    if reason:
        return test.skipped(reason)
    native, error = cases(kernel, program)
    if error:
        return test.failed(f"on the kernel: {error}")
    ours, error = cases(mounted, program)
    return compare(test, native, ours) + ([test.failed(error)] if error else [])


def transparent(test, context, kernel, armed):
    """The same answers, case by case."""
    program, reason = crates.program("pjdfstest", context)
    if reason:
        return test.skipped(reason)
    native, error = cases(kernel, program)
    if error:
        return test.failed(f"on the kernel: {error}")
    ours, error = cases(armed, program)
    if error:
        return test.failed(error)
    different = [f"{name}: {want[0]} became {ours.get(name, ('missing',))}" for name, want in native.items() if ours.get(name, ("",))[0] != want[0]]
    if different or sorted(native) != sorted(ours):
        return test.failed("\n".join(different[:20]) or "other cases ran")
    return test.passed(f"{len(native)} cases alike")
