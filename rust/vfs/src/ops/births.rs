//! After-steps of calls that create descriptors, and SCM_RIGHTS. A number the kernel hands out to
//! somebody else is not ours any more, whatever we thought; one born beneath us - for libdaos or
//! what it loads - moves out of the application's sight.
use crate::catalogue::{self, OpId};
use crate::fd;
use crate::process::Process;
use crate::{fail, user, Errno, Op, Reject};

/// The after-step: the number, or numbers, the application gets.
pub fn born(p: &'static Process, op: OpId, a: [i64; 6], ret: i64) -> i64 {
    if ret < 0 {
        return ret;
    }
    match op {
        catalogue::pipe => pair(p, a[0]),
        catalogue::pipe2 => pair(p, a[0]),
        catalogue::socketpair => pair(p, a[3]),
        catalogue::recvmsg => received(p, a[1]),
        catalogue::recvmmsg => {
            for i in 0..ret {
                received(p, a[1] + i * size_of::<libc::mmsghdr>() as i64);
            }
        }
        catalogue::dup2 | catalogue::dup3 => p.fds.born(ret as i32),
        catalogue::fcntl if !matches!(a[1] as i32, libc::F_DUPFD | libc::F_DUPFD_CLOEXEC) => {}
        _ => return one(p, ret as i32).into(),
    }
    ret
}

fn one(p: &'static Process, number: i32) -> i32 {
    p.fds.born(number);
    if user::beneath() {
        return fd::hide(number);
    }
    number
}

/// `pipe` and `socketpair` answer through memory, which the kernel has just written.
fn pair(p: &'static Process, at: i64) {
    let Ok(numbers) = user::get::<[i32; 2]>(at) else {
        return;
    };
    let now = numbers.map(|number| one(p, number));
    if now != numbers {
        let _ = user::put(at, now);
    }
}

/// Descriptors in the control messages of a received message.
fn received(p: &'static Process, message: i64) {
    each_right(message, &mut |at, number| {
        let now = one(p, number);
        if now != number {
            let _ = user::put(at, now);
        }
        true
    });
}

/// Calls `f` with address and value of every descriptor in a message's SCM_RIGHTS, until it
/// answers false.
fn each_right(message: i64, f: &mut dyn FnMut(i64, i32) -> bool) {
    const HEAD: usize = size_of::<libc::cmsghdr>();
    let Ok(message) = user::get::<libc::msghdr>(message) else {
        return;
    };
    let (mut at, mut left) = (message.msg_control as i64, message.msg_controllen as usize);
    while at != 0 && left >= HEAD {
        let Ok(head) = user::get::<libc::cmsghdr>(at) else {
            return;
        };
        let len = head.cmsg_len as usize;
        if len < HEAD || len > left {
            return;
        }
        if head.cmsg_level == libc::SOL_SOCKET && head.cmsg_type == libc::SCM_RIGHTS {
            for i in 0..(len - HEAD) / size_of::<i32>() {
                let place = at + (HEAD + i * size_of::<i32>()) as i64;
                let Ok(number) = user::get::<i32>(place) else {
                    return;
                };
                if !f(place, number) {
                    return;
                }
            }
        }
        let step = len.next_multiple_of(size_of::<usize>());
        at += step as i64;
        left = left.saturating_sub(step);
    }
}

/// `sendmsg(fd, msg, flags)`: a descriptor of ours would arrive as a placeholder: refused.
pub fn sendmsg(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let (mut ours, mut hidden) = (false, false);
    each_right(a[1], &mut |_, number| {
        match p.fds.get(number) {
            Ok(_) => ours = true,
            Err(Reject::Errno(_)) => hidden = true,
            Err(Reject::NotOurs) => {}
        }
        !ours && !hidden
    });
    match (ours, hidden) {
        (true, _) => fail(Errno(libc::EOPNOTSUPP)),
        (_, true) => fail(Errno::EBADF),
        _ => Err(Reject::NotOurs),
    }
}
