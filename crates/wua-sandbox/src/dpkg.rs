//! Reads a package's state from dpkg's database, the way a test wants it: one package, asked for by name. While dpkg
//! runs, or after it was killed, the newest word is in its journal (`updates/`).

use std::fs;
use std::path::{Path, PathBuf};

/// The `Status` and `Version` of a package in the database below `directory`. No version: the version is empty.
pub(crate) fn state(directory: &Path, name: &str) -> Option<(String, String)> {
    let mut tables = journal(directory);
    tables.push(directory.join("status"));
    // dpkg may just be taking a journal file away: then its content is in the table, which is read after it.
    let texts = tables.iter().filter_map(|path| fs::read(path).ok());
    texts
        .into_iter()
        .find_map(|text| state_in(&String::from_utf8_lossy(&text), name))
}

/// The numbered files of the journal, the newest first.
fn journal(directory: &Path) -> Vec<PathBuf> {
    let numbered = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let entries = fs::read_dir(directory.join("updates"))
        .into_iter()
        .flatten()
        .flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(numbered).collect();
    files.sort_by(|one, other| other.cmp(one));
    files
}

fn state_in(table: &str, name: &str) -> Option<(String, String)> {
    let mut records = table.split("\n\n");
    let record = records.find(|record| field(record, "Package").is_some_and(|found| found == name))?;
    let text = |wanted| field(record, wanted).unwrap_or_default().to_string();
    Some((text("Status"), text("Version")))
}

fn field<'a>(record: &'a str, wanted: &str) -> Option<&'a str> {
    record.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case(wanted).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_found_by_the_whole_name() {
        let table = "Package: inkpot-data\nStatus: install ok installed\nVersion: 1\n\n\
                     Package: inkpot\nStatus: install ok half-configured\nVersion: 2:4.2-1\n\n\
                     Package: gone\nStatus: deinstall ok config-files\n";
        let known = |status: &str, version: &str| Some((status.to_string(), version.to_string()));
        assert_eq!(
            state_in(table, "inkpot"),
            known("install ok half-configured", "2:4.2-1")
        );
        assert_eq!(state_in(table, "gone"), known("deinstall ok config-files", ""));
        assert_eq!(state_in(table, "ink"), None);
    }

    #[test]
    fn the_last_word_of_the_journal_counts() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("updates")).unwrap();
        let files = [
            ("status", "installed"),
            ("updates/0000", "unpacked"),
            ("updates/0001", "half-configured"),
        ];
        for (file, status) in files.into_iter().chain([("updates/tmp.i", "half-installed")]) {
            let text = format!("Package: inkpot\nStatus: install ok {status}\n");
            fs::write(directory.path().join(file), text).unwrap();
        }
        let (status, _) = state(directory.path(), "inkpot").unwrap();
        assert_eq!(status, "install ok half-configured");
    }
}
