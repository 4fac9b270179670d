#!/usr/bin/python3 -I
"""mmap: read, write back, resize, slices, find, close before use."""
import mmap, os, sys
sys.stdout.reconfigure(line_buffering=True)
open("f", "wb").write(b"0123456789" * 1000)
with open("f", "r+b") as f:
    m = mmap.mmap(f.fileno(), 0)
    print(len(m), m[:10], m.find(b"90"), m[5000:5003])
    m[0:5] = b"hello"; m.seek(9990); m.write(b"the end!!!"); m.flush(); m.close()
print(open("f", "rb").read(10), open("f", "rb").read()[-10:])
with open("f", "rb") as f:
    m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
    f.close(); print(m[:5], m.rfind(b"the")); m.close()
with open("f", "r+b") as f:
    m = mmap.mmap(f.fileno(), 100, access=mmap.ACCESS_COPY); m[0:3] = b"XXX"; print(m[:5]); m.close()
print(open("f", "rb").read(5))
with open("f", "r+b") as f:
    m = mmap.mmap(f.fileno(), 1000, offset=mmap.ALLOCATIONGRANULARITY); print(m[:10]); m[0:2] = b"ZZ"; m.close()
print(open("f", "rb").read()[4096:4100])
try:
    mmap.mmap(os.open("f", os.O_RDONLY), 0, prot=mmap.PROT_WRITE | mmap.PROT_READ)
except PermissionError as e:
    print(e.errno)
try:
    open("empty", "w").close(); mmap.mmap(os.open("empty", os.O_RDWR), 0)
except ValueError as e:
    print(e)
os.truncate("empty", 8192)
m = mmap.mmap(os.open("empty", os.O_RDWR), 8192); m[8190:8192] = b"ok"; del m
print(open("empty", "rb").read()[8189:])
