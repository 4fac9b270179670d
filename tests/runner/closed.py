"""A clone where the ordinary user cannot come, as one below /root: what that user runs is taken to where it can be run."""

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
    """(binary, directory) to run it in: as they are, or in this user's scratch directory."""
    if not _closed(directory, [who]) and base.run(["test", "-x", binary], who).status == 0:
        return binary, directory
    copied = shutil.copy2(binary, scratch)
    os.chmod(copied, 0o755)
    return copied, scratch
