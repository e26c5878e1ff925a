//! Which index files count: APT is asked, since only APT knows all of its sources' syntax and settings.
//!
//! The names in its answer are looked up in the lists folder, together with the archives' Release files.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;

use super::policy::FileTraits;
use super::release::{self, Release};
use super::warning::ReadWarning;
use crate::compression::existing_form;
use crate::mapped::Mapped;
use crate::stanza::{Stanza, Stanzas};

/// An archive (one suite of one address), as its Release file describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// Its address, without credentials: `http://host/debian/dists/stable/`.
    pub address: String,
    /// The host; empty for local archives.
    pub host: String,
    /// Who makes it (`Origin`).
    pub origin: Option<String>,
    /// Its `Label`.
    pub label: Option<String>,
    /// Its `Suite`, such as `stable` or `stable-security`.
    pub suite: Option<String>,
    /// Its `Codename`.
    pub codename: Option<String>,
    /// The `Version` of the distribution.
    pub version: Option<String>,
    /// Packages are taken from it only on request (`NotAutomatic`).
    pub not_automatic: bool,
    /// …but packages that came from it are upgraded from it (`ButAutomaticUpgrades`).
    pub but_automatic_upgrades: bool,
    /// When the archive was made (`Date`).
    pub released: Option<Timestamp>,
    /// When the Release file here was written or, where the server tells a time, last changed there.
    pub fetched: Option<Timestamp>,
}

impl Archive {
    /// Whether it carries security updates, by suite, codename or label (rule U1).
    pub fn is_security(&self) -> bool {
        [&self.suite, &self.codename, &self.label]
            .into_iter()
            .flatten()
            .any(|text| text.to_ascii_lowercase().contains("security"))
    }
}

/// An index file that is here and counts.
#[derive(Clone, Debug)]
pub(super) struct ActiveIndex {
    pub(super) path: PathBuf,
    pub(super) archive: Arc<Archive>,
    component: Option<String>,
    architecture: Option<String>,
}

impl AsRef<Path> for ActiveIndex {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

impl ActiveIndex {
    /// What pins can match about it.
    pub(super) fn traits(&self) -> FileTraits {
        let archive = &self.archive;
        FileTraits {
            archive: archive.suite.clone(),
            codename: archive.codename.clone(),
            version: archive.version.clone(),
            origin: archive.origin.clone(),
            label: archive.label.clone(),
            component: self.component.clone(),
            architecture: self.architecture.clone(),
            host: archive.host.clone(),
            not_automatic: archive.not_automatic,
            but_automatic_upgrades: archive.but_automatic_upgrades,
            is_status: false,
        }
    }
}

/// The files of the lists folder that look like indexes of packages; which of them count, only APT can tell.
pub(super) fn likely(lists: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(lists) else {
        return Vec::new();
    };
    let names = entries.filter_map(Result::ok).map(|entry| entry.file_name());
    let is_index = |name: &OsString| {
        let name = name.as_encoded_bytes();
        let stem = name.rsplitn(2, |byte| *byte == b'.').last().unwrap_or(name);
        [name, stem].iter().any(|name| name.ends_with(b"_Packages"))
    };
    names.filter(is_index).map(|name| lists.join(name)).collect()
}

/// The indexes and archives that APT's answer names, in APT's order.
pub(super) fn resolve(
    answer: &[u8],
    lists: &Path,
    warnings: &mut Vec<ReadWarning>,
) -> (Vec<ActiveIndex>, Vec<Arc<Archive>>) {
    let targets: Vec<_> = Stanzas::new(answer)
        .filter_map(|(_, stanza)| Target::parse(stanza))
        .collect();
    if targets.is_empty() {
        warnings.push(ReadWarning::NoSources);
    }
    let mut known: HashMap<&str, KnownArchive> = HashMap::new();
    let (mut indexes, mut archives) = (Vec::new(), Vec::new());
    for target in &targets {
        let entry = known.entry(&target.base).or_insert_with(|| {
            let entry = KnownArchive::read(target, lists);
            archives.push(Arc::clone(&entry.archive));
            entry
        });
        match existing_form(&lists.join(&target.file_name)) {
            Some(path) => {
                entry.is_refreshed = true;
                // A source that is configured twice counts once.
                if indexes.iter().any(|index: &ActiveIndex| index.path == path) {
                    continue;
                }
                let archive = Arc::clone(&entry.archive);
                let (component, architecture) = (target.component.clone(), target.architecture.clone());
                indexes.push(ActiveIndex {
                    path,
                    archive,
                    component,
                    architecture,
                });
            }
            None if !target.is_optional && entry.offers(&target.key) => {
                let archive = entry.archive.address.clone();
                warnings.push(ReadWarning::MissingIndex {
                    archive,
                    index: target.key.clone(),
                });
            }
            None => {}
        }
    }
    let refreshed = |archive: &Arc<Archive>| {
        known
            .values()
            .any(|entry| entry.is_refreshed && Arc::ptr_eq(&entry.archive, archive))
    };
    for archive in archives.iter().filter(|archive| !refreshed(archive)) {
        warnings.push(ReadWarning::NeverRefreshed {
            archive: archive.address.clone(),
        });
    }
    (indexes, archives)
}

/// One stanza of APT's answer.
struct Target {
    /// The plain name in the lists folder; the file may be packed.
    file_name: String,
    /// The name below the archive.
    key: String,
    /// The archive.
    base: String,
    component: Option<String>,
    architecture: Option<String>,
    is_optional: bool,
}

impl Target {
    fn parse(stanza: Stanza<'_>) -> Option<Self> {
        let text = |name| {
            stanza
                .text(name)
                .map(String::from)
                .filter(|text| !text.is_empty())
        };
        let file = text("Filename")?;
        Some(Self {
            file_name: file
                .rsplit('/')
                .next()
                .filter(|name| !name.is_empty())?
                .to_owned(),
            key: text("MetaKey")?,
            base: text("Base-URI")?,
            component: text("Component"),
            architecture: text("Architecture"),
            is_optional: stanza.field("Optional") == Some(b"yes"),
        })
    }
}

struct KnownArchive {
    archive: Arc<Archive>,
    release: Option<Mapped>,
    is_refreshed: bool,
}

impl KnownArchive {
    fn read(target: &Target, lists: &Path) -> Self {
        let file = release_file(target, lists);
        let content = file.as_deref().and_then(|path| Mapped::open(path).ok());
        let head = content.as_deref().map(Release::parse).unwrap_or_default();
        let fetched = file
            .and_then(|path| fs::metadata(path).ok()?.modified().ok())
            .and_then(timestamp);
        let archive = Arc::new(Archive {
            address: without_credentials(&target.base),
            host: host(&target.base).to_owned(),
            origin: head.origin,
            label: head.label,
            suite: head.suite,
            codename: head.codename,
            version: head.version,
            not_automatic: head.not_automatic,
            but_automatic_upgrades: head.but_automatic_upgrades,
            released: head.date,
            fetched,
        });
        Self {
            archive,
            is_refreshed: content.is_some(),
            release: content,
        }
    }

    fn offers(&self, key: &str) -> bool {
        self.release
            .as_deref()
            .is_some_and(|bytes| release::offers(bytes, key))
    }
}

/// The Release file lies beside the index, under the same escaped address.
fn release_file(target: &Target, lists: &Path) -> Option<PathBuf> {
    let prefix = target.file_name.strip_suffix(&escaped(&target.key))?;
    ["InRelease", "Release"]
        .into_iter()
        .map(|name| lists.join(format!("{prefix}{name}")))
        .find(|path| path.exists())
}

/// A path as APT spells it in a file name.
fn escaped(path: &str) -> String {
    let mut name = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'/' => name.push('_'),
            b'\\'
            | b'|'
            | b'{'
            | b'}'
            | b'['
            | b']'
            | b'<'
            | b'>'
            | b'"'
            | b'^'
            | b'~'
            | b'_'
            | b'='
            | b'!'
            | b'@'
            | b'#'
            | b'$'
            | b'%'
            | b'&'
            | b'*'
            | 0..=b' '
            | 0x7f.. => name.push_str(&format!("%{byte:02x}")),
            plain => name.push(char::from(plain)),
        }
    }
    name
}

/// Everything behind `scheme://`, up to the path; `None` for addresses without a host.
fn authority(address: &str) -> Option<&str> {
    let (_, rest) = address.split_once("://")?;
    Some(rest.split('/').next().unwrap_or(rest))
}

/// The host of an address, without user and port; empty where it has none.
fn host(address: &str) -> &str {
    let authority = authority(address).unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    }
}

/// Passwords in addresses are for APT alone.
fn without_credentials(address: &str) -> String {
    match authority(address).and_then(|authority| authority.rsplit_once('@')) {
        Some((credentials, _)) => address.replacen(&format!("{credentials}@"), "", 1),
        None => address.to_owned(),
    }
}

pub(super) fn timestamp(time: SystemTime) -> Option<Timestamp> {
    Timestamp::try_from(time).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lose_their_credentials_and_give_their_host() {
        for (address, shown, expected) in [
            (
                "http://user:p@ss@h.example:80/d/",
                "http://h.example:80/d/",
                "h.example",
            ),
            ("copy:/srv/repo/./", "copy:/srv/repo/./", ""),
            ("https://[::1]:80/x", "https://[::1]:80/x", "::1"),
            ("mirror+file:/m.txt/", "mirror+file:/m.txt/", ""),
        ] {
            assert_eq!(
                (without_credentials(address).as_str(), host(address)),
                (shown, expected)
            );
        }
    }

    #[test]
    fn indexes_are_found_packed_and_missing_ones_are_told() {
        let lists = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(lists.path().join(name), text).unwrap();
        write(
            "h_a%5fb_InRelease",
            "Suite: stable-security\nSHA256:\n 00 1 main/x_y/Packages.xz\n",
        );
        write("h_a%5fb_main_binary-all_Packages.lz4", "");
        let target = |base: &str, file: &str, key: &str, optional: &str| {
            format!(
                "MetaKey: {key}\nFilename: /nonexistent/{file}\nBase-URI: {base}\nOptional: {optional}\nComponent: main\n\n"
            )
        };
        let answer = target(
            "http://h/a_b/",
            "h_a%5fb_main_binary-all_Packages",
            "main/binary-all/Packages",
            "yes",
        ) + &target(
            "http://h/a_b/",
            "h_a%5fb_main_x%5fy_Packages",
            "main/x_y/Packages",
            "no",
        ) + &target("http://u:p@g/", "g_Packages", "Packages", "no");
        let mut warnings = Vec::new();
        let (indexes, archives) = resolve(answer.as_bytes(), lists.path(), &mut warnings);
        assert_eq!(archives.len(), 2);
        let [index] = indexes.as_slice() else {
            panic!("{indexes:?}")
        };
        assert!(index.path.ends_with("h_a%5fb_main_binary-all_Packages.lz4"));
        assert!(index.archive.is_security() && index.archive.fetched.is_some());
        let expected = [
            ReadWarning::MissingIndex {
                archive: "http://h/a_b/".into(),
                index: "main/x_y/Packages".into(),
            },
            ReadWarning::NeverRefreshed {
                archive: "http://g/".into(),
            },
        ];
        assert_eq!(warnings, expected);
    }

    #[test]
    fn no_answer_means_no_sources() {
        let mut warnings = Vec::new();
        let (indexes, archives) = resolve(b"", Path::new("/nonexistent"), &mut warnings);
        assert!(indexes.is_empty() && archives.is_empty());
        assert_eq!(warnings, [ReadWarning::NoSources]);
    }
}
