"""apps: real programs in real scripts; output and tree on a mount equal those of the kernel."""

import difflib
import glob
import os

from . import base, mount, prepare, programs

# Each script is tried with the interpreter of its first line, in a fresh directory.
ENTER = 'mkdir -p "$1" && cd "$1" || exit 99; shift; exec "$@"'
TIMEOUT = 60


def scripts():
    found = glob.glob(os.path.join(base.TESTS, "apps", "*.sh")) + glob.glob(os.path.join(base.TESTS, "apps", "*.py"))
    return sorted(path for path in found if os.path.basename(path) != "tree.py")


def interpreter(path):
    with open(path, encoding="utf-8") as script:
        return script.readline()[2:].split()


def _difference(kind, want, got, says=""):
    lines = difflib.unified_diff(want.splitlines(), got.splitlines(), f"{kind} without us", f"{kind} with us", lineterm="", n=2)
    return "\n".join(list(lines)[:40]) + (f"\n{says}" if says else "")


class Script:
    """One script, run for one identity on both sides."""

    def __init__(self, context, path, who):
        self.context, self.path, self.who = context, path, who
        self.argv = interpreter(path) + [path]
        self.tree = [os.path.join(base.TESTS, "apps", "tree.py")]
        self.tree = interpreter(self.tree[0]) + self.tree

    def enter(self, directory):
        return ["/bin/sh", "-c", ENTER, "enter", directory] + self.argv

    def env(self, directory):
        """TMPDIR stays on the kernel: what a script makes there is not compared."""
        return {"TMPDIR": directory, "PIL4DFS_TEST_MDBENCH": self.context.mdbench}

    def on_kernel(self, directory, **more):
        """Without the library, unless `more` variables load it; the tree is always read without."""
        work, temporary = os.path.join(directory, "x"), os.path.join(directory, "tmp")
        os.mkdir(temporary)
        self.who.own(temporary)
        env = base.clean_env(**self.env(temporary), **more)
        ran = base.run(self.enter(work), self.who, env, timeout=TIMEOUT)
        tree = base.run(self.tree + [work], self.who, timeout=TIMEOUT)
        return ran, _text(ran.out, work), _text(tree.out, work)

    def on_mount(self, directory):
        place = mount.Mount(self.context.products, self.who, directory)
        error = place.create()
        if error:
            return None, error, "", ""
        temporary = os.path.join(directory, "tmp")
        os.mkdir(temporary)
        self.who.own(temporary)
        work = f"{base.MOUNT}/x"
        ran = place.run(self.enter(work), TIMEOUT, **self.env(temporary))
        tree = place.run(self.tree + [work], TIMEOUT)
        return ran, _text(ran.out, work), _text(tree.out + (tree.err if tree.status else b""), work), place.leaks()


def _text(out, work):
    return out.decode(errors="backslashreplace").replace(work, "DIR")


def _mdbench(context):
    """The MPI program, or nothing where there is no MPI."""
    # Where several are installed mpirun is anybody's: both must be of one.
    compiler = prepare.have("mpicc.mpich") or prepare.have("mpicc")
    if context.args.list or not compiler:
        return ""
    source = os.path.join(base.ROOT, "packaging", "tour", "mdbench.c")
    binary, error = programs.compile_one(source, name=f"mdbench-{os.path.basename(compiler)}", compiler=compiler)
    return "" if error else binary


def tests(context):
    context.mdbench = _mdbench(context)
    for path in scripts():
        name = os.path.splitext(os.path.basename(path))[0]
        for who in context.identities:

            def run(test, path=path, who=who):
                return compare(test, Script(context, path, who))

            yield base.Test("apps", f"{who.name}/{name}", run)


def compare(test, script):
    """Output and tree of the two sides; a script may answer 77 when its program is not here."""
    if script.context.unbuilt:
        return test.failed(script.context.unbuilt)
    directory = script.context.scratch.directory(script.who)
    kernel_side, mount_side = os.path.join(directory, "k"), os.path.join(directory, "m")
    for path in (kernel_side, mount_side):
        os.mkdir(path, 0o755)
        script.who.own(path)
    ran, out, tree = script.on_kernel(kernel_side)
    if ran.status == 77:
        return test.skipped("the program is not installed")
    if ran.status < 0 or ran.timed_out:
        return test.failed(f"on the kernel: {ran.says()}")
    ours, our_out, our_tree, leaks = script.on_mount(mount_side)
    if ours is None:
        return test.failed(our_out)
    problems = []
    if (ours.status, ours.timed_out) != (ran.status, False):
        problems.append(f"ended differently: {ours.says(1500)}; on the kernel: {ran.status}")
    if our_out != out:
        problems.append(_difference("output", out, our_out, ours.err.decode(errors="replace")[-800:]))
    if our_tree != tree:
        problems.append(_difference("tree", tree, our_tree))
    problems += [leaks] if leaks else []
    script.context.scratch.drop(directory)
    return test.failed("\n".join(problems)) if problems else test.passed()


def transparent(test, context, armed, path):
    """A script on a kernel directory with the library loaded: nothing may differ from without."""
    with context.lock:
        if not hasattr(context, "mdbench"):
            context.mdbench = _mdbench(context)
    script = Script(context, path, armed.who)
    ran, out, tree = script.on_kernel(armed.make("plain"))
    if ran.status == 77:
        return test.skipped("the program is not installed")
    ours, our_out, our_tree = script.on_kernel(armed.make("ours"), **armed.variables())
    problems = []
    if (ours.status, ours.timed_out) != (ran.status, ran.timed_out):
        problems.append(f"ended differently: {ours.says(1500)}; without the library: {ran.status}")
    if our_out != out:
        problems.append(_difference("output", out, our_out, ours.err.decode(errors="replace")[-800:]))
    if our_tree != tree:
        problems.append(_difference("tree", tree, our_tree))
    return test.failed("\n".join(problems)) if problems else test.passed()
