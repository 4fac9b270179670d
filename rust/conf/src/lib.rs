//! The words in which mounts are asked for: the configuration file (pil4dfs.conf(5)), `daos://` URLs,
//! lists of mounts in one variable, mount points and labels. Text in, values out: files and the
//! environment are the callers' business, so that the library inside programs and the commands
//! beside it read the same.
mod file;
mod list;
mod name;
mod toml;
mod url;

pub use file::parse;
pub use list::{parse_list, write_list};
pub use name::{is_label, mount_point, WRONG_POINT};
pub use url::{parse_url, Url};

/// A mount that is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mount {
    /// Mount point: absolute, clean, not "/".
    pub point: String,
    /// What is to be mounted.
    pub source: Source,
    /// Nothing may be changed through it.
    pub read_only: bool,
}

/// What is to be mounted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// A directory of a container.
    Url(Url),
    /// The container that the directory at the mount point is an entry point of.
    EntryPoint,
}

/// Why a text cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wrong {
    /// The line, from 1 on.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
}

impl Wrong {
    fn new(line: usize, what: impl Into<String>) -> Wrong {
        Wrong {
            line,
            what: what.into(),
        }
    }
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}
