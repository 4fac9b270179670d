"""Ways to the same files, side by side in one run: a kernel directory, our dfuse without and with
caching, the library, and bare DFS calls. All but the first stand on one store."""
import math
import os
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


def measure(stage, env, rounds):
    """operation -> way -> nanoseconds, one of each round."""
    times = {}
    clean = {k: v for k, v in env.items() if k != "LD_PRELOAD"}
    uncached, first = mount(stage, env, "uncached", "--disable-caching")
    cached, second = mount(stage, env, "cached", "--enable-caching")
    program = stage.compile("compare", "compare.c", "bare.c")
    try:
        for number in range(rounds):
            name = f"r{number}"
            places = [stage.kernel / name, uncached / f"u{name}", cached / f"c{name}", uncached / f"l{name}",
                      uncached / f"b{name}"]
            sides = [("posix", places[0], clean), ("posix", places[1], clean), ("posix", places[2], clean),
                     ("posix", f"/dfs/l{name}", env), ("bare", f"/b{name}", clean)]
            for place in places:
                prepare(place)
            for way, (side, place, variables) in zip(WAYS, sides):
                done = subprocess.run([program, side, place], env=variables, capture_output=True, text=True, timeout=300)
                if done.returncode:
                    sys.exit(f"{way}: {done.stderr}")
                for line in done.stdout.splitlines():
                    operation, value = line.split("\t")
                    times.setdefault(operation, {}).setdefault(way, []).append(float(value))
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
    times = measure(stage, env, rounds)
    best = {op: {way: min(values) for way, values in row.items()} for op, row in times.items()}
    print(f"## Ways to the same files, us a call (the best of {rounds} rounds in turns; a provider call takes {delay} us more)\n")
    print("| operation | " + " | ".join(WAYS) + " | uncached dfuse / library | cached dfuse / library | library / bare |")
    print("|---" * (len(WAYS) + 4) + "|")
    for operation, row in best.items():
        ratios = [row[WAYS[1]] / row[WAYS[3]], row[WAYS[2]] / row[WAYS[3]], row[WAYS[3]] / row[WAYS[4]]]
        print(f"| {operation} | " + " | ".join(shown(row[way]) for way in WAYS) + " | "
              + " | ".join(f"{ratio:.2f}" for ratio in ratios) + " |")
    print()
    if svg:
        svg.write_text(drawing(best), encoding="utf-8")


def drawing(best):
    """Bars on a logarithmic scale, a group an operation."""
    bar, gap, left, width = 12, 14, 130, 560
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
