//! Mounts in one variable (`PIL4DFS_MOUNTS`): `POINT=daos://POOL/CONTAINER[/DIRECTORY]`, one after
//! another with blanks between. A path with a blank in it needs the file.
use crate::name::point_of;
use crate::{parse_url, Mount, Source, WRONG_POINT};

/// Reads such a list, or says what is wrong with it.
pub fn parse_list(text: &str) -> Result<Vec<Mount>, String> {
    text.split_ascii_whitespace().map(parse_one).collect()
}

fn parse_one(text: &str) -> Result<Mount, String> {
    let cut = text.find("=daos://").or_else(|| text.find('='));
    let (point, url) = match cut {
        Some(cut) => (&text[..cut], &text[cut + 1..]),
        None => return Err(format!("{text:?} is not POINT=daos://POOL/CONTAINER")),
    };
    Ok(Mount {
        point: point_of(point).ok_or_else(|| format!("mount point {point:?} {WRONG_POINT}"))?,
        source: Source::Url(parse_url(url)?),
        read_only: false,
    })
}

/// The list of these mounts; `None` if it cannot be told apart again (a blank in a path, an option).
pub fn write_list(mounts: &[Mount]) -> Option<String> {
    let one = |m: &Mount| match &m.source {
        Source::Url(url) if !m.read_only => Some(format!("{}={url}", m.point)),
        _ => None,
    };
    let text = mounts.iter().map(one).collect::<Option<Vec<_>>>()?;
    let text = text.join(" ");
    (parse_list(&text).as_deref() == Ok(mounts)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mounts = parse_list("/a=daos://p/c\n /b=x/=daos://p/d/e ").unwrap();
        assert_eq!(mounts[1].point, "/b=x");
        let text = write_list(&mounts);
        assert_eq!(text.as_deref(), Some("/a=daos://p/c /b=x=daos://p/d/e"));
        for bad in ["/a", "/a=", "=daos://p/c", "/a=daos://p", "a=daos://p/c"] {
            assert!(parse_list(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_list(" "), Ok(vec![]));
        let mut odd = mounts;
        odd[0].point = "/a b".into();
        assert_eq!(write_list(&odd), None);
    }
}
