//! getdents64(2) and its older form; mkdir(2).
use crate::dirstream::{self, Layout};
use crate::filter;
use crate::ops::{listing, names, outside};
use crate::process::Process;
use crate::resolve::{self, Target};
use crate::{fail, user, Errno, Op};

/// `getdents64(fd, buf, size)`
pub fn getdents64(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    read(p, a, Layout::Dirent64)
}

/// `getdents(fd, buf, size)`
pub fn getdents(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    read(p, a, Layout::Dirent)
}

fn read(p: &'static Process, a: [i64; 6], layout: Layout) -> Op<i64> {
    /// More than any libc asks for at once.
    const MOST: usize = 1 << 20;
    if filter::fd_is(a[0] as i32) == filter::NAMES {
        return listing::descriptors(a, layout);
    }
    let file = p.fds.get_data(a[0] as i32)?;
    let size = (a[2] as u32 as usize).min(MOST);
    user::writable(a[1], size)?;
    // SAFETY: the caller of getdents64(2) promises `size` writable bytes; they were probed.
    let buf = unsafe { std::slice::from_raw_parts_mut(a[1] as usize as *mut u8, size) };
    dirstream::read_entries(p, &file, buf, layout)
}

/// `mkdirat(dirfd, path, mode)`
pub fn mkdirat(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let found = match resolve::parent(p, a[0], a[1])? {
        Target::Outside(path) => return outside::at(libc::SYS_mkdirat, &path, 0, a),
        Target::Node(..) => return fail(Errno::EEXIST),
        Target::Name(found) => found,
    };
    let mode = a[2] as u32 & (0o777 | libc::S_ISVTX) & !p.credentials.umask();
    names::make(p, &found, |dir, owner, directory| {
        // a set-group-id directory hands its group and the bit down
        let mode = mode | directory.mode & libc::S_ISGID;
        found
            .parent
            .mount
            .fs()?
            .mkdir(dir, &found.name, mode, owner)
    })?;
    Ok(0)
}
