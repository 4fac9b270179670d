//! Life cycle: before init, after fork, after reinit, after the death of who connected; the log.
//! Each test runs in fork children, since the library is one for a process.
#![allow(clippy::undocumented_unsafe_blocks)] // every call is of a live table with live handles

use daos_sys::*;
use std::ptr;

/// Runs `body` in a fork child and asks that it answers true.
fn in_child(body: impl FnOnce() -> bool) {
    unsafe {
        let pid = libc::fork();
        assert!(pid >= 0);
        if pid == 0 {
            let good =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).unwrap_or(false);
            libc::_exit(if good { 0 } else { 1 });
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(pid, &mut status, 0), pid);
        assert!(
            libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0,
            "status {status:#x}"
        );
    }
}

#[test]
fn quirk_init_is_counted_and_a_fork_child_must_reinit() {
    pil4dfs_embedded::test_store();
    in_child(|| {
        init_fork_reinit();
        true
    });
}

fn init_fork_reinit() {
    let store = pil4dfs_embedded::test_store();
    let api = pil4dfs_embedded::api();
    let none = ptr::null_mut();
    unsafe {
        let mut handle = daos_handle_t::default();
        let connect = |handle| {
            (api.daos_pool_connect)(
                c"pool".as_ptr(),
                ptr::null(),
                DAOS_PC_RW,
                handle,
                ptr::null_mut(),
                none,
            )
        };
        assert_eq!(connect(&mut handle), -DER_UNINIT);
        assert_eq!((api.daos_fini)(), -DER_UNINIT);
        assert_eq!((api.dfs_fini.unwrap())(), libc::EINVAL);
        assert_eq!((api.daos_init)(), 0);
        assert_eq!((api.daos_init)(), 0);
        assert_eq!((api.daos_fini)(), 0);
        let mut dfs = ptr::null_mut();
        let (pool, cont) = (c"pool".as_ptr(), c"cont".as_ptr());
        let dfs_connect = api.dfs_connect.unwrap();
        assert_eq!(
            dfs_connect(
                pool,
                ptr::null(),
                cont,
                libc::O_RDWR,
                ptr::null_mut(),
                &mut dfs
            ),
            libc::EACCES
        );

        let (mut poh, mut coh) = (daos_handle_t::default(), daos_handle_t::default());
        assert_eq!(connect(&mut poh), 0);
        let info = ptr::null_mut();
        assert_eq!(
            (api.daos_cont_open)(poh, cont, DAOS_COO_RW, &mut coh, info, none),
            0
        );
        assert_eq!((api.dfs_mount)(poh, coh, libc::O_RDWR, &mut dfs), 0);
        let mut obj = ptr::null_mut();
        let open = |name: *const libc::c_char, obj| {
            let (mode, flags) = (libc::S_IFREG | 0o644, libc::O_CREAT | libc::O_RDWR);
            (api.dfs_open)(
                dfs,
                ptr::null_mut(),
                name,
                mode,
                flags,
                0,
                0,
                ptr::null(),
                obj,
            )
        };
        assert_eq!(open(c"parent".as_ptr(), &mut obj), 0);
        let write = |obj, text: &[u8]| {
            let mut iov = d_iov_t::new(text.as_ptr() as *mut _, text.len() as u64);
            let mut sgl = d_sg_list_t {
                sg_nr: 1,
                sg_nr_out: 0,
                sg_iovs: &mut iov,
            };
            (api.dfs_write)(dfs, obj, &mut sgl, 0, none)
        };
        assert_eq!(write(obj, b"parent"), 0);

        let refused = store.calls("after-fork");
        in_child(|| {
            let mut stat: libc::stat = std::mem::zeroed();
            (api.dfs_stat)(dfs, ptr::null_mut(), c"parent".as_ptr(), &mut stat) == libc::EIO
                && (api.daos_init)() == -DER_UNINIT
                && connect(&mut daos_handle_t::default()) == -DER_UNINIT
        });
        assert_eq!(store.calls("after-fork"), refused + 3);

        in_child(|| {
            let (mut stat, mut new): (libc::stat, _) = (std::mem::zeroed(), ptr::null_mut());
            let good = (api.daos_reinit.unwrap())() == 0
                && (api.dfs_stat)(dfs, ptr::null_mut(), c"parent".as_ptr(), &mut stat) == 0
                && write(obj, b"child!") == 0
                && open(c"child".as_ptr(), &mut new) == 0
                && write(new, b"new") == 0;
            // A grandchild, once more.
            in_child(|| {
                (api.dfs_ostat)(dfs, new, &mut stat) == libc::EIO
                    && (api.daos_reinit.unwrap())() == 0
                    && (api.dfs_ostat)(dfs, new, &mut stat) == 0
                    && stat.st_size == 3
            });
            good && (api.daos_cont_close)(coh, none) == 0
        });

        // The parent goes on, and sees what the child did.
        let mut stat: libc::stat = std::mem::zeroed();
        assert_eq!(
            (api.dfs_stat)(dfs, ptr::null_mut(), c"child".as_ptr(), &mut stat),
            0
        );
        assert_eq!(stat.st_size, 3);
        let mut ours = ptr::null_mut();
        assert_eq!(open(c"after".as_ptr(), &mut ours), 0);
        let (mut mine, mut theirs) = (daos_obj_id_t::default(), daos_obj_id_t::default());
        assert_eq!(open(c"child".as_ptr(), &mut obj), 0);
        (api.dfs_obj2id)(ours, &mut mine);
        (api.dfs_obj2id)(obj, &mut theirs);
        // Quirk: the child went on with the parent's count, so two names share one object.
        assert_eq!(mine, theirs);
        assert_eq!(write(ours, b"both"), 0);
        assert_eq!((api.dfs_ostat)(dfs, obj, &mut stat), 0);
        assert_eq!(stat.st_size, 4);
        // The same mount passed through bytes fetches ids of its own.
        let mut blob = [0u8; DFS_GLOB_SIZE];
        let mut iov = d_iov_t::new(blob.as_mut_ptr().cast(), blob.len() as u64);
        let mut again = ptr::null_mut();
        assert_eq!((api.dfs_local2global)(dfs, &mut iov), 0);
        assert_eq!((api.dfs_global2local)(poh, coh, 0, iov, &mut again), 0);
        let (mode, flags) = (libc::S_IFREG | 0o644, libc::O_CREAT | libc::O_RDWR);
        let (name, null) = (c"alone".as_ptr(), ptr::null_mut());
        let rc = (api.dfs_open)(again, null, name, mode, flags, 0, 0, ptr::null(), &mut obj);
        assert_eq!(rc, 0);
        (api.dfs_obj2id)(obj, &mut theirs);
        assert_ne!(mine.lo, theirs.lo);
        assert_eq!((api.dfs_umount)(again), 0);

        assert_eq!((api.daos_fini)(), 0);
        assert_eq!(
            (api.dfs_stat)(dfs, ptr::null_mut(), c"child".as_ptr(), &mut stat),
            libc::EIO
        );
        assert_eq!((api.daos_init)(), 0);
        assert_eq!(
            (api.dfs_stat)(dfs, ptr::null_mut(), c"child".as_ptr(), &mut stat),
            0
        );
    }
}

/// What `body` writes to standard output, run in a fork child.
fn stdout_of(body: impl FnOnce()) -> String {
    let mut ends = [0; 2];
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    in_child(|| unsafe {
        libc::dup2(ends[1], 1);
        body();
        true
    });
    let mut text = [0u8; 4096];
    unsafe {
        libc::close(ends[1]);
        let n = libc::read(ends[0], text.as_mut_ptr().cast(), text.len());
        libc::close(ends[0]);
        String::from_utf8_lossy(&text[..n.max(0) as usize]).into_owned()
    }
}

#[test]
fn quirk_without_a_log_file_errors_go_to_stdout() {
    let root = pil4dfs_embedded::test_store().root();
    let api = pil4dfs_embedded::api();
    let text = stdout_of(|| unsafe {
        libc::unsetenv(c"D_LOG_FILE".as_ptr());
        assert_eq!((api.daos_init)(), 0);
    });
    assert_eq!(text, ""); // no error, no word
    let text = stdout_of(|| unsafe {
        libc::unsetenv(c"D_LOG_FILE".as_ptr());
        libc::setenv(
            c"PIL4DFS_EMBEDDED_ROOT".as_ptr(),
            c"/nonexistent".as_ptr(),
            1,
        );
        assert_eq!((api.daos_init)(), -DER_AGENT_COMM);
        libc::setenv(c"PIL4DFS_EMBEDDED_ROOT".as_ptr(), c"".as_ptr(), 1);
        assert_eq!((api.dfs_init.unwrap())(), libc::EIO);
    });
    assert!(text.contains("no store at /nonexistent"), "{text:?}");
    let log = root.join("log");
    let name = std::ffi::CString::new(log.to_str().unwrap()).unwrap();
    let text = stdout_of(|| unsafe {
        libc::setenv(c"D_LOG_FILE".as_ptr(), name.as_ptr(), 1);
        assert_eq!((api.daos_init)(), 0);
        let mut poh = daos_handle_t::default();
        let (sys, info, none) = (ptr::null(), ptr::null_mut(), ptr::null_mut());
        let rc = (api.daos_pool_connect)(c"nopool".as_ptr(), sys, DAOS_PC_RO, &mut poh, info, none);
        assert_eq!(rc, -DER_NONEXIST);
    });
    assert_eq!(text, "");
    let lines = std::fs::read_to_string(log).unwrap();
    assert!(
        lines.lines().next().unwrap().contains("NOT DAOS"),
        "{lines:?}"
    );
    assert!(lines.contains("nopool"), "{lines:?}");
}

#[test]
fn handles_die_with_the_process_that_connected() {
    pil4dfs_embedded::test_store();
    in_child(|| unsafe {
        libc::setenv(c"PIL4DFS_EMBEDDED_EVICT_MS".as_ptr(), c"0".as_ptr(), 1);
        let (mut to_us, mut to_him) = ([0; 2], [0; 2]);
        libc::pipe(to_us.as_mut_ptr());
        libc::pipe(to_him.as_mut_ptr());
        let api = pil4dfs_embedded::api();
        let none = ptr::null_mut();
        let his = libc::fork();
        if his == 0 {
            let (mut poh, mut coh) = (daos_handle_t::default(), daos_handle_t::default());
            let (mut blob, mut dfs) = ([0u8; 484], ptr::null_mut());
            (api.daos_init)();
            let (sys, info) = (ptr::null(), ptr::null_mut());
            (api.daos_pool_connect)(c"pool".as_ptr(), sys, DAOS_PC_RW, &mut poh, info, none);
            (api.daos_cont_open)(
                poh,
                c"cont".as_ptr(),
                DAOS_COO_RW,
                &mut coh,
                ptr::null_mut(),
                none,
            );
            (api.dfs_mount)(poh, coh, libc::O_RDWR, &mut dfs);
            let at = |from: usize, len: u64| d_iov_t::new(blob.as_ptr().add(from) as *mut _, len);
            (api.daos_pool_local2global)(poh, &mut at(0, 236));
            (api.daos_cont_local2global)(coh, &mut at(236, 120));
            (api.dfs_local2global)(dfs, &mut at(356, 128));
            libc::write(to_us[1], blob.as_mut_ptr().cast(), blob.len());
            libc::read(to_him[0], blob.as_mut_ptr().cast(), 1);
            libc::_exit(0);
        }
        let mut blob = [0u8; 484];
        assert_eq!(
            libc::read(to_us[0], blob.as_mut_ptr().cast(), blob.len()),
            484
        );
        assert_eq!((api.daos_init)(), 0);
        let at = |from: usize, len: u64| d_iov_t::new(blob.as_ptr().add(from) as *mut _, len);
        let (mut poh, mut coh) = (daos_handle_t::default(), daos_handle_t::default());
        let (mut dfs, mut stat): (_, libc::stat) = (ptr::null_mut(), std::mem::zeroed());
        assert_eq!((api.daos_pool_global2local)(at(0, 236), &mut poh), 0);
        assert_eq!((api.daos_cont_global2local)(poh, at(236, 120), &mut coh), 0);
        assert_eq!(
            (api.dfs_global2local)(poh, coh, 0, at(356, 128), &mut dfs),
            0
        );
        let mut root_stat = || (api.dfs_stat)(dfs, ptr::null_mut(), ptr::null(), &mut stat);
        assert_eq!(root_stat(), 0);
        libc::kill(his, libc::SIGKILL);
        libc::waitpid(his, ptr::null_mut(), 0);
        assert_eq!(root_stat(), libc::EINVAL);
        let mut info = daos_pool_info_t::zeroed();
        let rc = (api.daos_pool_query)(poh, ptr::null_mut(), &mut info, ptr::null_mut(), none);
        assert_eq!(rc, -DER_NO_HDL);
        (api.dfs_umount)(dfs) == 0 && (api.daos_cont_close)(coh, none) == 0
    });
}
