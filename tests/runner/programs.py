"""Compiles the C programs of the tests, each by one rule, into build/tests/."""

import concurrent.futures
import glob
import os
import subprocess

from . import base

WARNINGS = ["-Wall", "-Wextra", "-Werror"]
FLAGS = ["-std=gnu11", "-O2", "-g", "-D_GNU_SOURCE"]
OUT = os.path.join(base.BUILD, "tests")


def _stale(binary, sources):
    if not os.path.exists(binary):
        return True
    made = os.stat(binary).st_mtime
    return any(os.stat(source).st_mtime > made for source in sources)


def compile_one(source, extra=(), name=None, compiler="gcc", depends=()):
    """One program, of this source and those among `extra`, made again when one of `depends` is newer; answers (path, error text)."""
    directory = os.path.join(OUT, os.path.basename(os.path.dirname(source)))
    os.makedirs(directory, exist_ok=True)
    binary = os.path.join(directory, name or os.path.splitext(os.path.basename(source))[0])
    sources = [word for word in extra if word.endswith(".c")]
    headers = glob.glob(os.path.join(base.TESTS, "conform", "*.h")) + glob.glob(os.path.join(os.path.dirname(source), "*.h"))
    if not _stale(binary, [source, *depends] + sources + headers):
        return binary, ""
    include = ["-I", os.path.join(base.TESTS, "conform")]
    command = [compiler, *FLAGS, *WARNINGS, *include, "-o", binary, source, *extra, "-pthread", "-ldl"]
    env = dict(os.environ, CCACHE_DISABLE="1")
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, check=False)
    return binary, done.stdout.decode(errors="replace") if done.returncode else ""


def reader():
    """The independent reader of trees, by bare DFS calls; answers as `compile_one`."""
    home = os.path.join(base.TESTS, "history")
    return compile_one(os.path.join(home, "reader.c"), [os.path.join(home, "record.c")])


def conform(pattern="*"):
    """name -> (binary, error) of all conformance programs."""
    sources = sorted(glob.glob(os.path.join(base.TESTS, "conform", pattern + ".c")))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        made = list(pool.map(compile_one, sources))
    return {os.path.splitext(os.path.basename(s))[0]: m for s, m in zip(sources, made)}
