"""The list of suites, in the order in which they run."""

import dataclasses
import fnmatch
import glob
import os

from . import (
    api,
    apps,
    away,
    bad,
    base,
    bypass,
    cli,
    conform,
    debian,
    dfuse,
    docs,
    engine,
    entry,
    fault,
    gate,
    history,
    keep,
    launch,
    lint,
    modules,
    mpi,
    mounts,
    neighbours,
    packages,
    public,
    roots,
    rust,
    stress,
    slurm,
    surface,
    transparency,
)


@dataclasses.dataclass
class Suite:
    name: str
    tests: object
    needs_build: bool = True
    needs_programs: bool = False

    def may_match(self, patterns):
        """Whether a pattern could choose a test of this suite."""
        if not patterns:
            return True
        heads = [pattern.split("/", 1)[0] for pattern in patterns]
        names = [suite.name for suite in ALL]
        return any(fnmatch.fnmatchcase(self.name, head) or head not in names for head in heads)


def program_names():
    sources = sorted(glob.glob(os.path.join(base.TESTS, "conform", "*.c")))
    return {os.path.splitext(os.path.basename(source))[0]: ("", "") for source in sources}


ALL = [
    Suite("lint", lint.tests, needs_build=False),
    Suite("rust", rust.tests, needs_build=False),
    Suite("engine", engine.tests),
    Suite("entry", entry.tests),
    Suite("surface", surface.tests, needs_build=False, needs_programs=True),
    Suite("conform-native", conform.native, needs_build=False, needs_programs=True),
    Suite("conform-mount", conform.mounted, needs_programs=True),
    Suite("transparency", transparency.tests, needs_programs=True),
    Suite("apps", apps.tests),
    Suite("history", history.tests),
    Suite("stress", stress.tests),
    Suite("gate", gate.tests),
    Suite("keep", keep.tests),
    Suite("mpi", mpi.tests),
    Suite("launch", launch.tests),
    Suite("bypass", bypass.tests),
    Suite("fault", fault.tests),
    Suite("bad", bad.tests),
    Suite("away", away.tests),
    Suite("dfuse", dfuse.tests, needs_programs=True),
    Suite("cli", cli.tests),
    Suite("api", api.tests),
    Suite("docs", docs.tests),
    Suite("mounts", mounts.tests),
    Suite("packages", packages.tests, needs_build=False),
    Suite("debian", debian.tests),
    Suite("modules", modules.tests),
    Suite("slurm", slurm.tests),
    Suite("public", public.tests),
    Suite("public-transparency", public.transparency),
    Suite("neighbours", neighbours.tests),
    Suite("roots", roots.tests, needs_programs=True),
]
