//! The mount points in order: which mount an absolute path leads into by its text, in as many
//! comparisons as the number of mounts has binary digits (Linux: `lookup_mnt` along a path).
//! Paths are compared component by component, the end of a path first, then `/`, then the other
//! bytes: what lies below a mount point then follows it, and the mounts around a path are the last
//! one that does not come behind it and the mounts that one lies in.
use super::table::{below, components};
use super::Mount;
use std::cmp::Ordering;

/// Where a path is, seen from a mount point.
enum Place {
    Before,
    Behind,
    /// At it or below; the rest of the path begins here.
    Within(usize),
}

/// The mounts that are there, by mount point.
#[derive(Default)]
pub(super) struct Index {
    sorted: Vec<&'static Mount>,
    /// Of each the nearest mount it lies in.
    outer: Vec<Option<usize>>,
}

impl Index {
    /// Of the mounts that are not gone; of two at one point the later one.
    pub(super) fn new(mounts: &[&'static Mount]) -> Index {
        let there = mounts.iter().rev().filter(|m| !m.is_gone());
        let mut sorted: Vec<&'static Mount> = there.copied().collect();
        sorted.sort_by(|a, b| order(a.point.as_bytes(), b.point.as_bytes()));
        sorted.dedup_by(|later, first| later.point == first.point);
        let mut outer: Vec<Option<usize>> = Vec::with_capacity(sorted.len());
        for (i, mount) in sorted.iter().enumerate() {
            let mut around = i.checked_sub(1);
            while let Some(o) = around {
                if below(mount.point.as_bytes(), sorted[o].point.as_bytes()) {
                    break;
                }
                around = outer[o];
            }
            outer.push(around);
        }
        Index { sorted, outer }
    }

    /// In order; a mount comes before those below it.
    pub(super) fn iter(&self) -> impl Iterator<Item = &'static Mount> + '_ {
        self.sorted.iter().copied()
    }

    /// The mounts that lie in no other one.
    pub(super) fn outermost(&self) -> impl Iterator<Item = &'static Mount> + '_ {
        let all = self.iter().zip(&self.outer);
        all.filter(|(_, outer)| outer.is_none()).map(|(m, _)| m)
    }

    /// Whether each has another mount below it.
    pub(super) fn covered(&self) -> impl Iterator<Item = (&'static Mount, bool)> + '_ {
        self.iter().enumerate().map(|(i, mount)| {
            let next = self.sorted.get(i + 1);
            let inner = |n: &&'static Mount| below(n.point.as_bytes(), mount.point.as_bytes());
            (mount, next.is_some_and(inner))
        })
    }

    /// The innermost mount an absolute path (as a program writes it) leads into, and where the rest
    /// of the path begins.
    pub(super) fn around(&self, path: &[u8]) -> Option<(&'static Mount, usize)> {
        let (mut low, mut high) = (0, self.sorted.len());
        let mut last = None;
        while low < high {
            let middle = low + (high - low) / 2;
            match place(path, self.sorted[middle].point.as_bytes()) {
                Place::Before => high = middle,
                Place::Behind => (low, last) = (middle + 1, Some((middle, None))),
                Place::Within(rest) => (low, last) = (middle + 1, Some((middle, Some(rest)))),
            }
        }
        let (mut at, mut within) = last?;
        loop {
            if let Some(rest) = within {
                return Some((self.sorted[at], rest));
            }
            at = self.outer[at]?;
            within = match place(path, self.sorted[at].point.as_bytes()) {
                Place::Within(rest) => Some(rest),
                _ => None,
            };
        }
    }

    /// The mount whose point is exactly this path (absolute, clean).
    pub(super) fn at(&self, point: &[u8]) -> Option<&'static Mount> {
        let (mount, rest) = self.around(point)?;
        (rest == point.len()).then_some(mount)
    }

    /// The mounts below a directory (absolute, clean), outer ones first.
    pub(super) fn inside<'a>(&'a self, dir: &'a [u8]) -> impl Iterator<Item = &'static Mount> + 'a {
        let first = self.sorted.partition_point(|m| {
            dir != b"/" && order(m.point.as_bytes(), dir) != Ordering::Greater
        });
        let inside = |m: &&'static Mount| below(m.point.as_bytes(), dir);
        self.sorted[first..].iter().copied().take_while(inside)
    }
}

/// The order of two clean absolute paths.
fn order(a: &[u8], b: &[u8]) -> Ordering {
    let rank = |path: &[u8], at: usize| match path.get(at) {
        None => 0,
        Some(b'/') => 1,
        Some(byte) => 2 + u16::from(*byte),
    };
    let at = common(a, b);
    rank(a, at).cmp(&rank(b, at))
}

/// How many bytes two paths have in common.
#[inline]
fn common(a: &[u8], b: &[u8]) -> usize {
    let mut at = 0;
    for (x, y) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        let word = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
        match word(x) ^ word(y) {
            0 => at += 8,
            other => return at + other.trailing_zeros() as usize / 8,
        }
    }
    let rest = a[at..].iter().zip(&b[at..]);
    at + rest.take_while(|(x, y)| x == y).count()
}

/// Where a path - with "//" and "/./" perhaps, and ".." as a name like others - is.
#[inline]
fn place(path: &[u8], point: &[u8]) -> Place {
    let at = common(path, point);
    let (Some(&wanted), Some(&there)) = (point.get(at), path.get(at)) else {
        return match (point.get(at), path.get(at)) {
            (None, None | Some(b'/')) => Place::Within(at),
            (None, _) => Place::Behind,
            (_, _) => Place::Before,
        };
    };
    // up to here the path is as clean as the point; it goes on as ...
    match &path[at.saturating_sub(2)..at] {
        [.., b'/'] if matches!(there, b'/' | b'.') => place_by_component(path, point),
        [b'/', b'.'] if there == b'/' => place_by_component(path, point),
        _ if there == b'/' => Place::Before,
        _ if wanted == b'/' || there > wanted => Place::Behind,
        _ => Place::Before,
    }
}

/// [`place`] of a path that is not clean.
#[cold]
fn place_by_component(path: &[u8], point: &[u8]) -> Place {
    let mut at = 0;
    for (start, end) in components(point) {
        if path.get(at) != Some(&b'/') {
            return Place::Before; // it ends above, or is no absolute one
        }
        loop {
            while path.get(at) == Some(&b'/') {
                at += 1;
            }
            if path.get(at) == Some(&b'.') && matches!(path.get(at + 1), None | Some(b'/')) {
                at += 1;
            } else {
                break;
            }
        }
        for wanted in &point[start..end] {
            match path.get(at) {
                None | Some(b'/') => return Place::Before,
                Some(byte) if byte < wanted => return Place::Before,
                Some(byte) if byte > wanted => return Place::Behind,
                Some(_) => at += 1,
            }
        }
        if !matches!(path.get(at), None | Some(b'/')) {
            return Place::Behind;
        }
    }
    Place::Within(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_an_order_in_which_children_follow() {
        let sorted = ["/a", "/a/b", "/a/b/c", "/a/c", "/a b", "/a!", "/ab", "/b"];
        for pair in sorted.windows(2) {
            let (a, b) = (pair[0].as_bytes(), pair[1].as_bytes());
            assert_eq!(order(a, b), Ordering::Less, "{pair:?}");
            assert!(
                !matches!(place(a, b), Place::Within(_) | Place::Behind),
                "{pair:?}"
            );
            assert!(!matches!(place(b, a), Place::Before), "{pair:?}");
        }
    }

    #[test]
    fn the_short_way_says_what_the_long_one_says() {
        let mut state = 1u64;
        let mut random = |n: usize| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 33) as usize % n
        };
        let shown = |p: Place| match p {
            Place::Before => -1,
            Place::Behind => -2,
            Place::Within(rest) => rest as i64,
        };
        let names = ["a", "b", ".a", "ab", "..", "a.b"];
        let between = ["/", "/", "/", "//", "/./", "/.//"];
        for _ in 0..200_000 {
            let point: String = (0..1 + random(4))
                .map(|_| format!("/{}", names[random(4)]))
                .collect();
            let mut path = String::new();
            for _ in 0..random(5) {
                path += between[random(6)];
                path += names[random(6)];
            }
            path += ["", "", "/", "/.", "x"][random(5)];
            let (path, point) = (path.as_bytes(), point.as_bytes());
            if path.first() != Some(&b'/') {
                continue;
            }
            assert_eq!(
                shown(place(path, point)),
                shown(place_by_component(path, point)),
                "{} {}",
                String::from_utf8_lossy(path),
                String::from_utf8_lossy(point)
            );
        }
    }
}
