"""The test programs that come from crates.io, at fixed versions; built once, into build/public/."""

import os
import shutil
import subprocess

from . import base, prepare

VERSIONS = {"pjdfstest": "0.2.2", "fsx": "0.3.2"}
TOP = os.path.join(base.BUILD, "public")
TIMEOUT = 1500


def _version(name):
    """The installed version, by cargo's own list."""
    try:
        with open(os.path.join(TOP, ".crates.toml"), encoding="utf-8") as listed:
            words = [line.split('"')[1].split() for line in listed if line.startswith('"')]
    except OSError:
        return ""
    return next((word[1] for word in words if word[0] == name), "")


def program(name, context):
    """(path, reason why there is none); every user can run the path."""
    place = os.path.join(context.scratch.top, name)
    with context.lock:
        if not os.path.exists(place):
            reason = _install(name)
            if reason:
                return "", reason
            os.chmod(shutil.copy2(os.path.join(TOP, "bin", name), place), 0o755)
    return place, ""


def _install(name):
    if _version(name) == VERSIONS[name] and os.path.exists(os.path.join(TOP, "bin", name)):
        return ""
    if not prepare.have("cargo"):
        return "no cargo"
    print(f"building {name} {VERSIONS[name]} of crates.io", flush=True)
    command = ["cargo", "install", "--quiet", "--locked", "--force", "--debug", "--root", TOP, f"{name}@{VERSIONS[name]}"]
    # Optimised where the operations are made and checked; what it is built of only costs time.
    command += ["--config", "profile.dev.debug=0", "--config", f"profile.dev.package.{name}.opt-level=1"]
    env = dict(os.environ, PATH=prepare.search_path(), CARGO_TARGET_DIR=os.path.join(TOP, "target"))
    try:
        done = subprocess.run(
            command, env=env, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        return f"{name} could not be built: {TIMEOUT} s were not enough"
    if done.returncode != 0:
        return f"{name} could not be built: {done.stdout.decode(errors='replace')[-300:]}"
    return ""
