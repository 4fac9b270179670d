//! The records of pools and containers, and what names them: labels and UUIDs.

/// A pool's record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pool {
    /// Its number in the store.
    pub id: u32,
    /// Its UUID.
    pub uuid: [u8; 16],
    /// Its label.
    pub label: String,
}

/// A container's record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Container {
    /// Its number in the store.
    pub id: u32,
    /// The pool's number.
    pub pool: u32,
    /// Its UUID.
    pub uuid: [u8; 16],
    /// Its label.
    pub label: String,
    /// POSIX layout; without it there is nothing to mount.
    pub posix: bool,
    /// Balanced consistency: mounts only with its flag.
    pub balanced: bool,
    /// May only be opened to read.
    pub protected: bool,
    /// Default chunk size of files, bytes.
    pub chunk: u64,
    /// Default object class.
    pub oclass: u32,
}

/// What a new container shall be.
#[derive(Clone, Copy, Default)]
pub struct NewContainer {
    /// See [`Container::posix`].
    pub posix: bool,
    /// See [`Container::balanced`].
    pub balanced: bool,
    /// See [`Container::chunk`]; 0 for DAOS's default.
    pub chunk: u64,
    /// See [`Container::oclass`].
    pub oclass: u32,
}

const POSIX: u8 = 1;
const BALANCED: u8 = 2;
const PROTECTED: u8 = 4;

impl Pool {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = self.id.to_le_bytes().to_vec();
        bytes.extend_from_slice(&self.uuid);
        bytes
    }

    pub(crate) fn decode(label: &[u8], bytes: &[u8]) -> Option<Pool> {
        Some(Pool {
            id: u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?),
            uuid: bytes.get(4..20)?.try_into().ok()?,
            label: String::from_utf8_lossy(label).into_owned(),
        })
    }
}

impl Container {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = self.id.to_le_bytes().to_vec();
        bytes.extend_from_slice(&self.uuid);
        let flag = |set, bit| if set { bit } else { 0u8 };
        bytes.push(
            flag(self.posix, POSIX)
                | flag(self.balanced, BALANCED)
                | flag(self.protected, PROTECTED),
        );
        bytes.extend_from_slice(&self.chunk.to_le_bytes());
        bytes.extend_from_slice(&self.oclass.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(pool: u32, label: &[u8], bytes: &[u8]) -> Option<Container> {
        let flags = *bytes.get(20)?;
        Some(Container {
            id: u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?),
            pool,
            uuid: bytes.get(4..20)?.try_into().ok()?,
            label: String::from_utf8_lossy(label).into_owned(),
            posix: flags & POSIX != 0,
            balanced: flags & BALANCED != 0,
            protected: flags & PROTECTED != 0,
            chunk: u64::from_le_bytes(bytes.get(21..29)?.try_into().ok()?),
            oclass: u32::from_le_bytes(bytes.get(29..33)?.try_into().ok()?),
        })
    }
}

/// `[a-zA-Z0-9._:-]{1,127}`, as DAOS wants labels.
pub fn is_label(label: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"._:-".contains(&b);
    (1..=daos_sys::DAOS_PROP_MAX_LABEL_LEN).contains(&label.len()) && label.bytes().all(good)
}

/// The 36 characters of a UUID.
pub fn uuid_text(uuid: &[u8; 16]) -> String {
    let hex: String = uuid.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

/// The UUID of 36 characters, or none.
pub fn uuid_from(text: &str) -> Option<[u8; 16]> {
    let dashes = [8, 13, 18, 23];
    let in_place = |(at, byte): (usize, u8)| (byte == b'-') == dashes.contains(&at);
    if text.len() != 36 || !text.bytes().enumerate().all(in_place) {
        return None;
    }
    let hex: String = text.chars().filter(|c| *c != '-').collect();
    let mut uuid = [0; 16];
    for (at, byte) in uuid.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(uuid)
}

pub(crate) fn random_uuid() -> [u8; 16] {
    let mut uuid = [0u8; 16];
    // SAFETY: 16 bytes to fill.
    unsafe { libc::getrandom(uuid.as_mut_ptr().cast(), 16, 0) };
    uuid[6] = uuid[6] & 0x0f | 0x40;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    uuid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_read_as_written() {
        let uuid = random_uuid();
        assert_eq!(uuid_from(&uuid_text(&uuid)), Some(uuid));
        assert_eq!(uuid_from("pool"), None);
        assert_eq!(uuid_from("0123456789-0123-0123-0123-0123456789"), None);
    }

    #[test]
    fn labels_are_dao_labels() {
        assert!(is_label("my-pool.1:x_y"));
        assert!(!is_label(""));
        assert!(!is_label("a/b"));
        assert!(!is_label(&"x".repeat(128)));
    }
}
