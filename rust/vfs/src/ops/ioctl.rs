//! ioctl(2): the few requests a regular file answers; everything else is ENOTTY, as from any file
//! system without them.
use crate::fd::number;
use crate::process::Process;
use crate::{call, fail, user, Errno, Op};
use dfs::Kind;

const FIGETBSZ: u32 = 2;
const FIFREEZE: u32 = 0xc004_5877;
const FITHAW: u32 = 0xc004_5878;
const FICLONE: u32 = 0x4004_9409;
const FICLONERANGE: u32 = 0x4020_940d;
const FIDEDUPERANGE: u32 = 0xc018_9436;
const FS_IOC_FIEMAP: u32 = 0xc020_660b;
const FIOQSIZE: u32 = 0x5460;
const FIOCLEX: u32 = 0x5451;
const FIONCLEX: u32 = 0x5450;
const FIONBIO: u32 = 0x5421;
const FIOASYNC: u32 = 0x5452;
const FIONREAD: u32 = 0x541b;

/// `ioctl(fd, request, arg)`
pub fn ioctl(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let (fd, request, arg) = (a[0] as i32, a[1] as u32, a[2]);
    let file = p.fds.get_data(fd)?;
    let node = &file.node;
    let regular = node.kind == Kind::File;
    match request {
        FIOCLEX | FIONCLEX if number::is_high(fd) => Ok(0),
        // SAFETY: close-on-exec belongs to the kernel's number; there is no argument.
        FIOCLEX | FIONCLEX => Ok(unsafe { call!(SYS_ioctl, fd, request) }?),
        FIONBIO => {
            let on = user::get::<i32>(arg)? != 0;
            file.slot
                .set_flags(libc::O_NONBLOCK, if on { libc::O_NONBLOCK } else { 0 });
            Ok(0)
        }
        FIOASYNC => user::get::<i32>(arg)
            .and_then(|on| if on == 0 { Ok(0) } else { Err(Errno::ENOTTY) })
            .map_err(Into::into),
        FIONREAD if regular => {
            let left = node.object.size()? as i64 - file.slot.peek();
            put(arg, left as i32)
        }
        FIOQSIZE if node.kind != Kind::Symlink => put(arg, node.object.attr()?.stat.st_size),
        FIGETBSZ => put(arg, node.object.attr()?.stat.st_blksize as i32),
        FICLONE | FICLONERANGE | FIDEDUPERANGE | FS_IOC_FIEMAP => fail(Errno(libc::EOPNOTSUPP)),
        FIFREEZE | FITHAW => fail(Errno::EPERM),
        _ => fail(Errno::ENOTTY),
    }
}

fn put<T: Copy>(arg: i64, value: T) -> Op<i64> {
    user::put(arg, value)?;
    Ok(0)
}
