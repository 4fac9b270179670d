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
    script = "echo 12345678 > /dfs/f; cat /dfs/f; cat /dfs/none; (cat /dfs/f; kill -9 $BASHPID); exec cat /dfs/f"
    place.run("run", *place.options, "--", "/bin/bash", "-c", script, PIL4DFS_REPORT_DIR=top)
    done = place.run("report", top, "--json")
    records = [json.loads(line) for line in done.out.splitlines()]
    total = {}
    for record in records:
        for name, count in record["counts"].items():
            total[name] = total.get(name, 0) + count
    wanted = {"bytes_copied": 27, "bytes_written": 9, "errno.2": 1, "failed.openat": 1, "served.write": 1}
    wrong = {name: total.get(name) for name, count in wanted.items() if total.get(name) != count}
    if wrong or len(records) != 5 or any(record["running"] for record in records):
        return f"{wrong} of {len(records)} records: {done.says()}"
    files = [os.path.join(top, name) for name in ("plot.svg", "metrics.prom")]
    table = place.run("report", top, "--svg", files[0], "--prometheus", files[1])
    texts = [open(file).read() for file in files if os.path.exists(file)]
    shown = b"bytes written" in table.out and len(texts) == 2 and "</svg>" in texts[0] and "pil4dfs_bytes" in texts[1]
    return "" if shown else table.says()


CASES = [report, variables_for_a_shell, variables_as_json, doctor_content, doctor_worried, doctor_without_daos, completions, closed_reader, exit_status]


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
