"""What the programs of this directory run on: a store, a kernel directory, and the bench compiled."""
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent


class Stage:
    """A store and a kernel directory below `work`, for the library in `build`."""

    def __init__(self, build, work):
        self.build, self.work = build, Path(work)
        self.store, self.kernel = self.work / "store", self.work / "kernel"
        self.store.mkdir()
        self.kernel.mkdir()
        for command in (["pool", "create", "pool"], ["cont", "create", "pool", "cont"]):
            self.embedded(*command)
        self.programs = 0
        self.bench = self.compile("bench", "bench.c", "bare.c", "side.c")
        self.many = self.compile("many", "many.c")

    def embedded(self, *args):
        """Runs pil4dfs-embedded on the store."""
        command = [self.build / "pil4dfs-embedded", "--root", self.store, *args]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def clean(self):
        """The variables of a program without the library."""
        return {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}

    def environment(self, **extra):
        """The variables of a program below the mount."""
        return dict(
            os.environ,
            LD_PRELOAD=str(self.build / "libpil4dfs.so.0"),
            PIL4DFS_DAOS_DIR=str(self.build / "embedded"),
            PIL4DFS_EMBEDDED_ROOT=str(self.store),
            D_IL_POOL="pool", D_IL_CONTAINER="cont", D_IL_MOUNT_POINT="/dfs", **extra)

    def compile(self, name, *sources):
        """Compiles a program of this directory."""
        out = self.work / name
        command = ["gcc", "-O2", "-g", "-pthread", "-o", out, *(HERE / s for s in sources)]
        subprocess.run(command, check=True)
        return out

    def bench_arguments(self, rounds, divide):
        """The command line of bench, on directories of its own."""
        self.programs += 1
        kernel = self.kernel / f"b{self.programs}"
        kernel.mkdir()
        return [self.bench, f"/dfs/b{self.programs}", kernel, str(rounds), str(divide)]
