//! Where a directory was, told to another image of the process so that it finds the very same one:
//! its path, the identities along it, and what the node's [`board`] had counted. A directory that
//! has the path now but is another one is never taken for it.
use crate::mount::Mount;
use crate::node::Node;
use crate::process::Process;
use crate::resolve::{self, Follow, Located, Options};
use crate::{board, Errno, Reject};
use dfs::ObjectId;
use std::ffi::CString;
use std::sync::Arc;

/// A directory to be found again.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Whereabouts {
    /// Its absolute path.
    pub path: CString,
    /// It, the directory it is in, and so on up to the root of its mount; empty: unknown.
    pub identities: Vec<ObjectId>,
    /// [`board::object`] of it.
    pub changes: u32,
    /// [`board::moves`]
    pub moves: u64,
}

impl Whereabouts {
    /// Of a directory. `ENOENT` if it was removed, else as [`Node::path`].
    pub fn of(node: &Arc<Node>) -> Result<Whereabouts, Errno> {
        // Counted before the path is looked at: what changes meanwhile has to be seen.
        let (changes, moves) = (board::object(node.oid), board::moves());
        let path = node.path()?;
        let mut identities = Vec::new();
        let mut at = Some(node.clone());
        while let Some(node) = at {
            identities.push(node.oid);
            at = node.parent();
        }
        Ok(Whereabouts {
            path,
            identities,
            changes,
            moves,
        })
    }

    /// True if no process of this node can have changed its path meanwhile; a few loads once the
    /// board is mapped.
    pub fn is_unchanged(&self) -> bool {
        board::start();
        let changes = self.identities.first().map(|oid| board::object(*oid));
        changes == Some(self.changes) && board::moves() == self.moves
    }

    /// The directory: at its path, or where it or one above it was moved to. `ESTALE` if it is
    /// nowhere, else the errors of the look-up.
    pub fn find(&self, p: &'static Process) -> Result<Arc<Node>, Errno> {
        let path = self.path.as_bytes();
        let (mount, below) = p.mounts.locate(path).ok_or(Errno::ESTALE)?;
        let oid = *self.identities.first().ok_or(Errno::ESTALE)?;
        let mut answer = at_path(p, mount, path, oid);
        if let Err(Errno::ESTALE) = answer {
            let moved = board::follow(mount.hash(), path[below..].to_vec(), self.moves);
            answer = at_path(p, mount, &absolute(mount, &moved), oid);
        }
        let mut rest = path.len();
        for above in &self.identities {
            if !matches!(answer, Err(Errno::ESTALE)) {
                break;
            }
            if let Some(mut moved) = last_move(mount, *above) {
                moved.extend_from_slice(&path[rest..]);
                answer = at_path(p, mount, &moved, oid);
            }
            rest = path[..rest].iter().rposition(|b| *b == b'/').unwrap_or(0);
        }
        answer
    }
}

/// The path to which an object of a mount was last moved, as far as anyone on the node remembers. To be
/// looked up and compared.
pub(crate) fn last_move(mount: &Mount, oid: ObjectId) -> Option<Vec<u8>> {
    let below = board::last_move((mount.hash(), oid))?;
    Some(absolute(mount, &below))
}

fn absolute(mount: &Mount, below: &[u8]) -> Vec<u8> {
    [mount.point.as_bytes(), below].concat()
}

/// The object of this identity at a path. `ESTALE` if there is none or another.
pub(crate) fn at_path(
    p: &'static Process,
    mount: &'static Mount,
    path: &[u8],
    oid: ObjectId,
) -> Result<Arc<Node>, Errno> {
    let options = Options::new(Follow::No);
    let found = resolve::lookup_path(p, libc::AT_FDCWD.into(), path, &options);
    let node = match found {
        Ok(Located::Entry(entry)) => entry.node(p),
        Ok(Located::Node(node)) => node,
        Ok(_) | Err(Reject::NotOurs) => return Err(Errno::ESTALE),
        Err(Reject::Errno(Errno::ENOENT | Errno::ENOTDIR)) => return Err(Errno::ESTALE),
        Err(Reject::Errno(e)) => return Err(e),
    };
    match node.oid == oid && std::ptr::eq(node.mount, mount) {
        true => Ok(node),
        false => Err(Errno::ESTALE),
    }
}
