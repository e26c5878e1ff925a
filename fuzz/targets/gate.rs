//! What the gate wrote down, held against a plan.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: (&str, &str)| wua_apt::fuzzing::gate(input.0, input.1));
