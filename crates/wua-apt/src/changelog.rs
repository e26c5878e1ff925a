//! What an update changes, in its makers' words: the changelog inside its archive, kept beside the store.
//!
//! Indexes know neither urgency nor CVE numbers (apt.md 4.2). When an archive has been fetched its changelog is taken
//! out once and kept as `STORE/changelogs/SHA256`, so that later searches, which write nothing and must be quick,
//! read a small text instead of unpacking archives. Only the entries above the installed version are ever shown.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use wua_engine::store::ContentStore;
use wua_types::MsrcSeverity;

use crate::deb;
use crate::text::turns_direction;
use crate::version;

/// The most of a changelog that is kept and shown, in bytes; the newest entries come first.
const MAX_TEXT: u64 = 128 << 10;
/// How much of an archive's data is unpacked in search of the changelog. Documentation lies towards the end, so for
/// very large archives it stays unknown; a smaller sister package usually has it.
const MAX_UNPACKED: u64 = 64 << 20;

/// The entries of a changelog that are new for the machine, and what they say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// The entries as written.
    pub(crate) text: String,
    /// Every CVE number they name, sorted.
    pub(crate) cve_ids: Vec<String>,
    /// The gravest urgency.
    pub(crate) severity: Option<MsrcSeverity>,
}

/// Takes the changelog out of an archive in the store and keeps it. What cannot be found is left unknown.
pub(crate) fn keep(store: &ContentStore, sha256: &str, package: &str) -> io::Result<()> {
    let (Ok(archive), Some(target)) = (store.path(sha256), kept_path(store, sha256)) else {
        return Ok(());
    };
    if target.exists() {
        return Ok(());
    }
    let doc = Path::new("usr/share/doc").join(package);
    // A native package has one changelog only.
    let places = [doc.join("changelog.Debian.gz"), doc.join("changelog.gz")];
    let wanted = |path: &Path| places.iter().any(|place| place == path);
    let packed = match deb::data_file(&archive, wanted, MAX_UNPACKED, MAX_TEXT) {
        Ok(Some(packed)) => packed,
        Ok(None) => return Ok(()),
        Err(error) => {
            tracing::debug!(%sha256, %error, "no changelog");
            return Ok(());
        }
    };
    let mut text = Vec::new();
    // A cut or damaged text is shown as far as it goes.
    let _ = flate2::read::GzDecoder::new(&*packed)
        .take(MAX_TEXT)
        .read_to_end(&mut text);
    let folder = target.parent().expect("a kept path has a folder");
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&text)?;
    fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.persist(&target).map_err(|error| error.error)?;
    Ok(())
}

/// Reads what was kept of an archive's changelog: the entries above `installed`.
pub(crate) fn read(store: &ContentStore, sha256: &str, installed: &str) -> Option<Changes> {
    let mut bytes = Vec::new();
    File::open(kept_path(store, sha256)?)
        .ok()?
        .take(MAX_TEXT)
        .read_to_end(&mut bytes)
        .ok()?;
    let changes = parse(&String::from_utf8_lossy(&bytes), installed);
    (!changes.text.is_empty()).then_some(changes)
}

/// Forgets the changelogs of archives that have left the store.
pub(crate) fn prune(store: &ContentStore) {
    let Ok(entries) = fs::read_dir(store.folder().join("changelogs")) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        if name
            .to_str()
            .is_some_and(|name| store.path(name).is_ok() && !store.has(name))
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn kept_path(store: &ContentStore, sha256: &str) -> Option<PathBuf> {
    // The store's own check makes sure that the hash is one, and so a safe name.
    store.path(sha256).ok()?;
    Some(store.folder().join("changelogs").join(sha256))
}

fn parse(text: &str, installed: &str) -> Changes {
    let mut changes = Changes::default();
    let mut cve_ids = BTreeSet::new();
    for line in text.lines() {
        if let Some(head) = Head::parse(line) {
            if version::compare(head.version, installed) != Ordering::Greater {
                break;
            }
            changes.severity = changes.severity.max(head.urgency);
        } else if changes.text.is_empty() {
            // Whatever stands before the first entry belongs to none.
            continue;
        }
        cve_ids.extend(cve_numbers(line));
        changes.text.extend(
            line.chars()
                .filter(|letter| (!letter.is_control() || *letter == '\t') && !turns_direction(*letter)),
        );
        changes.text.push('\n');
    }
    changes.text.truncate(changes.text.trim_end().len());
    changes.cve_ids = cve_ids.into_iter().collect();
    changes
}

/// The first line of an entry: `SOURCE (VERSION) SUITE…; urgency=URGENCY`.
struct Head<'a> {
    version: &'a str,
    urgency: Option<MsrcSeverity>,
}

impl<'a> Head<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        if line.starts_with([' ', '\t']) {
            return None;
        }
        let (_, rest) = line.split_once(" (")?;
        let (version, rest) = rest.split_once(") ")?;
        let (_, settings) = rest.split_once(';')?;
        let urgency = settings.split(',').find_map(|setting| {
            let (key, value) = setting.split_once('=')?;
            key.trim()
                .eq_ignore_ascii_case("urgency")
                .then(|| severity(value.trim()))?
        });
        version::is_version(version).then_some(Self { version, urgency })
    }
}

fn severity(urgency: &str) -> Option<MsrcSeverity> {
    // A comment may follow the word.
    match urgency.split_whitespace().next()?.to_ascii_lowercase().as_str() {
        "emergency" | "critical" => Some(MsrcSeverity::Critical),
        "high" => Some(MsrcSeverity::Important),
        "medium" => Some(MsrcSeverity::Moderate),
        "low" => Some(MsrcSeverity::Low),
        _ => None,
    }
}

fn cve_numbers(line: &str) -> impl Iterator<Item = String> {
    line.match_indices("CVE-").filter_map(|(place, _)| {
        let rest = &line[place + 4..];
        let (year, rest) = rest.split_at_checked(4)?;
        let digits = rest.strip_prefix('-')?;
        let length = digits.bytes().take_while(u8::is_ascii_digit).count();
        let is_number = year.bytes().all(|byte| byte.is_ascii_digit()) && (4..=12).contains(&length);
        is_number.then(|| format!("CVE-{year}-{}", &digits[..length]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "postbird (3.8.1-2+deb12u2) security; urgency=medium\n\n  * CVE-2026-18802: crafted input \
        (see CVE-2025-0001, CVE-20-1).\n\n -- A <a@b.invalid>  Tue, 14 Apr 2026 09:30:00 +0000\n\n\
        postbird (3.8.1-2+deb12u1) security; urgency=high\n\n  * Fix.\n\n -- A <a@b.invalid>  date\n\n\
        postbird (3.8.1-2) unstable; urgency=emergency\n\n  * CVE-2020-1111.\n";

    #[test]
    fn only_the_entries_above_the_installed_version_count() {
        let changes = parse(TEXT, "3.8.1-2");
        assert_eq!(changes.cve_ids, ["CVE-2025-0001", "CVE-2026-18802"]);
        assert_eq!(changes.severity, Some(MsrcSeverity::Important));
        assert!(changes.text.starts_with("postbird (3.8.1-2+deb12u2)") && changes.text.ends_with("date"));
        assert_eq!(parse(TEXT, "3.8.1-2+deb12u2"), Changes::default());
        assert_eq!(
            parse(TEXT, "3.8.1-2+deb12u1").severity,
            Some(MsrcSeverity::Moderate)
        );
    }

    #[test]
    fn a_text_without_entries_says_nothing() {
        for text in [
            "",
            "no head\n  * CVE-2026-1234\n",
            "a (not a version) b; urgency=low\n",
            "é (1\n",
        ] {
            assert_eq!(parse(text, "1"), Changes::default(), "{text}");
        }
    }
}
