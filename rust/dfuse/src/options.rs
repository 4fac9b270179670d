//! The command line: the option names of DAOS's own dfuse, as far as they mean something here.
use clap::Parser;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Mounts DAOS containers through FUSE.
///
/// With pool and container their root is the mount's root; with a pool alone the root lists its
/// containers; with neither, pools are entered below the root by label or UUID.
#[derive(Parser, Debug)]
#[command(name = "pil4dfs-dfuse", version)]
pub struct Options {
    /// Where to mount: an existing directory
    #[arg(
        value_name = "MOUNTPOINT",
        required_unless_present = "mountpoint_option"
    )]
    mountpoint: Option<PathBuf>,
    /// Pool, by label or UUID
    #[arg(value_name = "POOL", conflicts_with = "pool_option")]
    pool: Option<String>,
    /// Container, by label or UUID
    #[arg(value_name = "CONTAINER", conflicts_with = "container_option")]
    container: Option<String>,

    /// As MOUNTPOINT
    #[arg(
        short = 'm',
        long = "mountpoint",
        value_name = "DIR",
        conflicts_with = "mountpoint"
    )]
    mountpoint_option: Option<PathBuf>,
    /// As POOL
    #[arg(short = 'P', long = "pool", value_name = "POOL")]
    pool_option: Option<String>,
    /// As CONTAINER
    #[arg(
        short = 'C',
        long = "container",
        visible_alias = "cont",
        value_name = "CONTAINER"
    )]
    container_option: Option<String>,
    /// The container named by the user.daos attribute of this directory
    #[arg(long, value_name = "DIR", conflicts_with_all = ["pool", "pool_option"])]
    path: Option<PathBuf>,

    /// Stay in the foreground
    #[arg(short, long)]
    pub foreground: bool,
    /// Nothing may be changed
    #[arg(long)]
    pub read_only: bool,
    /// Serve every user, not only the one who mounts
    #[arg(long)]
    pub multi_user: bool,
    /// Nothing is kept in the kernel: neither names nor attributes nor data
    #[arg(long)]
    pub disable_caching: bool,
    /// Nothing is held back in the kernel before it is written (always so here)
    #[arg(long)]
    pub disable_wb_cache: bool,
    /// Cache as the container's dfuse-* attributes say (the default)
    #[arg(long, conflicts_with = "disable_caching")]
    pub enable_caching: bool,
    /// One thread
    #[arg(short = 'S', long, conflicts_with = "thread_count")]
    singlethread: bool,
    /// Number of threads that serve requests [default: processors, at least 4, at most 16]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    thread_count: Option<u16>,
    /// Mount for one program and its children alone, in a name space of their own, and become it
    #[arg(long, requires = "command")]
    pub private: bool,
    /// A variable for that program
    #[arg(long = "setenv", value_name = "NAME=VALUE", requires = "private")]
    setenv: Vec<OsString>,
    /// The program and its arguments, with --private
    #[arg(last = true, requires = "private", value_name = "PROGRAM")]
    pub command: Vec<OsString>,
    /// Taken and ignored: calls block here instead of being queued
    #[arg(short, long, value_name = "N", hide = true)]
    eq_count: Option<u16>,
}

/// What the root of the mount is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// A container.
    Container(String, String),
    /// A pool: its containers are directories.
    Pool(String),
    /// Pools are directories.
    Pools,
    /// The container a directory's `user.daos` names.
    Path(PathBuf),
}

impl Options {
    /// Where to mount.
    pub fn mountpoint(&self) -> &Path {
        let given = self.mountpoint.as_ref().or(self.mountpoint_option.as_ref());
        given.map_or(Path::new(""), PathBuf::as_path)
    }

    /// What to mount; a sentence for a container without a pool.
    pub fn target(&self) -> Result<Target, String> {
        let pool = self.pool.clone().or(self.pool_option.clone());
        let container = self.container.clone().or(self.container_option.clone());
        match (pool, container, &self.path) {
            (None, None, Some(path)) => Ok(Target::Path(path.clone())),
            (Some(pool), Some(container), _) => Ok(Target::Container(pool, container)),
            (Some(pool), None, _) => Ok(Target::Pool(pool)),
            (None, None, None) => Ok(Target::Pools),
            (None, Some(_), _) => Err("a container needs its pool: add --pool".into()),
        }
    }

    /// The variables of --setenv.
    pub fn variables(&self) -> Vec<(OsString, OsString)> {
        let part = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
        let pair = |given: &OsString| {
            let bytes = given.as_bytes();
            let equals = bytes.iter().position(|&b| b == b'=')?;
            Some((part(&bytes[..equals]), part(&bytes[equals + 1..])))
        };
        self.setenv.iter().filter_map(pair).collect()
    }

    /// How many threads serve.
    pub fn threads(&self) -> usize {
        if self.singlethread {
            return 1;
        }
        let processors = std::thread::available_parallelism().map_or(4, usize::from);
        self.thread_count
            .map_or(processors.clamp(4, 16), usize::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(words: &[&str]) -> Result<Target, String> {
        let words = [&["pil4dfs-dfuse"], words].concat();
        let options = Options::try_parse_from(words).map_err(|e| e.to_string())?;
        assert_eq!(options.mountpoint(), Path::new("/m"));
        options.target()
    }

    #[test]
    fn the_root_is_what_was_named() {
        let both = Ok(Target::Container("p".into(), "c".into()));
        assert_eq!(target(&["/m", "p", "c"]), both);
        assert_eq!(target(&["-m", "/m", "--pool", "p", "--cont", "c"]), both);
        assert_eq!(target(&["--pool=p", "--container=c", "/m"]), both);
        assert_eq!(target(&["/m", "p"]), Ok(Target::Pool("p".into())));
        assert_eq!(target(&["/m"]), Ok(Target::Pools));
        assert!(target(&["/m", "--container", "c"]).is_err());
        assert!(target(&["--pool", "p"]).is_err());
        assert!(target(&["/m", "p", "--pool", "q"]).is_err());
    }
}
