//! The bytes of a file against the kernel: random reads, writes, seeks, truncations, appends and
//! allocations on a file of a mount and on a kernel file; same answers, same errnos, same bytes.
mod common;
mod twin;

use twin::{call, raw, Call};
use vfs::process::Process;

/// Offsets and lengths stay below this, but for the absurd ones.
const SIZE: i64 = 3 << 20;

struct Random(u64);

impl Random {
    fn next(&mut self, below: i64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % below as u64) as i64
    }

    fn offset(&mut self) -> i64 {
        match self.next(12) {
            0 => [-1, i64::MIN, i64::MAX, i64::MAX - 1][self.next(4) as usize],
            1 => (self.next(3) << 20) + self.next(3) - 1,
            _ => self.next(SIZE),
        }
    }

    fn len(&mut self) -> i64 {
        match self.next(8) {
            0 => 0,
            1 => self.next(300_000),
            _ => self.next(5000),
        }
    }
}

/// A descriptor of ours and its twin in the kernel.
#[derive(Clone, Copy)]
struct Pair {
    ours: i64,
    kernel: i64,
}

struct Twins {
    p: &'static Process,
    log: Vec<String>,
}

impl Twins {
    /// Makes the same call on both; `a` is given the descriptor and a buffer.
    fn same(
        &mut self,
        c: Call,
        what: &str,
        pair: Pair,
        a: &dyn Fn(i64, i64) -> [i64; 6],
        buf: &mut [u8],
    ) -> i64 {
        let mut other = buf.to_vec();
        let kernel = raw(c, a(pair.kernel, other.as_mut_ptr() as i64));
        let ours = call(self.p, c, a(pair.ours, buf.as_mut_ptr() as i64));
        let shown = a(pair.ours, 0);
        self.log.push(format!("{what}{shown:?} = {ours}"));
        let tail = || {
            self.log
                .iter()
                .rev()
                .take(12)
                .rev()
                .cloned()
                .collect::<Vec<_>>()
                .join("\n")
        };
        assert_eq!(ours, kernel, "{}", tail());
        if let Some(at) = buf.iter().zip(&other).position(|(a, b)| a != b) {
            panic!(
                "byte {at} of {}: {} for {}\n{}",
                buf.len(),
                buf[at],
                other[at],
                tail()
            );
        }
        ours
    }

    fn step(&mut self, random: &mut Random, n: u64, pair: Pair) {
        let (offset, len) = (random.offset(), random.len());
        let mut buf = vec![0u8; len as usize];
        let fill = |buf: &mut [u8]| {
            for (i, b) in buf.iter_mut().enumerate() {
                *b = (i as u64 * 7 + n * 13) as u8 | 1;
            }
        };
        match random.next(22) {
            0..=2 => self.same(
                both!(read),
                "read",
                pair,
                &|fd, b| [fd, b, len, 0, 0, 0],
                &mut buf,
            ),
            3..=5 => {
                fill(&mut buf);
                self.same(
                    both!(write),
                    "write",
                    pair,
                    &|fd, b| [fd, b, len, 0, 0, 0],
                    &mut buf,
                )
            }
            6..=7 => self.same(
                both!(pread64),
                "pread",
                pair,
                &|fd, b| [fd, b, len, offset, 0, 0],
                &mut buf,
            ),
            8..=10 => {
                fill(&mut buf);
                let offset = if offset > SIZE { SIZE } else { offset };
                self.same(
                    both!(pwrite64),
                    "pwrite",
                    pair,
                    &|fd, b| [fd, b, len, offset, 0, 0],
                    &mut buf,
                )
            }
            11..=13 => {
                let whence = random.next(7);
                // DFS does not tell holes: SEEK_HOLE and SEEK_DATA agree with a kernel file only
                // when it has none.
                let whence = if whence == 3 || whence == 4 {
                    1
                } else {
                    whence
                };
                // Nothing can be stored near the largest offset, on no host file system.
                let offset = if whence == 0 && offset <= SIZE {
                    offset
                } else {
                    offset % 1000
                };
                self.same(
                    both!(lseek),
                    "lseek",
                    pair,
                    &|fd, _| [fd, offset, whence, 0, 0, 0],
                    &mut [],
                )
            }
            14 => {
                let offset = offset.min(SIZE);
                self.same(
                    both!(ftruncate),
                    "ftruncate",
                    pair,
                    &|fd, _| [fd, offset, 0, 0, 0, 0],
                    &mut [],
                )
            }
            15 => {
                // tmpfs cannot zero a range; `zeroing` tries that.
                let mode = [0, 1, 2, 3][random.next(4) as usize];
                let offset = offset.min(SIZE);
                let a = |fd, _| [fd, mode, offset, len, 0, 0];
                self.same(both!(fallocate), "fallocate", pair, &a, &mut [])
            }
            16 => {
                let flags = [0, libc::O_APPEND, 0][random.next(3) as usize];
                self.same(
                    both!(fcntl),
                    "setfl",
                    pair,
                    &|fd, _| [fd, libc::F_SETFL.into(), flags.into(), 0, 0, 0],
                    &mut [],
                )
            }
            17 => self.same(
                both!(fcntl),
                "getfl",
                pair,
                &|fd, _| [fd, libc::F_GETFL.into(), 0, 0, 0, 0],
                &mut [],
            ),
            18..=19 => self.vectors(random, pair, offset.min(SIZE), n),
            20 => {
                let mut left = 0i32.to_ne_bytes();
                self.same(
                    both!(ioctl),
                    "fionread",
                    pair,
                    &|fd, b| [fd, 0x541b, b, 0, 0, 0],
                    &mut left,
                )
            }
            _ => self.same(
                both!(fsync),
                "fsync",
                pair,
                &|fd, _| [fd, 0, 0, 0, 0, 0],
                &mut [],
            ),
        };
    }

    fn vectors(&mut self, random: &mut Random, pair: Pair, offset: i64, n: u64) -> i64 {
        let count = random.next(12);
        let lens: Vec<_> = (0..count).map(|_| random.next(700)).collect();
        let own = random.next(2) == 0;
        let write = random.next(2) == 0;
        let mut buf = vec![n as u8 | 1; lens.iter().sum::<i64>() as usize];
        let list = |base: i64| {
            let mut at = base;
            let vec = |len: &i64| {
                let v = libc::iovec {
                    iov_base: at as *mut _,
                    iov_len: *len as usize,
                };
                at += len;
                v
            };
            lens.iter().map(vec).collect::<Vec<_>>()
        };
        let position = if own { -1 } else { offset };
        let flags = [0, 0, 0x4, 0x1000][random.next(4) as usize];
        let a = |fd: i64, base: i64| {
            let vectors = list(base).leak();
            [fd, vectors.as_ptr() as i64, count, position, 0, flags]
        };
        match write {
            true => self.same(both!(pwritev2), "pwritev2", pair, &a, &mut buf),
            false => self.same(both!(preadv2), "preadv2", pair, &a, &mut buf),
        }
    }
}

#[test]
fn bytes_are_the_kernels() {
    let p = common::process();
    for seed in 1..=20u64 {
        let mut random = Random(seed);
        let kernel = twin::kernel_file(&format!("data-{seed}"));
        let ours = twin::file_of_ours(p, &format!("data-{seed}"));
        let mut twins = Twins { p, log: Vec::new() };
        let mut pairs = Vec::new();
        for flags in [
            libc::O_RDWR,
            libc::O_RDWR | libc::O_APPEND,
            libc::O_RDONLY,
            libc::O_WRONLY,
            libc::O_PATH,
        ] {
            let k = twin::raw_open(&kernel, flags);
            pairs.push(Pair {
                ours: twin::open(p, &ours, flags),
                kernel: k,
            });
        }
        for n in 0..250 {
            let which = [0, 0, 0, 0, 1, 1, 2, 3, 4][random.next(9) as usize];
            twins.step(&mut random, n, pairs[which]);
        }
        let mut all = vec![0; SIZE as usize + (1 << 20)];
        let len = all.len() as i64;
        twins.same(
            both!(pread64),
            "all",
            pairs[0],
            &|fd, b| [fd, b, len, 0, 0, 0],
            &mut all,
        );
        for pair in pairs {
            twins.same(
                both!(close),
                "close",
                pair,
                &|fd, _| [fd, 0, 0, 0, 0, 0],
                &mut [],
            );
            twins.same(
                both!(read),
                "read closed",
                pair,
                &|fd, b| [fd, b, 1, 0, 0, 0],
                &mut [0],
            );
        }
    }
    zeroing(p);
    copies(p);
    appends_are_whole(p);
    twin::clean();
}

/// `FALLOC_FL_ZERO_RANGE` with and without keeping the size; what DFS cannot do is refused.
fn zeroing(p: &'static Process) {
    let fd = twin::open(p, &twin::file_of_ours(p, "zero"), libc::O_RDWR);
    let text = [b'x'; 100];
    let a = [fd, text.as_ptr() as i64, 100, 0, 0, 0];
    assert_eq!(call(p, both!(write), a), 100);
    let zero = libc::FALLOC_FL_ZERO_RANGE;
    let keep = zero | libc::FALLOC_FL_KEEP_SIZE;
    let fallocate =
        |mode: i32, at, len| call(p, both!(fallocate), [fd, mode.into(), at, len, 0, 0]);
    assert_eq!(fallocate(keep, 90, 50), 0);
    let mut expected = [text.as_slice(), &[0; 20]].concat();
    expected[90..].fill(0);
    check(p, fd, &expected[..100]);
    assert_eq!(fallocate(zero, 10, 110), 0);
    expected[10..].fill(0);
    check(p, fd, &expected);
    for mode in [8, 32, 64, zero | libc::FALLOC_FL_PUNCH_HOLE] {
        assert_eq!(fallocate(mode, 0, 10), -i64::from(libc::EOPNOTSUPP));
    }
    assert_eq!(call(p, both!(close), [fd, 0, 0, 0, 0, 0]), 0);
}

/// Every way to move bytes between descriptors, ours and the kernel's.
fn copies(p: &'static Process) {
    let text: Vec<u8> = (0..200_000u32).map(|i| ((i * 31) >> 3) as u8).collect();
    let source = twin::open(p, &twin::file_of_ours(p, "copy-from"), libc::O_RDWR);
    let target = twin::open(p, &twin::file_of_ours(p, "copy-to"), libc::O_RDWR);
    let real = twin::raw_open(&twin::kernel_file("copy"), libc::O_RDWR);
    let write = [source, text.as_ptr() as i64, text.len() as i64, 0, 0, 0];
    assert_eq!(call(p, both!(write), write), text.len() as i64);
    for (from, to) in [(source, target), (source, real), (real, target)] {
        for fd in [from, to] {
            call(p, both!(lseek), [fd, 0, 0, 0, 0, 0]);
        }
        call(p, both!(ftruncate), [to, 0, 0, 0, 0, 0]);
        let mut done = 0;
        loop {
            let n = call(p, both!(copy_file_range), [from, 0, to, 0, 1 << 30, 0]);
            assert!(n >= 0, "copy_file_range: {n}");
            done += n;
            if n == 0 {
                break;
            }
        }
        assert_eq!(done, text.len() as i64);
        check(p, to, &text);
        let mut at = 100i64;
        let a = [to, from, &raw mut at as i64, 50, 0, 0];
        assert_eq!(call(p, both!(sendfile), a), 50);
        assert_eq!(at, 150);
        assert_eq!(
            call(p, both!(lseek), [to, 0, 1, 0, 0, 0]),
            text.len() as i64 + 50
        );
        call(p, both!(ftruncate), [to, text.len() as i64, 0, 0, 0, 0]);
    }
    let (mut here, mut there) = (0i64, 10i64);
    let overlap = [
        source,
        &raw mut here as i64,
        source,
        &raw mut there as i64,
        100,
        0,
    ];
    assert_eq!(
        call(p, both!(copy_file_range), overlap),
        -i64::from(libc::EINVAL)
    );
    let mut pipe = [0i32; 2];
    // SAFETY: two numbers.
    assert_eq!(unsafe { libc::pipe(pipe.as_mut_ptr()) }, 0);
    let (r, w) = (i64::from(pipe[0]), i64::from(pipe[1]));
    let mut at = 1000i64;
    assert_eq!(
        call(
            p,
            both!(splice),
            [source, &raw mut at as i64, w, 0, 5000, 0]
        ),
        5000
    );
    assert_eq!(at, 6000);
    call(p, both!(ftruncate), [target, 0, 0, 0, 0, 0]);
    call(p, both!(lseek), [target, 0, 0, 0, 0, 0]);
    assert_eq!(call(p, both!(splice), [r, 0, target, 0, 1 << 20, 0]), 5000);
    check(p, target, &text[1000..6000]);
    assert_eq!(
        call(p, both!(splice), [source, 0, target, 0, 10, 0]),
        -i64::from(libc::EINVAL)
    );
}

fn check(p: &'static Process, fd: i64, text: &[u8]) {
    let mut back = vec![0u8; text.len() + 1];
    let a = [fd, back.as_mut_ptr() as i64, back.len() as i64, 0, 0, 0];
    assert_eq!(call(p, both!(pread64), a), text.len() as i64);
    assert!(back[..text.len()] == *text);
}

/// Threads appending through descriptions of their own lose nothing and tear nothing.
fn appends_are_whole(p: &'static Process) {
    const RECORD: usize = 100;
    let path = twin::file_of_ours(p, "append");
    std::thread::scope(|scope| {
        for thread in 0..4u8 {
            let path = &path;
            scope.spawn(move || {
                let fd = twin::open(p, path, libc::O_WRONLY | libc::O_APPEND);
                for n in 0..50u8 {
                    let record = [thread * 50 + n; RECORD];
                    let a = [fd, record.as_ptr() as i64, RECORD as i64, 0, 0, 0];
                    assert_eq!(call(p, both!(write), a), RECORD as i64);
                }
                call(p, both!(close), [fd, 0, 0, 0, 0, 0]);
            });
        }
    });
    let fd = twin::open(p, &path, libc::O_RDONLY);
    let mut all = vec![0u8; 4 * 50 * RECORD + 1];
    let a = [fd, all.as_mut_ptr() as i64, all.len() as i64, 0, 0, 0];
    assert_eq!(call(p, both!(pread64), a), 4 * 50 * RECORD as i64);
    let mut seen: Vec<u8> = all[..4 * 50 * RECORD]
        .chunks(RECORD)
        .map(|r| {
            assert!(r.iter().all(|b| *b == r[0]), "torn record");
            r[0]
        })
        .collect();
    seen.sort_unstable();
    assert!(seen.iter().copied().eq(0..200), "lost record");
}
