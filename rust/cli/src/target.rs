//! What a program is to run on: the options that name a mount and a provider, and the environment they
//! become (spec/environment.tbl).
use crate::{locate, Failure};
use clap::Args;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Options shared by the commands that set up a program's environment.
#[derive(Args)]
pub struct Target {
    /// Pool, by label or UUID.
    #[arg(long, value_name = "P", requires = "cont", requires = "mount")]
    pool: Option<String>,
    /// Container, by label or UUID.
    #[arg(long, value_name = "C", requires = "pool", requires = "mount")]
    cont: Option<String>,
    /// Mount point: an absolute path; it need not exist.
    #[arg(long, value_name = "DIR", requires = "pool", requires = "cont")]
    mount: Option<PathBuf>,
    /// Use the embedded provider with the store in DIR instead of a DAOS system.
    #[arg(long, value_name = "DIR")]
    embedded: Option<PathBuf>,
    /// Print what was intercepted (D_IL_REPORT=1).
    #[arg(long)]
    report: bool,
}

impl Target {
    /// The variables to set, the preload first, each with its whole value.
    pub fn variables(&self) -> Result<Vec<(&'static str, OsString)>, Failure> {
        let old = std::env::var_os("LD_PRELOAD");
        let mut all = vec![("LD_PRELOAD", preload(&locate::library()?, old))];
        if let Some(store) = &self.embedded {
            all.push(("PIL4DFS_DAOS_DIR", locate::embedded_provider()?.into()));
            all.push(("PIL4DFS_EMBEDDED_ROOT", store_directory(store)?.into()));
        }
        if let (Some(pool), Some(cont), Some(mount)) = (&self.pool, &self.cont, &self.mount) {
            all.push(("D_IL_POOL", label("pool", pool)?.into()));
            all.push(("D_IL_CONTAINER", label("container", cont)?.into()));
            all.push(("D_IL_MOUNT_POINT", mount_point(mount)?.into()));
        }
        if self.report {
            all.push(("D_IL_REPORT", "1".into()));
        }
        Ok(all)
    }
}

/// `LD_PRELOAD` with the library added once, behind what is there (other interposers see the program first).
fn preload(library: &Path, old: Option<OsString>) -> OsString {
    let Some(old) = old.filter(|v| !v.is_empty()) else {
        return library.into();
    };
    let there = old
        .to_string_lossy()
        .split([':', ' '])
        .any(|p| Path::new(p) == library);
    if there {
        return old;
    }
    let mut value = old;
    value.push(":");
    value.push(library);
    value
}

/// The store of the embedded provider, as an absolute path.
fn store_directory(store: &Path) -> Result<PathBuf, Failure> {
    let real = store.canonicalize().map_err(|e| {
        Failure::usage(format!(
            "no store at {}: {e}; make one with: pil4dfs-embedded --root {0} pool create pool && pil4dfs-embedded --root {0} cont create pool cont",
            store.display()
        ))
    })?;
    if real.is_dir() {
        Ok(real)
    } else {
        Err(Failure::usage(format!(
            "{} is not a directory",
            store.display()
        )))
    }
}

fn mount_point(mount: &Path) -> Result<&Path, Failure> {
    let up = mount
        .components()
        .any(|c| c == std::path::Component::ParentDir);
    if !mount.is_absolute() || up || mount == Path::new("/") {
        return Err(Failure::usage(format!(
            "--mount {}: the mount point must be an absolute path other than /, without \"..\"",
            mount.display()
        )));
    }
    Ok(mount)
}

/// A label has 1 to 127 characters of `[A-Za-z0-9._:-]` (a UUID is one as well).
fn label<'a>(what: &str, text: &'a str) -> Result<&'a str, Failure> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "._:-".contains(c);
    if (1..=127).contains(&text.len()) && text.chars().all(legal) {
        Ok(text)
    } else {
        Err(Failure::usage(format!(
            "{what} {text:?} is no label or UUID: 1 to 127 characters, letters, digits, '.', '_', ':' and '-'"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preload_adds_the_library_once() {
        let lib = Path::new("/x/libpil4dfs.so.0");
        assert_eq!(preload(lib, None), "/x/libpil4dfs.so.0");
        assert_eq!(preload(lib, Some("".into())), "/x/libpil4dfs.so.0");
        assert_eq!(
            preload(lib, Some("/a.so".into())),
            "/a.so:/x/libpil4dfs.so.0"
        );
        let twice = OsString::from("/a.so:/x/libpil4dfs.so.0");
        assert_eq!(preload(lib, Some(twice.clone())), twice);
    }

    #[test]
    fn mount_points_and_labels() {
        assert!(mount_point(Path::new("/dfs")).is_ok());
        for bad in ["dfs", "/", "/a/../b"] {
            assert_eq!(mount_point(Path::new(bad)).unwrap_err().code, 2);
        }
        assert!(label("pool", "my-pool.1").is_ok());
        assert!(label("pool", "").is_err() && label("pool", "a b").is_err());
    }
}
