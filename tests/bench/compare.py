"""Ways to the same files, side by side in one run: a kernel directory, our dfuse without and with
caching, the library, and bare DFS calls. All but the first stand on one store."""
import math
import os
import shutil
import signal
import subprocess
import sys
import time

WAYS = ["kernel directory", "dfuse, uncached", "dfuse, cached", "library", "bare DFS"]
COLOURS = ["#999999", "#c44e52", "#dd8452", "#4c72b0", "#55a868"]
MARK = "PIL4DFS_BENCH_ALONE"
TOTAL = 16 << 20


def alone():
    """Goes on in a mount name space of its own, where mounts leave no trace. Needs root."""
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse"):
        sys.exit("--compare mounts a dfuse: run it as root, where there is /dev/fuse")
    if MARK not in os.environ:
        os.environ[MARK] = "1"
        os.execvp("unshare", ["unshare", "-m", "--propagation", "private", sys.executable, *sys.argv])


def mount(stage, env, name, *options):
    """A server in the foreground, mounted."""
    point = stage.work / name
    point.mkdir()
    clean = {k: v for k, v in env.items() if k != "LD_PRELOAD"}
    command = [stage.build / "pil4dfs-dfuse", "-f", "-m", point, "--pool", "pool", "--container", "cont", *options]
    server = subprocess.Popen(command, env=clean)
    end = time.monotonic() + 20
    while not os.path.ismount(point):
        if server.poll() is not None or time.monotonic() > end:
            sys.exit("the server does not start")
        time.sleep(0.01)
    return point, server


def prepare(directory):
    """The directory of one measurement."""
    directory.mkdir()
    (directory / "file").write_bytes(b"x" * TOTAL)
    for inner in ["deep/2/3/4/5", *(f"wide/{number}" for number in range(50))]:
        (directory / inner).mkdir(parents=True)
        (directory / inner / "file").write_bytes(b"x")


def at_once(program, arguments, way):
    """Runs the program for each (side, place, variables) at the same time: operation -> nanoseconds a call, the mean of all."""
    children = [subprocess.Popen([program, side, place], env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                for side, place, variables in arguments]
    sums = {}
    for child in children:
        out, err = child.communicate(timeout=600)
        if child.returncode:
            sys.exit(f"{way}: {err}")
        for line in out.splitlines():
            operation, value = line.split("\t")
            sums[operation] = sums.get(operation, 0.0) + float(value) / len(children)
    return sums


def measure(stage, env, rounds):
    """processes -> operation -> way -> nanoseconds, one of each round."""
    times = {1: {}, 2: {}}
    clean = {k: v for k, v in env.items() if k != "LD_PRELOAD"}
    uncached, first = mount(stage, env, "uncached", "--disable-caching")
    cached, second = mount(stage, env, "cached", "--enable-caching")
    program = stage.compile("compare", "compare.c", "bare.c", "side.c")
    try:
        for number, count in ((number, count) for number in range(rounds) for count in times):
            # way -> side, where it is prepared, where it is measured, its variables; for each process
            each = {way: [] for way in WAYS}
            for index in range(count):
                name = f"r{number}-{count}-{index}"
                each[WAYS[0]].append(("posix", stage.kernel / name, stage.kernel / name, clean))
                each[WAYS[1]].append(("posix", uncached / f"u{name}", uncached / f"u{name}", clean))
                each[WAYS[2]].append(("posix", cached / f"c{name}", cached / f"c{name}", clean))
                each[WAYS[3]].append(("posix", uncached / f"l{name}", f"/dfs/l{name}", env))
                each[WAYS[4]].append(("bare", uncached / f"b{name}", f"/b{name}", clean))
            for way, processes in each.items():
                for _, made, _, _ in processes:
                    prepare(made)
                done = at_once(program, [(side, place, variables) for side, _, place, variables in processes], way)
                for operation, value in done.items():
                    times[count].setdefault(operation, {}).setdefault(way, []).append(value)
                for _, made, _, _ in processes:
                    shutil.rmtree(made)
    finally:
        for server in (first, second):
            server.send_signal(signal.SIGTERM)
            server.wait(20)
    return times


def shown(nanoseconds):
    return f"{nanoseconds / 1000:.1f}" if nanoseconds < 99_950 else f"{nanoseconds / 1000:.0f}"


def run(stage, rounds, delay, svg):
    """Prints the table, and draws it where asked."""
    env = stage.environment(**({"PIL4DFS_EMBEDDED_DELAY_US": str(delay)} if delay else {}))
    load = os.getloadavg()[0]
    times = measure(stage, env, rounds)
    print(f"## Ways to the same files, us a call (the best of {rounds} rounds in turns; a provider call takes {delay} us more; "
          f"{os.cpu_count()} processors, load {load:.0f} to {os.getloadavg()[0]:.0f})\n")
    for count, rows in times.items():
        print(f"{count} process{'es at once, each' if count > 1 else ''}:\n")
        best = {op: {way: min(values) for way, values in row.items()} for op, row in rows.items()}
        table(best)
        if svg and count == 1:
            svg.write_text(drawing(best), encoding="utf-8")


def table(best):
    """operation -> way -> nanoseconds, as Markdown."""
    print("| operation | " + " | ".join(WAYS) + " | uncached dfuse / library | cached dfuse / library | library / bare |")
    print("|---" * (len(WAYS) + 4) + "|")
    for operation, row in best.items():
        ratios = [row[WAYS[1]] / row[WAYS[3]], row[WAYS[2]] / row[WAYS[3]], row[WAYS[3]] / row[WAYS[4]]]
        print(f"| {operation} | " + " | ".join(shown(row[way]) for way in WAYS) + " | "
              + " | ".join(f"{ratio:.2f}" for ratio in ratios) + " |")
    print()


def drawing(best):
    """Bars on a logarithmic scale, a group an operation."""
    bar, gap, left, width = 12, 14, 190, 560
    group = bar * len(WAYS) + gap
    height = 60 + group * len(best)
    values = [value for row in best.values() for value in row.values()]
    low = 10 ** math.floor(math.log10(min(values)))
    span = math.log10(max(values) / low)
    place = lambda value: left + width * math.log10(max(value, low) / low) / span  # noqa: E731
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 90}" height="{height}" '
           'font-family="sans-serif" font-size="11">', '<rect width="100%" height="100%" fill="white"/>']
    for index, (way, colour) in enumerate(zip(WAYS, COLOURS)):
        x = 20 + index * 145
        out.append(f'<rect x="{x}" y="10" width="10" height="10" fill="{colour}"/><text x="{x + 15}" y="19">{way}</text>')
    decade = low
    while decade <= max(values):
        x = place(decade)
        out.append(f'<line x1="{x:.0f}" x2="{x:.0f}" y1="34" y2="{height - 20}" stroke="#dddddd"/>'
                   f'<text x="{x:.0f}" y="{height - 6}" text-anchor="middle">{decade / 1000:g} us</text>')
        decade *= 10
    for row, (operation, ways) in enumerate(best.items()):
        top = 38 + row * group
        out.append(f'<text x="{left - 8}" y="{top + group / 2}" text-anchor="end">{operation}</text>')
        for index, way in enumerate(WAYS):
            y, end = top + index * bar, place(ways[way])
            out.append(f'<rect x="{left}" y="{y}" width="{end - left:.1f}" height="{bar - 2}" fill="{COLOURS[index]}"/>'
                       f'<text x="{end + 4:.1f}" y="{y + 9}" font-size="9">{shown(ways[way])}</text>')
    return "\n".join(out + ["</svg>"]) + "\n"
