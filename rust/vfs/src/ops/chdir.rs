//! chdir(2), fchdir(2), getcwd(2).
use crate::node::Node;
use crate::ops::outside;
use crate::permission::{As, Mode, EXEC};
use crate::process::Process;
use crate::resolve::{self, Follow, Located, Options};
use crate::{fail, user, Errno, Op, Reject};
use dfs::Kind;
use std::sync::Arc;

/// `chdir(path)`
pub fn chdir(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let options = Options::new(Follow::Yes);
    let node = match resolve::lookup(p, i64::from(libc::AT_FDCWD), a[0], &options)? {
        Located::Outside(path) => {
            outside::path(libc::SYS_chdir, &path, 0, a)?;
            p.cwd.changed_by_kernel(p);
            return Ok(0);
        }
        Located::Missing(_) => return fail(Errno::ENOENT),
        Located::Entry(entry) if entry.attr.kind() != Kind::Directory => {
            return fail(Errno::ENOTDIR)
        }
        Located::Entry(entry) => {
            let mode = Mode::from(&entry.attr);
            p.credentials.ids().check(mode, EXEC, As::Effective)?;
            entry.node(p)
        }
        Located::Node(node) => node,
    };
    enter(p, node)
}

/// `fchdir(fd)`
pub fn fchdir(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    enter(p, p.fds.get(a[0] as i32)?.node.clone())
}

fn enter(p: &'static Process, node: Arc<Node>) -> Op<i64> {
    if node.kind != Kind::Directory {
        return fail(Errno::ENOTDIR);
    }
    let mode = resolve::mode_of(p, &node)?;
    p.credentials.ids().check(mode, EXEC, As::Effective)?;
    p.cwd.enter(node);
    Ok(0)
}

/// `getcwd(buf, size)`: the length with the NUL.
pub fn getcwd(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let path = p.cwd.path().ok_or(Reject::NotOurs)??;
    let bytes = path.as_bytes_with_nul();
    if bytes.len() > a[1] as usize {
        return fail(Errno::ERANGE);
    }
    user::put_bytes(a[0], bytes)?;
    Ok(bytes.len() as i64)
}
