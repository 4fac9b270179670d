"""history: random operations of two processes, replayed on a kernel directory."""

import difflib
import os

from . import apps, base, mount, programs

# Seeds that once found something stay at the head of the list.
SEEDS = list(range(1, 9))
STEPS = 400
# apart: the two share only files that keep their names; together: everything.
WAYS = ["apart", "together"]


def tests(context):
    source = os.path.join(base.TESTS, "history", "history.c")
    seeds = SEEDS if not context.args.long else list(range(1, 201))
    for way, seed in [(way, seed) for way in WAYS for seed in seeds]:
        for who in context.identities:

            def run(test, way=way, seed=seed, who=who):
                if context.unbuilt:
                    return test.failed(context.unbuilt)
                with context.lock:
                    binary, error = programs.compile_one(source)
                return test.failed(error) if error else attempt(test, context, binary, [way, str(seed)], who)

            yield base.Test("history", f"{who.name}/{way}-{seed}", run)


def _first_difference(want, got):
    """The step where the two part, with what came before it."""
    want, got = want.splitlines(), got.splitlines()
    for index, pair in enumerate(zip(want, got)):
        if pair[0] != pair[1]:
            before = "\n".join(want[max(0, index - 12) : index])
            return f"{before}\nkernel: {pair[0]}\nmount:  {pair[1]}"
    return f"{len(want)} lines became {len(got)}: {(want + [''])[min(len(want), len(got)) - 1]}"


def attempt(test, context, binary, history, who):
    directory = context.scratch.directory(who)
    work = os.path.join(directory, "k")
    words = history + [str(STEPS if not context.args.long else 4 * STEPS)]
    tree = apps.interpreter(os.path.join(base.TESTS, "apps", "tree.py")) + [os.path.join(base.TESTS, "apps", "tree.py")]
    plain = base.run([binary, work, *words], who)
    if plain.status != 0:
        return test.failed(f"on the kernel: {plain.says()}")
    checked = base.run([binary, work, "check"], who)
    if checked.status != 0:
        return test.failed(f"on the kernel: {checked.says()}")
    want = base.run(tree + [work], who)
    place = mount.Mount(context.products, who, directory)
    error = place.create()
    if error:
        return test.failed(error)
    target = f"{base.MOUNT}/x"
    ours = place.run([binary, target, *words])
    if ours.out != plain.out or ours.status != 0:
        text = _first_difference(plain.out.decode(errors="replace"), ours.out.decode(errors="replace"))
        return test.failed(f"{text}\n{ours.err.decode(errors='replace')[-500:]}")
    checked = place.run([binary, target, "check"])
    got = place.run(tree + [target])
    problems = []
    if checked.status != 0:
        problems.append(checked.says())
    if got.out != want.out:
        lines = difflib.unified_diff(want.out.decode().splitlines(), got.out.decode(errors="replace").splitlines(), "kernel", "mount", lineterm="")
        problems.append("\n".join(list(lines)[:30]))
    problems += [place.leaks()] if place.leaks() else []
    context.scratch.drop(directory)
    return test.failed("\n".join(problems)) if problems else test.passed()
