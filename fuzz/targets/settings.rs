//! The administrator's policy.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use wua_engine::Policy;

fuzz_target!(|text: &str| {
    if let Err(error) = Policy::parse(text, Path::new("wua.toml")) {
        let _ = error.to_string();
    }
});
