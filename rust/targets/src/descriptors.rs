//! The descriptor table against the kernel's own: a sequence of open, dup, dup2, dup3, fcntl, pipe,
//! lseek, close, close_range and limits, once on files of a mount mixed with kernel files,
//! once - by a thread whose table has the same numbers free - on kernel files only. Same answers, same
//! numbers, same close-on-exec and status flags, same shared offsets after every step.
use crate::dice::Dice;
use crate::world::*;
use std::ffi::CString;

const STEPS: usize = 60;
/// Numbers a sequence names, from [`FIRST_FREE`] on.
const PLAY: usize = 24;
/// Numbers looked at.
const LOOK: i64 = 96;

/// What is opened.
#[derive(Clone, Copy, Debug)]
enum What {
    /// A file of the mount (in the oracle: a kernel file).
    Ours,
    /// A kernel file in both.
    Kernels,
    /// A directory of the mount.
    Directory,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Open(What, i32),
    Pipe(i32),
    Dup(i64),
    Dup2(i64, i64),
    Dup3(i64, i64, i64),
    DupFrom(i64, i64, bool),
    Close(i64),
    CloseRange(i64, i64, i64),
    SetFd(i64, i64),
    SetFl(i64, i32),
    Seek(i64, i64, i32),
    Limit(u64),
}

/// The files of one side.
#[derive(Clone)]
struct Files {
    ours: CString,
    kernels: CString,
    directory: CString,
}

impl Files {
    /// Those in two directories, empty. They stay empty: the provider would open its own descriptors
    /// for their bytes, which only the entry layer hides.
    fn fresh(call: &dyn Fn(Call, [i64; 6]) -> i64, ours: &str, kernels: &str) -> Files {
        let files = Files {
            ours: path(&format!("{ours}{PLAYED}")),
            kernels: path(&format!("{kernels}/fd-kernels")),
            directory: path(ours),
        };
        for file in [&files.ours, &files.kernels] {
            let flags = i64::from(libc::O_CREAT | libc::O_WRONLY);
            let fd = call(openat, [CWD, arg(file), flags, 0o600, 0, 0]);
            assert!(fd >= 0, "{file:?}: {fd}");
            call(close, [fd, 0, 0, 0, 0, 0]);
        }
        files
    }
}

/// The file of ours.
pub const PLAYED: &str = "/fd-ours";

/// Feeds the target.
pub fn descriptors(data: &[u8]) {
    let world = &*world();
    let by_us = |c: Call, a| ours(world.process, c, a);
    let by_kernel = |c: Call, a| kernel(c.nr, a);
    let mut dice = Dice::new(data);
    let mut steps = Vec::new();
    while steps.len() < STEPS && !dice.done() {
        steps.push(step(&mut dice));
    }
    let limit = limit();
    let theirs = world.holder.run(|| {
        let whole = i64::from(u32::MAX);
        kernel(close_range.nr, [FIRST_FREE, whole, 0, 0, 0, 0]);
        let files = Files::fresh(&by_kernel, &format!("{}/m", world.twin), &world.twin);
        run(&by_kernel, &steps, &files, limit)
    });
    let files = Files::fresh(&by_us, &format!("{}/m", world.near), &world.near);
    let stale = world.process.fds.stale();
    let found = run(&by_us, &steps, &files, limit);
    for (i, (theirs, found)) in theirs.iter().zip(&found).enumerate() {
        if theirs != found {
            let at = theirs
                .iter()
                .zip(found)
                .position(|(a, b)| a != b)
                .unwrap_or(0);
            let (fd, value) = (FIRST_FREE + (at as i64 - 1) / 3, (at + 2) % 3);
            panic!(
                "after {:#?}\nanswer {} for {}; fd {fd}, value {value}: {} for {}",
                &steps[..=i],
                found[0],
                theirs[0],
                found[at],
                theirs[at]
            );
        }
    }
    assert_eq!(world.process.fds.stale(), stale, "entries lost on the way");
}

fn step(dice: &mut Dice) -> Step {
    let number = |dice: &mut Dice| match dice.below(PLAY + 2) {
        n if n < PLAY => FIRST_FREE + n as i64,
        n if n == PLAY => -1,
        _ => i32::MAX.into(),
    };
    let a = number(dice);
    let cloexec = dice.pick(&[0, libc::O_CLOEXEC]);
    match dice.below(24) {
        n @ 0..=4 => {
            let what = [
                What::Ours,
                What::Ours,
                What::Ours,
                What::Kernels,
                What::Directory,
            ][n];
            let mut flags =
                dice.pick(&[libc::O_RDWR, libc::O_RDWR, libc::O_RDONLY, libc::O_WRONLY]);
            flags |= dice.pick(&[0, 0, 0, libc::O_APPEND, libc::O_PATH, libc::O_NONBLOCK]);
            if matches!(what, What::Directory) {
                flags = libc::O_DIRECTORY | flags & libc::O_PATH;
            }
            Step::Open(what, flags | cloexec)
        }
        5 => Step::Pipe(cloexec | dice.pick(&[0, 0, 1])),
        6 => Step::Dup(a),
        7..=9 => Step::Dup2(a, number(dice)),
        10 | 11 => Step::Dup3(a, number(dice), dice.pick(&[i64::from(cloexec), 7, 0x800])),
        12 => {
            let from =
                [FIRST_FREE + dice.below(40) as i64, -1, 1 << 30][dice.pick(&[0, 0, 0, 0, 1, 2])];
            Step::DupFrom(a, from, cloexec != 0)
        }
        13..=15 => Step::Close(a),
        16 => Step::CloseRange(a.max(FIRST_FREE), number(dice), dice.pick(&[0, 0, 0, 4, 9])),
        17 => Step::SetFd(a, dice.pick(&[0, 1])),
        18 => Step::SetFl(
            a,
            dice.pick(&[
                0,
                libc::O_APPEND,
                libc::O_NONBLOCK,
                libc::O_APPEND | libc::O_NONBLOCK,
            ]),
        ),
        19..=22 => {
            let to = (dice.below(256) as i64 - 64) * 10;
            Step::Seek(a, to, dice.pick(&[libc::SEEK_SET, libc::SEEK_CUR]))
        }
        _ => Step::Limit(FIRST_FREE as u64 + dice.below(60) as u64),
    }
}

/// The answers of a sequence and what is seen after each step; ends with nothing open.
fn run(
    call: &dyn Fn(Call, [i64; 6]) -> i64,
    steps: &[Step],
    files: &Files,
    limit: u64,
) -> Vec<Vec<i64>> {
    let mut seen = Vec::new();
    for step in steps {
        let mut now = vec![perform(call, *step, files)];
        look(call, &mut now);
        seen.push(now);
    }
    set_limit(limit);
    call(close_range, [FIRST_FREE, FIRST_FREE + LOOK, 0, 0, 0, 0]);
    seen
}

fn perform(call: &dyn Fn(Call, [i64; 6]) -> i64, step: Step, files: &Files) -> i64 {
    match step {
        Step::Open(what, flags) => {
            let at = match what {
                What::Ours => &files.ours,
                What::Kernels => &files.kernels,
                What::Directory => &files.directory,
            };
            call(openat, [CWD, arg(at), flags.into(), 0, 0, 0])
        }
        Step::Pipe(flags) => {
            let mut pair = [-1i32; 2];
            let answer = call(pipe2, [pair.as_mut_ptr() as i64, flags.into(), 0, 0, 0, 0]);
            answer << 40 | i64::from(pair[0]) << 20 | i64::from(pair[1])
        }
        Step::Dup(a) => call(dup, [a, 0, 0, 0, 0, 0]),
        Step::Dup2(a, b) => call(dup2, [a, b, 0, 0, 0, 0]),
        Step::Dup3(a, b, flags) => call(dup3, [a, b, flags, 0, 0, 0]),
        Step::DupFrom(a, min, cloexec) => {
            let cmd = if cloexec {
                libc::F_DUPFD_CLOEXEC
            } else {
                libc::F_DUPFD
            };
            call(fcntl, [a, cmd.into(), min, 0, 0, 0])
        }
        Step::Close(a) => call(close, [a, 0, 0, 0, 0, 0]),
        Step::CloseRange(a, b, flags) => {
            let last = if b < 0 { u32::MAX.into() } else { b };
            call(close_range, [a, last, flags, 0, 0, 0])
        }
        Step::SetFd(a, flag) => call(fcntl, [a, libc::F_SETFD.into(), flag, 0, 0, 0]),
        Step::SetFl(a, flags) => call(fcntl, [a, libc::F_SETFL.into(), flags.into(), 0, 0, 0]),
        Step::Seek(a, to, whence) => call(lseek, [a, to, whence.into(), 0, 0, 0]),
        Step::Limit(n) => set_limit(n),
    }
}

/// What can be seen of every number: close-on-exec, status flags, offset.
fn look(call: &dyn Fn(Call, [i64; 6]) -> i64, into: &mut Vec<i64>) {
    for fd in FIRST_FREE..FIRST_FREE + LOOK {
        into.push(call(fcntl, [fd, libc::F_GETFD.into(), 0, 0, 0, 0]));
        into.push(call(fcntl, [fd, libc::F_GETFL.into(), 0, 0, 0, 0]));
        into.push(call(lseek, [fd, 0, libc::SEEK_CUR.into(), 0, 0, 0]));
    }
}

/// The soft limit on numbers; it is the process's, so each side sets it for itself.
fn limit() -> u64 {
    let mut now = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    let a = [0, libc::RLIMIT_NOFILE.into(), 0, &raw mut now as i64, 0, 0];
    assert_eq!(kernel(libc::SYS_prlimit64, a), 0);
    now.rlim_cur
}

fn set_limit(soft: u64) -> i64 {
    let mut now = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    let a = [0, libc::RLIMIT_NOFILE.into(), 0, &raw mut now as i64, 0, 0];
    assert_eq!(kernel(libc::SYS_prlimit64, a), 0);
    now.rlim_cur = soft;
    kernel(
        libc::SYS_prlimit64,
        [
            0,
            libc::RLIMIT_NOFILE.into(),
            &raw const now as i64,
            0,
            0,
            0,
        ],
    )
}
