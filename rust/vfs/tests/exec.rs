//! Programs and what they inherit. The test program runs itself again: what the second image does
//! is named by `ROLE`, and its exit status is 0 if it found what it should.
mod run;

use run::{close, fork, open, pread, read, sys, write};
use std::ffi::{c_char, CString};
use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;
use vfs::catalogue as op;
use vfs::inherit;
use vfs::mount::{ExplicitMount, MountConfig, MountTable};
use vfs::process::Process;

const CWD: i64 = libc::AT_FDCWD as i64;
const EXE: &str = "/proc/self/exe";

fn process() -> &'static Process {
    static READY: OnceLock<&'static Process> = OnceLock::new();
    READY.get_or_init(|| {
        if std::env::var_os("ROLE").is_none() {
            pil4dfs_embedded::test_store();
        }
        if let Ok(dir) = std::env::var("PIL4DFS_RUNDIR") {
            vfs::rundir::set(CString::new(dir).unwrap());
        }
        vfs::mount::set_loader(|| {
            static API: OnceLock<daos_sys::Api> = OnceLock::new();
            Ok(API.get_or_init(pil4dfs_embedded::api))
        });
        let mount = ExplicitMount::named(c"/dfs", c"pool", c"cont");
        let table = MountTable::from_config(&MountConfig {
            explicit: vec![mount],
            ..MountConfig::default()
        });
        inherit::start();
        let process = Process::new(
            table,
            vfs::fd::Numbering::Kernel,
            vfs::dcache::Limits::default(),
        )
        .expect("memory");
        Process::set(process)
    })
}

/// execve of `program` with these arguments in this process, `ROLE` set; returns `-errno`.
fn exec(p: &'static Process, program: &str, args: &[&str], role: &str) -> i64 {
    let program = CString::new(program).unwrap();
    let strings = |list: &[String]| -> Vec<CString> {
        let text = |s: &String| CString::new(s.as_str()).unwrap();
        list.iter().map(text).collect()
    };
    let array = |list: &[CString]| -> Vec<*const c_char> {
        let mut v: Vec<_> = list.iter().map(|s| s.as_ptr()).collect();
        v.push(std::ptr::null());
        v
    };
    let args = strings(&args.iter().map(|s| s.to_string()).collect::<Vec<_>>());
    let mut vars: Vec<String> = std::env::vars().map(|(k, v)| format!("{k}={v}")).collect();
    vars.retain(|v| !v.starts_with("ROLE="));
    vars.push(format!("ROLE={role}"));
    let vars = strings(&vars);
    let (argv, envp) = (array(&args), array(&vars));
    let a = [
        CWD,
        program.as_ptr() as i64,
        argv.as_ptr() as i64,
        envp.as_ptr() as i64,
        0,
    ];
    sys(p, op::execveat, &a)
}

/// Becomes this test program again, as `role`.
fn again(p: &'static Process, role: &str) -> i32 {
    let args = [
        "exec",
        "image",
        "--exact",
        "--nocapture",
        "--test-threads=1",
    ];
    eprintln!("exec: {}", exec(p, EXE, &args, role));
    98
}

fn dup2(p: &'static Process, fd: i64, new: i64) {
    assert_eq!(sys(p, op::dup2, &[fd, new]), new);
}

/// The other side: every role.
#[test]
fn image() {
    let Ok(role) = std::env::var("ROLE") else {
        return;
    };
    let p = process();
    let taken = inherit::adopt(p);
    assert!(std::env::var_os("PIL4DFS_EXEC").is_none());
    let done = std::panic::catch_unwind(AssertUnwindSafe(|| match role.as_str() {
        "write" => {
            assert_eq!(taken, 2);
            assert_eq!(write(p, 20, b" world"), 6);
            assert_eq!(read(p, 21, 3), b"abc");
            assert_eq!(
                sys(p, op::fcntl, &[20, libc::F_GETFL.into()]) as i32 & 3,
                libc::O_RDWR
            );
            // The one closed on exec is nobody's.
            assert_eq!(sys(p, op::lseek, &[22, 0, 1]), -1000);
        }
        "cwd" => {
            let mut buf = [0u8; 64];
            let n = sys(p, op::getcwd, &[buf.as_mut_ptr() as i64, 64]);
            assert_eq!(&buf[..n as usize], b"/dfs/dir\0");
            let fd = sys(p, op::openat, &[CWD, c"in".as_ptr() as i64, 0, 0]);
            assert_eq!(pread(p, fd, 10, 0), b"inside");
        }
        "shell" => {
            assert_eq!(taken, 2);
            assert_eq!(sys(p, op::lseek, &[7, 0, 1]), 4);
            assert_eq!(write(p, 7, b"end"), 3);
        }
        "nameless" => assert_eq!(pread(p, 20, 20, 0), b"no name"),
        "lock" => {
            let other = open(p, "/dfs/lock", libc::O_RDONLY);
            let busy = -i64::from(libc::EAGAIN);
            let shared = i64::from(libc::LOCK_SH | libc::LOCK_NB);
            assert_eq!(sys(p, op::flock, &[other, shared]), busy);
            close(p, 20);
            assert_eq!(sys(p, op::flock, &[other, shared]), 0);
        }
        "nothing" => assert_eq!(taken, 0),
        other => panic!("{other}"),
    }));
    let status: i32 = done.is_err().into();
    let _ = op::dispatch(p, op::exit_group, [0; 6]);
    // SAFETY: the end.
    unsafe { libc::_exit(status) }
}

fn descriptors_pass(p: &'static Process) {
    let fd = run::file(p, "/dfs/f", b"hello");
    let other = run::file(p, "/dfs/g", b"xyzabc");
    let connects = || pil4dfs_embedded::test_store().calls("daos_pool_connect");
    let before = connects();
    assert!(before > 0);
    assert_eq!(sys(p, op::lseek, &[other, 3, 0]), 3);
    let child = fork(p, || {
        dup2(p, fd, 20);
        dup2(p, other, 21);
        for fd in [fd, other] {
            sys(p, op::fcntl, &[fd, libc::F_SETFD.into(), 1]);
        }
        let closes = i64::from(libc::O_CLOEXEC);
        assert_eq!(sys(p, op::dup3, &[fd, 22, closes]), 22);
        again(p, "write")
    });
    assert_eq!(child.wait(), 0);
    // It used the handles it was given.
    assert_eq!(connects(), before);
    // The description is one: the parent goes on where the program ended.
    assert_eq!(sys(p, op::lseek, &[fd, 0, 1]), 11);
    assert_eq!(pread(p, fd, 20, 0), b"hello world");
    assert_eq!(sys(p, op::lseek, &[other, 0, 1]), 6);
    close(p, fd);
    close(p, other);
}

fn directories_pass(p: &'static Process) {
    assert_eq!(
        sys(p, op::mkdirat, &[CWD, c"/dfs/dir".as_ptr() as i64, 0o755]),
        0
    );
    close(p, run::file(p, "/dfs/dir/in", b"inside"));
    let child = fork(p, || {
        assert_eq!(sys(p, op::chdir, &[c"/dfs/dir".as_ptr() as i64]), 0);
        again(p, "cwd")
    });
    assert_eq!(child.wait(), 0);
}

/// A shell that never heard of us, in between: it moves a descriptor and starts us again.
fn a_shell_in_between(p: &'static Process) {
    let fd = run::file(p, "/dfs/shell", b"text");
    let child = fork(p, || {
        dup2(p, fd, 6);
        sys(p, op::fcntl, &[fd, libc::F_SETFD.into(), 1]);
        let script = format!("(exec 7>&6; exec {EXE} image --exact --nocapture --test-threads=1)");
        let exe = std::fs::read_link(EXE).unwrap();
        let script = script.replace(EXE, exe.to_str().unwrap());
        let _ = exec(p, "/bin/sh", &["sh", "-c", &script], "shell");
        98
    });
    assert_eq!(child.wait(), 0);
    assert_eq!(pread(p, fd, 20, 0), b"textend");
    close(p, fd);
}

fn nameless_files_pass(p: &'static Process) {
    let fd = run::file(p, "/dfs/nameless", b"no name");
    let child = fork(p, || {
        dup2(p, fd, 20);
        let path = c"/dfs/nameless".as_ptr() as i64;
        assert_eq!(sys(p, op::unlinkat, &[CWD, path, 0]), 0);
        again(p, "nameless")
    });
    assert_eq!(child.wait(), 0);
    close(p, fd);
}

fn locks_pass(p: &'static Process) {
    close(p, run::file(p, "/dfs/lock", b"x"));
    let child = fork(p, || {
        let fd = open(p, "/dfs/lock", libc::O_RDWR);
        dup2(p, fd, 20);
        close(p, fd);
        let exclusive = i64::from(libc::LOCK_EX | libc::LOCK_NB);
        assert_eq!(sys(p, op::flock, &[20, exclusive]), 0);
        again(p, "lock")
    });
    assert_eq!(child.wait(), 0);
}

fn a_failed_exec_changes_nothing(p: &'static Process) {
    let fd = run::file(p, "/dfs/failed", b"one");
    let child = fork(p, || {
        let missing = exec(p, "/no/such/program", &["x"], "x");
        assert_eq!(missing, -i64::from(libc::ENOENT));
        assert_eq!(
            exec(p, "/dfs/failed", &["x"], "x"),
            -i64::from(libc::EACCES)
        );
        assert_eq!(exec(p, "/dfs/none", &["x"], "x"), -i64::from(libc::ENOENT));
        assert_eq!(exec(p, "/dfs", &["x"], "x"), -i64::from(libc::EACCES));
        assert_eq!(write(p, fd, b" two"), 4);
        close(p, fd);
        0
    });
    assert_eq!(child.wait(), 0);
    assert_eq!(pread(p, fd, 20, 0), b"one two");
    close(p, fd);
}

/// A copy of a kernel program in the mount.
fn copy(p: &'static Process, from: &str, to: &str, mode: i64) {
    let bytes = std::fs::read(from).unwrap();
    close(p, run::file(p, to, &bytes));
    let to = CString::new(to).unwrap();
    assert_eq!(
        sys(p, op::fchmodat2, &[CWD, to.as_ptr() as i64, mode, 0]),
        0
    );
}

fn text(p: &'static Process, path: &str, text: &str, mode: i64) {
    close(p, run::file(p, path, text.as_bytes()));
    let path = CString::new(path).unwrap();
    assert_eq!(
        sys(p, op::fchmodat2, &[CWD, path.as_ptr() as i64, mode, 0]),
        0
    );
}

/// What a program run in a child writes to its standard output, and its status.
fn output(p: &'static Process, program: &str, args: &[&str]) -> (String, i32) {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors.
    let made = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) };
    assert_eq!(made, 0);
    let child = fork(p, || {
        // SAFETY: descriptors of this process.
        unsafe { libc::dup2(ends[1], 1) };
        let e = exec(p, program, args, "x");
        (-e) as i32
    });
    // SAFETY: as above.
    unsafe { libc::close(ends[1]) };
    let mut text = String::new();
    let mut buf = [0u8; 4096];
    loop {
        // SAFETY: a buffer of this size.
        let n = unsafe { libc::read(ends[0], buf.as_mut_ptr().cast(), buf.len()) };
        if n <= 0 {
            break;
        }
        text += &String::from_utf8_lossy(&buf[..n as usize]);
    }
    // SAFETY: as above.
    unsafe { libc::close(ends[0]) };
    (text, child.wait())
}

fn programs_in_a_mount_run(p: &'static Process) {
    copy(p, "/bin/echo", "/dfs/echo", 0o755);
    let ok = |s: &str| (s.to_string(), 0);
    assert_eq!(output(p, "/dfs/echo", &["echo", "a", "b"]), ok("a b\n"));
    text(p, "/dfs/s1", "#!/bin/echo one two \nx", 0o755);
    assert_eq!(
        output(p, "/dfs/s1", &["s1", "c"]),
        ok("one two /dfs/s1 c\n")
    );
    text(p, "/dfs/s2", "#!/dfs/echo", 0o755);
    assert_eq!(output(p, "/dfs/s2", &["s2"]), ok("/dfs/s2\n"));
    text(p, "/dfs/s3", "#!/dfs/s1 arg", 0o755);
    assert_eq!(
        output(p, "/dfs/s3", &["s3", "z"]),
        ok("one two /dfs/s1 arg /dfs/s3 z\n")
    );
    text(p, "/dfs/loop", "#!/dfs/loop", 0o755);
    assert_eq!(output(p, "/dfs/loop", &["l"]).1, libc::ELOOP);
    text(p, "/dfs/plain", "echo hi\n", 0o755);
    assert_eq!(output(p, "/dfs/plain", &["l"]).1, libc::ENOEXEC);
    text(p, "/dfs/empty", "", 0o755);
    assert_eq!(output(p, "/dfs/empty", &["l"]).1, libc::ENOEXEC);
    // A script of the kernel's, by an interpreter of ours.
    let script = std::env::temp_dir().join(format!("pil4dfs-script-{}", std::process::id()));
    std::fs::write(&script, "#!/dfs/echo inner\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, mode).unwrap();
    let path = script.to_str().unwrap();
    assert_eq!(output(p, path, &["s"]), ok(&format!("inner {path}\n")));
    std::fs::remove_file(&script).unwrap();
}

fn large_programs_are_shared(p: &'static Process) {
    let mut bytes = std::fs::read("/bin/echo").unwrap();
    bytes.resize(1 << 20, 0);
    close(p, run::file(p, "/dfs/large", &bytes));
    let path = c"/dfs/large".as_ptr() as i64;
    assert_eq!(sys(p, op::fchmodat2, &[CWD, path, 0o755, 0]), 0);
    for _ in 0..2 {
        let got = output(p, "/dfs/large", &["echo", "big"]);
        assert_eq!(got, ("big\n".to_string(), 0));
    }
    let dir = vfs::rundir::file("programs").unwrap();
    let staged = std::fs::read_dir(dir.to_str().unwrap()).unwrap().count();
    assert!(staged >= 1);
}

/// A program that needs a library, found by its run path, its origin or the environment.
fn libraries_are_found(p: &'static Process) {
    let dir = std::env::temp_dir().join(format!("pil4dfs-elf-{}", std::process::id()));
    let dir = dir.to_str().unwrap();
    std::fs::create_dir_all(dir).unwrap();
    let build = format!(
        "cd {dir} && echo 'int two(void){{return 2;}}' > two.c && cc -shared -fPIC -o libtwo.so two.c && \
         echo 'int two(void); int one(void){{return two()-1;}}' > one.c && \
         cc -shared -fPIC -o libone.so one.c -L. -ltwo -Wl,-rpath,'$ORIGIN' && \
         echo '#include <stdio.h>\nint one(void); int main(){{printf(\"%d %d\\n\",one(),!getenv(\"LD_LIBRARY_PATH\"));}}' \
         | sed '1i #include <stdlib.h>' > main.c && \
         cc -o rpath main.c -L. -lone -Wl,-rpath,/dfs/lib,--allow-shlib-undefined && \
         cc -o origin main.c -L. -lone -Wl,-rpath,'$ORIGIN/../lib',--allow-shlib-undefined && \
         cc -o plain main.c -L. -lone -Wl,--allow-shlib-undefined"
    );
    let built = std::process::Command::new("bash")
        .args(["-c", &build])
        .status();
    if !built.is_ok_and(|s| s.success()) {
        eprintln!("no compiler: libraries not tested");
        return;
    }
    for name in ["/dfs/lib", "/dfs/bin"] {
        let name = CString::new(name).unwrap();
        assert_eq!(sys(p, op::mkdirat, &[CWD, name.as_ptr() as i64, 0o755]), 0);
    }
    for name in ["libone.so", "libtwo.so"] {
        copy(
            p,
            &format!("{dir}/{name}"),
            &format!("/dfs/lib/{name}"),
            0o755,
        );
    }
    for name in ["rpath", "origin", "plain"] {
        copy(
            p,
            &format!("{dir}/{name}"),
            &format!("/dfs/bin/{name}"),
            0o755,
        );
    }
    // The tests run without the preload, so the variable is seen by the program.
    let ok = |n: i32| (format!("1 {n}\n"), 0);
    assert_eq!(output(p, "/dfs/bin/rpath", &["x"]), ok(0));
    assert_eq!(output(p, "/dfs/bin/origin", &["x"]), ok(0));
    assert_ne!(output(p, "/dfs/bin/plain", &["x"]).1, 0);
    std::env::set_var("LD_LIBRARY_PATH", "/no/such:/dfs/lib");
    assert_eq!(output(p, "/dfs/bin/plain", &["x"]), ok(0));
    let kernels = format!("{dir}/plain");
    assert_eq!(output(p, &kernels, &["x"]), ok(0));
    std::env::remove_var("LD_LIBRARY_PATH");
    let _ = std::fs::remove_dir_all(dir);
}

fn rights_do_not_pass(p: &'static Process) {
    use vfs::inherit::privileged::must_not_inherit;
    let check =
        |path: &std::ffi::CStr| must_not_inherit(Some((libc::AT_FDCWD, path.as_ptr() as i64, 0)));
    assert!(!check(c"/bin/sh"));
    let setuid = std::env::temp_dir().join(format!("pil4dfs-setuid-{}", std::process::id()));
    std::fs::write(&setuid, "#!/bin/sh\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o4755);
    std::fs::set_permissions(&setuid, mode).unwrap();
    let path = CString::new(setuid.to_str().unwrap()).unwrap();
    assert!(check(&path));
    std::fs::remove_file(&setuid).unwrap();
    // With other ids than at start nothing passes either.
    // SAFETY: cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        return;
    }
    let fd = run::file(p, "/dfs/rights", b"x");
    let child = fork(p, || {
        // SAFETY: this child gives its rights up.
        assert_eq!(unsafe { libc::setegid(12345) }, 0);
        dup2(p, fd, 20);
        again(p, "nothing")
    });
    assert_eq!(child.wait(), 0);
    close(p, fd);
}

fn manifests_are_not_believed(p: &'static Process) {
    // SAFETY: plain calls on descriptors of this test.
    let memfd = |seal: bool, bytes: &[u8]| unsafe {
        let fd = libc::memfd_create(c"x".as_ptr(), libc::MFD_ALLOW_SEALING);
        libc::write(fd, bytes.as_ptr().cast(), bytes.len());
        if seal {
            let all =
                libc::F_SEAL_WRITE | libc::F_SEAL_GROW | libc::F_SEAL_SHRINK | libc::F_SEAL_SEAL;
            libc::fcntl(fd, libc::F_ADD_SEALS, all);
        }
        fd
    };
    for fd in [
        -1,
        999,
        0,
        memfd(false, b"PIL"),
        memfd(true, b"PIL"),
        memfd(true, &[0; 4096]),
    ] {
        assert_eq!(inherit::adopt_from(p, fd), 0);
    }
}

#[test]
fn programs() {
    if std::env::var_os("ROLE").is_some() {
        return;
    }
    let dir = std::env::temp_dir().join(format!("pil4dfs-run-{}", std::process::id()));
    std::env::set_var("PIL4DFS_RUNDIR", &dir);
    let p = process();
    descriptors_pass(p);
    directories_pass(p);
    a_shell_in_between(p);
    nameless_files_pass(p);
    locks_pass(p);
    a_failed_exec_changes_nothing(p);
    programs_in_a_mount_run(p);
    large_programs_are_shared(p);
    libraries_are_found(p);
    rights_do_not_pass(p);
    manifests_are_not_believed(p);
    let _ = std::fs::remove_dir_all(dir);
}
