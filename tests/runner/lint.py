"""lint: what the formatters and checkers say; each tool is one test, skipped where it is absent."""

import os
import subprocess

from . import base, prepare


def _files(*patterns):
    """Tracked files, so that nobody's scratch work is judged."""
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={base.ROOT}", "ls-files", "-z", *patterns], cwd=base.ROOT, stdout=subprocess.PIPE, check=False
    )
    names = listed.stdout.decode().split("\0")
    return [name for name in names if name and os.path.isfile(os.path.join(base.ROOT, name))]


def _shell_scripts():
    scripts = []
    for name in _files():
        try:
            with open(os.path.join(base.ROOT, name), "rb") as head:
                first = head.readline(80)
        except OSError:
            continue
        if first.startswith(b"#!") and first.rstrip().endswith((b"/sh", b"/bash", b"/dash", b" sh", b" bash")):
            scripts.append(name)
    return scripts


def _run(test, tool, command, directory=base.ROOT):
    if not prepare.have(tool):
        return test.skipped(f"no {tool}")
    if not _files():
        return test.skipped("no repository")
    env = dict(os.environ, PATH=prepare.search_path())
    if command[0] == "cargo":
        env.setdefault("CARGO_TARGET_DIR", os.path.join(base.BUILD, "cargo"))
    outcome = base.run(command, None, env, directory, timeout=900)
    return test.passed() if outcome.status == 0 else test.failed(outcome.says(4000))


def tests(_):
    """rustfmt, clippy, shellcheck, clang-format, and the hygiene of the tree."""
    rust = os.path.join(base.ROOT, "rust")

    def rustfmt(test):
        return _run(test, "cargo-fmt", ["cargo", "fmt", "--all", "--check"], rust)

    def clippy(test):
        return _run(test, "cargo-clippy", ["cargo", "clippy", "--locked", "-q", "--workspace", "--all-targets", "--", "-D", "warnings"], rust)

    def shellcheck(test):
        # The application scripts are exercises in odd shell on purpose.
        scripts = [name for name in _shell_scripts() if not name.startswith("tests/apps/")]
        return _run(test, "shellcheck", ["shellcheck", "--severity=warning", *scripts]) if scripts else test.skipped("no shell scripts")

    def clang_format(test):
        # Where a .clang-format lies above a file; benchmark and packaging have their own lines.
        sources = [name for name in _files("*.c", "*.h") if not name.startswith(("include/", "tests/bench/", "tests/packaging/"))]
        return _run(test, "clang-format", ["clang-format", "--fallback-style=none", "--dry-run", "-Werror", *sources])

    def python(test):
        sources = [name for name in _files("*.py")]
        check = "import ast, sys; [ast.parse(open(n).read(), n) for n in sys.argv[1:]]"
        return _run(test, "python3", ["python3", "-c", check, *sources])

    def whitespace(test):
        wrong = []
        for name in _files("*.rs", "*.c", "*.h", "*.py", "*.sh", "*.md", "*.tbl", "meson.build", "*.txt"):
            with open(os.path.join(base.ROOT, name), "rb") as file:
                text = file.read()
            if text and (not text.endswith(b"\n") or b" \n" in text or b"\t\n" in text or b"\r" in text):
                wrong.append(name)
        return test.failed("trailing blanks or no end of line: " + ", ".join(wrong)) if wrong else test.passed()

    for check in (rustfmt, clippy, shellcheck, clang_format, python, whitespace):
        yield base.Test("lint", f"tree/{check.__name__.replace('_', '-')}", check)
