//! How long the kernel may keep what it was told: dfuse's container attributes, with their names,
//! units and defaults.
use dfs::Filesystem;
use std::ffi::CStr;
use std::time::Duration;

/// The times of one container. All zero where caching is off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Times {
    /// Attributes of a file.
    pub attr: Duration,
    /// That a name leads to a file.
    pub dentry: Duration,
    /// That a name leads to a directory.
    pub dentry_dir: Duration,
    /// That a name leads nowhere.
    pub ndentry: Duration,
    /// Contents, after the last close.
    pub data: Data,
}

/// Whether file contents are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Data {
    /// Every read and write comes to the server.
    Off,
    /// Pages are kept while a file is open, and this long beyond (for ever: `Duration::MAX`).
    For(Duration),
}

impl Times {
    /// Nothing is kept.
    pub const NONE: Times = Times {
        attr: Duration::ZERO,
        dentry: Duration::ZERO,
        dentry_dir: Duration::ZERO,
        ndentry: Duration::ZERO,
        data: Data::Off,
    };

    /// What dfuse does without attributes.
    pub const DEFAULT: Times = Times {
        attr: Duration::from_secs(1),
        dentry: Duration::from_secs(1),
        dentry_dir: Duration::from_secs(5),
        ndentry: Duration::from_secs(1),
        data: Data::For(Duration::from_secs(60)),
    };

    /// The container's own times. As in dfuse, the first attribute that is set turns the defaults
    /// off: what is not named is not cached.
    pub fn of(fs: &Filesystem) -> Times {
        let ask = |name: &CStr| -> Option<String> {
            String::from_utf8(fs.container_attribute(name).ok().flatten()?).ok()
        };
        Times::from_attributes(ask)
    }

    fn from_attributes(ask: impl Fn(&CStr) -> Option<String>) -> Times {
        let time = |name| ask(name).and_then(|text| seconds(&text));
        let attr = time(c"dfuse-attr-time");
        let dentry = time(c"dfuse-dentry-time");
        let dentry_dir = time(c"dfuse-dentry-dir-time");
        let ndentry = time(c"dfuse-ndentry-time");
        let data = ask(c"dfuse-data-cache").and_then(|text| switch(&text));
        if attr.or(dentry).or(dentry_dir).or(ndentry).is_none() && data.is_none() {
            return Times::DEFAULT;
        }
        let dentry = dentry.unwrap_or(Duration::ZERO);
        Times {
            attr: attr.unwrap_or(Duration::ZERO),
            dentry,
            dentry_dir: dentry_dir.unwrap_or(dentry),
            ndentry: ndentry.unwrap_or(Duration::ZERO),
            data: data.unwrap_or(Data::Off),
        }
    }

    /// True if metadata may be older than the file's (bit 0 of the IL reply).
    pub fn keeps_metadata(&self) -> bool {
        self.attr > Duration::ZERO
    }
}

/// `5`, `5s`, `5m`, `5h`, `5d`.
fn seconds(text: &str) -> Option<Duration> {
    let text = text.trim_end_matches('\0').trim();
    let (number, unit) = match text.char_indices().last()? {
        (at, 's') => (&text[..at], 1),
        (at, 'm') => (&text[..at], 60),
        (at, 'h') => (&text[..at], 3600),
        (at, 'd') => (&text[..at], 86400),
        _ => (text, 1),
    };
    let number: u64 = number.parse().ok()?;
    // The kernel counts in ticks of 64 bits.
    Some(Duration::from_secs(
        number.saturating_mul(unit).min(1 << 32),
    ))
}

/// `on`, `off`, `true`, `false`, or a time.
fn switch(text: &str) -> Option<Data> {
    match text.trim_end_matches('\0').trim() {
        "on" | "true" => Some(Data::For(Duration::MAX)),
        "off" | "false" => Some(Data::Off),
        other => match seconds(other)? {
            Duration::ZERO => Some(Data::Off),
            time => Some(Data::For(time)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(set: &[(&CStr, &str)]) -> Times {
        Times::from_attributes(|name| {
            let found = set.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn attributes_are_times_with_units() {
        assert_eq!(times(&[]), Times::DEFAULT);
        let set = times(&[(c"dfuse-attr-time", "2m\0"), (c"dfuse-dentry-time", "3")]);
        assert_eq!(set.attr, Duration::from_secs(120));
        assert_eq!(set.dentry_dir, Duration::from_secs(3));
        assert_eq!(set.ndentry, Duration::ZERO);
        assert_eq!(set.data, Data::Off);
        assert!(set.keeps_metadata());
        let on = times(&[(c"dfuse-data-cache", "on")]);
        assert_eq!(on.data, Data::For(Duration::MAX));
        assert!(!on.keeps_metadata());
        assert_eq!(times(&[(c"dfuse-attr-time", "soon")]), Times::DEFAULT);
    }
}
