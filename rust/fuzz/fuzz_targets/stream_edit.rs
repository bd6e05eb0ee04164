#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pgf_fuzz::streams::edit(data));
