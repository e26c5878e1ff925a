//! What APT's JSON hook says of a plan.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wua_apt::fuzzing::hook(bytes));
