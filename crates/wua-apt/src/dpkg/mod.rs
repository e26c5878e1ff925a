//! dpkg's own record of the machine: what is installed, in which state, and which marks it carries.
//!
//! [`DpkgDatabase::read`] reads `var/lib/dpkg/status`, lays the journal (`updates/NNNN`) over it as dpkg itself
//! would, and adds APT's automatic marks. It never writes and takes no lock: dpkg replaces these files by rename,
//! so what is read is a state that dpkg recorded, though perhaps not its latest one.

mod database;
mod package;
mod state;

pub use database::{DpkgDatabase, DpkgError};
pub use package::{Conffile, InstalledPackage};
pub use state::{PackageState, SelectionState, Status, StatusError};

/// Reads an entry as a fuzz target wants it read.
#[cfg(fuzzing)]
pub(crate) fn fuzz(stanza: crate::stanza::Stanza<'_>) {
    if let Ok(package::Entry::Package(package)) = InstalledPackage::parse(stanza) {
        assert!(crate::version::is_version(&package.version));
        let _ = package.conffiles();
    }
}
