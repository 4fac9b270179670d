//! Listings of the kernel's directories that name descriptors, as `/proc/self/fd`: numbers that must
//! look closed to the application are left out; all else is the kernel's, byte for byte.
use crate::dirstream::Layout;
use crate::fd::hidden;
use crate::kernel::syscall;
use crate::mount::{components, fd_path};
use crate::{magic, Op};
use std::ops::Range;

/// `getdents64(fd, buf, size)` or its older form, of a descriptor marked [`crate::filter::NAMES`].
/// The kernel's answer and errors; one readlink more where something is left out.
#[cold]
pub fn descriptors(a: [i64; 6], layout: Layout) -> Op<i64> {
    let (nr, name_at) = match layout {
        Layout::Dirent64 => (libc::SYS_getdents64, 19),
        Layout::Dirent => (libc::SYS_getdents, 18),
    };
    loop {
        // SAFETY: the application's own arguments; the kernel checks its buffer.
        let n = unsafe { syscall(nr, a) }?;
        if n <= 0 {
            return Ok(n);
        }
        // SAFETY: the kernel has just written these bytes.
        let entries = unsafe { std::slice::from_raw_parts_mut(a[1] as *mut u8, n as usize) };
        if !each(entries, name_at).any(|(_, name)| is_hidden(name)) || !is_of_descriptors(a[0]) {
            return Ok(n);
        }
        match leave_out(entries, name_at, is_hidden) {
            // an empty answer would be the end of the directory
            0 => continue,
            left => return Ok(left as i64),
        }
    }
}

fn is_hidden(name: &[u8]) -> bool {
    magic::number(name).is_some_and(hidden::is_hidden)
}

/// The mark may be stale: the path knows.
fn is_of_descriptors(fd: i64) -> bool {
    let named = |path: &[u8]| {
        let last = components(path).last();
        last.is_some_and(|(start, end)| &path[start..end] == b"fd") && magic::holds_names(path)
    };
    fd_path(fd as i32).is_some_and(|path| named(&path))
}

/// The records: where each lies, and its name.
fn each(entries: &[u8], name_at: usize) -> impl Iterator<Item = (Range<usize>, &[u8])> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let record = entries.get(from..).filter(|r| r.len() > name_at)?;
        let len = usize::from(u16::from_ne_bytes([record[16], record[17]]));
        let name = record.get(name_at..len)?.split(|b| *b == 0).next()?;
        from += len;
        Some((from - len..from, name))
    })
}

/// Closes the gaps that the records of such names leave; answers how many bytes remain.
fn leave_out(entries: &mut [u8], name_at: usize, such: impl Fn(&[u8]) -> bool) -> usize {
    let stays = |(place, name): (Range<usize>, &[u8])| (!such(name)).then_some(place);
    let stay: Vec<_> = each(entries, name_at).filter_map(stays).collect();
    stay.into_iter().fold(0, |to, place| {
        let len = place.len();
        entries.copy_within(place, to);
        to + len
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str) -> Vec<u8> {
        let mut bytes = vec![7u8; 16];
        bytes.extend_from_slice(&24u16.to_ne_bytes());
        bytes.push(libc::DT_LNK);
        bytes.extend_from_slice(name.as_bytes());
        bytes.resize(24, 0);
        bytes
    }

    #[test]
    fn only_hidden_numbers_go() {
        let all = [".", "..", "0", "512", "7", "513"].map(record).concat();
        let want = [".", "..", "0", "7"].map(record).concat();
        let mut entries = all.clone();
        let left = leave_out(&mut entries, 19, |n| n.starts_with(b"51"));
        assert_eq!(entries[..left], want);
        let mut entries = all.clone();
        assert_eq!(leave_out(&mut entries, 19, |_| false), all.len());
        assert_eq!(entries, all);
    }
}
