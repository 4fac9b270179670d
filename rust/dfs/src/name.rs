//! Checks of a single directory entry's name: the last line of defence before libdfs, which takes
//! `..` for an ordinary name and answers `EINVAL` where Linux says `ENAMETOOLONG`.
use crate::{Errno, Result};
use std::ffi::CStr;

/// Longest name in bytes, in DFS as in Linux (`NAME_MAX`).
pub(crate) const NAME_MAX: usize = 255;

/// `EINVAL` for "", ".", ".." and names with a slash, `ENAMETOOLONG` for more than 255 bytes.
pub(crate) fn check(name: &CStr) -> Result<()> {
    let bytes = name.to_bytes();
    if bytes.len() > NAME_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    if matches!(bytes, b"" | b"." | b"..") || bytes.contains(&b'/') {
        return Err(Errno::EINVAL);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_libdfs_mishandles_are_refused() {
        assert_eq!(check(c"a"), Ok(()));
        assert_eq!(check(c"..."), Ok(()));
        for bad in [c"", c".", c"..", c"a/b", c"/"] {
            assert_eq!(check(bad), Err(Errno::EINVAL), "{bad:?}");
        }
        let long = std::ffi::CString::new(vec![b'x'; 256]).unwrap();
        assert_eq!(check(&long), Err(Errno::ENAMETOOLONG));
        let most = std::ffi::CString::new(vec![b'x'; 255]).unwrap();
        assert_eq!(check(&most), Ok(()));
    }
}
