//! Whether the machine waits for a restart (apt.md 12): the files that Debian's packages leave behind, and the kernel.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use wua_engine::Failure;
use wua_engine::handler::Batch;
use wua_engine::seam;
use wua_engine::store::io_code;

use crate::dpkg::{DpkgDatabase, DpkgError};
use crate::tree::{AptTree, TreeKind};
use crate::version;

const FLAG: &str = "run/reboot-required";
const PACKAGES: &str = "run/reboot-required.pkgs";
const KERNEL: &str = "linux-image-";

/// The file in the job's folder that keeps how it stood before the batch.
const BEFORE: &str = "restart-before.json";

/// How the tree stood before a batch with these members.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Before {
    members: Vec<usize>,
    flag: RestartFlag,
}

/// What packages have asked for a restart so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct RestartFlag {
    /// Whether somebody did.
    pub(crate) is_set: bool,
    /// Who, as far as they left their names.
    pub(crate) packages: BTreeSet<String>,
}

impl RestartFlag {
    /// Reads the files of the tree.
    pub(crate) fn read(tree: &AptTree) -> io::Result<Self> {
        let packages = match fs::read(tree.path(PACKAGES)) {
            Ok(text) => String::from_utf8_lossy(&text)
                .split_whitespace()
                .map(Into::into)
                .collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeSet::new(),
            Err(error) => return Err(error),
        };
        let is_set = !packages.is_empty() || Path::try_exists(&tree.path(FLAG))?;
        Ok(Self { is_set, packages })
    }

    /// How the tree stood before the batch was begun, be it by this keeper or by one that died in it: what was asked for while
    /// nobody kept the job counts, too.
    pub(crate) fn before(tree: &AptTree, batch: &Batch<'_>) -> io::Result<Self> {
        let path = batch.folder.join(BEFORE);
        let known = fs::read(&path)
            .ok()
            .and_then(|text| serde_json::from_slice::<Before>(&text).ok())
            .filter(|before| batch.members.iter().all(|member| before.members.contains(member)));
        if let Some(before) = known {
            return Ok(before.flag);
        }
        let before = Before {
            members: batch.members.to_vec(),
            flag: Self::read(tree)?,
        };
        let new = path.with_extension("new");
        fs::write(&new, serde_json::to_vec(&before)?)?;
        fs::rename(new, path)?;
        Ok(before.flag)
    }
}

/// Whether the machine waits for a restart, for whatever reason, and for which packages; the list may be empty.
///
/// # Errors
/// The files or dpkg's database cannot be read.
pub fn restart_required(tree: &AptTree) -> Result<Option<Vec<String>>, Failure> {
    let flag = RestartFlag::read(tree).map_err(|source| {
        let sentence = format!(
            "cannot read whether `{}` waits for a restart",
            tree.root().display()
        );
        Failure::because(io_code(&source), sentence, source)
    })?;
    let mut packages = flag.packages;
    let kernel = match tree.kind() {
        TreeKind::Machine => newer_kernel(&read_database(tree)?, &running_kernel()),
        // Other trees do not run.
        TreeKind::Practice | TreeKind::Other => None,
    };
    let is_required = flag.is_set || kernel.is_some();
    packages.extend(kernel);
    Ok(is_required.then(|| packages.into_iter().collect()))
}

/// The release of the kernel that runs.
pub(crate) fn running_kernel() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// The package of the newest installed kernel, if another one runs. A running kernel that no package brought (in a
/// container, or built by hand) is its administrator's affair.
pub(crate) fn newer_kernel(database: &DpkgDatabase, running: &str) -> Option<String> {
    let release = |name: &str| -> Option<String> {
        let release = name.strip_prefix(KERNEL)?;
        // `linux-image-amd64` and the like only depend on the newest one; `-dbg` and `-unsigned` are no other kernels.
        let release = release.strip_prefix("unsigned-").unwrap_or(release);
        (release.starts_with(|first: char| first.is_ascii_digit()) && !release.ends_with("-dbg"))
            .then(|| release.into())
    };
    let installed: Vec<_> = database
        .present()
        .filter(|package| package.status.is_settled())
        .filter_map(|package| Some((release(&package.name)?, &package.name)))
        .collect();
    let runs = installed.iter().find(|(release, _)| release == running)?;
    let newest = installed
        .iter()
        .max_by(|(one, _), (other, _)| version::compare(one, other))?;
    (version::compare(&newest.0, &runs.0).is_gt()).then(|| newest.1.clone())
}

/// Whether a package is a kernel or asks for one.
pub(crate) fn is_kernel(package: &str) -> bool {
    package.starts_with(KERNEL)
}

/// Reads dpkg's database for a decision.
pub(crate) fn read_database(tree: &AptTree) -> Result<DpkgDatabase, Failure> {
    let file = || tree.path("var/lib/dpkg/status");
    let readable = seam::at("read-back").map_err(|source| DpkgError::Unreadable { file: file(), source });
    readable
        .and_then(|()| DpkgDatabase::read(tree.root()))
        .map_err(|source| {
            let code = match &source {
                DpkgError::Unreadable { source, .. } => io_code(source),
                DpkgError::Damaged { .. } => wua_types::HResult::WU_E_UNEXPECTED,
            };
            let sentence = format!("cannot read the package database of `{}`", tree.root().display());
            Failure::because(code, sentence, source)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(status: &[(&str, &str)]) -> (tempfile::TempDir, DpkgDatabase) {
        let folder = tempfile::tempdir().expect("temporary folder");
        fs::create_dir_all(folder.path().join("var/lib/dpkg")).expect("folder");
        let text: String = status
            .iter()
            .map(|(name, state)| {
                format!("Package: {name}\nStatus: install ok {state}\nArchitecture: amd64\nVersion: 1\n\n")
            })
            .collect();
        fs::write(folder.path().join("var/lib/dpkg/status"), text).expect("file");
        let database = DpkgDatabase::read(folder.path()).expect("readable");
        (folder, database)
    }

    fn check(status: &[(&str, &str)], running: &str, expected: Option<&str>) {
        let (_folder, database) = machine(status);
        assert_eq!(newer_kernel(&database, running).as_deref(), expected);
    }

    #[test]
    fn a_newer_installed_kernel_waits_for_a_restart() {
        let kernels = [
            ("linux-image-6.1.0-9-amd64", "installed"),
            ("linux-image-6.1.0-10-amd64", "installed"),
            ("linux-image-6.1.0-10-amd64-dbg", "installed"),
            ("linux-image-amd64", "installed"),
        ];
        check(&kernels, "6.1.0-9-amd64", Some("linux-image-6.1.0-10-amd64"));
        check(&kernels, "6.1.0-10-amd64", None);
    }

    #[test]
    fn a_kernel_that_is_not_ready_or_not_debians_asks_for_nothing() {
        let kernels = [
            ("linux-image-6.1.0-9-amd64", "installed"),
            ("linux-image-6.1.0-10-amd64", "half-configured"),
        ];
        check(&kernels, "6.1.0-9-amd64", None);
        check(&kernels, "6.18.5-cloud", None);
        check(&[], "6.18.5-cloud", None);
    }
}
