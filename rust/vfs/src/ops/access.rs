//! access(2) and its like: the real ids unless `AT_EACCESS`.
use crate::ops::outside;
use crate::permission::{As, Mode, EXEC, READ, WRITE};
use crate::process::Process;
use crate::resolve::{self, settle, Options, Seen};
use crate::{fail, Errno, Op};

const FLAGS: i32 = libc::AT_EACCESS | libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH;

/// `faccessat2(dirfd, path, mode, flags)`
pub fn faccessat2(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let (mask, flags) = (a[2] as u32, a[3] as i32);
    let whose = match flags & libc::AT_EACCESS {
        0 => As::Real,
        _ => As::Effective,
    };
    let options = Options {
        whose,
        ..Options::from_flags(flags)
    };
    let seen = settle(resolve::attributes(p, a[0], a[1], &options))?;
    if mask & !(READ | WRITE | EXEC) != 0 || flags & !FLAGS != 0 {
        return fail(Errno::EINVAL);
    }
    let (attr, mount) = match seen? {
        Seen::Outside(path) => return outside::at(libc::SYS_faccessat2, &path, 0, a),
        Seen::Attr(attr, mount) => (attr, mount),
    };
    if mask & WRITE != 0 && mount.is_read_only() {
        return fail(Errno::EROFS);
    }
    p.credentials.ids().check(Mode::from(&attr), mask, whose)?;
    Ok(0)
}
