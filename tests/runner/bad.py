"""bad: wrong settings and wrong surroundings: one clear line, a normal exit, the guest unharmed."""

import os

from . import base, mount

# name -> (what to change in a good environment, lines of ours expected on stderr)
SETTINGS = {
    "only-mount-point": ({"D_IL_POOL": None, "D_IL_CONTAINER": None}, 1),
    "no-container": ({"D_IL_CONTAINER": None}, 1),
    "no-mount-point": ({"D_IL_MOUNT_POINT": None}, 1),
    "empty-pool": ({"D_IL_POOL": ""}, 1),
    "relative-mount-point": ({"D_IL_MOUNT_POINT": "dfs"}, 1),
    "nothing-set": ({"D_IL_MOUNT_POINT": None, "D_IL_POOL": None, "D_IL_CONTAINER": None}, 0),
    "half-set-older-names": (
        {"D_IL_MOUNT_POINT": None, "D_IL_POOL": None, "D_IL_CONTAINER": None, "DAOS_POOL": "pool", "DAOS_CONTAINER": "cont"},
        0,
    ),
    "absurd-numbers": ({"D_IL_MAX_EQ": "many", "D_IL_DCACHE_REC_TIMEOUT": "-7x", "D_IL_REPORT": "0"}, 1),
    "unknown-hook-level": ({"PIL4DFS_HOOK": "sometimes"}, 1),
    "unknown-words": ({"PIL4DFS_FD": "low"}, 1),
    "no-numbers": ({"PIL4DFS_MMAP_LIMIT": "1G"}, 1),
    "relative-file": ({"PIL4DFS_TRACE": "calls"}, 1),
    "unknown-log-level": ({"PIL4DFS_LOG": "loud"}, 1),
    "wrong-values-without-a-mount": (
        {"D_IL_MOUNT_POINT": None, "D_IL_POOL": None, "D_IL_CONTAINER": None, "PIL4DFS_FD": "low"},
        0,
    ),
    "unwritable-rundir": ({"PIL4DFS_RUNDIR": "/proc"}, None),
    "hostile-manifest": ({"PIL4DFS_EXEC": "2"}, 0),
    "absurd-manifest": ({"PIL4DFS_EXEC": "999999999x"}, 0),
    "off": ({"PIL4DFS_HOOK": "off"}, None),
}

# What is wrong once the mount is used: the guest gets an errno and we say one line.
SURROUNDINGS = {
    "unknown-pool": {"D_IL_POOL": "nowhere"},
    "unknown-container": {"D_IL_CONTAINER": "nothing"},
    "no-provider": {"PIL4DFS_DAOS_DIR": "/nonexistent"},
    "provider-is-no-library": {"PIL4DFS_DAOS_DIR": "TEXT"},
    "no-store": {"PIL4DFS_EMBEDDED_ROOT": "/nonexistent/store"},
    "store-is-a-file": {"PIL4DFS_EMBEDDED_ROOT": "/etc/passwd"},
    "connect-fails": {"PIL4DFS_EMBEDDED_FAULT": "daos_pool_connect:*:DER_NO_PERM"},
    "open-fails": {"PIL4DFS_EMBEDDED_FAULT": "daos_cont_open:*:DER_NONEXIST"},
    "mount-fails": {"PIL4DFS_EMBEDDED_FAULT": "dfs_mount:*:EIO"},
}

# Reports lines of the library itself; the guest's own start with its name.
GUEST = ["/bin/cat", "/etc/hostname", "/dfs/file"]


def ours(err):
    return [line for line in err.decode(errors="replace").splitlines() if "pil4dfs" in line and not line.startswith("/bin/")]


def _place(context, who, changes):
    directory = context.scratch.directory(who)
    place = mount.Mount(context.products, who, directory)
    error = place.create()
    env = place.preload_env()
    text = os.path.join(directory, "text")
    os.mkdir(text, 0o755)
    with open(os.path.join(text, "libdaos.so.2"), "w", encoding="ascii") as file:
        file.write("not a library\n")
    for name, value in changes.items():
        if value is None:
            env.pop(name, None)
        else:
            env[name] = text if value == "TEXT" else value
    return place, env, error, directory


def tests(context):
    for name, (changes, lines) in SETTINGS.items():
        for who in context.identities:
            run = lambda test, who=who, changes=changes, lines=lines: setting(test, context, who, changes, lines)
            yield base.Test("bad", f"{who.name}/{name}", run)
    for name, changes in SURROUNDINGS.items():
        for who in context.identities:
            run = lambda test, who=who, changes=changes: surrounding(test, context, who, changes)
            yield base.Test("bad", f"{who.name}/{name}", run)
    for who in context.identities:
        yield base.Test("bad", f"{who.name}/forged-manifests", lambda test, who=who: forged(test, context, who))
    for name, (words, status) in COMMANDS.items():
        run = lambda test, words=words, status=status: command(test, context, words, status)
        yield base.Test("bad", f"any/{name}", run)


def setting(test, context, who, changes, lines):
    """A program that never touches the mount runs as ever."""
    if context.unbuilt:
        return test.failed(context.unbuilt)
    place, env, error, directory = _place(context, who, changes)
    if error:
        return test.failed(error)
    outcome = base.run(["/bin/sh", "-c", "echo fine; exit 3"], who, env, place.cwd)
    said = ours(outcome.err)
    problems = []
    if outcome.out != b"fine\n" or outcome.status != 3:
        problems.append(f"the guest was harmed: {outcome.says()}")
    if lines is not None and len(said) != lines:
        problems.append(f"expected {lines} line(s), got {len(said)}: {outcome.says()}")
    if len(said) > 1:
        problems.append(f"more than one line: {said}")
    problems += [place.leaks()] if place.leaks() else []
    context.scratch.drop(directory)
    return test.failed("\n".join(problems)) if problems else test.passed()


def surrounding(test, context, who, changes):
    """A program that does touch it gets an error for that file alone."""
    if context.unbuilt:
        return test.failed(context.unbuilt)
    place, env, error, directory = _place(context, who, changes)
    if error:
        return test.failed(error)
    plain = base.run(GUEST[:2], who)
    outcome = base.run(GUEST, who, env, place.cwd)
    said = ours(outcome.err)
    problems = []
    if outcome.out != plain.out or outcome.status != 1 or outcome.timed_out:
        problems.append(f"the guest was harmed: {outcome.says()}")
    if b"/bin/cat: /dfs/file: " not in outcome.err:
        problems.append(f"the guest saw no error: {outcome.says()}")
    if len(said) != 1:
        problems.append(f"expected one line, got {len(said)}: {outcome.says()}")
    problems += [place.leaks()] if place.leaks() else []
    context.scratch.drop(directory)
    return test.failed("\n".join(problems)) if problems else test.passed()


def forged(test, context, who):
    """Manifests of an exec that somebody has altered on the way (bad/forge.py)."""
    if context.unbuilt:
        return test.failed(context.unbuilt)
    place, env, error, directory = _place(context, who, {})
    if error:
        return test.failed(error)
    script = (
        'echo "the right bytes" > /dfs/f; exec 9<> /dfs/f; '
        f'exec env -u LD_PRELOAD PIL4DFS_EXEC_ENV=leave {os.path.join(base.TESTS, "bad", "forge.py")} "$LD_PRELOAD" /dfs/f 1 "$0"'
    )
    turns = 500 if context.args.long else 40
    outcome = base.run(["/bin/bash", "-c", script, turns], who, env, place.cwd, timeout=600)
    problems = [] if outcome.status == 0 else [outcome.says()]
    problems += [place.leaks()] if place.leaks() else []
    context.scratch.drop(directory)
    return test.failed("\n".join(problems)) if problems else test.passed()


# words after `pil4dfs` -> exit status; always with something on stderr, nothing on stdout.
COMMANDS = {
    "no-command": ([], 2),
    "unknown-command": (["frobnicate"], 2),
    "run-without-program": (["run", "--embedded", "STORE", "--pool", "pool", "--cont", "cont", "--mount", "/dfs"], 2),
    "unknown-option": (["--frobnicate"], 2),
    "run-missing-program": (
        ["run", "--embedded", "STORE", "--pool", "pool", "--cont", "cont", "--mount", "/dfs", "--", "/nonexistent/x"],
        127,
    ),
}


def command(test, context, words, status):
    if context.unbuilt:
        return test.failed(context.unbuilt)
    who = context.identities[0]
    place, _, error, directory = _place(context, who, {})
    if error:
        return test.failed(error)
    argv = [context.products.path("pil4dfs")] + [place.store if word == "STORE" else word for word in words]
    outcome = base.run(argv, who, place.env(), place.cwd)
    context.scratch.drop(directory)
    if outcome.status != status or not outcome.err or outcome.out:
        return test.failed(f"expected exit status {status} and a text on stderr only: {outcome.says()}")
    return test.passed()
