//! File contents against a plain vector of bytes, around every chunk boundary.
mod common;
use common::*;
use dfs::Errno;

/// A vector that behaves as a Linux file.
struct Model(Vec<u8>);

impl Model {
    fn write(&mut self, at: usize, bytes: &[u8]) {
        if self.0.len() < at + bytes.len() {
            self.0.resize(at + bytes.len(), 0);
        }
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }
    fn punch(&mut self, at: usize, len: usize) {
        let size = self.0.len();
        let (at, end) = (at.min(size), at.saturating_add(len).min(size));
        self.0[at..end].fill(0);
    }
}

/// Interesting offsets: around 0, one chunk, two chunks.
fn edges(chunk: usize) -> Vec<usize> {
    let mut edges = vec![0, 1, 2, 100];
    for boundary in [chunk, 2 * chunk] {
        edges.extend([boundary - 1, boundary, boundary + 1, boundary + 2]);
    }
    edges
}

#[test]
fn truncation_to_every_edge() {
    let t = Tree::new();
    let chunk = t.fs.chunk_size() as usize;
    let f = t.file(c"f", b"");
    for from in edges(chunk) {
        for to in edges(chunk) {
            let mut model = Model(Vec::new());
            let bytes = pattern(from);
            f.truncate(0).unwrap();
            f.write_bytes(&bytes, 0).unwrap();
            model.write(0, &bytes);
            f.truncate(to as u64).unwrap();
            model.0.resize(to, 0);
            assert_eq!(f.size(), Ok(to as u64), "{from} to {to}");
            // Growing again shows no old tail.
            f.truncate(to as u64 + 200).unwrap();
            model.0.resize(to + 200, 0);
            assert!(t.read(&f) == model.0, "{from} to {to}");
        }
    }
    assert_eq!(f.truncate(1 << 63), Err(Errno::EFBIG));
}

#[test]
fn holes_keep_the_size() {
    let t = Tree::new();
    let f = t.file(c"f", b"");
    let size = 3000;
    for at in [0, 1, 1000, size - 1, size, size + 10] {
        for len in [1, 10, size - 1, size, size + 1, usize::MAX] {
            let mut model = Model(pattern(size));
            f.truncate(0).unwrap();
            f.write_bytes(&model.0, 0).unwrap();
            f.punch_hole(at as u64, len as u64).unwrap();
            model.punch(at, len);
            assert_eq!(f.size(), Ok(size as u64), "{len} at {at}");
            assert!(t.read(&f) == model.0, "{len} at {at}");
        }
    }
    assert_eq!(f.punch_hole(0, 0), Err(Errno::EINVAL));
}

#[test]
fn reads_are_short_at_the_end_only() {
    let t = Tree::new();
    let f = t.file(c"f", b"0123456789");
    let mut buf = [b'-'; 8];
    assert_eq!(f.read_bytes(&mut buf, 4), Ok(6));
    assert_eq!(&buf, b"456789--");
    assert_eq!(f.read_bytes(&mut buf, 10), Ok(0));
    assert_eq!(f.read_bytes(&mut buf, 1 << 40), Ok(0));
    assert_eq!(f.read_bytes(&mut [], 0), Ok(0));
    assert_eq!(f.read_bytes(&mut buf, 1 << 63), Err(Errno::EINVAL));
    f.write_bytes(b"z", 1000).unwrap();
    let mut hole = [1; 900];
    assert_eq!(f.read_bytes(&mut hole, 50), Ok(900));
    assert!(hole.iter().all(|&b| b == 0));
}

#[test]
fn vectors_of_any_length() {
    let t = Tree::new();
    let f = t.file(c"f", b"");
    for count in [1, 2, 15, 16, 17, 100, 1024] {
        let data = pattern(count * 3);
        // Empty buffers lie between the full ones.
        let iov: Vec<libc::iovec> = data
            .chunks(3)
            .flat_map(|c| [c, &c[..0]])
            .map(|c| libc::iovec {
                iov_base: c.as_ptr().cast_mut().cast(),
                iov_len: c.len(),
            })
            .collect();
        f.truncate(0).unwrap();
        // SAFETY: the buffers are slices of `data`.
        assert_eq!(unsafe { f.write(&iov, 5) }, Ok(data.len()));
        let mut back = vec![0u8; data.len() + 10];
        let len = back.len();
        let (a, b) = back.split_at_mut(len / 2);
        let iov = [a, b].map(|c| libc::iovec {
            iov_base: c.as_mut_ptr().cast(),
            iov_len: c.len(),
        });
        // SAFETY: the buffers are halves of `back`.
        assert_eq!(unsafe { f.read(&iov, 5) }, Ok(data.len()));
        assert_eq!(back[..data.len()], data);
    }
    // SAFETY: there are no buffers.
    assert_eq!(unsafe { f.read(&[], 0) }, Ok(0));
    // SAFETY: as above.
    assert_eq!(unsafe { f.write(&[], 0) }, Ok(0));
}

#[test]
fn offsets_beyond_the_largest() {
    let t = Tree::new();
    let f = t.file(c"f", b"x");
    assert_eq!(f.write_bytes(b"xx", i64::MAX as u64 - 1), Err(Errno::EFBIG));
    assert_eq!(f.write_bytes(b"x", u64::MAX), Err(Errno::EFBIG));
    assert_eq!(f.size(), Ok(1));
}

#[test]
fn random_operations_agree_with_a_model() {
    let t = Tree::new();
    let chunk = t.fs.chunk_size() as usize;
    let edges = edges(chunk);
    let mut rng = Rng::new();
    let f = t.file(c"f", b"");
    let mut model = Model(Vec::new());
    for step in 0..rng.steps(400) {
        let edge = edges[rng.below(edges.len())];
        let at = (edge + rng.below(5)).saturating_sub(2);
        match rng.below(5) {
            0 => {
                f.truncate(at as u64).unwrap();
                model.0.resize(at, 0);
            }
            1 => {
                let len = 1 + rng.below(chunk + 10);
                f.punch_hole(at as u64, len as u64).unwrap();
                model.punch(at, len);
            }
            _ => {
                let bytes: Vec<u8> = (0..1 + rng.below(70))
                    .map(|_| rng.below(256) as u8)
                    .collect();
                f.write_bytes(&bytes, at as u64).unwrap();
                model.write(at, &bytes);
            }
        }
        assert_eq!(f.size(), Ok(model.0.len() as u64), "step {step}, {rng:?}");
        assert!(t.read(&f) == model.0, "step {step}, {rng:?}");
    }
}
