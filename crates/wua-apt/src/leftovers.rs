//! Files that an interrupted unpacking left beside the package's own: `*.dpkg-new` and `*.dpkg-tmp`.
//!
//! Unpacking again replaces those of the same version. What an interrupted upgrade brought that the version now installed
//! has not lies on, and is found here: in the folders of the packages that were in trouble, outside of the administrator's.
//! Nothing is removed while any package is still to be unpacked again.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use wua_engine::Failure;
use wua_engine::store::io_code;

use crate::dpkg::{DpkgDatabase, InstalledPackage};
use crate::health::{LEFTOVERS, lying_beside, must_be_unpacked_again};
use crate::tree::AptTree;

/// Top folders whose files belong to dpkg alone.
const OF_DPKG: [&str; 8] = ["usr", "lib", "lib32", "lib64", "bin", "sbin", "boot", "opt"];

/// Where to look for leftovers once packages are healed.
#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    /// The names and architectures of the packages in trouble.
    packages: Vec<(String, String)>,
    /// Their files as they were recorded.
    files: BTreeSet<String>,
}

impl Leftovers {
    /// Remembers the places of the packages that are in trouble now.
    pub(crate) fn of(tree: &AptTree, database: &DpkgDatabase) -> Self {
        let mut leftovers = Self::default();
        let troubled = database.packages().iter();
        for package in troubled.filter(|package| package.status.is_present() && !package.status.is_settled())
        {
            let (name, architecture) = (package.name.clone(), package.architecture.clone());
            leftovers.files.extend(files(tree, &name, &architecture));
            leftovers.packages.push((name, architecture));
        }
        leftovers
    }

    /// Removes what nobody is going to put in place any more.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub(crate) fn remove(mut self, tree: &AptTree, database: &DpkgDatabase) -> Result<(), Failure> {
        if database.packages().iter().any(must_be_unpacked_again) {
            return Ok(());
        }
        for (name, architecture) in &self.packages {
            self.files.extend(files(tree, name, architecture));
        }
        let mut found: BTreeSet<PathBuf> = self
            .folders(tree)
            .iter()
            .flat_map(|folder| in_folder(folder))
            .collect();
        // A configuration file's new version waits beside it until its package is configured.
        let settled = database.present().filter(|package| package.status.is_settled());
        let conffiles = settled.flat_map(InstalledPackage::conffiles);
        found.extend(conffiles.flat_map(|file| lying_beside(&tree.path(&file.path))));
        for file in found {
            match fs::remove_file(&file) {
                Ok(()) => {
                    tracing::info!(file = %file.display(), "a leftover of an interrupted run was removed")
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let sentence = format!(
                        "cannot remove `{}`, which an interrupted run left",
                        file.display()
                    );
                    return Err(Failure::because(io_code(&error), sentence, error));
                }
            }
        }
        Ok(())
    }

    /// The folders of the remembered files, as far as they are dpkg's alone, and without those behind symbolic links.
    fn folders(&self, tree: &AptTree) -> BTreeSet<PathBuf> {
        let parents = self.files.iter().filter_map(|file| {
            let folder = Path::new(file.trim_start_matches('/')).parent()?;
            let mut parts = folder.iter();
            let top = parts.next()?.to_str()?;
            let is_local = top == "usr" && parts.next().is_some_and(|second| second == "local");
            (OF_DPKG.contains(&top) && !is_local).then(|| tree.root().join(folder))
        });
        let parents: BTreeSet<PathBuf> = parents.collect();
        let stays_inside =
            |folder: &PathBuf| fs::canonicalize(folder).is_ok_and(|real| real.starts_with(tree.root()));
        parents.into_iter().filter(stays_inside).collect()
    }
}

/// The recorded files of a package.
fn files(tree: &AptTree, name: &str, architecture: &str) -> Vec<String> {
    let info = tree.path("var/lib/dpkg/info");
    let lists = [format!("{name}.list"), format!("{name}:{architecture}.list")];
    let text = lists
        .iter()
        .find_map(|list| fs::read(info.join(list)).ok())
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines = text
        .lines()
        .filter(|line| line.len() > 1 && !line.split('/').any(|part| part == ".."));
    lines.map(str::to_owned).collect()
}

fn in_folder(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.filter(|entry| {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { return false };
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        // The file that was put aside may be all there is of the installed one.
        let is_backup_only = name
            .strip_suffix(LEFTOVERS[1])
            .is_some_and(|base| fs::symlink_metadata(folder.join(base)).is_err());
        !is_dir && !is_backup_only && LEFTOVERS.iter().any(|ending| name.ends_with(ending))
    });
    files.map(|entry| entry.path()).collect()
}
