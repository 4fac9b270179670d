//! The fuzz targets over a bounded number of generated inputs: damage to valid ones, and decisions at
//! random; from fixed seeds, and from one that the clock chooses and that a failure prints.
//! `PIL4DFS_INPUTS` sets how many for each, `PIL4DFS_TARGET` chooses one, `PIL4DFS_SEED` the first seed.
use fastrand::Rng;
use std::io::Write;
use targets::{Input, Target};

fn setting(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().expect(name))
}

/// One piece of damage.
fn damage(rng: &mut Rng, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return bytes.push(rng.u8(..));
    }
    let at = rng.usize(..bytes.len());
    match rng.u8(..6) {
        0 => bytes[at] ^= 1 << rng.u8(..8),
        1 => {
            bytes[at] = *rng
                .choice(&[0, 0xff, b' ', b'/', b'\n', 0x7f])
                .unwrap_or(&0)
        }
        2 => bytes.truncate(at),
        3 => bytes.insert(at, rng.u8(..)),
        4 => {
            let end = (at + 1 + rng.usize(..16)).min(bytes.len());
            let piece = bytes[at..end].to_vec();
            let to = rng.usize(..bytes.len());
            bytes.splice(to..to, piece);
        }
        _ => {
            let end = (at + 8).min(bytes.len());
            bytes[at..end].fill(if rng.bool() { 0 } else { 0xff });
        }
    }
}

fn input(target: &Target, seed: u64) -> Vec<u8> {
    let mut rng = Rng::with_seed(seed);
    match &target.input {
        Input::Format(valid) => {
            let mut bytes = valid.clone();
            for _ in 0..1 + rng.usize(..4) {
                damage(&mut rng, &mut bytes);
            }
            bytes
        }
        Input::Decisions(most) => {
            let n = rng.usize(..=*most);
            std::iter::repeat_with(|| rng.u8(..)).take(n).collect()
        }
    }
}

fn feed(target: &Target, seed: u64) {
    let bytes = input(target, seed);
    let fed = std::panic::catch_unwind(|| (target.feed)(&bytes));
    assert!(
        fed.is_ok(),
        "PIL4DFS_TARGET={} PIL4DFS_SEED={seed}",
        target.name
    );
}

fn feed_all(target: &Target, count: u64) {
    let first = setting("PIL4DFS_SEED");
    let count = setting("PIL4DFS_INPUTS").unwrap_or(if first.is_some() { 1 } else { count });
    if first.is_none() {
        (target.feed)(b"");
        let by_the_clock = Rng::new().u64(1 << 32..);
        println!(
            "{}: seeds 1 to {count}, and from {by_the_clock}",
            target.name
        );
        std::io::stdout().flush().expect("stdout");
        (0..count.div_ceil(30)).for_each(|n| feed(target, by_the_clock + n));
    }
    let first = first.unwrap_or(1);
    (first..first + count).for_each(|seed| feed(target, seed));
}

fn chosen(target: &Target) -> bool {
    std::env::var("PIL4DFS_TARGET").map_or(true, |name| name == target.name)
}

#[test]
fn damaged_inputs_get_an_answer() {
    for target in targets::all().iter().filter(|target| chosen(target)) {
        if let Input::Format(valid) = &target.input {
            (target.feed)(valid);
            feed_all(target, 3000);
        }
    }
}

#[test]
fn random_calls_get_the_oracles_answer() {
    for target in targets::all().iter().filter(|target| chosen(target)) {
        if let Input::Decisions(_) = &target.input {
            feed_all(target, 150);
        }
    }
}

#[test]
fn the_kernels_streams_keep_to_the_list() {
    let target = Target {
        name: "kernels_streams",
        feed: targets::streams::kernels_streams,
        input: Input::Decisions(400),
    };
    if chosen(&target) {
        feed_all(&target, 40);
    }
}
