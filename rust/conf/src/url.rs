//! `daos://POOL/CONTAINER[/DIRECTORY]`: DAOS's own way to name a directory of a container.
use crate::is_label;

/// A directory of a container.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Url {
    /// Pool, by label or UUID.
    pub pool: String,
    /// Container, by label or UUID.
    pub container: String,
    /// The directory in it, without a slash in front; empty: the root.
    pub below: String,
}

/// Reads a URL, or says what is wrong with it. The scheme's case does not matter.
pub fn parse_url(text: &str) -> Result<Url, String> {
    const SHAPE: &str = "daos://POOL/CONTAINER or daos://POOL/CONTAINER/DIRECTORY";
    let scheme = text.get(..7).filter(|s| s.eq_ignore_ascii_case("daos://"));
    let Some(rest) = scheme.and(text.get(7..)) else {
        return Err(format!("{text:?} is no URL of the form {SHAPE}"));
    };
    let mut parts = rest.splitn(3, '/');
    let mut part = || parts.next().unwrap_or_default().to_owned();
    let (pool, container, path) = (part(), part(), part());
    for (what, name) in [("pool", &pool), ("container", &container)] {
        if !is_label(name) {
            return Err(format!(
                "{text:?}: {what} {name:?} is no label or UUID (the form is {SHAPE})"
            ));
        }
    }
    let names = path.split('/').filter(|name| !matches!(*name, "" | "."));
    let names: Vec<&str> = names.collect();
    if names.contains(&"..") || path.contains('\0') {
        return Err(format!("{text:?}: no \"..\" in the directory"));
    }
    Ok(Url {
        pool,
        container,
        below: names.join("/"),
    })
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let slash = if self.below.is_empty() { "" } else { "/" };
        let (pool, container, below) = (&self.pool, &self.container, &self.below);
        write!(f, "daos://{pool}/{container}{slash}{below}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_pool_container_and_directory() {
        let url = |text| parse_url(text).map(|u| u.to_string());
        assert_eq!(url("daos://p/c").as_deref(), Ok("daos://p/c"));
        assert_eq!(url("DAOS://p/c//a/./b/").as_deref(), Ok("daos://p/c/a/b"));
        for bad in [
            "",
            "daos:p/c",
            "daos://",
            "daos://p",
            "daos://p/",
            "daos:///c",
            "daos://p p/c",
            "daos://p/c/../x",
            "dao\u{e4}://p/c",
        ] {
            assert!(parse_url(bad).is_err(), "{bad}");
        }
    }
}
