"""Processes: what a fork costs with a mount in use, and a script of many short commands."""
import subprocess
import sys
import time

ROUNDS = 400


def forks(stage):
    """fork, by what the parent has and what the child does."""
    program = stage.compile("forks", "forks.c")
    print(f"## Children, microseconds from fork to wait (lowest tenth / median of {ROUNDS}, in turns of two)\n")
    print("| parent | fork, _exit | fork, the child uses the mount | fork, exec /bin/true |")
    print("|---|---|---|---|")
    kernel = str(stage.kernel / "forks")
    rows = [("without the library", stage.clean(), kernel, 0), ("library, mount not used", stage.environment(), None, 0)]
    rows += [(f"library, mount in use, {n} files open", stage.environment(), "/dfs/forks", n) for n in (0, 1, 10, 100)]
    rows += [("without the library, 100 files open", stage.clean(), kernel, 100)]
    for name, env, path, files in rows:
        cells = []
        for way in ("exit", "use", "exec"):
            if way == "use" and not path:
                cells.append("-")
                continue
            words = [program, way, str(ROUNDS)] + ([path, str(files)] if path else [])
            runs = [subprocess.run(words, check=True, capture_output=True, text=True, env=env, timeout=300).stdout.split() for _ in range(2)]
            cells.append(" / ".join(min((run[i] for run in runs), key=float) for i in range(2)))
        print(f"| {name} | {' | '.join(cells)} |")
    print()


# Six commands a turn; each is a process.
TURN = """mkdir {d}/t{i}; cp {d}/in {d}/t{i}/a; mv {d}/t{i}/a {d}/t{i}/b; cat {d}/t{i}/b > /dev/null; grep -c x {d}/t{i}/b > {d}/t{i}/c
sed -i s/x/y/ {d}/t{i}/c
"""


def counters(stage):
    """daos_init and daos_pool_connect so far."""
    lines = (line.split() for line in stage.embedded("counters").splitlines())
    all_of_them = {line[0]: int(line[1]) for line in lines if len(line) == 2}
    return [all_of_them.get(name, 0) for name in ("daos_init", "daos_pool_connect")]


def tasks(stage, commands=500):
    """A script of short commands: run by a shell with the library, or each command on its own."""
    turns = commands // 6
    print(f"## {turns * 6} short commands (mkdir, cp, mv, cat, grep, sed), one after the other; seconds, and how often DAOS was started and connected to\n")
    print("| | delay of init, of connect | seconds | ms a command | daos_init | connects |")
    print("|---|---|---|---|---|---|")

    def row(name, delays, run, directory):
        (stage.kernel / "in").write_text("x\n" * 100)
        before = counters(stage)
        start = time.perf_counter()
        run(directory)
        took = time.perf_counter() - start
        inits, connects = (now - then for now, then in zip(counters(stage), before))
        print(f"| {name} | {delays} | {took:.2f} | {took / (turns * 6) * 1e3:.1f} | {inits} | {connects} |")
        sys.stdout.flush()

    def script(directory, prefix=""):
        text = "".join(TURN.format(d=directory, i=i) for i in range(turns))
        return prefix + text

    def shell(env, directory):
        head = f"mkdir -p {directory}; cp {stage.kernel}/in {directory}/in; cd {directory}\n"
        subprocess.run(["bash", "-e", "-c", 'eval "$(cat)"'], input=script(directory, head), text=True, env=env, check=True, timeout=590)

    def apart(env, directory):
        """The shell knows nothing of the library: each command connects for itself."""
        wanted = [f"{k}={v}" for k, v in env.items() if k.startswith(("LD_PRELOAD", "PIL4DFS_", "D_IL_"))]
        run = f"run() {{ env {' '.join(wanted)} \"$@\"; }}\n"
        text = script(directory).replace("; ", "\n")
        lines = [f"run {line}" if ">" not in line else f"run sh -c 'exec {line}'" for line in text.splitlines()]
        head = f"run mkdir -p {directory}\nrun cp {stage.kernel}/in {directory}/in\n"
        subprocess.run(["bash", "-e", "-c", 'eval "$(cat)"'], input=run + head + "\n".join(lines), text=True, env=stage.clean(), check=True, timeout=590)

    row("kernel directory, without the library", "-", lambda d: shell(stage.clean(), d), str(stage.kernel / "tasks"))
    number = 0
    for init, connect in ((0, 0), (50, 0), (0, 50), (50, 50)):
        env = stage.environment(PIL4DFS_EMBEDDED_INIT_DELAY_US=str(init * 1000), PIL4DFS_EMBEDDED_CONNECT_DELAY_US=str(connect * 1000))
        for name, run in (("a shell in that directory passes its handles on", shell), ("each command for itself", apart)):
            number += 1
            row(name, f"{init} ms, {connect} ms", lambda d, run=run, env=env: run(env, d), f"/dfs/tasks{number}")
    print()
