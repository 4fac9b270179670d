#!/usr/bin/python3 -I
"""Worker processes in all ways: multiprocessing by fork, spawn and forkserver, executors, readers on an
inherited descriptor, subprocess options, a daemon that closes everything."""
import concurrent.futures, mmap, multiprocessing as mp, os, signal, subprocess, sys, time

def square(i):
    with open(f"sq{i}", "w") as f:
        f.write(str(i * i))
    return i, os.path.getsize(f"sq{i}"), os.path.basename(os.getcwd()) == "x"

def through_queue(name, queue, lock):
    with lock:
        with open("shared.log", "a") as f:
            f.write(f"{name}\n")
    with open(name, "w") as f:
        f.write(name * 10)
    queue.put((name, os.path.getsize(name)))

def read_record(fd, index, size):
    return os.pread(fd, size, index * size)

DATA = None
def init_reader(name):
    global DATA
    DATA = open(name, "rb")

def load(index):
    DATA.seek(index * 64)
    return DATA.read(64)[0]

class Dataset:
    """The parent opens, forked workers read: the habit of data loaders."""
    def __init__(self, name):
        self.fd = os.open(name, os.O_RDONLY)
        self.file = open(name, "rb")
        self.map = mmap.mmap(self.fd, 0, prot=mmap.PROT_READ)
    def get(self, i):
        return os.pread(self.fd, 64, i * 64)[0], self.map[i * 64]

def loader(dataset, todo, done):
    for i in iter(todo.get, None):
        done.put((i, dataset.get(i)))

def main():
    if os.environ.get("WORKER") == "child":
        return
    with open("data", "wb") as f:
        for i in range(256):
            f.write(bytes([i]) * 64)
    for method in ("fork", "spawn", "forkserver"):
        context = mp.get_context(method)
        with context.Pool(3) as pool:
            print(method, sorted(pool.map(square, range(8))))
            print(method, sum(pool.imap_unordered(os.path.getsize, [f"sq{i}" for i in range(8)])))
        queue, lock = context.Queue(), context.Lock()
        workers = [context.Process(target=through_queue, args=(f"{method}-{i}", queue, lock)) for i in range(4)]
        [w.start() for w in workers]
        print(sorted(queue.get(timeout=30) for _ in workers))
        [w.join() for w in workers]
        print([w.exitcode for w in workers])
        with context.Pool(2, init_reader, ("data",)) as pool:
            print(method, sum(pool.map(load, range(256))))
    print(sorted(open("shared.log").read().split()))
    os.remove("shared.log")
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        fd = os.open("data", os.O_RDONLY)
        print([f.result()[1] for f in [pool.submit(square, i) for i in range(10, 14)]])
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=mp.get_context("fork")) as pool:
        print([pool.submit(read_record, fd, i, 64).result()[0] for i in (0, 100, 255)])
    dataset = Dataset("data")
    context = mp.get_context("fork")
    for epoch in range(2):
        todo, done = context.Queue(), context.Queue()
        workers = [context.Process(target=loader, args=(dataset, todo, done)) for _ in range(3)]
        [w.start() for w in workers]
        [todo.put(i) for i in range(200)]
        [todo.put(None) for _ in workers]
        got = dict(done.get(timeout=30) for _ in range(200))
        [w.join() for w in workers]
        print(epoch, all(got[i] == (i, i) for i in range(200)), [w.exitcode for w in workers])
    # Readers that share one offset take turns without loss.
    fd = os.open("data", os.O_RDONLY)
    pids = []
    for n in range(3):
        pid = os.fork()
        if pid == 0:
            with open(f"turn{n}", "wb") as f:
                while block := os.read(fd, 64):
                    f.write(block)
            os._exit(0)
        pids.append(pid)
    print([os.waitpid(pid, 0)[1] for pid in pids])
    print(sorted(open(f"turn{n}", "rb").read()[i] for n in range(3) for i in range(0, os.path.getsize(f"turn{n}"), 64)) == list(range(256)))
    [os.remove(f"turn{n}") for n in range(3)]
    print("subprocess")
    with open("out", "w+") as f, open("data", "rb") as g:
        for options in ({"close_fds": True}, {"close_fds": False}, {"close_fds": True, "pass_fds": [g.fileno()]}, {"start_new_session": True}, {"preexec_fn": lambda: os.chdir("/")}, {"cwd": os.getcwd()}, {"env": {}}, {"env": {"PATH": "/bin:/usr/bin", "A": "b"}, "umask": 0o77}, {"process_group": 0} if sys.version_info >= (3, 11) else {}):
            g.seek(64)
            done = subprocess.run(["/bin/sh", "-c", "head -c 3 | od -An -tx1; echo to out; echo to err >&2; [ -d sq1 ] || echo x >> sq1"], stdin=g.fileno(), stdout=f, stderr=subprocess.STDOUT, **options)
            f.flush()
            print(sorted(options)[:1], done.returncode, os.lseek(f.fileno(), 0, os.SEEK_CUR), os.lseek(g.fileno(), 0, os.SEEK_CUR))
    print(open("out").read())
    with open("big", "wb") as f:
        subprocess.run(["head", "-c", "3000000", "/dev/zero"], stdout=f)
    print(subprocess.run(["wc", "-c"], stdin=open("big"), capture_output=True, text=True).stdout.strip())
    p = subprocess.Popen(["cat"], stdin=open("out"), stdout=subprocess.PIPE); q = subprocess.Popen(["sort"], stdin=p.stdout, stdout=open("sorted", "w")); p.stdout.close(); q.wait(); p.wait()
    print(len(open("sorted").read()))
    try:
        subprocess.run(["sleep", "10"], stdout=open("timeout", "w"), timeout=0.2)
    except subprocess.TimeoutExpired:
        print("timed out")
    p = subprocess.Popen(["sh", "-c", "echo started; exec sleep 10"], stdout=open("killed", "w"))
    while os.path.getsize("killed") == 0:
        time.sleep(0.02)
    p.send_signal(signal.SIGKILL); print(p.wait(), open("killed").read())
    # A daemon: two forks, a session, every descriptor closed, the directory left and entered again.
    here = os.getcwd()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 256)
            os.chdir("/")
            null = os.open("/dev/null", os.O_RDWR); os.dup2(null, 1); os.dup2(null, 2)
            log = os.open(here + "/daemon.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.write(log, b"numbers %d %d\n" % (null, log))
            subprocess.run(["sh", "-c", "echo from a child of the daemon; pwd"], stdout=log)
            os.rename(here + "/daemon.log", here + "/daemon.done")
        os._exit(0)
    os.wait()
    for _ in range(500):
        if os.path.exists("daemon.done"):
            break
        time.sleep(0.02)
    print(open("daemon.done").read())

if __name__ == "__main__":
    main()
