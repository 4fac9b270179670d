//! `PIL4DFS_REPORT_DIR`: what each process has done on its mounts, for programs to read. The counters
//! lie in a shared mapping of a file from the first call on, so that they outlive every end of the
//! process - exec, `_exit`, a signal. The file describes itself: one line of JSON that names the
//! counters and says where they begin, then the numbers (64 bits each, the machine's order). A
//! process that ends through exit leaves one line of JSON with the values instead.
use crate::text::Json;
use crate::trace::now;
use crate::watch;
use once_cell::sync::OnceCell;
use std::ffi::{CStr, CString};
use std::fmt::Write;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicU8, Ordering};
use vfs::catalogue::{self, CALLER_COUNT, OP_COUNT};
use vfs::process::Process;
use vfs::{call, Errno};

/// Where the numbers begin in the file.
const AT: usize = 16384;
/// Highest error number that is counted by itself.
const ERRNOS: usize = 134;
const SIZE: usize = AT + size_of::<Counters>();

#[repr(C)]
struct Counters {
    meter: dfs::Meter,
    read: AtomicU64,
    written: AtomicU64,
    copied: AtomicU64,
    served: [AtomicU64; OP_COUNT],
    failed: [AtomicU64; OP_COUNT],
    passed: [AtomicU64; OP_COUNT],
    declined: [AtomicU64; OP_COUNT],
    passed_by: [AtomicU64; CALLER_COUNT],
    declined_by: [AtomicU64; CALLER_COUNT],
    errnos: [AtomicU64; ERRNOS],
}

/// The counters that stand alone, and those that there are one of for each operation (`op`), for
/// each symbol or kernel call (`by`) and for each error number (`errno`), in the order of [`Counters`].
const ALONE: [&str; 7] = [
    "dfs_calls",
    "daos_start_ns",
    "daos_connect_ns",
    "daos_connects",
    "bytes_read",
    "bytes_written",
    "bytes_copied",
];
const SETS: [(&str, &str); 7] = [
    ("served", "op"),
    ("failed", "op"),
    ("passed", "op"),
    ("declined", "op"),
    ("passed_by", "by"),
    ("declined_by", "by"),
    ("errno", "errno"),
];

fn set_size(of: &str) -> usize {
    match of {
        "op" => OP_COUNT,
        "by" => CALLER_COUNT,
        _ => ERRNOS,
    }
}

fn member(of: &str, index: usize) -> String {
    match of {
        "op" => catalogue::NAMES[index].to_owned(),
        "by" => catalogue::caller_name(index).to_owned(),
        _ => index.to_string(),
    }
}

/// The names of [`Counters`], in their order.
fn names() -> impl Iterator<Item = String> {
    let sets = SETS.iter().flat_map(|&(kind, of)| {
        (0..set_size(of)).map(move |index| format!("{kind}.{}", member(of, index)))
    });
    ALONE.iter().map(|name| (*name).to_owned()).chain(sets)
}

/// The same for the head of a file: `"sets"` names members, and `"served.@op"` stands for one counter of each.
fn described() -> String {
    let mut text = String::from("\"sets\":{");
    for (i, of) in ["op", "by", "errno"].into_iter().enumerate() {
        let _ = write!(text, "{}\"{of}\":[", if i > 0 { "," } else { "" });
        for index in 0..set_size(of) {
            let comma = if index > 0 { "," } else { "" };
            let _ = write!(text, "{comma}\"{}\"", member(of, index));
        }
        text.push(']');
    }
    text.push_str("},\"counters\":[");
    let sets = SETS.iter().map(|(kind, of)| format!("{kind}.@{of}"));
    let all = ALONE.iter().map(|name| (*name).to_owned()).chain(sets);
    for (i, name) in all.enumerate() {
        let _ = write!(text, "{}\"{name}\"", if i > 0 { "," } else { "" });
    }
    text.push(']');
    text
}

/// Whether this process counts, and has begun to.
static STATE: AtomicU8 = AtomicU8::new(OFF);
const OFF: u8 = 0;
/// Wanted; the file is made with the first call that is ours, and most processes have none.
const WANTED: u8 = 1;
const BEGINNING: u8 = 2;
const ON: u8 = 3;

/// The counters of a process that asked by call and has no file.
static MEMORY: Counters = Counters {
    meter: dfs::Meter {
        calls: AtomicU64::new(0),
        start: AtomicU64::new(0),
        connect: AtomicU64::new(0),
        connects: AtomicU64::new(0),
    },
    read: AtomicU64::new(0),
    written: AtomicU64::new(0),
    copied: AtomicU64::new(0),
    served: [const { AtomicU64::new(0) }; OP_COUNT],
    failed: [const { AtomicU64::new(0) }; OP_COUNT],
    passed: [const { AtomicU64::new(0) }; OP_COUNT],
    declined: [const { AtomicU64::new(0) }; OP_COUNT],
    passed_by: [const { AtomicU64::new(0) }; CALLER_COUNT],
    declined_by: [const { AtomicU64::new(0) }; CALLER_COUNT],
    errnos: [const { AtomicU64::new(0) }; ERRNOS],
};

/// The counters of this process; null until it has begun.
static COUNTERS: AtomicPtr<Counters> = AtomicPtr::new(null_mut());
/// The process that counts there; a raw clone's child is another.
static COUNTING: AtomicU64 = AtomicU64::new(0);
/// The file of this process, without its ending.
static STEM: AtomicPtr<CString> = AtomicPtr::new(null_mut());
/// What every file's first line says alike.
static ABOUT: OnceCell<About> = OnceCell::new();

struct About {
    dir: CString,
    host: String,
    /// Program, user and mounts, as the middle of a JSON object.
    text: String,
}

#[inline]
fn counters() -> Option<&'static Counters> {
    match STATE.load(Ordering::Acquire) {
        OFF => return None,
        WANTED => begin_once(),
        _ => {}
    }
    begun()
}

/// Counts from now on, for who asks by call: in the file of the report if there is one, else in memory.
pub fn count() {
    let first = STATE.compare_exchange(OFF, BEGINNING, Ordering::AcqRel, Ordering::Acquire);
    match first {
        Ok(_) => {
            COUNTERS.store(std::ptr::from_ref(&MEMORY).cast_mut(), Ordering::Release);
            dfs::meter(Some(&MEMORY.meter));
            STATE.store(ON, Ordering::Release);
            watch::add(watch::STATISTICS);
        }
        Err(WANTED) => begin_once(),
        Err(_) => {}
    }
}

/// Sums of the counters; all 0 before [`count`].
#[derive(Default)]
pub struct Sums {
    pub served: u64,
    pub failed: u64,
    pub passed: u64,
    pub read: u64,
    pub written: u64,
    pub copied: u64,
    pub dfs_calls: u64,
}

/// What was counted so far.
pub fn sums() -> Sums {
    let Some(counters) = begun() else {
        return Sums::default();
    };
    let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let all = |counters: &[AtomicU64]| counters.iter().map(get).sum();
    Sums {
        served: all(&counters.served),
        failed: all(&counters.failed),
        passed: all(&counters.passed),
        read: get(&counters.read),
        written: get(&counters.written),
        copied: get(&counters.copied),
        dfs_calls: get(&counters.meter.calls),
    }
}

fn begun() -> Option<&'static Counters> {
    // SAFETY: null or a mapping that is never taken away.
    unsafe { COUNTERS.load(Ordering::Acquire).as_ref() }
}

/// A directory that cannot be written is worth one line.
#[cold]
fn begin_once() {
    let first = STATE.compare_exchange(WANTED, BEGINNING, Ordering::AcqRel, Ordering::Relaxed);
    if first.is_err() {
        return;
    }
    match begin() {
        Ok(()) => STATE.store(ON, Ordering::Release),
        Err(e) => {
            STATE.store(OFF, Ordering::Release);
            watch::remove(watch::STATISTICS);
            let dir = ABOUT.get().map(|about| about.dir.to_string_lossy());
            log::warn!(
                "PIL4DFS_REPORT_DIR={}: {e}: nothing is counted",
                dir.unwrap_or_default()
            );
        }
    }
}

/// Whether this process is to count.
pub fn enabled() -> bool {
    STATE.load(Ordering::Relaxed) != OFF
}

/// Counts a call that was served: its value, or minus its error number; `by` whom ([`catalogue::caller`]).
pub fn served(op: i32, value: i64, by: u32) {
    let (Some(counters), Ok(op @ 0..OP_COUNT)) = (counters(), usize::try_from(op)) else {
        return;
    };
    if value < 0 {
        counters.failed[op].fetch_add(1, Ordering::Relaxed);
        if let Some(errno) = counters.errnos.get(value.unsigned_abs() as usize) {
            errno.fetch_add(1, Ordering::Relaxed);
        }
        if catalogue::declines(op as i32, -value as i32) {
            counters.declined[op].fetch_add(1, Ordering::Relaxed);
            count_by(&counters.declined_by, by);
        }
        return;
    }
    counters.served[op].fetch_add(1, Ordering::Relaxed);
    let bytes = match op as i32 {
        catalogue::read | catalogue::pread64 | catalogue::preadv2 => &counters.read,
        catalogue::write | catalogue::pwrite64 | catalogue::pwritev2 => &counters.written,
        catalogue::copy_file_range | catalogue::sendfile | catalogue::splice => &counters.copied,
        _ => return,
    };
    bytes.fetch_add(value as u64, Ordering::Relaxed);
}

/// Counts a call that looked like ours and was the kernel's.
pub fn passed(op: i32, by: u32) {
    if STATE.load(Ordering::Relaxed) != ON || op == catalogue::exit_group {
        return;
    }
    if let (Some(counters), Ok(op @ 0..OP_COUNT)) = (counters(), usize::try_from(op)) {
        counters.passed[op].fetch_add(1, Ordering::Relaxed);
        count_by(&counters.passed_by, by);
    }
}

fn count_by(counters: &[AtomicU64; CALLER_COUNT], by: u32) {
    if let Some(counter) = catalogue::caller(by).and_then(|index| counters.get(index)) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Counts from now on, into a file of `dir`.
pub fn start(dir: &CStr, program: &str, process: &Process) {
    let mut text = String::new();
    // SAFETY: only asks.
    let uid = unsafe { libc::geteuid() };
    let _ = write!(
        text,
        "\"uid\":{uid},\"program\":{}",
        Json(program.as_bytes())
    );
    text.push_str(",\"mounts\":[");
    for (i, mount) in process.mounts.iter().enumerate() {
        let point = Json(mount.point.to_bytes());
        let _ = write!(text, "{}{point}", if i > 0 { "," } else { "" });
    }
    text.push(']');
    let about = About {
        dir: dir.to_owned(),
        host: host(),
        text,
    };
    if ABOUT.set(about).is_ok() {
        STATE.store(WANTED, Ordering::Release);
        watch::add(watch::STATISTICS);
    }
}

/// In the child of a fork: counts for itself.
pub fn forked() {
    dfs::cost_forked();
    if COUNTERS.load(Ordering::Acquire).cast_const() == &raw const MEMORY {
        for counter in words(&MEMORY) {
            counter.store(0, Ordering::Relaxed);
        }
        return;
    }
    COUNTERS.store(null_mut(), Ordering::Release);
    dfs::meter(None);
    if STATE.load(Ordering::Acquire) != OFF {
        STATE.store(WANTED, Ordering::Release);
    }
}

/// The end of the process: the values as text, in place of the numbers.
pub fn finish() {
    let (Some(about), Some(counters)) = (ABOUT.get(), begun()) else {
        return;
    };
    // SAFETY: only asks.
    if unsafe { call!(SYS_getpid) } != Ok(COUNTING.load(Ordering::Relaxed) as i64) {
        return;
    }
    // SAFETY: null or a leaked box.
    let Some(stem) = (unsafe { STEM.load(Ordering::Acquire).as_ref() }) else {
        return;
    };
    let mut line = head(about);
    let _ = write!(line, ",\"ended\":{}", Seconds(now()));
    for (name, value) in names()
        .zip(values(counters))
        .filter(|(_, value)| *value > 0)
    {
        let _ = write!(line, ",\"{name}\":{value}");
    }
    line.push_str("}\n");
    if create(&with_ending(stem, ".json"), line.as_bytes()).is_ok() {
        let path = with_ending(stem, ".live");
        // SAFETY: a path.
        let _ = unsafe { call!(SYS_unlinkat, libc::AT_FDCWD, path.as_ptr(), 0) };
    }
}

fn values(counters: &Counters) -> impl Iterator<Item = u64> + '_ {
    words(counters).map(|word| word.load(Ordering::Relaxed))
}

fn words(counters: &Counters) -> impl Iterator<Item = &AtomicU64> {
    let first = std::ptr::from_ref(counters).cast::<AtomicU64>();
    // SAFETY: the structure consists of nothing but such words.
    (0..size_of::<Counters>() / 8).map(move |i| unsafe { &*first.add(i) })
}

fn begin() -> Result<(), Errno> {
    let about = ABOUT.get().ok_or(Errno::EINVAL)?;
    let began = now();
    // SAFETY: only asks.
    let pid = unsafe { call!(SYS_getpid) }?;
    let stem = format!(
        "{}/{}.{pid}.{began:x}",
        about.dir.to_string_lossy(),
        about.host
    );
    let stem = CString::new(stem).map_err(|_| Errno::EINVAL)?;
    let mut line = head(about);
    let _ = writeln!(line, ",\"at\":{AT},{}}}", described());
    if line.len() > AT {
        return Err(Errno(libc::ENAMETOOLONG));
    }
    let map = map(&with_ending(&stem, ".live"), line.as_bytes())?;
    COUNTING.store(pid as u64, Ordering::Relaxed);
    STEM.store(Box::into_raw(Box::new(stem)), Ordering::Release);
    COUNTERS.store(map, Ordering::Release);
    // SAFETY: a mapping that is never taken away.
    dfs::meter(Some(unsafe { &(*map).meter }));
    Ok(())
}

/// A JSON object, still open.
fn head(about: &About) -> String {
    // SAFETY: only asks.
    let (pid, parent) = unsafe {
        (
            call!(SYS_getpid).unwrap_or(0),
            call!(SYS_getppid).unwrap_or(0),
        )
    };
    format!(
        "{{\"pil4dfs\":\"{}\",\"host\":{},\"pid\":{pid},\"parent\":{parent},\"noted\":{},{}",
        env!("CARGO_PKG_VERSION"),
        Json(about.host.as_bytes()),
        Seconds(now()),
        about.text
    )
}

fn with_ending(stem: &CStr, ending: &str) -> CString {
    CString::new([stem.to_bytes(), ending.as_bytes()].concat()).unwrap_or_default()
}

/// A fresh file of `dir` with these bytes; its descriptor, closed again by the caller.
fn make(path: &CStr, bytes: &[u8]) -> Result<i32, Errno> {
    let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC | libc::O_NOFOLLOW;
    // SAFETY: a path.
    let fd = unsafe { call!(SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, 0o644) }? as i32;
    // SAFETY: the bytes are valid for their length.
    match unsafe { call!(SYS_write, fd, bytes.as_ptr(), bytes.len()) } {
        Ok(n) if n as usize == bytes.len() => Ok(fd),
        other => {
            close(fd);
            Err(other.err().unwrap_or(Errno(libc::ENOSPC)))
        }
    }
}

fn create(path: &CStr, bytes: &[u8]) -> Result<(), Errno> {
    make(path, bytes).map(close)
}

fn close(fd: i32) {
    // SAFETY: our own number.
    let _ = unsafe { call!(SYS_close, fd) };
}

fn map(path: &CStr, head: &[u8]) -> Result<*mut Counters, Errno> {
    let fd = make(path, head)?;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // Allocated, not only sized: a full disk must not become a SIGBUS of the program.
    // SAFETY: our own descriptor, and a mapping at no address of anybody's.
    let mapped = unsafe {
        call!(SYS_fallocate, fd, 0, 0, SIZE)
            .and_then(|_| call!(SYS_mmap, 0, SIZE, access, libc::MAP_SHARED, fd, 0))
    };
    close(fd);
    Ok((mapped? as usize + AT) as *mut Counters)
}

fn host() -> String {
    // SAFETY: all-zero is an utsname, and the call fills it with strings.
    let name = unsafe {
        let mut name: libc::utsname = std::mem::zeroed();
        libc::uname(&mut name);
        CStr::from_ptr(name.nodename.as_ptr())
            .to_string_lossy()
            .into_owned()
    };
    name.replace('/', "_")
}

/// Seconds with three digits behind the point, of nanoseconds.
struct Seconds(u64);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}.{:03}",
            self.0 / 1_000_000_000,
            self.0 / 1_000_000 % 1000
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_of_the_words() {
        assert_eq!(names().count() * 8, size_of::<Counters>());
        let all: Vec<String> = names().collect();
        assert_eq!(all[0], "dfs_calls");
        assert_eq!(all[7], format!("served.{}", catalogue::NAMES[0]));
        assert!(described().len() + 4096 < AT, "room for the mounts");
    }

    #[test]
    fn seconds_have_three_digits() {
        assert_eq!(Seconds(1_002_003_004).to_string(), "1.002");
    }
}
