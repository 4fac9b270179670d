//! Ordinary programs under a libc all of whose system calls go through a gate
//! (the example `patch_everything`): same output, same exit status.

#![cfg(target_arch = "x86_64")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where cargo puts the example that the test run has built.
fn library() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().unwrap().parent().unwrap();
    profile.join("examples/libpatch_everything.so")
}

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let dir = std::env::temp_dir().join(format!("patch-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        Scratch(dir)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn run(dir: &Path, script: &str, variables: &[(&str, &str)]) -> (String, Option<i32>) {
    let work = dir.join("work");
    let _ = std::fs::remove_dir_all(&work);
    std::fs::create_dir(&work).unwrap();
    let output = Command::new("/usr/bin/timeout")
        .args(["50", "/bin/bash", "-c", script])
        .current_dir(&work)
        .stdin(Stdio::null())
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (text.into_owned(), output.status.code())
}

/// Runs `script` plainly and under both gates.
fn unnoticed(name: &str, script: &str) {
    let library = library();
    assert!(library.exists(), "{} is not built", library.display());
    let scratch = Scratch::new(name);
    let report = scratch.0.join("report");
    let preload = ("LD_PRELOAD", library.to_str().unwrap());
    let reported = ("PATCH_REPORT", report.to_str().unwrap());
    let plain = run(&scratch.0, script, &[]);
    assert_eq!(plain.1, Some(0), "{}", plain.0);
    for variables in [
        &[preload, reported][..],
        &[preload, reported, ("PATCH_SERVE", "1")],
    ] {
        assert_eq!(run(&scratch.0, script, variables), plain, "{variables:?}");
        let text = std::fs::read_to_string(&report).unwrap();
        assert!(text.lines().count() > 0);
        for line in text.lines() {
            let words: Vec<_> = line.split(' ').collect();
            let patched: usize = words[0].parse().unwrap();
            let calls: usize = words[2].parse().unwrap();
            assert!(
                patched > 300 && calls > 0 && line.ends_with(" 0 lost"),
                "{line}"
            );
        }
        std::fs::remove_file(&report).unwrap();
    }
}

/// A machine without the program skips its test.
fn has(program: &str) -> bool {
    let found = Command::new("/bin/sh")
        .args(["-c", &format!("command -v {program}")])
        .output();
    found.is_ok_and(|output| output.status.success())
}

#[test]
fn bash_and_coreutils() {
    unnoticed(
        "bash",
        r#"
        for i in 1 2 3 4 5 6 7 8; do echo "line $i" >> a; done
        (echo sub; false) | cat - a > b || true
        x=$(wc -l < b; cksum b | cut -d' ' -f1); echo "$x"
        cat <(sort -r a) <<< here; trap 'echo trapped' USR1; kill -USR1 $$
        mkdir -p d/e/f; cp -a a d/e/f; mv b d; ln -s a l; tar cf t.tar a d l; tar tf t.tar
        find . -name '*a*' | sort; ls /usr/lib | sort | cksum; sleep 0.05 & wait $!; echo $?
        dd if=/dev/zero of=z bs=64k count=10 status=none; stat -c %s z; rm -r d; ls
        "#,
    );
}

#[test]
fn python() {
    if has("python3") {
        unnoticed(
            "python",
            r#"python3 -c '
import os, subprocess, threading, tempfile, glob, sqlite3, mmap, signal, socket, select
with tempfile.TemporaryDirectory() as d:
    def job(n):
        for i in range(60):
            p = os.path.join(d, f"{n}-{i}")
            with open(p, "w") as f: f.write(str(i) * 100)
            with open(p) as f: assert f.read() == str(i) * 100
    hits = []
    signal.signal(signal.SIGALRM, lambda *a: hits.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    ts = [threading.Thread(target=job, args=(n,)) for n in range(4)]
    [t.start() for t in ts]; [t.join() for t in ts]
    print(len(glob.glob(d + "/*")))
    db = sqlite3.connect(d + "/db"); db.execute("pragma journal_mode=wal")
    db.execute("create table t(x)"); db.executemany("insert into t values(?)", [(i,) for i in range(500)])
    db.commit(); print(db.execute("select sum(x) from t").fetchone()); db.close()
    with open(d + "/m", "wb+") as f:
        f.truncate(8192); m = mmap.mmap(f.fileno(), 8192); m[5:10] = b"hello"; m.flush(); m.close()
    signal.setitimer(signal.ITIMER_REAL, 0); print(len(hits) > 3)
    print(open(d + "/m", "rb").read(12))
    print(subprocess.run("echo $0; exit 3", shell=True, stdout=subprocess.PIPE))
    pid = os.fork()
    if pid == 0: os._exit(7)
    print(os.waitpid(pid, 0)[1])
    a, b = socket.socketpair(); a.send(b"x"); print(select.select([b], [], [], 1)[0] == [b])
    print(os.sendfile(a.fileno(), os.open(d + "/m", os.O_RDONLY), 0, 4), os.listdir("/proc/self/task").__len__() > 0)
'"#,
        );
    }
}

#[test]
fn a_compiler_and_what_it_makes() {
    if has("gcc") {
        unnoticed(
            "gcc",
            r#"
            cat > p.c <<'C'
            #include <errno.h>
            #include <fcntl.h>
            #include <pthread.h>
            #include <stdio.h>
            #include <stdlib.h>
            #include <string.h>
            #include <unistd.h>
            #include <sys/wait.h>
            static void *block(void *fd) { char c; while (read(*(int *)fd, &c, 1) >= 0); return 0; }
            int main(void)
            {
                int p[2]; pthread_t t; void *r; char line[64];
                if (pipe(p)) return 1;
                pthread_create(&t, 0, block, p);
                usleep(20000); pthread_cancel(t); pthread_join(t, &r);
                printf("%d\n", r == PTHREAD_CANCELED);
                FILE *f = popen("echo child; exit 4", "r");
                printf("%s", fgets(line, sizeof line, f)); printf("%d\n", WEXITSTATUS(pclose(f)));
                printf("%d %s\n", open("/no/such", O_RDONLY), strerror(errno));
                printf("%d\n", system("exit 5") >> 8);
                pid_t v = vfork(); if (!v) { execlp("echo", "echo", "vforked", (char *)0); _exit(1); }
                fflush(stdout);
                int s; waitpid(v, &s, 0); printf("%d\n", s);
                return 0;
            }
            C
            gcc -O2 -Wno-all -o p p.c -pthread && ./p | sort && cksum < p.c && make --version | head -1
            "#,
        );
    }
}

#[test]
fn git_and_perl() {
    if has("git") && has("perl") {
        unnoticed(
            "git",
            r#"
            export GIT_AUTHOR_DATE=2001-02-03T04:05:06 GIT_COMMITTER_DATE=2001-02-03T04:05:06 HOME=$PWD
            git init -q r; cd r; git config user.email a@b; git config user.name n
            for i in $(seq 30); do echo $i > f$i; done
            git add . ; git commit -qm one; git log --format=%H; git fsck; git clone -q . ../s; ls ../s | wc -l
            perl -e 'open F, ">x"; print F "y" x 100000; close F; print -s "x", "\n"; print `echo sub`'
            "#,
        );
    }
}
