"""Finds the tools, and builds the product. Says what it does."""

import os
import shutil
import subprocess

from . import base


def search_path():
    return ":".join([os.environ.get("PATH", ""), base.PATH, os.path.expanduser("~/.cargo/bin")])


def have(command):
    return shutil.which(command, path=search_path())


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
