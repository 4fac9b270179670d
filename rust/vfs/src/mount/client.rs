//! The DAOS client of the process, for all mounts: found, loaded and started by the first that needs it.
use crate::gate::Guarded;
use crate::{inherit, Errno};
use dfs::Client;
use once_cell::sync::OnceCell;
use std::sync::Arc;

/// Loads libdaos and libdfs, or says in a sentence why not; set once by the entry layer.
pub type Loader = fn() -> Result<&'static daos_sys::Api, String>;

static LOADER: OnceCell<Loader> = OnceCell::new();
static CLIENT: OnceCell<Arc<Client>> = OnceCell::new();

/// Says how the DAOS client is found; the first call counts.
pub fn set_loader(loader: Loader) {
    let _ = LOADER.set(loader);
}

/// Why there is no client: an errno, and a sentence that names the remedy.
pub struct NoClient {
    /// What calls below the mount answer.
    pub errno: Errno,
    /// The sentence.
    pub text: String,
}

/// The started client, started by the first call. Blocks other threads meanwhile; a child forked
/// meanwhile starts its own.
pub fn start_client() -> Result<&'static Arc<Client>, NoClient> {
    static STARTING: Guarded<()> = Guarded::new(());
    if let Some(client) = CLIENT.get() {
        return Ok(client);
    }
    let _starting = STARTING.lock();
    if let Some(client) = CLIENT.get() {
        return Ok(client);
    }
    let no = |errno, text| NoClient { errno, text };
    let load = LOADER
        .get()
        .ok_or_else(|| no(Errno::ENOSYS, "no loader".to_owned()))?;
    let api = load().map_err(|text| no(Errno::EIO, text))?;
    let remedy =
        "cannot start the DAOS client (is daos_agent running, and may you use its socket?)";
    let client = inherit::environment::with_settings(|| Client::start(api))
        .map_err(|errno| no(errno, remedy.to_owned()))?;
    Ok(CLIENT.get_or_init(|| client))
}

/// The client if it was started (fork handlers ask).
pub fn client() -> Option<&'static Arc<Client>> {
    CLIENT.get()
}
