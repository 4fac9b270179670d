"""What the cases stand on: a store, servers on mount points, the library beside them."""

import os
import signal
import subprocess
import time

POOL, CONT = "pool", "cont"
USER = ["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups"]
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"


class Failure(Exception):
    """A check that failed."""


class Skip(Exception):
    """Nothing could be tried."""


def check(condition, what):
    if not condition:
        raise Failure(what)


def equal(got, wanted, what):
    check(got == wanted, f"{what}: {got!r}, expected {wanted!r}")


def mounts():
    """Mount point -> (type, source, options) of this name space."""
    found = {}
    with open("/proc/self/mountinfo", encoding="utf-8") as lines:
        for line in lines:
            front, back = line.rstrip("\n").split(" - ")
            point = front.split(" ")[4].encode().decode("unicode_escape")
            kind, source, options = back.split(" ", 2)
            found[point] = (kind, source, f"{front.split(' ')[5]},{options}")
    return found


def until(condition, seconds, what):
    """Waits for a condition; it is looked at often."""
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, f"waited {seconds} s in vain: {what}")
        time.sleep(0.01)


class Server:
    """One pil4dfs-dfuse in the foreground."""

    def __init__(self, stage, point, *options, prefix=(), env=None):
        self.stage, self.point = stage, point
        os.makedirs(point, exist_ok=True)
        command = [*prefix, stage.path("pil4dfs-dfuse"), "--foreground", "-m", point, *options]
        self.log = open(os.path.join(stage.top, f"server-{len(stage.servers)}.log"), "w+b")
        self.process = subprocess.Popen(
            command, env=stage.env(**(env or {})), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        stage.servers.append(self)
        until(lambda: point in mounts() or self.process.poll() is not None, 10, f"mount of {point}")
        check(self.process.poll() is None, f"the server ended: {self.says()}")

    def says(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def send(self, number):
        self.process.send_signal(number)

    def stop(self):
        """Asks it to end, and insists; the mount is gone afterwards."""
        if self.process.poll() is None:
            self.send(signal.SIGCONT)
            self.send(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        subprocess.run(["umount", "-l", self.point], stderr=subprocess.DEVNULL, check=False, timeout=10)
        return self.process.returncode


class Stage:
    """A store with one container, in a directory of the test."""

    def __init__(self, build, top):
        self.build, self.top, self.servers = build, top, []
        self.store = os.path.join(top, "store")
        if not os.path.exists(self.store):
            os.mkdir(self.store)
            self.tool("pool", "create", POOL)
            self.tool("cont", "create", POOL, CONT)
        os.chmod(top, 0o755)

    def path(self, name):
        return os.path.join(self.build, name)

    def env(self, **more):
        return {"PATH": PATH, "LC_ALL": "C", "TZ": "UTC", "HOME": "/nonexistent",
                "PIL4DFS_DAOS_DIR": self.path("embedded"), "PIL4DFS_EMBEDDED_ROOT": self.store, **more}

    def library(self, **more):
        """The library, which finds its mounts by itself."""
        return self.env(LD_PRELOAD=self.path("libpil4dfs.so.0"), D_IL_NO_BYPASS="1", **more)

    def tool(self, *words):
        done = subprocess.run([self.path("pil4dfs-embedded"), "--root", self.store, *words],
                              capture_output=True, text=True, timeout=30, env={"PATH": PATH}, check=False)
        check(done.returncode == 0, f"pil4dfs-embedded {' '.join(words)}: {done.stderr}")
        return done.stdout

    def counters(self):
        """Calls of the provider since the last reset."""
        words = (line.split() for line in self.tool("counters").splitlines())
        return {word[0]: int(word[1]) for word in words if len(word) == 2}

    def serve(self, *options, point="m", prefix=(), env=None):
        if not options:
            options = ("--disable-caching",)
        return self.mount("--pool", POOL, "--container", CONT, *options, point=point, prefix=prefix, env=env)

    def mount(self, *options, point="m", prefix=(), env=None):
        return Server(self, os.path.join(self.top, point), *options, prefix=prefix, env=env)

    def run(self, argv, env=None, timeout=30, status=0, **more):
        """A command; its output."""
        try:
            done = subprocess.run(argv, env=env or self.env(), capture_output=True, timeout=timeout,
                                  stdin=subprocess.DEVNULL, check=False, **more)
        except subprocess.TimeoutExpired as late:
            raise Failure(f"timed out: {argv}") from late
        check(status is None or done.returncode == status,
              f"{argv}: status {done.returncode}: {(done.stdout + done.stderr).decode(errors='replace')[-1500:]}")
        return done

    def close(self):
        for server in reversed(self.servers):
            server.stop()
