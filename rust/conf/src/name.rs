//! Mount points and labels.

/// What is said of a path that [`mount_point`] refuses.
pub const WRONG_POINT: &str = "must be an absolute path other than /, without \"..\"";

/// Longest path of Linux, with its NUL.
const PATH_MAX: usize = 4096;

/// A mount point without "//", "/./" and a slash at the end; `None` for relative paths, "/", paths
/// with ".." and what no path can be.
pub fn mount_point(path: &[u8]) -> Option<Vec<u8>> {
    if !path.starts_with(b"/") || path.contains(&0) {
        return None;
    }
    let mut clean = Vec::with_capacity(path.len());
    for name in path.split(|&b| b == b'/') {
        match name {
            b"" | b"." => {}
            b".." => return None,
            name => {
                clean.push(b'/');
                clean.extend_from_slice(name);
            }
        }
    }
    (!clean.is_empty() && clean.len() < PATH_MAX).then_some(clean)
}

/// [`mount_point`] of text.
pub(crate) fn point_of(text: &str) -> Option<String> {
    mount_point(text.as_bytes()).and_then(|point| String::from_utf8(point).ok())
}

/// A label of a pool or container: 1 to 127 characters of `[A-Za-z0-9._:-]` (a UUID is one, too).
pub fn is_label(text: &str) -> bool {
    let legal = |c: u8| c.is_ascii_alphanumeric() || b"._:-".contains(&c);
    (1..=127).contains(&text.len()) && text.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_cleaned_or_refused() {
        assert_eq!(point_of("//dfs/./x/").as_deref(), Some("/dfs/x"));
        assert_eq!(point_of("/a b/ä").as_deref(), Some("/a b/ä"));
        for bad in ["", "dfs", "/", "//.", "/a/../b", ".", "/a\0b"] {
            assert_eq!(point_of(bad), None, "{bad:?}");
        }
        assert!(point_of(&"/a".repeat(2047)).is_some());
        assert!(point_of(&"/a".repeat(2048)).is_none());
    }

    #[test]
    fn labels() {
        assert!(is_label("my-pool.1") && is_label("a:b"));
        assert!(
            !is_label("") && !is_label("a b") && !is_label("a/b") && !is_label(&"x".repeat(128))
        );
    }
}
