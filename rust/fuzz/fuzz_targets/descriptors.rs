//! Feeds `descriptors` of rust/targets.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::descriptors::descriptors(data));
