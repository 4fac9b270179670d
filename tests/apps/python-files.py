#!/usr/bin/python3 -I
"""pathlib, shutil, json, tempfile, glob, os with descriptors."""
import glob, hashlib, io, json, os, pathlib, shutil, stat, sys, tempfile
sys.stdout.reconfigure(line_buffering=True)
top = pathlib.Path.cwd()
src = top / "src"
(src / "a" / "b").mkdir(parents=True)
for i in range(20):
    (src / "a" / f"f{i:02}").write_text(f"file {i}\n" * i)
(src / "a" / "b" / "bytes").write_bytes(bytes(range(256)) * 1000)
(src / "link").symlink_to("a/f03")
(src / "dirlink").symlink_to("a", target_is_directory=True)
print(sorted(p.relative_to(top).as_posix() for p in src.rglob("*")))
print((src / "link").read_text(), (src / "link").is_symlink(), os.readlink(src / "link"))
print((src / "a" / "f05").stat().st_size, oct((src / "a").stat().st_mode))
shutil.copytree(src, top / "copy", symlinks=True)
shutil.copytree(src, top / "flat")
print(sorted(os.listdir("copy")), os.path.islink("copy/link"), os.path.islink("flat/link"))
shutil.move("copy", "moved")
shutil.rmtree("flat")
print(os.path.exists("flat"), os.path.exists("copy"))
shutil.copystat("src/a/f01", "src/a/f02")
shutil.make_archive("arch", "tar", "moved")
shutil.unpack_archive("arch.tar", "unpacked")
print(sorted(glob.glob("unpacked/**", recursive=True))[:6])
os.remove("arch.tar")
with open("data.json", "w") as f:
    json.dump({"list": list(range(1000)), "text": "ä"}, f)
print(len(json.load(open("data.json"))["list"]))
with open("rw", "w+") as f:
    f.write("line one\nline two\n"); f.seek(0); print(f.readline().strip(), f.tell()); f.truncate(9)
print(open("rw").read())
with open("rw", "a+") as f:
    f.write("appended"); f.seek(0); print(f.read())
with open("bin", "wb", buffering=0) as f:
    print(f.write(b"x" * 100000), f.seek(50), f.write(b"y"), f.tell())
with open("bin", "r+b") as f:
    f.seek(-10, io.SEEK_END); f.write(b"z" * 20); print(f.tell())
print(hashlib.sha256(open("bin", "rb").read()).hexdigest())
with tempfile.TemporaryDirectory(dir=top) as d:
    open(os.path.join(d, "x"), "w").close(); os.mkdir(os.path.join(d, "y")); print(len(os.listdir(d)))
print(os.path.exists(d))
with tempfile.NamedTemporaryFile(dir=top) as f:
    f.write(b"temp"); f.flush(); print(os.path.getsize(f.name))
with tempfile.TemporaryFile(dir=top) as f:
    f.write(b"anonymous"); f.seek(0); print(f.read())
with tempfile.SpooledTemporaryFile(max_size=10, dir=top) as f:
    f.write(b"more than ten bytes"); f.seek(0); print(f.read())
fd = os.open("src", os.O_RDONLY | os.O_DIRECTORY)
with os.scandir(fd) as entries:
    print(sorted((e.name, e.is_dir(), e.is_symlink()) for e in entries))
print(os.stat("a/f01", dir_fd=fd).st_size, os.readlink("link", dir_fd=fd))
os.mkdir("atdir", dir_fd=fd); os.rename("atdir", "atdir2", src_dir_fd=fd, dst_dir_fd=fd)
os.symlink("x", "atlink", dir_fd=fd); os.unlink("atlink", dir_fd=fd); os.rmdir("atdir2", dir_fd=fd)
f = os.open("atfile", os.O_RDWR | os.O_CREAT, 0o600, dir_fd=fd)
print(os.write(f, b"0123456789"), os.pread(f, 4, 3), os.lseek(f, 0, os.SEEK_CUR), os.pwrite(f, b"AB", 4), os.read(f, 5))
print(os.writev(f, [b"one", b"two"]), os.preadv(f, [bytearray(3), bytearray(3)], 0), os.ftruncate(f, 12), os.fstat(f).st_size)
os.fsync(f); os.fdatasync(f); os.fchmod(f, 0o640); print(oct(os.fstat(f).st_mode)); os.utime(f, ns=(1, 2)); print(os.fstat(f).st_mtime_ns)
print(os.get_inheritable(f), os.isatty(f), os.get_blocking(f)); g = os.dup(f); os.lseek(g, 2, 0); print(os.read(f, 2)); os.close(f); print(os.read(g, 2)); os.close(g)
os.fchdir(fd); print(os.path.basename(os.getcwd()), os.path.exists("a/f01")); os.chdir(top); os.close(fd)
print(sorted((r.split("/", 1)[-1], len(d), len(f)) for r, d, f in os.walk("moved")))
print(sorted((r, sorted(d)[:2], len(f)) for r, d, f, _ in os.fwalk("moved")))
print(shutil.disk_usage(".").total > 0, os.statvfs(".").f_namemax, os.path.samefile("src", "./src"))
for bad in (lambda: open("none"), lambda: os.rmdir("src"), lambda: os.mkdir("src"), lambda: os.listdir("rw"), lambda: os.unlink("src"), lambda: open("src"), lambda: os.rename("none", "x"), lambda: open("src", "w"), lambda: os.readlink("rw"), lambda: open("n" * 300)):
    try:
        bad(); print("no error")
    except OSError as e:
        print(type(e).__name__, e.errno)
try:
    os.setxattr("rw", "user.k", b"v"); print(os.getxattr("rw", "user.k"), os.listxattr("rw")); os.removexattr("rw", "user.k")
except OSError as e:
    print(e)
for i in range(300):
    (top / f"many{i}").touch()
print(len(list(top.glob("many*"))))
for p in top.glob("many*"):
    p.unlink()
fds = [os.open("rw", os.O_RDONLY) for _ in range(300)]
for fd in fds:
    os.close(fd)
import filecmp, fileinput, zipfile, tarfile, shelve, pickle
print(filecmp.cmp("src/a/f01", "moved/a/f01", shallow=False))
with zipfile.ZipFile("z.zip", "w") as z:
    z.write("src/a/f05"); z.writestr("inner", "text")
print(sorted(zipfile.ZipFile("z.zip").namelist()), zipfile.ZipFile("z.zip").read("inner")); os.remove("z.zip")
with tarfile.open("t.tgz", "w:gz") as t:
    t.add("src")
print(len(tarfile.open("t.tgz").getnames())); os.remove("t.tgz")
pickle.dump([1, 2], open("p.pickle", "wb")); print(pickle.load(open("p.pickle", "rb")))
for line in fileinput.input("rw", inplace=True):
    print(line.upper(), end="")
print(open("rw").read())
