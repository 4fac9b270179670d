"""mounts: several mounts at once, by a file, a list and variables, and what their edges do."""

import os
import sys

from . import base, mount

# Of these, some are containers; nobody ever comes to the others.
MANY = 1000
PYTHON = next((p for p in ("/usr/bin/python3", "/usr/local/bin/python3") if os.path.exists(p)), sys.executable)


class Place:
    """A store with containers one, two and three, and a file that mounts them."""

    def __init__(self, context, who):
        self.who, self.tool = who, context.products.path("pil4dfs")
        self.mount = mount.Mount(context.products, who, context.scratch.directory(who))
        self.file = os.path.join(os.path.dirname(self.mount.store), "pil4dfs.conf")

    def create(self):
        wrong = self.mount.create()
        for name in ("one", "two", "three"):
            wrong = wrong or self.mount._tool("cont", "create", "pool", name)
        return wrong

    def write(self, *mounts):
        """A file of these mounts, each a dictionary."""
        word = lambda value: str(value).lower() if isinstance(value, bool) else f'"{value}"'
        text = ["# made by a test"]
        for one in mounts:
            text += ["", "[[mount]]"] + [f"{key} = {word(value)}" for key, value in one.items()]
        self.text("\n".join(text) + "\n")

    def text(self, text):
        with open(self.file, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.file, 0o644)

    def tree(self):
        """One container, another in it, and one beside."""
        self.write({"point": "/dfs", "pool": "pool", "container": "one"},
                   {"point": "/dfs/in/two", "pool": "pool", "container": "two"},
                   {"point": "/other dfs", "source": "daos://pool/three"})

    def run(self, argv, options=(), timeout=60, **env):
        command = [self.tool, "run", "--embedded", self.mount.store, *(options or ["--config", self.file]), "--", *argv]
        return base.run(command, self.who, base.clean_env(**env), self.mount.cwd, timeout)

    def says(self, program, wanted, options=(), **env):
        """A Python program prints this and no more; else what it printed."""
        done = self.run([PYTHON, "-c", HEAD + program], options, **env)
        good = done.status == 0 and done.out.decode(errors="replace") == wanted and not done.err
        return self.mount.leaks() if good else done.says()


HEAD = """
import errno, os
def code(call, *words, **more):
    try: call(*words, **more)
    except OSError as e: return errno.errorcode[e.errno]
    return 'fine'
def write(path, text):
    with open(path, 'w') as f: f.write(text)
def read(path):
    with open(path) as f: return f.read()
"""


def edges(place):
    """Longest prefix, "..", links, EXDEV and devices where one mount lies in another."""
    place.tree()
    return place.says("""
os.makedirs('/dfs/in/shadowed'); write('/dfs/in/f', 'one'); write('/dfs/in/two/f', 'two'); write('/other dfs/f', 'three')
print(read('/dfs/in/two/../f'), read('/dfs/in/two/f'), read('/dfs//in/./two/f'), read('/dfs/../other dfs/f'))
os.symlink('../../other dfs/f', '/dfs/l'); os.symlink('/dfs/in/two', '/other dfs/m'); os.symlink('two/f', '/dfs/in/n')
print(read('/dfs/l'), read('/other dfs/m/f'), read('/other dfs/m/../f'), read('/dfs/in/n'))
print(len({os.stat(p).st_dev for p in ('/dfs', '/dfs/in', '/dfs/in/two', '/other dfs', '/')}))
print(code(os.rename, '/dfs/in/f', '/dfs/in/two/g'), code(os.rename, '/other dfs/f', '/dfs/g'), code(os.link, '/dfs/in/f', '/dfs/in/two/g'))
print(code(os.rmdir, '/dfs/in/two'), code(os.mkdir, '/dfs/in/two'), code(os.rename, '/dfs/in/two', '/dfs/in/three'))
os.chdir('/dfs/in/two'); os.mkdir('d'); os.chdir('d'); print(os.getcwd(), read('../f'), read('../../f'), sorted(os.listdir('..')))
os.chdir('../..'); print(os.getcwd(), read('two/f'), sorted(os.listdir('.')))
fd = os.open('/dfs', os.O_RDONLY); os.close(os.open('in/two/f', os.O_RDONLY, dir_fd=fd)); print(os.stat('in/two', dir_fd=fd).st_ino)
""", """one two two three
three two one two
4
EXDEV EXDEV EXDEV
EBUSY EEXIST EBUSY
/dfs/in/two/d two one ['d', 'f']
/dfs/in two ['f', 'n', 'shadowed']
1
""")


def processes(place):
    """Descriptors, working directory and handles of several mounts go along over exec."""
    place.tree()
    script = ("echo one > /dfs/f; mkdir -p /dfs/in/two/d; exec 7<> /dfs/in/two/f; echo two >&7; cd /dfs/in/two/d; "
              "echo more | env -i /bin/sh -c 'cat >&7; cat ../f ../../../f; pwd'")
    done = place.run(["/bin/bash", "-c", script])
    return "" if done.out == b"two\nmore\none\n/dfs/in/two/d\n" and not done.err else done.says()


def options(place):
    """A directory of a container, and one that may only be read."""
    place.write({"point": "/dfs", "pool": "pool", "container": "one"},
                {"point": "/part", "source": "daos://pool/one/a/b"},
                {"point": "/fixed", "source": "daos://pool/one", "read_only": True})
    return place.says("""
os.makedirs('/dfs/a/b/c'); write('/dfs/a/f', 'above')
write('/part/f', 'below'); print(read('/dfs/a/b/f'), os.listdir('/part') == os.listdir('/dfs/a/b'))
print(code(os.stat, '/part/../f'), os.path.realpath('/part/c/..'))
print(read('/fixed/a/b/f'), code(write, '/fixed/g', ''), code(os.mkdir, '/fixed/d'), code(os.unlink, '/fixed/a/f'), os.access('/fixed/a', os.W_OK))
""", "below True\nENOENT /part\nbelow EROFS EROFS EROFS False\n")


def missing_directory(place):
    """The directory that is to be mounted is not there: an error for its paths, one line."""
    place.write({"point": "/dfs", "pool": "pool", "container": "one"}, {"point": "/part", "source": "daos://pool/one/none"})
    done = place.run([PYTHON, "-c", HEAD + "print(code(os.stat, '/part/x'), code(os.stat, '/part'), code(write, '/dfs/f', ''))"])
    good = done.out == b"EIO EIO fine\n" and done.err.count(b"\n") == 1 and b"/part" in done.err
    return "" if good else done.says()


def entry_points(place):
    """The container of a directory of the kernel's that names it."""
    top = os.path.join(os.path.dirname(place.mount.store), "lustre")
    os.mkdir(top)
    place.who.own(top)
    tool = place.mount._tool("cont", "create", "pool", "by-path", "--path", os.path.join(top, "link"))
    if tool:
        return tool
    os.mkdir(os.path.join(top, "plain"))
    place.write({"point": f"{top}/link", "entry_point": True}, {"point": f"{top}/plain", "entry_point": True},
                {"point": "/dfs", "source": "daos://pool/by-path"})
    done = place.run([PYTHON, "-c", HEAD + f"""
os.chdir({top!r})
write('link/f', 'inside'); print(read('/dfs/f'), os.listdir('link'), code(os.stat, 'plain/x'))
"""])
    good = done.out == b"inside ['f'] EIO\n" and done.err.count(b"\n") == 1 and b"user.daos" in done.err
    return "" if good and not os.listdir(f"{top}/link") else done.says()


def many(place):
    """A thousand mounts: the few that are used are connected to, each path comes to its own."""
    names = ["one", "two", "three"]
    place.write(*[{"point": f"/dfs/project-{i:04}/{'deep/' * (i % 3)}x", "pool": "pool", "container": names[i] if i < 3 else "none"}
                  for i in range(MANY)])
    place.mount._tool("counters", "--reset")
    wrong = place.says("""
for i in range(3): write(f'/dfs/project-{i:04}/' + 'deep/' * (i % 3) + 'x/f', str(i))
for i in range(3): print(read(f'/dfs/project-{i:04}/' + 'deep/' * (i % 3) + 'x/f'))
print(code(os.stat, '/dfs/project-0001'), code(os.stat, '/dfs/project-0001/deep/y'), code(os.stat, '/dfs'))
fork = os.fork()
if fork == 0: os.execv('/bin/cat', ['cat', '/dfs/project-0002/deep/deep/x/f'])
os.waitpid(fork, 0); print()
""", "0\n1\n2\nENOENT ENOENT ENOENT\n2\n", PYTHONUNBUFFERED="1")
    tool = base.run([place.mount.products.path("pil4dfs-embedded"), "--root", place.mount.store, "counters"], place.who)
    connects = [line for line in tool.out.decode().splitlines() if line.startswith("daos_pool_connect ")]
    return wrong or ("" if connects == ["daos_pool_connect 3"] else f"{connects}, 3 expected")


def list_and_variables(place):
    """--mount as often as wanted, with and without --pool; a list, three variables and a file together."""
    place.write({"point": "/three", "source": "daos://pool/three"}, {"point": "/two", "source": "daos://pool/none"})
    options = ["--pool", "pool", "--cont", "one", "--mount", "/one", "--mount", "/two=daos://pool/two", "--config", place.file]
    wrong = place.says("""
for name in ('one', 'two', 'three'): write(f'/{name}/f', name)
os.makedirs('/two/a/b')
""", "", options)
    return wrong or place.says("print(read('/x/f'), os.listdir('/y'))", "two ['b']\n",
                               ["--mount", "/x=daos://pool/two", "--mount", "/y=daos://pool/two/a"])


def doctor(place):
    """Each mount of the file is looked at; a wrong file is a finding."""
    place.tree()
    done = base.run([place.tool, "doctor", "--embedded", place.mount.store, "--config", place.file], place.who, base.clean_env(), "/")
    for point in (b"/dfs is served", b"/dfs/in/two is served", b"/other dfs is served"):
        if point not in done.out or done.status:
            return done.says()
    place.text("[[mount]]\npoint = '/dfs'\npoll = 'x'\n")
    done = base.run([place.tool, "doctor"], place.who, base.clean_env(PIL4DFS_CONFIG=place.file), "/")
    return "" if done.status == 1 and b"line 3: poll is unknown" in done.out else done.says()


# A wrong file -> what the one line has.
WRONG = {
    "no-toml": ("[[mount]]\npoint = /dfs\n", "line 2"),
    "unknown-key": ("[[mount]]\npoint = '/dfs'\n\npols = 'pool'\n", "line 4: pols"),
    "no-container": ("#\n[[mount]]\npoint = '/dfs'\npool = 'pool'\n", "line 2: container is missing"),
    "same-point": ("[[mount]]\npoint='/dfs'\nsource='daos://pool/one'\n[[mount]]\npoint='/dfs/'\nsource='daos://pool/two'\n", "line 4"),
    "binary": ("\0\1\2", "line 1"),
    "not-there": (None, "ENOENT"),
}


def wrong_file(place, text, said):
    """One line, nothing intercepted (not the variables' mount either), the guest unharmed; `run` refuses it."""
    if text is not None:
        place.text(text)
    env = place.mount.preload_env(PIL4DFS_CONFIG=place.file)
    done = base.run(["/bin/sh", "-c", "echo fine; cat /dfs/f; exit 3"], place.who, env, place.mount.cwd)
    lines = [line for line in done.err.decode().splitlines() if "No such file" not in line]
    # The shell and the program it starts say it once each.
    if done.out != b"fine\n" or done.status != 3 or len(lines) != 2 or lines[0] != lines[1] or said not in lines[0] or place.file not in lines[0]:
        return done.says()
    done = place.run(["true"])
    word = said if text is not None else "No such file"
    return "" if done.status == 2 and word in done.err.decode() and done.err.count(b"\n") == 1 else done.says()


def job_script(place):
    """A job script with all of upstream's variables runs unchanged."""
    script = f"""
export LD_PRELOAD={place.mount.products.path("libpil4dfs.so.0")}
export D_IL_MOUNT_POINT=/dfs D_IL_POOL=pool D_IL_CONTAINER=one D_IL_REPORT=1
export D_IL_MAX_EQ=$1 D_IL_COMPATIBLE=$2 D_IL_NO_BYPASS=$3 D_IL_BYPASS_LIST=cmake:mytool D_IL_ENFORCE_EXEC_ENV=1
export D_IL_NO_DCACHE_BASH=$2 D_IL_DCACHE_SIZE_BITS=16 D_IL_DCACHE_REC_TIMEOUT=$4 D_IL_DCACHE_GC_PERIOD=$4 D_IL_DCACHE_GC_RECLAIM_MAX=1000
export D_LOG_FILE=/dev/null D_LOG_MASK=ERR DD_MASK=all DD_SUBSYS=all D_POLL_TIMEOUT=0
rm -rf /dfs/run; mkdir -p /dfs/run/a/b
exec bash -e << 'END'
cd /dfs/run; echo input > in; for i in 1 2 3; do cat in in > a/b/out.$i; done
cp -r a c; mv c/b/out.1 .; ls -R .; cat out.1; rm -r a; test ! -e a; stat -c %s c/b/out.2
END
"""
    wanted = b".:\na\nc\nin\nout.1\n\n./a:\nb\n\n./a/b:\nout.1\nout.2\nout.3\n\n./c:\nb\n\n./c/b:\nout.2\nout.3\ninput\ninput\n12\n"
    env = base.clean_env(PIL4DFS_DAOS_DIR=place.mount.products.path("embedded"), PIL4DFS_EMBEDDED_ROOT=place.mount.store)
    for values in (("64", "0", "1", "60"), ("0", "1", "0", "0")):
        done = base.run(["/bin/bash", "-c", script, "job", *values], place.who, env, place.mount.cwd)
        lines = done.err.decode().splitlines()
        foreign = [line for line in lines if not line.startswith(("app ", "libpil4dfs intercepting", "[")) and line.strip()]
        if done.out != wanted or done.status or foreign or not any(line.endswith("interception ON") for line in lines):
            return f"{values}: {done.says()}"
    return place.mount.leaks()


CASES = [edges, processes, options, missing_directory, entry_points, many, list_and_variables, doctor, job_script]


def tests(context):
    for who in context.identities:

        def case(test, run, who=who):
            place = Place(context, who)
            wrong = place.create() or run(place)
            return test.failed(wrong) if wrong else test.passed()

        for run in CASES:
            yield base.Test("mounts", f"{who.name}/{run.__name__.replace('_', '-')}", lambda test, run=run, case=case: case(test, run))
        for name, (text, said) in WRONG.items():
            run = lambda place, text=text, said=said: wrong_file(place, text, said)
            yield base.Test("mounts", f"{who.name}/wrong-file-{name}", lambda test, run=run, case=case: case(test, run))
