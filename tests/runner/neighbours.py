"""neighbours: other tools and libraries in the same process - checkers, allocators, MPI's memory
hooks, interposers before and behind us. What the program prints is what it prints with the same
neighbour and without us, and the census says that every patched call site still stands."""

import glob
import os
import shutil

from . import base, mount, prepare, programs

TIMEOUT = 300
STANDS = "call sites stand as they were patched"
LIBRARIES = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"]


class Missing(Exception):
    """The neighbour is not installed."""


def library(pattern):
    """A shared library of the system by its file name's pattern."""
    found = [path for top in LIBRARIES for path in sorted(glob.glob(os.path.join(top, pattern)))]
    if not found:
        raise Missing(f"no {pattern}")
    return found[0]


def command(name):
    if not prepare.have(name):
        raise Missing(f"no {name}")
    return name


def compiled(source, flags=(), name=None, compiler="gcc"):
    path, error = programs.compile_one(os.path.join(base.TESTS, "neighbours", source), flags, name, command(compiler))
    if error:
        raise AssertionError(error)
    return path


def shared(name):
    return compiled(name + ".c", ["-shared", "-fPIC"], f"lib{name}.so")


class Case:
    """How a program is started together with a neighbour; `ours` stands in `preload` for the library."""

    def __init__(self, program=(), head=(), preload=("ours",), env=None, census=True, lines=0, rewritten=False):
        self.program = list(program) or [compiled("work.c")]
        self.head, self.preload, self.env = list(head), list(preload), dict(env or {})
        # Whether the patches must stand at exit, and how many lines of ours are expected on stderr.
        self.census, self.lines = census, lines
        # Whether libc's mmap must be found rewritten by the neighbour.
        self.rewritten = rewritten


def _gcc_library(name):
    outcome = base.run(["gcc", f"-print-file-name={name}"], None, dict(os.environ))
    path = outcome.out.decode().strip()
    if not os.path.isabs(path):
        raise Missing(f"no {name}")
    return os.path.realpath(path)


# Open MPI rewrites libc's memory functions only below UCX, which it takes by itself where it sees a fast network.
HOOKED = {"OMPI_MCA_pml": "ucx", "OMPI_MCA_pml_ucx_tls": "any", "OMPI_MCA_pml_ucx_devices": "any"}


def _mpi(run, compiler, name, rewritten=False, **more):
    program = compiled("work.c", ["-DWITH_MPI", "-Wno-error"], name, compiler)
    env = {"UCX_LOG_LEVEL": "fatal", "OMPI_MCA_btl_vader_single_copy_mechanism": "none", "HOME": "/tmp", "OMPI_MCA_rmaps_base_oversubscribe": "1"}
    env.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", **more)
    return Case([program], [command(run), "-np", "2"], env=env, rewritten=rewritten)


def sanitized(name, *flags):
    return compiled("work.c", ["-g", *flags], name)


# name -> what makes the case; a tool that is absent is skipped
CASES = {
    "alone": Case,
    "strace": lambda: Case(head=[command("strace"), "-f", "-o", "/dev/null"]),
    "audit": lambda: Case(env={"LD_AUDIT": shared("audit")}),
    "valgrind-none": lambda: Case(head=[command("valgrind"), "-q", "--tool=none", "--smc-check=all"]),
    "valgrind-memcheck": lambda: Case(
        head=[command("valgrind"), "-q", "--smc-check=all", "--error-exitcode=9", f"--suppressions={base.TESTS}/neighbours/valgrind.supp"]
    ),
    "asan": lambda: Case([sanitized("work-asan", "-fsanitize=address")], preload=[_gcc_library("libasan.so"), "ours"], env={"ASAN_OPTIONS": "detect_leaks=0"}),
    "asan-static": lambda: Case(
        [sanitized("work-asan-static", "-fsanitize=address", "-static-libasan")],
        env={"ASAN_OPTIONS": "detect_leaks=0:verify_asan_link_order=0"},
    ),
    "ubsan": lambda: Case([sanitized("work-ubsan", "-fsanitize=undefined", "-fno-sanitize-recover")]),
    "jemalloc-before": lambda: Case(preload=[library("libjemalloc.so.2"), "ours"]),
    "jemalloc-behind": lambda: Case(preload=["ours", library("libjemalloc.so.2")]),
    "tcmalloc-before": lambda: Case(preload=[library("libtcmalloc_minimal.so.4"), "ours"]),
    "tcmalloc-behind": lambda: Case(preload=["ours", library("libtcmalloc_minimal.so.4")]),
    "mpich": lambda: _mpi("mpirun.mpich", "mpicc.mpich", "work-mpich"),
    "openmpi": lambda: _mpi("mpirun.openmpi", "mpicc.openmpi", "work-openmpi"),
    "openmpi-ucx": lambda: _mpi("mpirun.openmpi", "mpicc.openmpi", "work-openmpi", True, **HOOKED),
    "openmpi-patcher": lambda: _mpi("mpirun.openmpi", "mpicc.openmpi", "work-openmpi", True, OMPI_MCA_opal_common_ucx_opal_mem_hooks="1", **HOOKED),
    "wrapper-before": lambda: Case(preload=[shared("wrapper"), "ours"]),
    "wrapper-behind": lambda: Case(preload=["ours", shared("wrapper")]),
    "rival": lambda: Case(preload=["ours", shared("rival")], census=False, lines=1),
    "second-copy": lambda: Case(preload=["ours", "copy"], lines=1),
}


def tests(context):
    for name, make in CASES.items():
        for who in context.identities:

            def run(test, name=name, make=make, who=who):
                if context.unbuilt:
                    return test.failed(context.unbuilt)
                try:
                    with context.lock:
                        case = make()
                except Missing as why:
                    return test.skipped(str(why))
                return Run(context, name, case, who).judge(test)

            yield base.Test("neighbours", f"{who.name}/{name}", run)


class Run:
    """One case for one identity: on the kernel without us, then on a mount."""

    def __init__(self, context, name, case, who):
        self.name, self.case, self.who = name, case, who
        self.scratch, self.products = context.scratch, context.products
        self.directory = context.scratch.directory(who)
        self.logs = os.path.join(self.directory, "logs")
        os.mkdir(self.logs)
        who.own(self.logs)

    def argv(self, work):
        return [*self.case.head, *self.case.program, work]

    def env(self, given, ours):
        """The case's environment; `ours` are the paths that stand for us in the preload list."""
        env = dict(given, **self.case.env)
        words = [ours.get(word, "") if word in ("ours", "copy") else word for word in self.case.preload]
        env["LD_PRELOAD"] = ":".join(word for word in words if word)
        env["WRAPPER_LOG"] = os.path.join(self.logs, "counts-ours" if ours else "counts")
        return env

    def counts(self, name):
        """What the wrapping library has seen: opens, reads, writes, closes, dfs_reads, dfs_writes."""
        with open(os.path.join(self.logs, name), encoding="ascii") as lines:
            return [int(word) for word in lines.read().split()]

    def on_kernel(self):
        work = os.path.join(self.directory, "k")
        return base.run(self.argv(work), self.who, self.env(base.clean_env(), {}), timeout=TIMEOUT)

    def on_mount(self):
        place = mount.Mount(self.products, self.who, self.directory)
        error = place.create()
        if error:
            return None, error
        library_path = self.products.path("libpil4dfs.so.0")
        copy = os.path.join(self.directory, "libpil4dfs.so.0")
        shutil.copyfile(library_path, copy)
        env = self.env(place.preload_env(PIL4DFS_LOG="info"), {"ours": library_path, "copy": copy})
        work = os.path.join(self.directory, "m") if self.name == "rival" else f"{base.MOUNT}/m"
        outcome = base.run(self.argv(work), self.who, env, place.cwd, TIMEOUT)
        return outcome, place.leaks()

    def judge(self, test):
        want = self.on_kernel()
        if want.status != 0:
            return test.failed(f"without us: {want.says()}")
        got, leaks = self.on_mount()
        if got is None:
            return test.failed(leaks)
        problems = [leaks] if leaks else []
        if (got.status, got.out, got.timed_out) != (0, want.out, False):
            problems.append(f"{got.says()}\nwithout us: {want.out.decode(errors='replace')[-500:]}")
        said = got.err.decode(errors="replace")
        starts = [line for line in said.splitlines() if line.startswith("libpil4dfs: ")]
        if bool(starts) != bool(self.case.lines):
            problems.append(f"lines of the start on stderr: {starts}")
        if "overwritten" in said or self.case.census and STANDS not in said:
            problems.append(f"the census: {said[-600:]}")
        if self.case.rewritten != ("mmap was rewritten" in said):
            problems.append(f"the neighbour's own patches: {said[-600:]}")
        problems += self.wrapper_saw() if self.name.startswith("wrapper") else []
        self.scratch.drop(self.directory)
        return test.failed("\n".join(problems)) if problems else test.passed()

    def wrapper_saw(self):
        """Before us all of libc's calls, behind us the kernel's; DAOS's in both places."""
        want, got = self.counts("counts"), self.counts("counts-ours")
        wrong = []
        # What libdaos calls beneath us comes on top.
        if self.name == "wrapper-before" and any(ours < plain for ours, plain in zip(got[:4], want[:4])):
            wrong.append(f"the wrapper saw {got[:4]}, without us {want[:4]}")
        if self.name == "wrapper-behind" and not all(got[:4]):
            wrong.append(f"the wrapper behind us saw {got[:4]}")
        if not (got[4] and got[5]):
            wrong.append(f"dfs_read and dfs_write were seen {got[4:]} times")
        return wrong
