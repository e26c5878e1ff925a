//! The judge: reads dpkg's own records and the installed files, and nothing of wua's.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use crate::practice::{PACKAGES, Practice, content, is_extra};

/// How the machine stands.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// Every package is installed, with its own files, and dpkg has nothing left to do.
    pub(crate) is_whole: bool,
    /// The version of each package that is settled.
    pub(crate) versions: BTreeMap<String, String>,
}

impl Verdict {
    pub(crate) fn is_settled(&self, name: &str, version: &str) -> bool {
        self.versions.get(name).is_some_and(|found| found == version)
    }
}

pub(crate) fn judge(practice: &Practice) -> io::Result<Verdict> {
    let root = practice.root();
    let states = states(root)?;
    let mut versions = BTreeMap::new();
    for (name, (status, version)) in &states {
        if status == "install ok installed" && files_are(root, name, version) {
            versions.insert(name.clone(), version.clone());
        }
    }
    Ok(Verdict {
        is_whole: is_whole(root)?,
        versions,
    })
}

/// Whether all packages are settled and dpkg's journal is empty.
pub(crate) fn is_whole(root: &Path) -> io::Result<bool> {
    let journal = fs::read_dir(root.join("var/lib/dpkg/updates"))?;
    let is_open = journal.flatten().any(|entry| {
        entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
    });
    let states = states(root)?;
    let settled = |name: &String, status: &str, version: &str| {
        status == "install ok installed" && files_are(root, name, version)
            || is_extra(name) && status.ends_with("not-installed")
    };
    let all = states
        .iter()
        .all(|(name, (status, version))| settled(name, status, version));
    Ok(!is_open && all && states.iter().filter(|(name, _)| !is_extra(name)).count() == PACKAGES)
}

fn files_are(root: &Path, name: &str, version: &str) -> bool {
    let count = if is_extra(name) { 1 } else { 8 };
    (0..count).all(|file| {
        let path = root.join(format!("usr/share/{name}/file{file}"));
        fs::read_to_string(path).is_ok_and(|found| found == content(name, version, file))
    })
}

/// Status and version of every package, the journal's newer records over the status file's.
fn states(root: &Path) -> io::Result<BTreeMap<String, (String, String)>> {
    let admin = root.join("var/lib/dpkg");
    let mut files = vec![admin.join("status")];
    let mut journal: Vec<_> = fs::read_dir(admin.join("updates"))?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    journal.retain(|path| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
    });
    journal.sort();
    files.extend(journal);
    let mut states = BTreeMap::new();
    for file in files {
        let text = fs::read_to_string(file)?;
        for stanza in text.split("\n\n") {
            let field = |name: &str| {
                let start = format!("{name}: ");
                stanza
                    .lines()
                    .find_map(|line| line.strip_prefix(&start))
                    .unwrap_or_default()
                    .to_owned()
            };
            let name = field("Package");
            if !name.is_empty() {
                states.insert(name, (field("Status"), field("Version")));
            }
        }
    }
    Ok(states)
}
