//! What is done with bytes from outside, one function for each kind: mount table, manifest of an
//! exec, keeper's file, program file, entry point. Whatever the bytes are, an answer comes, soon and without a
//! panic, and it is a sane one.
use crate::{Input, Target};
use std::ffi::CString;
use vfs::inherit::{elf, libraries, manifest::Manifest, script};
use vfs::keep::Held;
use vfs::mount::{ExplicitMount, MountConfig, MountTable};

/// All of them, each with bytes that make sense.
pub fn all() -> Vec<Target> {
    let manifest = Manifest {
        pid: 7,
        name: b"sh".to_vec(),
        closed: vec![(1, 2)],
        ..Manifest::default()
    };
    let held = Held {
        pool: c"pool".into(),
        cont: c"cont".into(),
        since: 1,
        handles: dfs::Handles {
            pool: vec![1; 9],
            cont: vec![2; 3],
            dfs: vec![3],
            read_only: false,
            balanced: true,
            ordinal: 1,
            names: None,
        },
    };
    let program = std::fs::read("/proc/self/exe").unwrap_or_default();
    let head = &program[..program.len().min(1 << 16)];
    let table = b"36 35 0:42 / /mnt/d\\040x rw - fuse.daos dfuse rw\n37 35 8:1 / /dfs rw - ext4 /dev/sda rw\n";
    let entry_point =
        b"DAOS.POSIX://6f3c7d0a-0000-0000-0000-000000000001/6f3c7d0a-0000-0000-0000-000000000002";
    let target = |name, feed, valid: &[u8]| Target {
        name,
        feed,
        input: Input::Format(valid.to_vec()),
    };
    vec![
        target("mount_table", mount_table, table),
        target("manifest", self::manifest, &manifest.encode()),
        target("keeper", keeper, &held.encode()),
        target("program", self::program, head),
        target("script", script, b"#! /bin/sh -e x\n"),
        target("entry_point", self::entry_point, entry_point),
        target("search_list", search_list, b"/dfs/lib:/usr/lib::$ORIGIN"),
    ]
}

/// `/proc/self/mountinfo`: a path leads into a mount only if it begins with its point.
pub fn mount_table(data: &[u8]) {
    let config = MountConfig {
        explicit: vec![ExplicitMount::named(c"/dfs", c"pool", c"cont")],
        mountinfo: data,
        ..MountConfig::default()
    };
    let table = MountTable::from_config(&config);
    for path in [&b"/dfs/a"[..], b"/dfs", b"/", data] {
        if let Some((mount, rest)) = table.locate(path) {
            assert!(rest <= path.len());
            assert!(!mount.point.as_bytes().is_empty());
        }
    }
    assert!(table.locate(b"/dfs/a").is_some());
}

/// What is read can be written and read again.
pub fn manifest(data: &[u8]) {
    if let Some(found) = Manifest::decode(data) {
        assert_eq!(Manifest::decode(&found.encode()), Some(found));
    }
}

/// As above, for a keeper's file.
pub fn keeper(data: &[u8]) {
    if let Some(found) = Held::decode(data) {
        let bytes = found.encode();
        assert_eq!(Held::decode(&bytes).map(|held| held.encode()), Some(bytes));
    }
}

/// The dynamic section of a program.
pub fn program(data: &[u8]) {
    let found = elf::libraries(&|buf, at| {
        let rest = usize::try_from(at).ok().and_then(|at| data.get(at..));
        let rest = rest.unwrap_or(b"");
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    });
    if let Some(found) = found {
        assert!(found.needed.len() <= data.len());
    }
}

/// The first bytes of a file to be executed.
pub fn script(data: &[u8]) {
    let _ = script::format(&data[..data.len().min(256)]);
}

/// The attribute that says which container lies at a directory.
pub fn entry_point(data: &[u8]) {
    let _ = dfs::EntryPoint::parse(data);
}

/// A list of directories of the loader's.
pub fn search_list(data: &[u8]) {
    let kept = libraries::without_ours(data);
    assert!(kept.len() <= data.len() + 1);
    let _ = CString::new(kept);
}
