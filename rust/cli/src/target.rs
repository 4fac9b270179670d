//! What a program is to run on: the options that name a mount and a provider, and the environment they
//! become (spec/environment.tbl).
use crate::{locate, Failure};
use clap::Args;
use conf::{is_label, parse_url, Mount, Source, Url, WRONG_POINT};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
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
    /// Mount point of --pool and --cont, an absolute path that need not exist; or
    /// DIR=daos://POOL/CONTAINER[/DIRECTORY], as often as wanted.
    #[arg(long, value_name = "DIR")]
    mount: Vec<OsString>,
    /// The mounts of a file (pil4dfs.conf(5)).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
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
        if let Some(file) = &self.config {
            all.push(("PIL4DFS_CONFIG", config_file(file)?.into()));
        }
        let mut mounts = self.mounts()?;
        if let Some(at) = mounts.iter().position(|(_, url)| url.below.is_empty()) {
            let (point, url) = mounts.remove(at);
            all.push(("D_IL_POOL", url.pool.into()));
            all.push(("D_IL_CONTAINER", url.container.into()));
            all.push(("D_IL_MOUNT_POINT", point));
        }
        if !mounts.is_empty() {
            all.push(("PIL4DFS_MOUNTS", list(mounts)?.into()));
        }
        if self.report {
            all.push(("D_IL_REPORT", "1".into()));
        }
        Ok(all)
    }
}

impl Target {
    /// Points, and what is to be mounted there.
    fn mounts(&self) -> Result<Vec<(OsString, Url)>, Failure> {
        let mut mounts = Vec::new();
        let mut plain = None;
        for mount in &self.mount {
            let url = mount.to_str().and_then(|text| text.split_once("=daos://"));
            if let Some((point, url)) = url {
                let url = parse_url(&format!("daos://{url}")).map_err(Failure::usage)?;
                mounts.push((mount_point(point.as_ref())?, url));
            } else if plain.replace(mount_point(mount)?).is_some() {
                return Err(Failure::usage(
                    "of several mounts only one can be that of --pool and --cont; write --mount DIR=daos://POOL/CONTAINER for the others",
                ));
            }
        }
        match (&self.pool, &self.cont, plain) {
            (Some(pool), Some(container), Some(point)) => {
                let url = Url {
                    pool: label("pool", pool)?.into(),
                    container: label("container", container)?.into(),
                    below: String::new(),
                };
                mounts.insert(0, (point, url));
            }
            (None, None, None) => {}
            (None, _, Some(_)) | (_, None, Some(_)) => {
                return Err(Failure::usage(
                    "--mount DIR needs --pool and --cont, or what is mounted: --mount DIR=daos://POOL/CONTAINER",
                ))
            }
            _ => {
                return Err(Failure::usage(
                    "--pool and --cont need --mount DIR: where their container is mounted",
                ))
            }
        }
        Ok(mounts)
    }
}

/// A value of `PIL4DFS_MOUNTS`.
fn list(mounts: Vec<(OsString, Url)>) -> Result<String, Failure> {
    let mount = |(point, url): (OsString, Url)| {
        Some(Mount {
            point: point.into_string().ok()?,
            source: Source::Url(url),
            read_only: false,
        })
    };
    let mounts: Option<Vec<Mount>> = mounts.into_iter().map(mount).collect();
    mounts
        .and_then(|mounts| conf::write_list(&mounts))
        .ok_or_else(|| {
            Failure::usage(
                "a mount point or directory with a blank in it, of several mounts, needs a file: --config",
            )
        })
}

/// A configuration file that can be read, as an absolute path.
fn config_file(file: &Path) -> Result<PathBuf, Failure> {
    let shown = file.display();
    let real = file
        .canonicalize()
        .and_then(|real| std::fs::read(&real).map(|text| (real, text)));
    let (real, text) = real.map_err(|e| Failure::usage(format!("--config {shown}: {e}")))?;
    match conf::parse(&text) {
        Ok(_) => Ok(real),
        Err(wrong) => Err(Failure::usage(format!("{shown}, {wrong}"))),
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

fn mount_point(mount: &std::ffi::OsStr) -> Result<OsString, Failure> {
    let clean = conf::mount_point(mount.as_bytes()).map(OsString::from_vec);
    clean.ok_or_else(|| {
        let shown = Path::new(mount).display();
        Failure::usage(format!("--mount {shown}: the mount point {WRONG_POINT}"))
    })
}

/// A label or UUID.
fn label<'a>(what: &str, text: &'a str) -> Result<&'a str, Failure> {
    match is_label(text) {
        true => Ok(text),
        false => Err(Failure::usage(format!(
            "{what} {text:?} is no label or UUID: 1 to 127 characters, letters, digits, '.', '_', ':' and '-'"
        ))),
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

    fn mounts(mount: &[&str], named: bool) -> Result<Vec<String>, u8> {
        let target = Target {
            pool: named.then(|| "p".into()),
            cont: named.then(|| "c".into()),
            mount: mount.iter().map(OsString::from).collect(),
            config: None,
            embedded: None,
            report: false,
        };
        let shown = |(point, url): (OsString, Url)| format!("{}={url}", point.to_string_lossy());
        let mounts = target.mounts().map_err(|e| e.code)?;
        Ok(mounts.into_iter().map(shown).collect())
    }

    #[test]
    fn mounts_are_named_in_two_ways() {
        assert_eq!(mounts(&["/a/"], true).unwrap(), ["/a=daos://p/c"]);
        let both = mounts(&["/b=daos://q/d/e", "/a"], true).unwrap();
        assert_eq!(both, ["/a=daos://p/c", "/b=daos://q/d/e"]);
        assert_eq!(
            mounts(&["/b=daos://q/d"], false).unwrap(),
            ["/b=daos://q/d"]
        );
        assert!(mounts(&[], false).unwrap().is_empty());
        for (bad, named) in [
            (&["/a"][..], false),
            (&[][..], true),
            (&["/b=daos://q/d"][..], true),
            (&["/a", "/b"][..], true),
            (&["/b=daos://q"][..], false),
            (&["b=daos://q/d"][..], false),
        ] {
            assert_eq!(mounts(bad, named), Err(2), "{bad:?}");
        }
    }

    #[test]
    fn mount_points_and_labels() {
        assert_eq!(mount_point("/dfs/".as_ref()).unwrap(), "/dfs");
        for bad in ["dfs", "/", "/a/../b"] {
            assert_eq!(mount_point(bad.as_ref()).unwrap_err().code, 2);
        }
        assert!(label("pool", "my-pool.1").is_ok());
        assert!(label("pool", "").is_err() && label("pool", "a b").is_err());
    }
}
