"""Cases of the library beside the server."""

import errno
import os
import signal
import subprocess
import sys
import time

from kit import PYTHON, case, guest, read, refused, write
from stage import CONT, POOL, USER, check, equal, mounts


@case
def handles_are_imported(stage):
    server = stage.serve()
    write(server.point + "/f", b"by dfuse")
    stage.tool("counters", "--reset")
    equal(guest(stage, f"print(open('{server.point}/f').read())"), "by dfuse\n", "what the library reads")
    counted = stage.counters()
    for connect in ("daos_pool_connect", "daos_cont_open", "dfs_mount"):
        equal(counted.get(connect, 0), 0, f"calls of {connect}")
    check(counted.get("dfs_global2local", 0) >= 1, f"imported: {counted}")


@case
def handles_of_another_release(stage):
    """libdfs refuses them: connected by UUID instead."""
    server = stage.serve()
    write(server.point + "/f", b"by dfuse")
    stage.tool("counters", "--reset")
    for fault in ("dfs_global2local:1:EINVAL", "daos_pool_global2local:1:DER_INVAL"):
        equal(guest(stage, f"print(open('{server.point}/f').read())", PIL4DFS_EMBEDDED_FAULT=fault), "by dfuse\n", fault)
    equal(stage.counters().get("daos_pool_connect", 0), 2, "connected by itself")


@case
def another_user_connects(stage):
    server = stage.serve("--disable-caching", "--multi-user")
    os.chmod(server.point, 0o777)
    write(server.point + "/f", b"by dfuse")
    os.chmod(stage.store, 0o1777)
    for directory, _, files in os.walk(stage.store):
        os.chmod(directory, 0o777)
        for name in files:
            os.chmod(os.path.join(directory, name), 0o666)
    stage.tool("counters", "--reset")
    program = f"print(open('{server.point}/f').read()); open('{server.point}/mine', 'w').write('x')"
    done = stage.run(["env", "-i", *[f"{k}={v}" for k, v in stage.library().items()], *USER,
                      PYTHON, "-c", program])
    equal(done.stdout, b"by dfuse\n", "what the library reads")
    check(stage.counters().get("daos_pool_connect", 0) >= 1, "connected by itself")
    equal(os.stat(server.point + "/mine").st_uid, 12345, "owner of a new file")


@case
def numbers_are_the_same(stage):
    root = stage.serve().point
    os.makedirs(root + "/a/b")
    write(root + "/a/f", b"x")
    os.symlink("f", root + "/a/l")
    names = ["", "/a", "/a/b", "/a/f", "/a/l"]
    show = f"import os\nfor n in {names!r}: s = os.lstat({root!r} + n); print(s.st_ino, s.st_dev, s.st_mode, s.st_nlink, s.st_size, s.st_mtime_ns)"
    equal(guest(stage, show), stage.run([sys.executable, "-c", show]).stdout.decode(), "lstat by library and kernel")
    listed = f"import os\nfor e in sorted(os.scandir({root!r} + '/a'), key=lambda e: e.name): print(e.name, e.inode(), e.is_dir(), e.is_symlink())"
    equal(guest(stage, listed), stage.run([sys.executable, "-c", listed]).stdout.decode(), "entries")


@case
def short_tools_and_lists(stage):
    """Who is left to dfuse: short tools, by the lists, by D_IL_COMPATIBLE, also where variables name the mount."""
    root = stage.serve().point
    write(root + "/f", b"x")
    env = stage.env(LD_PRELOAD=stage.path("libpil4dfs.so.0"), D_IL_REPORT="1")
    same = {"D_IL_MOUNT_POINT": root, "D_IL_POOL": POOL, "D_IL_CONTAINER": CONT}
    other = dict(same, D_IL_MOUNT_POINT="/dfs")
    python = [PYTHON, "-c", f"open({root!r} + '/f').read()"]
    name = os.path.basename(PYTHON)
    for argv, more, served in (
        (["cat", root + "/f"], {}, False),
        (["cat", root + "/f"], {"D_IL_NO_BYPASS": "1"}, True),
        (["cat", root + "/f"], same, False),
        (["cat", "/dfs/f"], other, True),
        (["cat", root + "/f"], {"D_IL_INTERCEPT_LIST": "x:cat"}, True),
        (python, {}, True),
        (python, {"D_IL_BYPASS_LIST": f"x:{name}"}, False),
        (python, {"D_IL_INTERCEPT_LIST": "x:cat"}, False),
        (python, {"D_IL_INTERCEPT_LIST": f"cat:{name}"}, True),
        (python, {"D_IL_COMPATIBLE": "1"}, False),
        (python, dict(same, D_IL_COMPATIBLE="1"), False),
        ([PYTHON, "-c", "open('/dfs/f').read()"], dict(other, D_IL_COMPATIBLE="1", D_IL_INTERCEPT_LIST="x"), True),
    ):
        said = stage.run(argv, dict(env, **more)).stderr.decode()
        opened = [line.split()[-1] for line in said.splitlines() if line.startswith("[open")]
        equal(opened not in ([], ["0"]), served, f"{argv} with {more}: {said}")
    # The descriptor is dfuse's own.
    program = f"import os; fd = os.open({root!r} + '/f', 0); print(os.readlink(f'/proc/self/fd/{{fd}}'), os.read(fd, 9))"
    done = stage.run([PYTHON, "-c", program], dict(env, D_IL_COMPATIBLE="1", D_IL_REPORT="0"))
    equal(done.stdout.decode(), f"{root}/f b'x'\n", "what the number leads to")


@case
def given_back_by_umount(stage):
    """umount(2) of a dfuse mount reaches the kernel from a program under the library."""
    root = stage.serve().point
    write(root + "/f", b"x")
    program = f"""
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def umount(path): return errno.errorcode[ctypes.get_errno()] if libc.umount2(path.encode(), 0) else 'fine'
root = {root!r}
print(open(root + '/f').read()); os.mkdir(root + '/d')
print(umount(root + '/d'), umount(root + '/f'))
fd = os.open('/proc/self/mountinfo', 0)
os.chdir(root); print(umount(root)); os.chdir('/')
print(umount(root + '/'), os.path.ismount(root), os.path.exists(root + '/f'))
"""
    equal(guest(stage, program), "x\nEPERM EPERM\nEBUSY\nfine False False\n", "what it got")
    check(root not in mounts(), "unmounted")


@case
def what_the_library_writes_shows(stage):
    root = stage.serve().point
    write(root + "/f", b"old")
    equal(read(root + "/f"), b"old", "before")
    guest(stage, f"open('{root}/f', 'w').write('newer'); import os; os.mkdir('{root}/d'); os.rename('{root}/f', '{root}/d/g')")
    equal(read(root + "/d/g"), b"newer", "at once")
    refused(lambda: os.stat(root + "/f"), errno.ENOENT)
    fd = os.open(root + "/d/g", os.O_RDWR)
    guest(stage, f"open('{root}/d/g', 'a').write('+')")
    equal((os.pread(fd, 99, 0), os.fstat(fd).st_size), (b"newer+", 6), "through an open file")
    guest(stage, f"import os; os.unlink('{root}/d/g')")
    refused(lambda: os.stat(root + "/d/g"), errno.ENOENT)
    refused(lambda: os.pread(fd, 99, 0), errno.ESTALE)
    os.close(fd)
    os.rmdir(root + "/d")
    equal(guest(stage, f"import os; print(os.listdir('{root}'))"), "[]\n", "and the other way round")


@case
def caches_expire(stage):
    root = stage.serve("--enable-caching").point
    write(root + "/f", b"old")
    equal(read(root + "/f"), b"old", "before")
    refused(lambda: os.stat(root + "/new"), errno.ENOENT)
    guest(stage, f"open('{root}/f', 'w').write('newer'); open('{root}/new', 'w').write('n')")
    time.sleep(1.2)  # names and attributes: a second
    equal(os.stat(root + "/f").st_size, 5, "attributes after their time")
    equal(read(root + "/f"), b"newer", "contents follow the attributes")
    equal(read(root + "/new"), b"n", "a name that was not there")


@case
def stopped_server_hangs_nobody_else(stage):
    server = stage.serve()
    server.send(signal.SIGSTOP)
    start = time.monotonic()
    for command in (["/bin/true"], ["/bin/ls", "/"], [sys.executable, "-c", "open('/etc/passwd').read()"]):
        stage.run(command, stage.library(), timeout=10)
    check(time.monotonic() - start < 5, "nobody waits for it")
    server.send(signal.SIGCONT)
    write(server.point + "/f", b"x")
    equal(guest(stage, f"print(open('{server.point}/f').read())"), "x\n", "afterwards")


@case
def killed_server_is_an_error(stage):
    server = stage.serve()
    write(server.point + "/f", b"x")
    server.process.kill()
    server.process.wait()
    check(server.point in mounts(), "the dead mount is still there")
    refused(lambda: os.stat(server.point + "/f"), errno.ENOTCONN)
    program = f"""
import errno
try: open('{server.point}/f'); print('open')
except OSError as e: print(errno.errorcode[e.errno])
print(len(open('/etc/passwd').read()) > 0)
"""
    equal(guest(stage, program, timeout=10), "ENOTCONN\nTrue\n", "the library")
    # Named by the environment, it needs no server.
    named = {"D_IL_MOUNT_POINT": server.point, "D_IL_POOL": POOL, "D_IL_CONTAINER": CONT}
    equal(guest(stage, program, timeout=10, **named), "open\nTrue\n", "the library, told pool and container")


@case
def imported_handles_may_die(stage):
    server = stage.serve()
    write(server.point + "/f", b"x" * 5000)
    program = f"""
import os, sys
fd = os.open('{server.point}/f', os.O_RDWR)
print(len(os.pread(fd, 9999, 0)), flush=True)
sys.stdin.readline()
print(len(os.pread(fd, 9999, 0)), os.pwrite(fd, b'y', 0), os.stat('{server.point}/f').st_size, flush=True)
"""
    child = subprocess.Popen([sys.executable, "-c", program], env=stage.library(), stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)
    try:
        equal(child.stdout.readline(), "5000\n", "with the server")
        server.process.kill()
        server.process.wait()
        time.sleep(4)  # the provider forgets the handles of the dead, as DAOS does
        out, _ = child.communicate("\n", timeout=20)
        equal(out, "5000 1 5000\n", "without it")
    finally:
        child.kill()
        child.wait()


@case
def read_only_and_balanced(stage):
    stage.tool("cont", "create", "--balanced", POOL, "bal")
    balanced = stage.mount("--pool", POOL, "--container", "bal", "--disable-caching", point="b").point
    write(balanced + "/f", b"x")
    guest(stage, f"import os; os.symlink('f', '{balanced}/l'); os.rename('{balanced}/l', '{balanced}/k')")
    equal(os.readlink(balanced + "/k"), "f", "a link renamed in a balanced container")
    write(stage.serve(point="w").point + "/f", b"x")
    fixed = stage.serve("--read-only", "--disable-caching", point="r").point
    program = f"""
import errno
print(open('{fixed}/f').read())
try: open('{fixed}/f', 'w'); print('written')
except OSError as e: print(errno.errorcode[e.errno])
"""
    equal(guest(stage, program), "x\nEROFS\n", "a mount of type ro")
    stage.tool("cont", "protect", POOL, CONT)
    protected = stage.serve(point="p").point
    equal(guest(stage, program.replace(fixed, protected)), "x\nEROFS\n", "a container that is read-only")


@case
def odd_mount_points(stage):
    odd = stage.serve(point="with space\tand\\tab").point
    write(odd + "/f", b"odd")
    equal(guest(stage, f"print(open({odd!r} + '/f').read())"), "odd\n", "a mount point with a blank")
    inner = os.path.join(odd, "in")
    os.mkdir(inner)
    stage.tool("cont", "create", POOL, "nested")
    stage.mount("--pool", POOL, "--container", "nested", "--disable-caching", point=os.path.relpath(inner, stage.top))
    write(inner + "/g", b"nested")
    equal(guest(stage, f"import os; print(open({inner!r} + '/g').read(), os.listdir({odd!r}))"),
          "nested ['in', 'f']\n" if os.listdir(odd) == ["in", "f"] else "nested ['f', 'in']\n", "a mount in a mount")
    bound = os.path.join(stage.top, "bound")
    os.mkdir(bound)
    os.mkdir(odd + "/sub")
    write(odd + "/sub/h", b"bound")
    stage.run(["mount", "--bind", odd + "/sub", bound])
    try:
        equal(guest(stage, f"import os; print(open({bound!r} + '/h').read(), os.listdir({bound!r}))"),
              "bound ['h']\n", "a bind mount of a directory")
    finally:
        stage.run(["umount", bound])
    scratch = os.path.join(odd, "tmp")
    os.mkdir(scratch)
    stage.run(["mount", "-t", "tmpfs", "none", scratch])
    try:
        write(scratch + "/k", b"kernel")
        inside = f"""
import os
print(open({scratch!r} + '/k').read())
os.chdir({odd!r}); print(open('tmp/k').read(), open('tmp/../f').read(), os.listdir('tmp'))
fd = os.open('.', os.O_RDONLY | os.O_DIRECTORY)
print(os.stat('tmp/k', dir_fd=fd).st_size, os.path.ismount('tmp'))
open('tmp/new', 'w').write('n')
"""
        equal(guest(stage, inside), "kernel\nkernel odd ['k']\n6 True\n", "a mount of the kernel's inside")
        equal(sorted(os.listdir(scratch)), ["k", "new"], "its names")
    finally:
        stage.run(["umount", scratch])
    equal(os.listdir(scratch), [], "below it")
    program = f"import os; print(os.path.exists({odd!r} + '/f'))"
    unshared = ["unshare", "-m", "--propagation", "private", "sh", "-c",
                'umount -l "$1" && LD_PRELOAD=$2 exec "$3" -c "$4"', "sh", odd,
                stage.path("libpil4dfs.so.0"), sys.executable, program]
    equal(stage.run(unshared).stdout, b"False\n", "unmounted in another name space")


@case
def later_mounts_are_noticed(stage):
    first = stage.serve(point="one").point
    write(first + "/f", b"1")
    second = os.path.join(stage.top, "two")
    os.mkdir(second)
    program = f"""
import os, sys, time
def say(*words): print(*words, flush=True)
def seen():
    os.stat({first!r} + '/f')
    try: return open({second!r} + '/f').read()
    except OSError as e: return e.strerror
say(open({first!r} + '/f').read())
sys.stdin.readline(); time.sleep(1.2); say(seen())
sys.stdin.readline(); time.sleep(1.2); say(seen())
"""
    env = stage.library(D_IL_REPORT="0")
    child = subprocess.Popen([sys.executable, "-c", program], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        equal(child.stdout.readline(), "1\n", "the first mount")
        stage.tool("cont", "create", POOL, "later")
        later = stage.mount("--pool", POOL, "--container", "later", "--disable-caching", point="two")
        write(second + "/f", b"2")
        stage.tool("counters", "--reset")
        child.stdin.write("\n")
        child.stdin.flush()
        equal(child.stdout.readline(), "2\n", "a later mount")
        check(stage.counters().get("dfs_global2local", 0) >= 1, f"served by the library: {stage.counters()}")
        later.stop()
        child.stdin.write("\n")
        child.stdin.flush()
        equal(child.stdout.readline(), "No such file or directory\n", "after it was unmounted")
    finally:
        child.kill()
        child.wait()
