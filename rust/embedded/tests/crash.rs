//! Writers of one store are killed at any point, over and over; then everything must still be
//! readable, and a rename must have happened or not. Runs itself as the writers. Takes
//! `PIL4DFS_CRASH_SECONDS` (5); prints `N passed, N failed`.
#![allow(clippy::undocumented_unsafe_blocks)] // every call is of a live table with live handles

use daos_sys::*;
use std::ffi::{c_int, CString};
use std::process::{Child, Command};
use std::ptr;
use std::time::{Duration, Instant};

const WRITERS: u32 = 3;
const NONE: *mut dfs_obj_t = ptr::null_mut();

fn c(text: &str) -> CString {
    CString::new(text).unwrap()
}

/// xorshift: a different history each time, told by its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

struct Mount {
    api: Api,
    dfs: *mut dfs_t,
}

impl Mount {
    fn new() -> Mount {
        let api = pil4dfs_embedded::api();
        let (mut poh, mut coh) = (daos_handle_t::default(), daos_handle_t::default());
        let (mut dfs, none) = (ptr::null_mut(), ptr::null_mut());
        unsafe {
            assert_eq!((api.daos_init)(), 0);
            let pool = c("pool");
            let rc = (api.daos_pool_connect)(
                pool.as_ptr(),
                ptr::null(),
                DAOS_PC_RW,
                &mut poh,
                ptr::null_mut(),
                none,
            );
            assert_eq!(rc, 0);
            let cont = c("cont");
            let rc = (api.daos_cont_open)(
                poh,
                cont.as_ptr(),
                DAOS_COO_RW,
                &mut coh,
                ptr::null_mut(),
                none,
            );
            assert_eq!(rc, 0);
            assert_eq!((api.dfs_mount)(poh, coh, libc::O_RDWR, &mut dfs), 0);
        }
        Mount { api, dfs }
    }

    fn open(
        &self,
        dir: *mut dfs_obj_t,
        name: &str,
        mode: u32,
        flags: c_int,
    ) -> Result<*mut dfs_obj_t, c_int> {
        let (mut obj, name) = (ptr::null_mut(), c(name));
        let target = c("somewhere");
        let rc = unsafe {
            (self.api.dfs_open)(
                self.dfs,
                dir,
                name.as_ptr(),
                mode,
                flags,
                0,
                0,
                target.as_ptr(),
                &mut obj,
            )
        };
        if rc == 0 {
            Ok(obj)
        } else {
            Err(rc)
        }
    }

    /// A file holding its own name's first byte, twice 4 KiB.
    fn file(&self, dir: *mut dfs_obj_t, name: &str) -> Result<(), c_int> {
        let file = self.open(
            dir,
            name,
            libc::S_IFREG | 0o644,
            libc::O_CREAT | libc::O_RDWR,
        )?;
        let block = vec![name.as_bytes()[0]; 8192];
        let mut iov = d_iov_t::new(block.as_ptr() as *mut _, 8192);
        let mut sgl = d_sg_list_t {
            sg_nr: 1,
            sg_nr_out: 0,
            sg_iovs: &mut iov,
        };
        let rc = unsafe { (self.api.dfs_write)(self.dfs, file, &mut sgl, 0, ptr::null_mut()) };
        let (name, len) = (c("user.note"), 3000);
        let value = [7u8; 3000];
        unsafe {
            (self.api.dfs_setxattr)(self.dfs, file, name.as_ptr(), value.as_ptr().cast(), len, 0);
            (self.api.dfs_release)(file);
        }
        if rc == 0 {
            Ok(())
        } else {
            Err(rc)
        }
    }

    fn rename(&self, from: (*mut dfs_obj_t, &str), to: (*mut dfs_obj_t, &str)) -> c_int {
        let (old, new) = (c(from.1), c(to.1));
        unsafe {
            (self.api.dfs_move)(
                self.dfs,
                from.0,
                old.as_ptr(),
                to.0,
                new.as_ptr(),
                ptr::null_mut(),
            )
        }
    }

    fn exists(&self, dir: *mut dfs_obj_t, name: &str) -> bool {
        let mut stat: libc::stat = unsafe { std::mem::zeroed() };
        unsafe { (self.api.dfs_stat)(self.dfs, dir, c(name).as_ptr(), &mut stat) == 0 }
    }

    fn dir(&self, name: &str) -> *mut dfs_obj_t {
        let flags = libc::O_CREAT | libc::O_RDWR;
        self.open(NONE, name, libc::S_IFDIR | 0o755, flags)
            .expect("a directory")
    }
}

/// Changes things until killed.
fn writer(number: u32, seed: u64) -> ! {
    let mount = Mount::new();
    let mut random = Random(seed | 1);
    let (here, there) = (mount.dir("here"), mount.dir("there"));
    let token = format!("token{number}");
    if !mount.exists(here, &token) && !mount.exists(there, &token) {
        mount.file(here, &token).expect("the token");
    }
    loop {
        let name = format!(
            "{}-{}",
            (b'a' + random.below(20) as u8) as char,
            random.below(50)
        );
        let dir = if random.below(2) == 0 { here } else { there };
        match random.below(7) {
            0 | 1 => drop(mount.file(dir, &name)),
            2 => {
                let all = unsafe {
                    (mount.api.dfs_remove)(mount.dfs, dir, c(&name).as_ptr(), true, ptr::null_mut())
                };
                assert!(matches!(all, 0 | libc::ENOENT), "remove: {all}");
            }
            3 => {
                if mount.rename((here, &token), (there, &token)) != 0 {
                    assert_eq!(mount.rename((there, &token), (here, &token)), 0);
                }
            }
            4 => {
                let other = format!("{}-{}", &name[..1], random.below(50));
                if other != name {
                    mount.rename((dir, &name), (dir, &other));
                }
            }
            5 => unsafe {
                (mount.api.dfs_mkdir)(
                    mount.dfs,
                    dir,
                    c(&format!("dir-{}", random.below(30))).as_ptr(),
                    0o755,
                    0,
                );
            },
            _ => {
                let flags = libc::O_CREAT | libc::O_EXCL;
                if let Ok(link) = mount.open(
                    dir,
                    &format!("link-{}", random.below(30)),
                    libc::S_IFLNK,
                    flags,
                ) {
                    unsafe { (mount.api.dfs_release)(link) };
                }
            }
        }
    }
}

/// Looks at things until killed.
fn reader() -> ! {
    let mount = Mount::new();
    let here = mount.dir("here");
    loop {
        mount.exists(here, "token0");
    }
}

fn start(number: u32, seed: u64) -> Child {
    start_as("writer", number, seed)
}

fn start_as(role: &str, number: u32, seed: u64) -> Child {
    let me = std::env::current_exe().unwrap();
    let arguments = [role.to_string(), number.to_string(), seed.to_string()];
    Command::new(me).args(arguments).spawn().expect("a writer")
}

struct Count {
    passed: u32,
    failed: u32,
}

impl Count {
    fn check(&mut self, good: bool, what: &str) {
        if good {
            self.passed += 1;
        } else {
            self.failed += 1;
            eprintln!("FAIL {what}");
        }
    }
}

/// The bytes of every file are those of its name, whole or (killed before the write) none.
fn check_bytes(mount: &Mount, dir: *mut dfs_obj_t, count: &mut Count) {
    let mut anchor = daos_anchor_t::zeroed();
    while !anchor.is_eof() {
        let mut entries: Vec<libc::dirent> = vec![unsafe { std::mem::zeroed() }; 64];
        let mut nr = 64;
        let rc = unsafe {
            (mount.api.dfs_readdir)(mount.dfs, dir, &mut anchor, &mut nr, entries.as_mut_ptr())
        };
        count.check(rc == 0, "readdir");
        for entry in entries.iter().take(nr as usize) {
            let name = unsafe { std::ffi::CStr::from_ptr(entry.d_name.as_ptr()) }
                .to_str()
                .unwrap();
            let Ok(file) = mount.open(dir, name, libc::S_IFREG, libc::O_RDONLY) else {
                count.check(mount.exists(dir, name), name);
                continue;
            };
            let (mut bytes, mut n) = (vec![0u8; 10_000], 0);
            let mut iov = d_iov_t::new(bytes.as_mut_ptr().cast(), 10_000);
            let mut sgl = d_sg_list_t {
                sg_nr: 1,
                sg_nr_out: 0,
                sg_iovs: &mut iov,
            };
            let rc = unsafe {
                (mount.api.dfs_read)(mount.dfs, file, &mut sgl, 0, &mut n, ptr::null_mut())
            };
            bytes.truncate(n as usize);
            let own = bytes.iter().all(|byte| *byte == name.as_bytes()[0]);
            let whole = matches!(n, 0 | 4096 | 8192);
            count.check(rc == 0 && own && whole, name);
            unsafe { (mount.api.dfs_release)(file) };
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, role, number, seed] = arguments.as_slice() {
        if role == "writer" {
            writer(number.parse().unwrap(), seed.parse().unwrap());
        }
        reader();
    }
    let store = pil4dfs_embedded::test_store();
    let seconds = std::env::var("PIL4DFS_CRASH_SECONDS")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(5);
    let clock = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let mut random = Random(clock.as_nanos() as u64 | 1);
    let mut count = Count {
        passed: 0,
        failed: 0,
    };
    println!("seed {}", random.0);
    // One that is stopped for good, perhaps in the middle of a read, must bother nobody.
    let mut stopped = start_as("reader", 0, 0);
    std::thread::sleep(Duration::from_millis(300));
    unsafe { libc::kill(stopped.id() as i32, libc::SIGSTOP) };
    let mut writers: Vec<Child> = (0..WRITERS)
        .map(|n| start(n, random.below(u64::MAX)))
        .collect();
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut kills = 0;
    while Instant::now() < end {
        std::thread::sleep(Duration::from_micros(1000 + random.below(40_000)));
        let which = random.below(u64::from(WRITERS)) as usize;
        let gone = writers[which].try_wait().expect("a child's state");
        count.check(gone.is_none(), "a writer ended by itself");
        writers[which].kill().expect("killed");
        writers[which].wait().expect("gone");
        kills += 1;
        writers[which] = start(which as u32, random.below(u64::MAX));
    }
    std::thread::sleep(Duration::from_millis(200)); // the last ones get as far as their token
    for writer in &mut writers {
        writer.kill().expect("killed");
        writer.wait().expect("gone");
    }
    stopped.kill().expect("killed");
    stopped.wait().expect("gone");
    let mount = Mount::new();
    let root = store.root().to_str().unwrap();
    let findings = pil4dfs_embedded::check(&pil4dfs_embedded::Store::open(root).unwrap()).unwrap();
    count.check(
        findings.damage.is_empty(),
        &format!("{:#?}", findings.damage),
    );
    count.check(findings.orphans == 0, "orphans");
    let (here, there) = (mount.dir("here"), mount.dir("there"));
    for number in 0..WRITERS {
        let token = format!("token{number}");
        let places = u32::from(mount.exists(here, &token)) + u32::from(mount.exists(there, &token));
        count.check(places == 1, &format!("{token} is in {places} places"));
    }
    check_bytes(&mount, here, &mut count);
    check_bytes(&mount, there, &mut count);
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(store.root().join("meta/data.mdb"));
    println!(
        "{kills} kills, {} names, {} files without a name, {} MiB of metadata",
        findings.names,
        findings.leaked,
        metadata.map_or(0, |meta| meta.blocks()) >> 11
    );
    println!("{} passed, {} failed", count.passed, count.failed);
    std::process::exit(i32::from(count.failed > 0));
}
