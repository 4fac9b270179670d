//! `pil4dfs-dfuse`: serves DAOS containers to the kernel through FUSE, over the same DAOS layer as
//! the library. It stands in for DAOS's dfuse in tests and on laptops, serves programs that the
//! library cannot reach, and is what the library is measured against.
mod answers;
mod attributes;
mod cache;
mod container;
mod daemon;
mod data;
mod entries;
mod files;
mod front;
mod hidden;
mod inode;
mod ioctl;
mod listing;
mod mountpoint;
mod names;
mod options;
mod private;
mod server;
mod shown;

use clap::Parser;
use container::Containers;
use dfs::{Client, EntryPoint, Errno};
use inode::{Body, Inode, Inodes};
use options::{Options, Target};
use server::Server;
use std::ffi::{CStr, CString};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A lock whatever became of its last holder.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("pil4dfs-dfuse: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    let target = resolved(options.target()?)?;
    let at = options.mountpoint();
    let at = at
        .canonicalize()
        .map_err(|e| format!("{}: {e}", at.display()))?;
    if !at.is_dir() {
        return Err(format!("{} is not a directory", at.display()));
    }
    if options.private {
        return run_private(options, &target, &at);
    }
    let mut waiting = match options.foreground {
        true => daemon::Waiting::nobody(),
        false => daemon::detach().map_err(|e| format!("cannot go to the background: {e}"))?,
    };
    let signals = daemon::block_signals();
    let server = Arc::new(serve(options, &target)?);
    let way = mountpoint::Way {
        // A container that can only be read shows as what it is.
        read_only: options.read_only || server.root_is_read_only(),
        multi_user: options.multi_user,
    };
    let session = start(options, way, &at, front::Front(server.clone()))?;
    let last = server.clone();
    daemon::unmount_on_signal(signals, at, move || last.close());
    waiting.ready();
    let result = session.run();
    server.close();
    result.map_err(|e| e.to_string())
}

/// `--private`: comes back only with a reason, or in the server's process.
fn run_private(options: &Options, target: &Target, at: &Path) -> Result<(), String> {
    let way = mountpoint::Way {
        read_only: options.read_only,
        multi_user: options.multi_user,
    };
    let mut guest = match private::split().map_err(|e| format!("no second process: {e}"))? {
        Ok(server) => {
            let (variables, command) = (options.variables(), &options.command);
            return Err(private::become_program(
                server, at, way, &variables, command,
            ));
        }
        Err(guest) => guest,
    };
    let served = serve(options, target).and_then(|server| {
        let server = Arc::new(server);
        let device = guest.device().map_err(|e| e.to_string())?;
        let mut config = fuser::Config::default();
        config.n_threads = Some(options.threads());
        let all = fuser::SessionACL::All;
        let session = fuser::Session::from_fd(front::Front(server.clone()), device, all, config);
        session
            .map(|session| (server, session))
            .map_err(|e| e.to_string())
    });
    match served {
        Err(why) => guest.failed(&why),
        Ok((server, session)) => {
            guest.serving();
            let _ = session.run();
            server.close();
        }
    }
    Ok(())
}

/// `--path` as pool and container.
fn resolved(target: Target) -> Result<Target, String> {
    let Target::Path(path) = target else {
        return Ok(target);
    };
    let shown = path.display();
    let value = xattr(&path).map_err(|e| format!("{shown}: user.daos: {e}"))?;
    let entry = EntryPoint::parse(&value)
        .map_err(|_| format!("{shown}: user.daos names no POSIX container"))?;
    let text = |name: CString| name.into_string().unwrap_or_default();
    Ok(Target::Container(text(entry.pool), text(entry.cont)))
}

fn xattr(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::os::unix::ffi::OsStrExt;
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut value = vec![0u8; 512];
    // SAFETY: strings, and a buffer of the stated length.
    let n = unsafe {
        libc::getxattr(
            path.as_ptr(),
            c"user.daos".as_ptr(),
            value.as_mut_ptr().cast(),
            value.len(),
        )
    };
    match usize::try_from(n) {
        Ok(n) => {
            value.truncate(n);
            Ok(value)
        }
        Err(_) => Err(std::io::Error::last_os_error()),
    }
}

/// Starts DAOS and makes the root.
fn serve(options: &Options, target: &Target) -> Result<Server, String> {
    let dir = std::env::var_os("PIL4DFS_DAOS_DIR").filter(|d| !d.is_empty());
    let dir = dir.map(|d| CString::new(d.into_encoded_bytes()).unwrap_or_default());
    let api = daos_sys::load::open(dir.as_deref()).map_err(|e| e.to_string())?;
    let client = Client::start(api)
        .map_err(|e| format!("cannot start the DAOS client ({e}): is daos_agent running?"))?;
    // SAFETY: both cannot fail.
    let owner = unsafe { (libc::geteuid(), libc::getegid()) };
    let first = if matches!(target, Target::Container(..)) {
        1
    } else {
        2
    };
    let containers = Containers::new(client, !options.disable_caching, first);
    let root = root(&containers, target, owner)?;
    Ok(Server {
        containers,
        inodes: Inodes::new(root),
        files: files::Files::default(),
        read_only: options.read_only,
        owner,
    })
}

fn root(containers: &Containers, target: &Target, owner: (u32, u32)) -> Result<Arc<Inode>, String> {
    let text = |name: &String| CString::new(name.as_str()).map_err(|e| e.to_string());
    let above = |body| Ok(Inode::above(1, body, server::directory_above(1, owner)));
    match target {
        Target::Container(pool, cont) => {
            let (pool, cont) = (text(pool)?, text(cont)?);
            let made = container_root(containers, &pool, &cont);
            made.map_err(|e| format!("pool {pool:?}, container {cont:?}: {}", reason(e)))
        }
        Target::Pool(pool) => {
            let name = text(pool)?;
            let pool = containers.pool(&name);
            above(Body::Pool(
                pool.map_err(|e| format!("pool {name:?}: {}", reason(e)))?,
            ))
        }
        Target::Pools | Target::Path(_) => above(Body::Pools),
    }
}

fn container_root(containers: &Containers, pool: &CStr, cont: &CStr) -> dfs::Result<Arc<Inode>> {
    let container = containers.enter(pool, cont)?;
    let object = container.fs.root().reopen(container.access())?;
    let attr = object.attr()?;
    Ok(Inode::root(&container, object, &attr))
}

fn reason(errno: Errno) -> String {
    match errno {
        Errno::ENOENT => "there is no such pool or container".into(),
        Errno::EPERM | Errno::EACCES => "no permission".into(),
        Errno::EINVAL => "not a POSIX container".into(),
        other => format!("cannot be mounted ({other})"),
    }
}

/// Mounts and shakes hands with the kernel.
fn start(
    options: &Options,
    way: mountpoint::Way,
    at: &Path,
    front: front::Front,
) -> Result<fuser::Session<front::Front>, String> {
    let mut config = fuser::Config::default();
    config.n_threads = Some(options.threads());
    config.clone_fd = true;
    // Who may come in is the kernel's decision, by allow_other.
    config.acl = fuser::SessionACL::All;
    let failed = |e: std::io::Error| format!("cannot mount {}: {e}", at.display());
    match mountpoint::mount(at, way) {
        Ok(device) => {
            let session = fuser::Session::from_fd(front, device, fuser::SessionACL::All, config);
            session.map_err(|e| {
                let _ = mountpoint::unmount(at);
                failed(e)
            })
        }
        Err(e) if matches!(e.raw_os_error(), Some(libc::EPERM | libc::EACCES)) => {
            use fuser::MountOption::*;
            config.mount_options = vec![
                FSName("dfuse".into()),
                Subtype("daos".into()),
                DefaultPermissions,
                NoSuid,
                NoDev,
                if way.read_only { RO } else { RW },
            ];
            if !way.multi_user {
                config.acl = fuser::SessionACL::Owner;
            }
            fuser::Session::new(front, at, &config)
                .map_err(|again| format!("{} (and by fusermount3: {again})", failed(e)))
        }
        Err(e) => Err(failed(e)),
    }
}
