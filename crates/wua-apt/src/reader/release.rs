//! The head of a Release or InRelease file: whose archive it is, and from when.
//!
//! Signatures are APT's business: what lies in its lists folder was verified when it was fetched.

use jiff::Timestamp;

use super::apt_config::parse_flag;
use crate::stanza::{Stanza, Stanzas};

/// What an archive says about itself; fields it does not have are `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Release {
    pub(super) origin: Option<String>,
    pub(super) label: Option<String>,
    pub(super) suite: Option<String>,
    pub(super) codename: Option<String>,
    pub(super) version: Option<String>,
    pub(super) date: Option<Timestamp>,
    pub(super) not_automatic: bool,
    pub(super) but_automatic_upgrades: bool,
}

impl Release {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let mut release = Self::default();
        for field in head(bytes).fields().map_while(Result::ok) {
            let text = String::from_utf8_lossy(field.value);
            let name = String::from_utf8_lossy(field.name).to_ascii_lowercase();
            let slot = match name.as_str() {
                "origin" => &mut release.origin,
                "label" => &mut release.label,
                "suite" => &mut release.suite,
                "codename" => &mut release.codename,
                "version" => &mut release.version,
                "date" => {
                    release.date = parse_date(&text);
                    continue;
                }
                "notautomatic" => {
                    release.not_automatic = parse_flag(&text).unwrap_or(false);
                    continue;
                }
                "butautomaticupgrades" => {
                    release.but_automatic_upgrades = parse_flag(&text).unwrap_or(false);
                    continue;
                }
                // The lists of checksums come last and are long.
                "md5sum" | "sha1" | "sha256" | "sha512" => break,
                _ => continue,
            };
            *slot = Some(text.into_owned()).filter(|text| !text.is_empty());
        }
        release
    }
}

/// The first stanza that is not the armour of a signature.
fn head(bytes: &[u8]) -> Stanza<'_> {
    let mut stanzas = Stanzas::new(bytes).map(|(_, stanza)| stanza);
    match stanzas.next() {
        Some(stanza) if stanza.bytes().starts_with(b"-----BEGIN") => stanzas.next(),
        first => first,
    }
    .unwrap_or(Stanza::new(b""))
}

/// Whether the archive offers the file `key` (a path such as `main/binary-amd64/Packages`), packed or not. An index that is
/// empty unpacked is not offered: APT stores no file for it.
pub(super) fn offers(bytes: &[u8], key: &str) -> bool {
    let needle = format!(" {key}");
    let mut is_offered = false;
    for place in memchr::memmem::find_iter(bytes, &needle) {
        let is_plain = match bytes.get(place + needle.len()) {
            None | Some(b'\n' | b'\r') => true,
            Some(b'.') => false,
            Some(_) => continue,
        };
        let size = bytes[..place].rsplit(|byte| byte.is_ascii_whitespace()).next();
        if is_plain && size == Some(b"0") {
            return false;
        }
        is_offered = true;
    }
    is_offered
}

/// `Sat, 11 Jul 2026 10:16:37 UTC`: RFC 2822 but for the name of the zone.
fn parse_date(text: &str) -> Option<Timestamp> {
    let text = match text.strip_suffix("UTC") {
        Some(rest) => format!("{rest}+0000"),
        None => text.to_owned(),
    };
    jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(&text)
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_that_is_empty_is_not_offered() {
        let text = b"SHA256:\n 00 0 main/binary-amd64/Packages\n 00 20 main/binary-amd64/Packages.gz\n 00 7 contrib/binary-amd64/Packages\n";
        assert!(!offers(text, "main/binary-amd64/Packages"));
        assert!(offers(text, "contrib/binary-amd64/Packages"));
        assert!(!offers(text, "non-free/binary-amd64/Packages"));
    }

    const SIGNED: &[u8] = b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nOrigin: Debian\nLabel: Debian\n\
        Suite: stable-backports\nCodename: x-backports\nDate: Sat, 11 Jul 2026 10:16:37 UTC\nNotAutomatic: yes\n\
        ButAutomaticUpgrades: yes\nSHA256:\n 00 1 main/binary-amd64/Packages.xz\nSuite: not-this\n\n\
        -----BEGIN PGP SIGNATURE-----\n";

    #[test]
    fn a_signed_release_is_read_behind_its_armour() {
        let release = Release::parse(SIGNED);
        assert_eq!(release.suite.as_deref(), Some("stable-backports"));
        assert_eq!(release.date, Some("2026-07-11T10:16:37Z".parse().unwrap()));
        assert!(release.not_automatic && release.but_automatic_upgrades);
        assert_eq!(release.version, None);
    }

    #[test]
    fn an_unsigned_release_is_read_too() {
        let release = Release::parse(b"Suite: stable\nDate: nonsense\nNotAutomatic: no\n");
        assert_eq!(
            (release.suite.as_deref(), release.date, release.not_automatic),
            (Some("stable"), None, false)
        );
        assert_eq!(Release::parse(b""), Release::default());
    }

    #[test]
    fn offered_files_are_known_packed_or_not() {
        assert!(offers(SIGNED, "main/binary-amd64/Packages"));
        assert!(!offers(SIGNED, "main/binary-amd64/Pack"));
        assert!(!offers(SIGNED, "binary-amd64/Packages"));
    }
}
