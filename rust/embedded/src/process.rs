//! This process's attachment to the store: made by `daos_init`, lost by fork (a page that the
//! kernel wipes in fork children says so), made again by `daos_reinit`. Never freed: calls of
//! other threads may be under way.
use crate::abi::glob::POOL_SIZE;
use crate::away::{self, Causes};
use crate::call::spin;
use crate::counters::{Counters, Word};
use crate::error::{der, Result};
use crate::fault::Faults;
use crate::log;
use crate::store::Store;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::time::Duration;

/// What `daos_init` makes.
pub struct Process {
    /// The store, open.
    pub store: Store,
    /// Calls per function.
    pub counters: Counters,
    /// Faults on order.
    pub faults: Faults,
    /// Added to each call that would ask a server.
    pub delay: Duration,
    /// When handles of dead processes are evicted.
    pub evict: Option<Duration>,
    /// Added to each pool connect.
    pub connect_delay: Duration,
    /// Size of a pool's handle as bytes.
    pub pool_handle: usize,
    /// What is away for this process alone.
    absent: Causes,
    /// How long a call waits for servers that do not answer.
    pub timeout: Duration,
}

impl Process {
    /// What is away now.
    #[inline]
    pub fn away(&self) -> Causes {
        self.absent | self.counters.word(Word::Away).load(Ordering::Relaxed)
    }
}

/// The attachment, kept over `daos_fini`: LMDB must not open a file twice in one process.
static ATTACHED: AtomicPtr<Process> = AtomicPtr::new(ptr::null_mut());
/// References of `daos_init`.
static USERS: AtomicU32 = AtomicU32::new(0);
/// Counts `daos_reinit`s; locks name their holder by it. Starts at 1.
static GENERATION: AtomicU32 = AtomicU32::new(1);
/// A page holding 1, or 0 in a child that forked since.
static HERE: AtomicPtr<AtomicU32> = AtomicPtr::new(ptr::null_mut());

/// See [`GENERATION`].
pub fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// The attachment; `None` before init, after fini, and after fork.
#[inline]
pub fn current() -> Option<&'static Process> {
    let here = HERE.load(Ordering::Acquire);
    // SAFETY: null or a page mapped for good.
    if unsafe { here.as_ref() }?.load(Ordering::Relaxed) == 0 || USERS.load(Ordering::Relaxed) == 0
    {
        return None;
    }
    // SAFETY: null or a leaked Box.
    unsafe { ATTACHED.load(Ordering::Acquire).as_ref() }
}

/// Counts a call that found no attachment although this process's parent had one.
pub fn refused() {
    // SAFETY: null or a leaked Box; the counters are a shared mapping, which fork keeps.
    if let Some(process) = unsafe { ATTACHED.load(Ordering::Acquire).as_ref() } {
        process.counters.after_fork();
    }
}

/// True in a fork child that has not called `daos_reinit`.
fn is_forked() -> bool {
    // SAFETY: null or a page mapped for good.
    unsafe { HERE.load(Ordering::Acquire).as_ref() }
        .is_some_and(|here| here.load(Ordering::Relaxed) == 0)
}

/// Marks this process as the one that is attached.
fn mark_here() -> Result<()> {
    let mut here = HERE.load(Ordering::Acquire);
    if here.is_null() {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a fresh page; the kernel zeroes it in fork children, not in vfork's.
        unsafe {
            let page = libc::mmap(
                ptr::null_mut(),
                4096,
                libc::PROT_READ | libc::PROT_WRITE,
                flags,
                -1,
                0,
            );
            if page == libc::MAP_FAILED {
                return der(daos_sys::DER_NOMEM);
            }
            libc::madvise(page, 4096, libc::MADV_WIPEONFORK);
            here = page.cast();
        }
        HERE.store(here, Ordering::Release);
    }
    // SAFETY: the page from above.
    unsafe { (*here).store(1, Ordering::Release) };
    Ok(())
}

fn micros(variable: &str) -> Duration {
    let text = std::env::var(variable).unwrap_or_default();
    Duration::from_micros(text.trim().parse().unwrap_or(0))
}

fn evict() -> Option<Duration> {
    let text = std::env::var("PIL4DFS_EMBEDDED_EVICT_MS").ok()?;
    text.trim().parse().ok().map(Duration::from_millis)
}

/// The store's directory, as the environment says.
fn root() -> Result<String> {
    match std::env::var("PIL4DFS_EMBEDDED_ROOT") {
        Ok(root) if root.starts_with('/') => Ok(root),
        Ok(root) if !root.is_empty() => {
            let here = std::env::current_dir().or(der(daos_sys::DER_MISC))?;
            Ok(format!("{}/{root}", here.display()))
        }
        _ => {
            log::error("PIL4DFS_EMBEDDED_ROOT does not name a store");
            der(daos_sys::DER_AGENT_COMM)
        }
    }
}

/// `PIL4DFS_EMBEDDED_AWAY`.
fn absent() -> Causes {
    let text = std::env::var("PIL4DFS_EMBEDDED_AWAY").unwrap_or_default();
    away::parse(&text).unwrap_or_else(|bad| {
        log::error(&format!("PIL4DFS_EMBEDDED_AWAY: cannot understand {bad:?}"));
        0
    })
}

fn pool_handle() -> usize {
    let text = std::env::var("PIL4DFS_EMBEDDED_POOL_HANDLE").unwrap_or_default();
    text.trim().parse().unwrap_or(0).max(POOL_SIZE)
}

/// `CRT_TIMEOUT`, seconds.
fn timeout() -> Duration {
    let text = std::env::var("CRT_TIMEOUT").unwrap_or_default();
    Duration::from_secs(text.trim().parse().unwrap_or(60))
}

fn attach(root: &str) -> Result<()> {
    let store = Store::open(root)?;
    let counters = Counters::open(root);
    let absent = absent();
    away::agent(absent | counters.word(Word::Away).load(Ordering::Relaxed))?;
    let text = std::env::var("PIL4DFS_EMBEDDED_FAULT").unwrap_or_default();
    let faults = Faults::parse(&text).unwrap_or_else(|bad| {
        log::error(&format!(
            "PIL4DFS_EMBEDDED_FAULT: cannot understand {bad:?}"
        ));
        Faults::none()
    });
    let process = Box::new(Process {
        store,
        counters,
        faults,
        delay: micros("PIL4DFS_EMBEDDED_DELAY_US"),
        evict: evict(),
        connect_delay: micros("PIL4DFS_EMBEDDED_CONNECT_DELAY_US"),
        pool_handle: pool_handle(),
        absent,
        timeout: timeout(),
    });
    ATTACHED.store(Box::into_raw(process), Ordering::Release);
    mark_here()
}

/// Raises the soft limit of descriptors as libdaos does: to the hard one when below 131072.
fn raise_descriptor_limit() {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: a valid place for the answer.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 && limit.rlim_cur < 131_072 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}

/// `daos_init`.
pub fn init() -> Result<()> {
    if is_forked() {
        refused();
        return der(daos_sys::DER_UNINIT);
    }
    if USERS.load(Ordering::Acquire) > 0 {
        USERS.fetch_add(1, Ordering::AcqRel);
        return Ok(());
    }
    spin(micros("PIL4DFS_EMBEDDED_INIT_DELAY_US"));
    log::open();
    let root = root()?;
    // SAFETY: null or a leaked Box.
    let kept = unsafe { ATTACHED.load(Ordering::Acquire).as_ref() };
    match kept.filter(|process| process.store.root() == root) {
        Some(process) => away::agent(process.away())?,
        None => attach(&root)?,
    }
    log::note(&format!(
        "embedded provider of pil4dfs over {root}: this is NOT DAOS"
    ));
    raise_descriptor_limit();
    // libdaos leaves these behind in the environment, too.
    for (name, value) in [
        (c"FI_UNIVERSE_SIZE", c"2048"),
        (c"FI_OFI_RXM_USE_SRX", c"1"),
        (c"CRT_SECONDARY_PROVIDER", c"0"),
    ] {
        // SAFETY: NUL-terminated strings; as unsafe beside another thread's getenv as the original.
        unsafe { libc::setenv(name.as_ptr(), value.as_ptr(), 0) };
    }
    USERS.fetch_add(1, Ordering::AcqRel);
    Ok(())
}

/// `daos_fini`; -DER_UNINIT when there were fewer inits.
pub fn fini() -> Result<()> {
    let one_less = |users: u32| users.checked_sub(1);
    match USERS.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less) {
        Ok(_) => Ok(()),
        Err(_) => der(daos_sys::DER_UNINIT),
    }
}

/// `daos_reinit` and its forerunner: attaches a fork child; in its parent it does nothing.
pub fn reinit() -> Result<()> {
    if USERS.load(Ordering::Acquire) == 0 {
        return der(daos_sys::DER_UNINIT);
    }
    if !is_forked() {
        return Ok(());
    }
    // SAFETY: null or a leaked Box; its LMDB environment is left alone, as LMDB asks.
    let Some(parents) = (unsafe { ATTACHED.load(Ordering::Acquire).as_ref() }) else {
        return der(daos_sys::DER_UNINIT);
    };
    GENERATION.fetch_add(1, Ordering::AcqRel);
    crate::handle::forked();
    let process = Box::new(Process {
        store: Store::open(parents.store.root())?,
        counters: Counters::open(parents.store.root()),
        faults: Faults::parse(&std::env::var("PIL4DFS_EMBEDDED_FAULT").unwrap_or_default())
            .unwrap_or(Faults::none()),
        delay: parents.delay,
        evict: parents.evict,
        connect_delay: parents.connect_delay,
        pool_handle: parents.pool_handle,
        absent: parents.absent,
        timeout: parents.timeout,
    });
    ATTACHED.store(Box::into_raw(process), Ordering::Release);
    mark_here()
}
