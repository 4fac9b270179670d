#!/usr/bin/python3 -I
"""A program without the library between two with it, that forges what is handed on.

Started by the first with descriptor 9 on a file of the mount; starts the second again and again, with the
manifest as it is, cut, altered, unsealed, of another user, or in another descriptor's place. The second must
live, see the file's right bytes or an error, and say one line at most."""
import fcntl
import os
import random
import struct
import subprocess
import sys

RIGHT = b"the right bytes\n"
library, path = sys.argv[1], sys.argv[2]
number = int(os.environ["PIL4DFS_EXEC"])
size = os.fstat(number).st_size
genuine = os.pread(number, size, 0)
position = os.lseek(9, 0, os.SEEK_CUR)
others = [fd for fd in range(3, 1024) if fd not in (9, number) and os.path.exists(f"/proc/self/fd/{fd}")]
SEALS = 0x1 | 0x2 | 0x4 | 0x8
bad = 0


def memfd(data, seals=SEALS):
    fd = os.memfd_create("forged", os.MFD_ALLOW_SEALING)
    os.write(fd, data)
    if seals:
        fcntl.fcntl(fd, 1033, seals)
    return fd


def second(what, fd, silent=None, dead=None):
    """Runs the second program with that manifest; `dead`: descriptor 9 must not work."""
    global bad
    env = dict(os.environ, LD_PRELOAD=library, PIL4DFS_EXEC=str(fd))
    script = "echo alive; head -c 16 /dev/fd/9 2>/dev/null; exit 5"
    try:
        ran = subprocess.run(["/bin/bash", "-c", script], env=env, pass_fds=[fd for fd in [9, fd, *others] if fd >= 0 and os.path.exists(f"/proc/self/fd/{fd}")],
                             stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
    except subprocess.TimeoutExpired:
        print(what, "hangs")
        bad += 1
        return
    lines = [line for line in ran.stderr.decode(errors="replace").splitlines() if "pil4dfs" in line]
    problems = []
    if ran.returncode != 5 or not ran.stdout.startswith(b"alive\n"):
        problems.append(f"the guest was harmed: {ran.returncode} {ran.stdout!r}")
    got = ran.stdout[6:]
    if os.geteuid() == 0 and got == b"\0":
        got = b""  # root may reopen the placeholder, whatever its mode
    if got not in (b"", RIGHT):
        problems.append(f"wrong bytes: {got!r}")
    if dead is not None and (got == b"") != dead:
        problems.append(f"descriptor 9 gives {got!r}")
    if len(lines) > 1 or (silent is not None and (not lines) != silent):
        problems.append(f"said {lines}")
    if problems:
        print(what, *problems, ran.stderr.decode(errors="replace")[-300:])
        bad += 1


second("genuine", memfd(genuine), silent=True, dead=False)
for length in {0, 1, 8, 12, 20, 60, size // 2, size - 1} - {0}:
    second(f"cut to {length}", memfd(genuine[:length]), silent=False, dead=True)
second("empty", memfd(b""), silent=False, dead=True)
second("longer", memfd(genuine + b"\0"), silent=False, dead=True)
second("another magic", memfd(b"\0" * 8 + genuine[8:]), silent=False, dead=True)
second("another version", memfd(genuine[:8] + struct.pack("<I", 1 << 20) + genuine[12:]), silent=False, dead=True)
second("another user's", memfd(genuine[:16] + struct.pack("<II", 4711, 4711) + genuine[24:]), silent=False, dead=True)
second("unsealed", memfd(genuine, 0), dead=True)
second("half sealed", memfd(genuine, 0x8), dead=True)
second("closed", 900, silent=True, dead=True)
second("negative", -1, silent=True, dead=True)
for name, fd in (("a pipe", os.pipe()[0]), ("a directory", os.open("/", os.O_RDONLY)), ("a file", os.open("/etc/passwd", os.O_RDONLY)), ("descriptor 9 itself", 9)):
    second(name, fd, dead=True)
    os.fstat(fd)
if os.geteuid() == 0:
    ours = memfd(genuine, 0)
    os.fchown(ours, 12345, 12345)
    fcntl.fcntl(ours, 1033, SEALS)
    second("owned by another user", ours, silent=False, dead=True)
# The descriptor says another slot than any description has.
for index, generation in ((1, 1), (0x7FFFFFFF, 1), (2, 0x7FFFFFFF), (1 << 20, 5), (3, 3)):
    os.lseek(9, generation << 32 | index, os.SEEK_SET)
    second(f"slot {index}, generation {generation}", memfd(genuine), dead=True)
# ... and so does the manifest.
index, generation = position & 0xFFFFFFFF, position >> 32
own = struct.pack("<II", index, generation)
for forged in ((index, generation ^ 1), (1 << 30, generation), (index + 1000, generation), (0xFFFFFFFF, 0x7FFFFFFF)):
    os.lseek(9, (forged[1] & 0x7FFFFFFF) << 32 | forged[0] if forged[0] < 1 << 31 else position, os.SEEK_SET)
    second(f"forged slot {forged}", memfd(genuine.replace(own, struct.pack("<II", *forged))), dead=True)
os.lseek(9, position, os.SEEK_SET)
# A path that leads elsewhere, a mount nobody has, handles of nonsense.
second("another path", memfd(genuine.replace(path.encode(), path.encode()[:-1] + b"?")))
second("another mount", memfd(genuine.replace(b"/dfs", b"/sfd")), dead=True)
dice = random.Random(int(sys.argv[3]))
for turn in range(int(sys.argv[4])):
    data = bytearray(genuine)
    for _ in range(dice.randrange(1, 4)):
        data[dice.randrange(len(data))] = dice.choice([0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)])
    second(f"random {turn}", memfd(bytes(data)))
    os.lseek(9, position, os.SEEK_SET)
second("genuine again", memfd(genuine), silent=True, dead=False)
print(f"{bad} bad")
sys.exit(bad != 0)
