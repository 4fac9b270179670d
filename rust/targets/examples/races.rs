//! Threads that open, duplicate, read, write, list and close the same numbers at the same time, for
//! ThreadSanitizer. They meet in nothing but the library: std's own locks, which a sanitizer without
//! an instrumented std does not understand, are not used here.
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use targets::world::*;

const THREADS: usize = 32;
const NUMBERS: usize = 16;

fn main() {
    let rounds = std::env::args()
        .nth(1)
        .map_or(200, |n| n.parse().expect("a number"));
    let (process, near) = {
        let world = world();
        (world.process, world.near.clone())
    };
    let shared: &'static [AtomicI64; NUMBERS] =
        Box::leak(Box::new([const { AtomicI64::new(-1) }; NUMBERS]));
    let ready: &'static AtomicUsize = Box::leak(Box::new(AtomicUsize::new(0)));
    let work = move |me: usize| {
        let call = |c: Call, a| ours(process, c, a);
        let file = path(&format!("{near}/m/race-{}", me % 4));
        let own = path(&format!("{near}/m/race-dir-{me}"));
        let dir = path(&format!("{near}/m"));
        ready.fetch_add(1, Ordering::AcqRel);
        while ready.load(Ordering::Acquire) < THREADS {
            std::hint::spin_loop();
        }
        let mut buf = [0u8; 256];
        let at = buf.as_mut_ptr() as i64;
        for round in 0..rounds {
            let cell = &shared[(round * 7 + me) % NUMBERS];
            let fd = cell.load(Ordering::Relaxed);
            match (round + me) % 9 {
                0 | 1 => {
                    let flags = i64::from(libc::O_RDWR | libc::O_CREAT);
                    let new = call(openat, [CWD, arg(&file), flags, 0o600, 0, 0]);
                    let old = cell.swap(new, Ordering::Relaxed);
                    call(close, [old, 0, 0, 0, 0, 0]);
                }
                2 => {
                    let new = call(dup, [fd, 0, 0, 0, 0, 0]);
                    call(close, [new, 0, 0, 0, 0, 0]);
                }
                3 => drop(call(
                    dup2,
                    [fd, shared[me % NUMBERS].load(Ordering::Relaxed), 0, 0, 0, 0],
                )),
                4 => drop(call(write, [fd, at, 64, 0, 0, 0])),
                5 => drop(call(read, [fd, at, 64, 0, 0, 0])),
                6 => drop(call(lseek, [fd, 0, libc::SEEK_SET.into(), 0, 0, 0])),
                7 => {
                    call(mkdirat, [CWD, arg(&own), 0o755, 0, 0, 0]);
                    call(
                        unlinkat,
                        [CWD, arg(&own), libc::AT_REMOVEDIR.into(), 0, 0, 0],
                    );
                }
                _ => {
                    let new = call(openat, [CWD, arg(&dir), libc::O_DIRECTORY.into(), 0, 0, 0]);
                    call(getdents64, [new, at, 256, 0, 0, 0]);
                    call(close, [new, 0, 0, 0, 0, 0]);
                }
            }
        }
    };
    let threads: Vec<_> = (0..THREADS)
        .map(|me| {
            let work = work.clone();
            std::thread::spawn(move || work(me))
        })
        .collect();
    for thread in threads {
        thread.join().expect("a thread without a panic");
    }
    println!("{THREADS} threads, {rounds} rounds each");
}
