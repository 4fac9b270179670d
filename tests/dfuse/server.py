"""Cases of the server alone."""

import errno
import os
import shutil
import signal
import stat
import struct
import subprocess
import time

from kit import COH, DOH, DOOH, DSIZE, IL, IL_SIZE, PFILE, POH, PYTHON, WHO, ask, blob, case, guest, read, refused, write
from stage import CONT, POOL, USER, Failure, check, equal, mounts, until


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
    for name in ("kit.py", "stage.py"):  # where they can read it
        shutil.copy(os.path.join(os.path.dirname(os.path.abspath(__file__)), name), stage.top)
    ours = f"import sys; sys.dont_write_bytecode = True; sys.path.insert(0, {stage.top!r}); from kit import *\n"
    stage.run([*USER, PYTHON, "-c", ours + f"""
fd = os.open({server.point!r}, os.O_RDONLY)
ask(fd, IL), ask(fd, WHO), ask(fd, DSIZE)
for request in (IL_SIZE, PFILE): refused(lambda: ask(fd, request), errno.EPERM)
for request in (POH, COH): refused(lambda: blob(fd, request, {pool}), errno.EPERM)
blob(fd, DOH, {dfs})
"""])


@case
def handles_too_large_for_an_ioctl(stage):
    """A pool of many servers: its handle comes in a file, which goes when it is read."""
    server = stage.serve("--disable-caching", "--multi-user", env={"PIL4DFS_EMBEDDED_POOL_HANDLE": "40000"})
    write(server.point + "/f", b"large")
    fd = os.open(server.point, os.O_RDONLY)
    equal(struct.unpack("IxxxxQQQ", ask(fd, IL_SIZE))[1], 40000, "its size")
    refused(lambda: blob(fd, POH, 16383), errno.EIO)
    file = ask(fd, PFILE).split(b"\0")[0].decode()
    equal((os.stat(file).st_size, stat.S_IMODE(os.stat(file).st_mode), os.stat(file).st_uid), (40000, 0o600, 0), "the file")
    os.unlink(file)
    before = os.listdir("/tmp")
    stage.tool("counters", "--reset")
    equal(guest(stage, f"print(open('{server.point}/f').read())"), "large\n", "by the library")
    equal(stage.counters().get("daos_pool_connect", 0), 0, "connects")
    equal([name for name in os.listdir("/tmp") if name.startswith("dfuse_") and name not in before], [], "files left behind")
    os.close(fd)


@case
def daos_goes_away(stage):
    """The server answers what DAOS does, lives, and works again; a container of the same name is another one."""
    root = stage.serve("--disable-caching", "--multi-user", env={"CRT_TIMEOUT": "1"}).point
    write(root + "/f", b"before")
    for cause, number in (("engine", errno.ETIMEDOUT), ("unreachable", errno.EHOSTUNREACH), ("io", errno.EIO)):
        stage.tool("away", cause)
        start = time.monotonic()
        refused(lambda: os.stat(root + "/f"), number)
        check(time.monotonic() - start < 2.5, f"{cause}: one attempt")
        refused(lambda: write(root + "/g", b"x"), number)
        stage.tool("away", "back")
        equal(read(root + "/f"), b"before", f"after {cause}")
    stage.tool("away", "full")
    refused(lambda: write(root + "/g", b"x" * 5000), errno.ENOSPC)
    stage.tool("away", "back")
    stage.tool("away", "evicted")
    equal(read(root + "/f"), b"before", "with new handles")
    fd = os.open(root + "/f", os.O_RDONLY)
    stage.tool("cont", "destroy", POOL, CONT)
    stage.tool("cont", "create", POOL, CONT)
    write(stage.serve(point="new").point + "/f", b"others")
    refused(lambda: os.pread(fd, 99, 0), errno.ESTALE)
    refused(lambda: read(root + "/f"), errno.ESTALE)
    os.close(fd)


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
