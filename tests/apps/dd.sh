#!/bin/bash
# dd, checksums, cmp at odd offsets, fallocate, sparse files.
set -u
dd if=/dev/zero of=z bs=64k count=33 status=none; stat -c %s z
seq 1 300000 > s
dd if=s of=copy bs=4096 status=none; cmp s copy && echo copy
dd if=s of=part bs=1000 skip=3 count=5 status=none; sha256sum part
dd if=part of=z bs=1 seek=1048570 conv=notrunc status=none count=20; sha256sum z
dd if=s of=app bs=512 count=1 status=none; dd if=s of=app bs=512 count=1 oflag=append conv=notrunc status=none; stat -c %s app
dd if=s of=seek bs=1 count=3 seek=5000000 status=none; stat -c %s seek; sha256sum seek
dd if=s bs=100 count=2 status=none | dd of=piped bs=7 status=none; sha256sum piped
dd if=s of=sync bs=100000 count=3 conv=fsync status=none; dd if=s of=sync2 oflag=sync bs=100000 count=3 status=none; cmp sync sync2 && echo sync
dd if=s of=upper conv=ucase,sparse bs=4k status=none; cmp s upper && echo upper
dd if=nothere of=x status=none 2>/dev/null; echo "missing $?"
dd if=s of=excl conv=excl status=none; echo "excl $?"; dd if=s of=excl conv=excl status=none 2>/dev/null; echo "excl again $?"
sha256sum s copy > sums; sha256sum -c sums; md5sum s; cksum s; sum s
fallocate -l 100000 fall 2>/dev/null || truncate -s 100000 fall; stat -c %s fall; sha256sum fall
sync s; sync -f s 2>/dev/null; sync -d s; echo "sync $?"
cmp -n 100 s copy && echo cmp; cmp s z | head -1
shred -u -n 1 piped; echo "shred $?"; ls
