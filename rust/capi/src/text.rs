//! Text made without a heap: lines of a fixed room, and strings of JSON.
use std::fmt::Write;

/// A line on the stack: what does not fit is cut.
#[derive(Clone)]
pub struct Line<const ROOM: usize> {
    bytes: [u8; ROOM],
    len: usize,
}

impl<const ROOM: usize> Line<ROOM> {
    /// An empty one.
    pub const fn new() -> Line<ROOM> {
        Line {
            bytes: [0; ROOM],
            len: 0,
        }
    }

    /// What was written.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Its length.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Takes back what was written behind `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Ends the line, also a full one.
    pub fn end(&mut self) {
        self.len = self.len.min(ROOM - 1);
        self.bytes[self.len] = b'\n';
        self.len += 1;
    }
}

impl<const ROOM: usize> Write for Line<ROOM> {
    /// An error where not all of it fitted.
    fn write_str(&mut self, s: &str) -> std::fmt::Result {
        let n = s.len().min(ROOM - self.len);
        self.bytes[self.len..self.len + n].copy_from_slice(&s.as_bytes()[..n]);
        self.len += n;
        match n == s.len() {
            true => Ok(()),
            false => Err(std::fmt::Error),
        }
    }
}

/// A string of JSON; bytes that are no UTF-8 become U+FFFD.
pub struct Json<'a>(pub &'a [u8]);

impl std::fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_char('"')?;
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '"' | '\\' => write!(f, "\\{c}")?,
                    c if c < ' ' => write!(f, "\\u{:04x}", c as u32)?,
                    c => f.write_char(c)?,
                }
            }
            if !chunk.invalid().is_empty() {
                f.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_json() {
        assert_eq!(
            Json(b"a\"\\\n\xff").to_string(),
            "\"a\\\"\\\\\\u000a\u{fffd}\""
        );
    }

    #[test]
    fn a_line_is_cut_where_it_is_full() {
        let mut line = Line::<4>::new();
        assert!(line.write_str("ab").is_ok() && line.write_str("cde").is_err());
        line.end();
        assert_eq!((line.bytes(), line.len()), (&b"abc\n"[..], 4));
        line.truncate(1);
        assert_eq!(line.bytes(), b"a");
    }
}
