//! What `/proc/self/mountinfo` says of dfuse: which mounts of type `fuse.daos` a path can reach,
//! and which mounts of the kernel's lie in them. Later changes are noticed by a descriptor of that
//! file, asked now and then by calls that are ours (poll(2) says whether the table changed): no
//! mount is touched, and a call that is not ours costs nothing more.
use crate::ownfd::OwnFd;
use crate::{call, gate, Errno};
use std::collections::{HashMap, HashSet};

/// A mount that matters to us.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Seen {
    /// Mount point.
    pub(crate) point: Vec<u8>,
    /// Device number.
    pub(crate) dev: u64,
    /// Nothing may be changed through it.
    pub(crate) read_only: bool,
    /// No dfuse: what lies here in a dfuse mount is the kernel's.
    pub(crate) kernel: bool,
}

/// One line.
struct Line<'a> {
    id: u32,
    parent: u32,
    dev: u64,
    /// The directory of the file system that is mounted: "/" but for bind mounts.
    root: &'a [u8],
    point: Vec<u8>,
    read_only: bool,
    dfuse: bool,
}

/// The mounts that matter: dfuse's own, and what is mounted in them. A bind mount of a directory
/// inside a container counts as the kernel's: its root has no name that we could open.
pub(crate) fn seen(mountinfo: &[u8]) -> Vec<Seen> {
    let lines: Vec<Line<'_>> = mountinfo
        .split(|&b| b == b'\n')
        .filter_map(Line::parse)
        .collect();
    let tree = Tree::of(&lines);
    let visible = |line: &&Line<'_>| !tree.hides(line);
    let served = |line: &Line<'_>| line.dfuse && line.root == b"/";
    let dfuse: Vec<&Line<'_>> = lines.iter().filter(|l| served(l)).filter(visible).collect();
    let points: HashSet<&[u8]> = dfuse.iter().map(|l| l.point.as_slice()).collect();
    let inside = |line: &&Line<'_>| {
        let mut outer = prefixes(&line.point).filter(|p| *p != line.point);
        !served(line) && outer.any(|p| points.contains(p))
    };
    let kernel = lines.iter().filter(inside).filter(visible);
    let seen = |line: &Line<'_>, kernel| Seen {
        point: line.point.clone(),
        dev: line.dev,
        read_only: line.read_only,
        kernel,
    };
    let own = dfuse.iter().map(|l| seen(l, false));
    own.chain(kernel.map(|l| seen(l, true))).collect()
}

impl<'a> Line<'a> {
    fn parse(line: &'a [u8]) -> Option<Line<'a>> {
        let fields: Vec<&[u8]> = line.split(|&b| b == b' ').collect();
        let dash = fields.iter().position(|f| *f == b"-")?;
        let option = |f: &[u8]| f.split(|&b| b == b',').any(|o| o == b"ro");
        Some(Line {
            id: number(fields.first()?)?,
            parent: number(fields.get(1)?)?,
            dev: device(fields.get(2)?)?,
            root: fields.get(3)?,
            point: unescape(fields.get(4)?),
            read_only: option(fields.get(5)?) || fields.get(dash + 3).is_some_and(|f| option(f)),
            dfuse: fields.get(dash + 1) == Some(&&b"fuse.daos"[..]),
        })
    }
}

/// The mounts by what they are mounted on, so that a look at each takes no look at all others.
struct Tree<'a> {
    by_id: HashMap<u32, &'a Line<'a>>,
    /// The ids of what is mounted in this mount at this path.
    at: HashMap<(u32, &'a [u8]), Vec<u32>>,
}

impl<'a> Tree<'a> {
    fn of(lines: &'a [Line<'a>]) -> Tree<'a> {
        let mut at: HashMap<_, Vec<u32>> = HashMap::new();
        for line in lines {
            let place = (line.parent, line.point.as_slice());
            at.entry(place).or_default().push(line.id);
        }
        let by_id = lines.iter().map(|line| (line.id, line)).collect();
        Tree { by_id, at }
    }

    /// Whether another mount is in the way of every path to this one: on top of its root, or on a
    /// directory that leads to it (in the same parent mount), or to one of its parents.
    fn hides(&self, mount: &Line<'_>) -> bool {
        let other = |parent: u32, point: &[u8], id: u32| {
            let there = self.at.get(&(parent, point));
            there.is_some_and(|ids| ids.iter().any(|i| *i != id))
        };
        if other(mount.id, &mount.point, mount.id) {
            return true;
        }
        let mut at = mount;
        // As deep as there are lines: the kernel's ids make a tree.
        for _ in 0..self.by_id.len() {
            if prefixes(&at.point).any(|dir| other(at.parent, dir, at.id)) {
                return true;
            }
            match self.by_id.get(&at.parent).filter(|l| l.id != at.id) {
                Some(parent) => at = parent,
                None => return false,
            }
        }
        false
    }
}

/// A path and the directories above it: "/a/b", "/a", "/".
fn prefixes(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut next = Some(path);
    std::iter::from_fn(move || {
        let now = next?;
        next = match now.iter().rposition(|&b| b == b'/') {
            Some(0) if now.len() > 1 => Some(&now[..1]),
            Some(0) | None => None,
            Some(slash) => Some(&now[..slash]),
        };
        Some(now)
    })
}

fn number(field: &[u8]) -> Option<u32> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

fn device(field: &[u8]) -> Option<u64> {
    let colon = field.iter().position(|&b| b == b':')?;
    let (major, minor) = (number(&field[..colon])?, number(&field[colon + 1..])?);
    Some(libc::makedev(major, minor))
}

/// `\040` and the like back to bytes.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut i = 0;
    while i < field.len() {
        let octal = field
            .get(i + 1..i + 4)
            .filter(|d| field[i] == b'\\' && d.iter().all(|b| (b'0'..=b'7').contains(b)));
        match octal {
            Some(d) => {
                out.push(d.iter().fold(0u32, |n, b| n * 8 + u32::from(b - b'0')) as u8);
                i += 4;
            }
            None => {
                out.push(field[i]);
                i += 1;
            }
        }
    }
    out
}

/// The kernel's mount table, watched.
#[derive(Default)]
pub(crate) struct Watch {
    /// The process image that opened it (a copy would share the kernel's note of what was seen),
    /// and the descriptor.
    open: Option<(u32, OwnFd)>,
}

impl Watch {
    /// The text, if it may have changed since the last look: at the first look, after a fork, and
    /// whenever the kernel says so. One poll(2) where it has not.
    pub(crate) fn changed(&mut self) -> Option<Vec<u8>> {
        let image = gate::image();
        match &self.open {
            Some((opened_by, file)) if *opened_by == image => {
                if !has_news(file) {
                    return None;
                }
            }
            _ => self.open = Some((image, open().ok()?)),
        }
        self.open.as_ref().and_then(|(_, file)| read(file).ok())
    }

    /// The name space is another from now on.
    pub(crate) fn forget(&mut self) {
        self.open = None;
    }
}

fn open() -> Result<OwnFd, Errno> {
    OwnFd::open(libc::AT_FDCWD, c"/proc/self/mountinfo", libc::O_RDONLY, 0)
}

fn has_news(file: &OwnFd) -> bool {
    let mut asked = libc::pollfd {
        fd: file.raw(),
        events: libc::POLLPRI,
        revents: 0,
    };
    let no_time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: one pollfd, a time, and no signal mask.
    let n = unsafe { call!(SYS_ppoll, &raw mut asked, 1, &raw const no_time, 0, 0) };
    n.is_ok_and(|n| n > 0)
}

fn read(file: &OwnFd) -> Result<Vec<u8>, Errno> {
    let mut text = vec![0u8; 16 << 10];
    loop {
        let n = file.read_at(&mut text, 0)?;
        if n < text.len() {
            text.truncate(n);
            return Ok(text);
        }
        text.resize(n * 2, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(text: &str) -> Vec<(String, bool)> {
        let shown = |s: Seen| (String::from_utf8(s.point).unwrap(), s.kernel);
        seen(text.as_bytes()).into_iter().map(shown).collect()
    }

    fn own(points: &[&str]) -> Vec<(String, bool)> {
        points.iter().map(|p| (p.to_string(), false)).collect()
    }

    const ROOT: &str = "1 0 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n";

    #[test]
    fn lines_of_dfuse_are_found_with_their_device() {
        let text = format!(
            "{ROOT}40 1 0:55 / /mnt/my\\040dfs rw,nosuid - fuse.daos dfuse rw,user_id=0\n\
             41 1 0:56 / /fixed ro,nosuid - fuse.daos dfuse rw,user_id=0\n\
             42 1 0:57 / /fixed2 rw - fuse.daos dfuse ro,user_id=0\n\
             43 1 0:58 / /other rw - fuse.sshfs host rw\n"
        );
        let all = seen(text.as_bytes());
        assert_eq!(points(&text), own(&["/mnt/my dfs", "/fixed", "/fixed2"]));
        assert_eq!(all[0].dev, libc::makedev(0, 55));
        let ro: Vec<bool> = all.iter().map(|s| s.read_only).collect();
        assert_eq!(ro, [false, true, true]);
    }

    #[test]
    fn what_is_covered_is_not_there() {
        let dfuse = "40 1 0:55 / /a/b rw - fuse.daos dfuse rw\n";
        let on_top = "41 40 0:56 / /a/b rw - tmpfs tmpfs rw\n";
        let above = "41 1 0:56 / /a rw - tmpfs tmpfs rw\n";
        let beside = "41 1 0:56 / /a/bc rw - tmpfs tmpfs rw\n";
        let root = "41 1 0:56 / / rw - tmpfs tmpfs rw\n";
        let again = "42 41 0:57 / /a/b rw - fuse.daos dfuse rw\n";
        let text = |parts: &[&str]| format!("{ROOT}{}", parts.concat());
        assert_eq!(points(&text(&[dfuse])), own(&["/a/b"]));
        assert_eq!(points(&text(&[dfuse, on_top])), []);
        assert_eq!(points(&text(&[dfuse, above])), []);
        assert_eq!(points(&text(&[dfuse, root])), []);
        assert_eq!(points(&text(&[dfuse, beside])), own(&["/a/b"]));
        // mounted on a mount that was there before, or in what covers the first one
        let parent =
            "41 1 0:56 / /a rw - tmpfs tmpfs rw\n42 41 0:57 / /a/b rw - fuse.daos dfuse rw\n";
        assert_eq!(points(&text(&[parent])), own(&["/a/b"]));
        let both = seen(text(&[dfuse, above, again]).as_bytes());
        assert_eq!(both.len(), 1);
        assert_eq!(both[0].dev, libc::makedev(0, 57));
    }

    #[test]
    fn mounts_inside_are_told_apart() {
        let text = format!(
            "{ROOT}40 1 0:55 / /dfs rw - fuse.daos dfuse rw\n\
             41 40 0:56 / /dfs/in rw - fuse.daos dfuse rw\n\
             42 40 0:57 / /dfs/tmp rw - tmpfs tmpfs rw\n\
             43 1 0:55 /sub /bound rw - fuse.daos dfuse rw\n\
             44 41 0:55 /sub /dfs/in/bound rw - fuse.daos dfuse rw\n\
             45 1 0:55 / /whole rw - fuse.daos dfuse rw\n"
        );
        let mut wanted = own(&["/dfs", "/dfs/in", "/whole"]);
        wanted.extend([("/dfs/tmp".into(), true), ("/dfs/in/bound".into(), true)]);
        assert_eq!(points(&text), wanted);
    }
}
