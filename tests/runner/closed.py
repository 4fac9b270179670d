"""A clone where the ordinary user cannot come, as one below /root: what that user runs is taken to where it can be run."""

import glob
import os
import shutil

from . import base, programs


def _closed(path, identities):
    return any(base.run(["test", "-r", path, "-a", "-x", path], who).status != 0 for who in identities)


def open_up(scratch, identities):
    """Copies the tests' own files, and lets programs be compiled beside them."""
    places = [path for path in (base.TESTS, base.BUILD) if os.path.exists(path)]
    if not any(_closed(path, identities) for path in places):
        return
    base.TESTS = shutil.copytree(base.TESTS, os.path.join(scratch.top, "tests"), ignore=shutil.ignore_patterns("__pycache__"))
    programs.OUT = os.path.join(scratch.top, "programs")
    for top, directories, files in os.walk(base.TESTS):
        for name in directories + files:
            path = os.path.join(top, name)
            mode = os.stat(path).st_mode
            os.chmod(path, mode | 0o444 | (0o111 if mode & 0o100 else 0))
    os.chmod(base.TESTS, 0o755)


def runnable(binary, directory, who, scratch):
    """(binary, directory) to run it in: as they are, or copies in this user's scratch directory.

    A test looks for the libraries that cargo built with it beside itself and in ../examples."""
    if not _closed(directory, [who]) and base.run(["test", "-x", binary], who).status == 0:
        return binary, directory
    deps = os.path.dirname(binary)
    wanted = [binary, *glob.glob(f"{deps}/libpil4dfs_*.so"), *glob.glob(f"{deps}/../examples/lib*.so")]
    for path in wanted:
        place = os.path.join(scratch, "target", os.path.basename(os.path.dirname(path)))
        os.makedirs(place, exist_ok=True)
        os.chmod(shutil.copy2(path, place), 0o755)
    return os.path.join(scratch, "target", os.path.basename(deps), os.path.basename(binary)), scratch
