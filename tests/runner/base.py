"""What every suite stands on: who runs a test, how a command is run, what came out."""

import dataclasses
import os
import resource
import shutil
import signal
import subprocess
import tempfile
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TESTS = os.path.join(ROOT, "tests")
BUILD = os.environ.get("PIL4DFS_BUILD", os.path.join(ROOT, "build"))
MOUNT = "/dfs"
ORDINARY_UID = 12345
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"

PASS, FAIL, SKIP = "passed", "failed", "skipped"


@dataclasses.dataclass
class Result:
    """One counted outcome; `name` is identity/test."""

    suite: str
    name: str
    status: str
    detail: str = ""

    @property
    def id(self):
        return f"{self.suite}/{self.name}"


@dataclasses.dataclass
class Test:
    """Something to run: `run(test)` answers one Result or a list of them."""

    suite: str
    name: str
    run: object

    @property
    def id(self):
        return f"{self.suite}/{self.name}"

    def passed(self, detail=""):
        return Result(self.suite, self.name, PASS, detail)

    def failed(self, detail):
        return Result(self.suite, self.name, FAIL, detail)

    def skipped(self, detail):
        return Result(self.suite, self.name, SKIP, detail)


@dataclasses.dataclass
class Identity:
    """Root, or the ordinary user; root hides EACCES, ownership and reopen faults."""

    name: str
    uid: int
    prefix: list

    def own(self, path):
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.uid, follow_symlinks=False)


def identities():
    """Both when we are root; otherwise only what we are."""
    if os.geteuid() != 0:
        return [Identity("user", os.geteuid(), [])]
    uid = str(ORDINARY_UID)
    prefix = ["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups"]
    return [Identity("root", 0, []), Identity("user", ORDINARY_UID, prefix)]


@dataclasses.dataclass
class Outcome:
    """How a command ended. `status` is the exit status, or minus the signal."""

    status: int
    out: bytes
    err: bytes
    timed_out: bool = False

    def says(self, limit=3000):
        """Status and output for a failure's report."""
        if self.timed_out:
            head = "timed out"
        elif self.status < 0:
            head = f"died of {signal.Signals(-self.status).name}"
        else:
            head = f"exit status {self.status}"
        text = (self.out + self.err).decode(errors="replace")
        return f"{head}\n{text[-limit:]}".rstrip()


def _no_core():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(command, identity=None, env=None, cwd="/", timeout=60, stdin=None):
    """Runs a command in a session of its own; at the time-out the whole session dies."""
    argv = [str(word) for word in command]
    if identity and identity.prefix:
        if env and "LD_PRELOAD" in env:  # for the command, not for what changes the identity
            argv = ["env", "-i"] + [f"{name}={value}" for name, value in env.items()] + argv
            env = clean_env()
        argv = identity.prefix + argv
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen(
            argv,
            env=env if env is not None else clean_env(),
            cwd=cwd,
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=out,
            stderr=err,
            start_new_session=True,
            preexec_fn=_no_core,
        )
        timed_out = False
        try:
            child.wait(timeout)
        except subprocess.TimeoutExpired:
            timed_out = True
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        child.wait()
        out.seek(0)
        err.seek(0)
        return Outcome(child.returncode, out.read(), err.read(), timed_out)


def clean_env(**more):
    """A small environment, the same for the oracle and for us."""
    env = {"PATH": PATH, "LC_ALL": "C", "TZ": "UTC", "HOME": "/nonexistent"}
    env.update(more)
    return env


class Scratch:
    """Kernel directories of this run; all gone at the end unless --keep."""

    def __init__(self, keep):
        self.keep = keep
        self.top = tempfile.mkdtemp(prefix="pil4dfs-t", dir=os.environ.get("TMPDIR", "/var/tmp"))
        os.chmod(self.top, 0o755)
        self._next = 0
        self._lock = threading.Lock()

    def directory(self, identity):
        """A fresh directory owned by the identity, with a short name."""
        with self._lock:
            self._next += 1
            number = self._next
        path = os.path.join(self.top, str(number))
        os.mkdir(path, 0o755)
        identity.own(path)
        return path

    def drop(self, path):
        if not self.keep:
            remove_tree(path)

    def close(self):
        if self.keep:
            print(f"kept: {self.top}")
        else:
            remove_tree(self.top)


def remove_tree(path):
    """rmtree that also opens directories a test has closed to everybody."""

    def open_and_retry(function, name, _):
        try:
            os.chmod(os.path.dirname(name), 0o700)
            os.chmod(name, 0o700)
            function(name)
        except OSError:
            pass

    shutil.rmtree(path, onerror=open_and_retry)
