"""cli: the commands as a person uses them: what they print, their exit status, and wrong use."""

import json
import os

from . import base, mount

# Wrong words -> a piece of the one sentence on stderr. All end with status 2.
WRONG = {
    "no-command": (["run", "--"], "CMD"),
    "half-a-mount": (["run", "--pool", "p", "--", "true"], "--cont"),
    "relative-mount": (["env", "--pool", "p", "--cont", "c", "--mount", "dfs"], "absolute path"),
    "root-as-mount": (["env", "--pool", "p", "--cont", "c", "--mount", "/"], "absolute path"),
    "no-label": (["env", "--pool", "a b", "--cont", "c", "--mount", "/dfs"], "no label"),
    "no-store": (["env", "--embedded", "/nonexistent"], "no store"),
    "unknown-format": (["env", "--format", "fish"], "fish"),
    "unknown-shell": (["completions", "tcl"], "tcl"),
    "check-nothing": (["check", "/nonexistent"], "No such file"),
    "check-unknown": (["check", "no-such-program-anywhere"], "no such program"),
    "check-directory": (["check", "/"], "not a regular file"),
    "trace-nothing": (["trace", "--"], "CMD"),
    "trace-unwritable": (["trace", "--output", "/nonexistent/file", "--", "true"], "cannot write"),
    "bench-nothing": (["bench"], "no mount"),
    "bench-number": (["bench", "--files", "0"], "--files"),
    "bench-against": (["bench", "--dir", "/dfs", "--against", "/nonexistent"], "no such directory"),
    "unknown-word": (["walk"], "walk"),
    "no-report": (["report", "/proc/self/fdinfo"], "no report"),
    "no-directory": (["report", "/nonexistent"], "cannot read"),
    "no-number": (["doctor", "--timeout", "soon"], "soon"),
}


class Place:
    """A store, and the command with options for it."""

    def __init__(self, context, who):
        self.who = who
        self.tool = context.products.path("pil4dfs")
        self.mount = mount.Mount(context.products, who, context.scratch.directory(who))
        self.options = ["--embedded", self.mount.store, "--pool", "pool", "--cont", self.mount.cont, "--mount", base.MOUNT]

    def run(self, *words, **env):
        return base.run([self.tool, *words], self.who, base.clean_env(**env), "/", 60)

    def shell(self, name, script):
        return base.run([name, "-c", script], self.who, base.clean_env(), "/", 60)


def variables_for_a_shell(place):
    """What a shell starts after eval "$(pil4dfs env ...)" is served."""
    words = " ".join([place.tool, "env", *place.options])
    done = place.shell("/bin/sh", f'eval "$({words})"; sh -c "echo by variables > /dfs/f"; cat /dfs/f')
    return "" if done.out == b"by variables\n" else done.says()


def variables_as_json(place):
    done = place.run("env", *place.options, "--json", LD_PRELOAD="")
    return "" if json.loads(done.out)["D_IL_MOUNT_POINT"] == base.MOUNT else done.says()


def doctor_content(place):
    """Everything in order: each finding is ok, and the mount is served."""
    done = place.run("doctor", *place.options, "--json")
    findings = json.loads(done.out)
    served = any(finding["found"] == "/dfs is served" for finding in findings)
    return "" if done.status == 0 and served and all(f["level"] == "ok" for f in findings) else done.says()


def doctor_worried(place):
    """A container that does not exist: status 1, the cause, a remedy."""
    options = [word if word != place.mount.cont else "nothing" for word in place.options]
    done = place.run("doctor", *options)
    return "" if done.status == 1 and b"ERROR" in done.out and b"-> check the names" in done.out else done.says()


def doctor_without_daos(place):
    """No mount and no agent: said, and nothing hangs."""
    done = place.run("doctor", DAOS_AGENT_DRPC_DIR="/nonexistent")
    return "" if done.status == 1 and b"nothing will be intercepted" in done.out and b"daos_agent" in done.out else done.says()


def completions(place):
    """What is printed for bash is bash."""
    done = place.run("completions", "bash")
    checked = base.run(["/bin/bash", "-n"], place.who, stdin=_text(done.out))
    return "" if done.status == 0 and checked.status == 0 and b"doctor" in done.out else done.says()


def _text(data):
    read, write = os.pipe()
    if os.fork() == 0:
        os.close(read)
        while data:
            data = data[os.write(write, data):]
        os._exit(0)
    os.close(write)
    return os.fdopen(read, "rb")


def closed_reader(place):
    """A reader that goes away is no error."""
    done = place.shell("/bin/bash", f"{place.tool} completions bash | head -n 1 >/dev/null; echo ${{PIPESTATUS[0]}}")
    return "" if done.out == b"0\n" and done.err == b"" else done.says()


def exit_status(place):
    """`run` hands on what the program ends with; 126 and 127 as shells do."""
    for command, wanted in ((["/bin/sh", "-c", "exit 7"], 7), (["/etc/passwd"], 126), (["/nonexistent"], 127)):
        done = place.run("run", *place.options, "--", *command)
        if done.status != wanted:
            return f"{command}: {done.says()}"
    return ""


def report(place):
    """Every process of a job is in the report, however it ended, with what it did."""
    top = os.path.join(os.path.dirname(place.mount.store), "report")
    os.mkdir(top)
    place.who.own(top)
    script = "echo 12345678 > /dfs/f; cat /dfs/f; cat /dfs/none; ln /dfs/f /dfs/g; (cat /dfs/f; kill -9 $BASHPID); exec cat /dfs/f"
    place.run("run", *place.options, "--", "/bin/bash", "-c", script, PIL4DFS_REPORT_DIR=top)
    done = place.run("report", top, "--json")
    records = [json.loads(line) for line in done.out.splitlines()]
    total = {}
    for record in records:
        for name, count in record["counts"].items():
            total[name] = total.get(name, 0) + count
    wanted = {"bytes_copied": 27, "bytes_written": 9, "errno.2": 1, "failed.openat": 1, "served.write": 1, "declined.linkat": 1, "declined_by.linkat": 1}
    wrong = {name: total.get(name) for name, count in wanted.items() if total.get(name) != count}
    if wrong or len(records) != 6 or any(record["running"] for record in records):
        return f"{wrong} of {len(records)} records: {done.says()}"
    files = [os.path.join(top, name) for name in ("plot.svg", "metrics.prom")]
    table = place.run("report", top, "--svg", files[0], "--prometheus", files[1])
    texts = [open(file).read() for file in files if os.path.exists(file)]
    shown = b"bytes written" in table.out and len(texts) == 2 and "</svg>" in texts[0] and "pil4dfs_bytes" in texts[1]
    return "" if shown else table.says()


SOURCE = {
    "plain": ("int main(void) { return 0; }", []),
    "static": ("int main(void) { return 0; }", ["-static"]),
    "own-call": (
        """int main(void) { long r; __asm__ volatile("syscall" : "=a"(r) : "a"(257), "D"(-100), "S"("/"), "d"(0)
        : "rcx", "r11", "memory"); return r < 0; }""",
        [],
    ),
}


def checked(place, program, *words):
    done = place.run("check", program, "--json", *words)
    return done.status, json.loads(done.out)


def check_kinds(place):
    """What the file of a program says: whether the library is loaded into it, and what serves it otherwise."""
    top = os.path.dirname(place.mount.store)
    for name, (source, flags) in SOURCE.items():
        text = os.path.join(top, name + ".c")
        with open(text, "w", encoding="ascii") as file:
            file.write(source)
        made = base.run(["gcc", "-O1", *flags, "-o", os.path.join(top, name), text], timeout=60)
        if made.status != 0:
            return made.says()
    with open(os.path.join(top, "plain"), "rb") as file:
        program = file.read()
    with open(os.path.join(top, "script"), "w", encoding="ascii") as file:
        file.write("#!/usr/bin/env bash\n")
    # The loader's name is all that tells a program of another C library.
    for name, data in (("musl", program.replace(b"ld-linux-x86-64.so.2", b"ld-musl-x86_64.so.1\0")), ("text", b"no program\n")):
        with open(os.path.join(top, name), "wb") as file:
            file.write(data)
    for name in ("script", "musl", "text"):
        os.chmod(os.path.join(top, name), 0o755)
    wanted = {
        "plain": (0, "loads", "library"),
        "static": (1, "static", "fuse"),
        "own-call": (0, "loads", "library"),
        "script": (0, "loads", "library"),
        "musl": (1, "other-libc", "fuse"),
        "text": (1, "loads", "no"),
        "/bin/su": (0, "loads", "library") if place.who.uid == 0 else (1, "set-id", "no"),
    }
    for name, said in wanted.items():
        status, verdict = checked(place, os.path.join(top, name))
        if (status, verdict["kind"], verdict["served_by"]) != said:
            return f"{name}: {status} {verdict}"
    own = checked(place, os.path.join(top, "own-call"))[1]
    through = checked(place, os.path.join(top, "script"))[1]["through"]
    cat = checked(place, "cat")[1]
    if own["system_calls"] != {"openat": 1} or through[-1][-5:] != "/bash" or "open" not in cat["imports"]:
        return f"{own} {through} {cat}"
    text = place.run("check", os.path.join(top, "static"))
    return "" if b"pil4dfs run gives it" in text.out else text.says()


JOB = "echo 12345678 > /dfs/f; cat /dfs/f; cat /dfs/none; ln /dfs/f /dfs/g; exit 7"


def trace(place):
    """Every call on the mount has its line, with who made it and how it was answered; the status is the program's."""
    out = os.path.join(os.path.dirname(place.mount.store), "calls")
    with open(out, "w", encoding="ascii"):
        place.who.own(out)
    done = place.run("trace", *place.options, "--json", "--output", out, "--", "/bin/sh", "-c", JOB)
    with open(out, encoding="ascii") as file:
        lines = [json.loads(line) for line in file]
    sums = lines.pop()["summary"]
    seen = {(line["call"], line["by"].replace("64", ""), line["verdict"], line.get("errno")) for line in lines}
    wanted = {("openat", "open", "served", None), ("openat", "open", "failed", 2), ("linkat", "linkat", "declined", 1)}
    written = [line for line in lines if line["call"] == "write"]
    wrong = wanted - seen
    if done.status != 7 or done.out != b"12345678\n" or wrong or [line["result"] for line in written] != [9]:
        return f"{wrong} {lines} {done.says()}"
    if sums["operations"]["linkat"]["declined"] != 1 or sums["by"]["linkat"]["declined"] != 1 or sums["processes"] != 4:
        return str(sums)
    if sums["calls"] != len(lines):
        return f"{sums['calls']} calls, {len(lines)} lines"
    text = place.run("trace", *place.options, "--", "/bin/sh", "-c", JOB)
    told = (b'("/dfs/f", "/dfs/g") = -1 Operation not permitted  declined', b"declined: DFS has it not: linkat 1", b"a second; 2 answered")
    if any(piece not in text.err for piece in told):
        return text.says()
    short = place.run("trace", *place.options, "--summary", "--", "/bin/sh", "-c", JOB)
    return "" if short.status == 7 and told[1] in short.err and told[0] not in short.err else short.says()


def trace_of_nothing(place):
    """A program that touches no mount, one that cannot be traced, one that is not there."""
    quiet = place.run("trace", *place.options, "--", "true")
    gone = place.run("trace", *place.options, "--", "/nonexistent")
    static = place.run("trace", "--", "/bin/busybox", "true") if os.path.exists("/bin/busybox") else None
    if quiet.status != 0 or b"no call on a mount" not in quiet.err or gone.status != 127:
        return quiet.says() + gone.says()
    return "" if static is None or static.status == 2 and b"nothing to trace" in static.err else static.says()


def trace_of_the_unwritable(place):
    """A file that cannot be written: one line a process, and the program goes on; below a limit of file sizes nothing is written."""
    done = place.run("run", *place.options, "--", "cat", "/etc/hostname", PIL4DFS_TRACE="/nonexistent/file")
    if done.status != 0 or done.err.count(b"\n") != 1 or b"PIL4DFS_TRACE=/nonexistent/file" not in done.err:
        return done.says()
    out = os.path.join(os.path.dirname(place.mount.store), "lines")
    done = place.run("run", *place.options, "--", "bash", "-c", "ulimit -f 1000000; for i in $(seq 4); do echo > /dfs/f; done; cat /dfs/f", PIL4DFS_TRACE=out)
    with open(out, encoding="ascii") as file:
        written = file.read()
    return "" if done.status == 0 and done.out == b"\n" and "/dfs/f" not in written else done.says() + written


def bench(place):
    """Every phase in both places, quietly in a pipe, and nothing left behind."""
    top = os.path.dirname(place.mount.store)
    words = ["bench", *place.options, "--against", top, "--files", "20", "--mib", "1", "--rounds", "1"]
    before = sorted(os.listdir(top))
    done = place.run(*words, "--json")
    sides = json.loads(done.out)
    phases = [list(sides[side]["phases"]) for side in ("library", "kernel")]
    left = place.run("run", *place.options, "--", "ls", "/dfs")
    if done.err or len(phases[0]) != 9 or phases[0] != phases[1] or left.out or sorted(os.listdir(top)) != before:
        return done.says() + left.says()
    table = place.run(*words)
    unserved = place.run("bench", "--dir", top, "--against", top, "--files", "1", "--mib", "1")
    if unserved.status != 1 or b"does not serve" not in unserved.err:
        return unserved.says()
    return "" if b"write 1 MiB" in table.out and b"(served)" in table.out else table.says()


def version(place):
    """The short form is one line; the long one names library and provider, and says when there is none."""
    short, long = place.run("-V"), place.run("--version", PIL4DFS_DAOS_DIR=os.path.join(os.path.dirname(place.tool), "embedded"))
    none = place.run("--version", PIL4DFS_DAOS_DIR="/nonexistent")
    if short.out.count(b"\n") != 1 or b"embedded/libdaos.so.2" not in long.out or b"libpil4dfs.so.0" not in long.out:
        return short.says() + long.says()
    return "" if none.status == 0 and b"provider: none" in none.out else none.says()


def doctor_on_variables(place):
    """Names that nobody reads and values that cannot be meant are told; the mount is served nevertheless."""
    done = place.run("doctor", *place.options, PIL4DFS_REPORTDIR="/x", PIL4DFS_FD="big", LD_PRELOAD="/nonexistent/lib.so")
    told = (b"perhaps PIL4DFS_REPORT_DIR is meant", b"PIL4DFS_FD=big is no kernel or high", b"/nonexistent/lib.so does not exist", b"/dfs is served")
    return "" if done.status == 0 and all(text in done.out for text in told) else done.says()


WORK = """
import os
os.makedirs("/dfs/d/e")
for name in "abc":
    with open("/dfs/d/" + name, "wb", buffering=0) as file:
        file.write(b"x")
os.symlink("a", "/dfs/d/l"); os.readlink("/dfs/d/l"); os.rename("/dfs/d/a", "/dfs/d/b")
os.listdir("/dfs/d")
os.close(os.open("/dfs/d", os.O_RDONLY | os.O_DIRECTORY))
fd = os.open("/dfs/d", os.O_RDONLY); os.rmdir("e", dir_fd=fd); os.close(fd)
os.unlink("/dfs/d/b"); os.unlink("/dfs/d/c"); os.unlink("/dfs/d/l"); os.rmdir("/dfs/d")
"""
# read write - open stat opendir readdir link unlink rdlink seek mkdir rmdir rename mmap; None: as Python pleases
COUNTED = {"read": 0, "write": 3, "open": 5, "stat": None, "opendir": 1, "readdir": 5, "link": 1, "unlink": 4, "rdlink": 1,
           "seek": None, "mkdir": 2, "rmdir": 1, "rename": 1, "mmap": 0}


def upstreams_report(place):
    """D_IL_REPORT: the very text that job scripts search for, and its counts; to standard error, for every process."""
    done = place.run("run", *place.options, "--report", "--", "/usr/bin/python3", "-S", "-E", "-c", WORK)
    lines = done.err.decode().split("\n")
    form = ["app python3 interception ON", "libpil4dfs intercepting summary for ops on DFS:"]
    for name in COUNTED:
        form += ["", f"[{name:<7}]  N"] if name == "open" else [f"[{name:<7}]  N"]
    form += ["", "[op_sum ]  N", ""]
    counts = {line[1:8].strip(): int(line[9:]) for line in lines if line.startswith("[")}
    plain = [line[:11] + "N" if line.startswith("[") else line for line in lines]
    wrong = {name: counts.get(name) for name, wanted in COUNTED.items() if wanted is not None and counts.get(name) != wanted}
    total = counts.pop("op_sum", None)
    off = place.run("run", *place.options, "--report", "--", "true", PIL4DFS_HOOK="off")
    fine = plain == form and not wrong and total == sum(counts.values()) and off.err == b"app true interception OFF\n"
    return "" if fine else f"{wrong} {done.says()} {off.says()}"


CASES = [upstreams_report, bench, version, doctor_on_variables, check_kinds, trace, trace_of_nothing, trace_of_the_unwritable, report, variables_for_a_shell, variables_as_json, doctor_content, doctor_worried, doctor_without_daos, completions, closed_reader, exit_status]


def tests(context):
    for who in context.identities:

        def case(test, who=who, run=None):
            place = Place(context, who)
            wrong = place.mount.create() or run(place)
            return test.failed(wrong) if wrong else test.passed()

        def refused(test, who=who, words=None, said=None):
            done = Place(context, who).run(*words)
            text = done.err.decode(errors="replace")
            return test.passed() if done.status == 2 and said in text and not done.out else test.failed(done.says())

        for run in CASES:
            yield base.Test("cli", f"{who.name}/{run.__name__.replace('_', '-')}", lambda test, run=run, case=case: case(test, run=run))
        for name, (words, said) in WRONG.items():
            yield base.Test("cli", f"{who.name}/wrong-{name}",
                            lambda test, words=words, said=said, refused=refused: refused(test, words=words, said=said))
