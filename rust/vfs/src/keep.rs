//! The keeper's file: DAOS handles that a resident process of this user (`pil4dfs keep`) holds for
//! every other process of the node, so that they need not connect. It lies in the run directory,
//! mode 0600, one for each container; the keeper has it locked as long as it lives (fcntl(2)), so
//! the kernel says whether the handles still have their owner. Whoever reads it takes it for
//! hostile; handles that die later are replaced as any imported ones are ([`dfs::Handles`]).
use crate::codec::{Reader, Writer};
use crate::ownfd::{self, OwnFd};
use crate::{call, mount, rundir, Errno};
use dfs::Handles;
use std::ffi::{CStr, CString};

const DIRECTORY: &str = "keep";
const MAGIC: u64 = 0x5049_4c34_4b45_4550;
const VERSION: u32 = 2;
/// A larger file is nobody's: a pool's handle grows with its servers, to some megabytes at most.
const MAX_BYTES: i64 = 64 << 20;

/// What a keeper holds.
pub struct Held {
    /// Pool, as it was asked for (label or UUID).
    pub pool: CString,
    /// Container, likewise.
    pub cont: CString,
    /// When the keeper started, seconds since 1970.
    pub since: i64,
    /// The handles; their `names` lead to the very same container once they are dead.
    pub handles: Handles,
}

/// A keeper's file, open.
pub struct Found {
    fd: OwnFd,
    /// What it says.
    pub held: Held,
    /// When a process last asked, seconds since 1970.
    pub used: i64,
}

impl Held {
    /// The bytes of the file.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer(Vec::with_capacity(1024));
        w.u64(MAGIC);
        w.u32(VERSION);
        w.bytes(self.pool.as_bytes());
        w.bytes(self.cont.as_bytes());
        w.u64(self.since as u64);
        w.bytes(&self.handles.pool);
        w.bytes(&self.handles.cont);
        w.bytes(&self.handles.dfs);
        w.u32(self.handles.read_only.into());
        w.u32(self.handles.balanced.into());
        w.u64(self.handles.ordinal);
        w.names(self.handles.names.as_ref());
        w.0
    }

    /// What bytes say; nothing if they are not exactly a keeper's.
    pub fn decode(bytes: &[u8]) -> Option<Held> {
        let mut r = Reader(bytes);
        if r.u64()? != MAGIC || r.u32()? != VERSION {
            return None;
        }
        let held = Held {
            pool: r.string()?,
            cont: r.string()?,
            since: r.u64()? as i64,
            handles: Handles {
                pool: r.bytes()?,
                cont: r.bytes()?,
                dfs: r.bytes()?,
                read_only: r.u32()? != 0,
                balanced: r.u32()? != 0,
                ordinal: r.u64()?,
                names: r.names()?,
            },
        };
        r.is_empty().then_some(held)
    }

    fn file_name(pool: &CStr, cont: &CStr) -> String {
        format!("{DIRECTORY}/{:016x}", mount::container_hash(pool, cont))
    }

    fn is_of(&self, pool: &CStr, cont: &CStr) -> bool {
        (self.pool.as_c_str(), self.cont.as_c_str()) == (pool, cont)
    }
}

/// The handles kept for a container, for a process that is about to connect. Four system calls, one
/// where nobody keeps any; one line of the log where what lies there cannot be believed.
pub fn handles(pool: &CStr, cont: &CStr) -> Option<Handles> {
    let path = path(pool, cont).ok()?;
    let found = match Found::open(&path) {
        Ok(found) if found.held.is_of(pool, cont) => found,
        Ok(_) => return refuse(&path, "kept for another container"),
        Err(Errno::ENOENT) => return None,
        Err(Errno::EPERM) => return refuse(&path, "not a private file of this user's"),
        Err(_) => return refuse(&path, "not what a keeper writes"),
    };
    if found.keeper().is_none() {
        found.remove(&path);
        return refuse(&path, "the keeper is dead");
    }
    // SAFETY: no path and no times: the descriptor's own, now.
    let _ = unsafe { call!(SYS_utimensat, found.fd.raw(), 0, 0, 0) };
    Some(found.held.handles)
}

fn refuse(path: &CStr, why: &str) -> Option<Handles> {
    log::warn!("{}: {why}; connecting instead", path.to_string_lossy());
    None
}

/// Calls `f` with every file of a keeper of this user, the dead ones' too, and its path.
pub fn each(f: &mut dyn FnMut(&CStr, Found)) {
    rundir::each(DIRECTORY, &mut |path| {
        if let Ok(found) = Found::open(path) {
            f(path, found);
        }
    });
}

/// Where the file of a container's keeper lies.
pub fn path(pool: &CStr, cont: &CStr) -> Result<CString, Errno> {
    rundir::file(&Held::file_name(pool, cont))
}

impl Found {
    /// `ENOENT`; `EPERM` for what is not this user's own and private; `EINVAL`, `ELOOP` and the
    /// like for what is no keeper's file.
    pub fn open(path: &CStr) -> Result<Found, Errno> {
        let flags = libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let fd = OwnFd::open(libc::AT_FDCWD, path, flags, 0)?;
        let st = fd.stat()?;
        // SAFETY: no arguments.
        let me = unsafe { call!(SYS_geteuid) }?;
        if i64::from(st.st_uid) != me || st.st_mode & 0o077 != 0 {
            return Err(Errno::EPERM);
        }
        let file = st.st_mode & libc::S_IFMT == libc::S_IFREG;
        if !file || !(1..=MAX_BYTES).contains(&st.st_size) {
            return Err(Errno::EINVAL);
        }
        let mut bytes = vec![0; st.st_size as usize];
        let n = fd.read_at(&mut bytes, 0)?;
        let held = Held::decode(&bytes[..n]).ok_or(Errno::EINVAL)?;
        let used = st.st_mtime;
        Ok(Found { fd, held, used })
    }

    /// The process that has the file locked, while there is one; 0 where it is of another name
    /// space.
    pub fn keeper(&self) -> Option<i32> {
        let mut lock = whole(libc::F_WRLCK);
        // SAFETY: the kernel fills the struct.
        unsafe { call!(SYS_fcntl, self.fd.raw(), libc::F_GETLK, &raw mut lock) }.ok()?;
        (lock.l_type != libc::F_UNLCK as i16).then_some(lock.l_pid)
    }

    /// Removes the file if it is still this one.
    pub fn remove(&self, path: &CStr) {
        if is_at(&self.fd, path) {
            unlink(path);
        }
    }
}

/// A keeper's own file; removed and unlocked on drop.
pub struct Published {
    fd: OwnFd,
    path: CString,
}

/// What has become of a keeper's file.
#[derive(PartialEq, Debug)]
pub enum Standing {
    /// It is where it was.
    Ours,
    /// Somebody removed it.
    Gone,
    /// Another keeper's is there.
    Replaced,
}

impl Published {
    /// Makes the file, or replaces an older one, at one stroke. Errors of open, write and rename.
    pub fn new(held: &Held) -> Result<Published, Errno> {
        rundir::subdirectory(DIRECTORY)?;
        let name = Held::file_name(&held.pool, &held.cont);
        let path = rundir::file(&name)?;
        // SAFETY: no arguments.
        let me = unsafe { call!(SYS_getpid) }?;
        let making = format!("{name}.{me}");
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;
        unlink(&rundir::file(&making)?);
        let fd = rundir::open(&making, flags)?;
        let from = rundir::file(&making)?;
        let at = libc::AT_FDCWD;
        let lock = whole(libc::F_WRLCK);
        // SAFETY: a lock's description, and strings.
        let made = fd.write_quietly(&held.encode(), 0).and_then(|()| unsafe {
            call!(SYS_fcntl, fd.raw(), libc::F_SETLK, &raw const lock)?;
            call!(SYS_renameat2, at, from.as_ptr(), at, path.as_ptr(), 0)
        });
        if let Err(e) = made {
            unlink(&from);
            return Err(e);
        }
        Ok(Published { fd, path })
    }

    /// Whether processes still find it.
    pub fn standing(&self) -> Standing {
        match is_at(&self.fd, &self.path) {
            true => Standing::Ours,
            false => match Found::open(&self.path) {
                Err(Errno::ENOENT) => Standing::Gone,
                _ => Standing::Replaced,
            },
        }
    }

    /// When a process last asked (or the file was made), seconds since 1970.
    pub fn used(&self) -> i64 {
        self.fd.stat().map_or(i64::MAX, |st| st.st_mtime)
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        if is_at(&self.fd, &self.path) {
            unlink(&self.path);
        }
    }
}

fn is_at(fd: &OwnFd, path: &CStr) -> bool {
    let there = ownfd::stat_at(libc::AT_FDCWD, path, libc::AT_SYMLINK_NOFOLLOW);
    let same = |a: libc::stat, b: libc::stat| (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino);
    matches!((fd.stat(), there), (Ok(a), Ok(b)) if same(a, b))
}

fn unlink(path: &CStr) {
    // SAFETY: a string.
    let _ = unsafe { call!(SYS_unlinkat, libc::AT_FDCWD, path.as_ptr(), 0) };
}

fn whole(kind: i32) -> libc::flock {
    // SAFETY: numbers, all of which may be zero: the whole file.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as i16;
    lock
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Held {
        Held {
            pool: c"pool".into(),
            cont: c"cont".into(),
            since: 7,
            handles: Handles {
                pool: vec![1; 236],
                cont: vec![2; 120],
                dfs: vec![3; 128],
                read_only: false,
                balanced: true,
                ordinal: 1,
                names: Some((c"pool".into(), c"uuid".into())),
            },
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = sample().encode();
        assert_eq!(Held::decode(&bytes).unwrap().encode(), bytes);
    }

    #[test]
    fn cut_bytes_are_refused() {
        let mut bytes = sample().encode();
        for n in 0..bytes.len() {
            assert!(Held::decode(&bytes[..n]).is_none());
        }
        bytes.push(0);
        assert!(Held::decode(&bytes).is_none());
    }

    /// In the run directory of this user, under a name of its own.
    #[test]
    fn files_that_are_not_a_living_keepers_are_refused() {
        use std::os::unix::fs::{symlink, PermissionsExt};
        let mut held = sample();
        held.cont = CString::new(format!("test-{}", std::process::id())).unwrap();
        assert!(handles(&held.pool, &held.cont).is_none(), "nobody keeps");
        let published = Published::new(&held).unwrap();
        let path = published.path.to_str().unwrap().to_owned();
        let ask = || Found::open(&published.path);
        assert_eq!(ask().unwrap().held.encode(), held.encode());
        assert_eq!(published.standing(), Standing::Ours);
        // A process does not see its own lock: for it the keeper is dead.
        assert!(handles(&held.pool, &held.cont).is_none());
        assert_eq!(
            published.standing(),
            Standing::Gone,
            "a dead one's is removed"
        );

        let bytes = held.encode();
        let refused = |errno| assert_eq!(ask().err(), Some(errno));
        std::fs::write(&path, &bytes).unwrap();
        refused(Errno::EPERM); // readable by others
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&path, private).unwrap();
        assert_eq!(published.standing(), Standing::Replaced);
        std::fs::write(&path, &bytes[..40]).unwrap();
        refused(Errno::EINVAL);
        std::fs::write(&path, b"").unwrap();
        refused(Errno::EINVAL);
        std::fs::remove_file(&path).unwrap();
        symlink("/etc/passwd", &path).unwrap();
        refused(Errno::ELOOP);
        assert!(handles(&held.pool, &held.cont).is_none());
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(handles(&held.pool, &held.cont).is_none());
        drop(published);
        assert!(std::path::Path::new(&path).exists(), "not ours to remove");
        std::fs::remove_dir(&path).unwrap();
    }
}
