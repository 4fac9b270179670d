//! What operations on names cost above the bare libdfs call; `--ignored --nocapture` prints it.
mod common;

use common::{arg, file, fresh, mkdir, path, process, sys, CWD};
use std::time::Instant;
use vfs::catalogue as op;

fn measure(what: &str, mut f: impl FnMut()) -> f64 {
    let rounds = std::env::var("ROUNDS").map_or(20_000, |n| n.parse().unwrap());
    let mut best = f64::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        (0..rounds).for_each(|_| f());
        best = best.min(start.elapsed().as_nanos() as f64 / f64::from(rounds));
    }
    println!("{what:30} {best:8.0} ns");
    best
}

#[test]
#[ignore = "a measurement"]
fn costs() {
    let d = fresh("cost");
    mkdir(&format!("{d}/a"));
    mkdir(&format!("{d}/a/b"));
    file(&format!("{d}/f"), b"x");
    file(&format!("{d}/a/b/f"), b"x");
    let p = process();
    let mount = p.mounts.iter().next().unwrap();
    let (fs, root) = (mount.fs().unwrap(), mount.root().unwrap());
    let (dir, _) = fs.lookup(&root.object, c"cost", mount.access()).unwrap();
    let bare = measure("fs.stat", || {
        let _ = fs.stat(&dir, c"f");
    });
    // SAFETY: a plain C structure.
    let mut st: libc::stat = unsafe { std::mem::zeroed() };
    let to = &raw mut st as i64;
    for text in [format!("{d}/f"), format!("{d}/a/b/f")] {
        let at = path(&text);
        let cost = measure(&format!("stat {text}"), || {
            sys(op::statat, [CWD, arg(&at), to, 0, 0, 0]);
        });
        println!("{:30} {:8.0} ns above", "", cost - bare);
    }
    let none = path(&format!("{d}/none"));
    let bare = measure("fs.stat of nothing", || {
        let _ = fs.stat(&dir, c"none");
    });
    let cost = measure("stat of nothing", || {
        sys(op::statat, [CWD, arg(&none), to, 0, 0, 0]);
    });
    println!("{:30} {:8.0} ns above", "", cost - bare);
    let bare = measure("fs.lookup", || drop(fs.lookup(&dir, c"f", mount.access())));
    let f = path(&format!("{d}/f"));
    let cost = measure("open+close", || {
        let fd = sys(op::openat, [CWD, arg(&f), 0, 0, 0, 0]);
        sys(op::close, [fd, 0, 0, 0, 0, 0]);
    });
    println!("{:30} {:8.0} ns above", "", cost - bare);
    let fd = sys(op::openat, [CWD, arg(&f), 0, 0, 0, 0]);
    let empty = path("");
    let bare = measure("attr", || {
        let _ = p.fds.get(fd as i32).unwrap().node.object.attr();
    });
    let flags = libc::AT_EMPTY_PATH.into();
    let cost = measure("fstat", || {
        sys(op::statat, [fd, arg(&empty), to, flags, 0, 0]);
    });
    println!("{:30} {:8.0} ns above", "", cost - bare);
    let kernels = path("/tmp/no-such-file-here");
    let late = [CWD, arg(&kernels), to, 0, 0, 0];
    measure("late step of ENOENT", || {
        vfs::ops::after(p, op::statat, late, -2);
    });
}
