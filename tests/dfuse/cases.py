"""The cases: functions of a stage, by name in ALL. The server's own first, then the library beside it."""

import errno
import fcntl
import os
import shutil
import signal
import stat
import struct
import subprocess
import sys
import time

from stage import CONT, PATH, POOL, USER, Failure, Skip, check, equal, mounts, until

ALL = {}
# One that every user can run.
PYTHON = next((p for p in ("/usr/bin/python3", "/usr/local/bin/python3") if os.path.exists(p)), sys.executable)


def case(function):
    ALL[function.__name__.replace("_", "-")] = function
    return function


def refused(call, *numbers):
    """The call fails with one of these errnos."""
    try:
        got = call()
    except OSError as error:
        check(error.errno in numbers, f"errno {errno.errorcode.get(error.errno)}, expected {[errno.errorcode[n] for n in numbers]}")
        return
    raise Failure(f"succeeded with {got!r}, expected {[errno.errorcode[n] for n in numbers]}")


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def read(path):
    with open(path, "rb") as file:
        return file.read()


# ---------------------------------------------------------------- the server


@case
def mount_types(stage):
    plain, shared, fixed = stage.serve(), stage.serve("--multi-user", point="s"), stage.serve("--read-only", point="r")
    for server in (plain, shared, fixed):
        kind, source, options = mounts()[server.point]
        equal((kind, source), ("fuse.daos", "dfuse"), "type and source")
        for option in ("nosuid", "nodev", "noatime", "user_id=0", "group_id=0", "default_permissions"):
            check(option in options.split(","), f"no {option} in {options}")
        equal("allow_other" in options, server is shared, "allow_other")
        equal("ro" in options.split(","), server is fixed, "ro")
    refused(lambda: os.mkdir(fixed.point + "/d"), errno.EROFS)
    stage.run([*USER, "ls", plain.point], status=2)
    stage.run([*USER, "ls", shared.point])
    space = os.statvfs(plain.point)
    equal((space.f_bsize, space.f_frsize, space.f_namemax), (1, 1, 255), "statvfs")
    check(0 < space.f_bavail <= space.f_blocks, "space")


@case
def root_names_its_container(stage):
    root = stage.serve().point
    value = os.getxattr(root, "user.daos")
    equal(len(value), 86, "length")
    pool = stage.tool("pool", "list").split()[1]
    check(value.decode().startswith(f"DAOS.POSIX://{pool}/"), f"{value}")
    equal(os.listxattr(root), ["user.daos"], "listxattr")
    refused(lambda: os.setxattr(root, "user.daos", value), errno.EINVAL)
    os.mkdir(root + "/d")
    refused(lambda: os.getxattr(root + "/d", "user.daos"), errno.ENODATA)
    refused(lambda: os.setxattr(root + "/d", "user.daos", b"DAOS.POSIX://x"), errno.EINVAL)
    refused(lambda: os.setxattr(root + "/d", "trusted.x", b"x"), errno.EOPNOTSUPP)


@case
def pool_and_container_tree(stage):
    stage.tool("cont", "create", POOL, "other")
    ids = {line.split()[0]: line.split()[1] for line in stage.tool("cont", "list", POOL).splitlines()}
    pool = stage.mount("--pool", POOL, "--disable-caching").point
    equal(sorted(os.listdir(pool)), sorted([CONT, "other"]), "the pool's directory")
    write(pool + "/other/f", b"by label")
    equal(read(f"{pool}/{ids['other']}/f"), b"by label", "the same by UUID")
    equal(os.stat(f"{pool}/other/f").st_ino, os.stat(f"{pool}/{ids['other']}/f").st_ino, "one inode")
    refused(lambda: os.mkdir(pool + "/new"), errno.EPERM)
    refused(lambda: os.stat(pool + "/none"), errno.ENOENT)
    refused(lambda: os.rename(pool + "/other/f", f"{pool}/{CONT}/f"), errno.EXDEV)
    above = stage.mount("--disable-caching", point="above").point
    refused(lambda: os.stat(above + "/none"), errno.ENOENT)
    equal(read(f"{above}/{POOL}/other/f"), b"by label", "two levels down")
    equal(os.listdir(above), [POOL], "pools entered so far")


@case
def entry_points_are_crossed(stage):
    stage.tool("cont", "create", POOL, "inner")
    inner = stage.mount("--pool", POOL, "--container", "inner", "--disable-caching", point="i").point
    write(inner + "/f", b"inside")
    outer = stage.serve().point
    os.mkdir(outer + "/link")
    before = os.stat(outer + "/link").st_ino
    os.setxattr(outer + "/link", "user.daos", os.getxattr(inner, "user.daos"))
    equal(read(outer + "/link/f"), b"inside", "through the entry point")
    check(os.stat(outer + "/link").st_ino != before, "the root of another container shows")
    equal(os.getxattr(outer + "/link", "user.daos"), os.getxattr(inner, "user.daos"), "user.daos inside")
    refused(lambda: os.rename(outer + "/link/f", outer + "/f"), errno.EXDEV)
    equal(sorted(os.listdir(outer)), ["link"], "listing")
    os.mkdir(outer + "/gone")
    nowhere = b"DAOS.POSIX://" + b"0" * 8 + b"-0000-0000-0000-" + b"0" * 12
    os.setxattr(outer + "/gone", "user.daos", nowhere + nowhere[12:])
    refused(lambda: os.stat(outer + "/gone"), errno.ENOLINK)


IL, IL_SIZE, DSIZE, PFILE, WHO = 0x8040A3C1, 0x8020A3C7, 0x8010A3C8, 0x8080A3C9, 0x8008A3CA
POH, COH, DOH, DOOH = 0x8000A3C3, 0x8000A3C4, 0x8000A3C5, 0x8000A3C6


def ask(fd, request, room=None):
    buffer = bytearray(room if room is not None else (request >> 16) & 0x3FFF)
    fcntl.ioctl(fd, request, buffer)
    return bytes(buffer)


def blob(fd, request, size):
    return ask(fd, request | size << 16, size)


@case
def handles_by_ioctl(stage):
    server = stage.serve("--disable-caching", "--multi-user")
    write(server.point + "/f", b"x")
    os.mkdir(server.point + "/d")
    for name in ("", "/f", "/d"):
        fd = os.open(server.point + name, os.O_RDONLY)
        reply = ask(fd, IL)
        equal(struct.unpack_from("I", reply)[0], 7, "version")
        text = reply[24:40].hex() + reply[40:56].hex()
        value = os.getxattr(server.point, "user.daos").decode()
        equal(text, value.removeprefix("DAOS.POSIX://").replace("/", "").replace("-", ""), "pool and container")
        equal(struct.unpack_from("Q", reply, 56)[0], 0, "no metadata caching")
        version, pool, cont, dfs = struct.unpack("IxxxxQQQ", ask(fd, IL_SIZE))
        equal(version, 7, "version of the sizes")
        version, size = struct.unpack("IxxxxQ", ask(fd, DSIZE))
        equal(version, 7, "version of the object's size")
        for request, length in ((POH, pool), (COH, cont), (DOH, dfs), (DOOH, size)):
            equal(len(blob(fd, request, length)), length, "a handle")
            refused(lambda r=request, n=length: blob(fd, r, n + 1), errno.EAGAIN)
            refused(lambda r=request, n=length: blob(fd, r, n - 1), errno.EIO)
        equal(struct.unpack("II", ask(fd, WHO)), (0, 0), "who runs it")
        file = ask(fd, PFILE).split(b"\0")[0].decode()
        equal(read(file), blob(fd, POH, pool), "the pool's handle in a file")
        equal(stat.S_IMODE(os.stat(file).st_mode), 0o600, "its mode")
        os.unlink(file)
        refused(lambda: ask(fd, 0x5401, 64), errno.ENOTTY)
        refused(lambda: ask(fd, 0x8008A3FF), errno.EIO)
        os.close(fd)
    # Others learn what it is, and get no handle of pool or container.
    for name in ("cases.py", "stage.py"):  # where they can read it
        shutil.copy(os.path.join(os.path.dirname(os.path.abspath(__file__)), name), stage.top)
    ours = f"import sys; sys.dont_write_bytecode = True; sys.path.insert(0, {stage.top!r}); from cases import *\n"
    stage.run([*USER, PYTHON, "-c", ours + f"""
fd = os.open({server.point!r}, os.O_RDONLY)
ask(fd, IL), ask(fd, WHO), ask(fd, DSIZE)
for request in (IL_SIZE, PFILE): refused(lambda: ask(fd, request), errno.EPERM)
for request in (POH, COH): refused(lambda: blob(fd, request, {pool}), errno.EPERM)
blob(fd, DOH, {dfs})
"""])


@case
def removed_files_stay_until_closed(stage):
    root = stage.serve().point
    fd = os.open(root + "/f", os.O_RDWR | os.O_CREAT)
    os.write(fd, b"still here")
    os.unlink(root + "/f")
    equal(os.pread(fd, 99, 0), b"still here", "after unlink")
    equal((os.fstat(fd).st_nlink, os.fstat(fd).st_size), (0, 10), "fstat")
    write(root + "/new", b"new")
    other = os.open(root + "/g", os.O_RDWR | os.O_CREAT)
    os.write(other, b"replaced")
    os.rename(root + "/new", root + "/g")
    equal((os.pread(other, 99, 0), read(root + "/g")), (b"replaced", b"new"), "after rename over it")
    equal(os.listdir(root), ["g"], "nothing of it shows")
    os.close(fd)
    os.close(other)
    hidden = os.path.join(root, ".pil4dfs")
    until(lambda: not any(files for _, _, files in os.walk(hidden)), 5, "hidden files go")


@case
def signals_unmount(stage):
    for number in (signal.SIGTERM, signal.SIGINT):
        server = stage.serve(point=f"s{number}")
        write(server.point + "/f", b"x")
        server.send(number)
        equal(server.process.wait(10), 0, "exit status")
        check(server.point not in mounts(), "the mount is gone")
    # Somebody in it does not keep it.
    server = stage.serve(point="busy")
    fd = os.open(server.point + "/f", os.O_RDONLY)
    server.send(signal.SIGTERM)
    server.process.wait(10)
    check(server.point not in mounts(), "the busy mount is gone")
    refused(lambda: os.read(fd, 1) and os.fstat(fd), errno.ENOTCONN, errno.ECONNABORTED)
    try:
        os.close(fd)
    except OSError:
        pass  # says the same


@case
def clients_may_die(stage):
    root = stage.serve().point
    for _ in range(10):
        writer = subprocess.Popen(["sh", "-c", f"while :; do echo x > {root}/w; cat {root}/w; done"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.05)
        writer.kill()
        writer.wait()
    write(root + "/after", b"alive")
    equal(read(root + "/after"), b"alive", "the server goes on")


@case
def goes_to_the_background(stage):
    point = os.path.join(stage.top, "back")
    os.mkdir(point)
    stage.run([stage.path("pil4dfs-dfuse"), point, POOL, CONT])
    equal(mounts()[point][0], "fuse.daos", "mounted when the command returns")
    write(point + "/f", b"x")
    subprocess.run(["umount", point], check=True, timeout=10)
    wrong = stage.run([stage.path("pil4dfs-dfuse"), point, POOL, "no-such"], status=1)
    check(b"no-such" in wrong.stderr, f"says which: {wrong.stderr}")
    check(point not in mounts(), "not mounted")


@case
def conform(stage, mode, *binaries):
    """The kernel's oracles on the server."""
    options = ["--multi-user"] + (["--disable-caching"] if mode == "uncached" else [])
    server = stage.serve(*options)
    os.chmod(server.point, 0o777)
    wrong = []
    for binary in binaries:
        for name, prefix in (("root", []), ("user", USER)):
            directory = f"{server.point}/{name}-{os.path.basename(binary)}"
            done = stage.run([*prefix, binary, directory, "mount"], status=None, timeout=60, cwd="/")
            if done.returncode not in (0, 77):
                text = (done.stdout + done.stderr).decode(errors="replace")[-700:]
                wrong.append(f"{os.path.basename(binary)} as {name}: status {done.returncode}\n{text}")
    if wrong:
        raise Failure("\n".join(wrong))


# ---------------------------------------------------------------- the library beside it


def guest(stage, program, timeout=30, **env):
    """A Python program under the library; its output as text."""
    return stage.run([sys.executable, "-c", program], stage.library(**env), timeout).stdout.decode()


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


# ---------------------------------------------------------------- programs that cannot be preloaded


def alone(stage, argv, point, prefix=(), **more):
    """`pil4dfs run` of a program on a mount point that nothing is mounted on."""
    command = [*prefix, stage.path("pil4dfs"), "run", "--embedded", stage.store, "--pool", POOL, "--cont", CONT,
               "--mount", point, "--", *argv]
    return stage.run(command, {"PATH": PATH, "LC_ALL": "C"}, **more)


def servers_of(point):
    """Servers that were told this mount point; the dead have no command line."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = read(f"/proc/{pid}/cmdline").split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"pil4dfs-dfuse") and point.encode() in words:
            found.append(pid)
    return found


@case
def static_programs_get_a_mount(stage, static):
    point = os.path.join(stage.top, "alone")
    os.mkdir(point)
    look = f"import os; print(open('d/g').read(), os.getcwd() == {point!r})"
    done = alone(stage, [static, point, sys.executable, "-c", look], point)
    equal(done.stdout, b"static g 1\nstatic True\n", "what it and its dynamic child see")
    check(point not in mounts(), "nobody else sees the mount")
    equal(os.listdir(point), [], "nothing was written below it")
    equal(alone(stage, ["/bin/cat", point + "/d/g"], point).stdout, b"static", "by the library")
    equal(alone(stage, [static, point], point, status=None).returncode, 1, "its exit status")
    until(lambda: not servers_of(point), 10, "the servers end with their programs")
    # As a pipeline: nobody keeps the pipe open.
    done = alone(stage, [static, "/nonexistent"], point, status=1)
    check(b"No such file" in done.stderr, f"{done.stderr}")
    gone = alone(stage, [static, point], point + "-none", status=126)
    check(b"static program" in gone.stderr and b"is none" in gone.stderr, f"says why: {gone.stderr}")
    away = stage.run([stage.path("pil4dfs"), "run", "--embedded", stage.store, "--pool", POOL, "--cont", "no-such",
                      "--mount", point, "--", static, point], {"PATH": PATH}, status=1)
    check(b"no-such" in away.stderr, f"says why: {away.stderr}")


@case
def static_programs_of_users(stage, static):
    """In a user name space of their own; here /dev/fuse may be root's alone, so that one of our own lies over it."""
    device = os.path.join(stage.top, "fuse")
    os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(10, 229))
    os.chmod(device, 0o666)
    stage.run(["mount", "--bind", device, "/dev/fuse"])
    point = os.path.join(stage.top, "alone")
    os.mkdir(point)
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as error:
        raise Skip(f"no device of our own here: {error}") from error
    server = stage.serve()
    mine = point + "/mine"
    os.mkdir(server.point + "/mine")
    os.chown(server.point + "/mine", 12345, 12345)
    server.stop()
    for directory, _, files in os.walk(stage.store):
        os.chmod(directory, 0o777)
        for name in files:
            os.chmod(os.path.join(directory, name), 0o666)
    probe = stage.run([*USER, "unshare", "-Um", "true"], status=None)
    if probe.returncode:
        raise Skip(f"no user name spaces for users: {probe.stderr}")
    show = "stat -c '%u %g' d/g; id -u; cat /proc/self/uid_map"
    done = alone(stage, [static, mine, "/bin/sh", "-c", show], point, prefix=USER)
    said = [line.split() for line in done.stdout.decode().splitlines()]
    equal(said, [["static", "g", "1"], ["12345", "12345"], ["12345"], ["12345", "12345", "1"]], "who it is")
    os.chmod(device, 0o600)
    refused_ = alone(stage, [static, point], point, prefix=USER, status=1)
    check(b"/dev/fuse" in refused_.stderr, f"says why: {refused_.stderr}")
    tool = os.path.join(stage.top, "set-id")
    stage.run(["cp", "/bin/true", tool])
    os.chmod(tool, 0o4755)
    refused_ = alone(stage, [tool], point, prefix=USER, status=126)
    check(b"rights" in refused_.stderr, f"says why: {refused_.stderr}")


@case
def busybox(stage, _):
    tool = next((p for p in ("/bin/busybox", "/usr/bin/busybox") if os.path.exists(p)), None)
    if not tool:
        raise Skip("no busybox")
    if stage.run([stage.path("pil4dfs"), "run", "--", tool, "true"], {"PATH": PATH}, status=None).returncode:
        raise Skip("busybox does not run")
    point = os.path.join(stage.top, "alone")
    os.mkdir(point)
    script = f"cd {point} && mkdir -p a/b && echo one > a/f && cp a/f a/b/g && mv a/b/g a/h && ls a && cat a/h && tar cf t.tar a && tar tf t.tar && rm -r a && ls"
    done = alone(stage, [tool, "sh", "-c", script], point)
    check(done.stdout.startswith(b"b\nf\nh\none\n") and done.stdout.endswith(b"t.tar\n"), f"{done.stdout}")
