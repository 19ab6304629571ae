//! See `audience_tests::fuzz_targets::rules`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| audience_tests::fuzz_targets::rules(bytes));
