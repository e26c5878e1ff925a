//! The judge: reads dpkg's own records and the installed files, and nothing of wua's.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use crate::expected::{self, Expected, Package};
use crate::ground::Snapshot;

/// How the machine stands.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// What is not as it should be, whichever version is installed; empty on a whole machine.
    pub(crate) troubles: Vec<String>,
    /// The version of each changed package that is settled, with its own files.
    versions: BTreeMap<String, String>,
}

impl Verdict {
    /// Whether every package is installed with its own files, nothing lies about, and dpkg has nothing left to do.
    pub(crate) fn is_whole(&self) -> bool {
        self.troubles.is_empty()
    }

    /// Whether a package is as it is on `side`; also absent, if it is absent there.
    pub(crate) fn is_at(&self, name: &str, side: Snapshot, expected: &Expected) -> bool {
        let wanted = expected.on(side, name).map(|package| &package.version);
        self.versions.get(name) == wanted
    }
}

pub(crate) fn judge(root: &Path, expected: &Expected) -> io::Result<Verdict> {
    let mut troubles = Vec::new();
    if journal(root)?.next().is_some() {
        troubles.push("dpkg's journal is unfinished".to_owned());
    }
    let states = states(root)?;
    let mut versions = BTreeMap::new();
    for name in expected.changed() {
        let sides = [Snapshot::Old, Snapshot::New].map(|side| expected.on(side, name));
        match states.get(name).filter(|state| !state.is_absent()) {
            None if sides.contains(&None) => {}
            None => troubles.push(format!("{name} is gone")),
            Some(state) => match sides
                .into_iter()
                .flatten()
                .find(|side| side.version == state.version)
            {
                Some(package) if state.status == "install ok installed" => match wrong_file(root, package) {
                    None => {
                        versions.insert(name.clone(), state.version.clone());
                    }
                    Some(wrong) => troubles.push(format!("{name} {}: {wrong}", state.version)),
                },
                _ => troubles.push(format!("{name} {} is `{}`", state.version, state.status)),
            },
        }
        for package in sides.into_iter().flatten() {
            let files = package.files.keys().chain(&package.conffiles);
            let left = files
                .flat_map(|file| [format!("{file}.dpkg-new"), format!("{file}.dpkg-tmp")])
                .find(|file| fs::symlink_metadata(root.join(file.trim_start_matches('/'))).is_ok());
            troubles.extend(left.map(|file| format!("{file} lies about")));
        }
    }
    for name in expected.others() {
        let status = states.get(name).map_or("gone", |state| &state.status);
        if status != "install ok installed" {
            troubles.push(format!("{name}, which nobody touches, is `{status}`"));
        }
    }
    Ok(Verdict { troubles, versions })
}

fn wrong_file(root: &Path, package: &Package) -> Option<String> {
    let mut files = package.files.iter();
    let (file, _) = files.find(|(file, hash)| expected::hash(root, file) != Some(**hash))?;
    Some(format!("{file} is not its own"))
}

/// What dpkg's records say of a package.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) status: String,
    pub(crate) version: String,
    pub(crate) architecture: String,
    pub(crate) source: String,
    pub(crate) conffiles: BTreeSet<String>,
}

impl State {
    fn is_absent(&self) -> bool {
        self.status.ends_with(" not-installed") || self.status.ends_with(" config-files")
    }
}

/// The numbered files of dpkg's journal, oldest first.
fn journal(root: &Path) -> io::Result<impl Iterator<Item = std::path::PathBuf>> {
    let entries = fs::read_dir(root.join("var/lib/dpkg/updates"))?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
    });
    files.sort();
    Ok(files.into_iter())
}

/// Every package in dpkg's records, the journal's newer ones over the status file's.
pub(crate) fn states(root: &Path) -> io::Result<BTreeMap<String, State>> {
    let mut states = BTreeMap::new();
    let status = root.join("var/lib/dpkg/status");
    for file in std::iter::once(status).chain(journal(root)?) {
        let text = fs::read_to_string(file)?;
        for stanza in text.split("\n\n") {
            let field = |name: &str| {
                let start = format!("{name}: ");
                let mut lines = stanza.lines();
                lines
                    .find_map(|line| line.strip_prefix(&start))
                    .unwrap_or_default()
                    .to_owned()
            };
            let name = field("Package");
            if name.is_empty() {
                continue;
            }
            let source = field("Source");
            let source = source.split(' ').next().unwrap_or_default();
            let mut lines = stanza.lines().skip_while(|line| *line != "Conffiles:").skip(1);
            let conffiles = std::iter::from_fn(|| lines.next().filter(|line| line.starts_with(' ')));
            let conffiles = conffiles.filter_map(|line| line.split_whitespace().next().map(Into::into));
            let state = State {
                status: field("Status"),
                version: field("Version"),
                architecture: field("Architecture"),
                source: if source.is_empty() {
                    name.clone()
                } else {
                    source.into()
                },
                conffiles: conffiles.collect(),
            };
            states.insert(name, state);
        }
    }
    Ok(states)
}
