//! Bytes of files: read, write, size, punch.
use super::mount::Mount;
use super::object::Object;
use super::{event, required};
use crate::data::{Buffers, ObjectStat};
use crate::error::{errno, Result};
use daos_sys::*;
use std::ffi::c_int;

/// The buffers of a list; their number is bounded by the list itself.
unsafe fn buffers(sgl: *mut d_sg_list_t) -> Result<Buffers> {
    // SAFETY: the caller's list of `sg_nr` buffers.
    unsafe {
        let Some(list) = sgl.as_ref() else {
            return Ok(Buffers::new());
        };
        if list.sg_nr > 0 && list.sg_iovs.is_null() {
            return errno(libc::EINVAL);
        }
        let buffer = |place: usize| {
            let iov = &*list.sg_iovs.add(place);
            libc::iovec {
                iov_base: iov.iov_buf,
                iov_len: iov.iov_len as usize,
            }
        };
        Ok((0..list.sg_nr as usize).map(buffer).collect())
    }
}

/// Calls `work` with the list's buffers; one buffer (the common case) needs no memory.
unsafe fn with_buffers<T>(
    sgl: *mut d_sg_list_t,
    work: impl FnOnce(&mut [libc::iovec]) -> Result<T>,
) -> Result<T> {
    // SAFETY: the caller's list.
    unsafe {
        match sgl.as_ref() {
            Some(list) if list.sg_nr == 1 && !list.sg_iovs.is_null() => {
                let iov = &*list.sg_iovs;
                work(&mut [libc::iovec {
                    iov_base: iov.iov_buf,
                    iov_len: iov.iov_len as usize,
                }])
            }
            _ => work(&mut buffers(sgl)?),
        }
    }
}

/// A regular file opened for `access`.
fn check(object: &Object, denied: c_int) -> Result<()> {
    if object.kind() != libc::S_IFREG {
        return errno(libc::EINVAL);
    }
    match object.flags & libc::O_ACCMODE == denied {
        true => errno(libc::EPERM),
        false => Ok(()),
    }
}

fn read(object: &Object, list: &mut [libc::iovec], at: u64) -> Result<u64> {
    let process = super::pool::process()?;
    match object
        .file
        .file(&process.store, object.cont, object.oid, false)?
    {
        // SAFETY: the caller of dfs_read promises writable buffers.
        Some(file) => unsafe { file.read(list, at) },
        None => Ok(0),
    }
}

fn write(object: &Object, list: &mut [libc::iovec], at: u64) -> Result<()> {
    let process = super::pool::process()?;
    if list.iter().all(|buffer| buffer.iov_len == 0) {
        return Ok(());
    }
    match object
        .file
        .file(&process.store, object.cont, object.oid, true)?
    {
        // SAFETY: the caller of dfs_write promises readable buffers.
        Some(file) => unsafe { file.write(list, at) },
        None => errno(libc::EIO),
    }
}

/// Size and time of an open object's bytes; `None` if it was never written.
pub(crate) fn object_stat(object: &Object) -> Result<Option<ObjectStat>> {
    let process = super::pool::process()?;
    match object
        .file
        .file(&process.store, object.cont, object.oid, false)?
    {
        Some(file) => file.stat().map(Some),
        None => Ok(None),
    }
}

/// True where every release up to 2.8.0 fails to shrink: to one byte beyond a chunk's end.
fn shrinks_in_vain(old: u64, new: u64, chunk: u64) -> bool {
    new < old && chunk > 1 && new % chunk == 1
}

/// Sets the size of a file, with DAOS's bug.
pub(crate) fn set_size(object: &Object, size: u64) -> Result<()> {
    let process = super::pool::process()?;
    let old = object_stat(object)?.map_or(0, |stat| stat.size);
    if shrinks_in_vain(old, size, object.chunk()) {
        return Ok(());
    }
    match object
        .file
        .file(&process.store, object.cont, object.oid, size > 0)?
    {
        Some(file) => file.truncate(size),
        None => Ok(()),
    }
}

fn punch(object: &Object, at: u64, len: u64) -> Result<()> {
    if len == DFS_MAX_FSIZE {
        return set_size(object, at);
    }
    let size = object_stat(object)?.map_or(0, |stat| stat.size);
    if at >= size || len == 0 {
        return Ok(());
    }
    if at.saturating_add(len) >= size {
        return set_size(object, at);
    }
    let process = super::pool::process()?;
    match object
        .file
        .file(&process.store, object.cont, object.oid, false)?
    {
        Some(file) => file.punch(at, len),
        None => Ok(()),
    }
}

/// Cuts a list of buffers into one list per range.
fn per_range(ranges: &[daos_range_t], list: &[libc::iovec]) -> Result<Vec<(u64, Buffers)>> {
    let mut list = list.iter().copied();
    let mut rest = libc::iovec {
        iov_base: std::ptr::null_mut(),
        iov_len: 0,
    };
    let mut parts = Vec::new();
    for range in ranges {
        let mut wanted = range.rg_len as usize;
        let mut part = Buffers::new();
        while wanted > 0 {
            if rest.iov_len == 0 {
                match list.next() {
                    Some(next) => rest = next,
                    None => return errno(libc::EINVAL),
                }
                continue;
            }
            let n = rest.iov_len.min(wanted);
            part.push(libc::iovec {
                iov_base: rest.iov_base,
                iov_len: n,
            });
            rest.iov_base = rest.iov_base.wrapping_byte_add(n);
            rest.iov_len -= n;
            wanted -= n;
        }
        parts.push((range.rg_idx, part));
    }
    Ok(parts)
}

unsafe fn ranges<'a>(iod: *mut dfs_iod_t) -> Result<&'a [daos_range_t]> {
    // SAFETY: the caller's list of `iod_nr` ranges.
    unsafe {
        match iod.as_ref() {
            Some(iod) if iod.iod_nr == 0 => Ok(&[]),
            Some(iod) if !iod.iod_rgs.is_null() => {
                Ok(std::slice::from_raw_parts(iod.iod_rgs, iod.iod_nr as usize))
            }
            _ => errno(libc::EINVAL),
        }
    }
}

export! {
    /// Reads as many bytes as the buffers' `iov_len` say; fewer only at the end of the file.
    Dfs fn dfs_read(dfs: *mut dfs_t, obj: *mut dfs_obj_t, sgl: *mut d_sg_list_t, off: daos_off_t, read_size: *mut daos_size_t, ev: *mut daos_event_t) {
        let (object, read_size) = (Object::of(obj)?, required(read_size)?);
        Mount::of(dfs)?;
        check(object, libc::O_WRONLY)?;
        // SAFETY: the caller's own pointers, as DAOS's header asks.
        event::run(ev, || unsafe {
            *read_size = with_buffers(sgl, |list| read(object, list, off))?;
            Ok(())
        })
    }

    /// `dfs_read` of several ranges.
    Dfs fn dfs_readx(dfs: *mut dfs_t, obj: *mut dfs_obj_t, iod: *mut dfs_iod_t, sgl: *mut d_sg_list_t, read_size: *mut daos_size_t, ev: *mut daos_event_t) {
        let (object, read_size, ranges) = (Object::of(obj)?, required(read_size)?, ranges(iod)?);
        Mount::of(dfs)?;
        check(object, libc::O_WRONLY)?;
        // SAFETY: the caller's own pointers, as DAOS's header asks.
        event::run(ev, || unsafe {
            let mut done = 0;
            for (at, mut part) in per_range(ranges, &buffers(sgl)?)? {
                done += read(object, &mut part, at)?;
            }
            *read_size = done;
            Ok(())
        })
    }

    /// Writes everything or fails.
    Dfs fn dfs_write(dfs: *mut dfs_t, obj: *mut dfs_obj_t, sgl: *mut d_sg_list_t, off: daos_off_t, ev: *mut daos_event_t) {
        let (mount, object) = (Mount::of(dfs)?, Object::of(obj)?);
        mount.writable()?;
        check(object, libc::O_RDONLY)?;
        // SAFETY: the caller's own pointers, as DAOS's header asks.
        event::run(ev, || unsafe { with_buffers(sgl, |list| write(object, list, off)) })
    }

    /// `dfs_write` of several ranges.
    Dfs fn dfs_writex(dfs: *mut dfs_t, obj: *mut dfs_obj_t, iod: *mut dfs_iod_t, sgl: *mut d_sg_list_t, ev: *mut daos_event_t) {
        let (mount, object, ranges) = (Mount::of(dfs)?, Object::of(obj)?, ranges(iod)?);
        mount.writable()?;
        check(object, libc::O_RDONLY)?;
        // SAFETY: the caller's own pointers, as DAOS's header asks.
        event::run(ev, || unsafe {
            for (at, mut part) in per_range(ranges, &buffers(sgl)?)? {
                write(object, &mut part, at)?;
            }
            Ok(())
        })
    }

    /// The size, bytes.
    Dfs fn dfs_get_size(dfs: *mut dfs_t, obj: *mut dfs_obj_t, size: *mut daos_size_t) {
        let (object, size) = (Object::of(obj)?, required(size)?);
        Mount::of(dfs)?;
        if object.kind() != libc::S_IFREG {
            return errno(libc::EINVAL);
        }
        *size = object_stat(object)?.map_or(0, |stat| stat.size);
        Ok(0)
    }

    /// Truncates with `DFS_MAX_FSIZE`; else makes a hole, which at the end shortens the file.
    Dfs fn dfs_punch(dfs: *mut dfs_t, obj: *mut dfs_obj_t, offset: daos_off_t, len: daos_size_t) {
        let (mount, object) = (Mount::of(dfs)?, Object::of(obj)?);
        mount.writable()?;
        check(object, libc::O_RDONLY)?;
        punch(object, offset, len)?;
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quirk_shrinking_to_a_chunks_end_and_one_does_nothing() {
        assert!(shrinks_in_vain(100, 1, 1 << 20));
        assert!(shrinks_in_vain(3 << 20, (1 << 20) + 1, 1 << 20));
        assert!(!shrinks_in_vain(100, 2, 1 << 20));
        assert!(!shrinks_in_vain(1, 1, 1 << 20));
        assert!(!shrinks_in_vain(0, 1, 1 << 20));
    }

    #[test]
    fn ranges_take_their_share_of_the_buffers() {
        let mut bytes = [0u8; 10];
        let start = bytes.as_mut_ptr();
        let list = [
            libc::iovec {
                iov_base: start.cast(),
                iov_len: 4,
            },
            libc::iovec {
                iov_base: start.wrapping_add(4).cast(),
                iov_len: 6,
            },
        ];
        let ranges = [
            daos_range_t {
                rg_idx: 100,
                rg_len: 6,
            },
            daos_range_t {
                rg_idx: 7,
                rg_len: 4,
            },
        ];
        let parts = per_range(&ranges, &list).expect("ten bytes for ten");
        let shape: Vec<_> = parts
            .iter()
            .map(|(at, part)| (*at, part.iter().map(|b| b.iov_len).collect::<Vec<_>>()))
            .collect();
        assert_eq!(shape, [(100, vec![4, 2]), (7, vec![4])]);
        assert!(per_range(
            &[daos_range_t {
                rg_idx: 0,
                rg_len: 11
            }],
            &list
        )
        .is_err());
    }
}
