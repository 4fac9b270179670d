"""Cases of programs that cannot be preloaded: a server of their own, in a mount name space of their own."""

import os
import stat
import sys

from kit import case, read
from stage import CONT, PATH, POOL, USER, Skip, check, equal, mounts, until


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


def for_users(stage):
    """Lets users have servers: a /dev/fuse of theirs (it may be root's alone here) and a directory of the container. The device,
    the mount point and the directory."""
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
    return device, point, point + "/mine"


@case
def static_programs_of_users(stage, static):
    """In a user name space of their own."""
    device, point, mine = for_users(stage)
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
def go_programs(stage, go):
    """Programs that make their system calls themselves, of root and of a user."""
    point = os.path.join(stage.top, "goes")
    os.mkdir(point)
    wanted = [f"d/f{i} go {i}" + ", appended" * (i == 3) for i in range(8)]
    done = alone(stage, [go, point, "/bin/cat", "d/f3"], point)
    equal(done.stdout.decode().splitlines(), [*wanted, "go 3, appended"], "what it and its dynamic child see")
    equal(alone(stage, ["/bin/ls", point + "/d"], point).stdout.split(), [b"e", *[b"f%d" % i for i in range(7)]], "by the library")
    equal(os.listdir(point), [], "nothing was written below it")
    _, point, mine = for_users(stage)
    done = alone(stage, [go, mine, "/usr/bin/stat", "-c", "%u", "d/f0"], point, prefix=USER)
    equal(done.stdout.decode().splitlines(), [*wanted, "12345"], "as a user")


@case
def busybox(stage, _):
    tool = next((p for p in ("/bin/busybox", "/usr/bin/busybox") if os.path.exists(p)), None)
    if not tool:
        raise Skip("no busybox")
    if stage.run([stage.path("pil4dfs"), "run", "--", tool, "true"], {"PATH": PATH}, status=None).returncode:
        raise Skip("busybox does not run")
    point = os.path.join(stage.top, "box")
    os.mkdir(point)
    script = f"cd {point} && mkdir -p a/b && echo one > a/f && cp a/f a/b/g && mv a/b/g a/h && ls a && cat a/h && tar cf t.tar a && tar tf t.tar && rm -r a && ls"
    done = alone(stage, [tool, "sh", "-c", script], point)
    check(done.stdout.startswith(b"b\nf\nh\none\n") and done.stdout.endswith(b"t.tar\n"), f"{done.stdout}")
    _, point, mine = for_users(stage)
    done = alone(stage, [tool, "sh", "-c", f"cd {mine} && echo two > f && cp f g && cat g && stat -c %u g"], point, prefix=USER)
    equal(done.stdout, b"two\n12345\n", "as a user")
