//! File contents: read, write, truncate, punch. DFS caches nothing in the client and writes all
//! or nothing; a read is short at the end of file only, as POSIX wants it of regular files.
use crate::mount::Call;
use crate::{Access, Errno, Kind, Object, Result};
use daos_sys::{d_iov_t, d_sg_list_t};
use std::mem::MaybeUninit;
use std::ptr::null_mut;

/// What Linux transfers at most in one call (`MAX_RW_COUNT`), in bytes.
const MAX_TRANSFER: usize = 0x7fff_f000;
/// Largest file offset.
const MAX_OFFSET: u64 = i64::MAX as u64;
/// `DFS_MAX_FSIZE` as a length makes `dfs_punch` set the size.
const TO_THE_END: u64 = u64::MAX;
/// Vectors up to this length stay on the stack.
const INLINE: usize = 16;

impl Object {
    /// Size in bytes (`dfs_get_size`, one RPC); works on removed files as far as DFS does.
    pub fn size(&self) -> Result<u64> {
        self.is_file()?;
        let mut size = 0;
        self.mount.call(|call| {
            // SAFETY: the handle is alive; the result lives through the call.
            unsafe { (call.api.dfs_get_size)(call.dfs(), self.raw(call), &mut size) }
        })?;
        Ok(size)
    }

    /// Reads at `offset` into the buffers, returns bytes read; short only at the end of file or
    /// at Linux's limit for one call (2 GiB - 4 KiB). One RPC, none for an empty vector. `EISDIR` for directories.
    ///
    /// # Safety
    /// Every iovec must be writable for its length during the call.
    #[inline(always)] // see vfs: every frame above a DAOS call costs
    pub unsafe fn read(&self, iov: &[libc::iovec], offset: u64) -> Result<usize> {
        self.is_file()?;
        if offset > MAX_OFFSET {
            return Err(Errno::EINVAL);
        }
        let mut done = 0;
        with_list(iov, |list, total| {
            if total == 0 {
                return Ok(());
            }
            self.mount.call(|call| {
                // SAFETY: the caller promises the buffers; list and result live through the call.
                unsafe {
                    (call.api.dfs_read)(
                        call.dfs(),
                        self.raw(call),
                        list,
                        offset,
                        &mut done,
                        null_mut(),
                    )
                }
            })
        })?;
        Ok(done as usize)
    }

    /// Writes all bytes at `offset` or fails; Linux's limit for one call applies. One RPC, none
    /// for an empty vector. `EBADF` on a handle without write access, `EFBIG` beyond the largest
    /// offset.
    ///
    /// # Safety
    /// Every iovec must be readable for its length during the call.
    #[inline(always)]
    pub unsafe fn write(&self, iov: &[libc::iovec], offset: u64) -> Result<usize> {
        self.is_writable_file(Errno::EBADF)?;
        let mut done = 0;
        with_list(iov, |list, total| {
            if total == 0 {
                return Ok(());
            }
            if offset > MAX_OFFSET - total as u64 {
                return Err(Errno::EFBIG);
            }
            self.mount.change(|call| {
                // SAFETY: the caller promises the buffers; the list lives through the call.
                unsafe {
                    (call.api.dfs_write)(call.dfs(), self.raw(call), list, offset, null_mut())
                }
            })?;
            done = total;
            Ok(())
        })?;
        Ok(done)
    }

    /// `ftruncate(2)`; one DFS call, except where released libdfs (up to 2.8.0) keeps the old
    /// tail: shrinking to one byte more than a multiple of the chunk size is done by way of the
    /// boundary (4 calls; a reader may see that byte missing for a moment). `EINVAL` on a handle
    /// without write access, `EFBIG` beyond the largest offset.
    pub fn truncate(&self, size: u64) -> Result<()> {
        self.is_writable_file(Errno::EINVAL)?;
        if size > MAX_OFFSET {
            return Err(Errno::EFBIG);
        }
        let chunk = match self.chunk_size {
            0 => self.mount.traits.chunk_size,
            chunk => chunk,
        };
        if chunk > 1 && size % chunk == 1 && self.size()? > size {
            return self.truncate_past_boundary(size);
        }
        self.set_size(size)
    }

    fn truncate_past_boundary(&self, size: u64) -> Result<()> {
        let mut last = [0u8];
        self.read_bytes(&mut last, size - 1)?;
        self.set_size(size - 1)?;
        self.write_bytes(&last, size - 1)
    }

    fn set_size(&self, size: u64) -> Result<()> {
        self.mount.change(|call| self.punch(call, size, TO_THE_END))
    }

    /// Zeroes a range without changing the size (`FALLOC_FL_PUNCH_HOLE|FALLOC_FL_KEEP_SIZE`); two
    /// DFS calls, three where the range reaches the end of file: `dfs_punch` would shorten the
    /// file there, so that its last byte is overwritten instead.
    pub fn punch_hole(&self, offset: u64, len: u64) -> Result<()> {
        self.is_writable_file(Errno::EBADF)?;
        if len == 0 || offset > MAX_OFFSET {
            return Err(Errno::EINVAL);
        }
        let size = self.size()?;
        let end = offset.saturating_add(len);
        if offset >= size {
            return Ok(());
        }
        if end < size {
            return self.mount.change(|call| self.punch(call, offset, len));
        }
        if offset < size - 1 {
            self.mount
                .change(|call| self.punch(call, offset, size - 1 - offset))?;
        }
        self.write_bytes(&[0], size - 1)
    }

    fn punch(&self, call: &Call<'_>, offset: u64, len: u64) -> i32 {
        // SAFETY: the handle is alive.
        unsafe { (call.api.dfs_punch)(call.dfs(), self.raw(call), offset, len) }
    }

    /// [`Object::read`] into a slice.
    pub fn read_bytes(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        let iov = libc::iovec {
            iov_base: buf.as_mut_ptr().cast(),
            iov_len: buf.len(),
        };
        // SAFETY: the slice is writable for its length.
        unsafe { self.read(&[iov], offset) }
    }

    /// [`Object::write`] of a whole slice.
    pub fn write_bytes(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let iov = libc::iovec {
            iov_base: bytes.as_ptr().cast_mut().cast(),
            iov_len: bytes.len(),
        };
        // SAFETY: the slice is readable for its length; a write does not change it.
        unsafe { self.write(&[iov], offset) }.map(drop)
    }

    fn is_file(&self) -> Result<()> {
        match self.kind() {
            Kind::File => Ok(()),
            Kind::Directory => Err(Errno::EISDIR),
            Kind::Symlink => Err(Errno::EINVAL),
        }
    }

    fn is_writable_file(&self, otherwise: Errno) -> Result<()> {
        self.is_file()?;
        match self.access() {
            Access::ReadWrite => Ok(()),
            Access::Read => Err(otherwise),
        }
    }
}

/// Calls `f` with the vector as libdfs wants it and its total length, cut at [`MAX_TRANSFER`];
/// empty buffers are left out.
fn with_list<R>(iov: &[libc::iovec], f: impl FnOnce(*mut d_sg_list_t, usize) -> R) -> R {
    let mut inline = [const { MaybeUninit::<d_iov_t>::uninit() }; INLINE];
    let mut spill = Vec::new();
    let room: &mut [MaybeUninit<d_iov_t>] = if iov.len() <= INLINE {
        &mut inline
    } else {
        spill.resize_with(iov.len(), MaybeUninit::uninit);
        &mut spill
    };
    let (mut count, mut total) = (0, 0);
    for v in iov {
        let len = v.iov_len.min(MAX_TRANSFER - total);
        if len == 0 {
            continue;
        }
        room[count].write(d_iov_t {
            iov_buf: v.iov_base,
            iov_buf_len: len as u64,
            iov_len: len as u64,
        });
        count += 1;
        total += len;
    }
    let mut list = d_sg_list_t {
        sg_nr: count as u32,
        sg_nr_out: 0,
        sg_iovs: room.as_mut_ptr().cast(),
    };
    f(&mut list, total)
}
