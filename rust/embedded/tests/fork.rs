//! Life cycle: before init, after fork, after reinit. One test, since it forks and ends the
//! library under itself.
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
        assert_ne!(mine, theirs);

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
