//! See `livery_fuzz_checks::chunk_map`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    livery_fuzz_checks::chunk_map::check(input);
});
