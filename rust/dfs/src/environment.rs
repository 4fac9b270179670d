//! Variables of the environment while libdaos starts: it reads its settings there and leaves some
//! of its own, and children must inherit neither. Nobody else may be in the environment meanwhile,
//! as with any setenv(3): that is the contract of `Client::start_logging`.
use std::ffi::{c_char, c_int, c_void, CStr, CString};

/// A variable of the environment for the time of `daos_init`, taken away again on drop. What the
/// user set stays.
pub(crate) struct Variable<'a> {
    name: &'a CStr,
    undo: Undo,
    /// Only in the program's own environment, not in libc's.
    own: bool,
}

enum Undo {
    Nothing,
    Unset,
    Empty,
}

impl<'a> Variable<'a> {
    /// Sets it, unless the user did.
    pub(crate) fn set(name: &'a CStr, value: &CStr) -> Variable<'a> {
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
        let own = false;
        Variable { name, undo, own }
    }

    /// Sets it where the program keeps an environment of its own, and nowhere else.
    fn set_own(name: &'a CStr, value: &CStr) -> Variable<'a> {
        let undo = match value_of(name) {
            None => Undo::Unset,
            Some(_) => Undo::Empty,
        };
        // SAFETY: see the contract of `Client::start_logging`.
        unsafe { Editor::of_program().set(name, value) };
        let own = true;
        Variable { name, undo, own }
    }
}

impl Drop for Variable<'_> {
    fn drop(&mut self) {
        let libc = (!self.own).then(Editor::of_libc);
        for editor in libc.into_iter().chain([Editor::of_program()]) {
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

/// What libdaos, CaRT and libfabric are known to set. A shell keeps its variables where `environ`
/// does not show them, so that these are asked for by name.
const KNOWN: &[&CStr] = &[
    c"FI_UNIVERSE_SIZE",
    c"FI_OFI_RXM_USE_SRX",
    c"FI_OFI_RXM_DEF_TCP_WAIT_OBJ",
    c"FI_CXI_DEFAULT_CQ_SIZE",
    c"FI_CXI_OFLOW_BUF_SIZE",
    c"FI_CXI_CQ_FILL_PERCENT",
    c"FI_MR_CACHE_MAX_COUNT",
    c"CRT_PHY_ADDR_STR",
    c"CRT_SECONDARY_PROVIDER",
    c"CRT_TIMEOUT",
    c"D_INTERFACE",
    c"D_DOMAIN",
    c"D_PROVIDER",
    c"D_PORT_AUTO_ADJUST",
    c"OFI_INTERFACE",
    c"OFI_DOMAIN",
    c"UCX_IB_FORK_INIT",
];

extern "C" {
    static mut environ: *const *const c_char;
}

/// Settings that getenv shows for the time of one call, in a fork child: there setenv(3) may wait
/// for ever, because libc's lock stays with a thread that the child does not have. `environ` is
/// turned to a longer list and back. What is set already stays.
pub(crate) struct Overlay<'a> {
    before: *const *const c_char,
    shown: *const *const c_char,
    /// For a program with an environment of its own, which `environ` does not change.
    own: Vec<Variable<'a>>,
}

impl<'a> Overlay<'a> {
    pub(crate) fn show(settings: &'a [Pair]) -> Overlay<'a> {
        // SAFETY: a word that libc and the program change as a whole.
        let before = unsafe { environ };
        let missing = |(name, _): &&Pair| value_of(name).is_none_or(|old| old.is_empty());
        let added: Vec<&Pair> = settings.iter().filter(missing).collect();
        let mut list: Vec<*const c_char> = Vec::new();
        for (name, value) in &added {
            let text = [name.as_bytes(), b"=", value.as_bytes()].concat();
            list.extend(CString::new(text).map(|entry| entry.into_raw().cast_const()));
        }
        // SAFETY: null or a list of strings that ends with null.
        unsafe {
            let mut place = before;
            while !place.is_null() && !(*place).is_null() {
                list.push(*place);
                place = place.add(1);
            }
        }
        list.push(std::ptr::null());
        // Left for good, as setenv does: another thread may be reading it. Once a fork child.
        let shown = list.leak().as_ptr();
        // SAFETY: as above; the list is complete.
        unsafe { environ = shown };
        let hidden = added
            .iter()
            .filter(|(name, value)| value_of(name).as_ref() != Some(value));
        let own = hidden
            .map(|(name, value)| Variable::set_own(name, value))
            .collect();
        Overlay { before, shown, own }
    }
}

impl Drop for Overlay<'_> {
    fn drop(&mut self) {
        self.own.clear();
        // SAFETY: as in `show`. Whoever changed it meanwhile has made a copy, which stays.
        unsafe {
            if environ == self.shown {
                environ = self.before;
            }
        }
    }
}

/// A name and its value.
pub(crate) type Pair = (CString, CString);

/// The environment at one instant.
pub(crate) struct Snapshot {
    /// What `environ` shows, as `NAME=value`.
    entries: Vec<CString>,
    /// What getenv answers for [`KNOWN`].
    known: Vec<Option<CString>>,
}

impl Snapshot {
    pub(crate) fn take() -> Snapshot {
        Snapshot {
            entries: entries(),
            known: KNOWN.iter().map(|name| value_of(name)).collect(),
        }
    }

    /// Undoes every change since. Answers what had been added or changed, for
    /// [`Client::api`](crate::Client::api) of a fork child: libdaos reads it once more there.
    pub(crate) fn put_back(&self) -> Vec<Pair> {
        let mut changed = Vec::new();
        for entry in entries() {
            if let (Some((name, value)), false) = (split(&entry), self.entries.contains(&entry)) {
                changed.push((name, value));
            }
        }
        for (name, old) in KNOWN.iter().zip(&self.known) {
            let new = value_of(name);
            let is_known = changed.iter().any(|(known, _)| known.as_c_str() == *name);
            if let (Some(new), false) = (new.filter(|new| old.as_ref() != Some(new)), is_known) {
                changed.push(((*name).to_owned(), new));
            }
        }
        for (name, _) in &changed {
            let old = self.old_value(name);
            // libc's first, see `Editor`; the program's where getenv still shows the change.
            Editor::of_libc().put(name, old.as_deref());
            if value_of(name) != old {
                Editor::of_program().put(name, old.as_deref());
            }
        }
        changed
    }

    fn old_value(&self, name: &CStr) -> Option<CString> {
        let known = KNOWN.iter().position(|known| *known == name);
        let of_entry = |entry: &CString| split(entry).filter(|(known, _)| known.as_c_str() == name);
        known
            .and_then(|place| self.known[place].clone())
            .or_else(|| Some(self.entries.iter().find_map(of_entry)?.1))
    }
}

/// `environ`, copied: whoever changes it may free or reuse what it points to.
fn entries() -> Vec<CString> {
    let mut all = Vec::new();
    // SAFETY: null or a list of strings that ends with null; nobody changes it meanwhile, see the
    // contract of `Client::start_logging`.
    unsafe {
        let mut place = environ;
        while !place.is_null() && !(*place).is_null() {
            all.push(CStr::from_ptr(*place).to_owned());
            place = place.add(1);
        }
    }
    all
}

fn split(entry: &CStr) -> Option<Pair> {
    let bytes = entry.to_bytes();
    let equals = bytes.iter().position(|b| *b == b'=')?;
    let part = |bytes: &[u8]| CString::new(bytes).ok();
    Some((part(&bytes[..equals])?, part(&bytes[equals + 1..])?))
}

/// getenv(3), the program's own where it has one.
fn value_of(name: &CStr) -> Option<CString> {
    // SAFETY: as `entries`.
    unsafe {
        let value = libc::getenv(name.as_ptr());
        (!value.is_null()).then(|| CStr::from_ptr(value).to_owned())
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

    /// Gives a variable back its value, or none.
    fn put(&self, name: &CStr, value: Option<&CStr>) {
        // SAFETY: see the contract of `Client::start_logging`.
        unsafe {
            match value {
                Some(value) => self.set(name, value),
                None => self.unset(name),
            }
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
