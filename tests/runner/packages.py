"""packages: the RPMs are built from the checked-out commit, installed by dnf into a throw-away root
beside stand-ins of DAOS's own packages, used from there, upgraded around and removed."""

import glob
import os
import shutil
import tempfile
import threading

from . import base, prepare

TOOLS = ["rpmbuild", "createrepo_c", "dnf", "rpmlint", "git", "xz"]
SPEC = os.path.join(base.ROOT, "packaging", "rpm", "daos-pil4dfs.spec")
SHAPES = os.path.join(base.TESTS, "packaging", "shapes.spec")
BUILDING = threading.Lock()
OURS = ["daos-pil4dfs", "daos-pil4dfs-devel", "daos-pil4dfs-embedded", "daos-pil4dfs-slurm"]


class Trouble(Exception):
    """A step that failed: the rest of the test makes no sense."""


def command(*words, timeout=300, **env):
    """Runs a tool and gives its output; `Trouble` when it fails."""
    done = base.run(words, env=dict(base.clean_env(), PATH=prepare.search_path(), HOME=os.environ.get("HOME", "/root"), **env),
                    cwd=base.ROOT, timeout=timeout)
    if done.status != 0 or done.timed_out:
        raise Trouble(f"{' '.join(map(str, words))}: {done.says()}")
    return done.out.decode(errors="replace")


def build():
    """The packages of HEAD, kept in the build directory until HEAD changes; their files."""
    top = os.path.join(base.BUILD, "rpm")
    stamp, head = os.path.join(top, "built-from"), command("git", "rev-parse", "HEAD").strip()
    with BUILDING:
        if not (os.path.exists(stamp) and open(stamp).read() == head):
            shutil.rmtree(top, ignore_errors=True)
            command(os.path.join(base.ROOT, "packaging", "rpm", "build"), top, timeout=2400)
            with open(stamp, "w") as file:
                file.write(head)
    return sorted(glob.glob(os.path.join(top, "RPMS", "*", "*.rpm")))


def unpack(name, pattern, place):
    """The files of one of our packages that fit the pattern, put into a directory."""
    package = next(path for path in build() if os.path.basename(path).startswith(name + "-0"))
    with tempfile.TemporaryDirectory(dir=base.BUILD) as top:
        command("sh", "-c", 'cd "$1" && rpm2cpio "$0" | cpio -id --quiet "$2"', package, top, pattern)
        for directory, _, names in os.walk(top):
            for file in names:
                shutil.copy2(os.path.join(directory, file), place, follow_symlinks=False)


class Root:
    """A throw-away installation: its own package database, one local repository."""

    def __init__(self, scratch, packages):
        self.top = os.path.join(scratch, "root")
        self.cache = os.path.join(scratch, "cache")
        self.repository = os.path.join(scratch, "repository")
        os.makedirs(self.repository)
        for version in ("2.6.0", "2.8.0"):
            shapes = os.path.join(scratch, version)
            command("rpmbuild", "-bb", "--nodeps", "--define", f"_topdir {shapes}", "--define", f"daos_version {version}", SHAPES)
            packages = packages + glob.glob(os.path.join(shapes, "RPMS", "*", "*.rpm"))
        for package in packages:
            shutil.copy(package, self.repository)
        command("createrepo_c", "-q", self.repository)

    def dnf(self, *words):
        return command("dnf", "-y", "-q", f"--installroot={self.top}", "--releasever=9", "--disablerepo=*",
                       "--setopt=reposdir=/nonexistent", f"--setopt=cachedir={self.cache}", "--setopt=install_weak_deps=False",
                       f"--repofrompath=local,file://{self.repository}", "--enablerepo=local", "--nogpgcheck", *words)

    def rpm(self, *words):
        return command("rpm", "--root", self.top, *words)

    def run(self, *words):
        """A command of the installed tree; the root holds no libc, so the host's loader runs it."""
        return command(os.path.join(self.top, "usr/bin", words[0]), *words[1:])

    def files(self):
        found = set()
        for directory, _, names in os.walk(self.top):
            found.update(os.path.relpath(os.path.join(directory, name), self.top) for name in names)
        return {name for name in found if not name.startswith(("var/", "root/", "usr/lib/sysimage", "etc/dnf"))}


def lint(_, packages):
    """rpmlint finds nothing beyond packaging/rpm/rpmlint.toml."""
    config = os.path.join(base.ROOT, "packaging", "rpm", "rpmlint.toml")
    command("rpmlint", "--config", config, *packages, SPEC)


def contents(root, packages):
    """No path of the place of building in a file; debug information where distributions look for it; the
    library runs with glibc 2.28."""
    place = os.path.join(root.cache, "contents")
    os.makedirs(place)
    unpack("daos-pil4dfs", "*/libpil4dfs.so.0*", place)
    command(os.path.join(base.ROOT, "build-aux", "oldest-glibc.sh"), "2.28", os.path.join(place, "libpil4dfs.so.0"))
    names = [os.path.basename(package) for package in packages]
    if not any("debuginfo" in name for name in names):
        raise Trouble(f"no debuginfo among {names}")
    for package in packages:
        for name in command("rpm", "-qlp", package).split("\n"):
            if base.ROOT in name:
                raise Trouble(f"{package} owns {name}")


def beside_daos(root, _):
    """With daos-client: DAOS's own libraries satisfy us, no file is fought over. An older release of ours goes."""
    root.dnf("install", "daos-client-2.6.0", "daos-pil4dfs-0.0.1")
    root.dnf("upgrade", "daos-pil4dfs")
    if any("0.0.1" in name for name in root.files()):
        raise Trouble("the older release's files are there")
    root.dnf("install", "daos-client-2.6.0", "daos-pil4dfs", "daos-pil4dfs-devel", "daos-pil4dfs-slurm")
    installed = root.rpm("-qa")
    if "embedded" in installed or "daos-client-2.6.0" not in installed:
        raise Trouble(installed)
    root.rpm("-V", "daos-pil4dfs", "daos-pil4dfs-devel", "daos-pil4dfs-slurm", "daos-client")


def upgrade_around(root, _):
    """daos-client is upgraded under us, and its library of the same stem stays its own."""
    root.dnf("upgrade", "daos-client", "daos")
    owner = root.rpm("-qf", "/usr/lib64/libpil4dfs.so")
    if "daos-client-2.8.0" not in owner:
        raise Trouble(owner)
    root.rpm("-V", "daos-pil4dfs", "daos-client")


def embedded(root, _):
    """The provider's package, and a program below a mount from the installed tree."""
    root.dnf("install", "daos-pil4dfs-embedded")
    root.rpm("-V", "daos-pil4dfs-embedded")
    store = os.path.join(root.cache, "store")
    root.run("pil4dfs-embedded", "--root", store, "pool", "create", "pool")
    root.run("pil4dfs-embedded", "--root", store, "cont", "create", "pool", "cont")
    said = root.run("pil4dfs", "run", "--embedded", store, "--pool", "pool", "--cont", "cont", "--mount", "/dfs", "--",
                    "/bin/sh", "-c", "mkdir /dfs/d; echo below the mount > /dfs/d/f; cat /dfs/d/f; ls /dfs")
    if said != "below the mount\nd\n":
        raise Trouble(repr(said))


def selected(root, _):
    """Scripts that preload libpil4dfs.so get ours with our directory in LD_LIBRARY_PATH, and daos-client's without it."""
    libdir = os.path.join(root.top, "usr/lib64")
    for path, ours in ((f"{libdir}/daos-pil4dfs:{libdir}", True), (libdir, False)):
        said = command("env", f"LD_LIBRARY_PATH={path}", "LD_PRELOAD=libpil4dfs.so", "cat", "/proc/self/maps")
        if "libpil4dfs.so" not in said or ours != ("libpil4dfs.so.0" in said):
            raise Trouble(f"{path}: {said}")


def link(root, _):
    """A C program by pkg-config, linked with the devel package's library."""
    pc = os.path.join(root.top, "usr/lib64/pkgconfig")
    flags = command("pkg-config", "--cflags", "--libs", "pil4dfs", PKG_CONFIG_PATH=pc, PKG_CONFIG_SYSROOT_DIR=root.top).split()
    out = os.path.join(root.cache, "linked")
    version = command("pkg-config", "--modversion", "pil4dfs", PKG_CONFIG_PATH=pc).strip()
    command("cc", "-o", out, f'-DPIL4DFS_EXPECTED="{version}"', os.path.join(base.TESTS, "packaging", "linked.c"), *flags,
            "-Wl,-rpath," + os.path.join(root.top, "usr/lib64"))
    command(out)


def removed(root, _):
    """Removal leaves none of our files, reinstallation brings them back."""
    before = root.files()
    root.dnf("remove", *OURS)
    left = [name for name in root.files() if "pil4dfs" in name and name != "usr/lib64/libpil4dfs.so"]
    if left:
        raise Trouble(f"left behind: {left}")
    root.dnf("install", *OURS)
    if root.files() != before:
        raise Trouble(f"not the same: {sorted(root.files() ^ before)}")
    root.dnf("remove", *OURS)


def reproducible(root, packages):
    """A second build gives the same bytes."""
    top = os.path.join(root.cache, "again")
    command(os.path.join(base.ROOT, "packaging", "rpm", "build"), top, timeout=2400)
    for package in packages:
        again = glob.glob(os.path.join(top, "RPMS", "*", os.path.basename(package)))
        command("cmp", package, again[0])


STEPS = [lint, contents, beside_daos, upgrade_around, selected, embedded, link, removed]


def tests(context):
    """Root only: dnf writes into a root of its own."""
    steps = STEPS + ([reproducible] if context.args.long else [])

    def packages(test):
        missing = [tool for tool in TOOLS if not prepare.have(tool)]
        if missing or os.geteuid() != 0:
            return test.skipped(f"not installed: {', '.join(missing)}" if missing else "dnf needs root")
        who = context.identities[0]
        results, scratch = [], context.scratch.directory(who)
        try:
            built = build()
            root = Root(scratch, built)
        except Trouble as trouble:
            return test.failed(str(trouble))
        for step in steps:
            name = f"root/{step.__name__.replace('_', '-')}"
            try:
                step(root, built)
                results.append(base.Result(test.suite, name, base.PASS))
            except Trouble as trouble:
                results.append(base.Result(test.suite, name, base.FAIL, str(trouble)))
        context.scratch.drop(scratch)
        return results

    yield base.Test("packages", "root/packages", packages)
