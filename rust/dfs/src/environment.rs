//! Variables of the environment while libdaos starts: it reads its settings there, and children must
//! not inherit what we added. Nobody else may be in the environment meanwhile, as with any
//! setenv(3): that is the contract of `Client::start_logging`.
use std::ffi::{c_char, c_int, c_void, CStr};

/// A variable of the environment for the time of `daos_init`, taken away again on drop. What the
/// user set stays.
pub(crate) struct Variable {
    name: &'static CStr,
    undo: Undo,
}

enum Undo {
    Nothing,
    Unset,
    Empty,
}

impl Variable {
    /// Sets it, unless the user did.
    pub(crate) fn set(name: &'static CStr, value: &CStr) -> Variable {
        // SAFETY: the environment is read; see the contract of `Client::start_logging`.
        let old = unsafe { libc::getenv(name.as_ptr()).as_ref() };
        let undo = match old {
            None => Undo::Unset,
            Some(0) => Undo::Empty,
            Some(_) => Undo::Nothing,
        };
        if !matches!(undo, Undo::Nothing) {
            // SAFETY: see the contract of `Client::start_logging`.
            unsafe { Editor::of_libc().set(name, value) };
            // SAFETY: as above.
            if unsafe { libc::getenv(name.as_ptr()).as_ref() }.is_none_or(|&c| c == 0) {
                // SAFETY: as above.
                unsafe { Editor::of_program().set(name, value) };
            }
        }
        Variable { name, undo }
    }
}

impl Drop for Variable {
    fn drop(&mut self) {
        for editor in [Editor::of_libc(), Editor::of_program()] {
            // SAFETY: see the contract of `Client::start_logging`.
            unsafe {
                match self.undo {
                    Undo::Nothing => {}
                    // A program with an environment of its own may not have begun to use it.
                    Undo::Unset if libc::getenv(self.name.as_ptr()).is_null() => {}
                    Undo::Unset => editor.unset(self.name),
                    Undo::Empty => editor.set(self.name, c""),
                }
            }
        }
    }
}

type Set = unsafe extern "C" fn(*const c_char, *const c_char, c_int) -> c_int;
type Unset = unsafe extern "C" fn(*const c_char) -> c_int;

/// Who keeps the environment. Shells define getenv and setenv of their own, over their variables:
/// libdaos sees the shell's once the shell runs, and libc's before. The shell's setenv called
/// before its main is the beginning of an empty set of variables - so libc's comes first, and the
/// program's only if that is not what getenv shows.
struct Editor {
    set: Set,
    unset: Unset,
}

impl Editor {
    fn of_program() -> Editor {
        Editor {
            set: libc::setenv,
            unset: libc::unsetenv,
        }
    }

    /// libc's own functions, whatever the program defines.
    fn of_libc() -> Editor {
        let find = |name: &CStr| {
            // SAFETY: libc is loaded already; its handle is never closed.
            unsafe {
                let libc = libc::dlopen(c"libc.so.6".as_ptr(), libc::RTLD_NOLOAD | libc::RTLD_LAZY);
                (!libc.is_null())
                    .then(|| libc::dlsym(libc, name.as_ptr()))
                    .filter(|f| !f.is_null())
            }
        };
        match (find(c"setenv"), find(c"unsetenv")) {
            // SAFETY: these are the types of setenv(3) and unsetenv(3).
            (Some(set), Some(unset)) => unsafe {
                Editor {
                    set: std::mem::transmute::<*mut c_void, Set>(set),
                    unset: std::mem::transmute::<*mut c_void, Unset>(unset),
                }
            },
            _ => Editor::of_program(),
        }
    }

    /// # Safety
    /// As setenv(3): nobody else uses the environment meanwhile.
    unsafe fn set(&self, name: &CStr, value: &CStr) {
        // SAFETY: two strings; the rest is the caller's promise.
        unsafe { (self.set)(name.as_ptr(), value.as_ptr(), 1) };
    }

    /// # Safety
    /// As unsetenv(3).
    unsafe fn unset(&self, name: &CStr) {
        // SAFETY: a string; the rest is the caller's promise.
        unsafe { (self.unset)(name.as_ptr()) };
    }
}
