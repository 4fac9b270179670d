//! The ioctls by which a program of this node finds out what is behind a file and takes our DAOS
//! handles (protocol 7; layouts in `daos_sys::dfuse`). Handles go only to who started us.
use crate::container::Container;
use crate::inode::{Body, Inode};
use crate::server::Server;
use daos_sys::dfuse::*;
use dfs::{Errno, Handles, Object, Result};
use std::io::Write;
use std::mem::offset_of;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::Ordering;
use std::sync::Arc;

/// Type and number of a request, without size and direction.
const fn kind(request: u32) -> u32 {
    request & 0xffff
}

/// The 14 bits of the size.
const fn size(request: u32) -> usize {
    (request >> 16) as usize & 0x3fff
}

/// The type all of dfuse's requests have.
const TYPE: u32 = 0xa3;

impl Server {
    /// Answers a request of `user` on a file open for writing or not. `ENOTTY` for other devices'
    /// requests, `EIO` for numbers and sizes of ours that are none.
    pub fn ioctl(
        &self,
        inode: &Inode,
        writable: bool,
        request: u32,
        user: (u32, u32),
    ) -> Result<Vec<u8>> {
        if (request >> 8) & 0xff != TYPE {
            return Err(Errno::ENOTTY);
        }
        let Body::Object(container, _) = &inode.body else {
            return Err(Errno::ENOTTY);
        };
        let (_, object) = inode.object()?;
        let ours = || match user == self.owner {
            true => Ok(()),
            false => Err(Errno::EPERM),
        };
        if request == DFUSE_IOCTL_IL {
            if writable {
                inode.bypassed.store(true, Ordering::Relaxed);
            }
            return Ok(identity(container, &object));
        }
        match request {
            DFUSE_IOCTL_IL_SIZE => ours().and_then(|()| sizes(container)),
            DFUSE_IOCTL_IL_DSIZE => {
                let size = (object.export()?.len() as u64).to_ne_bytes();
                let at = offset_of!(dfuse_hsd_reply, obj_size);
                Ok(reply::<dfuse_hsd_reply>(&[(0, &VERSION), (at, &size)]))
            }
            DFUSE_IOCTL_DFUSE_USER => Ok(reply::<dfuse_user_reply>(&[
                (0, &self.owner.0.to_ne_bytes()),
                (4, &self.owner.1.to_ne_bytes()),
            ])),
            DFUSE_IOCTL_REPLY_PFILE => ours().and_then(|()| pool_file(container)),
            _ => {
                let number = kind(request);
                let is = |blob| request_of(blob) == number;
                if is(Blob::Pool) {
                    ours()?;
                    fit(handles(container)?.pool, request)
                } else if is(Blob::Cont) {
                    ours()?;
                    fit(handles(container)?.cont, request)
                } else if is(Blob::Dfs) {
                    fit(handles(container)?.dfs, request)
                } else if is(Blob::Object) {
                    fit(object.export()?, request)
                } else {
                    Err(Errno::EIO)
                }
            }
        }
    }
}

/// The number of a blob's request.
fn request_of(blob: Blob) -> u32 {
    request(blob, 0).map_or(0, kind)
}

fn handles(container: &Container) -> Result<Handles> {
    container.fs.export_handles()
}

fn identity(container: &Arc<Container>, object: &Object) -> Vec<u8> {
    let flags = match container.times.keeps_metadata() {
        true => DFUSE_IOCTL_FLAGS_MCACHE,
        false => 0,
    };
    let oid = offset_of!(dfuse_il_reply, oid);
    reply::<dfuse_il_reply>(&[
        (0, &VERSION),
        (oid, &object.id().lo.to_ne_bytes()),
        (oid + 8, &object.id().hi.to_ne_bytes()),
        (offset_of!(dfuse_il_reply, pool), &container.uuids.pool),
        (offset_of!(dfuse_il_reply, cont), &container.uuids.cont),
        (offset_of!(dfuse_il_reply, flags), &flags.to_ne_bytes()),
    ])
}

fn sizes(container: &Container) -> Result<Vec<u8>> {
    let handles = handles(container)?;
    let size = |blob: &[u8]| (blob.len() as u64).to_ne_bytes();
    Ok(reply::<dfuse_hs_reply>(&[
        (0, &VERSION),
        (offset_of!(dfuse_hs_reply, pool_size), &size(&handles.pool)),
        (offset_of!(dfuse_hs_reply, cont_size), &size(&handles.cont)),
        (offset_of!(dfuse_hs_reply, dfs_size), &size(&handles.dfs)),
    ]))
}

/// The bytes, if the request's size is exactly theirs: more is `EAGAIN` (ask for the sizes again),
/// less `EIO`.
fn fit(blob: Vec<u8>, request: u32) -> Result<Vec<u8>> {
    match size(request).cmp(&blob.len()) {
        std::cmp::Ordering::Equal => Ok(blob),
        std::cmp::Ordering::Greater => Err(Errno::EAGAIN),
        std::cmp::Ordering::Less => Err(Errno::EIO),
    }
}

/// Writes the pool handle to a file that only its reader can open, and answers the name; the
/// reader removes it.
fn pool_file(container: &Container) -> Result<Vec<u8>> {
    let blob = handles(container)?.pool;
    let pid = std::process::id();
    for attempt in 0..100u32 {
        let nanos = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |d| d.subsec_nanos());
        let name = format!("/tmp/dfuse_pool_handle_{pid}_{nanos:08x}{attempt}");
        let file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&name);
        let mut file = match file {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => continue,
            Err(_) => return Err(Errno::EIO),
        };
        if file.write_all(&blob).is_err() {
            let _ = std::fs::remove_file(&name);
            return Err(Errno::EIO);
        }
        let mut answer = name.into_bytes();
        answer.resize(size(DFUSE_IOCTL_REPLY_PFILE), 0);
        return Ok(answer);
    }
    Err(Errno::EIO)
}

/// A reply of one of the layouts: its fields at their offsets, the padding zero.
fn reply<T>(fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0u8; size_of::<T>()];
    for (offset, field) in fields {
        bytes[*offset..*offset + field.len()].copy_from_slice(field);
    }
    bytes
}

const VERSION: [u8; 4] = DFUSE_IOCTL_VERSION.to_ne_bytes();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_wants_its_exact_size() {
        let blob = || vec![1u8; 100];
        let ask = |n| request(Blob::Cont, n).unwrap();
        assert_eq!(fit(blob(), ask(100)).unwrap().len(), 100);
        assert_eq!(fit(blob(), ask(101)), Err(Errno::EAGAIN));
        assert_eq!(fit(blob(), ask(99)), Err(Errno::EIO));
        assert_eq!(kind(ask(77)), request_of(Blob::Cont));
    }
}
