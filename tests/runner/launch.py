"""launch: programs that start others with another identity, root or name space, and programs with
rights of their own: what passes to them and what must not (README, Processes)."""

import os
import shutil
import subprocess

from . import base, mount, prepare

SOURCE = os.path.join(base.TESTS, "launch", "linked.c")

# What the started shell says of the file, of descriptor 5, and of its working directory.
LOOK = (
    "echo $(cat /dfs/x/f 2> /dev/null || echo no file), $( (echo + >&5) 2> /dev/null && echo written || echo dead), "
    "$(/bin/pwd 2> /dev/null || echo nowhere)"
)
OURS, OTHERS, LOST = "text, written, /dfs/x\n", "text, dead, nowhere\n", "no file, dead, nowhere\n"

# name -> (who may try, what is needed, how the shell is started, what is said)
LAUNCHERS = {
    "env-i": ("both", "env", "env -i PATH=$PATH", OURS),
    "env-u": ("both", "env", "env -u LD_PRELOAD -u D_IL_POOL", OURS),
    "nohup": ("both", "nohup", "nohup", OURS),
    "timeout": ("both", "timeout", "timeout 20", OURS),
    "setsid": ("both", "setsid", "setsid -w", OURS),
    "stdbuf": ("both", "stdbuf", "stdbuf -oL", OURS),
    "taskset": ("both", "taskset", "taskset 3", OURS),
    "flock": ("both", "flock", "flock f", OURS),
    "setarch": ("both", "setarch", "setarch $(uname -m) -R", OURS),
    "prlimit": ("both", "prlimit", "prlimit --nofile=100", OURS),
    "strip-and-leave": ("both", "env", "env -i PATH=$PATH PIL4DFS_EXEC_ENV=leave", LOST),
    "setpriv-same": ("both", "setpriv", "setpriv --no-new-privs", OURS),
    "setpriv-reuid": ("root", "setpriv", "setpriv --reuid 12345 --regid 12345 --clear-groups", OTHERS),
    "setpriv-reset": ("root", "setpriv", "setpriv --reuid 12345 --regid 12345 --clear-groups --reset-env", LOST),
    "runuser": ("root", "runuser", "runuser -u nobody --", OTHERS),
    "su": ("root", "su", "su nobody -s /bin/sh -c 'exec \"$0\" \"$@\"' --", OTHERS),
    "su-login": ("root", "su", "su - root -s /bin/sh -c 'exec \"$0\" \"$@\"' --", None),
    "chroot": ("root", "chroot", "chroot /", None),
    "chroot-inside": ("root", "chroot", "chroot /dfs/x", None),
    "unshare-mount": ("root", "unshare", "unshare -m", OURS),
    "unshare-pid": ("root", "unshare", "unshare -f -p", OURS),
    "unshare-user": ("both", "unshare", "unshare -U -r", OURS),
    "nsenter": ("root", "nsenter", "nsenter -t $$ -m", None),
}
# Those whose answer is more than a look says.
SAID = {
    # A login begins at home; su is a set-id program, to which nothing passes. It stays the same user,
    # whose environment is completed.
    "su-login": "text, dead, HOME\n",
    # The new root is the old one: the program after it knows the mount, and begins at the root.
    "chroot": "text, written, /\n",
    "chroot-inside": "",
    "nsenter": "text, written, /\n",
}


def tests(context):
    for name, (may, needed, words, says) in LAUNCHERS.items():
        for who in context.identities:
            if may == "both" or who.uid == 0:
                run = lambda test, who=who, name=name, needed=needed, words=words, says=says: _launch(
                    test, context, who, needed, words, SAID[name] if says is None else says
                )
                yield base.Test("launch", f"{who.name}/{name}", run)
    for name, make in RIGHTS.items():
        yield base.Test("launch", f"root/{name}", lambda test, make=make: _rights(test, context, make))


def _place(context, who):
    directory = context.scratch.directory(who)
    place = mount.Mount(context.products, who, directory)
    return place, directory, place.create()


PREPARE = f"mkdir {base.MOUNT}/x; chmod 777 {base.MOUNT}/x; cd {base.MOUNT}/x; echo text > f; chmod 666 f; : > g; chmod 666 g; exec 5>> g; "


def _launch(test, context, who, needed, words, says):
    if context.unbuilt:
        return test.failed(context.unbuilt)
    if not prepare.have(needed):
        return test.skipped(f"no {needed}")
    place, directory, error = _place(context, who)
    if error:
        return test.failed(error)
    script = f"{PREPARE}look='{LOOK}'; {words} /bin/sh -c \"$look\" < /dev/null; cat f"
    outcome = place.run(["/bin/bash", "-c", script])
    out = outcome.out.decode(errors="replace")
    if "not permitted" in outcome.err.decode(errors="replace") and words.startswith(("unshare", "nsenter")):
        return test.skipped("no name space may be made here")
    home = os.path.expanduser("~root")
    problems = []
    if out != says.replace("HOME", home) + "text\n":
        problems.append(f"expected {says!r}, got {out!r}; {outcome.says()}")
    problems += [place.leaks()] if place.leaks() else []
    context.scratch.drop(directory)
    return test.failed("\n".join(problems)) if problems else test.passed()


def _set_user(path):
    os.chown(path, base.ORDINARY_UID, base.ORDINARY_UID)
    os.chmod(path, 0o4755)
    return []


def _set_group(path):
    os.chown(path, 0, base.ORDINARY_UID)
    os.chmod(path, 0o2755)
    return []


def _capability(path):
    if not prepare.have("setcap") or subprocess.run(["setcap", "cap_chown+ep", path], check=False).returncode != 0:
        return None
    uid = str(base.ORDINARY_UID)
    return ["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups"]


RIGHTS = {"set-user-id": _set_user, "set-group-id": _set_group, "file-capability": _capability}


def _rights(test, context, make):
    """A linked program once as it is, and once with rights of its own: then it is left alone."""
    if context.unbuilt:
        return test.failed(context.unbuilt)
    root = context.identities[0]
    if root.uid != 0:
        return test.skipped("only root can give a program rights")
    place, directory, error = _place(context, root)
    if error:
        return test.failed(error)
    top = context.products.top
    plain, special = os.path.join(directory, "plain"), os.path.join(directory, "special")
    include = os.path.join(base.ROOT, "include")
    library = os.path.join(top, "libpil4dfs.so.0")
    compile_it = ["gcc", "-Wall", "-Werror", "-I", include, "-o", plain, SOURCE, library, f"-Wl,-rpath,{top}"]
    done = base.run(compile_it, env=dict(os.environ))
    if done.status != 0:
        return test.failed(done.says())
    shutil.copy(plain, special)
    prefix = make(special)
    if prefix is None:
        return test.skipped("no capability can be given to a file here")
    words = " ".join(prefix)
    script = f"{PREPARE}{plain} f; {special} f; {words} {special} /dfs/x/f; {words} {plain} /dfs/x/f; cat g"
    outcome = place.run(["/bin/bash", "-c", script])
    ours = "secure 0, active 1, there 1, written 1, cwd /dfs/x\n"
    alone = "secure 1, active 0, there 0, written 0, cwd none\n"
    if prefix:
        # To root a capability is nothing new, but the program might run for others: nothing passes. Nor to
        # another user, who connects himself.
        expected = ours + alone.replace("secure 1, active 0", "secure 0, active 1") + alone
        expected += "secure 0, active 1, there 1, written 0, cwd none\n" + "+\n"
    else:
        expected = ours + alone + alone + ours + "+\n+\n"
    out = outcome.out.decode(errors="replace")
    problems = [f"expected {expected!r}, got {out!r}; {outcome.says()}"] if out != expected else []
    problems += [place.leaks()] if place.leaks() else []
    context.scratch.drop(directory)
    return test.failed("\n".join(problems)) if problems else test.passed()
