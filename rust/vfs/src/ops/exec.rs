//! execveat(2): every exec passes here. A program of the kernel's gets its environment completed
//! and our descriptors handed on; a program in a mount is staged, or its interpreter run with the
//! path the caller gave.
use crate::inherit::carry::Carry;
use crate::inherit::libraries::{self, Image};
use crate::inherit::loader;
use crate::inherit::scratch::{scratch, Scratch};
use crate::inherit::script::{self, Format, NESTED};
use crate::inherit::{self, carry, environment, privileged, stage};
use crate::node::Node;
use crate::ops::after;
use crate::ownfd::OwnFd;
use crate::permission::{As, Mode, EXEC};
use crate::process::Process;
use crate::resolve::{self, Located, Options};
use crate::{call, fail, kernel, ownfd, user, Errno, Op, Reject};
use dfs::{Attr, Kind};
use once_cell::sync::OnceCell;
use std::ffi::{c_char, c_long, CStr, CString};
use std::sync::Arc;

/// Milliseconds a staged copy may be busy.
const BUSY: usize = 100;

/// What the kernel is to run.
enum Program {
    /// A path of the kernel's, as the application gave it.
    Given { dirfd: i64, path: i64, flags: i64 },
    /// Another path of the kernel's.
    Path(CString),
    /// A staged copy.
    Staged(Staged),
}

/// A program of a mount.
struct Staged {
    copy: OwnFd,
    /// The name it should have.
    name: Vec<u8>,
    /// Where it lies.
    path: Vec<u8>,
    /// The library search path it needs.
    search: Option<Vec<u8>>,
}

/// The entry layer's execveat: it first lets the signals go that wait for the end of this call,
/// which a new program must not inherit blocked. Value or `-errno`.
pub type Exec = unsafe extern "C" fn(
    i32,
    *const c_char,
    *const *const c_char,
    *const *const c_char,
    i32,
) -> c_long;

static ENTRY: OnceCell<Exec> = OnceCell::new();

/// Sets the entry layer's routine, once, at start.
pub fn set_exec(exec: Exec) {
    let _ = ENTRY.set(exec);
}

/// execveat(2). Returns only with an error: those of execve(2); `EIO` and its like when a program
/// of ours cannot be read.
pub fn execveat(p: &'static Process, a: [i64; 6]) -> Op<i64> {
    execute(p, a, None)
}

/// `name`: what a script's interpreter is given, if not the path as it stands.
fn execute(p: &'static Process, a: [i64; 6], name: Option<CString>) -> Op<i64> {
    let [dirfd, path, argv, envp, flags, _] = a;
    let scratch = scratch();
    let envp = own_copy(scratch, envp);
    let called = name.is_some();
    let mut program = locate(p, scratch, [dirfd, path, argv, envp, flags, 0], name)?;
    for _ in 0..NESTED {
        let error = run(p, scratch, &program, argv, envp)?;
        let next = match error {
            Errno::ENOENT => interpreter_of(p, scratch, &program, envp)?,
            _ => None,
        };
        match next {
            Some(next) => program = next,
            None if matches!(program, Program::Given { .. }) && !called => {
                return through_links(p, a, error)
            }
            None => return fail(error),
        }
    }
    fail(Errno::ELOOP)
}

/// A copy of the array, which only the exec can change; an unreadable one as it is.
fn own_copy(scratch: &mut Scratch, envp: i64) -> i64 {
    if envp == 0 || environment::strings(envp, &mut scratch.given).is_err() {
        return envp;
    }
    scratch.given.push(std::ptr::null());
    scratch.given.as_ptr() as i64
}

/// The kernel did not find a program: its path may lead into a mount by a link of the kernel's.
fn through_links(p: &'static Process, mut a: [i64; 6], error: Errno) -> Op<i64> {
    let Some(inside) = after::leads_into_mount(p, a[0], a[1], error) else {
        return fail(error);
    };
    let name = spelled(a[0], a[1])?;
    a[0] = libc::AT_FDCWD.into();
    a[1] = inside.as_ptr() as i64;
    execute(p, a, Some(name))
}

/// Finds the program, through scripts of ours.
fn locate(
    p: &'static Process,
    scratch: &mut Scratch,
    [dirfd, path, _, envp, flags, _]: [i64; 6],
    name: Option<CString>,
) -> Op<Program> {
    let options = Options::from_flags(flags as i32);
    let given = Program::Given { dirfd, path, flags };
    let (node, attr) = match resolve::lookup(p, dirfd, path, &options) {
        Err(Reject::NotOurs) => return Ok(given),
        found => match leads_to(p, found)? {
            Ok(node) => node,
            Err(outside) => return Ok(Program::Path(outside)),
        },
    };
    // The interpreter opens a script through the descriptor, which will be closed.
    let closes = dirfd as i32 != libc::AT_FDCWD
        && !user::path(path)?.to_bytes().starts_with(b"/")
        && ownfd::closes_at_exec(dirfd as i32);
    let name = match name {
        Some(name) => name,
        None => spelled(dirfd, path)?,
    };
    let program = through_scripts(p, scratch, node, attr, name, envp)?;
    match closes && !scratch.prefix.is_empty() {
        true => fail(Errno::ENOENT),
        false => Ok(program),
    }
}

/// The node and attributes of what was found, or the kernel's path it leads to.
#[allow(clippy::type_complexity)]
fn leads_to(p: &'static Process, found: Op<Located>) -> Op<Result<(Arc<Node>, Attr), CString>> {
    match found? {
        Located::Entry(entry) => {
            let attr = entry.attr;
            Ok(Ok((entry.node(p), attr)))
        }
        Located::Node(node) => {
            let attr = node.attr()?;
            Ok(Ok((node, attr)))
        }
        Located::Missing(_) => fail(Errno::ENOENT),
        Located::Outside(path) => Ok(Err(path)),
    }
}

/// Stages a binary; for a script goes on with its interpreter.
fn through_scripts(
    p: &'static Process,
    scratch: &mut Scratch,
    mut node: Arc<Node>,
    mut attr: Attr,
    mut name: CString,
    envp: i64,
) -> Op<Program> {
    for _ in 0..NESTED {
        check(p, &attr)?;
        let mut head = [0; script::HEAD];
        let n = node.object.read_bytes(&mut head, 0)?;
        let (interpreter, argument) = match script::format(&head[..n])? {
            Format::Binary => {
                let base = name.to_bytes().rsplit(|b| *b == b'/').next();
                let given = environment::value(envp, environment::SEARCH)?;
                let (path, _) = node.last_path()?;
                let copy = stage::stage(&node, &attr)?;
                let image = Image::Ours(node);
                return Ok(Program::Staged(Staged {
                    copy,
                    name: base.unwrap_or(b"").to_vec(),
                    search: libraries::search_path(p, &image, path.as_bytes(), &given),
                    path: path.into_bytes(),
                }));
            }
            Format::Script(interpreter, argument) => (interpreter, argument),
        };
        put_before(scratch, &interpreter, argument, name);
        let at = libc::AT_FDCWD.into();
        let options = Options::from_flags(0);
        match resolve::lookup_path(p, at, interpreter.to_bytes(), &options) {
            Err(Reject::NotOurs) => return Ok(Program::Path(interpreter)),
            found => match leads_to(p, found)? {
                Ok(next) => (node, attr) = next,
                Err(outside) => return Ok(Program::Path(outside)),
            },
        }
        name = interpreter;
    }
    fail(Errno::ELOOP)
}

/// A script's interpreter, argument and path take the place of the first argument so far.
fn put_before(
    scratch: &mut Scratch,
    interpreter: &CString,
    argument: Option<CString>,
    path: CString,
) {
    let mut prefix = vec![interpreter.clone()];
    prefix.extend(argument);
    prefix.push(path);
    prefix.extend(scratch.prefix.drain(..).skip(1));
    scratch.prefix = prefix;
}

/// After `ENOENT`: is it a script of the kernel's whose interpreter is ours?
fn interpreter_of(
    p: &'static Process,
    scratch: &mut Scratch,
    program: &Program,
    envp: i64,
) -> Op<Option<Program>> {
    let (dirfd, path) = match program {
        Program::Given { dirfd, path, .. } => (*dirfd, user::path(*path)?),
        Program::Path(path) => (libc::AT_FDCWD.into(), path.clone()),
        Program::Staged(_) => return Ok(None),
    };
    let Some(head) = privileged::head_of(dirfd as i32, &path) else {
        return Ok(None);
    };
    let Ok(Format::Script(interpreter, argument)) = script::format(&head) else {
        return Ok(None);
    };
    let options = Options::from_flags(0);
    let found = resolve::lookup_path(p, libc::AT_FDCWD.into(), interpreter.to_bytes(), &options);
    let Ok(Ok((node, attr))) = leads_to(p, found) else {
        return Ok(None);
    };
    let name = match program {
        Program::Given { dirfd, path, .. } => spelled(*dirfd, *path)?,
        _ => path,
    };
    put_before(scratch, &interpreter, argument, name);
    through_scripts(p, scratch, node, attr, interpreter, envp).map(Some)
}

/// A regular file with permission to run it, else `EACCES`; a link not to be followed is `ELOOP`.
fn check(p: &'static Process, attr: &Attr) -> Result<(), Errno> {
    match attr.kind() {
        Kind::Symlink => Err(Errno::ELOOP),
        Kind::Directory => Err(Errno::EACCES),
        Kind::File => p
            .credentials
            .ids()
            .check(Mode::from(attr), EXEC, As::Effective),
    }
}

/// The path an interpreter is given: the caller's, or through its descriptor, as the kernel says it.
fn spelled(dirfd: i64, path: i64) -> Result<CString, Errno> {
    let path = user::path(path)?;
    if path.to_bytes().starts_with(b"/") || dirfd as i32 == libc::AT_FDCWD {
        return Ok(path);
    }
    let mut text = format!("/dev/fd/{}", dirfd as i32).into_bytes();
    if !path.is_empty() {
        text.push(b'/');
        text.extend_from_slice(path.to_bytes());
    }
    CString::new(text).map_err(|_| Errno::EINVAL)
}

/// Arguments, environment and descriptors, then the kernel, whose error is returned with everything
/// put back. `Err`: it did not come to that.
fn run(
    p: &'static Process,
    scratch: &mut Scratch,
    program: &Program,
    argv: i64,
    envp: i64,
) -> Result<Errno, Errno> {
    let (name, path) = match program {
        Program::Staged(staged) => (staged.name.as_slice(), staged.path.as_slice()),
        _ => (&b""[..], &b""[..]),
    };
    let needed = !name.is_empty() || carry::is_needed(p);
    let closed = needed && privileged::must_not_inherit(program_path(program));
    let carry = match needed && !closed {
        true => Carry::prepare(p, name, path)?,
        false => None,
    };
    scratch.envp.clear();
    let search = match program {
        Program::Staged(staged) => staged.search.clone(),
        _ if closed => None,
        _ => match loaders(p, scratch, program, argv, envp)? {
            Some(search) => search,
            None => kernels_search(p, program, envp)?,
        },
    };
    let preload = match closed {
        true => None,
        false => libraries::preloads(p, &environment::value(envp, environment::PRELOAD)?),
    };
    let manifest = carry.as_ref().map(Carry::manifest);
    let changes = environment::Changes {
        manifest,
        search: search.as_deref(),
        preload: preload.as_deref(),
        leave: closed,
    };
    let envp = match environment::build(scratch, envp, &changes)? {
        true => scratch.envp.as_ptr() as i64,
        false => envp,
    };
    arguments(scratch, argv)?;
    let argv = match scratch.prefix.is_empty() {
        true => argv,
        false => scratch.argv.as_ptr() as i64,
    };
    if !inherit::in_shared_child() {
        // The mappings end with this image; a relative that shares them still has the bytes.
        if let Err(e) = p.mappings.sync_all() {
            log::error!("a mapped file could not be written back before an exec: {e}");
        }
    }
    // Somebody's fork in the middle of the staging still has the copy open for writing.
    for _ in 0..BUSY {
        match kernel_exec(program, argv, envp) {
            Errno::ETXTBSY if matches!(program, Program::Staged(_)) => pause(),
            error => return Ok(error),
        }
    }
    Ok(Errno::ETXTBSY)
}

/// A millisecond.
fn pause() {
    let time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 1_000_000,
    };
    // SAFETY: the kernel reads the struct.
    let _ = unsafe { call!(SYS_nanosleep, &raw const time, 0) };
}

/// The search path for a program of the kernel's, when the caller's leads into a mount.
fn kernels_search(
    p: &'static Process,
    program: &Program,
    envp: i64,
) -> Result<Option<Vec<u8>>, Errno> {
    let given = environment::value(envp, environment::SEARCH)?;
    if given.is_empty() || !libraries::concerns(p, &given) {
        return Ok(None);
    }
    let mut path = match program {
        Program::Given { dirfd, path, .. } if *dirfd as i32 == libc::AT_FDCWD => user::path(*path)?,
        Program::Path(path) => path.clone(),
        _ => return Ok(None),
    };
    for _ in 0..NESTED {
        let Some(head) = privileged::head_of(libc::AT_FDCWD, &path) else {
            return Ok(None);
        };
        match script::format(&head) {
            Ok(Format::Script(next, _)) => path = next,
            Ok(Format::Binary) => break,
            Err(_) => return Ok(None),
        }
    }
    let image = libraries::kernels(path.as_bytes());
    Ok(image.and_then(|image| libraries::search_path(p, &image, path.as_bytes(), &given)))
}

/// The dynamic loader's arguments and search path, if that is the program and what it is to run
/// concerns us.
#[allow(clippy::option_option)]
fn loaders(
    p: &'static Process,
    scratch: &mut Scratch,
    program: &Program,
    argv: i64,
    envp: i64,
) -> Result<Option<Option<Vec<u8>>>, Errno> {
    let Program::Given { path, .. } = program else {
        return Ok(None);
    };
    let is_loader = |path: CString| loader::is_loader(path.to_bytes());
    if !scratch.prefix.is_empty() || !user::path(*path).is_ok_and(is_loader) {
        return Ok(None);
    }
    let mut words = Vec::new();
    environment::strings(argv, &mut words)?;
    for word in &words {
        user::readable(*word as i64, 1)?;
    }
    // SAFETY: strings of the caller's, looked at just now.
    let words: Vec<&CStr> = words
        .iter()
        .map(|s| unsafe { CStr::from_ptr(*s) })
        .collect();
    let given = environment::value(envp, environment::SEARCH)?;
    let Some(loaded) = loader::loaded(p, &words, &given)? else {
        return Ok(None);
    };
    scratch.prefix = loaded.arguments;
    scratch.replaced = loaded.replaced;
    Ok(Some(loaded.search))
}

/// The caller's arguments behind an interpreter's.
fn arguments(scratch: &mut Scratch, argv: i64) -> Result<(), Errno> {
    scratch.argv.clear();
    if scratch.prefix.is_empty() {
        return Ok(());
    }
    let mut given = Vec::new();
    environment::strings(argv, &mut given)?;
    scratch
        .argv
        .extend(scratch.prefix.iter().map(|s| s.as_ptr()));
    let replaced = scratch.replaced.max(1);
    scratch.argv.extend(given.into_iter().skip(replaced));
    scratch.argv.push(std::ptr::null());
    Ok(())
}

fn program_path(program: &Program) -> Option<(i32, i64, i32)> {
    match program {
        Program::Given { dirfd, path, flags } => Some((*dirfd as i32, *path, *flags as i32)),
        Program::Path(path) => Some((libc::AT_FDCWD, path.as_ptr() as i64, 0)),
        Program::Staged(_) => None,
    }
}

/// The kernel's answer, an error.
fn kernel_exec(program: &Program, argv: i64, envp: i64) -> Errno {
    let (dirfd, path, flags) = match program {
        Program::Given { dirfd, path, flags } => (*dirfd, *path, *flags),
        Program::Path(path) => (libc::AT_FDCWD.into(), path.as_ptr() as i64, 0),
        Program::Staged(staged) => (
            staged.copy.raw().into(),
            c"".as_ptr() as i64,
            libc::AT_EMPTY_PATH.into(),
        ),
    };
    let plain = dirfd as i32 == libc::AT_FDCWD && flags == 0;
    let answer = match ENTRY.get() {
        // SAFETY: the application's pointers, or ours of the scratch block.
        Some(exec) if plain || flags != 0 => unsafe {
            exec(
                dirfd as i32,
                path as *const c_char,
                argv as *const *const c_char,
                envp as *const *const c_char,
                flags as i32,
            )
        },
        // SAFETY: as above.
        _ if plain => return unsafe { call!(SYS_execve, path, argv, envp) }.err_or_eio(),
        // SAFETY: as above.
        _ => return unsafe { call!(SYS_execveat, dirfd, path, argv, envp, flags) }.err_or_eio(),
    };
    kernel::check(answer).err_or_eio()
}

/// exec has no success to tell of.
trait OnlyError {
    fn err_or_eio(self) -> Errno;
}

impl OnlyError for Result<i64, Errno> {
    fn err_or_eio(self) -> Errno {
        self.err().unwrap_or(Errno::EIO)
    }
}
