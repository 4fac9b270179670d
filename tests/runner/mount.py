"""A mount to test on: a fresh store of the embedded provider and the way into it."""

import collections
import os
import shutil

from . import base


def missing():
    """What the build has not produced yet, in words; empty when all is there."""
    wanted = ["pil4dfs", "pil4dfs-embedded", "pil4dfs-dfuse", "libpil4dfs.so.0", "embedded/libdaos.so.2"]
    gone = [name for name in wanted if not os.path.exists(os.path.join(base.BUILD, name))]
    return f"not built yet: {', '.join(gone)} (in {base.BUILD})" if gone else ""


class Products:
    """The built files, in a place that the ordinary user can reach."""

    def __init__(self, scratch, identities):
        self.top = base.BUILD
        reach = ["test", "-x", os.path.join(base.BUILD, "pil4dfs")]
        if missing() or all(base.run(reach, who).status == 0 for who in identities):
            return
        self.top = os.path.join(scratch.top, "build")
        os.mkdir(self.top, 0o755)
        for name in os.listdir(base.BUILD):
            if name == "embedded":
                shutil.copytree(os.path.join(base.BUILD, name), os.path.join(self.top, name), symlinks=True)
            elif name in ("pil4dfs", "pil4dfs-embedded", "pil4dfs-dfuse") or (
                name.startswith("libpil4dfs.so") and not name.endswith(".p")
            ):
                shutil.copy2(os.path.join(base.BUILD, name), self.top, follow_symlinks=False)

    def path(self, name):
        return os.path.join(self.top, name)


class Mount:
    """One store, one mount; `command` wraps what is to run below it."""

    def __init__(self, products, identity, directory):
        self.products, self.identity = products, identity
        self.store = os.path.join(directory, "store")
        # Locks of a node are told apart by labels: no two stores may share them.
        self.cont = "cont-" + directory.strip("/").replace("/", "-")[-40:]
        # Where the guest starts: must be as empty afterwards as before.
        self.cwd = os.path.join(directory, "cwd")
        for path in (self.store, self.cwd):
            os.mkdir(path)
            identity.own(path)
        # Open to every user of the node, as a pool may be: some tests change theirs.
        os.chmod(self.store, 0o1777)

    def create(self, balanced=False):
        """Pool and container; answers an error text or nothing."""
        cont = ["cont", "create", "pool", self.cont] + ["--balanced"] * balanced
        return self._tool("pool", "create", "pool") or self._tool(*cont)

    def protect(self):
        """From now on the container can only be read; answers an error text or nothing."""
        return self._tool("cont", "protect", "pool", self.cont)

    def _tool(self, *words):
        tool = [self.products.path("pil4dfs-embedded"), "--root", self.store]
        outcome = base.run(tool + list(words), self.identity)
        return "" if outcome.status == 0 else f"pil4dfs-embedded {' '.join(words)}: {outcome.says()}"

    def options(self):
        """What every subcommand of `pil4dfs` calls this mount."""
        return ["--embedded", self.store, "--pool", "pool", "--cont", self.cont, "--mount", base.MOUNT]

    def command(self, argv):
        return [self.products.path("pil4dfs"), "run", *self.options(), "--", *argv]

    def reset_counters(self):
        return self._tool("counters", "--reset")

    def counted(self):
        """Calls of the provider's functions since the reset, by all processes."""
        tool = [self.products.path("pil4dfs-embedded"), "--root", self.store, "counters"]
        rows = [line.split() for line in base.run(tool, self.identity).out.decode().splitlines()]
        return collections.defaultdict(int, {row[0]: int(row[1]) for row in rows if len(row) == 2})

    def env(self, **more):
        return base.clean_env(**more)

    def preload_env(self, **more):
        """The variables that `pil4dfs run` sets, for those who start the guest themselves."""
        return self.env(
            LD_PRELOAD=self.products.path("libpil4dfs.so.0"),
            D_IL_MOUNT_POINT=base.MOUNT,
            D_IL_POOL="pool",
            D_IL_CONTAINER=self.cont,
            PIL4DFS_DAOS_DIR=self.products.path("embedded"),
            PIL4DFS_EMBEDDED_ROOT=self.store,
        ) | more

    def bare_env(self, **more):
        """For programs that make DFS calls themselves: no library, the same store."""
        env = self.preload_env(**more)
        for name in ("LD_PRELOAD", "D_IL_MOUNT_POINT"):
            del env[name]
        return env

    def run(self, argv, timeout=60, **env):
        return base.run(self.command(argv), self.identity, self.env(**env), self.cwd, timeout)

    def leaks(self):
        """Files where none may ever appear: the guest's kernel cwd and the mount point."""
        found = [os.path.join(self.cwd, name) for name in os.listdir(self.cwd)]
        if os.path.lexists(base.MOUNT):
            found += [base.MOUNT] + [os.path.join(base.MOUNT, name) for name in os.listdir(base.MOUNT)]
        return f"appeared in the kernel: {', '.join(found)}" if found else ""
