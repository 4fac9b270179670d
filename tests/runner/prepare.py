"""Installs what the tests need, and builds the product. Says what it does."""

import os
import shutil
import subprocess

from . import base

# command -> (Debian package, EL package); the first group is indispensable.
REQUIRED = {
    "gcc": ("gcc", "gcc"),
    "meson": ("meson", "meson"),
    "ninja": ("ninja-build", "ninja-build"),
    "cargo": ("cargo-web rustc-web", "cargo"),
    "setpriv": ("util-linux", "util-linux"),
}
USEFUL = {
    "strace": ("strace", "strace"),
    "git": ("git", "git"),
    "make": ("make", "make"),
    "perl": ("perl", "perl"),
    "dash": ("dash", "dash"),
    "rsync": ("rsync", "rsync"),
    "sqlite3": ("sqlite3", "sqlite"),
    "tar": ("tar", "tar"),
    "find": ("findutils", "findutils"),
    "mpirun": ("mpich", "mpich"),
    "mpicc": ("libmpich-dev", "mpich-devel"),
    "shellcheck": ("shellcheck", "ShellCheck"),
    "clang-format": ("clang-format", "clang-tools-extra"),
}
FILES = {"/usr/include/stdio.h": ("libc6-dev", "glibc-devel glibc-static")}


def search_path():
    return ":".join([os.environ.get("PATH", ""), base.PATH, os.path.expanduser("~/.cargo/bin")])


def have(command):
    return shutil.which(command, path=search_path())


def _as_root():
    if os.geteuid() == 0:
        return []
    return ["sudo", "-n"] if shutil.which("sudo") else None


def install(tables):
    """Installs the packages of the commands that are absent; never fails by itself."""
    column = 0 if shutil.which("apt-get") else 1
    absent = [names[column] for table in tables for command, names in table.items() if not have(command)]
    absent += [names[column] for path, names in FILES.items() if not os.path.exists(path)]
    packages = " ".join(absent).split()
    if not packages:
        return
    sudo = _as_root()
    manager = "apt-get" if column == 0 else "dnf"
    if sudo is None or not shutil.which(manager):
        print(f"cannot install {' '.join(packages)} (no root and no sudo, or no package manager)")
        return
    print(f"installing {' '.join(packages)} with {manager}", flush=True)
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    if column == 0:
        subprocess.run(sudo + ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=600", "update"], env=env, check=False)
        command = sudo + ["apt-get", "-qq", "-y", "-o", "DPkg::Lock::Timeout=600", "install", "--no-install-recommends"]
    else:
        command = sudo + ["dnf", "-q", "-y", "install"]
    done = subprocess.run(command + packages, env=env, stdout=subprocess.DEVNULL, check=False)
    if done.returncode != 0:  # one unknown name must not cost the others
        for package in packages:
            subprocess.run(command + [package], env=env, stdout=subprocess.DEVNULL, check=False)


def build():
    """meson setup + compile; answers an error text or nothing."""
    if not os.path.exists(os.path.join(base.ROOT, "meson.build")):
        return "there is no meson.build"
    env = dict(os.environ, PATH=search_path())
    steps = []
    if not os.path.exists(os.path.join(base.BUILD, "build.ninja")):
        steps.append(["meson", "setup", base.BUILD, base.ROOT])
    steps.append(["meson", "compile", "-C", base.BUILD])
    for step in steps:
        print("building:", " ".join(step), flush=True)
        done = subprocess.run(step, env=env, cwd=base.ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            return f"{' '.join(step)} failed:\n{done.stdout.decode(errors='replace')[-4000:]}"
    return ""
