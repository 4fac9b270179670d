//! Life cycle, pools, containers, serialized handles, events.
use crate::fixture::*;
use daos_sys::*;
use std::ffi::{c_int, CStr};
use std::ptr;

fn blob_of(export: impl Fn(*mut d_iov_t) -> c_int, too_small: c_int) -> Vec<u8> {
    let mut iov = d_iov_t::zeroed();
    assert_eq!(export(&mut iov), 0);
    let mut blob = vec![0u8; iov.iov_buf_len as usize];
    let mut short = d_iov_t::new(blob.as_mut_ptr().cast(), blob.len() as u64 - 1);
    assert_eq!(
        (export(&mut short), short.iov_buf_len),
        (too_small, blob.len() as u64)
    );
    let mut whole = d_iov_t::new(blob.as_mut_ptr().cast(), blob.len() as u64);
    assert_eq!((export(&mut whole), whole.iov_len), (0, blob.len() as u64));
    blob
}

fn magic(blob: &[u8]) -> u32 {
    u32::from_le_bytes(blob[..4].try_into().unwrap())
}

#[test]
fn handles_travel_as_bytes_of_the_known_sizes() {
    let fs = Fs::new();
    let api = fs.api;
    let file = fs.file(ROOT, "f");
    fs.write(file, b"hello", 0).unwrap();
    let pool = blob_of(
        |iov| unsafe { (api.daos_pool_local2global)(fs.poh, iov) },
        -DER_TRUNC,
    );
    let cont = blob_of(
        |iov| unsafe { (api.daos_cont_local2global)(fs.coh, iov) },
        -DER_TRUNC,
    );
    let dfs = blob_of(
        |iov| unsafe { (api.dfs_local2global)(fs.dfs, iov) },
        libc::ENOBUFS,
    );
    let obj = blob_of(
        |iov| unsafe { (api.dfs_obj_local2global)(fs.dfs, file, iov) },
        libc::ENOBUFS,
    );
    assert_eq!(
        [pool.len(), cont.len(), dfs.len(), obj.len()],
        [236, 120, 128, 344]
    );
    let magics = [
        POOL_GLOB_MAGIC,
        CONT_GLOB_MAGIC,
        DFS_GLOB_MAGIC,
        DFS_OBJ_GLOB_MAGIC,
    ];
    assert_eq!(
        [magic(&pool), magic(&cont), magic(&dfs), magic(&obj)],
        magics
    );

    let iov = |blob: &[u8]| d_iov_t::new(blob.as_ptr() as *mut _, blob.len() as u64);
    let (mut poh, mut coh) = (daos_handle_t::default(), daos_handle_t::default());
    let (mut mount, mut object) = (ptr::null_mut(), ptr::null_mut());
    unsafe {
        assert_eq!((api.daos_pool_global2local)(iov(&pool), &mut poh), 0);
        assert_eq!((api.daos_cont_global2local)(poh, iov(&cont), &mut coh), 0);
        assert_eq!(
            (api.dfs_global2local)(poh, coh, 0, iov(&dfs[..120]), &mut mount),
            libc::EINVAL
        );
        assert_eq!(
            (api.dfs_global2local)(poh, coh, 0, iov(&dfs), &mut mount),
            0
        );
        assert_eq!(
            (api.dfs_obj_global2local)(mount, 0, iov(&obj), &mut object),
            0
        );
    }
    let there = Fs {
        api,
        poh,
        coh,
        dfs: mount,
    };
    assert_eq!(there.read(object, 9, 0).unwrap(), b"hello");
    // O_RDONLY cannot be asked for: 0 means the sender's mode.
    there.write(object, b"HELLO", 0).unwrap();
    assert_eq!(fs.read(file, 9, 0).unwrap(), b"HELLO");
    assert_eq!(there.ostat(object).unwrap().st_size, 5);
    fs.symlink(ROOT, "l", "x").unwrap();
    let link = fs.lookup("/l", libc::O_NOFOLLOW).unwrap().0;
    let rc = unsafe { (api.dfs_obj_local2global)(fs.dfs, link, &mut d_iov_t::zeroed()) };
    assert_eq!(rc, libc::EINVAL);
}

#[test]
fn quirk_a_second_close_is_no_hdl_and_a_used_pool_is_busy() {
    let fs = Fs::new();
    let none = ptr::null_mut();
    unsafe {
        assert_eq!((fs.api.daos_pool_disconnect)(fs.poh, none), -DER_BUSY);
        assert_eq!((fs.api.daos_cont_close)(fs.coh, none), 0); // though mounted
        assert_eq!((fs.api.daos_cont_close)(fs.coh, none), -DER_NO_HDL);
        assert_eq!((fs.api.daos_pool_disconnect)(fs.poh, none), 0);
        assert_eq!((fs.api.daos_pool_disconnect)(fs.poh, none), -DER_NO_HDL);
        assert_eq!((fs.api.dfs_umount)(fs.dfs), 0);
    }
}

#[test]
fn unknown_pools_and_containers_do_not_exist() {
    let fs = Fs::new();
    let (mut handle, none) = (daos_handle_t::default(), ptr::null_mut());
    let connect = |name: &str, handle| unsafe {
        (fs.api.daos_pool_connect)(
            c(name).as_ptr(),
            ptr::null(),
            DAOS_PC_RO,
            handle,
            ptr::null_mut(),
            none,
        )
    };
    assert_eq!(connect("none", &mut handle), -DER_NONEXIST);
    let rc = unsafe {
        (fs.api.daos_cont_open)(
            fs.poh,
            c("none").as_ptr(),
            DAOS_COO_RO,
            &mut handle,
            ptr::null_mut(),
            none,
        )
    };
    assert_eq!(rc, -DER_NONEXIST);
}

#[test]
fn pools_and_containers_go_by_uuid_too() {
    let fs = Fs::new();
    let (mut pool, mut cont) = (daos_pool_info_t::zeroed(), daos_cont_info_t::zeroed());
    pool.pi_bits = DPI_SPACE;
    let (none, props) = (ptr::null_mut(), ptr::null_mut());
    unsafe {
        assert_eq!(
            (fs.api.daos_pool_query)(fs.poh, ptr::null_mut(), &mut pool, props, none),
            0
        );
        assert_eq!(
            (fs.api.daos_cont_query.unwrap())(fs.coh, &mut cont, props, none),
            0
        );
    }
    let space = &pool.pi_space.ps_space;
    assert!(space.s_total[0] > 0 && space.s_total[1] > space.s_total[0]);
    assert!(space.s_free[1] <= space.s_total[1]);
    let (pool, cont) = (
        pil4dfs_embedded::uuid_text(&pool.pi_uuid),
        pil4dfs_embedded::uuid_text(&cont.ci_uuid),
    );
    let (mut poh, mut coh) = (daos_handle_t::default(), daos_handle_t::default());
    unsafe {
        let info = ptr::null_mut();
        assert_eq!(
            (fs.api.daos_pool_connect)(
                c(&pool).as_ptr(),
                ptr::null(),
                DAOS_PC_RW,
                &mut poh,
                info,
                none
            ),
            0
        );
        let info = ptr::null_mut();
        assert_eq!(
            (fs.api.daos_cont_open)(poh, c(&cont).as_ptr(), DAOS_COO_RW, &mut coh, info, none),
            0
        );
    }
}

#[test]
fn quirk_connect_and_mount_end_each_by_their_own_call() {
    let fs = Fs::new();
    let connect = fs.api.dfs_connect.unwrap();
    let disconnect = fs.api.dfs_disconnect.unwrap();
    let mut dfs = ptr::null_mut();
    let call = |cont: &str, flags, dfs: *mut *mut dfs_t| unsafe {
        connect(
            c("pool").as_ptr(),
            ptr::null(),
            c(cont).as_ptr(),
            flags,
            ptr::null_mut(),
            dfs,
        )
    };
    // The flag for balanced containers does not get through.
    assert_eq!(
        call("bal", libc::O_RDWR | DFS_BALANCED, &mut dfs),
        libc::EPERM
    );
    assert_eq!(call("none", libc::O_RDWR, &mut dfs), libc::ENOENT);
    assert_eq!(call("cont", libc::O_RDWR, &mut dfs), 0);
    unsafe {
        assert_eq!((fs.api.dfs_umount)(dfs), libc::EINVAL);
        assert_eq!(disconnect(fs.dfs), libc::EINVAL);
        assert_eq!(disconnect(dfs), 0);
    }
}

#[test]
fn a_container_without_a_file_system_does_not_mount() {
    let fs = Fs::new();
    let create = fs.api.daos_cont_create_with_label.unwrap();
    let (label, none) = (c("bare"), ptr::null_mut());
    let rc = unsafe {
        create(
            fs.poh,
            label.as_ptr(),
            ptr::null_mut(),
            ptr::null_mut(),
            none,
        )
    };
    assert_eq!(rc, 0);
    assert_eq!(Fs::mount("bare", libc::O_RDWR).err(), Some(libc::EINVAL));
    let destroy = fs.api.daos_cont_destroy.unwrap();
    assert_eq!(unsafe { destroy(fs.poh, label.as_ptr(), 0, none) }, 0);
    assert_eq!(Fs::mount("bare", libc::O_RDWR).err(), Some(-DER_NONEXIST));
}

#[test]
fn containers_have_attributes() {
    let fs = Fs::new();
    let (name, value) = (c("dfuse-attr-time"), *b"5s");
    let (names, none) = ([name.as_ptr()], ptr::null_mut());
    let mut buffer = [0u8; 8];
    let mut size = 8usize;
    let get = fs.api.daos_cont_get_attr.unwrap();
    let mut read = |size: &mut usize| unsafe {
        get(
            fs.coh,
            1,
            names.as_ptr(),
            [buffer.as_mut_ptr().cast()].as_ptr(),
            size,
            none,
        )
    };
    assert_eq!((read(&mut size), size), (-DER_NONEXIST, 0));
    let set = fs.api.daos_cont_set_attr.unwrap();
    let rc = unsafe {
        set(
            fs.coh,
            1,
            names.as_ptr(),
            [value.as_ptr().cast()].as_ptr(),
            &2usize,
            none,
        )
    };
    assert_eq!(rc, 0);
    size = 8;
    assert_eq!((read(&mut size), size), (0, 2));
    assert_eq!(&buffer[..2], b"5s");
}

#[test]
fn quirk_events_are_complete_but_must_be_polled() {
    let fs = Fs::new();
    let api = fs.api;
    let file = fs.file(ROOT, "f");
    fs.write(file, b"hello", 0).unwrap();
    let mut eq = daos_handle_t::default();
    let (mut one, mut two) = (daos_event_t::zeroed(), daos_event_t::zeroed());
    let mut bytes = [0u8; 5];
    let mut iov = d_iov_t::new(bytes.as_mut_ptr().cast(), 5);
    let mut sgl = d_sg_list_t {
        sg_nr: 1,
        sg_nr_out: 0,
        sg_iovs: &mut iov,
    };
    let (mut n, mut events) = (0, [ptr::null_mut(); 4]);
    unsafe {
        assert_eq!((api.daos_eq_create)(&mut eq), 0);
        assert_eq!((api.daos_event_init)(&mut one, eq, ptr::null_mut()), 0);
        assert_eq!((api.daos_event_init)(&mut two, eq, ptr::null_mut()), 0);
        // An argument error is answered at once, and the event stays ready.
        assert_eq!(
            (api.dfs_read)(fs.dfs, ptr::null_mut(), &mut sgl, 0, &mut n, &mut one),
            libc::EINVAL
        );
        assert_eq!(
            (api.dfs_read)(fs.dfs, file, &mut sgl, 0, &mut n, &mut one),
            0
        );
        assert_eq!(
            (api.dfs_write)(fs.dfs, file, &mut sgl, u64::MAX, &mut two),
            0
        );
        assert_eq!((api.daos_eq_destroy)(eq, 0), -DER_BUSY);
        assert_eq!(
            (api.daos_eq_poll)(eq, 0, 0, 0, events.as_mut_ptr()),
            -DER_INVAL
        );
        assert_eq!((api.daos_eq_poll)(eq, 1, -1, 4, events.as_mut_ptr()), 2);
        assert_eq!((one.ev_error, two.ev_error), (0, libc::EINVAL)); // a positive errno
        assert_eq!((events[0], n, &bytes), (&raw mut one, 5, b"hello"));
        assert_eq!((api.daos_eq_poll)(eq, 1, 0, 4, events.as_mut_ptr()), 0);
        let mut done = false;
        assert_eq!(
            (api.dfs_read)(fs.dfs, file, &mut sgl, 0, &mut n, &mut one),
            0
        );
        assert_eq!((api.daos_event_test)(&mut one, 0, &mut done), 0);
        assert!(done);
        assert_eq!((api.daos_event_fini)(&mut one), 0);
        assert_eq!((api.daos_event_fini)(&mut two), 0);
        assert_eq!((api.daos_eq_destroy)(eq, 0), 0);
        assert_eq!((api.daos_eq_destroy)(eq, 0), -DER_NO_HDL);
    }
}

#[test]
fn a_protected_container_opens_only_to_read() {
    let label = pil4dfs_embedded::test_store().fresh_container();
    let root = pil4dfs_embedded::test_store().root().to_str().unwrap();
    let store = pil4dfs_embedded::Store::open(root).unwrap();
    let pool = store.pool("pool").unwrap().id;
    store.protect(pool, &label, true).unwrap();
    assert_eq!(Fs::mount(&label, libc::O_RDWR).err(), Some(-DER_NO_PERM));
    assert!(Fs::mount(&label, libc::O_RDONLY).is_ok());
}

#[test]
fn the_namespace_is_resolved_by_url() {
    let api = api();
    let (resolve, destroy) = (
        api.duns_resolve_path.unwrap(),
        api.duns_destroy_attr.unwrap(),
    );
    let mut attr = duns_attr_t::zeroed();
    assert_eq!(
        unsafe { resolve(c("DAOS://pool/cont/a/b").as_ptr(), &mut attr) },
        0
    );
    let text = |chars: &[libc::c_char]| unsafe { CStr::from_ptr(chars.as_ptr()) }.to_owned();
    assert_eq!(
        (text(&attr.da_pool), text(&attr.da_cont)),
        (c("pool"), c("cont"))
    );
    assert_eq!(unsafe { CStr::from_ptr(attr.da_rel_path) }, c"/a/b");
    unsafe { destroy(&mut attr) };
    assert_eq!(
        unsafe { resolve(c("/pool/cont").as_ptr(), &mut attr) },
        libc::ENOENT
    );
    assert_eq!(
        unsafe { resolve(c("/tmp").as_ptr(), &mut attr) },
        libc::ENODATA
    );
    let mut value = *b"DAOS.POSIX://pool/cont";
    let parse = api.duns_parse_attr.unwrap();
    let len = value.len() as u64;
    assert_eq!(
        unsafe { parse(value.as_mut_ptr().cast(), len, &mut attr) },
        libc::EINVAL
    );
}

#[test]
fn calls_are_counted_exactly() {
    let fs = Fs::new();
    let store = pil4dfs_embedded::test_store();
    let exchange = fs.api.dfs_obj_anchor_split.unwrap(); // nobody else here calls this one
    let before = store.calls("dfs_obj_anchor_split");
    for _ in 0..5 {
        let (mut nr, root) = (0, fs.root());
        assert_eq!(unsafe { exchange(root, &mut nr, ptr::null_mut()) }, 0);
    }
    assert_eq!(store.calls("dfs_obj_anchor_split"), before + 5);
}
