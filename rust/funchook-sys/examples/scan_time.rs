//! How long finding the sites takes: `scan_time [rounds]`. The first round is
//! cold; the quickest one is what the processor needs.

use funchook_sys::module::Module;
use funchook_sys::sites::scan_with_census;
use std::time::{Duration, Instant};

fn main() {
    let rounds = std::env::args().nth(1).map_or(6, |n| n.parse().unwrap());
    let wanted = |nr: u32| nr < 100 && nr != 9 || (257..270).contains(&nr);
    let (mut first, mut best) = (None, Duration::MAX);
    let mut sites = 0;
    for _ in 0..rounds {
        let began = Instant::now();
        sites = Module::of_process()
            .iter()
            .map(|module| scan_with_census(module, &wanted).0.len())
            .sum();
        let took = began.elapsed();
        first.get_or_insert(took);
        best = best.min(took);
    }
    println!("{sites} sites, first {:?}, best {best:?}", first.unwrap());
}
