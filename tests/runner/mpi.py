"""mpi: jobs of MPICH and of Open MPI, 2 and 4 ranks (8 with --long), the library brought to the ranks by the
launcher's options or by a launcher that is preloaded itself. What a job prints and the files it leaves are
those of the same job on a kernel directory without us; each file is also read by bare DFS calls."""

import os

from . import base, keep, mount, prepare, programs

TIMEOUT = 120
HOME = os.path.join(base.TESTS, "mpi")
COUNT = "25"


class Implementation:
    """An MPI: its compiler and launcher, and how it is told things."""

    def __init__(self, name, option, settings):
        self.name, self.option, self.settings = name, option, settings

    def tool(self, what):
        """mpicc or mpirun, by a name that says whose it is (Debian's, EL's)."""
        for path in (f"{what}.{self.name}", f"/usr/lib64/{self.name}/bin/{what}"):
            if prepare.have(path):
                return path
        return None

    def compiled(self, source):
        """The words that start a program, and an error text."""
        if source == "plugin":
            loader, error = programs.compile_one(os.path.join(HOME, "plugin.c"))
            module, wrong = self._compiled("plugin", ["-DMODULE", "-shared", "-fPIC"], f"plugin-{self.name}.so")
            return [loader, module], error or wrong
        binary, error = self._compiled(source, [], f"{source}-{self.name}")
        return [binary], error

    def _compiled(self, source, flags, name):
        return programs.compile_one(os.path.join(HOME, source + ".c"), flags, name, self.tool("mpicc"))

    def launch(self, ranks, env, options):
        """The launcher's words that give `env` to the ranks alone."""
        words = [self.tool("mpirun"), *options, "-np", str(ranks)]
        for name, value in env.items():
            words += self.option(name, value)
        return words


MPICH = Implementation("mpich", lambda name, value: ["-genv", name, value], {"UCX_LOG_LEVEL": "fatal"})
OPENMPI = Implementation(
    "openmpi",
    lambda name, value: ["-x", f"{name}={value}"],
    {
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_rmaps_base_oversubscribe": "1",
        "OMPI_MCA_btl_vader_single_copy_mechanism": "none",  # needs ptrace's permission
        "UCX_LOG_LEVEL": "fatal",
    },
)
OMPIO, ROMIO = ["--mca", "io", "ompio"], ["--mca", "io", "romio321"]


class Job:
    """One program of one implementation for one identity: `options` are the launcher's, `words` the program's."""

    def __init__(self, mpi, program, words, options=()):
        self.mpi, self.program, self.words, self.options = mpi, program, words, list(options)

    def missing(self):
        return "" if self.mpi.tool("mpicc") and self.mpi.tool("mpirun") else f"no {self.mpi.name}"


class Field:
    """Where jobs run: a kernel directory, a mount, a directory for what MPI keeps of its own."""

    def __init__(self, context, who, job):
        self.context, self.who, self.job = context, who, job
        self.directory = context.scratch.directory(who)
        self.place = mount.Mount(context.products, who, self.directory)
        self.temporary = os.path.join(self.directory, "tmp")
        os.mkdir(self.temporary)
        who.own(self.temporary)
        with context.lock:
            self.program, error = job.mpi.compiled(job.program)
            self.error = error or programs.reader()[1] or self.place.create()

    def words(self, top):
        """The program's words; the tag is no other job's."""
        meant = {"DIR": os.path.join(top, "k"), "TAG": os.path.basename(self.directory)}
        return [meant.get(word, word) for word in self.job.words]

    def settings(self, **more):
        return base.clean_env(**dict(self.job.mpi.settings, TMPDIR=self.temporary, HOME=self.temporary, **more))

    def command(self, words, ranks, env=None):
        return self.job.mpi.launch(ranks, env or {}, self.job.options) + [*self.program, *words]

    def on_kernel(self, ranks):
        return base.run(self.command(self.words(self.directory), ranks), self.who, self.settings(), "/", TIMEOUT)

    def ours(self, **more):
        """What brings the library to a process, without what every process has."""
        common = base.clean_env()
        return {name: value for name, value in self.place.preload_env(**more).items() if common.get(name) != value}

    def on_mount(self, ranks, by_launcher, **more):
        """`by_launcher`: mpirun runs under the library itself, and what it starts inherits it."""
        ours = self.ours(**more)
        env = self.settings(**ours) if by_launcher else self.settings()
        command = self.command(self.words(base.MOUNT), ranks, {} if by_launcher else ours)
        return base.run(command, self.who, env, self.place.cwd, TIMEOUT)

    def trees(self):
        """Every name and byte, by bare reads: of the kernel directory, and of the mount without the library."""
        reader, _ = programs.reader()
        kernel = base.run([reader, "kernel", os.path.join(self.directory, "k")], self.who)
        bare = base.run([reader, "dfs", "/k"], self.who, self.place.bare_env())
        return _files(kernel), _files(bare)


def _files(read):
    """The reader's lines about names; what lies in the files is no history's, which it says, too."""
    lines = read.out.decode(errors="replace").splitlines()
    return [line for line in lines if line.startswith(("- ", "d ", "l ")) or "hidden" in line] or read.says()


def alike(field, ranks, by_launcher):
    """The job on both sides; answers what differs."""
    want = field.on_kernel(ranks)
    if want.status or b"WRONG" in want.out:
        return f"on the kernel: {want.says()}"
    got = field.on_mount(ranks, by_launcher)
    if (got.status, got.out) != (0, want.out):
        return f"{got.says()}\non the kernel:\n{want.out.decode()}"
    if b"libpil4dfs" in got.err:
        return got.says()
    kernel, bare = field.trees()
    if kernel != bare or not isinstance(kernel, list):
        return f"files: {bare}\non the kernel: {kernel}"
    return ""


# name -> (job, ranks, whether the launcher is preloaded)
ALIKE = {
    "mpich-io-2": (Job(MPICH, "io", ["DIR", "TAG"]), 2, False),
    "mpich-io-4-launcher-ufs": (Job(MPICH, "io", ["DIR", "TAG", "ufs:"]), 4, True),
    "openmpi-ompio-2-launcher": (Job(OPENMPI, "io", ["DIR", "TAG", "ompio"], OMPIO), 2, True),
    "openmpi-ompio-4": (Job(OPENMPI, "io", ["DIR", "TAG", "ompio"], OMPIO), 4, False),
    "openmpi-romio-4": (Job(OPENMPI, "io", ["DIR", "TAG"], ROMIO), 4, False),
    "openmpi-romio-2-launcher-ufs": (Job(OPENMPI, "io", ["DIR", "TAG", "ufs:"], ROMIO), 2, True),
    "mpich-files-4": (Job(MPICH, "ranks", ["storm", "DIR", COUNT]), 4, False),
    "openmpi-files-4-launcher": (Job(OPENMPI, "ranks", ["storm", "DIR", COUNT]), 4, True),
    "mpich-threads-2": (Job(MPICH, "ranks", ["threads", "DIR"]), 2, True),
    "openmpi-threads-2": (Job(OPENMPI, "ranks", ["threads", "DIR"]), 2, False),
    "mpich-module-2": (Job(MPICH, "plugin", ["DIR"]), 2, False),
    "openmpi-module-2": (Job(OPENMPI, "plugin", ["DIR"]), 2, False),
}
LONG = {
    "mpich-io-8": (Job(MPICH, "io", ["DIR", "TAG"]), 8, False),
    "openmpi-ompio-8": (Job(OPENMPI, "io", ["DIR", "TAG", "ompio"], OMPIO), 8, False),
    "openmpi-romio-8-launcher": (Job(OPENMPI, "io", ["DIR", "TAG"], ROMIO), 8, True),
    "mpich-files-8-launcher": (Job(MPICH, "ranks", ["storm", "DIR", "200"]), 8, True),
    "openmpi-files-8": (Job(OPENMPI, "ranks", ["storm", "DIR", "200"]), 8, False),
    "mpich-threads-8": (Job(MPICH, "ranks", ["threads", "DIR"]), 8, False),
}


def no_start(field):
    """A program that never touches the mount starts no DAOS, in MPI_Init or elsewhere."""
    field.place.reset_counters()
    for by_launcher in (False, True):
        done = field.on_mount(2, by_launcher)
        if (done.status, done.out) != (0, b"ranks: 2\n"):
            return done.says()
    started = field.place.counted()["daos_init"]
    return "" if started == 0 else f"DAOS was started {started} times"


def connects(field):
    """Four ranks: a connect each; with a keeper none, and an import each."""
    kept = keep.Kept(field.place, field.directory)
    try:
        for keeper, wanted in ((False, (4, 0)), (True, (0, 4))):
            if keeper and kept.keep().status:
                return "the keeper does not start"
            field.place.reset_counters()
            done = field.on_mount(4, False, **kept.env)
            made = kept.counts()
            if (done.status, done.out, made) != (0, b"touched: 4\n", wanted):
                return f"keeper: {keeper}: {made} connects and imports instead of {wanted}: {done.says()}"
            field.place.run(["rm", "-r", f"{base.MOUNT}/k"], **kept.env)
    finally:
        kept.keep("--stop")
    return ""


def rank_dies(field):
    """SIGKILL of a rank: the launcher ends the job as it does on the kernel, and what was written is there."""
    for ran in (field.on_kernel(4), field.on_mount(4, False)):
        if ran.status == 0 or ran.timed_out:
            return ran.says()
    checked = field.place.run([*field.program, "check", f"{base.MOUNT}/k", COUNT, "4"])
    return "" if checked.out == b"right\n" else checked.says()


def cases(context):
    """name -> (job, what judges a field)."""
    for name, (job, ranks, by_launcher) in dict(ALIKE, **(LONG if context.args.long else {})).items():
        yield name, job, lambda field, ranks=ranks, by_launcher=by_launcher: alike(field, ranks, by_launcher)
    for mpi in (MPICH, OPENMPI):
        yield f"{mpi.name}-no-start", Job(mpi, "ranks", ["none"]), no_start
        yield f"{mpi.name}-connects-4", Job(mpi, "ranks", ["touch", "DIR"]), connects
        yield f"{mpi.name}-rank-dies-4", Job(mpi, "ranks", ["die", "DIR", COUNT]), rank_dies


def tests(context):
    for name, job, judge in cases(context):
        for who in context.identities:

            def run(test, who=who, job=job, judge=judge):
                if job.missing():
                    return test.skipped(job.missing())
                if context.unbuilt:
                    return test.failed(context.unbuilt)
                field = Field(context, who, job)
                wrong = field.error or judge(field) or field.place.leaks()
                context.scratch.drop(field.directory)
                return test.failed(wrong) if wrong else test.passed()

            yield base.Test("mpi", f"{who.name}/{name}", run)
