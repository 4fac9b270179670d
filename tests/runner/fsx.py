"""fsx: random reads, writes, truncations, mappings, copies and holes of one file, every byte checked."""

import glob
import os

from . import base, crates

# Operations of one run, and the seeds of each identity. In all 200,000 by default, 10,000,000 with --long.
STEPS = {"plain": 42_000, "mapped": 8_000}
LONG_STEPS = {"plain": 900_000, "mapped": 100_000}
SEEDS = {"root": [1, 3], "user": [2, 4]}
LONG_SEEDS = {"root": [1, 3, 5, 7, 9], "user": [2, 4, 6, 8, 10]}
# A kernel directory shows that a configuration is legal; it need not run for long.
ORACLE = 10
TIMEOUT = {False: 900, True: 6 * 3600}


def configurations():
    """name -> file."""
    found = glob.glob(os.path.join(base.TESTS, "public", "fsx", "*.toml"))
    return {os.path.splitext(os.path.basename(path))[0]: path for path in sorted(found)}


def runs(context):
    """(name of the run, configuration, seed, steps, identity)."""
    long = context.args.long
    for name, path in configurations().items():
        for who in context.identities:
            for seed in (LONG_SEEDS if long else SEEDS)[who.name]:
                yield f"fsx-{name}-{seed}", path, seed, (LONG_STEPS if long else STEPS)[name], who


def _exercise(test, context, place, path, seed, steps):
    program, reason = crates.program("fsx", context)
    if reason:
        return test.skipped(reason)
    command = [program, "-f", path, "-N", str(steps), "-S", str(seed), "-P", place.cwd, os.path.join(place.directory, "fsx")]
    ran = place.run(command, TIMEOUT[context.args.long])
    if ran.status != 0 or b"A-OK" not in ran.out:
        return test.failed(f"{place.name}, {steps} operations, seed {seed}: {ran.says()}")
    return test.passed(f"{steps} operations")


def on_mount(test, context, places, path, seed, steps):
    kernel, mounted = places
    native = _exercise(test, context, kernel, path, seed, max(steps // ORACLE, 1))
    return native if native.status != base.PASS else _exercise(test, context, mounted, path, seed, steps)


def transparent(test, context, armed, path, seed, steps):
    return _exercise(test, context, armed, path, seed, max(steps // ORACLE, 1))
