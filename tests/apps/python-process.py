#!/usr/bin/python3 -I
"""subprocess with files as stdin/stdout, pipes, fork, multiprocessing, threads."""
import multiprocessing, os, subprocess, sys, threading, concurrent.futures
def square(i):
    with open(f"mp{i}", "w") as f:
        f.write(str(i * i))
    return os.path.getsize(f"mp{i}")
def appender(n):
    for i in range(50):
        with open("log", "a") as f:
            f.write(f"{n} {i:03}\n")
def main():
    sys.stdout.reconfigure(line_buffering=True)
    with open("out", "w") as f:
        print(subprocess.run(["echo", "to a file"], stdout=f).returncode)
    with open("out", "a") as f:
        subprocess.run(["sh", "-c", "echo sh; echo err >&2"], stdout=f, stderr=subprocess.STDOUT)
    print(open("out").read())
    with open("out") as f:
        print(subprocess.run(["wc", "-l"], stdin=f, stdout=subprocess.PIPE, text=True).stdout.strip())
    with open("mixed", "w") as f:
        f.write("parent 1\n"); f.flush(); subprocess.check_call(["echo", "child"], stdout=f); f.write("parent 2\n")
    print(open("mixed").read())
    with open("inherit", "w") as f:
        subprocess.run(["sh", "-c", f"echo inherited >&{f.fileno()}"], pass_fds=[f.fileno()])
    print(open("inherit").read())
    print(subprocess.run(["ls"], cwd="/", stdout=subprocess.DEVNULL).returncode, subprocess.run("ls -1 | sort | head -3", shell=True, stdout=subprocess.PIPE, text=True).stdout)
    os.mkdir("d"); print(subprocess.run(["pwd"], cwd="d", stdout=subprocess.PIPE, text=True).stdout.strip().endswith("/d"))
    pid = os.fork()
    if pid == 0:
        with open("forked", "w") as f:
            f.write("child wrote this")
        os._exit(0)
    print(os.waitpid(pid, 0)[1], open("forked").read())
    fd = os.open("shared", os.O_RDWR | os.O_CREAT, 0o644)
    for i in range(5):
        pid = os.fork()
        if pid == 0:
            os.write(fd, f"child {i}\n".encode()); os._exit(0)
        os.waitpid(pid, 0)
    os.write(fd, b"parent\n"); print(open("shared").read())
    with multiprocessing.get_context("fork").Pool(3) as pool:
        print(pool.map(square, range(12)))
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        print(pool.map(square, range(4)))
    workers = [multiprocessing.get_context("fork").Process(target=appender, args=(n,)) for n in range(4)]
    [w.start() for w in workers]; [w.join() for w in workers]
    lines = open("log").read().splitlines(); print(len(lines), len(set(lines)), all(len(l) == 5 for l in lines))
    os.remove("log")
    def worker(n):
        for i in range(100):
            with open(f"t{n}", "a") as f:
                f.write("x" * 10)
    threads = [threading.Thread(target=worker, args=(n,)) for n in range(8)]
    [t.start() for t in threads]; [t.join() for t in threads]
    print([os.path.getsize(f"t{n}") for n in range(8)])
    with concurrent.futures.ThreadPoolExecutor(8) as ex:
        print(sum(ex.map(lambda n: len(open(f"t{n % 8}").read()), range(64))))
    p = subprocess.Popen(["sort"], stdin=subprocess.PIPE, stdout=open("sorted", "w"), text=True); p.communicate("b\na\n"); print(open("sorted").read())
    print(os.popen("cat out").read(), os.system("echo system > sys; cat sys > /dev/null"), open("sys").read())
    print(os.spawnlp(os.P_WAIT, "sh", "sh", "-c", "echo spawned > spawned"), open("spawned").read())
    out = os.posix_spawn("/bin/sh", ["sh", "-c", "echo posix"], os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, "pspawn", os.O_WRONLY | os.O_CREAT, 0o644)])
    os.waitpid(out, 0); print(open("pspawn").read())
if __name__ == "__main__":
    main()
