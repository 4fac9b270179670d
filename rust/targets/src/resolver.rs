//! Paths: a tree is grown from the input - directories, files, links that lead anywhere -, in a mount,
//! in the mount inside it and in the kernel's directory around them; then names of all kinds are asked
//! for, from the root, from the working directory, from descriptors and through /proc, and things come
//! and go meanwhile. The kernel does the same beside it without a mount: same answers, same errnos, the
//! same object at the end of each path, the same trees.
use crate::dice::Dice;
use crate::tree::{clear, list, tree, Caller};
use crate::world::*;
use std::collections::HashMap;
use std::ffi::{CStr, CString};

/// Calls an input makes at most.
const STEPS: usize = 80;
/// Descriptors kept.
const KEPT: usize = 4;
/// So many directories above the places are kept clean: paths get there by "..".
const ABOVE: usize = 12;
/// What outlives an input, on the mount's side and on the kernel's.
const KEEP: [&str; 4] = ["/m", "/m/in", "/m/in/n", "/m/fd-ours"];

struct Game<'a> {
    world: &'a World,
    dice: Dice<'a>,
    /// Open on both sides.
    fds: Vec<(i64, i64)>,
    /// Which object of ours is which of the kernel's, by device and inode, and the other way round.
    same: [HashMap<(u64, u64), (u64, u64)>; 2],
    /// What was made, as it was spelled.
    made: Vec<String>,
    log: Vec<String>,
}

/// A path as both sides spell it.
struct Both {
    at: (i64, i64),
    ours: CString,
    theirs: CString,
    shown: String,
}

/// Feeds the target.
pub fn resolver(data: &[u8]) {
    let world = &*world();
    let by_us = |c: Call, a| ours(world.process, c, a);
    let by_kernel = |c: Call, a| kernel(c.nr, a);
    for side in [false, true] {
        match side {
            false => prepare(&by_us, &world.near, false),
            true => prepare(&by_kernel, &world.twin, true),
        }
    }
    let mut game = Game {
        world,
        dice: Dice::new(data),
        fds: Vec::new(),
        same: Default::default(),
        made: Vec::new(),
        log: Vec::new(),
    };
    game.go_home();
    let grow = 4 + game.dice.below(16);
    for n in 0..STEPS {
        if game.dice.done() {
            break;
        }
        let kind = match n < grow {
            true => game.dice.below(3),
            false => game.dice.below(20),
        };
        game.step(kind);
    }
    for fd in std::mem::take(&mut game.fds) {
        game.close(fd);
    }
    let root = path("/");
    by_us(chdir, [arg(&root), 0, 0, 0, 0, 0]);
    world.walker.kernel(chdir, [arg(&root), 0, 0, 0, 0, 0]);
    for below in ["/m", ""] {
        let near = tree(&by_us, &world.near, below);
        // the other target's file
        let other = format!("/m{}", crate::descriptors::PLAYED);
        let mut twin = tree(&by_kernel, &world.twin, below);
        if below.is_empty() {
            // by the kernel's listing there is no mount
            twin.retain(|name, _| name != "/m" && !name.starts_with("/m/"));
        }
        let others = |name: &&String| **name != other;
        for name in near.keys().chain(twin.keys()).filter(others) {
            let (ours, theirs) = (near.get(name), twin.get(name));
            if ours != theirs {
                game.fail(&format!("{name}: {ours:?} for {theirs:?}"));
            }
        }
    }
}

/// Empties a side and puts there what every input finds.
fn prepare(call: Caller, base: &str, inner: bool) {
    clear(call, base, "/m", &KEEP);
    clear(call, base, "", &KEEP);
    let mut above = base;
    for _ in 0..ABOVE {
        above = &above[..above.rfind('/').expect("deep enough")];
        clear_beside(call, above);
    }
    let made = |c: Call, name: &str, mode: i64| {
        let at = path(&format!("{base}{name}"));
        call(c, [CWD, arg(&at), mode, 0, 0, 0])
    };
    made(mkdirat, "/m/in", 0o755);
    if inner {
        made(mkdirat, "/m/in/n", 0o755);
    }
    assert_eq!(made(mkdirat, "/d", 0o755), 0);
    for (name, target) in [
        ("/l", "m"),
        ("/k", "d/../m/a"),
        ("/q", "^/m/b"),
        ("/r", "^/m/in/../in/n"),
    ] {
        let (at, target) = (
            path(&format!("{base}{name}")),
            path(&target.replace('^', base)),
        );
        assert_eq!(call(symlinkat, [arg(&target), CWD, arg(&at), 0, 0, 0]), 0);
    }
    let flags = i64::from(libc::O_CREAT | libc::O_WRONLY);
    let at = path(&format!("{base}/f"));
    let fd = call(openat, [CWD, arg(&at), flags, 0o644, 0, 0]);
    assert!(fd >= 0);
    call(close, [fd, 0, 0, 0, 0, 0]);
}

/// Removes what was made beside the way to the places.
fn clear_beside(call: Caller, dir: &str) {
    for entry in list(call, dir).unwrap_or_default() {
        if entry.name == "u" || entry.name == "p" {
            continue;
        }
        let (name, at) = (
            format!("/{}", entry.name),
            path(&format!("{dir}/{}", entry.name)),
        );
        let flags = match entry.kind {
            libc::DT_DIR => {
                clear(call, dir, &name, &[]);
                libc::AT_REMOVEDIR
            }
            _ => 0,
        };
        call(unlinkat, [CWD, arg(&at), flags.into(), 0, 0, 0]);
    }
}

/// The last name is the mount point's, or one of the links to it. What is made there from the kernel's
/// side is made in the kernel's directory, as the mount point does not exist in it.
fn names_mount(text: &str) -> bool {
    let last = text
        .split('/')
        .rfind(|part| !part.is_empty() && *part != ".");
    matches!(last, Some("m" | "l" | "k"))
}

/// The call depends on the working directory, by its argument or by the name it has in /proc.
fn by_cwd(c: Call, a: &[i64; 6]) -> bool {
    let path = |at: usize| {
        // SAFETY: what follows a directory among the arguments is a path of this target's.
        let text = unsafe { CStr::from_ptr(a[at] as usize as *const _) }.to_bytes();
        !text.starts_with(b"/") || text.starts_with(b"/proc/thread-self")
    };
    let directories = [0, 1, 2].into_iter().filter(|&i| a[i] == CWD);
    matches!(c.name, "chdir" | "fchdir" | "getcwd") || directories.map(|i| i + 1).any(path)
}

impl Game<'_> {
    fn fail(&self, what: &str) -> ! {
        let log = self.log.join("\n");
        let log = log.replace(&"x".repeat(255), "{255 x}");
        panic!("{what}\nafter\n{log}");
    }

    /// To the directory around the mount.
    fn go_home(&mut self) {
        let home = self.spell("^", (CWD, CWD));
        let (x, y) = (arg(&home.ours), arg(&home.theirs));
        self.call(chdir, "^", [x, 0, 0, 0, 0, 0], [y, 0, 0, 0, 0, 0]);
    }

    /// Some components.
    fn walk(&mut self, most: usize) -> String {
        const PARTS: [&str; 16] = [
            "a", "b", "c", "a", "b", "c", "d", "f", "l", "k", "in", "in/n", ".", "..", "..", "m",
        ];
        let mut text = String::new();
        let length = self.dice.pick(&[1, 1, 1, 2, 2, 3, 4]).min(most);
        for i in 0..length {
            if i > 0 {
                text.push_str(self.dice.pick(&["/", "/", "/", "/", "//", "/./"]));
            }
            match self.dice.below(40) {
                39 => text.push_str(&"x".repeat(255)),
                n => text.push_str(PARTS[n % PARTS.len()]),
            }
        }
        if self.dice.one_in(6) {
            text.push_str(self.dice.pick(&["/", "/.", "//", "/..", "/./"]));
        }
        text
    }

    /// A path and where it starts: `~` is the mount, `^` the directory around it, `%` the working
    /// directory's name, `#` a descriptor's.
    fn place(&mut self) -> Both {
        if !self.made.is_empty() && self.dice.one_in(3) {
            let known = self.dice.below(self.made.len());
            let more = self
                .dice
                .pick(&["", "", "", "/", "/..", "/a", "/b", "/../in/n/c"]);
            let shown = self.made[known].clone() + more;
            return self.spell(&shown, (CWD, CWD));
        }
        let text = self.walk(4);
        let fd = match self.fds.len() {
            0 => None,
            n => Some(self.fds[self.dice.below(n)]),
        };
        let (mut at, mut shown) = ((CWD, CWD), text.clone());
        match (self.dice.below(12), fd) {
            (0..=2, _) => shown = format!("~/{text}"),
            (3, _) => shown = format!("^/{text}"),
            (4, _) => shown = format!("^/d/..//m/../m/{text}"),
            (5, _) => shown = format!("~/in/n/{text}"),
            (6, _) => shown = format!("%/{text}"),
            (7, Some(fd)) => (shown, at) = (format!("#{text}"), fd),
            (7..=9, Some(fd)) => at = fd,
            _ => {}
        }
        let both = self.spell(&shown, at);
        match shown.strip_prefix('#') {
            Some(_) => Both {
                at: (CWD, CWD),
                ..both
            },
            None => both,
        }
    }

    fn spell(&self, shown: &str, at: (i64, i64)) -> Both {
        let side = |base: &str, fd: i64, cwd: &str| {
            let number = format!("/proc/self/fd/{fd}/");
            let text = shown
                .replace('~', "^/m")
                .replace('^', base)
                .replace('%', cwd);
            path(&text.replace('#', &number))
        };
        Both {
            at,
            ours: side(&self.world.near, at.0, "/proc/self/cwd"),
            theirs: side(&self.world.twin, at.1, "/proc/thread-self/cwd"),
            shown: shown.to_string(),
        }
    }

    /// Makes a call on both sides and compares; the answers.
    fn call(&mut self, c: Call, what: &str, a: [i64; 6], b: [i64; 6]) -> (i64, i64) {
        let one = ours(self.world.process, c, a);
        // what only the mount's side can answer: here two file systems and a mount point are
        let mounts = [libc::EXDEV, libc::EBUSY].contains(&(-one as i32));
        if mounts && matches!(c.name, "renameat2" | "unlinkat") {
            self.log
                .push(format!("{} {what} = {one}, not asked", c.name));
            return (one, one);
        }
        let two = match by_cwd(c, &b) {
            true => self.world.walker.kernel(c, b),
            false => kernel(c.nr, b),
        };
        self.log
            .push(format!("{} {what} = {one} (kernel {two})", c.name));
        let descriptor = matches!(c.name, "openat" | "openat2");
        let same = match descriptor && one >= 0 {
            true => two >= 0,
            false => one == two,
        };
        if !same {
            self.fail("different answers");
        }
        (one, two)
    }

    fn at(&mut self, c: Call, p: &Both, rest: [i64; 4]) -> (i64, i64) {
        let [x, y, z, w] = rest;
        let (one, two) = (arg(&p.ours), arg(&p.theirs));
        let what = format!("{} {} {rest:x?}", p.at.0, p.shown);
        self.call(
            c,
            &what,
            [p.at.0, one, x, y, z, w],
            [p.at.1, two, x, y, z, w],
        )
    }

    fn step(&mut self, kind: usize) {
        let p = self.place();
        let nofollow = i64::from(libc::AT_SYMLINK_NOFOLLOW);
        match kind {
            0..=3 if names_mount(&p.shown) => {}
            0 => {
                let made = self.at(mkdirat, &p, [0o755, 0, 0, 0]);
                self.note(&p, made);
            }
            1 | 3 => {
                let text = match self.dice.below(4) {
                    0 => format!("~/{}", self.walk(3)),
                    1 => format!("^/{}", self.walk(3)),
                    _ => self.walk(3),
                };
                if names_mount(&text) {
                    return;
                }
                let target = self.spell(&text, (CWD, CWD));
                let (one, two) = (arg(&target.ours), arg(&target.theirs));
                let (x, y) = (arg(&p.ours), arg(&p.theirs));
                let what = format!("{text} {} {}", p.at.0, p.shown);
                let made = self.call(
                    symlinkat,
                    &what,
                    [one, p.at.0, x, 0, 0, 0],
                    [two, p.at.1, y, 0, 0, 0],
                );
                self.note(&p, made);
            }
            2 | 4..=6 => {
                let mut flags = self
                    .dice
                    .pick(&[libc::O_RDONLY, libc::O_RDWR, libc::O_PATH]);
                if (kind == 2 || self.dice.one_in(3)) && !names_mount(&p.shown) {
                    flags |= libc::O_CREAT | self.dice.pick(&[0, 0, libc::O_EXCL]);
                }
                flags |= self.dice.pick(&[0, 0, libc::O_DIRECTORY, libc::O_NOFOLLOW]);
                let fds = self.at(openat, &p, [flags.into(), 0o644, 0, 0]);
                self.note(&p, fds);
                self.keep(fds);
            }
            7 => {
                let flags = self
                    .dice
                    .pick(&[libc::O_RDONLY, libc::O_PATH, libc::O_DIRECTORY]);
                let resolve = self.dice.pick(&[0, 4, 8, 0x10, 2, 0xc, 0x14]);
                let how = [flags as u64, 0, resolve];
                let within = vfs::filter::fd_is(p.at.0 as i32) == vfs::filter::OURS;
                if within && !p.shown.starts_with('/') {
                    let how_is = format!("{how:x?}");
                    self.log.push(how_is);
                    let fds = self.at(openat2, &p, [how.as_ptr() as i64, 24, 0, 0]);
                    self.keep(fds);
                }
            }
            8..=10 => {
                let flags = self.dice.pick(&[0, nofollow]);
                self.stat(&p, flags);
            }
            11 => {
                let (mut one, mut two) = (vec![0u8; 4096], vec![0u8; 4096]);
                let (x, y) = (arg(&p.ours), arg(&p.theirs));
                let (a, b) = (one.as_mut_ptr() as i64, two.as_mut_ptr() as i64);
                let what = format!("{} {}", p.at.0, p.shown);
                let n = self.call(
                    readlinkat,
                    &what,
                    [p.at.0, x, a, 4096, 0, 0],
                    [p.at.1, y, b, 4096, 0, 0],
                );
                self.texts(&one[..n.0.max(0) as usize], &two[..n.1.max(0) as usize]);
            }
            12 => {
                let mode = self.dice.pick(&[0, 1, 2, 4, 7]);
                self.at(faccessat2, &p, [mode, 0, 0, 0]);
            }
            13 => {
                let flags = self.dice.pick(&[0, i64::from(libc::AT_REMOVEDIR)]);
                self.at(unlinkat, &p, [flags, 0, 0, 0]);
            }
            14 | 15 => self.rename(&p),
            16 => {
                // Who may search is `names_random`'s: a mount is found by its path's text, so that
                // nobody is refused by a directory on the way to it.
                let mode = self.dice.pick(&[0o755, 0o700, 0o311, 0o744, 0o100]);
                self.at(fchmodat2, &p, [mode, 0, 0, 0]);
            }
            17 => {
                let (x, y) = (arg(&p.ours), arg(&p.theirs));
                if p.at.0 == CWD {
                    self.call(chdir, &p.shown, [x, 0, 0, 0, 0, 0], [y, 0, 0, 0, 0, 0]);
                } else {
                    let what = p.at.0.to_string();
                    self.call(
                        fchdir,
                        &what,
                        [p.at.0, 0, 0, 0, 0, 0],
                        [p.at.1, 0, 0, 0, 0, 0],
                    );
                }
                if !self.is_near("/proc/thread-self/cwd") {
                    self.go_home();
                }
            }
            18 => {
                let (mut one, mut two) = (vec![0u8; 4096], vec![0u8; 4096]);
                let (a, b) = (one.as_mut_ptr() as i64, two.as_mut_ptr() as i64);
                self.call(getcwd, "", [a, 4096, 0, 0, 0, 0], [b, 4096, 0, 0, 0, 0]);
                self.texts(&one, &two);
            }
            _ => {
                let here = self.spell("", p.at);
                if here.at.0 != CWD {
                    self.stat(&here, libc::AT_EMPTY_PATH.into());
                }
            }
        }
    }

    /// Something is there now, for later steps to come back to.
    fn note(&mut self, p: &Both, answers: (i64, i64)) {
        if answers.0 >= 0 && p.at.0 == CWD && self.made.len() < 16 {
            self.made.push(p.shown.clone());
        }
    }

    /// A mount point stays where it is: what leads there by its name is not renamed.
    fn rename(&mut self, p: &Both) {
        let to = self.place();
        let flags = self.dice.pick(&[0, 0, 1, 2]);
        let inner = |p: &Both| {
            let mut parts = p.shown.rsplit(['/', '#']);
            let last = parts.find(|part| !part.is_empty() && *part != ".");
            matches!(last, Some("in" | "n"))
        };
        if [p, &to]
            .into_iter()
            .any(|p| inner(p) || names_mount(&p.shown))
        {
            return;
        }
        let (a, b) = (
            (arg(&p.ours), arg(&p.theirs)),
            (arg(&to.ours), arg(&to.theirs)),
        );
        let what = format!("{} {} -> {} {} {flags}", p.at.0, p.shown, to.at.0, to.shown);
        let moved = self.call(
            renameat2,
            &what,
            [p.at.0, a.0, to.at.0, b.0, flags, 0],
            [p.at.1, a.1, to.at.1, b.1, flags, 0],
        );
        self.note(&to, moved);
    }

    fn close(&mut self, fd: (i64, i64)) {
        let what = fd.0.to_string();
        self.call(close, &what, [fd.0, 0, 0, 0, 0, 0], [fd.1, 0, 0, 0, 0, 0]);
    }

    /// What an open gave: looked at, and kept for a while.
    fn keep(&mut self, fds: (i64, i64)) {
        if fds.0 < 0 {
            return;
        }
        let it = self.spell("", fds);
        self.stat(&it, libc::AT_EMPTY_PATH.into());
        // a link's name in /proc leads nowhere, which the text of the link does not say
        let mut st = empty_stat();
        let empty = path("");
        let flags = libc::AT_EMPTY_PATH.into();
        kernel(
            statat.nr,
            [fds.1, arg(&empty), &raw mut st as i64, flags, 0, 0],
        );
        let link = st.st_mode & libc::S_IFMT == libc::S_IFLNK;
        if link || !self.is_near(&format!("/proc/thread-self/fd/{}", fds.1)) {
            return self.close(fds);
        }
        self.fds.push(fds);
        if self.fds.len() > KEPT {
            let old = self.dice.below(self.fds.len());
            let old = self.fds.remove(old);
            self.close(old);
        }
    }

    /// The kernel's side has not climbed out of its place: nothing of the machine is at stake.
    fn is_near(&self, link: &str) -> bool {
        let (link, mut text) = (path(link), vec![0u8; 4096]);
        let a = [CWD, arg(&link), text.as_mut_ptr() as i64, 4096, 0, 0];
        let n = self.world.walker.kernel(readlinkat, a).max(0) as usize;
        text[..n].starts_with(self.world.twin.as_bytes())
    }

    /// The same object, and alike.
    fn stat(&mut self, p: &Both, flags: i64) {
        let (mut one, mut two) = (empty_stat(), empty_stat());
        let (a, b) = (&raw mut one as i64, &raw mut two as i64);
        let what = format!("{} {} {flags:x}", p.at.0, p.shown);
        let (x, y) = (arg(&p.ours), arg(&p.theirs));
        let (n, _) = self.call(
            statat,
            &what,
            [p.at.0, x, a, flags, 0, 0],
            [p.at.1, y, b, flags, 0, 0],
        );
        if n < 0 {
            return;
        }
        let shown = |st: &libc::stat| {
            let sized = st.st_mode & libc::S_IFMT != libc::S_IFDIR;
            (
                st.st_mode,
                st.st_uid,
                st.st_gid,
                if sized { st.st_size } else { 0 },
                st.st_nlink == 0,
            )
        };
        if shown(&one) != shown(&two) {
            self.fail(&format!(
                "different attributes: {:?} {:?}",
                shown(&one),
                shown(&two)
            ));
        }
        let (one, two) = ((one.st_dev, one.st_ino), (two.st_dev, two.st_ino));
        let there = *self.same[0].entry(one).or_insert(two);
        let back = *self.same[1].entry(two).or_insert(one);
        if there != two || back != one {
            self.fail(&format!(
                "another object: {one:?} for {two:?}, which was {back:?}"
            ));
        }
    }

    /// The same text, but for the two places.
    fn texts(&mut self, one: &[u8], two: &[u8]) {
        let c = |text: &[u8]| {
            let text = CStr::from_bytes_until_nul(text).map_or(text, CStr::to_bytes);
            String::from_utf8_lossy(text).into_owned()
        };
        let (one, two) = (c(one), c(two));
        if one.replace(&self.world.near, "^") != two.replace(&self.world.twin, "^") {
            self.fail(&format!("different texts: {one} {two}"));
        }
    }
}
