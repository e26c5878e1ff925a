//! What an index says about one version of one package.

use std::sync::Arc;

use super::indexes::Archive;
use super::source_of;
use crate::stanza::{Stanza, StanzaError};
use crate::text::harmless;
use crate::version;

/// One version of a package as the archives offer it. Relationship fields are the raw text (deb-control(5)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArchiveRecord {
    /// The package's name.
    pub package: String,
    /// Its architecture, `all` included.
    pub architecture: String,
    /// Its version.
    pub version: String,
    /// The source package it was built from.
    pub source: String,
    /// The version of that source package.
    pub source_version: String,
    /// Where the archive file lies, below the archive's base.
    pub filename: String,
    /// The size of the archive file, in bytes.
    pub size: u64,
    /// Its SHA-256 sum, in lower-case hex.
    pub sha256: String,
    /// The space it takes when installed, in bytes, as estimated by its makers.
    pub installed_size: Option<u64>,
    /// Its section.
    pub section: Option<String>,
    /// Its priority.
    pub priority: Option<String>,
    /// Its homepage.
    pub homepage: Option<String>,
    /// The first line of its description.
    pub description: Option<String>,
    /// `Essential: yes`.
    pub essential: bool,
    /// `Multi-Arch`.
    pub multi_arch: Option<String>,
    /// `Depends`.
    pub depends: Option<String>,
    /// `Pre-Depends`.
    pub pre_depends: Option<String>,
    /// `Recommends`.
    pub recommends: Option<String>,
    /// `Conflicts`.
    pub conflicts: Option<String>,
    /// `Breaks`.
    pub breaks: Option<String>,
    /// `Replaces`.
    pub replaces: Option<String>,
    /// `Provides`.
    pub provides: Option<String>,
    /// To how many machines of a hundred it is offered (`Phased-Update-Percentage`); 100 where nothing is said.
    pub phased_percentage: u8,
    /// All archives that offer it; the first is the one APT would fetch it from.
    pub archives: Vec<Arc<Archive>>,
}

/// Why a stanza describes no version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RecordError {
    #[error(transparent)]
    Stanza(#[from] StanzaError),
    #[error("it has no field `{0}`")]
    Missing(&'static str),
    #[error("its field `{0}` makes no sense: `{1}`")]
    Nonsense(&'static str, String),
}

impl ArchiveRecord {
    /// Whether an archive that offers it carries security updates (rule U1).
    pub fn is_security(&self) -> bool {
        self.archives.iter().any(|archive| archive.is_security())
    }

    /// Its relation fields as a stanza of their own.
    pub(crate) fn relations(&self) -> Vec<u8> {
        let fields = [
            ("Depends", &self.depends),
            ("Pre-Depends", &self.pre_depends),
            ("Recommends", &self.recommends),
            ("Conflicts", &self.conflicts),
            ("Breaks", &self.breaks),
            ("Provides", &self.provides),
        ];
        let lines = fields
            .into_iter()
            .filter_map(|(name, text)| Some(format!("{name}: {}\n", text.as_ref()?)));
        lines.collect::<String>().into_bytes()
    }

    pub(super) fn parse(stanza: Stanza<'_>, archives: Vec<Arc<Archive>>) -> Result<Self, RecordError> {
        let mut record = Self {
            phased_percentage: 100,
            archives,
            ..Self::default()
        };
        let mut source = None;
        for field in stanza.fields() {
            let field = field?;
            let text = || String::from_utf8_lossy(field.value).into_owned();
            // What is shown to people.
            let shown = || harmless(&String::from_utf8_lossy(field.value));
            match field.name.to_ascii_lowercase().as_slice() {
                b"package" => record.package = text(),
                b"architecture" => record.architecture = text(),
                b"version" => record.version = text(),
                b"source" => source = Some(text()),
                b"filename" => record.filename = text(),
                b"size" => record.size = number("Size", &text())?,
                b"sha256" => record.sha256 = text().to_ascii_lowercase(),
                // The field counts kibibytes.
                b"installed-size" => {
                    record.installed_size = text().parse().ok().and_then(|size: u64| size.checked_mul(1024))
                }
                b"section" => record.section = Some(shown()),
                b"priority" => record.priority = Some(shown()),
                b"homepage" => record.homepage = Some(shown()),
                b"description" => record.description = text().lines().next().map(harmless),
                b"essential" => record.essential = field.value == b"yes",
                b"multi-arch" => record.multi_arch = Some(text()),
                b"depends" => record.depends = Some(text()),
                b"pre-depends" => record.pre_depends = Some(text()),
                b"recommends" => record.recommends = Some(text()),
                b"conflicts" => record.conflicts = Some(text()),
                b"breaks" => record.breaks = Some(text()),
                b"replaces" => record.replaces = Some(text()),
                b"provides" => record.provides = Some(text()),
                b"phased-update-percentage" => {
                    record.phased_percentage =
                        text().parse().ok().filter(|share| *share <= 100).unwrap_or(100);
                }
                _ => {}
            }
        }
        record.check()?;
        (record.source, record.source_version) =
            source_of(source.as_deref(), &record.package, &record.version);
        // They become titles and parts of ids.
        if !is_source_name(&record.source) {
            return Err(RecordError::Nonsense("Source", harmless(&record.source)));
        }
        if !version::is_version(&record.source_version) {
            return Err(RecordError::Nonsense("Source", harmless(&record.source_version)));
        }
        Ok(record)
    }

    fn check(&self) -> Result<(), RecordError> {
        let needed = [
            ("Package", &self.package),
            ("Version", &self.version),
            ("Architecture", &self.architecture),
            ("Filename", &self.filename),
        ];
        if let Some((name, _)) = needed.into_iter().find(|(_, value)| value.is_empty()) {
            return Err(RecordError::Missing(name));
        }
        if !version::is_version(&self.version) {
            return Err(RecordError::Nonsense("Version", harmless(&self.version)));
        }
        // A part of an address.
        if self.filename.chars().any(char::is_control) {
            return Err(RecordError::Nonsense("Filename", harmless(&self.filename)));
        }
        let is_hash = self.sha256.len() == 64 && self.sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !self.sha256.is_empty() && !is_hash {
            return Err(RecordError::Nonsense("SHA256", harmless(&self.sha256)));
        }
        Ok(())
    }
}

fn number(name: &'static str, text: &str) -> Result<u64, RecordError> {
    text.parse()
        .map_err(|_| RecordError::Nonsense(name, harmless(text)))
}

/// Letters that a name of a source package can have; more than Debian allows, for the archives of others are laxer.
fn is_source_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "Package: a\nVersion: 1:2+b1\nArchitecture: all\nSource: src (1:2)\nFilename: pool/a.deb\n\
        Size: 10\nInstalled-Size: 3\nDescription: short\n long\nPhased-Update-Percentage: 30\nEssential: yes\n";

    fn parse(text: &str) -> Result<ArchiveRecord, RecordError> {
        ArchiveRecord::parse(Stanza::new(text.as_bytes()), Vec::new())
    }

    #[test]
    fn a_whole_stanza_is_read() {
        let record = parse(WHOLE).unwrap();
        assert_eq!((&*record.source, &*record.source_version), ("src", "1:2"));
        assert_eq!((record.size, record.installed_size), (10, Some(3072)));
        assert_eq!(record.description.as_deref(), Some("short"));
        assert_eq!((record.phased_percentage, record.essential), (30, true));
    }

    #[test]
    fn a_damaged_stanza_says_what_is_wrong() {
        let check = |from: &str, to: &str, expected: &str| {
            assert_eq!(parse(&WHOLE.replace(from, to)).unwrap_err().to_string(), expected);
        };
        check(
            "Size: 10\n",
            "Size: ten\n",
            "its field `Size` makes no sense: `ten`",
        );
        check("Filename: pool/a.deb\n", "", "it has no field `Filename`");
        check("1:2+b1", "one", "its field `Version` makes no sense: `one`");
        check(
            "Size: 10\n",
            "SHA256: 12\n",
            "its field `SHA256` makes no sense: `12`",
        );
        check("Size: 10\n", "Size 10\n", "a line has no colon");
    }

    #[test]
    fn texts_cannot_command_a_terminal() {
        let hostile = WHOLE
            .replace("short", "sh\u{1b}[2Jort\u{202e}")
            .replace("Size: 10\n", "Size: 10\nHomepage: http://h/\u{7}x\u{2066}\n");
        let record = parse(&hostile).unwrap();
        assert_eq!(record.description.as_deref(), Some("sh[2Jort"));
        assert_eq!(record.homepage.as_deref(), Some("http://h/x"));
    }

    #[test]
    fn a_source_that_is_no_name_or_version_is_refused() {
        for (source, expected) in [
            ("s\u{1b}[2Jc", "its field `Source` makes no sense: `s[2Jc`"),
            ("src (1\u{1b}[2J)", "its field `Source` makes no sense: `1[2J`"),
            ("../src", "its field `Source` makes no sense: `../src`"),
        ] {
            let error = parse(&WHOLE.replace("src (1:2)", source)).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        assert_eq!(
            parse(&WHOLE.replace("src (1:2)", "My_src")).unwrap().source,
            "My_src"
        );
    }
}
