//! One name of a directory: DFS keeps the inode in it. 96 bytes, then the text of a symbolic link.
use crate::error::{errno, Result};
use crate::key::Oid;

/// Time since the epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
#[repr(C)]
pub struct Time {
    /// Seconds.
    pub sec: i64,
    /// Nanoseconds, below a milliard.
    pub nsec: i64,
}

impl Time {
    /// Now, by the wall clock.
    pub fn now() -> Time {
        let mut now = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: a valid place for the answer; CLOCK_REALTIME always exists.
        unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &mut now) };
        Time {
            sec: now.tv_sec,
            nsec: now.tv_nsec,
        }
    }

    /// 16 bytes, as stored.
    pub fn encode(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.sec.to_le_bytes());
        bytes[8..].copy_from_slice(&self.nsec.to_le_bytes());
        bytes
    }

    /// From 16 bytes; others are the epoch.
    pub fn decode(bytes: &[u8]) -> Time {
        match bytes {
            [sec @ .., _, _, _, _, _, _, _, _] if sec.len() == 8 => Time {
                sec: i64::from_le_bytes(sec.try_into().unwrap_or_default()),
                nsec: i64::from_le_bytes(bytes[8..].try_into().unwrap_or_default()),
            },
            _ => Time::default(),
        }
    }
}

/// The inode in a directory entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Entry {
    /// [`VERSION`].
    version: u16,
    /// 1: `mtime` was set by hand, and holds until the object's own time is no more `seen`.
    explicit: u16,
    /// Type and permissions.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// The object.
    pub oid: Oid,
    /// Last change of the data as far as the entry knows.
    pub mtime: Time,
    /// Last change of the entry.
    pub ctime: Time,
    /// The object's own time when `mtime` was set.
    seen: Time,
    /// Chunk size, bytes; of a directory what its new children get, 0: the container's.
    pub chunk: u64,
    /// Object class; of a directory what its new children get.
    pub oclass: u32,
    /// Length of the text that follows, bytes.
    link_len: u32,
}

const VERSION: u16 = 1;
const SIZE: usize = std::mem::size_of::<Entry>();

impl Entry {
    /// A new entry of now.
    pub fn new(mode: u32, uid: u32, gid: u32, oid: Oid, chunk: u64, oclass: u32) -> Entry {
        let now = Time::now();
        Entry {
            version: VERSION,
            explicit: 0,
            mode,
            uid,
            gid,
            oid,
            mtime: now,
            ctime: now,
            seen: Time::default(),
            chunk,
            oclass,
            link_len: 0,
        }
    }

    /// The stored form, with the text of a symbolic link.
    pub fn encode(&self, link: &[u8]) -> Vec<u8> {
        let entry = Entry {
            link_len: link.len() as u32,
            ..*self
        };
        let mut bytes = Vec::with_capacity(SIZE + link.len());
        // SAFETY: a repr(C) struct of integers without padding (its size is checked below).
        bytes.extend_from_slice(unsafe {
            std::slice::from_raw_parts((&raw const entry).cast::<u8>(), SIZE)
        });
        bytes.extend_from_slice(link);
        bytes
    }

    /// From the stored form; `EIO` if it is none.
    pub fn decode(bytes: &[u8]) -> Result<(Entry, &[u8])> {
        if bytes.len() < SIZE {
            return errno(libc::EIO);
        }
        // SAFETY: SIZE bytes are there, and every bit pattern is a value of these integers.
        let entry = unsafe { bytes.as_ptr().cast::<Entry>().read_unaligned() };
        let link = &bytes[SIZE..];
        match entry.version == VERSION && link.len() == entry.link_len as usize {
            true => Ok((entry, link)),
            false => errno(libc::EIO),
        }
    }

    /// `S_IFMT` part of the mode.
    pub fn kind(&self) -> u32 {
        self.mode & libc::S_IFMT
    }

    /// True of a directory.
    pub fn is_dir(&self) -> bool {
        self.kind() == libc::S_IFDIR
    }

    /// True of a symbolic link.
    pub fn is_link(&self) -> bool {
        self.kind() == libc::S_IFLNK
    }

    /// True of a regular file.
    pub fn is_file(&self) -> bool {
        self.kind() == libc::S_IFREG
    }

    /// Length of a symbolic link's text.
    pub fn link_len(&self) -> u32 {
        self.link_len
    }

    /// Both times are now: a rename, which forgets a time set by hand.
    pub fn renamed(&mut self) {
        self.explicit = 0;
        self.mtime = Time::now();
        self.ctime = self.mtime;
    }

    /// Sets the time by hand; `object` is the object's own time at this moment.
    pub fn set_mtime(&mut self, mtime: Time, object: Option<Time>) {
        self.explicit = 1;
        self.mtime = mtime;
        self.seen = object.unwrap_or_default();
    }

    /// (mtime, ctime) as stat shows them, given the object's own time if it has one.
    pub fn times(&self, object: Option<Time>) -> (Time, Time) {
        let object = object.unwrap_or_default();
        if self.explicit == 1 && object == self.seen {
            return (self.mtime, self.ctime);
        }
        let mtime = if self.explicit == 1 {
            object
        } else {
            self.mtime.max(object)
        };
        (mtime, self.ctime.max(object))
    }
}

const _: () = assert!(SIZE == 2 + 2 + 4 * 3 + 16 + 16 * 3 + 8 + 4 + 4);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_back_as_it_went() {
        let entry = Entry::new(libc::S_IFLNK | 0o777, 1, 2, Oid { lo: 3, hi: 4 }, 5, 6);
        let bytes = entry.encode(b"target");
        let (back, link) = Entry::decode(&bytes).expect("a whole entry");
        assert_eq!(
            (back.oid, back.mode, link),
            (entry.oid, entry.mode, b"target".as_slice())
        );
        assert!(Entry::decode(&bytes[..bytes.len() - 1]).is_err());
        assert!(Entry::decode(b"").is_err());
    }

    #[test]
    fn quirk_an_explicit_mtime_wins_until_the_next_data_write() {
        let mut entry = Entry::new(libc::S_IFREG, 0, 0, Oid { lo: 0, hi: 0 }, 0, 0);
        let (old, data) = (
            Time { sec: 5, nsec: 0 },
            Time {
                sec: i64::MAX / 2,
                nsec: 0,
            },
        );
        entry.set_mtime(old, Some(data));
        assert_eq!(entry.times(Some(data)).0, old);
        let later = Time {
            sec: data.sec + 1,
            nsec: 0,
        };
        assert_eq!(entry.times(Some(later)), (later, later));
        entry.renamed();
        assert!(entry.times(None).0 > old);
    }
}
