"""Whether cost stays linear: threads, directories, open files (many.c)."""
import re
import shutil
import subprocess


def program(stage, *arguments, env=None):
    """One run of many.c on a directory below the mount: its numbers."""
    command = [stage.many, *map(str, arguments)]
    text = subprocess.run(command, check=True, capture_output=True, text=True,
                          env=env or stage.environment(), timeout=550).stdout
    return [float(word) for word in text.split()]


def threads(stage):
    """Calls a second of threads on files of their own, over one thread's."""
    print("## Threads on files of their own (pwrite + pread of 4 KiB), calls a second\n")
    print("| threads | library | kernel directory | library, provider that takes 20 us |")
    print("|---|---|---|---|")
    slow = stage.environment(PIL4DFS_EMBEDDED_DELAY_US="20")
    for n in (1, 2, 4, 64):
        rows = [program(stage, "threads", "/dfs", n, 1)[0], program(stage, "threads", stage.kernel, n, 1)[0],
                program(stage, "threads", "/dfs", n, 1, env=slow)[0]]
        print(f"| {n} | " + " | ".join(f"{row:,.0f}" for row in rows) + " |")
    print()


def directories(stage, sizes=(1000, 10_000, 100_000)):
    """Create, list, stat in directories of growing size."""
    print("## A large directory, ns an entry\n")
    print("| entries | create+close | list | stat |")
    print("|---|---|---|---|")
    for n in sizes:
        path = f"/dfs/many{n}"
        subprocess.run(["mkdir", path], check=True, env=stage.environment())
        made = program(stage, "create", path, n)[0]
        (seen, listed), looked = program(stage, "list", path), program(stage, "stat", path, min(n, 10_000))[0]
        print(f"| {seen - 2:,.0f} | {made:,.0f} | {listed:,.0f} | {looked:,.0f} |")
    print()


def open_files(stage, counts=(1000, 10_000, 19_000, 100_000)):
    """Many open files."""
    print("## Many open files, ns each\n")
    print("| open files | open | close |")
    print("|---|---|---|")
    for n in counts:
        opened, closed = program(stage, "open", "/dfs", n)
        print(f"| {n:,} | {opened:,.0f} | {closed:,.0f} |" if opened else f"| {n:,} | RLIMIT_NOFILE is lower | |")
    print()


# bench.c's row and what strace shows of a thousand calls of it
COUNTED = ("lseek SEEK_SET", "read 4 KiB", "write 4 KiB", "pread 4 KiB", "pwrite 4 KiB", "fstat",
           "stat, 2 components", "open+close", "create+close", "unlink")


def system_calls(stage):
    """System calls a call: strace of a program that makes twice as many, and a half of it."""
    if not shutil.which("strace"):
        return
    print("## System calls a call (strace; the provider's own are those of the bare call)\n")
    print("| operation | library | bare DFS |")
    print("|---|---|---|")
    for row in COUNTED:
        counts = {}
        for side in ("export", "bare"):
            few, many = (traced(stage, row, side, rounds) for rounds in (1, 3))
            counts[side] = {name: (many.get(name, 0) - few.get(name, 0)) / 200 for name in many}
        text = [", ".join(f"{c:g} {n}" for n, c in sorted(counts[side].items()) if c >= 0.05) or "0"
                for side in ("export", "bare")]
        print(f"| {row} | {text[0]} | {text[1]} |")
    print()


def traced(stage, row, side, rounds):
    """Calls by name of one run of bench on one side."""
    env = stage.environment(BENCH_SIDE=side, BENCH_BATCH="100")
    out = stage.work / "strace"
    preload = env.pop("LD_PRELOAD")
    command = ["strace", "-f", "-o", out, "-E", f"LD_PRELOAD={preload}", *stage.bench_arguments(rounds, 1), row]
    subprocess.run(command, check=True, capture_output=True, env=env, timeout=200)
    counts = {}
    for name in re.findall(r"^\d+ +(\w+)\(", out.read_text(), re.M):
        counts[name] = counts.get(name, 0) + 1
    return counts
