//! The descriptor table against the kernel's own: random sequences of open, dup, dup2, dup3,
//! fcntl, close and close_range, once on files of a mount mixed with kernel files, once - in a
//! child forked before, with the same numbers free - on kernel files only. Same answers, same
//! numbers, same close-on-exec, same shared offsets after every step.
mod common;
mod twin;

use std::ffi::CString;
use twin::{call, raw, Call};
use vfs::catalogue;

/// Numbers a sequence plays with.
const PLAY: i64 = 24;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A file of the mount (in the oracle: a kernel file), close-on-exec or not.
    Ours(bool),
    /// A kernel file in both.
    Kernel(bool),
    Dup(i64),
    Dup2(i64, i64),
    Dup3(i64, i64, i64),
    DupFrom(i64, i64, bool),
    Close(i64),
    CloseRange(i64, i64, i64),
    SetFd(i64, i64),
    Seek(i64, i64),
    Append(i64, bool),
}

struct Random(u64);

impl Random {
    fn next(&mut self, below: i64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % below as u64) as i64
    }

    fn step(&mut self, n: i64) -> Step {
        // The runner's own output (0 to 2) is shared with the oracle: left alone.
        let mut number = || {
            Some(self.next(PLAY) - 1)
                .filter(|n| !(0..3).contains(n))
                .unwrap_or(3)
        };
        let (a, b) = (number(), number());
        match self.next(20) {
            0..=3 => Step::Ours(self.next(2) == 0),
            4..=5 => Step::Kernel(self.next(2) == 0),
            6 => Step::Dup(a),
            7..=9 => Step::Dup2(a, b),
            10..=11 => Step::Dup3(a, b, [0, libc::O_CLOEXEC.into(), 7][self.next(3) as usize]),
            12 => Step::DupFrom(a, self.next(40) - 1, self.next(2) == 0),
            13..=15 => Step::Close(a.max(3)),
            16 if self.next(3) == 0 => {
                Step::CloseRange(a.max(3), b, [0, 0, 4, 9][self.next(4) as usize])
            }
            17 => Step::SetFd(a, self.next(2)),
            18 => Step::Append(a, self.next(2) == 0),
            _ => Step::Seek(a, n * 1000),
        }
    }
}

/// Performs a step with `make`, which is told operation, call number and arguments.
fn perform(
    step: Step,
    ours: &CString,
    kernel: &CString,
    make: &dyn Fn(Call, [i64; 6]) -> i64,
) -> i64 {
    let cwd = i64::from(libc::AT_FDCWD);
    let open = |path: &CString, cloexec: bool| {
        let flags = libc::O_RDWR | if cloexec { libc::O_CLOEXEC } else { 0 };
        make(
            both!(openat),
            [cwd, path.as_ptr() as i64, flags.into(), 0, 0, 0],
        )
    };
    match step {
        Step::Ours(cloexec) => open(ours, cloexec),
        Step::Kernel(cloexec) => open(kernel, cloexec),
        // The runner's own output stays where it is.
        Step::Dup2(_, 0..=2) | Step::Dup3(_, 0..=2, _) => 0,
        Step::Dup(a) => make(both!(dup), [a, 0, 0, 0, 0, 0]),
        Step::Dup2(a, b) => make(both!(dup2), [a, b, 0, 0, 0, 0]),
        Step::Dup3(a, b, flags) => make(both!(dup3), [a, b, flags, 0, 0, 0]),
        Step::DupFrom(a, min, cloexec) => {
            let cmd = if cloexec {
                libc::F_DUPFD_CLOEXEC
            } else {
                libc::F_DUPFD
            };
            make(both!(fcntl), [a, cmd.into(), min, 0, 0, 0])
        }
        Step::Close(a) => make(both!(close), [a, 0, 0, 0, 0, 0]),
        Step::CloseRange(a, b, flags) => make(
            both!(close_range),
            [a, if b < 0 { u32::MAX.into() } else { b }, flags, 0, 0, 0],
        ),
        Step::SetFd(a, flag) => make(
            both!(fcntl),
            [a.max(3), libc::F_SETFD.into(), flag, 0, 0, 0],
        ),
        Step::Append(a, on) => {
            let flags = if on { libc::O_APPEND } else { 0 };
            make(
                both!(fcntl),
                [a.max(3), libc::F_SETFL.into(), flags.into(), 0, 0, 0],
            )
        }
        Step::Seek(a, to) => make(both!(lseek), [a.max(3), to, libc::SEEK_SET.into(), 0, 0, 0]),
    }
}

/// What can be seen of every number: close-on-exec, status flags, offset.
fn look(make: &dyn Fn(Call, [i64; 6]) -> i64, into: &mut Vec<i64>) {
    for fd in 3..3 * PLAY {
        into.push(make(both!(fcntl), [fd, libc::F_GETFD.into(), 0, 0, 0, 0]));
        into.push(make(both!(fcntl), [fd, libc::F_GETFL.into(), 0, 0, 0, 0]));
        into.push(make(both!(lseek), [fd, 0, libc::SEEK_CUR.into(), 0, 0, 0]));
    }
}

fn run(
    steps: &[Step],
    ours: &CString,
    kernel: &CString,
    make: &dyn Fn(Call, [i64; 6]) -> i64,
) -> Vec<Vec<i64>> {
    let mut seen = Vec::new();
    for step in steps {
        let mut now = vec![perform(*step, ours, kernel, make)];
        look(make, &mut now);
        seen.push(now);
    }
    // Leaves nothing open, so that the next sequence begins alike.
    perform(Step::CloseRange(3, 3 * PLAY, 0), ours, kernel, make);
    seen
}

/// The oracle: a child with the kernel's own table, its answers through shared memory.
fn oracle(steps: &[Step], kernel: &CString) -> Vec<Vec<i64>> {
    let width = 1 + 3 * (3 * PLAY as usize - 3);
    let bytes = steps.len() * width * 8;
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping.
    let shared =
        unsafe { libc::mmap(std::ptr::null_mut(), bytes, prot, flags, -1, 0) }.cast::<i64>();
    // SAFETY: the child makes system calls and allocates (no other thread of this test runs).
    let child = unsafe { libc::fork() };
    if child == 0 {
        let seen = run(steps, kernel, kernel, &raw);
        for (i, value) in seen.iter().flatten().enumerate() {
            // SAFETY: within the mapping.
            unsafe { *shared.add(i) = *value };
        }
        // SAFETY: ends the child.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: our child, our mapping.
    let all = unsafe {
        libc::waitpid(child, &mut status, 0);
        std::slice::from_raw_parts(shared, steps.len() * width)
    };
    assert_eq!(status, 0);
    let seen = all.chunks(width).map(<[i64]>::to_vec).collect();
    // SAFETY: our mapping.
    unsafe { libc::munmap(shared.cast(), bytes) };
    seen
}

#[test]
fn numbers_are_the_kernels() {
    let p = common::process();
    let kernel = twin::kernel_file("fd-oracle");
    let ours = twin::file_of_ours(p, "fd-play");
    // The library's own descriptors exist before anything is compared.
    let make = |c: Call, a: [i64; 6]| call(p, c, a);
    run(&[Step::Ours(false)], &ours, &kernel, &make);
    for seed in 1..=300 {
        let mut random = Random(seed);
        let steps: Vec<_> = (1..60).map(|n| random.step(n)).collect();
        let expected = oracle(&steps, &kernel);
        let found = run(&steps, &ours, &kernel, &make);
        for (i, (e, f)) in expected.iter().zip(&found).enumerate() {
            if e != f {
                let at = e.iter().zip(f).position(|(e, f)| e != f).unwrap_or(0);
                let fd = 3 + (at as i64 - 1) / 3;
                panic!(
                    "seed {seed}, after {:?}: answer {} for {}; fd {fd} value {}: {} for {}",
                    &steps[..=i],
                    f[0],
                    e[0],
                    (at + 2) % 3,
                    f[at],
                    e[at]
                );
            }
        }
    }
    assert_eq!(p.fds.stale(), 0);
    strangers(p, &ours);
    hidden_numbers_look_closed(p);
    twin::clean();
}

/// Raw system calls that bypass us: a closed number that comes back as something else is not ours
/// any more.
fn strangers(p: &'static vfs::process::Process, ours: &CString) {
    let fd = twin::open(p, ours, libc::O_RDWR);
    raw(both!(close), [fd, 0, 0, 0, 0, 0]);
    let mut pipe = [0i32; 2];
    let a = [pipe.as_mut_ptr() as i64, 0, 0, 0, 0, 0];
    let c = Call {
        op: catalogue::pipe2,
        nr: libc::SYS_pipe2,
    };
    assert_eq!(call(p, c, a), 0);
    assert_eq!(i64::from(pipe[0]), fd, "the lowest free number");
    assert_eq!(p.fds.stale(), 1);
    let text = b"hello";
    let a = [pipe[1].into(), text.as_ptr() as i64, 5, 0, 0, 0];
    assert_eq!(call(p, both!(write), a), 5);
    let mut back = [0u8; 5];
    let a = [pipe[0].into(), back.as_mut_ptr() as i64, 5, 0, 0, 0];
    assert_eq!(call(p, both!(read), a), 5);
    assert_eq!(&back, text);
    for fd in pipe {
        assert_eq!(call(p, both!(close), [fd.into(), 0, 0, 0, 0, 0]), 0);
    }
}

/// The application may take a hidden number of ours; closing one does nothing.
fn hidden_numbers_look_closed(p: &'static vfs::process::Process) {
    let hidden = vfs::fd::placeholder::descriptor().unwrap();
    let n = i64::from(hidden);
    assert_eq!(
        call(p, both!(close), [n, 0, 0, 0, 0, 0]),
        -i64::from(libc::EBADF)
    );
    assert_eq!(
        call(p, both!(dup), [n, 0, 0, 0, 0, 0]),
        -i64::from(libc::EBADF)
    );
    assert_eq!(call(p, both!(dup2), [1, n, 0, 0, 0, 0]), n);
    assert_ne!(vfs::fd::placeholder::descriptor().unwrap(), hidden);
    assert_eq!(call(p, both!(close), [n, 0, 0, 0, 0, 0]), 0);
    assert_eq!(
        call(p, both!(close), [n, 0, 0, 0, 0, 0]),
        -i64::from(libc::EBADF)
    );
}
