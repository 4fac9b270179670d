//! User name spaces: `/proc/self/uid_map` and `gid_map` (user_namespaces(7)). DAOS stores the ids of
//! the initial name space; the application sees, and says, those of its own.
use crate::Errno;

/// What ids without a mapping look like.
pub const OVERFLOW_ID: u32 = 65534;

/// Ranges of (inside, outside, count); `None` is the identity: the initial name space.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct IdMap(Option<Vec<(u32, u32, u32)>>);

impl IdMap {
    /// From the text of the file.
    pub fn parse(text: &[u8]) -> IdMap {
        let mut ranges = Vec::new();
        for line in text.split(|&b| b == b'\n') {
            let mut fields = line
                .split(|b| b.is_ascii_whitespace())
                .filter(|f| !f.is_empty())
                .filter_map(|f| std::str::from_utf8(f).ok()?.parse().ok());
            if let (Some(inside), Some(outside), Some(count)) =
                (fields.next(), fields.next(), fields.next())
            {
                ranges.push((inside, outside, count));
            }
        }
        IdMap((ranges != [(0, 0, u32::MAX)]).then_some(ranges))
    }

    /// True for the identity.
    pub fn is_initial(&self) -> bool {
        self.0.is_none()
    }

    /// Nothing is mapped: the name space is new, and somebody will write its map once.
    pub fn is_unwritten(&self) -> bool {
        self.0.as_ref().is_some_and(Vec::is_empty)
    }

    /// The id outside of one inside.
    pub fn to_outside(&self, id: u32) -> Option<u32> {
        let Some(ranges) = &self.0 else {
            return Some(id);
        };
        let inside = |&&(start, _, count): &&(u32, u32, u32)| id >= start && id - start < count;
        ranges
            .iter()
            .find(inside)
            .map(|&(start, out, _)| out + (id - start))
    }

    /// The id inside of one outside.
    pub fn to_inside(&self, id: u32) -> Option<u32> {
        let Some(ranges) = &self.0 else {
            return Some(id);
        };
        let outside = |&&(_, start, count): &&(u32, u32, u32)| id >= start && id - start < count;
        ranges
            .iter()
            .find(outside)
            .map(|&(inside, start, _)| inside + (id - start))
    }

    /// How the application sees an id; [`OVERFLOW_ID`] where it has no name.
    pub fn outward(&self, id: u32) -> u32 {
        self.to_inside(id).unwrap_or(OVERFLOW_ID)
    }

    /// An id of the application's: `None` for -1, `EINVAL` for one without meaning here.
    pub fn inward(&self, id: i64) -> Result<Option<u32>, Errno> {
        match id as u32 {
            u32::MAX => Ok(None),
            id => self.to_outside(id).map(Some).ok_or(Errno::EINVAL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_pass_through_a_user_namespace() {
        let map =
            IdMap::parse(b"         0       1000          1\n         1     100000      65536\n");
        assert_eq!(map.to_outside(0), Some(1000));
        assert_eq!(map.to_outside(5), Some(100_004));
        assert_eq!(map.to_outside(70_000), None);
        assert_eq!(map.outward(1000), 0);
        assert_eq!(map.outward(100_000), 1);
        assert_eq!(map.outward(7), OVERFLOW_ID);
        assert!(IdMap::parse(b"0 0 4294967295\n").is_initial());
        let new = IdMap::parse(b"");
        assert!(new.is_unwritten() && new.to_outside(0).is_none());
    }
}
