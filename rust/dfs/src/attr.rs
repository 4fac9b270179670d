//! Attributes of a file: what `stat(2)` shows, completed as dfuse shows it.

/// The 128-bit DAOS object id: the identity of a file for as long as it lives, whatever its name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct ObjectId {
    /// Low 64 bits (`daos_obj_id_t.lo`).
    pub lo: u64,
    /// High 64 bits (`daos_obj_id_t.hi`).
    pub hi: u64,
}

impl ObjectId {
    /// The inode number dfuse shows for this object in the container with ordinal `container`
    /// (1 for a mounted one); the root directory has the ordinal itself.
    pub fn ino(self, container: u64) -> u64 {
        ((self.hi & 0xffff_ffff) | (container << 48)) ^ (self.lo << 32)
    }
}

/// What DFS can store: regular files, directories and symbolic links.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `S_IFREG`
    File,
    /// `S_IFDIR`
    Directory,
    /// `S_IFLNK`
    Symlink,
}

impl Kind {
    /// From the type bits of a mode; `None` for what DFS cannot hold.
    pub fn from_mode(mode: u32) -> Option<Kind> {
        match mode & libc::S_IFMT {
            libc::S_IFREG => Some(Kind::File),
            libc::S_IFDIR => Some(Kind::Directory),
            libc::S_IFLNK => Some(Kind::Symlink),
            _ => None,
        }
    }

    /// The type bits of `st_mode`.
    pub fn mode(self) -> u32 {
        match self {
            Kind::File => libc::S_IFREG,
            Kind::Directory => libc::S_IFDIR,
            Kind::Symlink => libc::S_IFLNK,
        }
    }

    /// The `d_type` of `getdents64(2)`.
    pub fn d_type(self) -> u8 {
        match self {
            Kind::File => libc::DT_REG,
            Kind::Directory => libc::DT_DIR,
            Kind::Symlink => libc::DT_LNK,
        }
    }
}

/// The attributes of one file and its identity. `stat.st_ino` is dfuse's number (see
/// [`ObjectId::ino`]), `st_nlink` is 1 (2 for directories, as dfuse's kernel view shows), `st_blksize` is set for
/// every kind, `st_dev` is 0 until the mount fills it in.
#[derive(Clone, Copy)]
pub struct Attr {
    /// As `stat(2)` would give it.
    pub stat: libc::stat,
    /// Which object this is.
    pub oid: ObjectId,
}

impl Attr {
    /// Kind of the file.
    pub fn kind(&self) -> Kind {
        Kind::from_mode(self.stat.st_mode).unwrap_or(Kind::File)
    }
}

/// One time of `utimensat(2)`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetTime {
    /// `UTIME_NOW`
    Now,
    /// A given time.
    At(i64, i64),
}

/// What to change; `None` leaves a field as it is. Mode holds permission bits only (07777).
#[derive(Clone, Copy, Default, Debug)]
pub struct SetAttr {
    /// Permission bits.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Time of last access: accepted, DFS does not store it.
    pub atime: Option<SetTime>,
    /// Time of last modification.
    pub mtime: Option<SetTime>,
}

impl SetTime {
    /// Seconds and nanoseconds.
    pub(crate) fn resolve(self) -> (libc::time_t, libc::c_long) {
        match self {
            SetTime::At(sec, nsec) => (sec as _, nsec as _),
            SetTime::Now => {
                let mut now = libc::timespec {
                    tv_sec: 0,
                    tv_nsec: 0,
                };
                // SAFETY: the result lives through the call.
                unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &mut now) };
                (now.tv_sec, now.tv_nsec)
            }
        }
    }
}
