//! Entry points of the unified namespace (UNS): a directory whose extended attribute `user.daos`
//! names another container that is mounted there. dfuse asks for it with every lookup, and so may
//! we, at no extra cost.
use crate::entry::check;
use crate::handle::Handle;
use crate::{Access, Attr, Errno, Filesystem, Kind, Object, Result};
use daos_sys::{DUNS_MAX_XATTR_LEN, DUNS_XATTR_NAME};
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::Arc;

/// What the attribute's value begins with, in front of `<pool>/<container>`.
const PREFIX: &[u8] = b"DAOS.";
const POSIX: &[u8] = b"POSIX";

/// The container that an entry point names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EntryPoint {
    /// UUID of the pool, as text.
    pub pool: CString,
    /// UUID of the container, as text.
    pub cont: CString,
}

impl EntryPoint {
    /// From the attribute's value, `DAOS.POSIX://<pool uuid>/<container uuid>`, with or without a
    /// final NUL. `EINVAL` for anything else, `ENOTSUP` for a container that is not POSIX.
    pub fn parse(value: &[u8]) -> Result<EntryPoint> {
        let value = value.strip_suffix(b"\0").unwrap_or(value);
        let value = value.strip_prefix(PREFIX).ok_or(Errno::EINVAL)?;
        let kind = value.iter().position(|&b| b == b':').ok_or(Errno::EINVAL)?;
        let (kind, rest) = value.split_at(kind);
        let rest = rest.strip_prefix(b"://").ok_or(Errno::EINVAL)?;
        if rest.len() != 36 + 1 + 36 || rest[36] != b'/' {
            return Err(Errno::EINVAL);
        }
        let entry = EntryPoint {
            pool: uuid(&rest[..36])?,
            cont: uuid(&rest[37..])?,
        };
        match kind {
            POSIX => Ok(entry),
            _ => Err(Errno::ENOTSUP),
        }
    }
}

/// 36 bytes that are a UUID.
fn uuid(text: &[u8]) -> Result<CString> {
    let is_uuid = text.iter().enumerate().all(|(i, b)| match i {
        8 | 13 | 18 | 23 => *b == b'-',
        _ => b.is_ascii_hexdigit(),
    });
    match is_uuid {
        true => CString::new(text).map_err(|_| Errno::EINVAL),
        false => Err(Errno::EINVAL),
    }
}

impl Object {
    /// The container mounted at this directory, if it is an entry point. One DFS call. Errors of
    /// [`EntryPoint::parse`].
    pub fn entry_point(&self) -> Result<Option<EntryPoint>> {
        if self.kind() != Kind::Directory {
            return Ok(None);
        }
        match self.get_xattr(DUNS_XATTR_NAME) {
            Ok(value) => EntryPoint::parse(&value).map(Some),
            Err(Errno::ENODATA) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

impl Filesystem {
    /// As [`Filesystem::lookup`], and the container mounted there if the entry is a directory that
    /// names one. One DFS call with libdfs's internal `dfs_lookupx`, else two for directories.
    pub fn lookup_crossing(
        self: &Arc<Self>,
        dir: &Object,
        name: &CStr,
        access: Access,
    ) -> Result<(Object, Attr, Option<EntryPoint>)> {
        let mount = self.mount();
        let Some(lookupx) = mount.begin()?.api.dfs_lookupx else {
            let (object, attr) = self.lookup(dir, name, access)?;
            let entry = object.entry_point()?;
            return Ok((object, attr, entry));
        };
        check(dir, name)?;
        mount.traits.permits(access)?;
        let flags = mount.traits.open_flags() | libc::O_NOFOLLOW;
        let mut stat = MaybeUninit::<libc::stat>::zeroed();
        let mut value = [0u8; DUNS_MAX_XATTR_LEN];
        let mut size = 0;
        let mut found = None;
        mount.call(|call| {
            let (mut raw, mut mode) = (null_mut(), 0);
            let mut names = [DUNS_XATTR_NAME.as_ptr().cast_mut()];
            let mut values = [value.as_mut_ptr().cast()];
            size = value.len() as u64;
            // SAFETY: the parent's handle is alive; results and the arrays of one live through
            // the call, which does not change the attribute's name.
            let rc = unsafe {
                lookupx(
                    call.dfs(),
                    dir.raw(call),
                    name.as_ptr(),
                    flags,
                    &mut raw,
                    &mut mode,
                    stat.as_mut_ptr(),
                    1,
                    names.as_mut_ptr(),
                    values.as_mut_ptr(),
                    &mut size,
                )
            };
            if rc == 0 {
                // SAFETY: filled by libdfs, and valid when zeroed.
                found = Some(self.keep(Handle { call, raw }, mode, access, unsafe {
                    stat.assume_init()
                }));
            }
            rc
        })?;
        let (object, attr) = found.ok_or(Errno::EIO)?;
        let entry = match (object.kind(), size as usize) {
            (Kind::Directory, 1..) => {
                let value = value.get(..size as usize).ok_or(Errno::EINVAL)?;
                Some(EntryPoint::parse(value)?)
            }
            _ => None,
        };
        Ok((object, attr, entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "01234567-89ab-cdef-0123-456789abcdef";
    const B: &str = "fedcba98-7654-3210-fedc-ba9876543210";

    #[test]
    fn values_are_uuids_of_a_posix_container() {
        let value = format!("DAOS.POSIX://{A}/{B}");
        let entry = EntryPoint::parse(value.as_bytes()).unwrap();
        assert_eq!((entry.pool.to_str(), entry.cont.to_str()), (Ok(A), Ok(B)));
        assert_eq!(
            EntryPoint::parse(format!("{value}\0").as_bytes()),
            Ok(entry)
        );
        let other = format!("DAOS.HDF5://{A}/{B}");
        assert_eq!(EntryPoint::parse(other.as_bytes()), Err(Errno::ENOTSUP));
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            String::new(),
            "DAOS.POSIX://".into(),
            format!("DAOS.POSIX://{A}"),
            format!("DAOS.POSIX://{A}/label"),
            format!("DAOS.POSIX:/{A}/{B}"),
            format!("DAOS.POSIX://{A}/{B}/x"),
            format!("DAOS.POSIX://{A}:{B}"),
            format!("{A}/{B}"),
        ] {
            assert_eq!(
                EntryPoint::parse(bad.as_bytes()),
                Err(Errno::EINVAL),
                "{bad}"
            );
        }
    }
}
