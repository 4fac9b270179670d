//! Attributes and errors as the FUSE protocol has them.
use dfs::{Kind, SetTime};
use fuser::{FileAttr, FileType, INodeNo, TimeOrNow};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// An errno for the kernel.
pub fn no(errno: dfs::Errno) -> fuser::Errno {
    fuser::Errno::from_i32(errno.0)
}

/// A kind for the kernel.
pub fn file_type(kind: Kind) -> FileType {
    match kind {
        Kind::File => FileType::RegularFile,
        Kind::Directory => FileType::Directory,
        Kind::Symlink => FileType::Symlink,
    }
}

/// Attributes for the kernel.
pub fn file_attr(stat: &libc::stat) -> FileAttr {
    FileAttr {
        ino: INodeNo(stat.st_ino),
        size: stat.st_size as u64,
        blocks: stat.st_blocks as u64,
        atime: time(stat.st_atime, stat.st_atime_nsec),
        mtime: time(stat.st_mtime, stat.st_mtime_nsec),
        ctime: time(stat.st_ctime, stat.st_ctime_nsec),
        crtime: UNIX_EPOCH,
        kind: file_type(Kind::from_mode(stat.st_mode).unwrap_or(Kind::File)),
        perm: (stat.st_mode & 0o7777) as u16,
        nlink: stat.st_nlink as u32,
        uid: stat.st_uid,
        gid: stat.st_gid,
        rdev: 0,
        blksize: u32::try_from(stat.st_blksize).unwrap_or(4096),
        flags: 0,
    }
}

fn time(sec: i64, nsec: i64) -> SystemTime {
    let nanos = Duration::from_nanos(nsec.clamp(0, 999_999_999) as u64);
    let whole = Duration::from_secs(sec.unsigned_abs());
    let at = match sec {
        0.. => UNIX_EPOCH.checked_add(whole),
        _ => UNIX_EPOCH.checked_sub(whole),
    };
    at.and_then(|t| t.checked_add(nanos)).unwrap_or(UNIX_EPOCH)
}

/// A time from the kernel.
pub fn set_time(time: TimeOrNow) -> SetTime {
    match time {
        TimeOrNow::Now => SetTime::Now,
        TimeOrNow::SpecificTime(at) => match at.duration_since(UNIX_EPOCH) {
            Ok(after) => SetTime::At(after.as_secs() as i64, i64::from(after.subsec_nanos())),
            Err(e) => {
                let before = e.duration();
                match (before.as_secs() as i64, i64::from(before.subsec_nanos())) {
                    (sec, 0) => SetTime::At(-sec, 0),
                    (sec, nsec) => SetTime::At(-sec - 1, 1_000_000_000 - nsec),
                }
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_both_ways_also_before_the_epoch() {
        for (sec, nsec) in [(0, 0), (5, 7), (-1, 0), (-1, 999_999_999), (-3, 250)] {
            let there = TimeOrNow::SpecificTime(time(sec, nsec));
            assert_eq!(set_time(there), SetTime::At(sec, nsec));
        }
    }
}
