//! What starting libdaos leaves in a process, and its removal: the limit of descriptors it raises,
//! the variables it sets, the signal handlers that it or the fabric installs. The program gets back
//! what it had; descriptors that libdaos opened stay open above a limit lowered again.
use crate::environment::{Pair, Snapshot};
use daos_sys::Api;
use std::ffi::{c_int, c_long, c_void};

/// Signals are 1 to 64; what Linux knows of one takes 32 bytes.
const SIGNALS: usize = 64;

/// `struct sigaction` as the kernel has it, on all 64-bit machines.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Action {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}

/// The state of the process before `daos_init`.
pub(crate) struct Footprint {
    limit: Option<libc::rlimit>,
    actions: [Action; SIGNALS],
    environment: Snapshot,
}

impl Footprint {
    /// About 70 system calls; nothing is changed.
    pub(crate) fn take() -> Footprint {
        Footprint {
            limit: descriptor_limit(),
            actions: actions(),
            environment: Snapshot::take(),
        }
    }

    /// Puts everything back. A handler stays unless it is in code that came with libdaos or after
    /// it: another thread may have installed one of the program's own meanwhile. Answers the
    /// variables libdaos had set.
    pub(crate) fn put_back(&self, api: &Api) -> Vec<Pair> {
        if let Some(limit) = self.limit {
            let now = descriptor_limit();
            if now
                .is_some_and(|now| (now.rlim_cur, now.rlim_max) != (limit.rlim_cur, limit.rlim_max))
            {
                // SAFETY: a valid limit. Where the hard one was raised it is lowered again.
                unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
            }
        }
        for (signal, (old, new)) in (1..).zip(self.actions.iter().zip(&actions())) {
            if old != new && came_with(api.daos_init as usize, new.handler) {
                set_action(signal, old);
            }
        }
        self.environment.put_back()
    }
}

fn descriptor_limit() -> Option<libc::rlimit> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the result lives through the call.
    (unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } == 0).then_some(limit)
}

/// The kernel is asked, not libc's sigaction(3), which others replace.
fn actions() -> [Action; SIGNALS] {
    let mut all = [Action::default(); SIGNALS];
    for (place, action) in all.iter_mut().enumerate() {
        // SAFETY: the result lives through the call.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                place as c_long + 1,
                std::ptr::null::<Action>(),
                std::ptr::from_mut(action),
                8 as c_long,
            )
        };
    }
    all
}

fn set_action(signal: c_int, action: &Action) {
    // SAFETY: an action the kernel itself gave out earlier.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            c_long::from(signal),
            std::ptr::from_ref(action),
            std::ptr::null_mut::<Action>(),
            8 as c_long,
        )
    };
}

/// What [`came_with`] looks for, and the places in the loader's list where it is found.
struct Search {
    addresses: [usize; 2],
    found: [Option<usize>; 2],
    place: usize,
}

/// True if the code at `address` is in the object that holds `anchor`, or in one loaded later.
fn came_with(anchor: usize, address: usize) -> bool {
    let mut search = Search {
        addresses: [anchor, address],
        found: [None, None],
        place: 0,
    };
    // SAFETY: the callback is called with the last argument, which lives through the call.
    unsafe { libc::dl_iterate_phdr(Some(look), (&raw mut search).cast()) };
    matches!(search.found, [Some(anchor), Some(address)] if anchor <= address)
}

/// The loader lists objects in the order it loaded them.
unsafe extern "C" fn look(info: *mut libc::dl_phdr_info, _: usize, search: *mut c_void) -> c_int {
    // SAFETY: called by dl_iterate_phdr(3) with a valid description and our own search.
    let (info, search) = unsafe { (&*info, &mut *search.cast::<Search>()) };
    // SAFETY: as many headers as the description says, mapped while the object is.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    for (address, found) in search.addresses.iter().zip(&mut search.found) {
        let holds = |header: &libc::Elf64_Phdr| {
            let start = (info.dlpi_addr as usize).wrapping_add(header.p_vaddr as usize);
            header.p_type == libc::PT_LOAD && address.wrapping_sub(start) < header.p_memsz as usize
        };
        if headers.iter().any(holds) {
            *found = Some(search.place);
        }
    }
    search.place += 1;
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stub::{table, ENVIRONMENT};
    use crate::Client;
    use std::ffi::{CStr, CString};

    unsafe extern "C" fn handler(_: c_int) {}

    /// A start that leaves everything it can behind.
    unsafe extern "C" fn messy() -> c_int {
        // SAFETY: valid arguments; the environment is locked by the test.
        unsafe {
            let mut limit = descriptor_limit().unwrap();
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
            libc::setenv(c"FI_UNIVERSE_SIZE".as_ptr(), c"2048".as_ptr(), 1);
            libc::setenv(c"FROM_THE_AGENT".as_ptr(), c"1".as_ptr(), 1);
            libc::setenv(c"OF_THE_USER".as_ptr(), c"changed".as_ptr(), 1);
            for signal in [libc::SIGSEGV, libc::SIGTERM, libc::SIGUSR2, libc::SIGCHLD] {
                libc::signal(signal, handler as *const () as usize);
            }
        }
        0
    }

    fn value(name: &CStr) -> Option<CString> {
        // SAFETY: called with the environment locked.
        unsafe {
            let value = libc::getenv(name.as_ptr());
            (!value.is_null()).then(|| CStr::from_ptr(value).to_owned())
        }
    }

    /// What libdaos found in the environment when it attached a child.
    unsafe extern "C" fn look_around() -> c_int {
        let right = value(c"FI_UNIVERSE_SIZE").as_deref() == Some(c"2048")
            && value(c"FROM_THE_AGENT").as_deref() == Some(c"1")
            && value(c"OF_THE_USER").as_deref() == Some(c"kept");
        if right {
            0
        } else {
            -1003
        }
    }

    #[test]
    fn the_process_is_left_as_it_was_found() {
        let _alone = ENVIRONMENT.lock();
        let mut api = table(messy);
        api.daos_reinit = Some(look_around);
        // SAFETY: tests that start clients take turns; no other test looks at these.
        let before = unsafe {
            let mut limit = descriptor_limit().unwrap();
            limit.rlim_cur = limit.rlim_max.min(1000);
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
            libc::setenv(c"OF_THE_USER".as_ptr(), c"kept".as_ptr(), 1);
            libc::signal(libc::SIGTERM, libc::SIG_IGN);
            (limit.rlim_cur, actions(), Snapshot::take())
        };
        let client = Client::start(Box::leak(Box::new(api))).unwrap();
        assert_eq!(descriptor_limit().unwrap().rlim_cur, before.0);
        assert!(actions() == before.1);
        assert_eq!(before.2.put_back(), [], "nothing is left to be undone");
        assert_eq!(value(c"OF_THE_USER").as_deref(), Some(c"kept"));
        assert_eq!(value(c"FROM_THE_AGENT"), None);

        client.forked();
        assert!(client.api().is_ok());
        assert_eq!(before.2.put_back(), []);
        // SAFETY: as above.
        unsafe { libc::signal(libc::SIGTERM, libc::SIG_DFL) };
    }

    #[test]
    fn handlers_of_the_program_are_told_from_those_that_came_with_libdaos() {
        let here = messy as *const () as usize;
        let libc = libc::getpid as *const () as usize;
        assert!(came_with(here, handler as *const () as usize));
        assert!(came_with(here, libc), "libc is loaded after the program");
        assert!(!came_with(libc, here));
        assert!(!came_with(here, libc::SIG_IGN));
    }
}
