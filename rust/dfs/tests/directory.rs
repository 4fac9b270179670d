//! Listings: complete, without repetition, in batches of any size, from any position.
mod common;
use common::*;
use dfs::{DirCursor, Object};
use std::collections::BTreeSet;
use std::ffi::CString;

fn fill(t: &Tree, count: usize) -> BTreeSet<CString> {
    (0..count)
        .map(|i| {
            let name = CString::new(format!("entry-{i}")).unwrap();
            match i % 3 {
                0 => t.mkdir(&name),
                1 => drop(t.file(&name, b"")),
                _ => t.fs.symlink(&t.dir, &name, c"x", t.owner).unwrap(),
            }
            name
        })
        .collect()
}

fn rest(dir: &Object, cursor: &mut DirCursor, max: usize) -> Vec<CString> {
    let mut names = Vec::new();
    while !cursor.at_end() {
        let batch = dir.read_names(cursor, max).unwrap();
        assert!(batch.len() <= max);
        names.extend(batch);
    }
    assert_eq!(dir.read_names(cursor, max), Ok(vec![]));
    names
}

#[test]
fn every_name_once_whatever_the_batch() {
    let t = Tree::new();
    for count in [0, 1, 127, 128, 129, 300] {
        let t = t.below(count);
        let names = fill(&t, count);
        for max in [1, 7, 128, 1000] {
            let listed = rest(&t.dir, &mut DirCursor::start(), max);
            assert_eq!(listed.len(), count, "{max} at a time");
            assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), names);
        }
        let mut listed = BTreeSet::new();
        let mut cursor = DirCursor::start();
        while !cursor.at_end() {
            t.dir
                .for_names(&mut cursor, 50, |name| {
                    assert!(listed.insert(name.to_owned()))
                })
                .unwrap();
        }
        assert_eq!(listed, names);
    }
}

#[test]
fn positions_can_be_kept_and_passed_on() {
    let t = Tree::new();
    fill(&t, 100);
    let mut cursor = DirCursor::start();
    for _ in 0..5 {
        t.dir.read_names(&mut cursor, 9).unwrap();
    }
    let mut copy = cursor.clone();
    let mut bytes = DirCursor::from_bytes(&cursor.to_bytes());
    let one = rest(&t.dir, &mut cursor, 10);
    assert_eq!(rest(&t.dir, &mut copy, 3), one);
    assert_eq!(rest(&t.dir, &mut bytes, 128), one);
    assert!(!DirCursor::start().at_end());
}

#[test]
fn a_cursor_starts_at_a_name() {
    let t = Tree::new();
    fill(&t, 50);
    let all = rest(&t.dir, &mut DirCursor::start(), 128);
    for at in [0, 1, 25, 49] {
        let mut cursor = t.dir.cursor_at(&all[at]).unwrap();
        assert_eq!(rest(&t.dir, &mut cursor, 128), all[at..]);
    }
}

#[test]
fn nothing_is_wanted() {
    let t = Tree::new();
    fill(&t, 3);
    let mut cursor = DirCursor::start();
    assert_eq!(t.dir.read_names(&mut cursor, 0), Ok(vec![]));
    assert!(!cursor.at_end());
    assert_eq!(rest(&t.dir, &mut cursor, 2).len(), 3);
}
