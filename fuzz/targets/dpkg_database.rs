//! dpkg's status file with a journal file over it and APT's automatic marks.
#![no_main]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use wua_apt::dpkg::DpkgDatabase;

/// A tree, one a process.
static TREE: LazyLock<String> = LazyLock::new(|| {
    let tree = format!("{}/tree-{}", std::env::temp_dir().display(), std::process::id());
    fs::create_dir_all(format!("{tree}/var/lib/dpkg/updates")).expect("a folder");
    fs::create_dir_all(format!("{tree}/var/lib/apt")).expect("a folder");
    tree
});

fuzz_target!(|input: (&[u8], &[u8], &[u8])| {
    let write = |file: &str, bytes: &[u8]| fs::write(format!("{}/{file}", *TREE), bytes).expect("written");
    write("var/lib/dpkg/status", input.0);
    write("var/lib/dpkg/updates/0001", input.1);
    write("var/lib/apt/extended_states", input.2);
    if let Ok(database) = DpkgDatabase::read(Path::new(&*TREE)) {
        for package in database.packages() {
            assert!(database.get(&package.name, &package.architecture).is_some());
        }
    }
});
