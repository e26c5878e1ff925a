//! A job's event file, read as a follower reads it; what it says can be written out and read again.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use wua_engine::{Folders, follow};
use wua_types::EventLine;

const JOB: uuid::Uuid = uuid::Uuid::from_u128(1);

static FOLDERS: LazyLock<Folders> = LazyLock::new(|| {
    let folders = Folders::new(std::env::temp_dir().join(format!("events-{}", std::process::id())));
    std::fs::create_dir_all(folders.job(JOB).path()).expect("a folder");
    folders
});

fuzz_target!(|bytes: &[u8]| {
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Ok(line) = serde_json::from_slice::<EventLine>(line) {
            let written = serde_json::to_string(&line).expect("an event can be written");
            serde_json::from_str::<EventLine>(&written).expect("and read");
        }
    }
    let folder = FOLDERS.job(JOB);
    std::fs::write(folder.events(), bytes).expect("written");
    let _ = wua_engine::jobs::list(&FOLDERS);
    let _ = follow::keeper_of(&folder);
});
