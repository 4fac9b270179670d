//! Links of the kernel's file systems that lead into a mount: the kernel cannot follow them to their
//! end, so their text is read here, one component after the other, until the path is ours.
use crate::magic::magic;
use crate::mount::{components, read_link};
use crate::process::Process;
use crate::resolve::MAX_LINKS;
use crate::{ownfd, Errno};
use std::ffi::CString;

/// Where an absolute path of the kernel's leads.
pub enum Way {
    /// Into a mount (or to a descriptor of ours): the path there.
    Into(Vec<u8>),
    /// Not to us.
    Elsewhere,
}

impl Way {
    /// The path in a mount.
    pub fn inside(self) -> Option<CString> {
        match self {
            Way::Into(path) => CString::new(path).ok(),
            Way::Elsewhere => None,
        }
    }
}

/// What becomes of a link as the last component.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Last {
    /// It is followed.
    Followed,
    /// Only a slash behind it has it followed.
    Seen,
    /// It is a name to be made, removed or renamed: never followed.
    Named,
}

/// Walks an absolute path on the kernel's side until it is below a mount of ours. `links` counts
/// those followed: `ELOOP` at 40. A readlink(2) for each component.
pub fn into_mount(
    p: &'static Process,
    mut path: Vec<u8>,
    last: Last,
    links: &mut u32,
) -> Result<Way, Errno> {
    let mut slashes = Vec::new();
    if last == Last::Named {
        let end = path.iter().rposition(|&b| b != b'/').map_or(0, |i| i + 1);
        slashes = path.split_off(end);
    }
    loop {
        if p.mounts.locate(&path).is_some() || magic(p, &path).is_some() {
            path.append(&mut slashes);
            return Ok(Way::Into(path));
        }
        let Some(next) = first_link(&path, last == Last::Followed) else {
            return Ok(Way::Elsewhere);
        };
        *links += 1;
        if *links > MAX_LINKS {
            return Err(Errno::ELOOP);
        }
        path = next;
    }
}

/// The path with its first link replaced by what it says; `None` without a link, or where the
/// kernel's own answer is an error.
fn first_link(path: &[u8], follow: bool) -> Option<Vec<u8>> {
    let mut at: Vec<u8> = Vec::new();
    for (start, end) in components(path) {
        match &path[start..end] {
            b"." => continue,
            b".." => {
                // every directory so far is a true one, if it is one
                let here = CString::new(if at.is_empty() {
                    b"/".to_vec()
                } else {
                    at.clone()
                });
                let st = ownfd::stat_at(libc::AT_FDCWD, &here.ok()?, 0).ok()?;
                if st.st_mode & libc::S_IFMT != libc::S_IFDIR {
                    return None;
                }
                let up = at.iter().rposition(|&b| b == b'/').unwrap_or(0);
                at.truncate(up);
                continue;
            }
            name => {
                at.push(b'/');
                at.extend_from_slice(name);
            }
        }
        if end == path.len() && !follow {
            return None;
        }
        let link = match read_link(&CString::new(at.clone()).ok()?) {
            Ok(link) => link,
            Err(Errno::EINVAL) => continue,
            // not there: nothing behind it is, either
            Err(_) => return None,
        };
        let mut next = match link.first()? {
            b'/' => Vec::new(),
            _ => {
                let mut dir = at[..=at.iter().rposition(|&b| b == b'/').unwrap_or(0)].to_vec();
                dir.truncate(dir.len().max(1));
                dir
            }
        };
        next.extend_from_slice(&link);
        next.extend_from_slice(&path[end..]);
        return Some(next);
    }
    None
}
