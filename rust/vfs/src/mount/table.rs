//! The table of mounts (Linux: the mount tree): made at start from the environment's mounts and the kernel's
//! table, brought up to date by calls below a mount, and asked by every path that may be ours.
use super::index::Index;
use super::kernel_names::real_path;
use super::{system, Mount, MountConfig};
use crate::dcache::now_ms;
use crate::discover::{self, Seen, Watch};
use crate::filter::{self, Prefix};
use crate::gate::Guarded;
use crate::inherit;
use std::collections::{HashMap, HashSet};
use std::ffi::CString;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// How often the kernel's table is looked at again, at most.
const LOOK_MS: u64 = 1_000;

/// The mounts of the process. The list is replaced as a whole and only grows: a mount that is gone
/// stays in it, marked.
pub struct MountTable {
    list: AtomicPtr<List>,
    /// `None`: the kernel's table was none of our business at the start, and stays so.
    watch: Option<Guarded<Watch>>,
    looked: AtomicU64,
    /// Whoever makes the list longer.
    adding: Guarded<()>,
}

/// One state of the table.
#[derive(Default)]
struct List {
    /// Every mount there ever was.
    all: Vec<&'static Mount>,
    /// Those that are there.
    index: Index,
}

impl MountTable {
    /// Makes the table and publishes its prefixes to the entry layer's filter. Of explicit mounts
    /// at one point the last counts.
    pub fn from_config(config: &MountConfig<'_>) -> MountTable {
        system(); // before the program changes its environment
        let mut mounts: Vec<Mount> = Vec::new();
        let mut at: HashMap<CString, usize> = HashMap::new();
        for m in &config.explicit {
            let Some(point) = clean(m.point.as_bytes()) else {
                continue;
            };
            let mount = Mount::explicit(point.clone(), m);
            match at.get(&point) {
                Some(&i) => mounts[i] = mount,
                None => {
                    at.insert(point, mounts.len());
                    mounts.push(mount);
                }
            }
        }
        for seen in discover::seen(config.mountinfo) {
            let Some(point) = clean(&seen.point) else {
                continue;
            };
            match at.get(&point).map(|&i| &mut mounts[i]) {
                Some(m) if config.left_to_dfuse => m.kernel = true,
                Some(m) if seen.kernel => m.kernel |= !m.is_explicit(),
                Some(m) => {
                    (m.dev, m.served_by_dfuse) = (seen.dev, true);
                    m.read_only |= seen.read_only;
                }
                None => {
                    at.insert(point.clone(), mounts.len());
                    let mut mount = Mount::seen(&seen, point);
                    mount.kernel |= config.left_to_dfuse;
                    mounts.push(mount);
                }
            }
        }
        for (i, m) in mounts.iter_mut().enumerate() {
            if m.dev == 0 {
                m.dev = device(i);
            }
        }
        let table = MountTable {
            list: AtomicPtr::new(Box::into_raw(Box::default())),
            watch: (!config.mountinfo.is_empty() && !config.left_to_dfuse).then(Guarded::default),
            looked: AtomicU64::new(now_ms()),
            adding: Guarded::default(),
        };
        table.add(Vec::leak(mounts).iter().collect());
        table
    }

    fn list(&self) -> &'static List {
        // SAFETY: a leaked box, never changed once it is here.
        unsafe { &*self.list.load(Ordering::Acquire) }
    }

    /// Puts a longer list in the list's place, or the same list where mounts are gone.
    pub(super) fn add(&self, new: Vec<&'static Mount>) {
        let _alone = self.adding.lock();
        let all: Vec<&'static Mount> = self.iter().chain(new).collect();
        let index = Index::new(&all);
        for (mount, covered) in index.covered() {
            mount.covered.store(covered, Ordering::Relaxed);
        }
        publish(&index);
        let list = Box::leak(Box::new(List { all, index }));
        self.list.store(list, Ordering::Release);
    }

    /// Looks whether dfuse mounts came or went, at most once in [`LOOK_MS`]: for calls that are
    /// ours, before they find their mount. `now` is [`now_ms`]'s.
    #[inline]
    pub(crate) fn look_again(&self, now: u64) {
        if now.wrapping_sub(self.looked.load(Ordering::Relaxed)) >= LOOK_MS {
            self.look(now);
        }
    }

    #[cold]
    fn look(&self, now: u64) {
        self.looked.store(now, Ordering::Relaxed);
        let Some(watch) = &self.watch else { return };
        let Some(mut watch) = watch.try_lock() else {
            return;
        };
        if inherit::in_shared_child() {
            return;
        }
        if let Some(text) = watch.changed() {
            self.update(&discover::seen(&text));
        }
    }

    /// The kernel's table may have changed: it is looked at before the next path.
    pub(crate) fn look_soon(&self) {
        self.looked.store(0, Ordering::Relaxed);
    }

    /// The name space is another from now on: everything is looked at anew.
    pub(crate) fn other_name_space(&self) {
        if let Some(watch) = &self.watch {
            watch.lock().forget();
            self.looked.store(0, Ordering::Relaxed);
        }
    }

    /// Marks what is not there any more and adds what is new.
    fn update(&self, seen: &[Seen]) {
        type Key<'a> = (u64, bool, &'a [u8]);
        let of_mount = |m: &'static Mount| -> Key<'_> { (m.dev, m.kernel, m.point.as_bytes()) };
        let shown: HashSet<Key<'_>> = seen
            .iter()
            .map(|s| (s.dev, s.kernel, s.point.as_slice()))
            .collect();
        let mut known = HashSet::new();
        let mut explicit = HashSet::new();
        for m in self.iter().filter(|m| !m.is_gone()) {
            if m.is_explicit() {
                explicit.insert(m.point.as_bytes());
            } else if !shown.contains(&of_mount(m)) {
                m.gone.store(true, Ordering::Relaxed);
                m.given_up.store(true, Ordering::Relaxed);
            }
            if !m.is_gone() {
                known.insert(of_mount(m));
            }
        }
        let new = seen.iter().filter(|s| {
            let point = s.point.as_slice();
            !known.contains(&(s.dev, s.kernel, point)) && !explicit.contains(point)
        });
        let new = new.filter_map(|s| Some(Mount::seen(s, clean(&s.point)?)));
        self.add(Vec::leak(new.collect()).iter().collect());
    }

    /// All mounts.
    pub fn iter(&self) -> impl Iterator<Item = &'static Mount> {
        self.list().all.iter().copied()
    }

    /// True if any mount is ours.
    pub fn serves(&self) -> bool {
        self.iter().any(Mount::serves)
    }

    /// True without any mount.
    pub fn is_empty(&self) -> bool {
        self.list().all.is_empty()
    }

    /// Paths do not mean what they meant (chroot(2), setns(2)): nothing new is ours. What is open
    /// stays.
    pub fn switch_off(&self) {
        log::warn!(
            "the root or a name space was changed: paths below mounts are left to the kernel"
        );
        for mount in self.iter() {
            mount.given_up.store(true, Ordering::Relaxed);
        }
    }

    /// The mount around a mount point; itself if none is.
    pub(crate) fn around(&self, mount: &'static Mount) -> &'static Mount {
        let point = mount.point.as_bytes();
        let above = point.iter().rposition(|&b| b == b'/').unwrap_or(0);
        self.locate(&point[..above])
            .map_or(mount, |(outer, _)| outer)
    }

    /// A device number that no mount by name has yet.
    pub(super) fn next_dev(&self) -> u64 {
        device(self.list().all.len())
    }

    /// The mount whose point is exactly this path.
    pub fn at(&self, point: &[u8]) -> Option<&'static Mount> {
        self.list().index.at(point).filter(|m| m.serves())
    }

    /// True if the kernel's part of the tree begins at exactly this path, in the middle of ours.
    pub(crate) fn is_kernels(&self, point: &[u8]) -> bool {
        self.list().index.at(point).is_some_and(|m| !m.serves())
    }

    /// The mount an absolute path leads into by its text, and where the rest of the path begins.
    /// `..` before the mount point is verified with the kernel.
    pub fn locate(&self, path: &[u8]) -> Option<(&'static Mount, usize)> {
        match self.list().index.around(path) {
            Some((mount, rest)) => mount.serves().then_some((mount, rest)),
            None => self.locate_around(path),
        }
    }

    /// [`MountTable::locate`] for paths with `..` in front of the mount point.
    fn locate_around(&self, path: &[u8]) -> Option<(&'static Mount, usize)> {
        if path.first() != Some(&b'/') || !path.windows(3).any(|w| w == b"/..") {
            return None;
        }
        let (mut clean, mut turn) = (Vec::with_capacity(path.len()), None);
        let mut hit: Option<(&'static Mount, usize)> = None;
        for (start, end) in components(path) {
            match &path[start..end] {
                b"." => {}
                // from here on it is the mount's to walk
                b".." if hit.is_some() => break,
                b".." => {
                    let up = clean.iter().rposition(|&b| b == b'/').unwrap_or(0);
                    clean.truncate(up);
                    turn = Some((end, clean.len()));
                    hit = None;
                }
                name => {
                    clean.push(b'/');
                    clean.extend_from_slice(name);
                    if let Some(m) = self.at(&clean) {
                        hit = Some((m, end));
                        if !m.is_covered() {
                            break;
                        }
                    }
                }
            }
        }
        let (mount, rest) = hit?;
        let (turn_end, clean_len) = turn?;
        let real = real_path(&path[..turn_end])?;
        let expected: &[u8] = if clean_len == 0 {
            b"/"
        } else {
            &clean[..clean_len]
        };
        (real == expected).then_some((mount, rest))
    }

    /// True if a mount point has this name in its directory, wherever that is.
    pub fn has_name(&self, name: &[u8]) -> bool {
        self.iter().any(|m| {
            let point = m.point.as_bytes().strip_suffix(name);
            point.is_some_and(|above| above.last() == Some(&b'/'))
        })
    }

    /// True if a mount lies below the directory `path` (absolute, clean): a relative path from
    /// there may lead into it.
    pub fn below(&self, path: &[u8]) -> bool {
        self.list().index.inside(path).any(Mount::serves)
    }
}

/// `st_dev` of a mount that no dfuse serves, by its place in the list.
fn device(index: usize) -> u64 {
    libc::makedev(0, 0xDA05 + index as u32)
}

/// The (start, end) of each component.
pub(crate) fn components(path: &[u8]) -> impl Iterator<Item = (usize, usize)> + '_ {
    let mut pos = 0;
    std::iter::from_fn(move || {
        while path.get(pos) == Some(&b'/') {
            pos += 1;
        }
        let start = pos;
        while pos < path.len() && path[pos] != b'/' {
            pos += 1;
        }
        (start < pos).then_some((start, pos))
    })
}

/// Is `path` a proper descendant of `dir`? Both clean and absolute.
pub(super) fn below(path: &[u8], dir: &[u8]) -> bool {
    if dir == b"/" {
        return path.len() > 1;
    }
    path.strip_prefix(dir)
        .is_some_and(|rest| rest.first() == Some(&b'/'))
}

/// An absolute path without doubled, single-dot or trailing parts; `None` for "/" and what has
/// "..": no mount can be there.
pub(super) fn clean(path: &[u8]) -> Option<CString> {
    if path.first() != Some(&b'/') {
        return None;
    }
    let mut out = Vec::with_capacity(path.len());
    for (start, end) in components(path) {
        match &path[start..end] {
            b"." => {}
            b".." => return None,
            name => {
                out.push(b'/');
                out.extend_from_slice(name);
            }
        }
    }
    (!out.is_empty()).then(|| CString::new(out).ok()).flatten()
}

/// Tells the filter; prefixes live for ever.
fn publish(index: &Index) {
    let prefix = |m: &'static Mount| Prefix {
        path: m.point.as_ptr().cast(),
        len: m.point.as_bytes().len() as u32,
    };
    let points: Vec<Prefix> = index.outermost().map(prefix).collect();
    filter::publish(&points);
}

#[cfg(test)]
mod tests {
    use super::super::ExplicitMount;
    use super::*;
    use std::ffi::CStr;

    fn table(points: &[&CStr]) -> MountTable {
        let explicit = points
            .iter()
            .map(|p| ExplicitMount::named(p, c"p", c"c"))
            .collect();
        MountTable::from_config(&MountConfig {
            explicit,
            ..MountConfig::default()
        })
    }

    fn located(t: &MountTable, path: &str) -> Option<(String, String)> {
        let (m, rest) = t.locate(path.as_bytes())?;
        Some((m.point.to_str().unwrap().into(), path[rest..].into()))
    }

    #[test]
    fn the_longest_prefix_on_a_component_boundary_wins() {
        let t = table(&[c"/dfs", c"/dfs/in/ner", c"/a b"]);
        let hit = |p: &str, r: &str| Some((p.to_string(), r.to_string()));
        assert_eq!(located(&t, "/dfs"), hit("/dfs", ""));
        assert_eq!(located(&t, "/dfs/x"), hit("/dfs", "/x"));
        assert_eq!(located(&t, "//dfs/./x/"), hit("/dfs", "/./x/"));
        assert_eq!(located(&t, "/./dfs//x"), hit("/dfs", "//x"));
        assert_eq!(located(&t, "/dfsx"), None);
        assert_eq!(located(&t, "/df"), None);
        assert_eq!(located(&t, "/dfs/in/ner/f"), hit("/dfs/in/ner", "/f"));
        assert_eq!(located(&t, "/dfs/in//ner"), hit("/dfs/in/ner", ""));
        assert_eq!(located(&t, "/a b/c"), hit("/a b", "/c"));
        assert_eq!(located(&t, "dfs/x"), None);
        assert_eq!(located(&t, "/"), None);
        assert_eq!(located(&t, "/.dfs"), None);
    }

    #[test]
    fn dots_before_the_mount_point_are_asked_of_the_kernel() {
        let t = table(&[c"/dfs"]);
        let hit = |p: &str, r: &str| Some((p.to_string(), r.to_string()));
        assert_eq!(located(&t, "/tmp/../dfs/x"), hit("/dfs", "/x"));
        assert_eq!(located(&t, "/../dfs/x"), hit("/dfs", "/x"));
        assert_eq!(located(&t, "/no-such-dir/../dfs/x"), None);
        // in the mount and out of it again: the walk's own business
        assert_eq!(located(&t, "/dfs/../etc"), hit("/dfs", "/../etc"));
        assert_eq!(located(&t, "/etc/../x"), None);
        // nor is it the text's which mount a ".." below another leads to
        let t = table(&[c"/dfs", c"/dfs/in/n"]);
        assert_eq!(located(&t, "/tmp/../dfs/in/../x"), hit("/dfs", "/in/../x"));
        assert_eq!(
            located(&t, "/tmp/../dfs/in/n/../x"),
            hit("/dfs/in/n", "/../x")
        );
    }

    #[test]
    fn of_a_thousand_mounts_the_innermost_is_found() {
        // Nested at random, compared with a look at each.
        let mut state = 1u64;
        let mut random = |n: usize| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 33) as usize % n
        };
        let names = ["a", "ab", "b", "a!", "c d", "\u{e4}"];
        let mut path = |depth: usize| -> String {
            let depth = 1 + random(depth);
            (0..depth)
                .map(|_| format!("/{}", names[random(names.len())]))
                .collect()
        };
        let points: Vec<CString> = (0..1000).map(|_| CString::new(path(6)).unwrap()).collect();
        let points: Vec<&CStr> = points.iter().map(CString::as_c_str).collect();
        let t = table(&points);
        for _ in 0..20_000 {
            let asked = path(8);
            let inside = |m: &&'static Mount| {
                let point = m.point.as_bytes();
                point == asked.as_bytes() || below(asked.as_bytes(), point)
            };
            let best = t
                .iter()
                .filter(inside)
                .max_by_key(|m| m.point.as_bytes().len());
            let found = t.locate(asked.as_bytes());
            assert_eq!(
                found.map(|(m, _)| &m.point),
                best.map(|m| &m.point),
                "{asked}"
            );
            if let Some((m, rest)) = found {
                assert_eq!(rest, m.point.as_bytes().len());
            }
            assert_eq!(
                t.below(asked.as_bytes()),
                t.iter()
                    .any(|m| below(m.point.as_bytes(), asked.as_bytes())),
                "{asked}"
            );
            let exact = t.iter().any(|m| m.point.as_bytes() == asked.as_bytes());
            assert_eq!(t.at(asked.as_bytes()).is_some(), exact, "{asked}");
        }
        let covered = t.iter().filter(|m| m.is_covered()).count();
        let wanted = t.iter().filter(|m| {
            t.iter()
                .any(|n| below(n.point.as_bytes(), m.point.as_bytes()))
        });
        assert_eq!(covered, wanted.count());
    }

    #[test]
    fn what_dfuse_serves_can_be_left_to_it() {
        let text = b"40 1 0:55 / /one rw - fuse.daos dfuse rw\n41 1 0:56 / /dfs/in rw - fuse.daos dfuse rw\n";
        let made = |points: &[&CStr]| {
            let explicit = points.iter().map(|p| ExplicitMount::named(p, c"p", c"c"));
            MountTable::from_config(&MountConfig {
                explicit: explicit.collect(),
                mountinfo: text,
                left_to_dfuse: true,
            })
        };
        assert!(!made(&[]).serves() && !made(&[c"/one"]).serves());
        let t = made(&[c"/one", c"/dfs"]);
        assert!(t.serves() && t.locate(b"/one/x").is_none() && t.locate(b"/dfs/in/x").is_none());
        assert_eq!(located(&t, "/dfs/x"), Some(("/dfs".into(), "/x".into())));
        assert!(t.is_kernels(b"/dfs/in") && t.at(b"/dfs").unwrap().is_covered());
    }

    #[test]
    fn dfuse_mounts_come_and_go() {
        let line = |id: u32, parent: u32, dev: u32, point: &str, kind: &str| {
            format!("{id} {parent} 0:{dev} / {point} rw - {kind} x rw\n")
        };
        let text = [line(40, 1, 55, "/one", "fuse.daos")].concat();
        let t = MountTable::from_config(&MountConfig {
            mountinfo: text.as_bytes(),
            ..MountConfig::default()
        });
        let hit = |p: &str, r: &str| Some((p.to_string(), r.to_string()));
        let m = t.at(b"/one").unwrap();
        assert!(m.served_by_dfuse);
        assert_eq!(m.dev, libc::makedev(0, 55));
        let now = [
            line(40, 1, 55, "/one", "fuse.daos"),
            line(41, 1, 56, "/two", "fuse.daos"),
            line(42, 40, 57, "/one/tmp", "tmpfs"),
        ];
        t.update(&discover::seen(now.concat().as_bytes()));
        assert_eq!(located(&t, "/two/x"), hit("/two", "/x"));
        assert_eq!(located(&t, "/one/tmpx"), hit("/one", "/tmpx"));
        assert_eq!(located(&t, "/one/tmp/x"), None);
        assert!(t.is_kernels(b"/one/tmp") && m.is_covered());
        let later = [line(43, 1, 58, "/one", "fuse.daos")];
        t.update(&discover::seen(later.concat().as_bytes()));
        assert_eq!(located(&t, "/two/x"), None);
        assert_eq!(t.locate(b"/one/tmp").unwrap().0.dev, libc::makedev(0, 58));
        assert!(!t.is_kernels(b"/one/tmp"));
        assert_eq!(t.iter().count(), 4);
    }
}
