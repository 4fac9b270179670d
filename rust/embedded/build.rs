//! Gives the shared object the name that DAOS's client library has.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libdaos.so.2");
}
