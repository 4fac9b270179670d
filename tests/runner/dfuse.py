"""dfuse: our FUSE server, and the library beside it. Each case runs in a mount name space of its own."""

import os
import subprocess
import sys

from . import base, programs

CASE = os.path.join(base.TESTS, "dfuse", "case.py")
sys.path.insert(0, os.path.dirname(CASE))
import cases  # noqa: E402

# The conformance programs that also judge the server; each kernel path of a family.
FAMILIES = [
    "access", "append", "chmod", "chown", "creat", "dup", "fallocate", "fork", "getdents", "lseek",
    "mkdir", "mmap", "open_flags", "permission", "pread_pwrite", "read_write", "readdir", "rename", "rename_open",
    "renameat2", "rmdir", "stat", "stdio", "symlink", "symlink_walk", "truncate", "unlink", "utimens", "xattr",
]


# Cases that are given the static program.
NEED_STATIC = ["static-programs-get-a-mount", "static-programs-of-users", "busybox"]


def with_go(case, context):
    """The case of Go programs, with one compiled when it runs."""
    def run(test):
        binary, error = go_program(context)
        return test.skipped(error) if error else case("go-programs", [binary])(test)
    return run


def with_static(case, name):
    """The case, with the static program compiled when it runs."""
    def run(test):
        source = os.path.join(base.TESTS, "dfuse", "static_guest.c")
        binary, error = programs.compile_one(source, ["-static"])
        return test.skipped(f"no static libc: {error}") if error else case(name, [binary])(test)
    return run


def go_program(context):
    """The Go program compiled, and why it could not be."""
    tool = next((p for p in ("/usr/bin/go", "/usr/local/go/bin/go") if os.path.exists(p)), None)
    if not tool:
        return "", "no go (golang-go)"
    place = os.path.join(context.scratch.top, "go")
    os.makedirs(place, exist_ok=True)
    binary, source = os.path.join(place, "guest"), os.path.join(base.TESTS, "dfuse", "guest.go")
    env = base.clean_env(HOME=place, GOCACHE=place, CGO_ENABLED="0", GOFLAGS="-p=2", GO111MODULE="off")
    outcome = base.run([tool, "build", "-trimpath", "-o", binary, source], None, env, place, timeout=400)
    return binary, "" if outcome.status == 0 else outcome.says()


def obstacle():
    """Why nothing can be mounted here; empty if it can."""
    if os.geteuid() != 0:
        return "needs root for mounts of type fuse.daos"
    if not os.path.exists("/dev/fuse"):
        return "no /dev/fuse"
    probe = subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False)
    return "" if probe.returncode == 0 else "no right to make mount name spaces"


def tests(context):
    """Every case of tests/dfuse/cases.py, and the families with and without caching."""
    why = obstacle()
    who = context.identities[0]

    def case(name, words=(), timeout=90):
        def run(test):
            if context.unbuilt:
                return test.failed(context.unbuilt)
            if why:
                return test.skipped(why)
            directory = context.scratch.directory(who)
            command = ["unshare", "-m", "--propagation", "private", sys.executable, CASE, name,
                       context.products.top, directory, *words]
            outcome = base.run(command, who, timeout=timeout)
            context.scratch.drop(directory)
            if outcome.status == 0 and not outcome.timed_out:
                return test.passed()
            return test.skipped(outcome.says(500)) if outcome.status == 77 else test.failed(outcome.says())
        return run

    for name in cases.ALL:
        if name in NEED_STATIC:
            yield base.Test("dfuse", f"{who.name}/{name}", with_static(case, name))
        elif name == "go-programs":
            yield base.Test("dfuse", f"{who.name}/{name}", with_go(case, context))
        elif name != "conform":
            yield base.Test("dfuse", f"{who.name}/{name}", case(name))
    for mode in ("uncached", "cached"):
        programs = [context.conform[family] for family in FAMILIES]
        wrong = next((error for _, error in programs if error), "")
        words = [mode, *[binary for binary, _ in programs]]
        run = case("conform", words, 300)
        yield base.Test("dfuse", f"{who.name}/conform-{mode}",
                        run if not wrong else lambda test, wrong=wrong: test.failed(wrong))
