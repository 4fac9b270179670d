//! The shared object under DAOS's names: one object however it is reached, exporting DAOS's names
//! and nothing else, usable through `daos_sys::load`.
#![allow(clippy::undocumented_unsafe_blocks)] // every call is of a live table

use std::ffi::{CStr, CString};
use std::path::PathBuf;

/// The cdylib that cargo built beside this test.
fn library() -> PathBuf {
    let exe = std::env::current_exe().expect("a path");
    let deps = exe.parent().expect("a directory");
    let found = [deps.to_path_buf(), deps.join("..")].map(|dir| dir.join("libpil4dfs_embedded.so"));
    found
        .into_iter()
        .find(|path| path.exists())
        .expect("the shared object is built with its tests")
}

#[test]
fn one_object_under_five_names() {
    let store = pil4dfs_embedded::test_store();
    let dir = store.root().join("lib");
    std::fs::create_dir(&dir).unwrap();
    let names = [
        "libdaos.so.2",
        "libdfs.so",
        "libduns.so",
        "libdaos_common.so",
        "libgurt.so.4",
    ];
    std::fs::copy(library(), dir.join(names[0])).unwrap();
    for name in &names[1..] {
        std::os::unix::fs::symlink(names[0], dir.join(name)).unwrap();
    }
    let dir_name = CString::new(dir.to_str().unwrap()).unwrap();
    let api = daos_sys::load::open(Some(&dir_name)).unwrap();
    assert!(api.daos_reinit.is_some() && api.duns_resolve_path.is_some());
    let handles = names.map(|name| {
        let path = CString::new(dir.join(name).to_str().unwrap()).unwrap();
        unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_NOLOAD) }
    });
    assert!(!handles[0].is_null() && handles.iter().all(|handle| *handle == handles[0]));
    for symbol in [
        c"daos_pool_connect2",
        c"daos_cont_open2",
        c"daos_cont_destroy2",
        c"daos_debug_init",
    ] {
        assert!(
            !unsafe { libc::dlsym(handles[0], symbol.as_ptr()) }.is_null(),
            "{symbol:?}"
        );
    }
    // Its LMDB is its own.
    let hidden: &CStr = c"mdb_env_open";
    assert!(unsafe { libc::dlsym(handles[0], hidden.as_ptr()) }.is_null());

    assert_eq!(unsafe { (api.daos_init)() }, 0);
    let mut poh = daos_sys::daos_handle_t::default();
    let (none, info) = (std::ptr::null_mut(), std::ptr::null_mut());
    let rc = unsafe {
        (api.daos_pool_connect)(
            c"pool".as_ptr(),
            std::ptr::null(),
            daos_sys::DAOS_PC_RO,
            &mut poh,
            info,
            none,
        )
    };
    assert_eq!(rc, 0);
    let (mut major, mut minor, mut fix) = (0, 0, 0);
    assert_eq!(
        unsafe { (api.daos_version_get.unwrap())(&mut major, &mut minor, &mut fix) },
        0
    );
    assert_eq!((major, minor, fix), (2, 8, 0));
}
