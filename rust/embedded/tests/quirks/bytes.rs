//! Reading, writing, sizes.
use crate::fixture::*;
use daos_sys::*;

#[test]
fn reads_are_short_only_at_the_end() {
    let fs = Fs::new();
    let file = fs.file(ROOT, "f");
    assert_eq!(fs.read(file, 10, 0).unwrap(), b"");
    fs.write(file, b"end", 1_000_000).unwrap();
    assert_eq!(fs.size(file), 1_000_003);
    assert_eq!(fs.read(file, 4, 500_000).unwrap(), [0; 4]);
    assert_eq!(fs.read(file, 10, 999_999).unwrap(), b"\0end");
    assert_eq!(fs.read(file, 10, 1_000_003).unwrap(), b"");
    assert_eq!(fs.read(file, 10, 9_000_000).unwrap(), b"");
}

#[test]
fn quirk_the_access_mode_is_eperm_later() {
    let fs = Fs::new();
    fs.file(ROOT, "f");
    let reader = fs.open(ROOT, "f", FILE, libc::O_RDONLY).unwrap();
    let writer = fs.open(ROOT, "f", FILE, libc::O_WRONLY).unwrap();
    assert_eq!(fs.write(reader, b"x", 0), Err(libc::EPERM));
    assert_eq!(fs.punch(reader, 0, 1), Err(libc::EPERM));
    assert_eq!(fs.read(writer, 1, 0), Err(libc::EPERM));
    let mut copy = std::ptr::null_mut();
    let file = fs.file(ROOT, "f");
    assert_eq!(
        unsafe { (fs.api.dfs_dup)(fs.dfs, file, libc::O_RDONLY, &mut copy) },
        0
    );
    assert_eq!(fs.write(copy, b"x", 0), Err(libc::EPERM));
}

#[test]
fn quirk_shrinking_to_a_chunk_and_one_byte_does_nothing() {
    let fs = Fs::new();
    let file = fs.file(ROOT, "f");
    fs.write(file, &[7; 100], 0).unwrap();
    fs.punch(file, 1, DFS_MAX_FSIZE).unwrap();
    assert_eq!(fs.size(file), 100);
    let mut stat = stat_zero();
    stat.st_size = 1;
    fs.setattr(file, &mut stat, DFS_SET_ATTR_SIZE).unwrap();
    assert_eq!(stat.st_size, 100);
    fs.punch(file, 2, DFS_MAX_FSIZE).unwrap();
    assert_eq!(fs.size(file), 2);
    fs.punch(file, 3 << 20, DFS_MAX_FSIZE).unwrap();
    fs.punch(file, (1 << 20) + 1, DFS_MAX_FSIZE).unwrap();
    assert_eq!(fs.size(file), 3 << 20);
    fs.punch(file, 1 << 20, DFS_MAX_FSIZE).unwrap();
    assert_eq!(fs.size(file), 1 << 20);
    fs.punch(file, (1 << 20) + 1, DFS_MAX_FSIZE).unwrap();
    assert_eq!(fs.size(file), (1 << 20) + 1);
}

#[test]
fn quirk_a_hole_at_the_end_shortens_the_file() {
    let fs = Fs::new();
    let file = fs.file(ROOT, "f");
    fs.write(file, &[7; 10_000], 0).unwrap();
    fs.punch(file, 20_000, 10).unwrap();
    assert_eq!(fs.size(file), 10_000);
    fs.punch(file, 10, 20).unwrap();
    assert_eq!(
        fs.read(file, 22, 9).unwrap(),
        [&[7][..], &[0; 20], &[7]].concat()
    );
    fs.punch(file, 5000, 5000).unwrap();
    assert_eq!(fs.size(file), 5000);
}

#[test]
fn lists_of_buffers_and_ranges() {
    let fs = Fs::new();
    let file = fs.file(ROOT, "f");
    let (one, two) = (*b"hello ", *b"world");
    let mut iovs = [
        d_iov_t::new(one.as_ptr() as *mut _, 6),
        d_iov_t::new(std::ptr::null_mut(), 0),
        d_iov_t::new(two.as_ptr() as *mut _, 5),
    ];
    let mut sgl = d_sg_list_t {
        sg_nr: 3,
        sg_nr_out: 0,
        sg_iovs: iovs.as_mut_ptr(),
    };
    let none = std::ptr::null_mut();
    assert_eq!(
        unsafe { (fs.api.dfs_write)(fs.dfs, file, &mut sgl, 3, none) },
        0
    );
    assert_eq!(fs.read(file, 20, 3).unwrap(), b"hello world");
    let mut ranges = [
        daos_range_t {
            rg_idx: 9,
            rg_len: 5,
        },
        daos_range_t {
            rg_idx: 3,
            rg_len: 5,
        },
    ];
    let mut iod = dfs_iod_t {
        iod_nr: 2,
        iod_rgs: ranges.as_mut_ptr(),
    };
    let mut text = [0u8; 10];
    let mut iov = d_iov_t::new(text.as_mut_ptr().cast(), 10);
    let mut sgl = d_sg_list_t {
        sg_nr: 1,
        sg_nr_out: 0,
        sg_iovs: &mut iov,
    };
    let mut n = 0;
    let readx = fs.api.dfs_readx.unwrap();
    assert_eq!(
        unsafe { readx(fs.dfs, file, &mut iod, &mut sgl, &mut n, none) },
        0
    );
    assert_eq!((&text, n), (b"worldhello", 10));
    text = *b"WORLDHELLO";
    iov = d_iov_t::new(text.as_mut_ptr().cast(), 10);
    sgl.sg_iovs = &mut iov;
    let writex = fs.api.dfs_writex.unwrap();
    assert_eq!(unsafe { writex(fs.dfs, file, &mut iod, &mut sgl, none) }, 0);
    assert_eq!(fs.read(file, 20, 3).unwrap(), b"HELLO WORLD");
}

#[test]
fn more_files_than_descriptors_are_kept() {
    let fs = Fs::new();
    let files: Vec<_> = (0..600).map(|n| fs.file(ROOT, &n.to_string())).collect();
    for (n, file) in files.iter().enumerate() {
        fs.write(*file, n.to_string().as_bytes(), 0).unwrap();
    }
    for (n, file) in files.iter().enumerate() {
        assert_eq!(fs.read(*file, 10, 0).unwrap(), n.to_string().as_bytes());
        fs.release(*file);
    }
}

#[test]
fn chunk_sizes_come_from_the_call_the_directory_the_container() {
    let fs = Fs::new();
    let chunk = |obj| {
        let mut size = 0;
        assert_eq!(
            unsafe { (fs.api.dfs_get_chunk_size.unwrap())(obj, &mut size) },
            0
        );
        size
    };
    assert_eq!(chunk(fs.file(ROOT, "f")), 1 << 20);
    let dir = fs.dir(ROOT, "d");
    assert_eq!(
        unsafe { (fs.api.dfs_obj_set_chunk_size.unwrap())(fs.dfs, dir, 0, 4096) },
        0
    );
    assert_eq!(chunk(fs.file(dir, "f")), 4096);
    let mut obj = std::ptr::null_mut();
    let (name, flags) = (c("g"), libc::O_CREAT | libc::O_RDWR);
    let rc = unsafe {
        (fs.api.dfs_open)(
            fs.dfs,
            dir,
            name.as_ptr(),
            FILE,
            flags,
            0,
            8192,
            std::ptr::null(),
            &mut obj,
        )
    };
    assert_eq!((rc, chunk(obj)), (0, 8192));
    let mut info = dfs_obj_info_buf::zeroed();
    assert_eq!(
        unsafe { (fs.api.dfs_obj_get_info.unwrap())(fs.dfs, obj, &mut info.info) },
        0
    );
    let mut oid = daos_obj_id_t::default();
    assert_eq!(unsafe { (fs.api.dfs_obj2id)(obj, &mut oid) }, 0);
    assert_eq!((info.info.doi_chunk_size, info.info.doi_oid), (8192, oid));
    let bad = unsafe {
        (fs.api.dfs_open)(
            fs.dfs,
            dir,
            name.as_ptr(),
            FILE,
            flags,
            0x7f00_0000,
            0,
            std::ptr::null(),
            &mut obj,
        )
    };
    assert_eq!(bad, libc::EINVAL);
}
