//! The process the calls are made in: two mounts of the embedded provider, one in the other, far down
//! in a kernel directory; beside it the same place without a mount, for the oracle; and threads that
//! have a working directory or a descriptor table of their own, in which the oracle makes its calls.
use std::ffi::CString;
use std::sync::mpsc::{channel, Sender};
use std::sync::{Mutex, MutexGuard, OnceLock};
use vfs::catalogue::{self, OpId};
use vfs::fd::Numbering;
use vfs::mount::{ExplicitMount, MountConfig, MountTable};
use vfs::process::Process;
use vfs::Reject;

/// `AT_FDCWD` as an argument.
pub const CWD: i64 = libc::AT_FDCWD as i64;

/// Numbers below this one are in use by others than the targets.
pub const FIRST_FREE: i64 = 128;

/// So deep lie the two places: no path of a target comes near the root of the machine.
const DEPTH: usize = 48;

/// A call by its operation and by its kernel number.
#[derive(Clone, Copy)]
pub struct Call {
    /// The operation.
    pub op: OpId,
    /// The kernel's number.
    pub nr: i64,
    /// For messages.
    pub name: &'static str,
}

macro_rules! calls {
    ($($name:ident = $sys:ident)*) => {
        $(
            #[allow(non_upper_case_globals, missing_docs)]
            pub const $name: Call = Call { op: catalogue::$name, nr: libc::$sys, name: stringify!($name) };
        )*
    };
}
calls! {
    chdir = SYS_chdir  close = SYS_close  close_range = SYS_close_range  dup = SYS_dup  dup2 = SYS_dup2
    dup3 = SYS_dup3  faccessat2 = SYS_faccessat2  fchdir = SYS_fchdir  fchmodat2 = SYS_fchmodat
    fcntl = SYS_fcntl  getcwd = SYS_getcwd  getdents = SYS_getdents  getdents64 = SYS_getdents64
    lseek = SYS_lseek  mkdirat = SYS_mkdirat  openat = SYS_openat  openat2 = SYS_openat2
    pipe2 = SYS_pipe2  prlimit64 = SYS_prlimit64  read = SYS_read  readlinkat = SYS_readlinkat
    renameat2 = SYS_renameat2  statat = SYS_newfstatat  symlinkat = SYS_symlinkat
    truncate = SYS_truncate  unlinkat = SYS_unlinkat  write = SYS_write
}

/// Places and mounts; made once in a process.
pub struct World {
    /// The process as the library sees it.
    pub process: &'static Process,
    /// The directory the mount point `m` lies in.
    pub near: String,
    /// The same without a mount; as long.
    pub twin: String,
    /// Has the oracle's working directory.
    pub walker: Helper,
    /// Has the oracle's descriptors; all numbers from [`FIRST_FREE`] on are free in it.
    pub holder: Helper,
}

/// The world, for one input.
pub fn world() -> MutexGuard<'static, World> {
    static WORLD: OnceLock<Mutex<World>> = OnceLock::new();
    let world = WORLD.get_or_init(|| Mutex::new(World::new()));
    world.lock().unwrap_or_else(|e| e.into_inner())
}

impl World {
    fn new() -> World {
        sweep();
        let base = format!("{BASE}{}", std::process::id());
        let deep = "/u".repeat(DEPTH);
        let places = ["near", "twin"].map(|side| format!("{base}/{side}{deep}/p"));
        // The mount point itself does not exist: whoever misses the mount finds nothing.
        for place in &places {
            std::fs::create_dir_all(place).expect("a place in /dev/shm");
        }
        std::fs::create_dir(format!("{}/m", places[1])).expect("the twin of the mount");
        let [near, twin] = places;
        let process = mounted(&[
            (format!("{near}/m"), "cont"),
            (format!("{near}/m/in/n"), "bal"),
        ]);
        let (outer, _) = process
            .mounts
            .locate(format!("{near}/m").as_bytes())
            .expect("a mount");
        mount_point(outer.fs().expect("the container"));
        // Brings both mounts up, and makes what the first open needs.
        for point in ["m", "m/in/n"] {
            let path = path(&format!("{near}/{point}"));
            let fd = ours(
                process,
                openat,
                [CWD, arg(&path), libc::O_DIRECTORY.into(), 0, 0, 0],
            );
            assert!(fd >= 0, "{path:?}: {fd}");
            ours(process, close, [fd, 0, 0, 0, 0, 0]);
        }
        fill_numbers();
        World {
            process,
            near,
            twin,
            walker: Helper::new(libc::CLONE_FS),
            holder: Helper::new(libc::CLONE_FS | libc::CLONE_FILES),
        }
    }
}

/// Leaves no number below [`FIRST_FREE`] free.
fn fill_numbers() {
    let null = path("/dev/null");
    loop {
        let fd = kernel(
            libc::SYS_openat,
            [CWD, arg(&null), libc::O_CLOEXEC.into(), 0, 0, 0],
        );
        assert!(fd >= 0);
        if fd >= FIRST_FREE {
            kernel(libc::SYS_close, [fd, 0, 0, 0, 0, 0]);
            return;
        }
    }
}

/// Makes the directory that the inner mount covers.
fn mount_point(fs: &std::sync::Arc<dfs::Filesystem>) {
    // SAFETY: no arguments.
    let owner = unsafe { (libc::geteuid(), libc::getegid()) };
    fs.mkdir(fs.root(), c"in", 0o755, owner).expect("/in");
    let (inner, _) = fs
        .lookup(fs.root(), c"in", dfs::Access::ReadWrite)
        .expect("/in");
    fs.mkdir(&inner, c"n", 0o755, owner).expect("/in/n");
}

const BASE: &str = "/dev/shm/pil4dfs-targets-";

/// Removes what earlier processes left.
fn sweep() {
    for entry in std::fs::read_dir("/dev/shm")
        .into_iter()
        .flatten()
        .flatten()
    {
        let path = entry.path().to_string_lossy().into_owned();
        let pid = path
            .strip_prefix(BASE)
            .and_then(|pid| pid.parse::<u32>().ok());
        if pid.is_some_and(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = std::fs::remove_dir_all(path);
        }
    }
}

/// The process state over containers of the test store.
fn mounted(mounts: &[(String, &str)]) -> &'static Process {
    pil4dfs_embedded::test_store();
    vfs::mount::set_loader(|| {
        static API: OnceLock<daos_sys::Api> = OnceLock::new();
        Ok(API.get_or_init(pil4dfs_embedded::api))
    });
    let explicit = mounts
        .iter()
        .map(|(point, container)| ExplicitMount::named(&path(point), c"pool", &path(container)));
    let config = MountConfig {
        explicit: explicit.collect(),
        ..MountConfig::default()
    };
    let table = MountTable::from_config(&config);
    Process::set(
        Process::new(table, Numbering::Kernel, vfs::dcache::Limits::default()).expect("memory"),
    )
}

/// A thread that makes calls by the kernel, with a state of its own.
pub struct Helper(Mutex<Sender<Job>>);

type Job = Box<dyn FnOnce() + Send>;

impl Helper {
    fn new(own: i32) -> Helper {
        let (give, take) = channel::<Job>();
        std::thread::spawn(move || {
            // SAFETY: this thread alone is concerned.
            assert_eq!(unsafe { libc::unshare(own) }, 0, "unshare");
            take.into_iter().for_each(|job| job());
        });
        Helper(Mutex::new(give))
    }

    /// The answer of `job`, made in the helper.
    pub fn run<R: Send>(&self, job: impl FnOnce() -> R + Send) -> R {
        let (give, take) = channel();
        let job: Box<dyn FnOnce() + Send + '_> = Box::new(move || drop(give.send(job())));
        // SAFETY: this function does not return before the job has run, or its sender was dropped.
        let job = unsafe { std::mem::transmute::<Box<dyn FnOnce() + Send + '_>, Job>(job) };
        let give = self.0.lock().unwrap_or_else(|e| e.into_inner());
        give.send(job).expect("the helper lives");
        take.recv().expect("an answer")
    }

    /// One call.
    pub fn kernel(&self, c: Call, a: [i64; 6]) -> i64 {
        self.run(move || kernel(c.nr, a))
    }
}

/// The kernel's own answer: value or `-errno`.
pub fn kernel(nr: i64, a: [i64; 6]) -> i64 {
    // SAFETY: the targets pass arguments the call understands.
    let answer = unsafe { vfs::kernel::syscall(nr, a) };
    answer.unwrap_or_else(|e| -i64::from(e.0))
}

/// As the entry layer does it: the operation, else the kernel and the after-step.
pub fn ours(p: &'static Process, c: Call, a: [i64; 6]) -> i64 {
    match catalogue::dispatch(p, c.op, a) {
        Ok(value) => value,
        Err(Reject::Errno(e)) => -i64::from(e.0),
        Err(Reject::NotOurs) => vfs::ops::after(p, c.op, a, kernel(c.nr, a)),
    }
}

/// A path without NUL.
pub fn path(text: &str) -> CString {
    CString::new(text).expect("no NUL")
}

/// An argument made of a path.
pub fn arg(path: &CString) -> i64 {
    path.as_ptr() as i64
}

/// A structure of zeros to be filled.
pub fn empty_stat() -> libc::stat {
    // SAFETY: a plain C structure.
    unsafe { std::mem::zeroed() }
}
