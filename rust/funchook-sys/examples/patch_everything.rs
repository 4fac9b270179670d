//! `LD_PRELOAD=libpatch_everything.so program`: every system call of libc and
//! ld.so whose number is known goes through a gate that only counts. The
//! program must not notice; that is the proof. `PATCH_SERVE=1`: the gate makes
//! the calls itself, as for calls that are ours. `PATCH_FILES=1`: only calls on
//! files. `PATCH_REPORT=file`: one line there at exit, with the microseconds
//! that scanning and patching took.

#![cfg(target_arch = "x86_64")]

use funchook_sys::module::Module;
use funchook_sys::patch::{Options, Patcher, StubArea};
use funchook_sys::sites::scan;
use std::io::Write;
use std::sync::OnceLock;
use std::time::Instant;

const STUBS: usize = 65536;

core::arch::global_asm!(
    ".globl patch_stubs, patch_count, patch_resume_gate, patch_serve_gate",
    ".hidden patch_stubs, patch_count, patch_resume_gate, patch_serve_gate",
    ".text",
    ".balign 4096",
    "patch_stubs:",
    ".skip 65536, 0xcc",
    "patch_resume_gate:",
    "mov (%rsp), %r11",
    "lock incq patch_count(%rip)",
    "mov 19(%r11), %r11",
    "lea 136(%rsp), %rsp",
    "jmp *%r11",
    "patch_serve_gate:",
    "lock incq patch_count(%rip)",
    "syscall",
    "mov (%rsp), %r11",
    "mov 27(%r11), %r11",
    "lea 136(%rsp), %rsp",
    "jmp *%r11",
    ".pushsection .data.patch_count, \"aw\"",
    ".balign 8",
    "patch_count: .quad 0",
    ".popsection",
    options(att_syntax)
);

extern "C" {
    static mut patch_stubs: [u8; STUBS];
    static patch_count: u64;
    fn patch_resume_gate();
    fn patch_serve_gate();
}

static PATCHER: OnceLock<(Patcher, u128, u128)> = OnceLock::new();

const FILES: [libc::c_long; 75] = {
    use libc::*;
    [
        SYS_read,
        SYS_write,
        SYS_open,
        SYS_close,
        SYS_stat,
        SYS_fstat,
        SYS_lstat,
        SYS_lseek,
        SYS_mmap,
        SYS_pread64,
        SYS_pwrite64,
        SYS_readv,
        SYS_writev,
        SYS_access,
        SYS_dup,
        SYS_dup2,
        SYS_dup3,
        SYS_sendfile,
        SYS_socket,
        SYS_accept,
        SYS_accept4,
        SYS_pipe,
        SYS_pipe2,
        SYS_execve,
        SYS_execveat,
        SYS_exit_group,
        SYS_fcntl,
        SYS_flock,
        SYS_fsync,
        SYS_fdatasync,
        SYS_truncate,
        SYS_ftruncate,
        SYS_getdents64,
        SYS_getcwd,
        SYS_chdir,
        SYS_fchdir,
        SYS_rename,
        SYS_mkdir,
        SYS_rmdir,
        SYS_creat,
        SYS_link,
        SYS_unlink,
        SYS_symlink,
        SYS_readlink,
        SYS_chmod,
        SYS_fchmod,
        SYS_chown,
        SYS_fchown,
        SYS_lchown,
        SYS_umask,
        SYS_mknod,
        SYS_statfs,
        SYS_fstatfs,
        SYS_openat,
        SYS_mkdirat,
        SYS_mknodat,
        SYS_fchownat,
        SYS_newfstatat,
        SYS_unlinkat,
        SYS_renameat,
        SYS_linkat,
        SYS_symlinkat,
        SYS_readlinkat,
        SYS_fchmodat,
        SYS_faccessat,
        SYS_utimensat,
        SYS_fallocate,
        SYS_preadv,
        SYS_pwritev,
        SYS_renameat2,
        SYS_copy_file_range,
        SYS_statx,
        SYS_ioctl,
        SYS_rt_sigaction,
        SYS_close_range,
    ]
};

extern "C" fn load() {
    let files = std::env::var_os("PATCH_FILES").is_some();
    let wanted = |nr: u32| {
        let nr = libc::c_long::from(nr as i32);
        if files {
            return FILES.contains(&nr);
        }
        // These return twice, or not where they were made.
        ![
            libc::SYS_clone,
            libc::SYS_clone3,
            libc::SYS_vfork,
            libc::SYS_rt_sigreturn,
        ]
        .contains(&nr)
    };
    let began = Instant::now();
    let sites: Vec<_> = Module::of_process()
        .iter()
        .flat_map(|module| scan(module, &wanted))
        .collect();
    let options = Options {
        memory_calls: true,
        ..Options::default()
    };
    let gate = match std::env::var_os("PATCH_SERVE") {
        Some(_) => patch_serve_gate as *const () as usize,
        None => patch_resume_gate as *const () as usize,
    };
    let scanned = began.elapsed().as_micros();
    let mut patcher = Patcher::new(options);
    // SAFETY: the area is reserved for stubs, the gates honour the contract, and
    // this library is never unloaded before the process ends.
    unsafe {
        let mut area = StubArea::new((&raw mut patch_stubs).cast(), STUBS);
        patcher.install(&sites, &mut area, gate);
    }
    let patched = began.elapsed().as_micros() - scanned;
    let _ = PATCHER.set((patcher, scanned, patched));
}

extern "C" fn unload() {
    let (Some((patcher, scan, patch)), Some(path)) =
        (PATCHER.get(), std::env::var_os("PATCH_REPORT"))
    else {
        return;
    };
    // SAFETY: a plain counter.
    let count = unsafe { (&raw const patch_count).read_volatile() };
    if let Ok(mut file) = std::fs::File::options()
        .create(true)
        .append(true)
        .open(path)
    {
        let (patched, lost) = (patcher.patched(), patcher.verify().len());
        // One write a line: processes that end together must not tear it.
        let line =
            format!("{patched} patched {count} calls {scan} scan {patch} patch {lost} lost\n");
        let _ = file.write_all(line.as_bytes());
    }
}

#[used]
#[link_section = ".init_array"]
static LOAD: extern "C" fn() = load;

#[used]
#[link_section = ".fini_array"]
static UNLOAD: extern "C" fn() = unload;
