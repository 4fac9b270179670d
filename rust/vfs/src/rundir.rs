//! The run-time directory of this user on this node: lock shadows, the parked working directory,
//! staged programs, kept handles. `PIL4DFS_RUNDIR`, else `/dev/shm/pil4dfs-UID`; mode 0700, owned by the
//! effective user, never a link. What lies in it may be removed at any time by its owner.
use crate::ownfd::{self, OwnFd};
use crate::Errno;
use once_cell::sync::OnceCell;
use std::ffi::{CStr, CString};

static CHOSEN: OnceCell<CString> = OnceCell::new();
static READY: OnceCell<CString> = OnceCell::new();

/// Chooses the directory (`PIL4DFS_RUNDIR`); only before its first use.
pub fn set(path: CString) {
    let _ = CHOSEN.set(path);
}

/// The directory, made and checked on first use. `EACCES` if it is somebody else's or open to
/// others, else mkdir(2)'s errors.
pub fn path() -> Result<&'static CStr, Errno> {
    READY
        .get_or_try_init(|| {
            let path = CHOSEN.get().cloned().unwrap_or_else(default);
            prepare(&path).inspect_err(|e| {
                log::error!(
                    "{}: {e}: not usable as run-time directory (set PIL4DFS_RUNDIR); \
                     file locks, shared writable mappings and working directories are affected",
                    path.to_string_lossy()
                )
            })?;
            Ok(path)
        })
        .map(CString::as_c_str)
}

/// Opens (and with `O_CREAT` makes, 0600) a file of the directory.
pub fn open(name: &str, flags: i32) -> Result<OwnFd, Errno> {
    OwnFd::open(
        libc::AT_FDCWD,
        &file(name)?,
        flags | libc::O_NOFOLLOW,
        0o600,
    )
}

/// The path of a file or directory of the directory.
pub fn file(name: &str) -> Result<CString, Errno> {
    let mut full = path()?.to_bytes().to_vec();
    full.push(b'/');
    full.extend_from_slice(name.as_bytes());
    CString::new(full).map_err(|_| Errno::EINVAL)
}

/// Makes a subdirectory; an existing one is as good.
pub fn subdirectory(name: &str) -> Result<(), Errno> {
    make(&file(name)?)
}

/// Calls `f` with the path of every entry of a subdirectory.
pub fn each(name: &str, f: &mut dyn FnMut(&CStr)) {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY;
    let Ok(dir) = open(name, flags) else { return };
    ownfd::for_names(&dir, &mut |entry| {
        let entry = String::from_utf8_lossy(entry);
        if let Ok(path) = file(&format!("{name}/{entry}")) {
            f(&path);
        }
    });
}

/// Named by the user's number in the initial name space: a root of his own making is no other user.
fn default() -> CString {
    // SAFETY: no memory involved.
    let ids = unsafe { (crate::call!(SYS_geteuid), crate::call!(SYS_getegid)) };
    let (uid, gid) = (ids.0.unwrap_or(0) as u32, ids.1.unwrap_or(0) as u32);
    let uid = crate::credentials::outside(uid, gid).map_or(uid, |ids| ids.0);
    CString::new(format!("/dev/shm/pil4dfs-{uid}")).unwrap_or_default()
}

fn prepare(path: &CStr) -> Result<(), Errno> {
    make(path)?;
    let st = ownfd::stat_at(libc::AT_FDCWD, path, libc::AT_SYMLINK_NOFOLLOW)?;
    // SAFETY: no memory involved.
    let uid = unsafe { crate::call!(SYS_geteuid) }? as u32;
    if st.st_mode & libc::S_IFMT != libc::S_IFDIR {
        return Err(Errno::ENOTDIR);
    }
    if st.st_uid != uid || st.st_mode & 0o077 != 0 {
        return Err(Errno::EACCES);
    }
    Ok(())
}

fn make(path: &CStr) -> Result<(), Errno> {
    // SAFETY: the path is a string.
    match unsafe { crate::call!(SYS_mkdirat, libc::AT_FDCWD, path.as_ptr(), 0o700) } {
        Ok(_) | Err(Errno::EEXIST) => Ok(()),
        Err(e) => Err(e),
    }
}
