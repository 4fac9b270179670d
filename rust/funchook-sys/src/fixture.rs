//! What the tests of this crate share: a process of their own, two gates, an
//! area near libc, and a piece of ordinary work with files, threads and signals.

use crate::area::StubArea;
use crate::module::Module;
use crate::patch::{Options, Way};
use crate::sites::{scan, Site};
use crate::text::Writer;
use std::ffi::CStr;
use std::io::Write as _;

// The test's gate counts, then resumes as a real one does for a call that
// is not ours (`resume_gate`), or makes the call itself and goes on behind it
// as for a call that is (`serve_gate`).
core::arch::global_asm!(
    ".globl pil_test_count, pil_test_resume_gate, pil_test_serve_gate",
    ".hidden pil_test_count, pil_test_resume_gate, pil_test_serve_gate",
    ".text",
    "pil_test_resume_gate:",
    "mov (%rsp), %r11",
    "lock incq pil_test_count(%rip)",
    "mov 19(%r11), %r11",
    "lea 136(%rsp), %rsp",
    "jmp *%r11",
    "pil_test_serve_gate:",
    "lock incq pil_test_count(%rip)",
    "syscall",
    "mov (%rsp), %r11",
    "mov 27(%r11), %r11",
    "lea 136(%rsp), %rsp",
    "jmp *%r11",
    ".pushsection .data.pil_test_count, \"aw\"",
    ".balign 8",
    "pil_test_count: .quad 0",
    ".popsection",
    options(att_syntax)
);

extern "C" {
    static mut pil_test_count: u64;
    pub fn pil_test_resume_gate();
    pub fn pil_test_serve_gate();
}

/// An area near libc, and in it a way to `gate`, which is far.
pub fn area_and_gate(gate: unsafe extern "C" fn()) -> (StubArea, usize) {
    let mut area = StubArea::near(libc::read as *const () as usize, 1 << 20).unwrap();
    let mut jump = vec![0xff, 0x25, 0, 0, 0, 0];
    jump.extend((gate as usize).to_le_bytes());
    let near = area.next();
    let writer = Writer::open(Way::Any, area.whole()).ok().unwrap();
    // SAFETY: the area is new.
    unsafe { writer.write(near, &jump) }.unwrap();
    area.take(jump.len());
    (area, near)
}

pub fn count() -> u64 {
    // SAFETY: a plain counter.
    unsafe { (&raw const pil_test_count).read_volatile() }
}

/// Runs `work` in a forked child, which has one thread; true from it is success.
pub fn in_child(work: impl FnOnce() -> bool) {
    // SAFETY: the child leaves by _exit.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: alarm and _exit have no preconditions.
        unsafe {
            libc::alarm(30);
            let ok = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            libc::_exit(i32::from(!matches!(ok, Ok(true))));
        }
    }
    let mut status = 0;
    // SAFETY: our own child.
    unsafe { libc::waitpid(pid, &raw mut status, 0) };
    assert_eq!(status, 0, "the child failed");
}

/// From now on this process cannot open anything, not even its own memory.
pub fn close_every_door() {
    let none = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: a complete rlimit.
    let result = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const none) };
    assert_eq!(result, 0);
}

const NEVER: [i64; 4] = [
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_vfork,
    libc::SYS_rt_sigreturn,
];

pub fn all_sites() -> Vec<Site> {
    let wanted = |nr: u32| !NEVER.contains(&i64::from(nr));
    Module::of_process()
        .iter()
        .flat_map(|module| scan(module, &wanted))
        .collect()
}

pub fn everything() -> Options {
    Options {
        memory_calls: true,
        ..Options::default()
    }
}

extern "C" fn on_alarm(_: i32) {
    // SAFETY: write is async-signal-safe.
    unsafe { libc::write(-1, c"x".as_ptr().cast(), 1) };
}

/// What an ordinary program does with files, threads and signals; the
/// result is a text that must not depend on patches.
pub fn work(dir: &CStr) -> String {
    let dir = dir.to_str().unwrap();
    let path = format!("{dir}/file");
    let mut out = String::new();
    {
        let mut file = std::fs::File::create(&path).unwrap();
        for line in 0..500 {
            writeln!(file, "line {line}").unwrap();
        }
    }
    // SAFETY: ordinary libc calls on our own strings.
    unsafe {
        let name = std::ffi::CString::new(path.as_str()).unwrap();
        let file = libc::fopen(name.as_ptr(), c"r+".as_ptr());
        let mut buffer = [0u8; 4000];
        let read = libc::fread(buffer.as_mut_ptr().cast(), 1, 4000, file);
        libc::fseek(file, 0, libc::SEEK_END);
        libc::fprintf(file, c"%s %d\n".as_ptr(), c"tail".as_ptr(), 7);
        out += &format!("{read} {} {}\n", buffer[17], libc::fclose(file));

        let mut action: libc::sigaction = core::mem::zeroed();
        action.sa_sigaction = on_alarm as *const () as usize;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(libc::SIGALRM, &action, core::ptr::null_mut());
        let timer = libc::itimerval {
            it_interval: libc::timeval {
                tv_sec: 0,
                tv_usec: 500,
            },
            it_value: libc::timeval {
                tv_sec: 0,
                tv_usec: 500,
            },
        };
        libc::syscall(libc::SYS_setitimer, libc::ITIMER_REAL, &timer, 0);
    }
    let threads: Vec<_> = (0..4)
        .map(|n| {
            let dir = dir.to_string();
            std::thread::spawn(move || {
                let mut total = 0;
                for round in 0..50 {
                    let path = format!("{dir}/t{n}-{round}");
                    std::fs::write(&path, vec![n; 3000]).unwrap();
                    total += std::fs::read(&path).unwrap().len();
                    std::fs::rename(&path, format!("{path}x")).unwrap();
                }
                total
            })
        })
        .collect();
    for thread in threads {
        out += &format!("{}\n", thread.join().unwrap());
    }
    // SAFETY: switches the timer off.
    unsafe {
        let timer: libc::itimerval = core::mem::zeroed();
        libc::syscall(libc::SYS_setitimer, libc::ITIMER_REAL, &timer, 0);
    }
    let mut names: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    out += &names.join(" ");
    let shell = std::process::Command::new("/bin/sh")
        .args(["-c", &format!("wc -c < {path}; ls {dir} | tail -3")])
        .output()
        .unwrap();
    out += &String::from_utf8(shell.stdout).unwrap();
    let errno = std::fs::metadata(format!("{dir}/none")).unwrap_err();
    out += &format!("{errno}");
    std::fs::remove_dir_all(dir).unwrap();
    out
}

pub fn temporary() -> std::ffi::CString {
    let mut name = *b"/tmp/pil-patch-XXXXXX\0";
    // SAFETY: a writable template.
    unsafe { libc::mkdtemp(name.as_mut_ptr().cast()) };
    CStr::from_bytes_with_nul(&name).unwrap().to_owned()
}
