//! `sites FILE...`: the call sites of C libraries and loaders, one line each,
//! and what was refused. `sites -q` prints sums and refusals only.

use funchook_sys::module::Module;
use funchook_sys::sites::{prefer_call, scan_with_census, Kind};

fn main() {
    let mut quiet = false;
    for path in std::env::args().skip(1) {
        if path == "-q" {
            quiet = true;
            continue;
        }
        let file = std::fs::read(&path).expect("readable");
        let Some(module) = Module::of_image(&file) else {
            println!("{path}: no shared object of this machine");
            continue;
        };
        let (mut sites, census) = scan_with_census(&module, &|_| true);
        prefer_call(&module, &mut sites);
        let of = |kind| sites.iter().filter(|site| site.kind == kind).count();
        println!(
            "{path}: {} seen: {} mov, {} before, {} after, {} dynamic, {} refused",
            census.seen,
            of(Kind::Mov),
            of(Kind::Before),
            of(Kind::After),
            of(Kind::Dynamic),
            census.refused.len()
        );
        for site in sites
            .iter()
            .filter(|site| !quiet || matches!(site.kind, Kind::After | Kind::Dynamic | Kind::Call))
        {
            let at = site.syscall - module.bias;
            println!(
                "  {at:x} {:?} {:?} {:02x?}",
                site.kind,
                site.nr,
                site.window()
            );
        }
        for refused in &census.refused {
            let at = refused.syscall - module.bias;
            println!("  {at:x} refused {:?} {:?}", refused.nr, refused.why);
        }
    }
}
