//! The application's memory. Pointers come from programs and may be wrong: they are touched under
//! the entry layer's fault fix-up first and answer `EFAULT`, as the kernel would.
//! Without an entry layer (unit tests) they are trusted.
use crate::Errno;
use once_cell::sync::OnceCell;
use std::ffi::CString;

/// The entry layer's routines (see c/pil.h for their contracts).
pub struct Hooks {
    /// `pil_probe_read`: 0 or `-EFAULT`.
    pub probe_read: unsafe extern "C" fn(*const u8, usize) -> i64,
    /// `pil_probe_write`: 0 or `-EFAULT`.
    pub probe_write: unsafe extern "C" fn(*mut u8, usize) -> i64,
    /// `pil_copy_path`: length without NUL, `-EFAULT` or `-ENAMETOOLONG`.
    pub copy_path: unsafe extern "C" fn(*mut u8, *const u8, usize) -> i64,
    /// `pil_is_alone`: the process is known to have one thread.
    pub is_alone: unsafe extern "C" fn() -> bool,
    /// `pil_depth`: above 0 a call is made by us or by libdaos beneath us.
    pub depth: unsafe extern "C" fn() -> u32,
}

/// True when the call being served was made beneath us (by libdaos or what it loads).
pub fn beneath() -> bool {
    // SAFETY: the routine reads one thread-local word.
    HOOKS.get().is_some_and(|h| unsafe { (h.depth)() } > 0)
}

/// True if the process is known to have one thread only.
pub fn is_alone() -> bool {
    // SAFETY: the routine reads one byte.
    HOOKS.get().is_some_and(|h| unsafe { (h.is_alone)() })
}

/// Set once by the entry layer.
pub static HOOKS: OnceCell<Hooks> = OnceCell::new();

/// `PATH_MAX`: bytes of a path with its NUL.
pub const PATH_MAX: usize = 4096;

/// Copies a path. `EFAULT`, or `ENAMETOOLONG` from 4096 bytes on. A null pointer is `EFAULT`.
pub fn path(ptr: i64) -> Result<CString, Errno> {
    string(ptr, PATH_MAX, Errno::ENAMETOOLONG)
}

/// Room for a path on the stack: calls on paths need no allocation for it.
pub struct PathBuffer(std::mem::MaybeUninit<[u8; PATH_MAX]>);

impl PathBuffer {
    /// Room, not cleared.
    #[inline]
    pub const fn new() -> PathBuffer {
        PathBuffer(std::mem::MaybeUninit::uninit())
    }

    /// As [`path`], into this buffer; without the NUL.
    #[inline]
    pub fn copy(&mut self, ptr: i64) -> Result<&[u8], Errno> {
        let src = ptr as usize as *const u8;
        if src.is_null() {
            return Err(Errno::EFAULT);
        }
        let to = self.0.as_mut_ptr().cast::<u8>();
        let len = match HOOKS.get() {
            // SAFETY: the routine writes at most PATH_MAX bytes and reads src under its fix-up.
            Some(hooks) => match unsafe { (hooks.copy_path)(to, src, PATH_MAX) } {
                n if n >= 0 => n as usize,
                n => return Err(Errno(-n as i32)),
            },
            None => {
                // SAFETY: without an entry layer callers pass valid strings.
                let bytes = unsafe { std::ffi::CStr::from_ptr(src.cast()) }.to_bytes();
                if bytes.len() >= PATH_MAX {
                    return Err(Errno::ENAMETOOLONG);
                }
                // SAFETY: shorter than the buffer, which overlaps nothing of the caller's.
                unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
                bytes.len()
            }
        };
        // SAFETY: len bytes were written.
        Ok(unsafe { std::slice::from_raw_parts(to, len) })
    }
}

impl Default for PathBuffer {
    fn default() -> Self {
        PathBuffer::new()
    }
}

/// Copies a NUL-terminated string of less than `max` bytes; longer ones answer `too_long`.
pub fn string(ptr: i64, max: usize, too_long: Errno) -> Result<CString, Errno> {
    let src = ptr as usize as *const u8;
    if src.is_null() {
        return Err(Errno::EFAULT);
    }
    let mut buf = Vec::with_capacity(256.min(max));
    let Some(hooks) = HOOKS.get() else {
        // SAFETY: without an entry layer callers pass valid strings.
        return Ok(unsafe { std::ffi::CStr::from_ptr(src.cast()) }.to_owned());
    };
    loop {
        let cap = buf.capacity();
        // SAFETY: the routine writes at most `cap` bytes and reads src under its fix-up.
        match unsafe { (hooks.copy_path)(buf.as_mut_ptr(), src, cap) } {
            n if n >= 0 => {
                // SAFETY: n bytes were written.
                unsafe { buf.set_len(n as usize) };
                // SAFETY: the copy ended at the first NUL, so there is none inside.
                return Ok(unsafe { CString::from_vec_unchecked(buf) });
            }
            n if n == -i64::from(libc::ENAMETOOLONG) => {
                if cap >= max {
                    return Err(too_long);
                }
                buf = Vec::with_capacity((cap * 4).min(max));
            }
            _ => return Err(Errno::EFAULT),
        }
    }
}

/// Checks that `len` bytes can be read.
pub fn readable(ptr: i64, len: usize) -> Result<(), Errno> {
    if len == 0 {
        return Ok(());
    }
    match HOOKS.get() {
        // SAFETY: the routine touches memory only under its fix-up.
        Some(h) if unsafe { (h.probe_read)(ptr as usize as *const u8, len) } < 0 => {
            Err(Errno::EFAULT)
        }
        _ if ptr == 0 => Err(Errno::EFAULT),
        _ => Ok(()),
    }
}

/// Checks that `len` bytes can be written.
pub fn writable(ptr: i64, len: usize) -> Result<(), Errno> {
    if len == 0 {
        return Ok(());
    }
    match HOOKS.get() {
        // SAFETY: as above.
        Some(h) if unsafe { (h.probe_write)(ptr as usize as *mut u8, len) } < 0 => {
            Err(Errno::EFAULT)
        }
        _ if ptr == 0 => Err(Errno::EFAULT),
        _ => Ok(()),
    }
}

/// Reads a plain value of the application.
pub fn get<T: Copy>(ptr: i64) -> Result<T, Errno> {
    readable(ptr, size_of::<T>())?;
    // SAFETY: probed; T is a plain C type by the callers' choice.
    Ok(unsafe { (ptr as usize as *const T).read_unaligned() })
}

/// Writes a plain value to the application.
pub fn put<T: Copy>(ptr: i64, value: T) -> Result<(), Errno> {
    writable(ptr, size_of::<T>())?;
    // SAFETY: probed.
    unsafe { (ptr as usize as *mut T).write_unaligned(value) };
    Ok(())
}

/// Copies bytes to the application.
pub fn put_bytes(ptr: i64, bytes: &[u8]) -> Result<(), Errno> {
    writable(ptr, bytes.len())?;
    // SAFETY: probed.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), ptr as usize as *mut u8, bytes.len()) };
    Ok(())
}
