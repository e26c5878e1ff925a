//! A job's journal, whatever a sudden end made of it.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use wua_engine::journal;

static PLACE: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("journal-{}", std::process::id())));

fuzz_target!(|bytes: &[u8]| {
    std::fs::write(&*PLACE, bytes).expect("written");
    if let Err(error) = journal::past(&PLACE, uuid::Uuid::from_u128(1)) {
        let _ = (error.to_string(), error.code());
    }
});
