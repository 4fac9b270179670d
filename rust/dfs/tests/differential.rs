//! The same random operations on a directory of DFS and on one of the kernel must have the same
//! results, step by step, and leave the same trees. What the VFS above this crate does (walking
//! paths, comparing types, refusing moves below oneself) is done here in the plainest way.
mod common;
use common::*;
use dfs::{Access, Attr, Create, Errno, Kind, Object, ObjectId, Result};
use std::ffi::{CStr, CString};
use std::sync::Arc;

/// A path as names; the last one is the entry.
type Names = Vec<&'static CStr>;

#[derive(Debug, Clone)]
enum Op {
    Create(Names, bool),
    Mkdir(Names),
    Symlink(Names, CString),
    Unlink(Names),
    Rmdir(Names),
    Rename(Names, Names, u32),
    Write(Names, u64, Vec<u8>),
    Truncate(Names, u64),
    Read(Names),
    Readlink(Names),
    Stat(Names),
    List(Names),
}

/// What an operation answers.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Done,
    Bytes(Vec<u8>),
    Stat(u32, i64),
    List(Vec<CString>),
}

fn random(rng: &mut Rng) -> Op {
    const ALPHABET: [&CStr; 5] = [c"a", c"b", c"c", c"d", c"e"];
    let path = |rng: &mut Rng| -> Names {
        let depth = 1 + rng.below(3);
        (0..depth)
            .map(|_| ALPHABET[rng.below(ALPHABET.len())])
            .collect()
    };
    let one = path(rng);
    match rng.below(16) {
        0 | 1 => Op::Create(one, rng.below(2) == 0),
        2..=4 => Op::Mkdir(one),
        // Targets that resolve to nothing: links are not followed here.
        5 => Op::Symlink(one, CString::new(vec![b'z'; 1 + rng.below(30)]).unwrap()),
        6 => Op::Unlink(one),
        7 => Op::Rmdir(one),
        8 | 9 => {
            let flags = [0, 0, 0, libc::RENAME_NOREPLACE, libc::RENAME_EXCHANGE];
            Op::Rename(one, path(rng), flags[rng.below(flags.len())])
        }
        10 | 11 => Op::Write(one, rng.below(3000) as u64, pattern(1 + rng.below(500))),
        12 => Op::Truncate(one, rng.below(4000) as u64),
        13 => Op::Read(one),
        14 => Op::Readlink(one),
        _ => match rng.below(2) {
            0 => Op::Stat(one),
            _ => Op::List(one),
        },
    }
}

/// The side under test.
struct Dfs {
    tree: Tree,
}

/// A directory and the ids of all directories above it.
struct Parent {
    dir: Arc<Object>,
    chain: Vec<ObjectId>,
}

impl Dfs {
    fn parent(&self, path: &Names) -> Result<(Parent, &'static CStr)> {
        let (last, above) = path.split_last().unwrap();
        let mut dir = self.tree.dir.clone();
        let mut chain = vec![dir.id()];
        for name in above {
            let (next, _) = self.tree.fs.open(&dir, name, Access::ReadWrite)?;
            match next.kind() {
                Kind::Directory => {}
                Kind::Symlink => return Err(Errno::ENOENT),
                Kind::File => return Err(Errno::ENOTDIR),
            }
            chain.push(next.id());
            dir = Arc::new(next);
        }
        Ok((Parent { dir, chain }, last))
    }

    /// An entry opened for its contents; links are refused as with `O_NOFOLLOW`.
    fn file(&self, path: &Names) -> Result<Object> {
        let (parent, name) = self.parent(path)?;
        let (object, _) = self.tree.fs.lookup(&parent.dir, name, Access::ReadWrite)?;
        match object.kind() {
            Kind::File => Ok(object),
            Kind::Directory => Err(Errno::EISDIR),
            Kind::Symlink => Err(Errno::ELOOP),
        }
    }

    fn run(&self, op: &Op) -> Result<Answer> {
        let fs = &self.tree.fs;
        let owner = self.tree.owner;
        let done = Ok(Answer::Done);
        match op {
            Op::Create(path, exclusive) => {
                let (parent, name) = self.parent(path)?;
                let how = Create {
                    exclusive: *exclusive,
                    ..NEW
                };
                fs.create(&parent.dir, name, how, owner)?;
                done
            }
            Op::Mkdir(path) => {
                let (parent, name) = self.parent(path)?;
                fs.mkdir(&parent.dir, name, 0o755, owner)?;
                done
            }
            Op::Symlink(path, target) => {
                let (parent, name) = self.parent(path)?;
                fs.symlink(&parent.dir, name, target, owner)?;
                done
            }
            Op::Unlink(path) => {
                let (parent, name) = self.parent(path)?;
                if fs.stat(&parent.dir, name)?.kind() == Kind::Directory {
                    return Err(Errno::EISDIR);
                }
                fs.unlink(&parent.dir, name)?;
                done
            }
            Op::Rmdir(path) => {
                let (parent, name) = self.parent(path)?;
                if fs.stat(&parent.dir, name)?.kind() != Kind::Directory {
                    return Err(Errno::ENOTDIR);
                }
                fs.rmdir(&parent.dir, name)?;
                done
            }
            Op::Rename(from, to, flags) => self.rename(from, to, *flags).map(|()| Answer::Done),
            Op::Write(path, at, bytes) => {
                self.file(path)?.write_bytes(bytes, *at)?;
                done
            }
            Op::Truncate(path, size) => {
                self.file(path)?.truncate(*size)?;
                done
            }
            Op::Read(path) => Ok(Answer::Bytes(self.tree.read(&self.file(path)?))),
            Op::Readlink(path) => {
                let (parent, name) = self.parent(path)?;
                let link = fs.open(&parent.dir, name, Access::Read)?.0;
                Ok(Answer::Bytes(link.readlink()?.into_bytes()))
            }
            Op::Stat(path) => {
                let (parent, name) = self.parent(path)?;
                let attr = fs.stat(&parent.dir, name)?;
                Ok(Answer::Stat(
                    attr.stat.st_mode & libc::S_IFMT,
                    size_of_kind(&attr.stat),
                ))
            }
            Op::List(path) => {
                let (parent, name) = self.parent(path)?;
                let dir = fs.open(&parent.dir, name, Access::Read)?.0;
                match dir.kind() {
                    Kind::Directory => Ok(Answer::List(self.tree.names(&dir))),
                    _ => Err(Errno::ENOTDIR),
                }
            }
        }
    }

    /// `renameat2(2)` in the order of the kernel's checks.
    fn rename(&self, from: &Names, to: &Names, flags: u32) -> Result<()> {
        let fs = &self.tree.fs;
        let (from_dir, from_name) = self.parent(from)?;
        let (to_dir, to_name) = self.parent(to)?;
        let source = fs.stat(&from_dir.dir, from_name)?;
        let target: Option<Attr> = match fs.stat(&to_dir.dir, to_name) {
            Ok(attr) => Some(attr),
            Err(Errno::ENOENT) => None,
            Err(e) => return Err(e),
        };
        let exchange = flags == libc::RENAME_EXCHANGE;
        let no_replace = flags == libc::RENAME_NOREPLACE;
        match target {
            Some(_) if no_replace => return Err(Errno::EEXIST),
            None if exchange => return Err(Errno::ENOENT),
            _ => {}
        }
        if to_dir.chain.contains(&source.oid) {
            return Err(Errno::EINVAL);
        }
        if target.is_some_and(|t| from_dir.chain.contains(&t.oid)) {
            return Err(if exchange {
                Errno::EINVAL
            } else {
                Errno::ENOTEMPTY
            });
        }
        if exchange {
            return fs.exchange(&from_dir.dir, from_name, &to_dir.dir, to_name);
        }
        fs.rename(
            &from_dir.dir,
            from_name,
            &source,
            &to_dir.dir,
            to_name,
            target.as_ref(),
            no_replace,
        )
    }
}

/// The size, where it means the same on both sides.
fn size_of_kind(stat: &libc::stat) -> i64 {
    match stat.st_mode & libc::S_IFMT {
        libc::S_IFDIR => 0,
        _ => stat.st_size,
    }
}

/// The kernel's side: a directory of its own, removed on drop.
struct Kernel {
    root: CString,
}

impl Kernel {
    fn new() -> Kernel {
        let mut root = std::env::temp_dir().into_os_string().into_encoded_bytes();
        root.extend(b"/pil4dfs-differential-XXXXXX\0");
        // SAFETY: the template is writable and ends in a NUL.
        assert!(!unsafe { libc::mkdtemp(root.as_mut_ptr().cast()) }.is_null());
        Kernel {
            root: CString::from_vec_with_nul(root).unwrap(),
        }
    }

    fn path(&self, names: &Names) -> CString {
        let mut path = self.root.as_bytes().to_vec();
        for name in names {
            path.push(b'/');
            path.extend(name.to_bytes());
        }
        CString::new(path).unwrap()
    }

    fn open(&self, names: &Names, flags: i32) -> Result<i32> {
        let path = self.path(names);
        // SAFETY: a string and plain numbers.
        number(unsafe { libc::open(path.as_ptr(), flags | libc::O_NOFOLLOW, 0o644) })
    }

    fn with<R>(&self, names: &Names, f: impl FnOnce(i32) -> Result<R>) -> Result<R> {
        let fd = self.open(names, libc::O_RDWR)?;
        let result = f(fd);
        // SAFETY: opened above.
        unsafe { libc::close(fd) };
        result
    }

    fn run(&self, op: &Op) -> Result<Answer> {
        // SAFETY: every call below gets strings and buffers that live through it.
        unsafe {
            let rc = match op {
                Op::Create(path, exclusive) => {
                    let exclusive = if *exclusive { libc::O_EXCL } else { 0 };
                    libc::close(self.open(path, libc::O_RDWR | libc::O_CREAT | exclusive)?)
                }
                Op::Mkdir(path) => libc::mkdir(self.path(path).as_ptr(), 0o755),
                Op::Symlink(path, to) => libc::symlink(to.as_ptr(), self.path(path).as_ptr()),
                Op::Unlink(path) => libc::unlink(self.path(path).as_ptr()),
                Op::Rmdir(path) => libc::rmdir(self.path(path).as_ptr()),
                Op::Rename(from, to, flags) => libc::renameat2(
                    libc::AT_FDCWD,
                    self.path(from).as_ptr(),
                    libc::AT_FDCWD,
                    self.path(to).as_ptr(),
                    *flags,
                ),
                Op::Write(path, at, bytes) => self.with(path, |fd| {
                    let n = libc::pwrite(fd, bytes.as_ptr().cast(), bytes.len(), *at as i64);
                    assert_eq!(n, bytes.len() as isize);
                    Ok(0)
                })?,
                Op::Truncate(path, size) => {
                    self.with(path, |fd| number(libc::ftruncate(fd, *size as i64)))?
                }
                Op::Read(path) => {
                    return self.with(path, |fd| {
                        let mut bytes = vec![0u8; 1 << 16];
                        let n = libc::pread(fd, bytes.as_mut_ptr().cast(), bytes.len(), 0);
                        bytes.truncate(n as usize);
                        Ok(Answer::Bytes(bytes))
                    })
                }
                Op::Readlink(path) => {
                    let mut text = vec![0u8; 4096];
                    let (path, buf) = (self.path(path), text.as_mut_ptr().cast());
                    let n = number(libc::readlink(path.as_ptr(), buf, text.len()) as i32)?;
                    text.truncate(n as usize);
                    return Ok(Answer::Bytes(text));
                }
                Op::Stat(path) => {
                    let mut stat: libc::stat = std::mem::zeroed();
                    number(libc::lstat(self.path(path).as_ptr(), &mut stat))?;
                    return Ok(Answer::Stat(
                        stat.st_mode & libc::S_IFMT,
                        size_of_kind(&stat),
                    ));
                }
                Op::List(path) => return self.list(path),
            };
            number(rc).map(|_| Answer::Done)
        }
    }

    fn list(&self, names: &Names) -> Result<Answer> {
        let fd = self.open(names, libc::O_RDONLY | libc::O_DIRECTORY)?;
        // SAFETY: the descriptor goes to the stream, which is closed below.
        unsafe {
            let stream = libc::fdopendir(fd);
            let mut names = Vec::new();
            while let Some(entry) = libc::readdir(stream).as_ref() {
                let name = CStr::from_ptr(entry.d_name.as_ptr());
                if !matches!(name.to_bytes(), b"." | b"..") {
                    names.push(name.to_owned());
                }
            }
            libc::closedir(stream);
            names.sort();
            Ok(Answer::List(names))
        }
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.root.to_str().unwrap());
    }
}

fn number(rc: i32) -> Result<i32> {
    match rc {
        -1 => Err(Errno(
            std::io::Error::last_os_error().raw_os_error().unwrap(),
        )),
        rc => Ok(rc),
    }
}

fn compare(tree: Tree) {
    let mut rng = Rng::new();
    let (dfs, kernel) = (Dfs { tree }, Kernel::new());
    for step in 0..rng.steps(3000) {
        let op = random(&mut rng);
        let expected = kernel.run(&op);
        let answer = dfs.run(&op);
        assert_eq!(answer, expected, "step {step} of {rng:?}: {op:?}");
    }
}

#[test]
fn an_ordinary_container_agrees_with_the_kernel() {
    compare(Tree::new());
}

#[test]
fn a_balanced_container_agrees_with_the_kernel() {
    compare(Tree::balanced());
}
