//! See `fuzz_targets::credentials`.
#![no_main]

// By its path: the library that it stands in brings a dataflow, which takes minutes to build with a sanitizer.
#[path = "../../tests/src/fuzz_targets.rs"]
#[expect(dead_code, reason = "each target calls one of them")]
mod fuzz_targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz_targets::credentials(bytes));
