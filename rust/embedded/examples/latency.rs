//! How long the provider's calls take, nanoseconds each: `cargo run --release --example latency`.
#![allow(clippy::undocumented_unsafe_blocks)] // every call is of a live table

use daos_sys::*;
use std::ptr;
use std::time::Instant;

/// The best of ten batches, since others use the machine as well.
fn time(what: &str, rounds: u32, mut call: impl FnMut(u32)) {
    let batch = rounds / 10;
    let best = (0..10)
        .map(|part| {
            let start = Instant::now();
            for round in part * batch..(part + 1) * batch {
                call(round);
            }
            start.elapsed().as_nanos() / u128::from(batch)
        })
        .min();
    println!("{what:<24} {:>8} ns", best.unwrap_or(0));
}

fn main() {
    pil4dfs_embedded::test_store();
    let api = pil4dfs_embedded::api();
    let (mut poh, mut coh) = (daos_handle_t::default(), daos_handle_t::default());
    let (mut dfs, mut file, mut dir, none) = (
        ptr::null_mut(),
        ptr::null_mut(),
        ptr::null_mut(),
        ptr::null_mut(),
    );
    let (rw, create) = (libc::O_RDWR, libc::O_RDWR | libc::O_CREAT);
    unsafe {
        assert_eq!((api.daos_init)(), 0);
        (api.daos_pool_connect)(
            c"pool".as_ptr(),
            ptr::null(),
            DAOS_PC_RW,
            &mut poh,
            ptr::null_mut(),
            none,
        );
        (api.daos_cont_open)(
            poh,
            c"cont".as_ptr(),
            DAOS_COO_RW,
            &mut coh,
            ptr::null_mut(),
            none,
        );
        assert_eq!((api.dfs_mount)(poh, coh, rw, &mut dfs), 0);
        assert_eq!(
            (api.dfs_mkdir)(dfs, ptr::null_mut(), c"d".as_ptr(), 0o755, 0),
            0
        );
        (api.dfs_lookup)(
            dfs,
            c"/d".as_ptr(),
            rw,
            &mut dir,
            ptr::null_mut(),
            ptr::null_mut(),
        );
        (api.dfs_open)(
            dfs,
            dir,
            c"f".as_ptr(),
            libc::S_IFREG | 0o644,
            create,
            0,
            0,
            ptr::null(),
            &mut file,
        );
        let name = |n: u32| std::ffi::CString::new(format!("n{n}")).unwrap();
        let names: Vec<_> = (0..10_000).map(name).collect();
        let mut block = vec![0u8; 4096];
        let mut iov = d_iov_t::new(block.as_mut_ptr().cast(), 4096);
        let mut sgl = d_sg_list_t {
            sg_nr: 1,
            sg_nr_out: 0,
            sg_iovs: &mut iov,
        };
        let (mut n, mut stat) = (0, std::mem::zeroed());
        time("write 4 KiB", 100_000, |_| {
            assert_eq!((api.dfs_write)(dfs, file, &mut sgl, 0, none), 0)
        });
        time("read 4 KiB", 100_000, |_| {
            assert_eq!((api.dfs_read)(dfs, file, &mut sgl, 0, &mut n, none), 0)
        });
        time("stat of a directory", 100_000, |_| {
            assert_eq!(
                (api.dfs_stat)(dfs, ptr::null_mut(), c"d".as_ptr(), &mut stat),
                0
            )
        });
        time("stat of a file", 100_000, |_| {
            assert_eq!((api.dfs_stat)(dfs, dir, c"f".as_ptr(), &mut stat), 0)
        });
        time("stat of nothing", 100_000, |_| {
            assert_eq!((api.dfs_stat)(dfs, dir, c"none".as_ptr(), &mut stat), 2)
        });
        time("ostat of a file", 100_000, |_| {
            assert_eq!((api.dfs_ostat)(dfs, file, &mut stat), 0)
        });
        time("lookup_rel + release", 100_000, |_| {
            let mut obj = ptr::null_mut();
            (api.dfs_lookup_rel)(
                dfs,
                dir,
                c"f".as_ptr(),
                rw,
                &mut obj,
                ptr::null_mut(),
                ptr::null_mut(),
            );
            (api.dfs_release)(obj);
        });
        time("open + release", 100_000, |_| {
            let mut obj = ptr::null_mut();
            (api.dfs_open)(
                dfs,
                dir,
                c"f".as_ptr(),
                libc::S_IFREG,
                rw,
                0,
                0,
                ptr::null(),
                &mut obj,
            );
            (api.dfs_release)(obj);
        });
        time("create + release", 10_000, |round| {
            let mut obj = ptr::null_mut();
            let name = names[round as usize].as_ptr();
            (api.dfs_open)(
                dfs,
                dir,
                name,
                libc::S_IFREG | 0o644,
                create,
                0,
                0,
                ptr::null(),
                &mut obj,
            );
            (api.dfs_release)(obj);
        });
        let mut entries: Vec<libc::dirent> = vec![std::mem::zeroed(); 128];
        let start = Instant::now();
        let (mut anchor, mut seen) = (daos_anchor_t::zeroed(), 0);
        while !anchor.is_eof() {
            let mut nr = 128;
            (api.dfs_readdir)(dfs, dir, &mut anchor, &mut nr, entries.as_mut_ptr());
            seen += nr;
        }
        println!(
            "{:<24} {:>8} ns",
            "readdir, each name",
            start.elapsed().as_nanos() / u128::from(seen)
        );
        time("rename", 10_000, |round| {
            let name = names[round as usize].as_ptr();
            let other = std::ffi::CString::new(format!("m{round}")).unwrap();
            assert_eq!(
                (api.dfs_move)(dfs, dir, name, dir, other.as_ptr(), ptr::null_mut()),
                0
            );
        });
        time("remove", 10_000, |round| {
            let other = std::ffi::CString::new(format!("m{round}")).unwrap();
            assert_eq!(
                (api.dfs_remove)(dfs, dir, other.as_ptr(), false, ptr::null_mut()),
                0
            );
        });
    }
}
