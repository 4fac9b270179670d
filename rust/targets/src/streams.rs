//! Directory streams against a list: names come and go while streams are read with buffers of any size,
//! moved to positions they told, rewound and opened again. A name that was there all the time comes
//! exactly once between a rewind and the end; from a position told, what came before it does not come
//! again and the rest does; what does not exist does not come. The kernel's streams, fed the same, keep
//! to the list too ([`kernels_streams`]), but that ext4 gives names it has read and that went since.
use crate::dice::Dice;
use crate::tree::{clear, dirents, Caller};
use crate::world::*;
use std::collections::{BTreeMap, BTreeSet};

const STEPS: usize = 120;
const STREAMS: usize = 3;

/// One name: the kind of file, and the step that made it.
#[derive(Clone, Copy)]
struct Made {
    kind: u8,
    ino: u64,
    when: usize,
}

/// A position told, and what had been given up to there (with the step that made it).
#[derive(Clone, Default)]
struct Told {
    cookie: i64,
    given: BTreeSet<(String, usize)>,
}

struct Stream {
    fd: i64,
    now: Told,
    told: Vec<Told>,
    /// What was there at the last rewind and has not gone since must come.
    begun: usize,
    /// Read with getdents, the old layout.
    old: bool,
}

struct Game<'a> {
    call: Caller<'a>,
    dir: String,
    dice: Dice<'a>,
    list: BTreeMap<String, Made>,
    streams: Vec<Stream>,
    step: usize,
    log: Vec<String>,
    /// Names removed at any time, where such may still come (POSIX leaves that open).
    gone: Option<BTreeSet<String>>,
}

/// Feeds the target.
pub fn streams(data: &[u8]) {
    let world = &*world();
    let call = |c: Call, a| ours(world.process, c, a);
    play(&call, &world.near, "/m/in/n", data, None);
}

/// The same in the kernel's directory: the list is right.
pub fn kernels_streams(data: &[u8]) {
    let world = &*world();
    let call = |c: Call, a| world.walker.kernel(c, a);
    // not on tmpfs, which gives a name twice when the one before it was removed
    let base = format!(
        "{}/pil4dfs-streams-{}",
        std::env::temp_dir().display(),
        std::process::id()
    );
    std::fs::create_dir_all(&base).expect("a directory");
    play(&call, &base, "/s", data, Some(BTreeSet::new()));
    let _ = std::fs::remove_dir_all(&base);
}

fn play(call: Caller, base: &str, below: &str, data: &[u8], gone: Option<BTreeSet<String>>) {
    let dir = path(&format!("{base}{below}"));
    call(mkdirat, [CWD, arg(&dir), 0o755, 0, 0, 0]);
    clear(call, base, below, &[]);
    let mut game = Game {
        call,
        dir: format!("{base}{below}"),
        dice: Dice::new(data),
        list: BTreeMap::new(),
        streams: Vec::new(),
        step: 0,
        log: Vec::new(),
        gone,
    };
    let many = game.dice.pick(&[0, 1, 5, 130, 300]);
    game.insert(many);
    while game.step < STEPS && !game.dice.done() {
        game.step += 1;
        game.turn();
    }
    // whatever happened: a new stream and every old one come to their end
    game.open(4096);
    while let Some(stream) = game.streams.pop() {
        game.streams.push(stream);
        let last = game.streams.len() - 1;
        while game.read(last, 4096) {}
        let stream = game.streams.pop().expect("the last");
        (game.call)(close, [stream.fd, 0, 0, 0, 0, 0]);
    }
}

impl Game<'_> {
    fn fail(&self, what: &str) -> ! {
        panic!("{what}\nafter\n{}", self.log.join("\n"));
    }

    fn at(&self, name: &str) -> std::ffi::CString {
        path(&format!("{}/{name}", self.dir))
    }

    /// Makes names, of all kinds.
    fn insert(&mut self, count: usize) {
        for _ in 0..count {
            self.step += 1;
            let n = self.dice.below(256);
            let name = match n % 8 {
                0 => format!("{}{n}", "long".repeat(n / 4)),
                _ => format!("n{n}-{}", self.step % 7),
            };
            let (at, target) = (self.at(&name), path("x"));
            let flags = i64::from(libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY);
            let (answer, kind) = match n % 5 {
                0 => (
                    (self.call)(mkdirat, [CWD, arg(&at), 0o755, 0, 0, 0]),
                    libc::DT_DIR,
                ),
                1 => (
                    (self.call)(symlinkat, [arg(&target), CWD, arg(&at), 0, 0, 0]),
                    libc::DT_LNK,
                ),
                _ => (
                    (self.call)(openat, [CWD, arg(&at), flags, 0o644, 0, 0]),
                    libc::DT_REG,
                ),
            };
            self.log.push(format!("make {name} = {answer}"));
            match (answer, self.list.contains_key(&name)) {
                (answer, true) if answer == -i64::from(libc::EEXIST) => continue,
                (0.., false) => {}
                _ => self.fail("making a name"),
            }
            if kind == libc::DT_REG {
                (self.call)(close, [answer, 0, 0, 0, 0, 0]);
            }
            let mut st = empty_stat();
            let nofollow = libc::AT_SYMLINK_NOFOLLOW.into();
            let answer = (self.call)(statat, [CWD, arg(&at), &raw mut st as i64, nofollow, 0, 0]);
            assert_eq!(answer, 0);
            let (ino, when) = (st.st_ino, self.step);
            self.list.insert(name, Made { kind, ino, when });
        }
    }

    /// Removes names.
    fn remove(&mut self, count: usize) {
        for _ in 0..count.min(self.list.len()) {
            let n = self.dice.below(256) % self.list.len();
            let (name, made) = self
                .list
                .iter()
                .nth(n)
                .map(|(k, v)| (k.clone(), *v))
                .expect("one");
            let flags = match made.kind {
                libc::DT_DIR => libc::AT_REMOVEDIR,
                _ => 0,
            };
            let at = self.at(&name);
            let answer = (self.call)(unlinkat, [CWD, arg(&at), flags.into(), 0, 0, 0]);
            self.log.push(format!("remove {name} = {answer}"));
            if answer != 0 {
                self.fail("removing a name");
            }
            self.list.remove(&name);
            if let Some(gone) = &mut self.gone {
                gone.insert(name);
            }
        }
    }

    fn open(&mut self, size: usize) {
        let at = path(&self.dir);
        let fd = (self.call)(openat, [CWD, arg(&at), libc::O_DIRECTORY.into(), 0, 0, 0]);
        assert!(fd >= 0, "{fd}");
        self.log.push(format!("open {fd}"));
        self.streams.push(Stream {
            fd,
            now: Told::default(),
            told: vec![Told::default()],
            begun: self.step,
            old: size % 2 == 1,
        });
    }

    fn turn(&mut self) {
        if self.streams.is_empty() || (self.streams.len() < STREAMS && self.dice.one_in(12)) {
            let old = self.dice.below(2);
            return self.open(old);
        }
        let which = self.dice.below(self.streams.len());
        match self.dice.below(16) {
            0 => self.insert(1),
            1 => {
                let many = self.dice.below(40);
                self.insert(many);
            }
            2 | 3 => self.remove(1),
            4 => {
                let many = self.dice.below(60);
                self.remove(many);
            }
            5 => self.seek(which, None),
            6..=8 => {
                let told = self.dice.below(256) % self.streams[which].told.len();
                self.seek(which, Some(told));
            }
            9 => {
                let stream = self.streams.remove(which);
                self.log.push(format!("close {}", stream.fd));
                (self.call)(close, [stream.fd, 0, 0, 0, 0, 0]);
            }
            10 => while self.read(which, 1024) {},
            _ => {
                let size = self
                    .dice
                    .pick(&[0, 1, 23, 24, 32, 40, 64, 100, 280, 1000, 4096, 9000]);
                self.read(which, size);
            }
        }
    }

    /// `None`: rewinddir.
    fn seek(&mut self, which: usize, told: Option<usize>) {
        let step = self.step;
        let stream = &mut self.streams[which];
        let to = match told {
            Some(n) => stream.told[n].clone(),
            None => Told::default(),
        };
        let answer = (self.call)(
            lseek,
            [stream.fd, to.cookie, libc::SEEK_SET.into(), 0, 0, 0],
        );
        self.log
            .push(format!("seek {} to {} = {answer}", stream.fd, to.cookie));
        if to.cookie == 0 {
            stream.begun = step;
            stream.told.clear();
            stream.told.push(Told::default());
        }
        stream.now = to.clone();
        if answer != to.cookie {
            self.fail("seeking");
        }
    }

    /// One reading; false at the end.
    fn read(&mut self, which: usize, size: usize) -> bool {
        let mut buf = vec![0xaau8; size + 64];
        let stream = &self.streams[which];
        let (fd, old) = (stream.fd, stream.old);
        let by = if old { getdents } else { getdents64 };
        let n = (self.call)(by, [fd, buf.as_mut_ptr() as i64, size as i64, 0, 0, 0]);
        self.log.push(format!("read {fd} {size} = {n}"));
        if buf[size..].iter().any(|&b| b != 0xaa) {
            self.fail("written beyond the buffer");
        }
        if n == -i64::from(libc::EINVAL) {
            // not even one fits: the position stays
            if size >= 19 + 256 + 8 {
                self.fail("room enough");
            }
            return false;
        }
        if n < 0 || n as usize > size {
            self.fail("reading");
        }
        for entry in dirents(&buf[..n as usize], old) {
            self.take(which, &entry);
        }
        if n == 0 {
            self.at_end(which);
        }
        n > 0
    }

    /// One entry came.
    fn take(&mut self, which: usize, entry: &crate::tree::Dirent) {
        self.log.push(format!("  {} -> {}", entry.name, entry.next));
        let made = self.list.get(&entry.name).copied();
        let stream = &mut self.streams[which];
        let mut wrong = None;
        match (entry.name.as_str(), made) {
            ("." | "..", _) => {
                if !stream.now.given.insert((entry.name.clone(), 0)) {
                    wrong = Some("a dot came twice");
                }
            }
            (name, _) if self.gone.as_ref().is_some_and(|gone| gone.contains(name)) => {
                if let Some(made) = made {
                    stream.now.given.insert((name.to_string(), made.when));
                }
            }
            (_, None) => wrong = Some("a name that is not there came"),
            (name, Some(made)) => {
                if (made.kind, made.ino) != (entry.kind, entry.ino) {
                    wrong = Some("another type or number");
                }
                if !stream.now.given.insert((name.to_string(), made.when)) {
                    wrong = Some("a name came twice");
                }
            }
        }
        stream.now.cookie = entry.next;
        if stream.told.len() < 200 {
            stream.told.push(stream.now.clone());
        }
        if let Some(wrong) = wrong {
            self.fail(&format!("{wrong}: {}", entry.name));
        }
    }

    /// What was there all the time has come.
    fn at_end(&mut self, which: usize) {
        let stream = &self.streams[which];
        let due = |made: &Made| made.when <= stream.begun;
        for (name, made) in self.list.iter().filter(|(_, made)| due(made)) {
            if !stream.now.given.contains(&(name.clone(), made.when)) {
                self.fail(&format!("{name} did not come"));
            }
        }
        for dot in [".", ".."] {
            if !stream.now.given.contains(&(dot.to_string(), 0)) {
                self.fail("a dot did not come");
            }
        }
    }
}
