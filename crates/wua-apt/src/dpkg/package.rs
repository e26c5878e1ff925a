//! One package of the dpkg database.

use super::state::Status;
use super::{SelectionState, StatusError};
use crate::reader::source_of;
use crate::stanza::{Stanza, StanzaError};
use crate::version;

/// A package that the database has a version of. Removed packages whose configuration is left are among them:
/// ask [`Status::is_present`].
#[derive(Clone, Debug)]
pub struct InstalledPackage {
    /// Its name.
    pub name: String,
    /// Its architecture, `all` included.
    pub architecture: String,
    /// Its version.
    pub version: String,
    /// The source package it was built from.
    pub source: String,
    /// The version of that source package.
    pub source_version: String,
    /// Its state.
    pub status: Status,
    /// Whether APT installed it only because others need it.
    pub automatic: bool,
    stanza: Box<[u8]>,
}

/// A configuration file that dpkg watches over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conffile {
    /// Its path.
    pub path: String,
    /// The MD5 sum, in hex, of the file as the package brought it; `newconffile` while it was never installed.
    pub md5: String,
    /// No longer part of the package.
    pub obsolete: bool,
    /// To be removed at the next upgrade.
    pub remove_on_upgrade: bool,
}

/// Why an entry of the database cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum EntryError {
    #[error(transparent)]
    Stanza(#[from] StanzaError),
    #[error("it has no field `{0}`")]
    Missing(&'static str),
    #[error(transparent)]
    Status(#[from] StatusError),
    #[error("`{0}` is no Debian version")]
    Version(String),
}

/// What an entry says: a package, or that there is none of this name and architecture.
#[derive(Debug)]
pub(super) enum Entry {
    Package(InstalledPackage),
    Absent { name: String, architecture: String },
}

impl InstalledPackage {
    /// Reads one entry; those without a version (never unpacked, or forgotten) are [`Entry::Absent`].
    pub(super) fn parse(stanza: Stanza<'_>) -> Result<Entry, EntryError> {
        let (mut name, mut architecture, mut version, mut status, mut source) =
            (None, None, None, None, None);
        for field in stanza.fields() {
            let field = field?;
            let slot = match field.name {
                name_ if name_.eq_ignore_ascii_case(b"Package") => &mut name,
                name_ if name_.eq_ignore_ascii_case(b"Architecture") => &mut architecture,
                name_ if name_.eq_ignore_ascii_case(b"Version") => &mut version,
                name_ if name_.eq_ignore_ascii_case(b"Status") => &mut status,
                name_ if name_.eq_ignore_ascii_case(b"Source") => &mut source,
                _ => continue,
            };
            *slot = Some(String::from_utf8_lossy(field.value).into_owned());
        }
        let name = name
            .filter(|name| !name.is_empty())
            .ok_or(EntryError::Missing("Package"))?;
        let status: Status = status.ok_or(EntryError::Missing("Status"))?.parse()?;
        let Some(version) = version.filter(|version| !version.is_empty()) else {
            return Ok(Entry::Absent {
                name,
                architecture: architecture.unwrap_or_default(),
            });
        };
        if !version::is_version(&version) {
            return Err(EntryError::Version(version));
        }
        let architecture = architecture.ok_or(EntryError::Missing("Architecture"))?;
        let (source, source_version) = source_of(source.as_deref(), &name, &version);
        let stanza = stanza.bytes().into();
        Ok(Entry::Package(Self {
            name,
            architecture,
            version,
            source,
            source_version,
            status,
            automatic: false,
            stanza,
        }))
    }

    /// Whether the package is on hold.
    pub fn is_held(&self) -> bool {
        self.status.selection == SelectionState::Hold
    }

    /// The whole entry as dpkg recorded it, for the fields that have no name here (`Depends`, `Multi-Arch`, …).
    pub fn stanza(&self) -> Stanza<'_> {
        Stanza::new(&self.stanza)
    }

    /// Its configuration files.
    pub fn conffiles(&self) -> Vec<Conffile> {
        let text = self.stanza().text("Conffiles").unwrap_or_default();
        text.lines().filter_map(conffile).collect()
    }
}

/// Reads ` PATH MD5 [obsolete] [remove-on-upgrade]`; the path may have blanks in it.
fn conffile(line: &str) -> Option<Conffile> {
    let mut rest = line.trim();
    let (mut obsolete, mut remove_on_upgrade) = (false, false);
    loop {
        let (before, word) = rest.rsplit_once(' ')?;
        rest = before.trim_end();
        match word {
            "obsolete" => obsolete = true,
            "remove-on-upgrade" => remove_on_upgrade = true,
            md5 if rest.starts_with('/') => {
                return Some(Conffile {
                    path: rest.to_owned(),
                    md5: md5.to_owned(),
                    obsolete,
                    remove_on_upgrade,
                });
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(text: &str) -> InstalledPackage {
        match InstalledPackage::parse(Stanza::new(text.as_bytes())) {
            Ok(Entry::Package(package)) => package,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_source_may_be_named_or_be_the_package_itself() {
        let text = "Package: a\nStatus: hold ok installed\nArchitecture: all\nVersion: 1:2-3+b1\n";
        let plain = package(text);
        assert_eq!(
            (&*plain.source, &*plain.source_version, plain.is_held()),
            ("a", "1:2-3+b1", true)
        );
        let other = package(&format!("{text}Source: src (1:2-3)\n"));
        assert_eq!((&*other.source, &*other.source_version), ("src", "1:2-3"));
    }

    #[test]
    fn conffiles_keep_their_flags() {
        let text = "Package: a\nStatus: install ok installed\nArchitecture: all\nVersion: 1\nConffiles:\n \
                    /etc/a 0123 obsolete\n /etc/with blank 4567\n /etc/c 89 remove-on-upgrade\n nonsense\n";
        let found = package(text).conffiles();
        let paths: Vec<_> = found
            .iter()
            .map(|file| (&*file.path, &*file.md5, file.obsolete, file.remove_on_upgrade))
            .collect();
        let expected = [
            ("/etc/a", "0123", true, false),
            ("/etc/with blank", "4567", false, false),
            ("/etc/c", "89", false, true),
        ];
        assert_eq!(paths, expected);
    }

    #[test]
    fn an_entry_without_a_version_is_no_package() {
        let text = "Package: a\nStatus: install ok not-installed\nArchitecture: all\n";
        assert!(matches!(
            InstalledPackage::parse(Stanza::new(text.as_bytes())),
            Ok(Entry::Absent { .. })
        ));
    }

    #[test]
    fn a_damaged_entry_says_what_is_wrong() {
        let check = |text: &str, expected: &str| {
            let error = InstalledPackage::parse(Stanza::new(text.as_bytes())).unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        check("Package: a\nVersion: 1\n", "it has no field `Status`");
        check("Package: a\nStatus: in\n", "`in` is no dpkg status");
        check(
            "Package: a\nStatus: install ok installed\nVersion: x\n",
            "`x` is no Debian version",
        );
        check("Package: a\nnonsense\n", "a line has no colon");
    }
}
