//! Random histories of names as whoever runs the tests.
mod common;
mod random;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |s| s.parse().unwrap())
}

#[test]
fn random_histories_match_the_kernel() {
    let first = setting("PIL4DFS_SEED", 1);
    for seed in first..first + setting("PIL4DFS_SEEDS", 60) {
        let (mut twins, mut r) = random::places("r", seed);
        twins.history(&mut r, 300);
        twins.remove();
        twins.close_all();
    }
}
