//! Writes `ops.rs` (operation numbers, dispatch, report counters) from `spec/calls.tbl`,
//! so that plain `cargo build` and `cargo test` work without Meson. Needs `python3`.
use std::path::Path;
use std::process::{exit, Command};

fn main() {
    let spec = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec");
    for file in ["calls.tbl", "generate.py", "catalogue.py", "rust_out.py"] {
        println!("cargo:rerun-if-changed={}", spec.join(file).display());
    }
    let out = std::env::var_os("OUT_DIR").unwrap_or_default();
    let status = Command::new("python3")
        .arg(spec.join("generate.py"))
        .args(["rust", "--out"])
        .arg(out)
        .status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => {
            eprintln!("spec/generate.py: {status}");
            exit(1);
        }
        Err(error) => {
            eprintln!("python3 (for spec/generate.py): {error}");
            exit(1);
        }
    }
}
