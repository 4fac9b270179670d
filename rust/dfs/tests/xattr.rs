//! Extended attributes answer as `xattr(7)` says, on every kind of file.
mod common;
use common::*;
use dfs::{Errno, Object, XattrFlags};
use std::ffi::CString;

fn each_kind(test: impl Fn(&Object)) {
    let t = Tree::new();
    t.file(c"f", b"");
    t.mkdir(c"d");
    t.fs.symlink(&t.dir, c"l", c"x", t.owner).unwrap();
    for name in [c"f", c"d", c"l"] {
        test(&t.open(name));
    }
}

#[test]
fn values_of_every_length() {
    each_kind(|o| {
        for len in [0, 1, 511, 512, 513, 4096, 65535, 65536] {
            let value = pattern(len);
            o.set_xattr(c"user.a", &value, XattrFlags::Any).unwrap();
            assert_eq!(o.xattr_size(c"user.a"), Ok(len));
            assert!(o.get_xattr(c"user.a").unwrap() == value, "{len}");
        }
        let big = pattern(65537);
        assert_eq!(
            o.set_xattr(c"user.a", &big, XattrFlags::Any),
            Err(Errno::E2BIG)
        );
        assert_eq!(o.xattr_size(c"user.a"), Ok(65536));
    });
}

#[test]
fn flags_are_enforced() {
    each_kind(|o| {
        let set = |value: &[u8], flags| o.set_xattr(c"user.a", value, flags);
        assert_eq!(set(b"1", XattrFlags::Replace), Err(Errno::ENODATA));
        assert_eq!(set(b"1", XattrFlags::Create), Ok(()));
        assert_eq!(set(b"2", XattrFlags::Create), Err(Errno::EEXIST));
        assert_eq!(o.get_xattr(c"user.a"), Ok(b"1".to_vec()));
        assert_eq!(set(b"", XattrFlags::Replace), Ok(()));
        assert_eq!(set(b"2", XattrFlags::Create), Err(Errno::EEXIST));
        assert_eq!(o.get_xattr(c"user.a"), Ok(vec![]));
    });
}

#[test]
fn what_is_missing_is_enodata() {
    each_kind(|o| {
        assert_eq!(o.get_xattr(c"user.a"), Err(Errno::ENODATA));
        assert_eq!(o.xattr_size(c"user.a"), Err(Errno::ENODATA));
        assert_eq!(o.remove_xattr(c"user.a"), Err(Errno::ENODATA));
        o.set_xattr(c"user.a", b"1", XattrFlags::Any).unwrap();
        assert_eq!(o.remove_xattr(c"user.a"), Ok(()));
        assert_eq!(o.get_xattr(c"user.a"), Err(Errno::ENODATA));
        assert_eq!(o.list_xattr(), Ok(vec![]));
    });
}

#[test]
fn names_have_their_limits() {
    each_kind(|o| {
        let long = CString::new(vec![b'n'; 256]).unwrap();
        let most = CString::new(vec![b'n'; 255]).unwrap();
        for name in [c"", long.as_c_str()] {
            assert_eq!(o.get_xattr(name), Err(Errno::ERANGE));
            assert_eq!(o.set_xattr(name, b"", XattrFlags::Any), Err(Errno::ERANGE));
            assert_eq!(o.remove_xattr(name), Err(Errno::ERANGE));
        }
        o.set_xattr(&most, b"v", XattrFlags::Any).unwrap();
        assert_eq!(o.get_xattr(&most), Ok(b"v".to_vec()));
    });
}

#[test]
fn lists_are_whole() {
    each_kind(|o| {
        let mut names = Vec::new();
        for i in 0..40 {
            let name = CString::new(format!("user.{i:0100}")).unwrap();
            o.set_xattr(&name, b"v", XattrFlags::Any).unwrap();
            names.push(name.into_bytes_with_nul());
            let list = o.list_xattr().unwrap();
            let mut listed: Vec<_> = list.split_inclusive(|&b| b == 0).collect();
            listed.sort_unstable();
            assert_eq!(listed, names);
        }
    });
}

#[test]
fn a_file_without_a_name_has_none() {
    let t = Tree::new();
    let f = t.file(c"f", b"");
    t.fs.unlink(&t.dir, c"f").unwrap();
    assert_eq!(
        f.set_xattr(c"user.a", b"", XattrFlags::Any),
        Err(Errno::ESTALE)
    );
    assert_eq!(f.list_xattr(), Err(Errno::ESTALE));
}
