//! funchook's C API over the built-in engine ([`crate::entry`]), or over an
//! installed libfunchook (feature `system`). Same functions, same numbers, so
//! that callers need not know which; our own C symbols begin with `pil_`.
//! A handle belongs to one thread at a time.
//!
//! The intercepting library hooks no function entries: its call sites are
//! [`crate::patch`]'s, whichever engine is chosen. This interface is for
//! programs and crates that use funchook-sys themselves.
//!
//! With other threads running the built-in engine changes an entry only where
//! one aligned eight-byte store over one instruction does it; otherwise `install` and
//! `uninstall` answer [`INTERNAL_ERROR`] and change nothing. libfunchook does not
//! look for threads: there the caller has to be alone.

use core::ffi::{c_char, c_int, c_void, CStr};

/// Worked.
pub const SUCCESS: c_int = 0;
/// Something inside went wrong; see the message.
pub const INTERNAL_ERROR: c_int = -1;
pub const OUT_OF_MEMORY: c_int = 1;
pub const ALREADY_INSTALLED: c_int = 2;
/// The function cannot be read.
pub const DISASSEMBLY: c_int = 3;
/// The first instructions are relative to their place in a way that cannot be moved.
pub const IP_RELATIVE_OFFSET: c_int = 4;
pub const CANNOT_FIX_IP_RELATIVE: c_int = 5;
/// The function jumps back among its first instructions.
pub const FOUND_BACK_JUMP: c_int = 6;
pub const TOO_SHORT_INSTRUCTIONS: c_int = 7;
pub const MEMORY_ALLOCATION: c_int = 8;
/// The kernel refuses to change text.
pub const MEMORY_FUNCTION: c_int = 9;
pub const NOT_INSTALLED: c_int = 10;
pub const NO_AVAILABLE_REGISTERS: c_int = 11;
pub const NO_SPACE_NEAR_TARGET_ADDR: c_int = 12;

#[cfg(feature = "system")]
mod engine {
    use super::*;

    /// An installed libfunchook's handle.
    #[repr(C)]
    pub struct Funchook {
        _opaque: [u8; 0],
    }

    #[link(name = "funchook")]
    extern "C" {
        pub fn funchook_create() -> *mut Funchook;
        pub fn funchook_prepare(
            handle: *mut Funchook,
            target: *mut *mut c_void,
            hook: *mut c_void,
        ) -> c_int;
        pub fn funchook_install(handle: *mut Funchook, flags: c_int) -> c_int;
        pub fn funchook_uninstall(handle: *mut Funchook, flags: c_int) -> c_int;
        pub fn funchook_destroy(handle: *mut Funchook) -> c_int;
        pub fn funchook_error_message(handle: *const Funchook) -> *const c_char;
        pub fn funchook_set_debug_file(name: *const c_char) -> c_int;
    }
}

#[cfg(all(feature = "builtin", not(feature = "system")))]
mod engine {
    use super::*;
    use crate::entry::{Hooks, Refusal};
    use crate::kernel;
    use core::sync::atomic::{AtomicI32, Ordering};
    use std::ffi::CString;

    /// A set of hooks and the last error's message.
    #[derive(Default)]
    pub struct Funchook {
        hooks: Hooks,
        message: CString,
    }

    /// Where the debug file is open; -1 nowhere.
    static DEBUG: AtomicI32 = AtomicI32::new(-1);

    impl Funchook {
        fn outcome<T>(&mut self, what: &str, result: Result<T, Refusal>) -> Result<T, c_int> {
            let text = match &result {
                Ok(_) => String::new(),
                Err(why) => format!("{what}: {why:?}"),
            };
            debug(what, &text);
            self.message = CString::new(text).unwrap_or_default();
            result.map_err(code)
        }
    }

    fn code(why: Refusal) -> c_int {
        match why {
            Refusal::NotAFunction | Refusal::Undecodable => DISASSEMBLY,
            Refusal::Branch => IP_RELATIVE_OFFSET,
            Refusal::JumpsBack => FOUND_BACK_JUMP,
            Refusal::TooShort => TOO_SHORT_INSTRUCTIONS,
            Refusal::TooFar => NO_SPACE_NEAR_TARGET_ADDR,
            Refusal::Installed => ALREADY_INSTALLED,
            Refusal::NotInstalled => NOT_INSTALLED,
            Refusal::Threads => INTERNAL_ERROR,
            Refusal::Write(_) => MEMORY_FUNCTION,
        }
    }

    fn debug(what: &str, text: &str) {
        let fd = DEBUG.load(Ordering::Relaxed);
        if fd < 0 {
            return;
        }
        let line = format!(
            "funchook: {what} {}\n",
            if text.is_empty() { "ok" } else { text }
        );
        let args = [fd as usize, line.as_ptr() as usize, line.len(), 0, 0, 0];
        // SAFETY: the line is readable.
        unsafe { kernel::syscall(libc::SYS_write, args) };
    }

    /// A new, empty set of hooks; never null.
    #[export_name = "pil_funchook_create"]
    pub extern "C" fn funchook_create() -> *mut Funchook {
        Box::into_raw(Box::default())
    }

    /// Prepares a hook; `*target` becomes the address to call for the original.
    ///
    /// # Safety
    /// `handle` comes from [`funchook_create`]; `target` points to the address of a
    /// function that `hook` can stand in for.
    #[export_name = "pil_funchook_prepare"]
    pub unsafe extern "C" fn funchook_prepare(
        handle: *mut Funchook,
        target: *mut *mut c_void,
        hook: *mut c_void,
    ) -> c_int {
        // SAFETY: the caller's promise.
        let (handle, target) = unsafe { (&mut *handle, &mut *target) };
        let result = handle.hooks.prepare(*target as usize, hook as usize);
        match handle.outcome(&format!("prepare {:p}", *target), result) {
            Ok(original) => {
                *target = original as *mut c_void;
                SUCCESS
            }
            Err(code) => code,
        }
    }

    /// Puts all prepared hooks in place, or none.
    ///
    /// # Safety
    /// `handle` comes from [`funchook_create`].
    #[export_name = "pil_funchook_install"]
    pub unsafe extern "C" fn funchook_install(handle: *mut Funchook, _flags: c_int) -> c_int {
        // SAFETY: the caller's promise.
        let handle = unsafe { &mut *handle };
        let result = handle.hooks.install();
        handle.outcome("install", result).err().unwrap_or(SUCCESS)
    }

    /// Takes all hooks away. The originals' addresses stay callable.
    ///
    /// # Safety
    /// `handle` comes from [`funchook_create`].
    #[export_name = "pil_funchook_uninstall"]
    pub unsafe extern "C" fn funchook_uninstall(handle: *mut Funchook, _flags: c_int) -> c_int {
        // SAFETY: the caller's promise.
        let handle = unsafe { &mut *handle };
        let result = handle.hooks.uninstall();
        handle.outcome("uninstall", result).err().unwrap_or(SUCCESS)
    }

    /// Frees the handle, unless its hooks are installed.
    ///
    /// # Safety
    /// `handle` comes from [`funchook_create`], and is not used again after success.
    #[export_name = "pil_funchook_destroy"]
    pub unsafe extern "C" fn funchook_destroy(handle: *mut Funchook) -> c_int {
        // SAFETY: the caller's promise.
        unsafe {
            if (*handle).hooks.installed() {
                return (*handle)
                    .outcome::<()>("destroy", Err(Refusal::Installed))
                    .err()
                    .unwrap_or(SUCCESS);
            }
            drop(Box::from_raw(handle));
        }
        SUCCESS
    }

    /// The last call's error, empty after success; valid until the next call.
    ///
    /// # Safety
    /// `handle` comes from [`funchook_create`].
    #[export_name = "pil_funchook_error_message"]
    pub unsafe extern "C" fn funchook_error_message(handle: *const Funchook) -> *const c_char {
        // SAFETY: the caller's promise.
        unsafe { (*handle).message.as_ptr() }
    }

    /// Appends an account of every call to the file `name`; null stops that.
    ///
    /// # Safety
    /// `name` is null or a C string.
    #[export_name = "pil_funchook_set_debug_file"]
    pub unsafe extern "C" fn funchook_set_debug_file(name: *const c_char) -> c_int {
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND | libc::O_CLOEXEC;
        let mut fd = -1;
        if !name.is_null() {
            let args = [
                libc::AT_FDCWD as usize,
                name as usize,
                flags as usize,
                0o644,
                0,
                0,
            ];
            // SAFETY: `name` is a C string.
            match kernel::check(unsafe { kernel::syscall(libc::SYS_openat, args) }) {
                Ok(new) => fd = new as i32,
                Err(_) => return INTERNAL_ERROR,
            }
        }
        let old = DEBUG.swap(fd, Ordering::Relaxed);
        if old >= 0 {
            // SAFETY: the descriptor was ours alone.
            unsafe { kernel::syscall(libc::SYS_close, [old as usize, 0, 0, 0, 0, 0]) };
        }
        SUCCESS
    }
}

pub use engine::*;

/// A handle that goes away with its scope, taking its hooks with it.
pub struct Handle(*mut Funchook);

impl Handle {
    /// Null handles (no memory) become `None`.
    pub fn new() -> Option<Handle> {
        // SAFETY: no precondition.
        #[allow(unused_unsafe)]
        let handle = unsafe { funchook_create() };
        (!handle.is_null()).then_some(Handle(handle))
    }

    /// Prepares to send calls of `target` to `hook`; the address of the original.
    ///
    /// # Safety
    /// `target` is a function's address and `hook` can stand in for it.
    pub unsafe fn prepare(&mut self, target: usize, hook: usize) -> Result<usize, c_int> {
        let mut target = target as *mut c_void;
        // SAFETY: the handle is live; the rest is the caller's promise.
        match unsafe { funchook_prepare(self.0, &raw mut target, hook as *mut c_void) } {
            SUCCESS => Ok(target as usize),
            code => Err(code),
        }
    }

    /// Puts the hooks in place.
    pub fn install(&mut self) -> Result<(), c_int> {
        // SAFETY: the handle is live.
        match unsafe { funchook_install(self.0, 0) } {
            SUCCESS => Ok(()),
            code => Err(code),
        }
    }

    /// Takes the hooks away.
    pub fn uninstall(&mut self) -> Result<(), c_int> {
        // SAFETY: the handle is live.
        match unsafe { funchook_uninstall(self.0, 0) } {
            SUCCESS => Ok(()),
            code => Err(code),
        }
    }

    /// What the last call complained about.
    pub fn message(&self) -> &CStr {
        // SAFETY: the handle is live, and the message is as long as no call is made.
        unsafe { CStr::from_ptr(funchook_error_message(self.0)) }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the handle is live, and this is its last use. What cannot be
        // uninstalled is not destroyed.
        unsafe {
            funchook_uninstall(self.0, 0);
            funchook_destroy(self.0);
        }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::fixture::in_child;
    use crate::text;

    extern "C" fn hook(_: *const c_char) -> c_int {
        42
    }

    fn target() -> usize {
        libc::rmdir as *const () as usize
    }

    fn prepare(handle: &mut Handle) -> Result<usize, c_int> {
        // SAFETY: the hook has rmdir's type.
        unsafe { handle.prepare(target(), hook as *const () as usize) }
    }

    fn seen() -> bool {
        // SAFETY: rmdir of a C string that names nothing.
        unsafe { libc::rmdir(c"/nonexistent".as_ptr()) == 42 }
    }

    /// The first bytes of rmdir, more than any engine moves.
    fn entry() -> [u8; 32] {
        let mut bytes = [0; 32];
        text::read(target(), &mut bytes);
        bytes
    }

    #[test]
    fn hooks_a_function_of_libc_and_lets_it_go() {
        in_child(|| {
            let before = entry();
            let mut handle = Handle::new().unwrap();
            let original = prepare(&mut handle).unwrap();
            assert!(original != target() && !seen());
            handle.install().unwrap();
            assert!(seen() && entry() != before);
            assert_eq!(handle.install(), Err(ALREADY_INSTALLED));
            assert_eq!(prepare(&mut handle), Err(ALREADY_INSTALLED));
            assert!(!handle.message().is_empty());
            handle.uninstall().unwrap();
            assert!(!seen());
            assert_eq!(entry(), before);
            assert_eq!(handle.uninstall(), Err(NOT_INSTALLED));
            handle.install().unwrap();
            drop(handle);
            !seen() && entry() == before
        });
    }

    #[test]
    fn the_original_stays_callable() {
        in_child(|| {
            let mut handle = Handle::new().unwrap();
            let original = prepare(&mut handle).unwrap();
            // SAFETY: what prepare answers does what rmdir does.
            let original: extern "C" fn(*const c_char) -> c_int =
                unsafe { core::mem::transmute(original) };
            handle.install().unwrap();
            let failed = original(c"/nonexistent".as_ptr()) == -1;
            let errno = std::io::Error::last_os_error().raw_os_error();
            failed && errno == Some(libc::ENOENT) && seen()
        });
    }

    #[test]
    fn what_is_installed_is_not_destroyed() {
        in_child(|| {
            let mut handle = Handle::new().unwrap();
            prepare(&mut handle).unwrap();
            handle.install().unwrap();
            // SAFETY: the handle is live, and stays so when this fails.
            assert_eq!(unsafe { funchook_destroy(handle.0) }, ALREADY_INSTALLED);
            seen()
        });
    }

    #[test]
    fn calls_are_written_to_the_debug_file() {
        in_child(|| {
            let dir = crate::fixture::temporary().into_string().unwrap();
            let path = std::ffi::CString::new(format!("{dir}/debug")).unwrap();
            // SAFETY: a C string, then null.
            unsafe {
                assert_eq!(funchook_set_debug_file(path.as_ptr()), SUCCESS);
                let mut handle = Handle::new().unwrap();
                prepare(&mut handle).unwrap();
                funchook_set_debug_file(core::ptr::null());
            }
            let said = std::fs::read(path.to_str().unwrap()).unwrap();
            std::fs::remove_dir_all(dir).unwrap();
            !said.is_empty()
        });
    }

    // libfunchook explains a failed prepare only, and keeps that text.
    #[cfg(not(feature = "system"))]
    #[test]
    fn every_failure_is_explained_until_the_next_success() {
        in_child(|| {
            let mut handle = Handle::new().unwrap();
            assert_eq!(handle.uninstall(), Err(NOT_INSTALLED));
            assert!(!handle.message().is_empty());
            prepare(&mut handle).unwrap();
            handle.message().is_empty()
        });
    }

    // libfunchook believes that what it is given is a function.
    #[cfg(not(feature = "system"))]
    #[test]
    fn refuses_what_is_no_function() {
        let mut handle = Handle::new().unwrap();
        // SAFETY: refused before it is touched.
        assert_eq!(unsafe { handle.prepare(8, 8) }, Err(DISASSEMBLY));
        assert!(handle.message().to_str().unwrap().contains("prepare"));
    }

    // Otherwise the other tests would only prove the engine built in.
    #[cfg(feature = "system")]
    #[test]
    fn the_functions_are_those_of_the_shared_library() {
        // SAFETY: dladdr fills in what it is given, of an address of this process.
        let info = unsafe {
            let mut info: libc::Dl_info = core::mem::zeroed();
            assert_ne!(
                libc::dladdr(funchook_prepare as *const c_void, &raw mut info),
                0
            );
            CStr::from_ptr(info.dli_fname)
        };
        assert!(
            info.to_str().unwrap().contains("libfunchook.so"),
            "{info:?}"
        );
    }
}
