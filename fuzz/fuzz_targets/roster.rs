//! See `livery_fuzz_checks::roster`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    livery_fuzz_checks::roster::check(input);
});
