"""debian: the Debian packages, made of what Meson installs, installed by dpkg into a throw-away root
whose list of packages is a stand-in, used from there, removed and installed again."""

import glob
import os
import shutil

from . import base, packages, prepare

TOOLS = ["dpkg-deb", "dpkg-shlibdeps", "dpkg-architecture", "git"]
BUILD = os.path.join(base.ROOT, "packaging", "deb", "build")
STAND_IN = "Package: {0}\nStatus: install ok installed\nVersion: 99:1\nArchitecture: amd64\nMaintainer: nobody <nobody@localhost>\nDescription: stand-in\n\n"
Trouble, command = packages.Trouble, packages.command


def build():
    """The packages of the work tree; cargo's part is the one of the build."""
    top = os.path.join(base.BUILD, "deb")
    cargo = os.path.join(top, "build", "cargo")
    if not os.path.lexists(cargo):
        os.makedirs(os.path.dirname(cargo))
        os.symlink(os.path.join(base.BUILD, "cargo"), cargo)
    for old in glob.glob(os.path.join(top, "*.deb")):
        os.unlink(old)
    command(BUILD, top, timeout=1800, SOURCE_DATE_EPOCH="1700000000")
    found = sorted(glob.glob(os.path.join(top, "*.deb")))
    if len(found) != 4:
        raise Trouble(f"{found}")
    return {os.path.basename(path).split("_")[0]: path for path in found}


class Root:
    """A throw-away installation."""

    def __init__(self, scratch, built):
        self.top = os.path.join(scratch, "root")
        self.work = scratch
        self.built = built
        for name in ("info", "updates", "triggers"):
            os.makedirs(os.path.join(self.top, "var/lib/dpkg", name))
        self.libdir = os.path.join(self.top, "usr/lib", command("dpkg-architecture", "-qDEB_HOST_MULTIARCH").strip())
        needs = set()
        for path in built.values():
            for word in command("dpkg-deb", "-f", path, "Depends").replace("|", ",").split(","):
                needs.add(word.split("(")[0].strip())
        with open(os.path.join(self.top, "var/lib/dpkg/status"), "w", encoding="utf-8") as file:
            file.writelines(STAND_IN.format(name) for name in sorted(needs) if name and "daos" not in name)

    def dpkg(self, *words):
        return command("dpkg", f"--root={self.top}", "--force-not-root", "--log=/dev/null", *words)

    def files(self):
        found = set()
        for directory, _, names in os.walk(self.top):
            found.update(os.path.relpath(os.path.join(directory, name), self.top) for name in names)
        return {name for name in found if not name.startswith("var/lib/dpkg")}


def reproducible(root):
    """Packed again, the same bytes."""
    kept = os.path.join(root.work, "first")
    os.makedirs(kept)
    for path in root.built.values():
        shutil.copy(path, kept)
    for path in build().values():
        command("cmp", path, os.path.join(kept, os.path.basename(path)))


def portable(root):
    """The packaged library runs with glibc 2.28."""
    out = os.path.join(root.work, "unpacked")
    command("dpkg-deb", "-x", root.built["daos-pil4dfs"], out)
    library = glob.glob(os.path.join(out, "usr/lib/*/libpil4dfs.so.0"))
    command(os.path.join(base.ROOT, "build-aux", "oldest-glibc.sh"), "2.28", library[0])


def wants_a_client(root):
    """Neither daos-client nor the provider: refused, and nothing is configured."""
    try:
        root.dpkg("-i", root.built["daos-pil4dfs"])
    except Trouble as trouble:
        if "daos-client" not in str(trouble):
            raise
    else:
        raise Trouble("installed without a DAOS client")
    root.dpkg("-P", "daos-pil4dfs")


def installed(root):
    """All four, verified; no file but ours."""
    root.dpkg("-i", *root.built.values())
    if root.dpkg("--verify").strip():
        raise Trouble(root.dpkg("--verify"))


def used(root):
    """A program below a mount from the installed tree, and one that links each library."""
    store = os.path.join(root.work, "store")
    os.makedirs(store)
    bin_dir = os.path.join(root.top, "usr/bin")
    command(os.path.join(bin_dir, "pil4dfs-embedded"), "--root", store, "pool", "create", "pool")
    command(os.path.join(bin_dir, "pil4dfs-embedded"), "--root", store, "cont", "create", "pool", "cont")
    said = command(os.path.join(bin_dir, "pil4dfs"), "run", "--embedded", store, "--pool", "pool", "--cont", "cont", "--mount", "/dfs", "--",
                   "/bin/sh", "-c", "echo below the mount > /dfs/f; cat /dfs/f; ls /dfs")
    if said != "below the mount\nf\n":
        raise Trouble(repr(said))
    env = {"PKG_CONFIG_PATH": os.path.join(root.libdir, "pkgconfig"), "PKG_CONFIG_SYSROOT_DIR": root.top}
    for name in ("pil4dfs", "pil4dfs-static"):
        out = os.path.join(root.work, "linked-" + name)
        flags = command("pkg-config", "--cflags", "--libs", name, **env).split()
        version = command("pkg-config", "--modversion", name, **env).strip()
        command("cc", "-o", out, f'-DPIL4DFS_EXPECTED="{version}"', os.path.join(base.TESTS, "packaging", "linked.c"), *flags,
                "-Wl,-rpath," + root.libdir)
        command(out)


def removed(root):
    """Purged, nothing is left; installed again, all is there."""
    before = root.files()
    root.dpkg("-P", *reversed(sorted(root.built)))
    if root.files():
        raise Trouble(f"left behind: {sorted(root.files())[:20]}")
    root.dpkg("-i", *root.built.values())
    if root.files() != before:
        raise Trouble(f"not the same: {sorted(root.files() ^ before)}")


STEPS = [reproducible, portable, wants_a_client, installed, used, removed]


def tests(context):
    """Root only: dpkg writes files of root's."""

    def debian(test):
        missing = [tool for tool in TOOLS if not prepare.have(tool)]
        if context.unbuilt:
            return test.failed(context.unbuilt)
        if missing or os.geteuid() != 0:
            return test.skipped(f"not installed: {', '.join(missing)}" if missing else "dpkg needs root")
        results, scratch = [], context.scratch.directory(context.identities[0])
        try:
            root = Root(scratch, build())
        except Trouble as trouble:
            return test.failed(str(trouble))
        for step in STEPS:
            name = f"root/{step.__name__.replace('_', '-')}"
            try:
                step(root)
                results.append(base.Result(test.suite, name, base.PASS))
            except Trouble as trouble:
                results.append(base.Result(test.suite, name, base.FAIL, str(trouble)))
        context.scratch.drop(scratch)
        return results

    yield base.Test("debian", "root/packages", debian)
