//! Asking a dfuse, at the first use of its mount and never before: which container it serves, and
//! its DAOS handles, which spare the servers a connect for each process of a job. dfuse gives
//! handles to its own user only; whoever gets none connects by himself.
use crate::ownfd::OwnFd;
use crate::{call, Errno};
use daos_sys::dfuse::*;
use dfs::{uuid_text, Handles};
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;

/// What a dfuse said.
pub struct Answer {
    /// Pool and container.
    pub names: (CString, CString),
    /// Its handles, if it gives them to us.
    pub handles: Option<Handles>,
}

/// The three ways of asking a dfuse.
pub trait Dfuse {
    /// One ioctl, whose request number says the reply's length. The kernel's errors.
    fn query(&self, request: u32, reply: &mut [u8]) -> Result<(), Errno>;
    /// The attribute `user.daos`: bytes filled in.
    fn attribute(&self, value: &mut [u8]) -> Result<usize, Errno>;
    /// Takes away the file that dfuse left a handle of `size` bytes in. `EAGAIN` if it has another
    /// size, `EPERM` if it is not one of our user's.
    fn file(&self, name: &CStr, size: usize) -> Result<Vec<u8>, Errno>;
}

/// The root of a mounted one.
struct Root(OwnFd);

/// Handles may change while they are asked for (a pool that grows): so often it is tried.
const TRIES: u32 = 3;
/// The largest pool handle believed, bytes.
const POOL_MAX: u64 = 64 << 20;

/// Asks the dfuse mounted at `point` with the device number `dev`. `ENODEV` if something else lies
/// there by now, `ENOTCONN` if the dfuse is dead, `EINVAL` where no container is served.
/// Blocks as long as the dfuse does, as any use of its mount.
pub(crate) fn ask(
    point: &CStr,
    dev: u64,
    read_only: bool,
    want_handles: bool,
) -> Result<Answer, Errno> {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NONBLOCK;
    let root = OwnFd::open(libc::AT_FDCWD, point, flags, 0)?;
    let mut stat = MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: the result lives through the call.
    unsafe { call!(SYS_fstat, root.raw(), stat.as_mut_ptr()) }?;
    // SAFETY: filled by the kernel.
    if unsafe { stat.assume_init() }.st_dev != dev {
        return Err(Errno::ENODEV);
    }
    hear(&Root(root), read_only, want_handles)
}

/// What a dfuse says, whoever it is: it is believed as far as it makes sense. `EINVAL` where no
/// container is named.
pub fn hear(root: &dyn Dfuse, read_only: bool, want_handles: bool) -> Result<Answer, Errno> {
    let names = match identity(root) {
        Some(names) => names,
        None => names_by_attribute(root)?,
    };
    let handles = match want_handles {
        true => (0..TRIES).find_map(|_| handles(root, read_only, &names).transpose()),
        false => None,
    };
    let handles = handles.and_then(Result::ok);
    Ok(Answer { names, handles })
}

impl Dfuse for Root {
    fn query(&self, request: u32, reply: &mut [u8]) -> Result<(), Errno> {
        debug_assert_eq!((request >> 16) as usize & 0x3fff, reply.len());
        // SAFETY: the request's size is the buffer's.
        unsafe { call!(SYS_ioctl, self.0.raw(), request, reply.as_mut_ptr()) }.map(drop)
    }

    fn attribute(&self, value: &mut [u8]) -> Result<usize, Errno> {
        // SAFETY: a string, and a buffer of the stated length.
        let n = unsafe {
            call!(
                SYS_fgetxattr,
                self.0.raw(),
                c"user.daos".as_ptr(),
                value.as_mut_ptr(),
                value.len()
            )
        }?;
        Ok(n as usize)
    }

    fn file(&self, name: &CStr, size: usize) -> Result<Vec<u8>, Errno> {
        // A file of our own user only: others could put handles of another pool there.
        let flags = libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let file = OwnFd::open(libc::AT_FDCWD, name, flags, 0)?;
        let mut stat = MaybeUninit::<libc::stat>::zeroed();
        // SAFETY: the result lives through the call.
        unsafe { call!(SYS_fstat, file.raw(), stat.as_mut_ptr()) }?;
        // SAFETY: filled by the kernel.
        let stat = unsafe { stat.assume_init() };
        // SAFETY: no arguments.
        let me = unsafe { call!(SYS_geteuid) }?;
        if stat.st_mode & libc::S_IFMT != libc::S_IFREG || i64::from(stat.st_uid) != me {
            return Err(Errno::EPERM);
        }
        // SAFETY: a string.
        let _ = unsafe { call!(SYS_unlinkat, libc::AT_FDCWD, name.as_ptr(), 0) };
        let mut bytes = vec![0u8; size];
        match file.read_at(&mut bytes, 0)? == size && stat.st_size as u64 == size as u64 {
            true => Ok(bytes),
            false => Err(Errno::EAGAIN),
        }
    }
}

/// The UUIDs, from a dfuse of the protocol we speak.
fn identity(root: &dyn Dfuse) -> Option<(CString, CString)> {
    let mut bytes = [0u8; size_of::<dfuse_il_reply>()];
    root.query(DFUSE_IOCTL_IL, &mut bytes).ok()?;
    // SAFETY: the reply's own size; any bytes are valid numbers.
    let reply: dfuse_il_reply = unsafe { std::ptr::read_unaligned(bytes.as_ptr().cast()) };
    let spoken = reply.version == DFUSE_IOCTL_VERSION;
    spoken.then(|| (uuid_text(&reply.pool), uuid_text(&reply.cont)))
}

/// The same from the attribute `user.daos`, which a dfuse of any version shows.
fn names_by_attribute(root: &dyn Dfuse) -> Result<(CString, CString), Errno> {
    let mut value = [0u8; 512];
    let n = root.attribute(&mut value)?;
    parse_uns(value.get(..n).ok_or(Errno::EINVAL)?).ok_or(Errno::EINVAL)
}

/// The container that a directory of the kernel's is an entry point of: `ENODATA` if it is none.
pub(crate) fn names_at(point: &CStr) -> Result<(CString, CString), Errno> {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NONBLOCK;
    names_by_attribute(&Root(OwnFd::open(libc::AT_FDCWD, point, flags, 0)?))
}

/// `DAOS.POSIX://<pool>/<container>`, as in the extended attribute `user.daos`.
fn parse_uns(value: &[u8]) -> Option<(CString, CString)> {
    let value = value.strip_suffix(b"\0").unwrap_or(value);
    let rest = value.strip_prefix(b"DAOS.POSIX://")?;
    let slash = rest.iter().position(|&b| b == b'/')?;
    let (pool, cont) = (&rest[..slash], &rest[slash + 1..]);
    let cont = cont.split(|&b| b == b'/').next()?;
    (!pool.is_empty() && !cont.is_empty()).then_some(())?;
    Some((CString::new(pool).ok()?, CString::new(cont).ok()?))
}

/// The handles; `Ok(None)` to be asked again (a size has changed), an error where there are none
/// for us.
fn handles(
    root: &dyn Dfuse,
    read_only: bool,
    names: &(CString, CString),
) -> Result<Option<Handles>, Errno> {
    let mut bytes = [0u8; size_of::<dfuse_hs_reply>()];
    root.query(DFUSE_IOCTL_IL_SIZE, &mut bytes)?;
    // SAFETY: the reply's own size; any bytes are valid numbers.
    let sizes: dfuse_hs_reply = unsafe { std::ptr::read_unaligned(bytes.as_ptr().cast()) };
    if sizes.version != DFUSE_IOCTL_VERSION || sizes.pool_size > POOL_MAX {
        return Err(Errno::EPROTO);
    }
    let all = || -> Result<Handles, Errno> {
        Ok(Handles {
            pool: match request(Blob::Pool, sizes.pool_size as usize) {
                Some(_) => blob(root, Blob::Pool, sizes.pool_size)?,
                None => pool_by_file(root, sizes.pool_size)?,
            },
            cont: blob(root, Blob::Cont, sizes.cont_size)?,
            dfs: blob(root, Blob::Dfs, sizes.dfs_size)?,
            read_only,
            balanced: false,
            ordinal: 1,
            names: Some(names.clone()),
        })
    };
    match all() {
        Ok(handles) => Ok(Some(handles)),
        Err(Errno::EAGAIN) => Ok(None),
        Err(e) => Err(e),
    }
}

fn blob(root: &dyn Dfuse, kind: Blob, size: u64) -> Result<Vec<u8>, Errno> {
    let size = usize::try_from(size).map_err(|_| Errno::EOVERFLOW)?;
    let request = request(kind, size).ok_or(Errno::EOVERFLOW)?;
    let mut bytes = vec![0u8; size];
    root.query(request, &mut bytes)?;
    Ok(bytes)
}

/// A handle too large for an ioctl, from the file dfuse writes it to; the file is removed.
fn pool_by_file(root: &dyn Dfuse, size: u64) -> Result<Vec<u8>, Errno> {
    let mut name = [0u8; 128];
    root.query(DFUSE_IOCTL_REPLY_PFILE, &mut name)?;
    let name = CStr::from_bytes_until_nul(&name).map_err(|_| Errno::EPROTO)?;
    root.file(name, size as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uns_values_name_pool_and_container() {
        let names = Some((c"p-1".into(), c"c-1".into()));
        assert_eq!(parse_uns(b"DAOS.POSIX://p-1/c-1"), names);
        assert_eq!(parse_uns(b"DAOS.POSIX://p-1/c-1\0"), names);
        assert_eq!(parse_uns(b"DAOS.HDF5://p/c"), None);
        assert_eq!(parse_uns(b"DAOS.POSIX://p"), None);
    }

    #[test]
    fn what_is_no_dfuse_gives_nothing() {
        let root = c"/";
        // SAFETY: a stat of zeros is valid, and filled by the call.
        let dev = unsafe {
            let mut stat: libc::stat = std::mem::zeroed();
            libc::stat(root.as_ptr(), &mut stat);
            stat.st_dev
        };
        assert_eq!(ask(root, dev + 1, false, true).err(), Some(Errno::ENODEV));
        assert!(ask(root, dev, false, true).is_err());
    }
}
