//! See `livery_fuzz_checks::lockfile`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    livery_fuzz_checks::lockfile::check(input);
});
