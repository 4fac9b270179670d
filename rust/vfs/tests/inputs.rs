//! The fuzz targets of `targets`, over a bounded number of generated inputs: valid ones with
//! random damage, from fixed seeds. `PIL4DFS_INPUTS` sets how many for each.
mod targets;

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n.max(1)
    }

    /// One piece of damage.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len());
        match self.below(6) {
            _ if bytes.is_empty() => bytes.push(self.below(256) as u8),
            0 => bytes[at] ^= 1 << self.below(8),
            1 => bytes[at] = [0, 0xff, b' ', b'/', b'\n', 0x7f][self.below(6)],
            2 => bytes.truncate(at),
            3 => bytes.insert(at, self.below(256) as u8),
            4 => {
                let end = (at + 1 + self.below(16)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = self.below(bytes.len());
                bytes.splice(to..to, piece);
            }
            _ => {
                let end = (at + 8).min(bytes.len());
                bytes[at..end].fill([0, 0xff][self.below(2)]);
            }
        }
    }
}

#[test]
fn damaged_inputs_get_an_answer() {
    let count = std::env::var("PIL4DFS_INPUTS").map_or(3000, |n| n.parse().unwrap());
    for (name, target, valid) in targets::all() {
        target(&valid);
        target(b"");
        let mut random = Random(1);
        for seed in 1..=count {
            random.0 = seed;
            let mut bytes = valid.clone();
            for _ in 0..1 + random.below(4) {
                random.damage(&mut bytes);
            }
            let fed = std::panic::catch_unwind(|| target(&bytes));
            assert!(fed.is_ok(), "{name}: seed {seed}");
        }
    }
}
