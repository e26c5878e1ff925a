//! Package indexes, release files and preferences.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wua_apt::fuzzing::stanzas(bytes));
