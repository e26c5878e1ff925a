//! The database as a whole: status file, journal and automatic marks.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::InstalledPackage;
use super::package::{Entry, EntryError};
use crate::mapped::Mapped;
use crate::stanza::{Stanza, Stanzas};

/// Why the database cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DpkgError {
    /// A file of the database cannot be read.
    #[error("`{}` cannot be read", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// An entry is damaged.
    #[error(
        "`{}` is damaged in entry {number} (package `{package}`, byte {offset}): {why}; earlier ones are beside it as `status-old` and \
         in `var/backups`",
        file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Which entry, counted from 1.
        number: usize,
        /// Where it begins, in bytes.
        offset: usize,
        /// Its package, as far as readable.
        package: String,
        /// What is wrong with it.
        why: String,
    },
}

/// How often dpkg may write its status file anew while it is read; it does so after some hundred changes.
const MERGES: usize = 20;

/// Which file stands at `path` now; dpkg puts a new one there.
fn identity(path: &Path) -> Option<(u64, u64, i64, i64)> {
    let file = fs::metadata(path).ok()?;
    Some((file.dev(), file.ino(), file.mtime(), file.mtime_nsec()))
}

/// All packages that dpkg knows a version of, by name and architecture.
#[derive(Clone, Debug, Default)]
pub struct DpkgDatabase {
    packages: Vec<InstalledPackage>,
    journal_files: usize,
}

impl DpkgDatabase {
    /// Reads the database of the tree at `root`.
    ///
    /// # Errors
    /// When a file cannot be read, or an entry of it is damaged; the error names the file and the entry.
    pub fn read(root: &Path) -> Result<Self, DpkgError> {
        Self::read_with(root, |_| ())
    }

    /// Reads the database. `before_reading` is told what is read next after the status file (the journal's folder, its files), for tests.
    fn read_with(root: &Path, mut before_reading: impl FnMut(&Path)) -> Result<Self, DpkgError> {
        let admin = root.join("var/lib/dpkg");
        let (status, updates) = (admin.join("status"), admin.join("updates"));
        let mut merges = 0;
        loop {
            let before = identity(&status);
            let mut packages = HashMap::new();
            overlay(&mut packages, &status)?;
            before_reading(&updates);
            let journal = journal_files(&updates)?;
            let mut read = 0;
            for file in &journal {
                before_reading(file);
                match overlay(&mut packages, file) {
                    Err(DpkgError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                    }
                    laid_over => {
                        laid_over?;
                        read += 1;
                    }
                }
            }
            // dpkg writes a new status file from time to time, then removes its journal, oldest first: what was read of either is
            // then half of the story. Where it still removes after so many looks, nothing is missing: what is gone is in the status
            // file, and what is left is what came last.
            let is_merged = identity(&status) != before || read < journal.len();
            if merges < MERGES && is_merged {
                merges += 1;
                continue;
            }
            let mut packages: Vec<_> = packages.into_values().collect();
            packages.sort_unstable_by(|a, b| (&a.name, &a.architecture).cmp(&(&b.name, &b.architecture)));
            let mut database = Self {
                packages,
                journal_files: read,
            };
            database.mark_automatic(&root.join("var/lib/apt/extended_states"))?;
            return Ok(database);
        }
    }

    /// Every package with a version, sorted by name and architecture; removed ones with configuration left, too.
    pub fn packages(&self) -> &[InstalledPackage] {
        &self.packages
    }

    /// The packages of which a version is on the machine.
    pub fn present(&self) -> impl Iterator<Item = &InstalledPackage> {
        self.packages.iter().filter(|package| package.status.is_present())
    }

    /// All architectures of one package.
    pub fn named(&self, name: &str) -> &[InstalledPackage] {
        let start = self
            .packages
            .partition_point(|package| package.name.as_str() < name);
        let length = self.packages[start..].partition_point(|package| package.name == name);
        &self.packages[start..start + length]
    }

    /// One package. `architecture` is the recorded one; `all` is an architecture of its own here.
    pub fn get(&self, name: &str, architecture: &str) -> Option<&InstalledPackage> {
        self.named(name)
            .iter()
            .find(|package| package.architecture == architecture)
    }

    /// How many journal files lie beside the status file: more than none means that dpkg was interrupted, or works
    /// right now.
    pub fn journal_files(&self) -> usize {
        self.journal_files
    }

    /// The machine's own architecture: that of the package `dpkg`.
    pub fn native_architecture(&self) -> Option<&str> {
        self.named("dpkg")
            .iter()
            .find(|package| package.status.is_present())
            .map(|package| &*package.architecture)
    }

    /// Adds the marks of packages that APT installed only because others need them.
    fn mark_automatic(&mut self, file: &Path) -> Result<(), DpkgError> {
        let bytes = match Mapped::open(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            result => result.map_err(|source| DpkgError::Unreadable {
                file: file.to_owned(),
                source,
            })?,
        };
        let native = self.native_architecture().unwrap_or_default().to_owned();
        for (_, stanza) in Stanzas::new(&bytes) {
            if stanza.field("Auto-Installed") != Some(b"1") {
                continue;
            }
            let (Some(name), Some(architecture)) = (stanza.text("Package"), stanza.text("Architecture"))
            else {
                continue;
            };
            for package in &mut self.packages {
                // APT files packages of architecture `all` under the native one.
                let filed_under = if package.architecture == "all" {
                    &native
                } else {
                    &package.architecture
                };
                if package.name == name && *filed_under == architecture {
                    package.automatic = true;
                }
            }
        }
        Ok(())
    }
}

/// Lays the entries of `file` over what is known, as dpkg does with its journal: an entry replaces the former one.
fn overlay(packages: &mut HashMap<(String, String), InstalledPackage>, file: &Path) -> Result<(), DpkgError> {
    let bytes = Mapped::open(file).map_err(|source| DpkgError::Unreadable {
        file: file.to_owned(),
        source,
    })?;
    for (number, (offset, stanza)) in Stanzas::new(&bytes).enumerate() {
        match InstalledPackage::parse(stanza) {
            Ok(Entry::Package(package)) => {
                packages.insert((package.name.clone(), package.architecture.clone()), package);
            }
            Ok(Entry::Absent { name, architecture }) => {
                packages.remove(&(name, architecture));
            }
            Err(why) => return Err(damaged(file, number, offset, stanza, &why)),
        }
    }
    Ok(())
}

fn damaged(file: &Path, number: usize, offset: usize, stanza: Stanza<'_>, why: &EntryError) -> DpkgError {
    DpkgError::Damaged {
        file: file.to_owned(),
        number: number + 1,
        offset,
        package: stanza.package().map_or_else(
            || "unknown".into(),
            |name| String::from_utf8_lossy(name).into_owned(),
        ),
        why: why.to_string(),
    }
}

/// The journal files, oldest first: four digits each. dpkg also keeps a scratch file there, which is not part of it.
fn journal_files(folder: &Path) -> Result<Vec<PathBuf>, DpkgError> {
    let unreadable = |source| DpkgError::Unreadable {
        file: folder.to_owned(),
        source,
    };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        result => result.map_err(unreadable)?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let name = entry.map_err(unreadable)?.file_name();
        if name.len() == 4 && name.as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            files.push(folder.join(name));
        }
    }
    files.sort_unstable();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dpkg::PackageState;

    fn tree(status: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let admin = folder.path().join("var/lib/dpkg/updates");
        fs::create_dir_all(admin).unwrap();
        fs::create_dir_all(folder.path().join("var/lib/apt")).unwrap();
        fs::write(folder.path().join("var/lib/dpkg/status"), status).unwrap();
        folder
    }

    fn entry(name: &str, architecture: &str, version: &str, state: &str) -> String {
        format!(
            "Package: {name}\nStatus: install {state}\nArchitecture: {architecture}\nVersion: {version}\n\n"
        )
    }

    #[test]
    fn the_journal_replaces_entries_in_its_order() {
        let status = entry("a", "amd64", "1", "ok installed") + &entry("b", "all", "1", "ok installed");
        let folder = tree(&status);
        let updates = folder.path().join("var/lib/dpkg/updates");
        fs::write(
            updates.join("0000"),
            entry("a", "amd64", "2", "reinstreq half-installed"),
        )
        .unwrap();
        fs::write(updates.join("0001"), entry("a", "amd64", "2", "ok unpacked")).unwrap();
        fs::write(
            updates.join("0002"),
            "Package: b\nStatus: purge ok not-installed\nArchitecture: all\n",
        )
        .unwrap();
        fs::write(updates.join("tmp.i"), "half a line").unwrap();
        let database = DpkgDatabase::read(folder.path()).unwrap();
        assert_eq!(database.journal_files(), 3);
        let [a] = database.packages() else {
            panic!("{database:?}")
        };
        assert_eq!((&*a.version, a.status.state), ("2", PackageState::Unpacked));
    }

    #[test]
    fn a_journal_that_dpkg_merges_meanwhile_is_read_from_the_new_status_file() {
        let folder = tree(&entry("a", "amd64", "1", "ok installed"));
        let admin = folder.path().join("var/lib/dpkg");
        let mut merged = false;
        let database = DpkgDatabase::read_with(folder.path(), |_| {
            // What dpkg had written to its journal before, it writes to a new status file, and removes the journal.
            if !std::mem::replace(&mut merged, true) {
                fs::write(admin.join("status-new"), entry("a", "amd64", "2", "ok installed")).unwrap();
                fs::rename(admin.join("status-new"), admin.join("status")).unwrap();
            }
        });
        assert_eq!(database.unwrap().packages()[0].version, "2");
    }

    #[test]
    fn a_journal_that_dpkg_removes_while_it_is_read_is_in_the_status_file() {
        let folder = tree(&entry("a", "amd64", "2", "ok installed"));
        let journal = folder.path().join("var/lib/dpkg/updates/0000");
        fs::write(&journal, entry("a", "amd64", "2", "ok installed")).unwrap();
        let database = DpkgDatabase::read_with(folder.path(), |next| {
            if next == journal {
                fs::remove_file(&journal).unwrap();
            }
        });
        let database = database.unwrap();
        assert_eq!((database.packages().len(), database.journal_files()), (1, 0));
    }

    #[test]
    fn a_journal_whose_removal_takes_longer_than_all_looks_is_no_fault() {
        let folder =
            tree(&(entry("a", "amd64", "9", "ok installed") + &entry("b", "amd64", "2", "ok installed")));
        let updates = folder.path().join("var/lib/dpkg/updates");
        let journal = 2 * MERGES;
        for number in 0..journal {
            let (name, version) = if number == 0 {
                ("b", 2)
            } else {
                ("a", 9 * (number + 1) / journal)
            };
            fs::write(
                updates.join(format!("{number:04}")),
                entry(name, "amd64", &version.to_string(), "ok installed"),
            )
            .unwrap();
        }
        // Each time that the journal was listed, its oldest file goes just before it is read.
        let (mut removed, mut is_listed) = (0, false);
        let database = DpkgDatabase::read_with(folder.path(), |next| {
            if std::mem::replace(&mut is_listed, next == updates) {
                fs::remove_file(next).unwrap();
                removed += 1;
            }
        });
        assert!((MERGES..journal).contains(&removed), "{removed} removed");
        let versions: Vec<_> = database
            .unwrap()
            .packages()
            .iter()
            .map(|package| package.version.clone())
            .collect();
        assert_eq!(versions, ["9", "2"]);
    }

    #[test]
    fn architectures_of_one_name_are_packages_of_their_own() {
        let status = entry("a", "amd64", "1", "ok installed")
            + &entry("ab", "amd64", "1", "ok installed")
            + &entry("a", "i386", "1", "ok config-files");
        let folder = tree(&status);
        let database = DpkgDatabase::read(folder.path()).unwrap();
        assert_eq!(database.named("a").len(), 2);
        assert_eq!(database.present().count(), 2);
        assert!(database.get("a", "all").is_none());
    }

    #[test]
    fn automatic_marks_find_packages_for_all_architectures_under_the_native_one() {
        let status = entry("a", "all", "1", "ok installed") + &entry("dpkg", "amd64", "1", "ok installed");
        let folder = tree(&status);
        let marks = "Package: a\nArchitecture: amd64\nAuto-Installed: 1\n\nPackage: dpkg\nArchitecture: amd64\n\
                     Auto-Installed: 0\n";
        fs::write(folder.path().join("var/lib/apt/extended_states"), marks).unwrap();
        let database = DpkgDatabase::read(folder.path()).unwrap();
        assert_eq!(
            database
                .packages()
                .iter()
                .map(|package| package.automatic)
                .collect::<Vec<_>>(),
            [true, false]
        );
    }

    #[test]
    fn a_damaged_entry_is_named() {
        let folder =
            tree(&(entry("a", "all", "1", "ok installed") + "Package: b\nStatus: install ok half\n"));
        let error = DpkgDatabase::read(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains(
                "is damaged in entry 2 (package `b`, byte 70): `half` is no dpkg status; earlier ones"
            ),
            "{error}"
        );
    }
}
