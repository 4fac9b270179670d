//! Feeds `search_list` of rust/targets.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::parsers::search_list(data));
