//! Programs that cannot be preloaded: the mount is made for them alone, through our FUSE server
//! (`pil4dfs-dfuse --private`). Or a sentence says why that is impossible.
use crate::program::{self, Kind};
use crate::{locate, Failure};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::Command;

/// Pool, container and mount point.
pub struct Mount {
    pool: OsString,
    cont: OsString,
    point: OsString,
}

/// The mount a program needs for itself; `None` where the library serves it, where there is nothing
/// to mount, or where a dfuse serves the mount point already.
pub fn mount_for(
    program: &OsStr,
    variables: &[(&str, OsString)],
) -> Result<Option<Mount>, Failure> {
    let kind = program::kind(program);
    if kind == Kind::Loads {
        return Ok(None);
    }
    let value = |name: &str| {
        let given = variables.iter().find(|(n, _)| *n == name);
        let given = given.map(|(_, value)| value.clone());
        given
            .or_else(|| std::env::var_os(name))
            .filter(|v| !v.is_empty())
    };
    let named = (
        value("D_IL_POOL"),
        value("D_IL_CONTAINER"),
        value("D_IL_MOUNT_POINT"),
    );
    let (Some(pool), Some(cont), Some(point)) = named else {
        return Ok(None);
    };
    if is_dfuse(&point) {
        return Ok(None);
    }
    let shown = Path::new(program).display();
    let refused = |why: String| {
        Err(Failure {
            text: format!("{shown}: {why}"),
            code: 126,
        })
    };
    if kind == Kind::SetId {
        return refused(
            "runs with other rights than yours, so that nothing may be loaded into it, and loses them in a name space of its own; let an administrator mount dfuse for it".into(),
        );
    }
    let what = kind.words();
    if !Path::new(&point).is_dir() {
        let point = Path::new(&point).display();
        return refused(format!(
            "{what}: it is served through FUSE, which needs a directory to mount on, and {point} is none; make it, or choose another --mount"
        ));
    }
    Ok(Some(Mount { pool, cont, point }))
}

impl Mount {
    /// The server, told to become the program. The variables of the library are for the program and
    /// its children: the server itself runs without.
    pub fn command(
        &self,
        command: &[OsString],
        variables: &[(&str, OsString)],
    ) -> Result<Command, Failure> {
        let mut server = Command::new(locate::fuse_server()?);
        // What such a program and preloaded children of it write must show to both at once.
        server.arg("--private").arg("--disable-caching");
        server.arg("--pool").arg(&self.pool);
        server.arg("--container").arg(&self.cont);
        server.arg("--mountpoint").arg(&self.point);
        for (name, value) in variables {
            match *name {
                // The server finds its provider by them, too.
                "PIL4DFS_DAOS_DIR" | "PIL4DFS_EMBEDDED_ROOT" => drop(server.env(name, value)),
                _ => {
                    let pair = [name.as_bytes(), b"=", value.as_bytes()].concat();
                    server.arg("--setenv").arg(OsString::from_vec(pair));
                }
            }
        }
        server.env_remove("LD_PRELOAD");
        server.arg("--").args(command);
        Ok(server)
    }
}

/// Whether the kernel's table has a dfuse at this point.
fn is_dfuse(point: &OsStr) -> bool {
    let Ok(table) = std::fs::read("/proc/self/mounts") else {
        return false;
    };
    let last = table
        .split(|&b| b == b'\n')
        .map(|line| line.split(|&b| b == b' ').collect::<Vec<_>>())
        .rfind(|fields| fields.get(1) == Some(&point.as_bytes()));
    last.is_some_and(|fields| fields.get(2) == Some(&&b"fuse.daos"[..]))
}
