"""history: random operations of several processes, replayed on a kernel directory."""

import difflib
import os
import time

from . import apps, base, mount, programs

# Seeds that once found something stay at the head of the list.
SEEDS = [921, *range(1, 21)]
STEPS = 600
# With --long new seeds follow, of longer histories, for half an hour where two tests run at a time.
LONG_STEPS = 2400
LONG_SECONDS = 900
# apart: they share only files that keep their names; together: everything.
WAYS = ["apart", "together"]
PARTS = ["draw.c", "lead.c", "record.c", "work.c"]


class Programs:
    """The history, the program without the library between two of it, and the independent reader."""

    def __init__(self):
        home = os.path.join(base.TESTS, "history")
        parts = [os.path.join(home, part) for part in PARTS]
        made = [
            programs.compile_one(os.path.join(home, "history.c"), parts),
            programs.compile_one(os.path.join(home, "launcher.c"), ["-static"]),
            programs.reader(),
        ]
        self.history, self.launcher, self.reader = (path for path, _ in made)
        self.error = "".join(error for _, error in made)


def tests(context):
    ways = [(way, who) for way in WAYS for who in context.identities]
    for seed in SEEDS:
        for way, who in ways:
            yield _test(context, way, seed, STEPS, who)
    for way, who in ways if context.args.long else []:

        def run(test, way=way, who=who):
            return list(_many(context, way, who))

        yield base.Test("history", f"{who.name}/{way}-long", run)


def _test(context, way, seed, steps, who):
    def run(test):
        if context.unbuilt:
            return test.failed(context.unbuilt)
        with context.lock:
            made = Programs()
        return test.failed(made.error) if made.error else attempt(test, context, made, [way, str(seed), str(steps)], who)

    return base.Test("history", f"{who.name}/{way}-{seed}", run)


def _many(context, way, who):
    """A result for each seed, until the time is over or one failed."""
    end = time.monotonic() + LONG_SECONDS
    seed = len(SEEDS)
    while time.monotonic() < end:
        seed += 1
        test = _test(context, way, seed, LONG_STEPS, who)
        result = test.run(test)
        yield result
        if result.status == base.FAIL:
            return


def _first_difference(want, got):
    """The step where the two part, with what came before it."""
    want, got = want.splitlines(), got.splitlines()
    for index, pair in enumerate(zip(want, got)):
        if pair[0] != pair[1]:
            before = "\n".join(want[max(0, index - 12) : index])
            return f"{before}\nkernel: {pair[0]}\nmount:  {pair[1]}"
    return f"{len(want)} lines became {len(got)}: {(want + [''])[min(len(want), len(got)) - 1]}"


def _differ(want, got, name):
    if want == got:
        return ""
    lines = difflib.unified_diff(want.decode().splitlines(), got.decode(errors="replace").splitlines(), "kernel", name, lineterm="")
    return "\n".join(list(lines)[:30])


def attempt(test, context, made, history, who):
    directory = context.scratch.directory(who)
    work = os.path.join(directory, "k")
    tree = apps.interpreter(os.path.join(base.TESTS, "apps", "tree.py")) + [os.path.join(base.TESTS, "apps", "tree.py")]
    plain = base.run([made.history, work, *history], who, base.clean_env(HISTORY_LAUNCHER=made.launcher), timeout=120)
    if plain.status != 0:
        return test.failed(f"on the kernel: {plain.says()}")
    for command in ([made.history, work, "check"], [made.reader, "kernel", work]):
        checked = base.run(command, who)
        if checked.status != 0:
            return test.failed(f"on the kernel: {checked.says()}")
    read = checked.out
    want = base.run(tree + [work], who)
    place = mount.Mount(context.products, who, directory)
    error = place.create()
    if error:
        return test.failed(error)
    target = f"{base.MOUNT}/x"
    ours = place.run([made.history, target, *history], timeout=240, HISTORY_LAUNCHER=made.launcher)
    if ours.out != plain.out or ours.status != 0:
        text = _first_difference(plain.out.decode(errors="replace"), ours.out.decode(errors="replace"))
        return test.failed(f"{text}\n{ours.err.decode(errors='replace')[-500:]}")
    problems = []
    for word in ("check", "sweep"):
        checked = place.run([made.history, target, word])
        if checked.status != 0:
            problems.append(checked.says())
    problems.append(_differ(want.out, place.run(tree + [target]).out, "mount"))
    bare = base.run([made.reader, "dfs", "/x"], who, place.bare_env())
    problems.append(_differ(read, bare.out, "bare DFS") if bare.status == 0 else f"by bare DFS: {bare.says()}")
    problems = [problem for problem in problems + [place.leaks()] if problem]
    context.scratch.drop(directory)
    return test.failed("\n".join(problems)) if problems else test.passed()
