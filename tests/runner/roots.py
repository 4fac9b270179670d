"""roots: the packaged library in other systems' root directories, below their C libraries.

Makes a Debian root for each C library, copies the library of the package, the provider and the
conformance programs in, and runs the programs with chroot: the same files, made here. For the older
one the programs, and the provider, which is no part of the product, are built against that root's
libc."""

import glob
import os
import shutil
import subprocess
import threading

from . import base, conform, mount, packages, prepare

# Debian's name -> (glibc, older than the one here and than 2.34)
ROOTS = {"bullseye": ("2.31", True), "bookworm": ("2.36", False), "trixie": ("2.41", False), "sid": ("2.43 or later", False)}
HERE = "/pil4dfs-test"
# Programs that look functions up which the older C library has not.
NEWER = ["registers"]
# Run in a mount namespace of its own, so that nothing stays mounted.
ENTER = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'


def unusable(context):
    if not context.args.long:
        return "only with --long: makes root directories of other systems"
    if os.geteuid() != 0:
        return "chroot needs root"
    if not prepare.have("mmdebstrap"):
        return "no mmdebstrap"
    return ""


def _run(command, timeout, **more):
    done = base.run(command, None, dict(os.environ, PATH=prepare.search_path(), **more), base.ROOT, timeout)
    return "" if done.status == 0 else f"{' '.join(command)}: {done.says(1500)}"


class Root:
    """One system's root directory, with the product in it."""

    def __init__(self, context, name):
        self.context, self.name, self.old = context, name, ROOTS[name][1]
        self.top = os.path.join(context.scratch.top, "root-" + name)
        self.programs, self.error, self.number = {}, None, 0
        self.lock = threading.Lock()

    def ready(self):
        """Made once, by whoever needs it first; an error text or nothing."""
        with self.lock:
            if self.error is None:
                self.error = self.make()
            return self.error

    def make(self):
        """Everything that the programs need; an error text or nothing."""
        include = ["--include=libc6-dev"] if self.old else []
        command = ["mmdebstrap", "--quiet", "--variant=essential", "--aptopt=Acquire::Check-Valid-Until \"false\""]
        error = _run([*command, *include, self.name, self.top], 600)
        if error:
            return f"no root directory: {error}"
        os.chmod(self.top, 0o755)
        for name in ("null", "zero", "full", "urandom", "tty"):
            if not os.path.exists(os.path.join(self.top, "dev", name)):
                subprocess.run(["cp", "-a", "/dev/" + name, os.path.join(self.top, "dev")], check=False)
        return self.fill()

    def fill(self):
        """Copies library, provider and programs in."""
        place = os.path.join(self.top, HERE[1:])
        os.makedirs(os.path.join(place, "embedded"))
        for name in ("dev/shm", "tmp", "var/tmp"):
            os.makedirs(os.path.join(self.top, name), exist_ok=True)
            os.chmod(os.path.join(self.top, name), 0o1777)
        provider = os.path.join(base.BUILD, "embedded", "libdaos.so.2")
        if self.old:
            self.turn_links()
            provider, error = self.provider_for_old()
            if error:
                return error
        try:
            packages.unpack("daos-pil4dfs", "*/libpil4dfs.so.0*", place)
        except packages.Trouble as trouble:
            return str(trouble)
        shutil.copy2(os.path.realpath(provider), os.path.join(place, "embedded", "libdaos.so.2"))
        for name in ("libdfs.so", "libduns.so", "libdaos_common.so", "libgurt.so.4"):
            os.symlink("libdaos.so.2", os.path.join(place, "embedded", name))
        return self.compile(place)

    def turn_links(self):
        """Absolute symbolic links among the libraries made relative: a linker here follows them, too."""
        for pattern in ("lib64/*", "usr/lib/x86_64-linux-gnu/*.so"):
            for path in glob.glob(os.path.join(self.top, pattern)):
                if os.path.islink(path) and os.readlink(path).startswith("/"):
                    target = os.path.relpath(self.top + os.readlink(path), os.path.dirname(path))
                    os.unlink(path)
                    os.symlink(target, path)

    def against(self):
        """What makes gcc link with this root's libraries; it looks into its own directories first."""
        places = [os.path.join(self.top, name, "x86_64-linux-gnu") for name in ("usr/lib", "lib")]
        return [f"-Wl,--sysroot={self.top}", *("-B" + place + "/" for place in places), *("-L" + place for place in places)]

    def provider_for_old(self):
        """The provider linked with this root's libc."""
        target = os.path.join(base.BUILD, "cargo-" + self.name)
        error = _run(
            ["cargo", "build", "-q", "--locked", "-p", "pil4dfs-embedded", "--lib", "--target-dir", target, "--manifest-path", os.path.join(base.ROOT, "rust/Cargo.toml")],
            900,
            RUSTFLAGS=" ".join(f"-Clink-arg={word}" for word in self.against()),
        )
        return os.path.join(target, "debug", "libpil4dfs_embedded.so"), error

    def compile(self, place):
        """The conformance programs: those made here, or for an older libc made against that."""
        for name, (binary, error) in self.context.conform.items():
            inside = os.path.join(place, name)
            if self.old and not error:
                source = os.path.join(base.TESTS, "conform", name + ".c")
                flags = ["-std=gnu11", "-O2", "-D_GNU_SOURCE", "-w", *self.against()]
                done = base.run(["gcc", *flags, "-I", os.path.dirname(source), "-o", inside, source, "-pthread", "-ldl"], timeout=120)
                error = "" if done.status == 0 else done.says()
            elif not error:
                shutil.copy2(binary, inside)
            self.programs[name] = error
        return ""

    def attempt(self, test, name, who):
        """One program on a mount in this root."""
        error = self.ready() or self.programs[name]
        if "undefined reference" in error or self.old and name in NEWER:
            return test.skipped("wants a newer C library")
        if error:
            return test.failed(error)
        with self.context.lock:
            self.number += 1
            work = f"{HERE}/w{self.number}"
        directory = self.top + work
        os.mkdir(directory, 0o755)
        who.own(directory)
        place = mount.Mount(self.context.products, who, directory)
        place.cont = f"{self.name}-{self.number}"
        error = place.create()
        if error:
            return test.failed(error)
        env = place.preload_env()
        env.update(LD_PRELOAD=f"{HERE}/libpil4dfs.so.0", PIL4DFS_DAOS_DIR=f"{HERE}/embedded", PIL4DFS_EMBEDDED_ROOT=f"{work}/store")
        inside = ["env", "-i", *(f"{key}={value}" for key, value in env.items()), f"{HERE}/{name}", f"{base.MOUNT}/x", "mount"]
        argv = ["unshare", "-m", "sh", "-c", ENTER, self.top, *who.prefix, "sh", "-c", f'cd {work}/cwd && exec "$@"', "sh", *inside]
        outcome = base.run(argv, timeout=120)
        found = os.listdir(place.cwd)
        leaks = f"appeared in the kernel: {found}" if found else ""
        self.context.scratch.drop(directory)
        return conform.judge(test, outcome, leaks)


def tests(context):
    why = unusable(context)
    for name in ROOTS:
        if why:
            yield base.Test("roots", f"any/{name}", lambda test: test.skipped(why))
            continue
        root = Root(context, name)
        for program in context.conform:
            for who in context.identities:

                def run(test, root=root, program=program, who=who):
                    return root.attempt(test, program, who)

                yield base.Test("roots", f"{who.name}/{name}-{program}", run)
