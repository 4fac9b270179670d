"""docs: the documents against what they speak of: links, commands and options, variables, messages, and the blocks that can be run."""

import os
import re
import subprocess

from . import base, lint

# The commands, by the name of their program.
PROGRAMS = ("pil4dfs", "pil4dfs-embedded", "pil4dfs-dfuse")
GUIDE = "docs/guide.md"
# Documents that name DAOS's variables which this library does not read.
ABOUT_OTHERS = ("docs/migration.md",)
# What scripts and tests of this repository read, beside the library.
SCRIPTS = ("tests/*.py", "tests/*.c", "tests/run", "packaging/*", "rust/fuzz/*.rs", "rust/*/tests/*.rs")
VARIABLE = r"\b(?:PIL4DFS|D_IL)_[A-Z0-9_]*[A-Z0-9]"


def _read(name):
    with open(os.path.join(base.ROOT, name), encoding="utf-8") as file:
        return file.read()


def _documents():
    return lint._files("*.md")


def _anchor(heading):
    """The name that a forge gives to a heading."""
    text = re.sub(r"[`*]|\[([^]]*)\]\([^)]*\)", lambda m: m[1] or "", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def _anchors(text):
    text = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    return {_anchor(m[1]) for m in re.finditer(r"^#+ (.*)$", text, re.M)}


def links(test):
    """Every relative link leads to a file of the repository, and its anchor to a heading."""
    wrong = []
    for name in _documents():
        text = _read(name)
        plain = re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M))
        for target in re.findall(r"\]\(([^)\s]+)\)", plain):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            path = os.path.normpath(os.path.join(os.path.dirname(name), path)) if path else name
            if not os.path.exists(os.path.join(base.ROOT, path)):
                wrong.append(f"{name}: {target}: no such file")
            elif anchor and path.endswith(".md") and anchor not in _anchors(_read(path)):
                wrong.append(f"{name}: {target}: no such heading")
    return test.failed("\n".join(wrong)) if wrong else test.passed()


def _code(text):
    """Inline code and the lines of fenced blocks, continued lines joined."""
    for block in re.findall(r"^```[^\n]*\n(.*?)^```", text, re.S | re.M):
        yield from block.replace("\\\n", " ").splitlines()
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M))


class Help:
    """What `--help` says, asked once for each command."""

    def __init__(self, context):
        self.context, self.texts = context, {}

    def text(self, program, *words):
        if (program, words) not in self.texts:
            done = base.run([self.context.products.path(program), *words, "--help"])
            self.texts[program, words] = done.out.decode() if done.status == 0 else ""
        return self.texts[program, words]

    def commands(self, program, *words):
        part = self.text(program, *words).partition("\nCommands:\n")[2].partition("\n\n")[0]
        return set(re.findall(r"^  ([a-z][a-z-]*)", part, re.M)) - {"help"}

    def options(self, program, *words):
        return set(re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", self.text(program, *words)))


def _words(line, start):
    """The words of a command up to what ends it or belongs to another program."""
    for word in re.split(r"\s+", line[start:].strip()):
        # Behind these stands another command, or nothing of this one.
        if word in ("--", "|", "&&", ";", "...", ">", "\\") or word.startswith("#"):
            return
        yield word.strip("[](),'\"").rstrip(";)")
        if word.endswith((";", ")", ")\"")):
            return


def _faults(help_, line):
    """What is wrong with the commands in one line."""
    for match in re.finditer(r"(?:^|[\s(/\"])(pil4dfs(?:-embedded|-dfuse)?)(?= +\S)", line):
        program, path = match[1], []
        for word in _words(line, match.end()):
            if word.startswith("-"):
                option = word.partition("=")[0]
                # Those of the levels above are allowed before a command.
                known = set().union(*(help_.options(program, *path[:n]) for n in range(len(path) + 1)))
                if option not in known:
                    yield f"{' '.join([program, *path])} has no {option}"
            elif not path or help_.commands(program, *path):
                commands = help_.commands(program, *path)
                if word in commands:
                    path.append(word)
                elif commands and not _is_value(help_, program, path, line, word):
                    # The first word is a command, or a placeholder in capitals.
                    if re.fullmatch(r"[a-z-]+", word):
                        yield f"{' '.join([program, *path])} has no command {word}"
                    break
            if path and path[-1] in ("run", "trace", "check") and not word.startswith("-") and len(path) and word not in path:
                # A value of an option, or the program: options behind it may be its own.
                if not _is_value(help_, program, path, line, word):
                    break


def _is_value(help_, program, path, line, word):
    """Whether a word follows an option that takes a value."""
    before = re.search(r"(--?[\w-]+)\s+" + re.escape(word), line)
    return bool(before) and re.search(re.escape(before[1]) + r"[ =]<", help_.text(program, *path)) is not None


def commands(test, context):
    """Every command and option named in a document is one."""
    help_, wrong = Help(context), []
    for name in _documents():
        for line in _code(_read(name)):
            wrong += [f"{name}: {line.strip()}: {fault}" for fault in _faults(help_, line)]
    return test.failed("\n".join(wrong)) if wrong else test.passed()


def manual(test, context):
    """pil4dfs(1) names every command and option, and no other."""
    help_, wrong = Help(context), []
    text = _read("docs/man/pil4dfs.1").replace("\\-", "-")
    for command in sorted(help_.commands("pil4dfs")):
        if not re.search(rf"^\.(Nm )?Cm {command}\b", text, re.M):
            wrong.append(f"no {command}")
        for option in help_.options("pil4dfs", command):
            plain = option.lstrip("-")
            if len(plain) > 1 and plain != "help" and not re.search(rf"-{plain}\b", text):
                wrong.append(f"no --{plain} of {command}")
    known = set().union(*(help_.options("pil4dfs", command) for command in help_.commands("pil4dfs"))) | {"--version"}
    for option in re.findall(r"Fl -([a-z][a-z-]+)", text):
        if "--" + option not in known:
            wrong.append(f"--{option} is no option")
    return test.failed("pil4dfs.1: " + "\n".join(wrong)) if wrong else test.passed()


def variables(test):
    """Every variable of ours in a document is in the table."""
    known = set(re.findall(r"^([A-Z][A-Z0-9_]+) ", _read("spec/environment.tbl"), re.M))
    missing = [row for row in known if row.startswith("D_IL_") and row not in _read("docs/migration.md")]
    for name in lint._files(*SCRIPTS):
        if not name.endswith(".md") and name != "tests/runner/docs.py":
            known |= set(re.findall(VARIABLE, _read(name)))
    wrong = []
    for name in _documents() + lint._files("docs/man/*"):
        if name in ABOUT_OTHERS:
            continue
        for found in sorted(set(re.findall(VARIABLE, _read(name)))):
            if found not in known:
                wrong.append(f"{name}: {found}")
    wrong += [f"docs/migration.md: nothing on {row}" for row in missing]
    return test.failed("\n".join(wrong)) if wrong else test.passed()


def messages(test):
    """The messages of the guide's table are in the source, word for word."""
    part = _read(GUIDE).partition("## When something does not work")[2]
    quoted = re.findall(r"^\| `([^`]+)` \|", part, re.M)
    source = " ".join(re.sub(r"\\\s*\n\s*", "", _read(name)) for name in lint._files("rust/*.rs", "c/*.c"))
    wrong = [text for text in quoted if text not in source]
    return test.failed("\n".join(wrong or ["no messages"])) if wrong or not quoted else test.passed()


def pages(test):
    """The manual pages are well-formed, and their references lead somewhere."""
    texts = {name: _read(name) for name in lint._files("docs/man/*")}
    for page in ("libpil4dfs", "pil4dfs-functions"):
        made = subprocess.run(["python3", os.path.join(base.ROOT, "spec/generate.py"), "man", page], stdout=subprocess.PIPE, check=True)
        texts[f"{page}.7"] = made.stdout.decode()
    have = {os.path.basename(name) for name in texts}
    wrong = []
    for name, text in texts.items():
        seen = re.findall(r"\.Xr ([\w.-]+) (\d)", text)
        seen += re.findall(r"^\.BR ([\w.-]+) \((\d)\)", text.replace("\\-", "-"), re.M)
        wrong += [f"{name}: {page}({section})" for page, section in seen if "pil4dfs" in page and f"{page}.{section}" not in have]
    return test.failed("\n".join(wrong)) if wrong else test.passed()


def blocks(test, context, who):
    """The guide's blocks marked `sh run`, one after the other in one directory."""
    directory = context.scratch.directory(who)
    script = ["set -eu"]
    for block in re.findall(r"^```sh run\n(.*?)^```", _read(GUIDE), re.S | re.M):
        script.append(block)
    if len(script) < 2:
        return test.failed("no blocks")
    tool = context.products.path("pil4dfs")
    env = base.clean_env(TMPDIR=directory, HOME=directory)
    env["PATH"] = f"{os.path.dirname(tool)}:{env['PATH']}"
    done = base.run(["/bin/bash", "-c", "\n".join(script)], who, env, directory, 120)
    return test.passed() if done.status == 0 else test.failed(done.says())


def tests(context):
    for check in (links, variables, messages, pages):
        yield base.Test("docs", f"any/{check.__name__}", check)
    for check in (commands, manual):
        yield base.Test("docs", f"any/{check.__name__}", lambda test, check=check: check(test, context))
    for who in context.identities:
        yield base.Test("docs", f"{who.name}/guide", lambda test, who=who: blocks(test, context, who))
