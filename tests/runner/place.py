"""Where a public suite works: on a kernel directory, on a mount, or on a kernel directory with the
library loaded and a mount armed elsewhere."""

import os

from . import base, mount


class Kernel:
    """A fresh kernel directory, without the library: the oracle."""

    name = "kernel"

    def __init__(self, context, who):
        self.context, self.who = context, who
        self.top = context.scratch.directory(who)
        self.directory = self.make("d")
        self.cwd = self.make("cwd")

    def make(self, name):
        path = os.path.join(self.top, name)
        os.mkdir(path, 0o755)
        self.who.own(path)
        return path

    def run(self, argv, timeout):
        return base.run(argv, self.who, self.env(), self.cwd, timeout)

    def env(self):
        return base.clean_env(HOME=self.cwd)

    def leaks(self):
        return ""

    def drop(self):
        self.context.scratch.drop(self.top)


class Mounted(Kernel):
    """A fresh mount, made by `pil4dfs run`."""

    name = "mount"

    def __init__(self, context, who):
        super().__init__(context, who)
        self.directory = base.MOUNT
        self.mount = mount.Mount(context.products, who, self.make("m"))
        self.error = self.mount.create()

    def run(self, argv, timeout):
        return self.mount.run(argv, timeout, HOME=self.cwd)

    def leaks(self):
        return self.mount.leaks()


class Armed(Kernel):
    """A kernel directory; the library is loaded and serves a mount that nobody touches."""

    name = "armed"

    def __init__(self, context, who):
        super().__init__(context, who)
        self.mount = mount.Mount(context.products, who, self.make("m"))
        self.error = self.mount.create()
        if not self.error and self.run(["test", "-d", base.MOUNT], 30).status != 0:
            self.error = f"the library is not armed: {base.MOUNT} is not there"

    def variables(self):
        """What loads and arms the library."""
        plain = base.clean_env()
        return {name: value for name, value in self.mount.preload_env().items() if name not in plain}

    def env(self):
        return dict(super().env(), **self.variables())

    def leaks(self):
        return self.mount.leaks()
