"""slurm: a cluster of one node, started here (munged, slurmctld, slurmd), runs jobs under the library: by the
SPANK plugin, by the TaskProlog, and not at all."""

import os
import shutil
import signal
import socket
import subprocess
import time

from . import base, mount, prepare

TOOLS = ["munged", "slurmctld", "slurmd", "srun", "sbatch", "sinfo"]

CONFIGURATION = """
ClusterName=pil
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={top}/run/munge.sock
CredType=cred/munge
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmctldPidFile={top}/run/slurmctld.pid
SlurmdPidFile={top}/run/slurmd.pid
SlurmctldLogFile={top}/log/slurmctld.log
SlurmdLogFile={top}/log/slurmd.log
StateSaveLocation={top}/state
SlurmdSpoolDir={top}/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
KillWait=5
MinJobAge=10
SchedulerParameters=sched_interval=1,batch_sched_delay=0
TaskProlog={top}/etc/task_prolog
PlugStackConfig={top}/etc/plugstack.conf
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=500 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=5 State=UP OverSubscribe=FORCE:4
"""


class Trouble(Exception):
    """A daemon that does not start."""


def free_ports(count):
    """Ports of the loopback address that nobody uses now."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Cluster:
    """The three daemons, all they need in one directory; they end with `stop`."""

    def __init__(self, products, top):
        self.top, self.products, self.daemons = top, products, []
        for name in ("etc", "run", "log", "state", "spool"):
            os.mkdir(os.path.join(top, name), 0o755)
        host, (controller, node) = socket.gethostname().split(".")[0], free_ports(2)
        self.write("etc/slurm.conf", CONFIGURATION.format(host=host, top=top, controller_port=controller, node_port=node))
        library = products.path("libpil4dfs.so.0")
        plugin = os.path.join(base.BUILD, "spank_pil4dfs.so")
        self.write("etc/plugstack.conf", f"optional {plugin} lib={library}\n")
        prolog = os.path.join(base.ROOT, "packaging", "slurm", "task_prolog")
        shutil.copy(prolog, os.path.join(top, "etc", "task_prolog"))
        key = os.path.join(top, "etc", "munge.key")
        with open(key, "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(os.urandom(128))
        run, log = os.path.join(top, "run"), os.path.join(top, "log")
        self.env = base.clean_env(SLURM_CONF=os.path.join(top, "etc", "slurm.conf"))
        self.start("munged", "--foreground", "--force", f"--key-file={key}", f"--socket={run}/munge.sock",
                   f"--pid-file={run}/munged.pid", f"--log-file={log}/munged.log", f"--seed-file={run}/munge.seed")
        self.wait(lambda: os.path.exists(f"{run}/munge.sock"))
        self.start("slurmctld", "-c", "-D")
        self.start("slurmd", "-D")
        self.wait(lambda: self.ask("sinfo", "-h", "-o", "%T").strip() == "idle")

    def write(self, name, text):
        with open(os.path.join(self.top, name), "w") as file:
            file.write(text)

    def start(self, *words):
        log = open(os.path.join(self.top, "log", words[0] + ".out"), "wb")
        command = [shutil.which(words[0], path=base.PATH), *words[1:]]
        self.daemons.append(subprocess.Popen(command, env=self.env, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        log.close()

    def ask(self, *words):
        return base.run(words, env=self.env, timeout=20).out.decode(errors="replace")

    def wait(self, ready):
        for _ in range(300):
            if ready():
                return
            if any(daemon.poll() is not None for daemon in self.daemons):
                break
            time.sleep(0.1)
        raise Trouble("\n".join(self.logs()))

    def logs(self):
        for name in sorted(os.listdir(os.path.join(self.top, "log"))):
            with open(os.path.join(self.top, "log", name), errors="replace") as file:
                yield f"{name}:\n{file.read()[-1500:]}"

    def stop(self):
        for daemon in reversed(self.daemons):
            daemon.send_signal(signal.SIGTERM)
        for daemon in reversed(self.daemons):
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


class Jobs:
    """Runs jobs on a cluster with the variables of one store."""

    def __init__(self, cluster, place):
        self.cluster, self.place = cluster, place
        self.mount = f"pool:{place.cont}@{base.MOUNT}"

    def env(self, **more):
        place = self.place
        return dict(self.cluster.env, PIL4DFS_DAOS_DIR=place.products.path("embedded"), PIL4DFS_EMBEDDED_ROOT=place.store,
                    PIL4DFS_LIBRARY=place.products.path("libpil4dfs.so.0"), **more)

    def srun(self, *words, **env):
        return base.run(["srun", *words], self.place.identity, self.env(**env), "/", 60)

    def sbatch(self, script, *words, **env):
        """A batch job, waited for; its outcome and the text of its output file."""
        path = os.path.join(self.place.cwd, "job.sh")
        with open(path, "w") as file:
            file.write("#!/bin/bash\n" + script)
        self.place.identity.own(path)
        out = os.path.join(self.place.cwd, "job.out")
        outcome = base.run(["sbatch", "-W", "-n2", "-o", out, *words, path], self.place.identity, self.env(**env), self.place.cwd, 60)
        text = open(out, errors="replace").read() if os.path.exists(out) else ""
        for name in (path, out):
            if os.path.exists(name):
                os.unlink(name)
        return outcome, text

    def below(self, script):
        """What a shell under the library says, without Slurm."""
        return self.place.run(["/bin/sh", "-c", script]).out.decode()


def expect(what, found, wanted):
    return "" if found == wanted else f"{what}: {found!r} instead of {wanted!r}"


def by_plugin(jobs):
    """srun --pil4dfs=POOL:CONT@DIR: both tasks write below the mount."""
    done = jobs.srun("-n2", f"--pil4dfs={jobs.mount}", "/bin/sh", "-c", "echo task $SLURM_PROCID > /dfs/plugin.$SLURM_PROCID")
    return expect("srun", (done.status, done.err), (0, b"")) or expect("files", jobs.below("cat /dfs/plugin.*"), "task 0\ntask 1\n")


def by_prolog(jobs):
    """PIL4DFS_JOB and the TaskProlog do the same without a plugin."""
    done = jobs.srun("-n2", "/bin/sh", "-c", "echo task $SLURM_PROCID > /dfs/prolog.$SLURM_PROCID", PIL4DFS_JOB=jobs.mount)
    return expect("srun", (done.status, done.err), (0, b"")) or expect("files", jobs.below("cat /dfs/prolog.*"), "task 0\ntask 1\n")


def batch(jobs):
    """A batch script whose shell, srun and mpirun are under the library, too, and do their work."""
    mpi = prepare.have("mpirun.mpich")
    script = f"""
    set -e
    echo from the script > /dfs/batch
    srun -n2 /bin/sh -c 'echo step $SLURM_PROCID > /dfs/step.$SLURM_PROCID'
    {"mpirun.mpich -np 2 /bin/sh -c 'echo rank $PMI_RANK > /dfs/rank.$PMI_RANK'" if mpi else ""}
    cat /dfs/batch /dfs/step.* {"/dfs/rank.*" if mpi else ""}
    """
    wanted = "from the script\nstep 0\nstep 1\n" + ("rank 0\nrank 1\n" if mpi else "")
    for words, env in ((["--pil4dfs=" + jobs.mount], {}), ([], {"PIL4DFS_JOB": jobs.mount})):
        done, text = jobs.sbatch(script, *words, **env)
        wrong = expect(f"sbatch {words or 'with the prolog'}", (done.status, text), (0, wanted))
        if wrong:
            return wrong
        jobs.below("rm /dfs/*")
    return ""


def not_asked(jobs):
    """A job that does not ask has neither the library nor a variable of ours."""
    done = jobs.srun("/bin/sh", "-c", "grep -c pil4dfs /proc/self/maps; echo [$LD_PRELOAD$D_IL_POOL]")
    return expect("srun", done.out, b"0\n[]\n")


def beside_another(jobs):
    """What the job preloads itself stays before us."""
    other = "/usr/lib/x86_64-linux-gnu/libutil.so.1"
    done = jobs.srun(f"--pil4dfs={jobs.mount}", "--export=ALL,LD_PRELOAD=" + other, "/bin/sh", "-c", "echo $LD_PRELOAD")
    return expect("LD_PRELOAD", done.out.decode().strip(), f"{other}:{jobs.place.products.path('libpil4dfs.so.0')}")


def wrong_container(jobs):
    """The program's own error, and one line of ours that names the cause."""
    done = jobs.srun(f"--pil4dfs=pool:nothing@{base.MOUNT}", "/bin/cat", "/dfs/file")
    ours = [line for line in done.err.decode(errors="replace").splitlines() if line.startswith("pil4dfs")]
    if done.status == 0 or len(ours) != 1:
        return f"exit status {done.status}, lines of ours: {ours}: {done.says()}"
    return ""


def wrong_option(jobs):
    """A value that is no mount: srun refuses, and nothing runs."""
    done = jobs.srun("--pil4dfs=pool", "/bin/echo", "ran")
    text = (done.out + done.err).decode(errors="replace")
    return "" if done.status != 0 and "POOL:CONTAINER@/DIR" in text and "ran" not in text.split() else text


CASES = [by_plugin, by_prolog, batch, not_asked, beside_another, wrong_container, wrong_option]


def tests(context):
    """Root starts the daemons; the jobs are root's and another user's."""

    def slurm(test):
        missing = [tool for tool in TOOLS if not prepare.have(tool)]
        if missing or os.geteuid() != 0:
            return test.skipped(f"not installed: {', '.join(missing)}" if missing else "the daemons need root")
        if not os.path.exists(os.path.join(base.BUILD, "spank_pil4dfs.so")):
            return test.skipped("built without slurm/spank.h")
        top = context.scratch.directory(context.identities[0])
        cluster, results = None, []
        try:
            cluster = Cluster(context.products, top)
            # slurmd asks for the name of the job's user: one that every system has.
            nobody = base.Identity("user", 65534, ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"])
            for who in (context.identities[0], nobody):
                place = mount.Mount(context.products, who, context.scratch.directory(who))
                wrong = place.create()
                if wrong:
                    return test.failed(wrong)
                jobs = Jobs(cluster, place)
                for case in CASES:
                    found = case(jobs)
                    status = base.SKIP if found is None else base.FAIL if found else base.PASS
                    results.append(base.Result(test.suite, f"{who.name}/{case.__name__.replace('_', '-')}", status, found or ""))
        except Trouble as trouble:
            return test.failed(str(trouble))
        finally:
            if cluster:
                cluster.stop()
        context.scratch.drop(top)
        return results

    yield base.Test("slurm", "root/jobs", slurm)
