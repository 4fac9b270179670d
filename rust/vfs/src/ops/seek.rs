//! lseek(2). Files are all data to us (DFS does not tell holes); directories seek among the
//! cookies of their stream.
use crate::file::OpenFile;
use crate::process::Process;
use crate::{fail, Errno, Op};
use dfs::Kind;

/// `lseek(fd, offset, whence)`
pub fn lseek(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    let file = p.fds.get_data(a[0] as i32)?;
    let (offset, whence) = (a[1], a[2] as i32);
    if file.node.kind == Kind::Directory {
        return crate::dirstream::seek(p, &file, offset, whence);
    }
    let position = file.slot.lock();
    let to = match whence {
        libc::SEEK_SET => offset,
        libc::SEEK_CUR if offset == 0 => return Ok(position.get()),
        libc::SEEK_CUR => position.get().wrapping_add(offset),
        libc::SEEK_END => size(p, &file)?.wrapping_add(offset),
        libc::SEEK_DATA | libc::SEEK_HOLE => {
            let end = size(p, &file)?;
            if offset < 0 || offset >= end {
                return fail(Errno::ENXIO);
            }
            if whence == libc::SEEK_DATA {
                offset
            } else {
                end
            }
        }
        _ => return fail(Errno::EINVAL),
    };
    if to < 0 {
        return fail(Errno::EINVAL);
    }
    position.set(to);
    Ok(to)
}

pub(super) fn size(p: &'static Process, file: &OpenFile) -> Result<i64, Errno> {
    p.mappings.before_read(&file.node);
    let size = file.node.object.size()?;
    file.node.set_end(size);
    Ok(size as i64)
}
