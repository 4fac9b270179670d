//! Where the library and the embedded provider are: beside the command in a build tree, in the library
//! directory of the same prefix when installed.
use crate::Failure;
use std::path::{Path, PathBuf};

/// File name of the library.
pub const LIBRARY: &str = "libpil4dfs.so.0";

/// Library directories relative to the directory of the command.
const LIBRARY_DIRS: [&str; 4] = [".", "../lib64", "../lib", "../lib/x86_64-linux-gnu"];

/// The library to preload.
pub fn library() -> Result<PathBuf, Failure> {
    find(LIBRARY_DIRS.iter().map(|d| Path::new(d).join(LIBRARY)))
        .ok_or_else(|| Failure::usage(format!("{LIBRARY} is neither beside this command nor in its library directory; build or install it first")))
}

/// The FUSE server, if it is installed.
pub fn fuse_server() -> Result<PathBuf, Failure> {
    find(std::iter::once(PathBuf::from("pil4dfs-dfuse")))
        .ok_or_else(|| Failure::usage("pil4dfs-dfuse is not beside this command: it serves programs that the library cannot be loaded into"))
}

/// The directory of the embedded provider.
pub fn embedded_provider() -> Result<PathBuf, Failure> {
    let places = std::iter::once(PathBuf::from("embedded")).chain(
        LIBRARY_DIRS
            .iter()
            .map(|d| Path::new(d).join("daos-pil4dfs/embedded")),
    );
    find(places.map(|d| d.join("libdaos.so.2")))
        .and_then(|lib| lib.parent().map(Path::to_path_buf))
        .ok_or_else(|| Failure::usage("the embedded provider (embedded/libdaos.so.2) is not installed; install daos-pil4dfs-embedded or build it"))
}

/// The first of the places (relative to the command's directory) that exists.
fn find(places: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    let command = std::env::current_exe().ok()?;
    let dir = command.parent()?;
    places
        .map(|p| dir.join(p))
        .find(|p| p.exists())
        .and_then(|p| p.canonicalize_parent())
}

trait CanonicalizeParent {
    fn canonicalize_parent(&self) -> Option<PathBuf>;
}

impl CanonicalizeParent for PathBuf {
    /// The path with its directory made absolute and real, the file's own name (a link's) kept.
    fn canonicalize_parent(&self) -> Option<PathBuf> {
        Some(self.parent()?.canonicalize().ok()?.join(self.file_name()?))
    }
}
