"""away: DAOS that is not there at the start, goes away under a running program, and comes back."""

import json
import os
import subprocess
import time

from . import bad, base, mount

GUEST = os.path.join(base.TESTS, "away", "guest.py")
# Seconds a call waits for servers that do not answer (CRT_TIMEOUT), and a failed connect for its next try.
TIMEOUT, RETRY = 1, 10

# What is away when the mount is used first -> errno of the guest, a word of the one line.
STARTS = {
    "agent": ("EIO", "daos_agent"),
    "socket": ("EIO", "daos_agent"),
    "denied": ("EACCES", "may you use its socket"),
    "pool": ("EIO", "no such pool"),
    "permission": ("EACCES", "no permission"),
    "engine": ("EIO", "no answer from the DAOS servers"),
    "unreachable": ("EIO", "no answer from the DAOS servers"),
    "io": ("EIO", "cannot be connected"),
}

# Calls that need no server; those that need space.
LOCAL = {"close", "close-unlinked"}
GROWING = {"write", "append", "pwrite", "big", "mkdir", "setxattr", "msync"}

# What goes away under a running program -> errno of its calls, which calls (none: all that ask a server), a word of the one line.
MEETINGS = {
    "engine": ("ETIMEDOUT", None, "the DAOS servers do not answer"),
    "lost": ("ETIMEDOUT", None, "the DAOS servers do not answer"),
    "unreachable": ("EHOSTUNREACH", None, "cannot be reached"),
    "io": ("EIO", None, "I/O error"),
    "full": ("ENOSPC", GROWING, "no space is left"),
    "agent": (None, set(), ""),
    "pool": (None, set(), ""),
    "evicted": (None, set(), ""),
    "evicted agent": ("EIO", None, "connection was lost"),
    "evicted permission": ("EPERM", None, "connection was lost"),
}


class Guest:
    """The program of tests/away under the library, on a store of its own."""

    def __init__(self, context, who, **env):
        self.context, self.who, self.env = context, who, env
        self.directory = context.scratch.directory(who)
        self.place = mount.Mount(context.products, who, self.directory)
        error = self.place.create()
        if error:
            raise RuntimeError(error)
        self.log = open(os.path.join(self.directory, "stderr"), "w+b")
        self.child = None

    def start(self):
        with open(GUEST, encoding="utf-8") as file:
            program = file.read()
        env = self.place.preload_env(CRT_TIMEOUT=str(TIMEOUT), **self.env)
        words = ["env", "-i", *[f"{name}={value}" for name, value in env.items()], "python3", "-u", "-c", program, base.MOUNT]
        self.child = subprocess.Popen(self.who.prefix + words, env=base.clean_env(), cwd=self.place.cwd, stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=self.log, text=True, start_new_session=True)
        return self

    def tell(self, word):
        self.child.stdin.write(word + "\n")
        self.child.stdin.flush()

    def answer(self):
        line = self.child.stdout.readline()
        return json.loads(line) if line else {"failed": f"no answer: {self.said()}"}

    def ask(self, word):
        self.tell(word)
        return self.answer()

    def tool(self, *words):
        outcome = base.run([self.context.products.path("pil4dfs-embedded"), "--root", self.place.store, *words], self.who)
        if outcome.status:
            raise RuntimeError(f"pil4dfs-embedded {words}: {outcome.says()}")
        return outcome.out.decode()

    def away(self, *causes):
        self.tool("away", *causes)

    def calls(self, function):
        """How often the guest called it since the last reset."""
        lines = (line.split() for line in self.tool("counters").splitlines())
        return sum(int(words[1]) for words in lines if words[0] == function)

    def said(self):
        """The library's lines so far."""
        self.log.seek(0)
        return bad.ours(self.log.read())

    def close(self):
        """Ends the guest; its exit status, and the seconds that took."""
        status, start = 0, time.monotonic()
        if self.child:
            try:
                self.child.communicate(timeout=30)
                status = self.child.returncode
            except subprocess.TimeoutExpired:
                status = "hangs at exit"
                self.child.kill()
                self.child.communicate()
        self.log.close()
        leaks = self.place.leaks()
        self.context.scratch.drop(self.directory)
        return leaks or status, time.monotonic() - start


def tests(context):
    for name, run in (("at-the-start", start), ("in-mid-run", meeting), ("at-the-end", leaving), ("destroyed", destroyed), ("provider-removed", removed)):
        for who in context.identities:
            yield base.Test("away", f"{who.name}/{name}", lambda test, who=who, run=run: guarded(test, context, who, run))


def guarded(test, context, who, run):
    """One result for each cause."""
    if context.unbuilt:
        return test.failed(context.unbuilt)
    found = run(context, who)
    results = []
    for cause, problems in found.items():
        name = f"{test.name}-{cause.replace(' ', '-')}" if cause else test.name
        one = base.Test(test.suite, name, None)
        results.append(one.failed("\n".join(problems)) if problems else one.passed())
    return results


def ended(guests, problems):
    for cause, guest in guests.items():
        status, seconds = guest.close()
        if status != 0 or seconds > 5:
            problems[cause].append(f"the guest's end: {status} after {seconds:.1f} s")
    return problems


def start(context, who):
    """An errno for that file alone, one line, no second try at once; and the mount works once DAOS is back."""
    guests = {cause: Guest(context, who) for cause in STARTS}
    problems = {cause: [] for cause in STARTS}
    for cause, guest in guests.items():
        guest.away(cause)
        guest.tool("counters", "--reset")
        guest.start().tell("first")
    for cause, guest in guests.items():
        wanted, word = STARTS[cause]
        found, seconds = guest.answer()["open"]
        if found != wanted:
            problems[cause].append(f"errno {found}, expected {wanted}")
        if seconds > TIMEOUT + 3:
            problems[cause].append(f"took {seconds} s")
        tried = guest.calls("daos_pool_connect")
        again, seconds = guest.ask("first")["open"]
        if again != wanted or seconds > 0.5 or guest.calls("daos_pool_connect") != tried or tried > 1:
            problems[cause].append(f"at once again: {again} after {seconds} s, {tried} connects before")
        guest.away("back")
    time.sleep(RETRY)
    for cause, guest in guests.items():
        answers = [guest.ask("first")["open"][0], guest.ask("prepare"), guest.ask("after")]
        if answers[0] != "ENOENT" or "failed" in answers[1] or "failed" in answers[2]:
            problems[cause].append(f"when DAOS is back: {answers}")
        said = guest.said()
        if len(said) != 1 or STARTS[cause][1] not in said[0]:
            problems[cause].append(f"said {said}")
    return ended(guests, problems)


def meeting(context, who):
    """Each call the errno of its one attempt, one line for all, nothing lost and nothing invented; all of it works once DAOS is back."""
    guests = {cause: Guest(context, who).start() for cause in MEETINGS}
    problems = {cause: [] for cause in MEETINGS}
    for guest in guests.values():
        guest.ask("prepare")
    for cause, guest in guests.items():
        guest.tool("counters", "--reset")
        guest.away(*cause.split())
        guest.tell("meet")
    met = {cause: guest.answer() for cause, guest in guests.items()}
    back = time.monotonic()
    for guest in guests.values():
        guest.away("back")
    for cause, guest in guests.items():
        problems[cause] += judged(cause, met[cause])
        tried = guest.calls("daos_pool_connect")
        if tried > (1 if "evicted" in cause else 0):
            problems[cause].append(f"{tried} connects")
    time.sleep(max(0.0, RETRY - (time.monotonic() - back)))
    for cause, guest in guests.items():
        files = guest.ask("after")
        problems[cause] += kept(cause, met[cause], files)
        said, word = guest.said(), MEETINGS[cause][2]
        if [word in line for line in said] != ([True] if word else []):
            problems[cause].append(f"said {said}")
    return ended(guests, problems)


def judged(cause, met):
    """What the calls answered."""
    wanted, which, _ = MEETINGS[cause]
    problems = []
    for name, (found, seconds) in met.items():
        expected = wanted if (name not in LOCAL if which is None else name in which) else None
        if found != expected:
            problems.append(f"{name}: {found}, expected {expected}")
        if seconds > TIMEOUT + 0.7:
            problems.append(f"{name}: took {seconds} s")
    return problems


def kept(cause, met, files):
    """What the files hold afterwards: all that was acknowledged, and nothing else unless only its answer was lost."""
    if "failed" in files:
        return [f"when DAOS is back: {files['failed']}"]
    problems = []
    for name, call in (("read", "pwrite"), ("write", "write"), ("append", "append")):
        done = met[call][0] is None
        right = [[200, 100, 100]] if done else [[100, 100, 0]] + [[200, 100, 100]] * (cause == "lost")
        if files[name] not in right:
            problems.append(f"{call} {'succeeded' if done else 'failed'}, and the file holds {files[name]}")
    if files["offset"] != (200 if met["write"][0] is None else 100):
        problems.append(f"the offset is {files['offset']}")
    if files["still"] != [100, 100, 0] or files["d/e/deep"] != [100, 100, 0] or files["held"] != 100:
        problems.append(f"what nobody wrote has changed: {files}")
    return problems


def leaving(context, who):
    """A process that ends meanwhile waits once for its mapping, and not for each file it would remove."""
    guest, problems = Guest(context, who), []
    guest.start().ask("burden")
    guest.away("engine")
    guest.child.stdin.close()
    start = time.monotonic()
    status = guest.child.wait(60)
    if status != 0 or time.monotonic() - start > 2 * TIMEOUT + 1:
        problems.append(f"status {status} after {time.monotonic() - start:.1f} s")
    said = guest.said()
    if len(said) != 2 or "do not answer" not in said[0] or "changes are lost" not in said[1]:
        problems.append(f"said {said}")
    guest.away("back")
    script = f"exec 3> {base.MOUNT}/x; rm {base.MOUNT}/x; ls {base.MOUNT}; ls {base.MOUNT}/.pil4dfs/*"
    after = guest.place.run(["/bin/sh", "-c", script])
    if after.out.split()[:1] != [b"large"] or b"gone-" in after.out.replace(b"gone-", b"", 1):
        problems.append(f"afterwards: {after.says()}")
    guest.child = None
    return ended({"": guest}, {"": problems})


def destroyed(context, who):
    """The container, and another of its name in its place: a running program sees no byte of it."""
    guest, problems = Guest(context, who), []
    guest.start().ask("prepare")
    other = ("cont", "create", "pool", guest.place.cont)
    guest.tool("cont", "destroy", "pool", guest.place.cont)
    for there in (False, True):
        if there:
            guest.tool(*other)
            script = f"cd {base.MOUNT} && mkdir -p d/e && for f in read write append still d/e/deep; do echo other > $f; done; cat still"
            wrote = guest.place.run(["/bin/sh", "-c", script])
            if wrote.out != b"other\n":
                problems.append(f"the new container: {wrote.says()}")
        met = guest.ask("meet") if not there else {}
        problems += [f"{name}: {found}" for name, (found, _) in met.items() if found != "ESTALE" and name not in LOCAL]
        files = guest.ask("after")
        if files.get("failed") != "ESTALE":
            problems.append(f"{'with another in its place' if there else 'gone'}: {files}")
    if len(guest.said()) != 1 or "destroyed" not in guest.said()[0]:
        problems.append(f"said {guest.said()}")
    return ended({"": guest}, {"": problems})


def removed(context, who):
    """The client libraries are deleted: who has them goes on, who starts gets an errno and a line."""
    guest, problems = Guest(context, who), []
    copy = os.path.join(guest.directory, "daos")
    base.run(["cp", "-a", context.products.path("embedded"), copy], who)
    guest.env["PIL4DFS_DAOS_DIR"] = copy
    guest.start().ask("prepare")
    base.remove_tree(copy)
    met = guest.ask("meet")
    problems += judged("agent", met) + kept("agent", met, guest.ask("after"))
    if guest.said():
        problems.append(f"said {guest.said()}")
    ended({"": guest}, {"": problems})
    late = Guest(context, who, PIL4DFS_DAOS_DIR=copy).start()
    found = late.ask("first")["open"][0]
    if found != "EIO" or len(late.said()) != 1 or "libdaos" not in late.said()[0]:
        problems.append(f"a later program: {found}, {late.said()}")
    return ended({"": late}, {"": problems})
