//! A mounted container of the process's test store, with the C functions made bearable. Errors are
//! what the C function returned.
use daos_sys::*;
use std::ffi::{c_int, CString};
use std::ptr;
use std::sync::OnceLock;

pub struct Fs {
    pub api: &'static Api,
    pub poh: daos_handle_t,
    pub coh: daos_handle_t,
    pub dfs: *mut dfs_t,
}

pub type Object = *mut dfs_obj_t;
pub const ROOT: Object = ptr::null_mut();
pub const FILE: u32 = libc::S_IFREG;
pub const DIR: u32 = libc::S_IFDIR;
pub const LINK: u32 = libc::S_IFLNK;

pub fn c(text: &str) -> CString {
    CString::new(text).expect("no NUL")
}

pub fn ok(rc: c_int) -> Result<(), c_int> {
    match rc {
        0 => Ok(()),
        rc => Err(rc),
    }
}

pub fn api() -> &'static Api {
    static API: OnceLock<Api> = OnceLock::new();
    API.get_or_init(|| {
        pil4dfs_embedded::test_store();
        let api = pil4dfs_embedded::api();
        assert_eq!(unsafe { (api.daos_init)() }, 0);
        assert_eq!(unsafe { (api.dfs_init.unwrap())() }, 0);
        api
    })
}

pub fn stat_zero() -> libc::stat {
    unsafe { std::mem::zeroed() }
}

impl Fs {
    /// A container of its own.
    pub fn new() -> Fs {
        Fs::mount(
            &pil4dfs_embedded::test_store().fresh_container(),
            libc::O_RDWR,
        )
        .unwrap()
    }

    pub fn mount(cont: &str, flags: c_int) -> Result<Fs, c_int> {
        let api = api();
        let (mut poh, mut coh) = (daos_handle_t::default(), daos_handle_t::default());
        let mut dfs = ptr::null_mut();
        unsafe {
            let pool = c("pool");
            let none = ptr::null_mut();
            ok((api.daos_pool_connect)(
                pool.as_ptr(),
                ptr::null(),
                DAOS_PC_RW,
                &mut poh,
                ptr::null_mut(),
                none,
            ))?;
            let write = flags & libc::O_ACCMODE != libc::O_RDONLY;
            let access = if write { DAOS_COO_RW } else { DAOS_COO_RO };
            ok((api.daos_cont_open)(
                poh,
                c(cont).as_ptr(),
                access,
                &mut coh,
                ptr::null_mut(),
                none,
            ))?;
            ok((api.dfs_mount)(poh, coh, flags, &mut dfs))?;
        }
        Ok(Fs { api, poh, coh, dfs })
    }

    pub fn open(&self, dir: Object, name: &str, mode: u32, flags: c_int) -> Result<Object, c_int> {
        let mut obj = ptr::null_mut();
        let rc = unsafe {
            (self.api.dfs_open)(
                self.dfs,
                dir,
                c(name).as_ptr(),
                mode,
                flags,
                0,
                0,
                ptr::null(),
                &mut obj,
            )
        };
        ok(rc).map(|()| obj)
    }

    /// A new or existing file with 0644, open to read and write.
    pub fn file(&self, dir: Object, name: &str) -> Object {
        self.open(dir, name, FILE | 0o644, libc::O_CREAT | libc::O_RDWR)
            .unwrap()
    }

    pub fn mkdir(&self, dir: Object, name: &str) -> Result<(), c_int> {
        ok(unsafe { (self.api.dfs_mkdir)(self.dfs, dir, c(name).as_ptr(), 0o755, 0) })
    }

    /// A new directory, open.
    pub fn dir(&self, parent: Object, name: &str) -> Object {
        self.mkdir(parent, name).unwrap();
        self.open(parent, name, DIR, libc::O_RDWR).unwrap()
    }

    pub fn symlink(&self, dir: Object, name: &str, target: &str) -> Result<(), c_int> {
        let mut obj = ptr::null_mut();
        let (name, target) = (c(name), c(target));
        let flags = libc::O_CREAT | libc::O_EXCL;
        let rc = unsafe {
            (self.api.dfs_open)(
                self.dfs,
                dir,
                name.as_ptr(),
                LINK,
                flags,
                0,
                0,
                target.as_ptr(),
                &mut obj,
            )
        };
        ok(rc).map(|()| self.release(obj))
    }

    pub fn release(&self, obj: Object) {
        assert_eq!(unsafe { (self.api.dfs_release)(obj) }, 0);
    }

    pub fn lookup(&self, path: &str, flags: c_int) -> Result<(Object, libc::stat), c_int> {
        let (mut obj, mut mode, mut stat) = (ptr::null_mut(), 0, stat_zero());
        let rc = unsafe {
            (self.api.dfs_lookup)(
                self.dfs,
                c(path).as_ptr(),
                flags,
                &mut obj,
                &mut mode,
                &mut stat,
            )
        };
        ok(rc)?;
        assert_eq!(mode, stat.st_mode);
        Ok((obj, stat))
    }

    pub fn lookup_rel(&self, dir: Object, name: &str, flags: c_int) -> Result<Object, c_int> {
        let mut obj = ptr::null_mut();
        let rc = unsafe {
            let (mode, stat) = (ptr::null_mut(), ptr::null_mut());
            (self.api.dfs_lookup_rel)(self.dfs, dir, c(name).as_ptr(), flags, &mut obj, mode, stat)
        };
        ok(rc).map(|()| obj)
    }

    pub fn stat(&self, dir: Object, name: &str) -> Result<libc::stat, c_int> {
        let mut stat = stat_zero();
        ok(unsafe { (self.api.dfs_stat)(self.dfs, dir, c(name).as_ptr(), &mut stat) })?;
        Ok(stat)
    }

    pub fn ostat(&self, obj: Object) -> Result<libc::stat, c_int> {
        let mut stat = stat_zero();
        ok(unsafe { (self.api.dfs_ostat)(self.dfs, obj, &mut stat) })?;
        Ok(stat)
    }

    pub fn write(&self, obj: Object, bytes: &[u8], at: u64) -> Result<(), c_int> {
        let mut iov = d_iov_t::new(bytes.as_ptr() as *mut _, bytes.len() as u64);
        let mut sgl = d_sg_list_t {
            sg_nr: 1,
            sg_nr_out: 0,
            sg_iovs: &mut iov,
        };
        ok(unsafe { (self.api.dfs_write)(self.dfs, obj, &mut sgl, at, ptr::null_mut()) })
    }

    pub fn read(&self, obj: Object, len: usize, at: u64) -> Result<Vec<u8>, c_int> {
        let mut bytes = vec![0; len];
        let mut iov = d_iov_t::new(bytes.as_mut_ptr().cast(), len as u64);
        let mut sgl = d_sg_list_t {
            sg_nr: 1,
            sg_nr_out: 0,
            sg_iovs: &mut iov,
        };
        let mut n = 0;
        ok(unsafe { (self.api.dfs_read)(self.dfs, obj, &mut sgl, at, &mut n, ptr::null_mut()) })?;
        bytes.truncate(n as usize);
        Ok(bytes)
    }

    pub fn size(&self, obj: Object) -> u64 {
        let mut size = 0;
        assert_eq!(
            unsafe { (self.api.dfs_get_size)(self.dfs, obj, &mut size) },
            0
        );
        size
    }

    pub fn punch(&self, obj: Object, at: u64, len: u64) -> Result<(), c_int> {
        ok(unsafe { (self.api.dfs_punch)(self.dfs, obj, at, len) })
    }

    pub fn remove(&self, dir: Object, name: &str, force: bool) -> Result<(), c_int> {
        ok(unsafe {
            (self.api.dfs_remove)(self.dfs, dir, c(name).as_ptr(), force, ptr::null_mut())
        })
    }

    pub fn rename(&self, from: (Object, &str), to: (Object, &str)) -> Result<(), c_int> {
        let (old, new) = (c(from.1), c(to.1));
        ok(unsafe {
            (self.api.dfs_move)(
                self.dfs,
                from.0,
                old.as_ptr(),
                to.0,
                new.as_ptr(),
                ptr::null_mut(),
            )
        })
    }

    pub fn setattr(&self, obj: Object, stat: &mut libc::stat, flags: c_int) -> Result<(), c_int> {
        ok(unsafe { (self.api.dfs_osetattr)(self.dfs, obj, stat, flags) })
    }

    /// Names of a directory in the order of `dfs_readdir`, `batch` at a time.
    pub fn names(&self, dir: Object, batch: usize) -> Vec<String> {
        let mut anchor = daos_anchor_t::zeroed();
        let mut names = Vec::new();
        while !anchor.is_eof() {
            let mut entries: Vec<libc::dirent> = vec![unsafe { std::mem::zeroed() }; batch];
            let mut nr = batch as u32;
            let rc = unsafe {
                (self.api.dfs_readdir)(self.dfs, dir, &mut anchor, &mut nr, entries.as_mut_ptr())
            };
            assert_eq!(rc, 0);
            for entry in &entries[..nr as usize] {
                let name = unsafe { std::ffi::CStr::from_ptr(entry.d_name.as_ptr()) };
                names.push(name.to_str().unwrap().to_string());
            }
        }
        names
    }

    pub fn root(&self) -> Object {
        self.lookup("/", libc::O_RDWR).unwrap().0
    }

    pub fn setxattr(
        &self,
        obj: Object,
        name: &str,
        value: &[u8],
        flags: c_int,
    ) -> Result<(), c_int> {
        let (name, len) = (c(name), value.len() as u64);
        ok(unsafe {
            (self.api.dfs_setxattr)(
                self.dfs,
                obj,
                name.as_ptr(),
                value.as_ptr().cast(),
                len,
                flags,
            )
        })
    }

    /// The value, or the error with the size that came back.
    pub fn getxattr(&self, obj: Object, name: &str, room: usize) -> Result<Vec<u8>, (c_int, u64)> {
        let (mut value, mut size) = (vec![0u8; room], room as u64);
        let rc = unsafe {
            (self.api.dfs_getxattr)(
                self.dfs,
                obj,
                c(name).as_ptr(),
                value.as_mut_ptr().cast(),
                &mut size,
            )
        };
        value.truncate(size as usize);
        ok(rc).map(|()| value).map_err(|rc| (rc, size))
    }

    pub fn listxattr(&self, obj: Object, room: usize) -> (Vec<u8>, u64) {
        let (mut list, mut size) = (vec![0u8; room], room as u64);
        let rc =
            unsafe { (self.api.dfs_listxattr)(self.dfs, obj, list.as_mut_ptr().cast(), &mut size) };
        assert_eq!(rc, 0);
        (list, size)
    }

    pub fn removexattr(&self, obj: Object, name: &str) -> Result<(), c_int> {
        ok(unsafe { (self.api.dfs_removexattr)(self.dfs, obj, c(name).as_ptr()) })
    }
}
