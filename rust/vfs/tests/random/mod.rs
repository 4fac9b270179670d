//! Random operations on names, made on a mount and on a kernel directory: same answers, same errnos,
//! same trees. Names are few, so that they collide; links point anywhere, out of the directory too.
#![allow(dead_code)]
use crate::common::{self, arg, kernel, path, CWD, NOT_OURS};
use std::collections::BTreeMap;
use vfs::catalogue as op;

/// splitmix64
pub struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// The two places, and the descriptors open in both.
pub struct Twins {
    ours: String,
    theirs: String,
    /// Directories of the kernel's on another file system, one for each side: links lead there.
    outside: [String; 2],
    fds: Vec<(i64, i64)>,
    log: Vec<String>,
}

#[derive(Clone, Copy)]
struct Call {
    op: vfs::catalogue::OpId,
    nr: i64,
    name: &'static str,
}

macro_rules! calls {
    ($($name:ident = $sys:ident)*) => {
        $(#[allow(non_upper_case_globals)]
        const $name: Call = Call { op: op::$name, nr: libc::$sys, name: stringify!($name) };)*
    };
}
calls! {
    openat = SYS_openat  close = SYS_close  mkdirat = SYS_mkdirat  unlinkat = SYS_unlinkat
    renameat2 = SYS_renameat2  symlinkat = SYS_symlinkat  readlinkat = SYS_readlinkat
    statat = SYS_newfstatat  faccessat2 = SYS_faccessat2  fchmodat2 = SYS_fchmodat
    fchownat = SYS_fchownat  truncate = SYS_truncate  mknodat = SYS_mknodat  utimensat = SYS_utimensat

}

impl Twins {
    fn new(name: &str) -> Twins {
        let ours = common::fresh(name);
        let theirs = format!("/tmp/pil4dfs-{}-{name}", std::process::id());
        assert_eq!(
            kernel(
                libc::SYS_mkdirat,
                [CWD, arg(&path(&theirs)), 0o755, 0, 0, 0]
            ),
            0
        );
        let outside = ["a", "b"].map(|side| theirs.replace("/tmp", "/dev/shm") + "-" + side);
        for dir in &outside {
            assert_eq!(
                kernel(libc::SYS_mkdirat, [CWD, arg(&path(dir)), 0o755, 0, 0, 0]),
                0
            );
        }
        Twins {
            ours,
            theirs,
            outside,
            fds: Vec::new(),
            log: Vec::new(),
        }
    }

    /// A path in both: `~` stands for the place, `@` for the one outside.
    fn paths(&self, text: &str) -> (std::ffi::CString, std::ffi::CString) {
        let [a, b] = &self.outside;
        let ours = text.replace('~', &self.ours).replace('@', a);
        (
            path(&ours),
            path(&text.replace('~', &self.theirs).replace('@', b)),
        )
    }

    /// The other way round, for what is read.
    fn general(&self, text: &str) -> String {
        let [a, b] = &self.outside;
        let text = text.replace(a.as_str(), "@").replace(b.as_str(), "@");
        text.replace(&self.ours, "~").replace(&self.theirs, "~")
    }

    fn fail(&self, what: &str) -> ! {
        let tail = self.log.len().saturating_sub(40);
        let mut tree = String::new();
        for (name, (mode, size, .., link)) in self.tree(Some(&self.theirs)) {
            tree.push_str(&format!("{name} {mode:o} {size} {link}\n"));
        }
        for (a, b) in &self.fds {
            // SAFETY: a plain C structure.
            let mut st: libc::stat = unsafe { std::mem::zeroed() };
            let (empty, flags) = (path(""), libc::AT_EMPTY_PATH.into());
            kernel(
                statat.nr,
                [*b, arg(&empty), &raw mut st as i64, flags, 0, 0],
            );
            tree.push_str(&format!("fd {a} ({b}): {:?}\n", shown(&st)));
        }
        panic!(
            "{what}\n{}\nin {}\n{tree}",
            self.log[tail..].join("\n"),
            self.theirs
        );
    }

    fn run(&mut self, call: Call, what: String, a: [i64; 6], b: [i64; 6]) -> (i64, i64) {
        let theirs = kernel(call.nr, b);
        let mut ours = common::sys(call.op, a);
        if ours == NOT_OURS && a[0] >= 0 {
            // a descriptor that a link led outside for
            ours = vfs::ops::after(common::process(), call.op, a, kernel(call.nr, a));
        }
        if call.op != op::statat || ours != theirs {
            self.log
                .push(format!("{} {what} = {ours} (kernel {theirs})", call.name));
        }
        if ours == NOT_OURS {
            self.fail("not ours");
        }
        let same = match call.op {
            op::openat => (ours < 0) == (theirs < 0) && (ours >= 0 || ours == theirs),
            // between two file systems which error comes first may differ
            op::renameat2 if ours == -i64::from(libc::EXDEV) => theirs < 0,
            op::readlinkat => (ours < 0) == (theirs < 0) && (ours >= 0 || ours == theirs),
            _ => ours == theirs,
        };
        if !same {
            self.fail("different answers");
        }
        (ours, theirs)
    }

    /// A start and a path: absolute, or relative to one of the open descriptors.
    fn place(&mut self, r: &mut Random) -> (i64, i64, String) {
        let text = random_path(r);
        if !self.fds.is_empty() && r.below(3) == 0 {
            let (a, b) = self.fds[r.below(self.fds.len() as u64) as usize];
            return (a, b, text);
        }
        (CWD, CWD, format!("~/{text}"))
    }

    fn step(&mut self, r: &mut Random) {
        let (a, b, text) = self.place(r);
        let (ours, theirs) = self.paths(&text);
        let (x, y) = (arg(&ours), arg(&theirs));
        match r.below(21) {
            20 => {
                let ids = [0, 12345, 12346, 12347, 0xffff_ffff];
                let (uid, gid) = (r.pick(&ids), r.pick(&ids));
                let flag = r.pick(&[0, i64::from(libc::AT_SYMLINK_NOFOLLOW)]);
                let what = format!("{a} {text} {uid} {gid} {flag:x}");
                self.run(
                    fchownat,
                    what,
                    [a, x, uid, gid, flag, 0],
                    [b, y, uid, gid, flag, 0],
                );
            }
            0..=4 => {
                let access = r.pick(&[libc::O_RDONLY, libc::O_WRONLY, libc::O_RDWR]);
                let mut flags = access;
                for flag in [libc::O_CREAT, libc::O_CREAT, libc::O_EXCL, libc::O_TRUNC] {
                    flags |= if r.below(3) == 0 { flag } else { 0 };
                }
                for flag in [libc::O_DIRECTORY, libc::O_NOFOLLOW, libc::O_PATH] {
                    flags |= if r.below(5) == 0 { flag } else { 0 };
                }
                let mode = r.pick(&[0o666i64, 0o755, 0o600]);
                let what = format!("{a} {text} {flags:o} {mode:o}");
                let f = i64::from(flags);
                let fds = self.run(openat, what, [a, x, f, mode, 0, 0], [b, y, f, mode, 0, 0]);
                if fds.0 >= 0 {
                    self.fds.push(fds);
                }
            }
            5..=6 => {
                let mode = r.pick(&[0o777, 0o755, 0o1777, 0o700]);
                self.run(
                    mkdirat,
                    format!("{a} {text}"),
                    [a, x, mode, 0, 0, 0],
                    [b, y, mode, 0, 0, 0],
                );
            }
            7..=8 => {
                let flag = r.pick(&[0, libc::AT_REMOVEDIR.into()]);
                self.run(
                    unlinkat,
                    format!("{a} {text} {flag}"),
                    [a, x, flag, 0, 0, 0],
                    [b, y, flag, 0, 0, 0],
                );
            }
            9..=11 => {
                let (c, d, to) = self.place(r);
                let (ours2, theirs2) = self.paths(&to);
                let flags = r.pick(&[0, 0, 0, 1, 2, 3, 8]);
                self.run(
                    renameat2,
                    format!("{a} {text} -> {c} {to} {flags}"),
                    [a, x, c, arg(&ours2), flags, 0],
                    [b, y, d, arg(&theirs2), flags, 0],
                );
            }
            12..=13 => {
                let target = match r.below(3) {
                    0 => format!("~/{}", random_path(r)),
                    1 => random_path(r),
                    _ => r
                        .pick(&[
                            ".", "..", "../..", "@/f", "@", "@/d/..", "~", "a/../b", "x/",
                        ])
                        .to_string(),
                };
                let (ours2, theirs2) = self.paths(&target);
                self.run(
                    symlinkat,
                    format!("{target} {a} {text}"),
                    [arg(&ours2), a, x, 0, 0, 0],
                    [arg(&theirs2), b, y, 0, 0, 0],
                );
            }
            14 => {
                let flags = r.pick(&[0, i64::from(libc::AT_SYMLINK_NOFOLLOW)]);
                self.stat(a, b, &text, flags);
            }
            15 => {
                let (mut one, mut two) = ([0u8; 300], [0u8; 300]);
                let (n, m) = self.run(
                    readlinkat,
                    format!("{a} {text}"),
                    [a, x, one.as_mut_ptr() as i64, 300, 0, 0],
                    [b, y, two.as_mut_ptr() as i64, 300, 0, 0],
                );
                if n >= 0 {
                    let (one, two) = (&one[..n as usize], &two[..m as usize]);
                    let (one, two) = (String::from_utf8_lossy(one), String::from_utf8_lossy(two));
                    if self.general(&one) != self.general(&two) {
                        self.fail("different targets");
                    }
                }
            }
            16 => {
                let mode = r.pick(&[0, 1, 2, 4, 6, 7]);
                self.run(
                    faccessat2,
                    format!("{a} {text} {mode}"),
                    [a, x, mode, 0, 0, 0],
                    [b, y, mode, 0, 0, 0],
                );
            }
            17 => {
                let mode = r.pick(&[0o644, 0o755, 0o4755, 0o2755, 0]);
                self.run(
                    fchmodat2,
                    format!("{a} {text} {mode:o}"),
                    [a, x, mode, 0, 0, 0],
                    [b, y, mode, 0, 0, 0],
                );
            }
            18 if a == CWD => {
                let size = r.pick(&[0, 1, 4096, 1_048_577, -1]);
                self.run(
                    truncate,
                    format!("{text} {size}"),
                    [x, size, 0, 0, 0, 0],
                    [y, size, 0, 0, 0, 0],
                );
            }
            18 => {
                let mode = i64::from(libc::S_IFREG) | r.pick(&[0o644, 0o4700]);
                self.run(
                    mknodat,
                    format!("{a} {text}"),
                    [a, x, mode, 0, 0, 0],
                    [b, y, mode, 0, 0, 0],
                );
            }
            _ => {
                let times = [
                    libc::timespec {
                        tv_sec: 1,
                        tv_nsec: 2,
                    },
                    libc::timespec {
                        tv_sec: r.below(1 << 30) as i64,
                        tv_nsec: 7,
                    },
                ];
                let t = times.as_ptr() as i64;
                self.run(
                    utimensat,
                    format!("{a} {text}"),
                    [a, x, t, 0, 0, 0],
                    [b, y, t, 0, 0, 0],
                );
            }
        }
        while self.fds.len() > 5 {
            let (a, b) = self.fds.remove(r.below(6) as usize);
            self.run(
                close,
                format!("{a}"),
                [a, 0, 0, 0, 0, 0],
                [b, 0, 0, 0, 0, 0],
            );
        }
        for (a, b) in self.fds.clone() {
            self.stat(a, b, "", libc::AT_EMPTY_PATH.into());
        }
    }

    fn mkdir(&mut self, text: &str) {
        let (ours, theirs) = self.paths(text);
        let a = |path| [CWD, arg(path), 0o755, 0, 0, 0];
        let made = match text.starts_with('@') {
            true => (kernel(mkdirat.nr, a(&ours)), kernel(mkdirat.nr, a(&theirs))),
            false => self.run(mkdirat, text.into(), a(&ours), a(&theirs)),
        };
        assert_eq!(made, (0, 0), "{text}");
    }

    /// Compares attributes.
    fn stat(&mut self, a: i64, b: i64, text: &str, flags: i64) {
        let (ours, theirs) = self.paths(text);
        // SAFETY: plain C structures.
        let mut st: [libc::stat; 2] = unsafe { std::mem::zeroed() };
        let (one, two) = (&raw mut st[0] as i64, &raw mut st[1] as i64);
        let (n, _) = self.run(
            statat,
            format!("{a} {text} {flags:x}"),
            [a, arg(&ours), one, flags, 0, 0],
            [b, arg(&theirs), two, flags, 0, 0],
        );
        if n == 0 && shown(&st[0]) != shown(&st[1]) {
            self.fail(&format!(
                "different attributes: {:?} {:?}",
                shown(&st[0]),
                shown(&st[1])
            ));
        }
    }

    /// The whole tree below the place: path -> attributes, by the kernel or by us.
    fn tree(&self, kernels: Option<&str>) -> BTreeMap<String, (u32, i64, u32, u32, bool, String)> {
        let ours = kernels.is_none();
        let root = kernels.unwrap_or(&self.ours);
        let call = |c: Call, a| {
            if ours {
                common::sys(c.op, a)
            } else {
                kernel(c.nr, a)
            }
        };
        let (mut tree, mut todo) = (BTreeMap::new(), vec![String::new()]);
        while let Some(dir) = todo.pop() {
            let at = path(&format!("{root}{dir}"));
            let flags = (libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW).into();
            let fd = call(openat, [CWD, arg(&at), flags, 0, 0, 0]);
            if fd < 0 {
                tree.insert(format!("{dir}/denied {fd}"), Default::default());
                continue;
            }
            let mut buf = vec![0u8; 1 << 16];
            loop {
                let a = [fd, buf.as_mut_ptr() as i64, buf.len() as i64, 0, 0, 0];
                let n = match ours {
                    true => common::sys(op::getdents64, a),
                    false => kernel(libc::SYS_getdents64, a),
                };
                assert!(n >= 0, "{at:?}: {n}");
                if n == 0 {
                    break;
                }
                for e in common::dirents(&buf[..n as usize]) {
                    if e.name == "." || e.name == ".." {
                        continue;
                    }
                    let name = path(&e.name);
                    // SAFETY: a plain C structure.
                    let mut st: libc::stat = unsafe { std::mem::zeroed() };
                    let to = &raw mut st as i64;
                    let nofollow = libc::AT_SYMLINK_NOFOLLOW.into();
                    let answer = call(statat, [fd, arg(&name), to, nofollow, 0, 0]);
                    if answer < 0 {
                        tree.insert(format!("{dir}/{} {answer}", e.name), Default::default());
                        continue;
                    }
                    assert_eq!(e.ino, st.st_ino, "{at:?}/{name:?}");
                    assert_eq!(u32::from(e.kind) << 12, st.st_mode & libc::S_IFMT);
                    let mut text = vec![0u8; 512];
                    let mut link = String::new();
                    if st.st_mode & libc::S_IFMT == libc::S_IFLNK {
                        let n = call(
                            readlinkat,
                            [fd, arg(&name), text.as_mut_ptr() as i64, 512, 0, 0],
                        );
                        link = self.general(&String::from_utf8_lossy(&text[..n as usize]));
                    }
                    let full = format!("{dir}/{}", e.name);
                    if st.st_mode & libc::S_IFMT == libc::S_IFDIR {
                        todo.push(full.clone());
                    }
                    let (mode, size, uid, gid, explicit) = shown(&st);
                    tree.insert(full, (mode, size, uid, gid, explicit, link));
                }
            }
            call(close, [fd, 0, 0, 0, 0, 0]);
        }
        tree
    }

    fn compare(&self) {
        let (a, b) = (
            self.tree(Some(&self.outside[0])),
            self.tree(Some(&self.outside[1])),
        );
        if a != b {
            self.fail(&format!("different outside:\n{a:#?}\n{b:#?}"));
        }
        let (ours, theirs) = (self.tree(None), self.tree(Some(&self.theirs)));
        if ours != theirs {
            self.fail(&format!("different trees:\n{ours:#?}\n{theirs:#?}"));
        }
    }
}

/// What must be equal: mode, size of files, owner, links (gone or not).
fn shown(st: &libc::stat) -> (u32, i64, u32, u32, bool) {
    let size = if st.st_mode & libc::S_IFMT == libc::S_IFREG {
        st.st_size
    } else {
        0
    };
    (st.st_mode, size, st.st_uid, st.st_gid, st.st_nlink == 0)
}

fn random_path(r: &mut Random) -> String {
    let mut text = String::new();
    let depth = r.pick(&[1, 1, 1, 2, 2, 3]);
    for i in 0..depth {
        if i > 0 {
            text.push_str(r.pick(&["/", "/", "/", "//", "/./"]));
        }
        text.push_str(r.pick(&["a", "b", "c", "d", "a", "b", "c", "d", "a", "b", ".", ".."]));
    }
    if r.below(8) == 0 {
        text.push_str(r.pick(&["/", "/.", "//", "/.."]));
    }
    text
}

/// The places of one history, with a few directories, made by whoever we are.
pub fn places(name: &str, seed: u64) -> (Twins, Random) {
    let mut twins = Twins::new(&format!("{name}{seed}"));
    // far enough down that ".." stays comparable, and away from anything that matters
    for _ in 0..12 {
        twins.ours.push_str("/up");
        twins.theirs.push_str("/up");
        twins.outside.iter_mut().for_each(|dir| dir.push_str("/up"));
        twins.mkdir("~");
        twins.mkdir("@");
    }
    twins.mkdir("@/d");
    for text in ["~/a", "~/a/b", "~/b"] {
        twins.mkdir(text);
    }
    (twins, Random(seed))
}

/// Steps between two looks at everything.
fn every() -> u64 {
    std::env::var("PIL4DFS_EVERY").map_or(50, |s| s.parse().unwrap())
}

impl Twins {
    /// Random steps, with a look at everything now and then.
    pub fn history(&mut self, r: &mut Random, steps: u64) {
        for n in 0..steps {
            self.step(r);
            if n % every() == 0 {
                self.compare();
            }
        }
        self.compare();
    }

    /// Closes what is open.
    pub fn close_all(&mut self) {
        for (a, b) in std::mem::take(&mut self.fds) {
            let (a, b) = ([a, 0, 0, 0, 0, 0], [b, 0, 0, 0, 0, 0]);
            self.run(close, String::new(), a, b);
        }
    }

    /// Removes the kernel's side.
    pub fn remove(&self) {
        for dir in [&self.theirs, &self.outside[0], &self.outside[1]] {
            let _ = std::fs::remove_dir_all(dir.split("/up").next().unwrap());
        }
    }

    /// Hands the places to all users, as in a shared directory.
    pub fn share(&mut self) {
        for text in ["~", "@"] {
            let (ours, theirs) = self.paths(text);
            let a = |path| [CWD, arg(path), 0o777, 0, 0, 0];
            let done = match text {
                "@" => kernel(fchmodat2.nr, a(&ours)),
                _ => common::sys(fchmodat2.op, a(&ours)),
            };
            assert_eq!((done, kernel(fchmodat2.nr, a(&theirs))), (0, 0));
        }
    }
}
