//! A description of a shadow file for a process that holds record locks on it. The locks would go
//! with the first descriptor of it that is closed (fcntl(2)), so the number the description is born
//! at cannot be a passing one: another thread opens the file aside, in a descriptor table of its
//! own, and a listener of seccomp(2) puts it at the number where it shall stay.
use super::shadow;
use crate::aside::{aside, is_emulated, without_signals};
use crate::kernel::{check, syscall};
use crate::ownfd::OwnFd;
use crate::{call, Errno};
use core::arch::asm;
use std::ffi::CStr;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

/// The call that is told to the listener; the thread makes no other after it listens but exit.
const TOLD: i64 = libc::SYS_getppid;
const STACK: usize = 16 << 10;
const _: () = assert!(size_of::<Notice>() == 80 && size_of::<Install>() == 24);

/// `struct seccomp_notif`
#[repr(C)]
struct Notice {
    id: u64,
    _pid: u32,
    _flags: u32,
    _data: [u64; 8],
}

/// `struct seccomp_notif_addfd`
#[repr(C)]
struct Install {
    id: u64,
    flags: u32,
    from: u32,
    to: u32,
    to_flags: u32,
}

/// `struct seccomp_notif_resp`
#[repr(C)]
struct Answer {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

const RECEIVE: u32 = 0xc050_2100;
const ANSWER: u32 = 0xc018_2101;
const INSTALL: u32 = 0x4018_2103;
const AT_THAT_NUMBER: u32 = 1;

/// What the thread and its maker tell each other.
#[derive(Default)]
struct Post {
    /// 0: not yet; the listener's number plus 1; or a negative errno.
    listener: AtomicI32,
    /// The thread's id until it has ended.
    lives: AtomicU32,
}

/// A new description of the shadow file, kept shared as by [`shadow::open`]. `ENOLCK` where the
/// kernel has no such listeners (before Linux 5.9), or something forbids them.
pub(super) fn open(path: &CStr) -> Result<OwnFd, Errno> {
    without_signals(|| install(path)).map_err(|e| {
        log::warn!("{e}: an open file description gets no owner of locks beside record locks");
        Errno::ENOLCK
    })
}

fn install(path: &CStr) -> Result<OwnFd, Errno> {
    if is_emulated() {
        return Err(Errno::ENOSYS);
    }
    let post = Post::default();
    post.lives.store(u32::MAX, Ordering::Relaxed);
    let stack = Stack::new()?;
    // SAFETY: the thread ends before `post` and its stack go: it is waited for below.
    unsafe { target(&stack, &post) }?;
    let born = listener(&post);
    let made = born.and_then(|listener| {
        // a number of its own, which the listener fills until it is replaced
        let place = listener.again()?;
        let to = place.raw() as u32;
        aside(|| deliver(listener.raw(), path, to)).and_then(|done| done)?;
        Ok(place)
    });
    // the listener is closed: a thread that is still told goes on, with ENOSYS
    wait_for_end(&post);
    made
}

/// Waits for what the thread says.
fn listener(post: &Post) -> Result<OwnFd, Errno> {
    loop {
        match post.listener.load(Ordering::Acquire) {
            0 => wait(post.listener.as_ptr().cast(), 0),
            e if e < 0 => return Err(Errno(-e)),
            fd => return Ok(OwnFd::hide(fd - 1)),
        }
    }
}

fn wait_for_end(post: &Post) {
    loop {
        match post.lives.load(Ordering::Acquire) {
            0 => return,
            tid => wait(post.lives.as_ptr(), tid),
        }
    }
}

/// futex(2), for a moment at most.
fn wait(word: *mut u32, value: u32) {
    let moment = [0i64, 10_000_000];
    // SAFETY: the word outlives the call.
    let _ = unsafe { call!(SYS_futex, word, libc::FUTEX_WAIT, value, moment.as_ptr()) };
}

/// Aside: opens the file, and hands it to the thread that waits, at that number.
fn deliver(listener: i32, path: &CStr, to: u32) -> Result<(), Errno> {
    let from = shadow::born(path)?;
    // SAFETY: structures of the sizes the kernel asks for, all zeros to begin with.
    unsafe {
        let mut notice: Notice = std::mem::zeroed();
        call!(SYS_ioctl, listener, RECEIVE, &raw mut notice)?;
        let install = Install {
            id: notice.id,
            flags: AT_THAT_NUMBER,
            from: from as u32,
            to,
            to_flags: libc::O_CLOEXEC as u32,
        };
        let installed = call!(SYS_ioctl, listener, INSTALL, &raw const install);
        let answer = Answer {
            id: notice.id,
            value: 0,
            error: 0,
            flags: 0,
        };
        let _ = call!(SYS_ioctl, listener, ANSWER, &raw const answer);
        installed.map(drop)
    }
}

/// The thread: listens to itself, says where, and makes the call that is answered by [`deliver`].
/// Bare system calls only: its thread pointer is its maker's.
extern "C" fn told(post: *const Post) {
    // SAFETY: its maker waits for this thread's end.
    let post = unsafe { &*post };
    let jump = |k: i64| libc::sock_filter {
        code: 0x15, // BPF_JMP | BPF_JEQ | BPF_K
        jt: 0,
        jf: 1,
        k: k as u32,
    };
    let end = |k: u32| libc::sock_filter {
        code: 0x06, // BPF_RET | BPF_K
        jt: 0,
        jf: 0,
        k,
    };
    let number = libc::sock_filter {
        code: 0x20, // BPF_LD | BPF_W | BPF_ABS: seccomp_data.nr
        jt: 0,
        jf: 0,
        k: 0,
    };
    let mut program = [
        number,
        jump(TOLD),
        end(libc::SECCOMP_RET_USER_NOTIF),
        end(libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: numbers; a filter program.
    unsafe {
        let _ = call!(SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        let listens = call!(
            SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const program
        );
        let said = listens.map_or_else(|e| -e.0, |fd| fd as i32 + 1);
        post.listener.store(said, Ordering::Release);
        let _ = call!(SYS_futex, post.listener.as_ptr(), libc::FUTEX_WAKE, 1);
        if listens.is_ok() {
            let _ = syscall(TOLD, [0; 6]);
        }
    }
}

/// Makes that thread, in the caller's descriptor table.
///
/// # Safety
/// `stack` and `post` stay until `post.lives` is 0.
#[cfg(target_arch = "x86_64")]
unsafe fn target(stack: &Stack, post: &Post) -> Result<i64, Errno> {
    const FLAGS: i32 = libc::CLONE_VM
        | libc::CLONE_FS
        | libc::CLONE_FILES
        | libc::CLONE_SIGHAND
        | libc::CLONE_THREAD
        | libc::CLONE_SYSVSEM
        | libc::CLONE_CHILD_CLEARTID;
    let entry: extern "C" fn(*const Post) = told;
    let ret: i64;
    // SAFETY: the new thread has its own stack, calls `told` and ends; the caller goes on.
    unsafe {
        asm!("syscall", "test rax, rax", "jnz 2f",
             "mov rdi, r15", "call r14", "mov eax, {exit}", "xor edi, edi", "syscall", "ud2",
             "2:",
             exit = const libc::SYS_exit,
             inlateout("rax") libc::SYS_clone => ret, in("rdi") i64::from(FLAGS), in("rsi") stack.top(),
             in("rdx") 0i64, in("r10") post.lives.as_ptr(), in("r8") 0i64, in("r14") entry,
             in("r15") std::ptr::from_ref(post), lateout("rcx") _, lateout("r11") _);
    }
    check(ret)
}

#[cfg(not(target_arch = "x86_64"))]
unsafe fn target(_: &Stack, _: &Post) -> Result<i64, Errno> {
    Err(Errno::ENOSYS)
}

/// A thread's stack.
struct Stack(usize);

impl Stack {
    fn new() -> Result<Stack, Errno> {
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping.
        let at = unsafe { call!(SYS_mmap, 0, STACK, prot, flags, -1, 0) }?;
        Ok(Stack(at as usize))
    }

    fn top(&self) -> usize {
        self.0 + STACK
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: its thread has ended, or was never made.
        let _ = unsafe { call!(SYS_munmap, self.0, STACK) };
    }
}
