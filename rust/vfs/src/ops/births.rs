//! After-steps of calls that create descriptors, and SCM_RIGHTS. A number the kernel hands out to
//! somebody else is not ours any more, whatever we thought; one born beneath us - for libdaos or
//! what it loads - moves out of the application's sight.
use crate::catalogue::{self, OpId};
use crate::fd;
use crate::process::Process;
use crate::{fail, user, Errno, Op, Reject};

/// The after-step: the number, or numbers, the application gets.
pub fn born(p: &'static Process, op: OpId, a: [i64; 6], ret: i64) -> i64 {
    match birth(op, &a) {
        _ if ret < 0 => {}
        Birth::None => {}
        Birth::Number => return one(p, ret as i32).into(),
        Birth::Onto => p.fds.born(ret as i32),
        Birth::Pair(at) => pair(p, at),
        Birth::Message(at) => received(p, at),
        Birth::Messages(at) => {
            (0..ret).for_each(|i| received(p, at + i * size_of::<libc::mmsghdr>() as i64));
        }
    }
    ret
}

/// Where a call tells the descriptors it made.
enum Birth {
    None,
    /// The answer is the number.
    Number,
    /// The answer is a number the caller chose.
    Onto,
    /// Two numbers at this address.
    Pair(i64),
    /// Control messages of a msghdr, or of several.
    Message(i64),
    Messages(i64),
}

/// A call answers a number only with the right command: a count or a version is not one.
fn birth(op: OpId, a: &[i64; 6]) -> Birth {
    use catalogue as c;
    const BPF_BIRTHS: [i32; 14] = [0, 5, 7, 13, 14, 17, 18, 19, 28, 30, 32, 33, 35, 36];
    const SECCOMP_LISTENER: i64 = 1 << 3;
    match op {
        c::openat | c::openat2 | c::dup | c::open_by_handle_at | c::open_tree | c::fspick => {
            Birth::Number
        }
        c::fsmount | c::fsopen | c::socket | c::accept | c::accept4 | c::pidfd_open => {
            Birth::Number
        }
        c::eventfd | c::eventfd2 | c::epoll_create | c::epoll_create1 | c::signalfd => {
            Birth::Number
        }
        c::signalfd4 | c::timerfd_create | c::memfd_create | c::memfd_secret => Birth::Number,
        c::inotify_init | c::inotify_init1 | c::fanotify_init | c::pidfd_getfd => Birth::Number,
        c::userfaultfd | c::perf_event_open | c::io_uring_setup | c::mq_open => Birth::Number,
        c::fcntl if matches!(a[1] as i32, libc::F_DUPFD | libc::F_DUPFD_CLOEXEC) => Birth::Number,
        c::bpf if BPF_BIRTHS.contains(&(a[0] as i32)) => Birth::Number,
        c::landlock_create_ruleset if a[2] as u32 == 0 => Birth::Number,
        c::seccomp if a[0] as u32 == 1 && a[1] & SECCOMP_LISTENER != 0 => Birth::Number,
        c::dup2 | c::dup3 => Birth::Onto,
        c::pipe | c::pipe2 => Birth::Pair(a[0]),
        c::socketpair => Birth::Pair(a[3]),
        c::recvmsg => Birth::Message(a[1]),
        c::recvmmsg => Birth::Messages(a[1]),
        _ => Birth::None,
    }
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
    let (mut at, mut left) = (message.msg_control as i64, message.msg_controllen);
    while at != 0 && left >= HEAD {
        let Ok(head) = user::get::<libc::cmsghdr>(at) else {
            return;
        };
        let len = head.cmsg_len;
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
    sends(p, a[1])
}

/// `sendmmsg(fd, msgs, count, flags)`: likewise, before the first message is sent.
pub fn sendmmsg(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    const MAX: u32 = 1024; // UIO_MAXIOV, the kernel's bound
    for i in 0..(a[2] as u32).min(MAX) as i64 {
        match sends(p, a[1] + i * size_of::<libc::mmsghdr>() as i64) {
            Err(Reject::NotOurs) => {}
            refused => return refused,
        }
    }
    Err(Reject::NotOurs)
}

fn sends(p: &'static Process, message: i64) -> Op<i64> {
    let (mut ours, mut hidden) = (false, false);
    each_right(message, &mut |_, number| {
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
