//! The candidates of all installed packages, from the kept stanzas and the policy.
//!
//! Versions that APT takes for one and the same (same version, same size and relations) are merged first, as APT
//! does it: the merged version has the archives of both, and an installed version that an archive still offers has
//! that archive's priority.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use super::indexes::ActiveIndex;
use super::phasing::{Phasing, PhasingPolicy};
use super::policy::{PackageKey, Policy, Version};
use super::record::ArchiveRecord;
use super::scan::{Found, Scanned};
use super::source_of;
use super::warning::ReadWarning;
use crate::dpkg::{DpkgDatabase, InstalledPackage};
use crate::stanza::Stanza;
use crate::version;

/// A newer version that APT would choose for an installed package.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The version on the machine.
    pub installed_version: String,
    /// What the archives say about the new one.
    pub record: ArchiveRecord,
    /// Its priority by APT's policy.
    pub pin_priority: i32,
    /// The package is on hold: APT leaves it out of upgrades.
    pub held: bool,
    /// Whether this machine's turn has come.
    pub phasing: Phasing,
}

/// What decides about candidates.
pub(super) struct Rules<'a> {
    pub(super) policy: Policy,
    pub(super) phasing: PhasingPolicy,
    pub(super) indexes: &'a [ActiveIndex],
    pub(super) native: &'a str,
}

/// The candidates of the packages on the machine, sorted as those are, and whether a pin touches any version of those packages.
/// `scanned` goes with the rules' indexes.
pub(super) fn candidates(
    installed: &DpkgDatabase,
    scanned: &[&Scanned],
    rules: &Rules<'_>,
    warnings: &mut Vec<ReadWarning>,
) -> (Vec<Candidate>, bool) {
    let mut offered: HashMap<(Cow<'_, str>, Cow<'_, str>), Vec<Offer<'_>>> = HashMap::new();
    for (file, scanned) in scanned.iter().enumerate() {
        for found in &scanned.found {
            let place = Place { file, found };
            match Offer::parse(found.stanza(), OfferedBy::Index(place)) {
                Ok((name, architecture, offer)) => {
                    let architecture = filed_under(architecture, rules.native);
                    offered.entry((name, architecture)).or_default().push(offer);
                }
                Err(why) => note(place, rules, &why, warnings),
            }
        }
    }
    let mut candidates = Vec::new();
    let mut has_pins = false;
    for package in installed.present() {
        let architecture = filed_under(Cow::Borrowed(&package.architecture), rules.native);
        let key = (Cow::Borrowed(package.name.as_str()), architecture);
        let Some(offers) = offered.remove(&key) else {
            continue;
        };
        let key = PackageKey {
            name: &package.name,
            architecture: &key.1,
        };
        candidates.extend(choose(package, key, offers, rules, &mut has_pins, warnings));
    }
    (candidates, has_pins)
}

/// APT files packages for all architectures under the native one.
fn filed_under<'a>(architecture: Cow<'a, str>, native: &'a str) -> Cow<'a, str> {
    if architecture == "all" {
        Cow::Borrowed(native)
    } else {
        architecture
    }
}

fn choose(
    package: &InstalledPackage,
    key: PackageKey<'_>,
    offers: Vec<Offer<'_>>,
    rules: &Rules<'_>,
    has_pins: &mut bool,
    warnings: &mut Vec<ReadWarning>,
) -> Option<Candidate> {
    let mut list = VersionList::default();
    for offer in offers {
        list.add(offer);
    }
    list.add(Offer::parse(package.stanza(), OfferedBy::Installed).ok()?.2);

    let status_file = rules.indexes.len();
    let versions: Vec<_> = list.0.iter().map(|entry| entry.for_policy(status_file)).collect();
    *has_pins = *has_pins
        || versions
            .iter()
            .any(|version| rules.policy.is_pinned(key, version));
    let (place, pin_priority) = rules.policy.candidate(key, &versions, &package.version)?;
    let on_machine = list.0.iter().position(|entry| entry.is_installed)?;
    // APT's list is sorted, so what stands before the installed version is newer, or a rebuild of the same number.
    if place >= on_machine {
        return None;
    }
    let entry = &list.0[place];
    let first = entry.indexes.first()?;
    let archives = entry.archives(rules.indexes);
    let record = match ArchiveRecord::parse(first.found.stanza(), archives) {
        Ok(record) => record,
        Err(why) => {
            note(*first, rules, &why.to_string(), warnings);
            return None;
        }
    };
    let skips_security = list.0[place + 1..on_machine].iter().any(|entry| {
        let mut suites = entry
            .indexes
            .iter()
            .filter_map(|place| rules.indexes[place.file].archive.suite.as_deref());
        suites.any(|suite| suite.ends_with("-security"))
    });
    let phasing = rules.phasing.decide(
        record.phased_percentage,
        skips_security,
        &record.source,
        &record.source_version,
    );
    let installed_version = package.version.clone();
    Some(Candidate {
        installed_version,
        record,
        pin_priority,
        held: package.is_held(),
        phasing,
    })
}

/// One damaged stanza a file is enough.
fn note(place: Place<'_>, rules: &Rules<'_>, why: &str, warnings: &mut Vec<ReadWarning>) {
    let path = &rules.indexes[place.file].path;
    let is_same =
        |warning: &ReadWarning| matches!(warning, ReadWarning::DamagedIndex { file, .. } if file == path);
    if !warnings.iter().any(is_same) {
        warnings.push(place.found.damage(path, why));
    }
}

/// A kept stanza and the number of its index.
#[derive(Clone, Copy)]
struct Place<'a> {
    file: usize,
    found: &'a Found,
}

/// Where a version comes from.
#[derive(Clone, Copy)]
enum OfferedBy<'a> {
    Index(Place<'a>),
    Installed,
}

/// A version of a package in one file.
struct Offer<'a> {
    version: Cow<'a, str>,
    source: String,
    identity: Identity<'a>,
    by: OfferedBy<'a>,
}

/// What APT compares to tell whether two entries of one version number are the same package.
#[derive(Default)]
struct Identity<'a> {
    is_for_all: bool,
    size: Option<&'a [u8]>,
    multi_arch: &'a [u8],
    /// The values of [`DESCRIBED`].
    described: [&'a [u8]; DESCRIBED.len()],
}

/// The fields that belong to the identity of a version.
const DESCRIBED: [&str; 6] = [
    "Installed-Size",
    "Depends",
    "Pre-Depends",
    "Conflicts",
    "Breaks",
    "Replaces",
];

impl<'a> Offer<'a> {
    /// Reads a stanza; gives name and architecture, too.
    fn parse(stanza: Stanza<'a>, by: OfferedBy<'a>) -> Result<(Cow<'a, str>, Cow<'a, str>, Self), String> {
        let (mut name, mut architecture, mut version, mut source) = (None, None, None, None);
        let mut identity = Identity::default();
        for field in stanza.fields() {
            let field = field.map_err(|error| error.to_string())?;
            let is = |name: &str| field.name.eq_ignore_ascii_case(name.as_bytes());
            let slot = match field.name.first().map(u8::to_ascii_lowercase) {
                Some(b'p') if is("Package") => &mut name,
                Some(b'a') if is("Architecture") => &mut architecture,
                Some(b'v') if is("Version") => &mut version,
                Some(b's') if is("Source") => &mut source,
                Some(b's') if is("Size") => &mut identity.size,
                Some(b'm') if is("Multi-Arch") => {
                    identity.multi_arch = field.value;
                    continue;
                }
                Some(b'i' | b'd' | b'p' | b'c' | b'b' | b'r') => {
                    if let Some(place) = DESCRIBED.iter().position(|name| is(name)) {
                        identity.described[place] = field.value;
                    }
                    continue;
                }
                _ => continue,
            };
            *slot = Some(field.value);
        }
        let text = |value: Option<&'a [u8]>, name: &str| {
            value
                .map(String::from_utf8_lossy)
                .ok_or_else(|| format!("it has no field `{name}`"))
        };
        let (name, version) = (text(name, "Package")?, text(version, "Version")?);
        if !version::is_version(&version) {
            return Err(format!("`{version}` is no Debian version"));
        }
        identity.is_for_all = architecture == Some(b"all");
        let source = source.map(String::from_utf8_lossy);
        let source = source_of(source.as_deref(), &name, &version).0;
        Ok((
            name,
            text(architecture, "Architecture")?,
            Self {
                version,
                source,
                identity,
                by,
            },
        ))
    }
}

impl Identity<'_> {
    fn is_same(&self, other: &Self) -> bool {
        // The status file knows no size.
        let sizes_agree = self.size.is_none() || other.size.is_none() || self.size == other.size;
        sizes_agree
            && self.is_for_all == other.is_for_all
            && is_alike(&[self.multi_arch], &[other.multi_arch])
            && is_alike(&self.described, &other.described)
    }
}

/// Whether fields say the same but for what dpkg changes; mostly it changes nothing.
fn is_alike(one: &[&[u8]], other: &[&[u8]]) -> bool {
    one == other || normalised(one).eq(normalised(other))
}

/// The text without what dpkg changes when it records a package: blanks, case, `<` for `<=`.
fn normalised<'a>(fields: &'a [&'a [u8]]) -> impl Iterator<Item = u8> + 'a {
    let bytes = fields.iter().flat_map(|field| field.iter());
    bytes
        .filter(|byte| !byte.is_ascii_whitespace() && **byte != b'=')
        .map(u8::to_ascii_lowercase)
}

/// The versions of one package, newest first; of one number, those of archives before the installed one.
#[derive(Default)]
struct VersionList<'a>(Vec<ListedVersion<'a>>);

/// A version with everywhere it comes from.
struct ListedVersion<'a> {
    version: Cow<'a, str>,
    source: String,
    identity: Identity<'a>,
    indexes: Vec<Place<'a>>,
    is_installed: bool,
}

impl<'a> VersionList<'a> {
    /// Adds a version, or merges it with one that is the same. Archives come first, in their order.
    fn add(&mut self, offer: Offer<'a>) {
        let mut place = self.0.len();
        for (at, known) in self.0.iter_mut().enumerate() {
            match version::compare(&offer.version, &known.version) {
                Ordering::Greater => {
                    place = at;
                    break;
                }
                Ordering::Equal if known.identity.is_same(&offer.identity) => {
                    known.add(offer.by);
                    return;
                }
                _ => {}
            }
        }
        let Offer {
            version,
            source,
            identity,
            by,
        } = offer;
        let mut entry = ListedVersion {
            version,
            source,
            identity,
            indexes: Vec::new(),
            is_installed: false,
        };
        entry.add(by);
        self.0.insert(place, entry);
    }
}

impl<'a> ListedVersion<'a> {
    fn add(&mut self, by: OfferedBy<'a>) {
        match by {
            OfferedBy::Index(place) => self.indexes.push(place),
            OfferedBy::Installed => self.is_installed = true,
        }
    }

    fn for_policy(&self, status_file: usize) -> Version<'_> {
        let mut files: Vec<_> = self.indexes.iter().map(|place| place.file).collect();
        if self.is_installed {
            files.push(status_file);
        }
        Version {
            version: &self.version,
            source: &self.source,
            files,
            is_current: self.is_installed,
        }
    }

    fn archives(&self, indexes: &[ActiveIndex]) -> Vec<Arc<super::Archive>> {
        let mut archives: Vec<Arc<super::Archive>> = Vec::new();
        for place in &self.indexes {
            let archive = &indexes[place.file].archive;
            if !archives.iter().any(|known| Arc::ptr_eq(known, archive)) {
                archives.push(Arc::clone(archive));
            }
        }
        archives
    }
}
