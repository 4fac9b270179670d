//! The buffers of a data call: the application's iovecs, checked as the kernel checks them, copied
//! so that they cannot change under us; up to eight without the heap.
use crate::{user, Errno};

/// `UIO_FASTIOV` and `UIO_MAXIOV` of Linux.
const FAST: usize = 8;
const MAX: i64 = 1024;

/// `MAX_RW_COUNT`: no call moves more than this.
pub const MAX_BYTES: usize = 0x7fff_f000;

const NONE: libc::iovec = libc::iovec {
    iov_base: std::ptr::null_mut(),
    iov_len: 0,
};

/// One scatter list, at most [`MAX_BYTES`] long.
pub struct Buffers {
    few: [libc::iovec; FAST],
    many: Vec<libc::iovec>,
    len: usize,
    total: usize,
}

impl Buffers {
    /// The buffer of `read`: the count is cut to [`MAX_BYTES`]; a negative one is `EINVAL`.
    #[inline]
    pub fn one(base: i64, count: i64) -> Result<Buffers, Errno> {
        if count < 0 {
            return Err(Errno::EINVAL);
        }
        let total = (count as usize).min(MAX_BYTES);
        let mut few = [NONE; FAST];
        few[0] = libc::iovec {
            iov_base: base as usize as *mut _,
            iov_len: total,
        };
        Ok(Buffers {
            few,
            many: Vec::new(),
            len: 1,
            total,
        })
    }

    /// The iovecs of `readv`. `EINVAL` for more than 1024 or a negative length, `EFAULT`.
    pub fn import(iov: i64, count: i64) -> Result<Buffers, Errno> {
        // The kernel's count is an unsigned long, cut to int range by the same bound.
        if !(0..=MAX).contains(&count) {
            return Err(Errno::EINVAL);
        }
        let len = count as usize;
        user::readable(iov, len * size_of::<libc::iovec>())?;
        let mut buffers = Buffers {
            few: [NONE; FAST],
            many: Vec::new(),
            len,
            total: 0,
        };
        if len > FAST {
            buffers.many.resize(len, NONE);
        }
        let into = if len > FAST {
            buffers.many.as_mut_ptr()
        } else {
            buffers.few.as_mut_ptr()
        };
        if len > 0 {
            let from = iov as usize as *const libc::iovec;
            // SAFETY: probed above; `into` has room for len; the application keeps its array alive
            // during the call, as readv(2) demands.
            unsafe { std::ptr::copy(from, into, len) };
        }
        buffers.cut()?;
        Ok(buffers)
    }

    /// Lengths are checked all, then cut to [`MAX_BYTES`] in total.
    fn cut(&mut self) -> Result<(), Errno> {
        let list = if self.len > FAST {
            &mut self.many[..]
        } else {
            &mut self.few[..self.len]
        };
        if list.iter().any(|v| v.iov_len > isize::MAX as usize) {
            return Err(Errno::EINVAL);
        }
        let mut total = 0;
        for v in list {
            v.iov_len = v.iov_len.min(MAX_BYTES - total);
            total += v.iov_len;
        }
        self.total = total;
        Ok(())
    }

    /// True if the first bytes (8 at most) of the `n` that were read into them are zeros.
    ///
    /// # Safety
    /// The buffers must be readable.
    #[inline]
    pub unsafe fn begins_with_zeros(&self, n: usize) -> bool {
        let Some(first) = self.list().first() else {
            return false;
        };
        let len = n.min(first.iov_len).min(8);
        // SAFETY: the caller vouches for the buffer.
        len > 0 && (0..len).all(|i| unsafe { *first.iov_base.cast::<u8>().add(i) } == 0)
    }

    /// The buffers.
    #[inline]
    pub fn list(&self) -> &[libc::iovec] {
        match self.len > FAST {
            true => &self.many,
            false => &self.few[..self.len],
        }
    }

    /// Bytes in all of them.
    #[inline]
    pub fn total(&self) -> usize {
        self.total
    }

    /// Keeps the first `total` bytes.
    pub fn truncate(&mut self, total: usize) {
        let list = if self.len > FAST {
            &mut self.many[..]
        } else {
            &mut self.few[..self.len]
        };
        let mut left = total.min(self.total);
        self.total = left;
        for v in list {
            v.iov_len = v.iov_len.min(left);
            left -= v.iov_len;
        }
    }

    /// Checks that they can be written to; keeps what comes before the first bad page, as the
    /// kernel's copy does. `EFAULT` when nothing is left.
    #[inline]
    pub fn writable(&mut self) -> Result<(), Errno> {
        self.probe(user::writable)
    }

    /// Checks that they can be read from, likewise.
    #[inline]
    pub fn readable(&mut self) -> Result<(), Errno> {
        self.probe(user::readable)
    }

    #[inline]
    fn probe(&mut self, probe: fn(i64, usize) -> Result<(), Errno>) -> Result<(), Errno> {
        let good = |v: &libc::iovec| probe(v.iov_base as i64, v.iov_len).is_ok();
        if self.list().iter().all(good) {
            return Ok(());
        }
        self.keep_good(probe)
    }

    #[cold]
    fn keep_good(&mut self, probe: fn(i64, usize) -> Result<(), Errno>) -> Result<(), Errno> {
        const PAGE: usize = 4096;
        let mut total = 0;
        'all: for v in self.list() {
            let mut done = 0;
            while done < v.iov_len {
                let at = v.iov_base as usize + done;
                let step = (PAGE - at % PAGE).min(v.iov_len - done);
                if probe(at as i64, step).is_err() {
                    total += done;
                    break 'all;
                }
                done += step;
            }
            total += done;
        }
        if total == 0 {
            return Err(Errno::EFAULT);
        }
        self.truncate(total);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import(list: &[libc::iovec]) -> Result<Buffers, Errno> {
        Buffers::import(list.as_ptr() as i64, list.len() as i64)
    }

    fn vec_of(lens: &[usize]) -> Vec<libc::iovec> {
        lens.iter()
            .map(|&iov_len| libc::iovec { iov_len, ..NONE })
            .collect()
    }

    #[test]
    fn checked_as_the_kernel_does() {
        assert_eq!(import(&vec_of(&[1; 1025])).err(), Some(Errno::EINVAL));
        assert_eq!(import(&vec_of(&[1, usize::MAX])).err(), Some(Errno::EINVAL));
        assert_eq!(Buffers::import(0, -1).err(), Some(Errno::EINVAL));
        assert_eq!(Buffers::one(0, -1).err(), Some(Errno::EINVAL));
        assert_eq!(import(&vec_of(&[3; 1024])).unwrap().total(), 3072);
    }

    #[test]
    fn cut_to_the_most_a_call_moves() {
        let all = import(&vec_of(&[MAX_BYTES - 10, 20, 5])).unwrap();
        assert_eq!(all.total(), MAX_BYTES);
        assert_eq!(
            all.list().iter().map(|v| v.iov_len).collect::<Vec<_>>(),
            [MAX_BYTES - 10, 10, 0]
        );
        let mut few = import(&vec_of(&[4, 4, 4])).unwrap();
        few.truncate(6);
        assert_eq!(
            few.list().iter().map(|v| v.iov_len).collect::<Vec<_>>(),
            [4, 2, 0]
        );
        assert_eq!(few.total(), 6);
    }

    #[test]
    fn bytes_before_a_bad_page_count() {
        let below = |at: i64, len: usize| match at as usize + len <= 0x3000 {
            true => Ok(()),
            false => Err(Errno::EFAULT),
        };
        let mut all = Buffers::one(0x1800, 0x4000).unwrap();
        all.keep_good(below).unwrap();
        assert_eq!(all.total(), 0x1800);
        assert_eq!(
            Buffers::one(0x3000, 1).unwrap().keep_good(below),
            Err(Errno::EFAULT)
        );
    }
}
