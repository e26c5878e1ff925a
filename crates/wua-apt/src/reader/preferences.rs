//! Preferences files (apt_preferences(5)): the administrator's pins, parsed.
//!
//! What a pin means for a version is decided in `policy`; here is only the reading of the files, in APT's order
//! and with APT's leniency: a record that makes no sense is left out with a warning.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::apt_config::AptConfig;
use super::expression::Expression;
use super::warning::ReadWarning;
use crate::stanza::{Stanza, Stanzas};

/// The priority `never`: below everything, and not to be outdone by another pin.
pub(super) const NEVER: i32 = i16::MIN as i32;
/// The priority of `APT::Default-Release`.
const TARGET_RELEASE: i32 = 990;

/// All pins of a machine, in the order in which they count.
#[derive(Clone, Debug, Default)]
pub(super) struct Pins {
    /// `Package: *`: they give whole index files a priority.
    pub(super) general: Vec<Pin>,
    /// Pins of named packages.
    pub(super) specific: Vec<SpecificPin>,
}

/// What is matched, and the priority it gets.
#[derive(Clone, Debug)]
pub(super) struct Pin {
    pub(super) matcher: Matcher,
    pub(super) priority: i32,
}

/// A pin with the packages it is for.
#[derive(Clone, Debug)]
pub(super) struct SpecificPin {
    pub(super) name: NameMatcher,
    /// The name is that of a source package.
    pub(super) is_source: bool,
    /// `None`: the native architecture.
    pub(super) architecture: Option<String>,
    pub(super) pin: Pin,
}

#[derive(Clone, Debug)]
pub(super) enum NameMatcher {
    Exact(String),
    Pattern(Expression),
}

/// The `Pin` field.
#[derive(Clone, Debug)]
pub(super) enum Matcher {
    /// `release *`
    Everything,
    /// `release a=…, n=…`
    Release(Box<ReleaseMatcher>),
    /// `origin HOST`; the empty host means local archives.
    Origin { host: Expression, is_local: bool },
    /// `version PATTERN`
    Version(VersionMatcher),
}

/// The conditions of a release pin; all given ones must hold.
#[derive(Clone, Debug, Default)]
pub(super) struct ReleaseMatcher {
    /// A bare word: archive or codename.
    pub(super) release: Option<Expression>,
    pub(super) version: Option<VersionMatcher>,
    pub(super) origin: Option<Expression>,
    pub(super) archive: Option<Expression>,
    pub(super) codename: Option<Expression>,
    pub(super) label: Option<Expression>,
    pub(super) component: Option<Expression>,
    pub(super) architecture: Option<Expression>,
}

/// A version: a pattern, or with a `*` at its end a beginning.
#[derive(Clone, Debug)]
pub(super) struct VersionMatcher {
    prefix: Option<String>,
    pattern: Expression,
}

impl VersionMatcher {
    fn new(text: &str) -> Self {
        let prefix = text.strip_suffix('*').map(str::to_ascii_lowercase);
        Self {
            pattern: Expression::new(prefix.as_deref().unwrap_or(text)),
            prefix,
        }
    }

    pub(super) fn matches(&self, version: &str) -> bool {
        self.prefix
            .as_ref()
            .is_some_and(|prefix| version.to_ascii_lowercase().starts_with(prefix))
            || self.pattern.matches(version)
    }
}

impl Pins {
    /// Reads the pins of the tree whose configuration this is: the target release, then the preferences file, then
    /// the files of the preferences folder by name.
    pub(super) fn read(config: &AptConfig, warnings: &mut Vec<ReadWarning>) -> Self {
        let mut pins = Self::default();
        if let Some(release) = config.get("APT::Default-Release") {
            pins.general.push(Pin {
                matcher: release_matcher(release),
                priority: TARGET_RELEASE,
            });
        }
        let main = config.path("Dir::Etc::preferences");
        let parts = config
            .path("Dir::Etc::preferencesparts")
            .map(|folder| part_files(&folder))
            .unwrap_or_default();
        for file in main.into_iter().chain(parts) {
            match fs::read(&file) {
                Ok(bytes) => pins.add_file(&bytes, &file, warnings),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => warnings.push(ReadWarning::Preferences {
                    file,
                    why: error.to_string(),
                }),
            }
        }
        pins
    }

    fn add_file(&mut self, bytes: &[u8], file: &Path, warnings: &mut Vec<ReadWarning>) {
        // Comment lines may stand anywhere, also within a record.
        let text: Vec<u8> = bytes
            .split_inclusive(|byte| *byte == b'\n')
            .filter(|line| !line.starts_with(b"#"))
            .flatten()
            .copied()
            .collect();
        for (_, record) in Stanzas::new(&text) {
            if let Err(why) = self.add_record(record) {
                warnings.push(ReadWarning::Preferences {
                    file: file.to_owned(),
                    why,
                });
            }
        }
    }

    fn add_record(&mut self, record: Stanza<'_>) -> Result<(), String> {
        if record.bytes().trim_ascii().is_empty() {
            return Ok(());
        }
        let names = record.text("Package").filter(|text| !text.is_empty());
        let names = names.ok_or("a record has no field `Package`")?;
        let Some(pin) = record.text("Pin") else {
            return Ok(());
        };
        let is_general = names == "*";
        let (kind, data) = pin
            .split_once(|c: char| c.is_ascii_whitespace())
            .unwrap_or((&pin, ""));
        let data = data.trim();
        let matcher = match kind.to_ascii_lowercase().as_str() {
            "version" if !is_general => Matcher::Version(VersionMatcher::new(data)),
            "release" => release_matcher(data),
            "origin" => origin_matcher(data),
            _ => {
                return Err(format!(
                    "the pin `{pin}` of `{names}` is of no kind that APT knows"
                ));
            }
        };
        let priority = priority(&record.text("Pin-Priority").unwrap_or_default())
            .ok_or_else(|| format!("the pin of `{names}` has no usable priority"))?;
        if priority == NEVER && !is_general {
            return Err(format!(
                "the priority `never` of `{names}` is only for records of `*`"
            ));
        }
        let pin = Pin { matcher, priority };
        if is_general {
            self.general.push(pin);
        } else {
            self.specific.extend(
                names
                    .split_ascii_whitespace()
                    .map(|name| SpecificPin::new(name, pin.clone())),
            );
        }
        Ok(())
    }
}

impl SpecificPin {
    /// `name` is `[src:]NAME[:ARCHITECTURE]`, the name itself perhaps a pattern.
    fn new(name: &str, pin: Pin) -> Self {
        let (name, is_source) = name
            .strip_prefix("src:")
            .map_or((name, false), |name| (name, true));
        let (name, architecture) = match name.rsplit_once(':') {
            Some((name, architecture)) => (name, Some(architecture.to_owned())),
            None => (name, None),
        };
        let is_pattern = name.starts_with('/') || name.contains(['*', '[', '?']);
        let name = match is_pattern {
            true => NameMatcher::Pattern(Expression::new(name)),
            false => NameMatcher::Exact(name.to_owned()),
        };
        Self {
            name,
            is_source,
            architecture,
            pin,
        }
    }
}

impl NameMatcher {
    pub(super) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == name,
            Self::Pattern(pattern) => pattern.matches(name),
        }
    }
}

/// Zero has no meaning, and what does not fit APT's numbers is no priority.
fn priority(text: &str) -> Option<i32> {
    if text.eq_ignore_ascii_case("never") {
        return Some(NEVER);
    }
    text.parse::<i16>()
        .ok()
        .map(i32::from)
        .filter(|priority| *priority != 0 && *priority != NEVER)
}

fn origin_matcher(data: &str) -> Matcher {
    let host = data
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(data);
    Matcher::Origin {
        host: Expression::new(host),
        is_local: host.is_empty(),
    }
}

fn release_matcher(data: &str) -> Matcher {
    if data == "*" {
        return Matcher::Everything;
    }
    let mut matcher = ReleaseMatcher::default();
    if !data.contains('=') {
        match data.starts_with(|c: char| c.is_ascii_digit()) {
            true => matcher.version = Some(VersionMatcher::new(data)),
            false => matcher.release = Some(Expression::new(data)),
        }
        return Matcher::Release(Box::new(matcher));
    }
    for condition in data.split(',').map(str::trim) {
        let Some((key, value)) = condition.split_once('=').filter(|(_, value)| !value.is_empty()) else {
            continue;
        };
        let slot = match key.to_ascii_lowercase().as_str() {
            // Without its star nothing is left of this one, and APT takes it for not given.
            "v" if value == "*" => continue,
            "v" => {
                matcher.version = Some(VersionMatcher::new(value));
                continue;
            }
            "o" => &mut matcher.origin,
            "a" => &mut matcher.archive,
            "n" => &mut matcher.codename,
            "l" => &mut matcher.label,
            "c" => &mut matcher.component,
            "b" => &mut matcher.architecture,
            _ => continue,
        };
        *slot = Some(Expression::new(value));
    }
    Matcher::Release(Box::new(matcher))
}

/// The files of the preferences folder that APT would read, by name.
fn part_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<_> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| is_part_name(name))
        .collect();
    names.sort_unstable();
    names
        .into_iter()
        .map(|name| folder.join(name))
        .filter(|path| path.is_file())
        .collect()
}

/// No extension or `.pref`, and only letters, digits, hyphens, underscores and periods.
fn is_part_name(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    !name.starts_with('.')
        && matches!(extension, None | Some("pref"))
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Reads preferences, and asks them about a package.
#[cfg(fuzzing)]
pub(super) fn fuzz(bytes: &[u8]) {
    let mut pins = Pins::default();
    pins.add_file(bytes, Path::new("fuzz"), &mut Vec::new());
    for pin in &pins.specific {
        pin.name.matches("libc6");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pins(text: &str) -> (Pins, Vec<ReadWarning>) {
        let (mut pins, mut warnings) = (Pins::default(), Vec::new());
        pins.add_file(text.as_bytes(), Path::new("preferences"), &mut warnings);
        (pins, warnings)
    }

    #[test]
    fn records_are_read_with_comments_and_several_names() {
        let (pins, warnings) = pins(
            "# a comment\nExplanation: why\nPackage: a src:b:any\n# within\nPin: version 1.*\nPin-Priority: 1001\n\n\n\
             Package: *\nPin: release a=stable, n=x\nPin-Priority: never\n",
        );
        assert!(warnings.is_empty(), "{warnings:?}");
        assert_eq!((pins.specific.len(), pins.general.len()), (2, 1));
        assert_eq!(
            (
                pins.specific[1].is_source,
                pins.specific[1].architecture.as_deref()
            ),
            (true, Some("any"))
        );
        assert_eq!(
            (pins.specific[0].pin.priority, pins.general[0].priority),
            (1001, NEVER)
        );
    }

    #[test]
    fn records_without_sense_are_left_out_with_a_warning() {
        for bad in [
            "Pin: release *\nPin-Priority: 1\n",
            "Package: a\nPin: moon full\nPin-Priority: 1\n",
            "Package: *\nPin: version 1\nPin-Priority: 1\n",
            "Package: a\nPin: version 1\nPin-Priority: 0\n",
            "Package: a\nPin: version 1\nPin-Priority: 99999\n",
            "Package: a\nPin: version 1\n",
            "Package: a\nPin: version 1\nPin-Priority: never\n",
        ] {
            let (pins, warnings) = pins(bad);
            assert_eq!(
                (pins.general.len() + pins.specific.len(), warnings.len()),
                (0, 1),
                "{bad}"
            );
        }
    }

    #[test]
    fn only_files_with_apts_kind_of_name_are_read() {
        for (name, expected) in [
            ("a", true),
            ("a.pref", true),
            ("a.b.pref", true),
            ("a.dpkg-old", false),
            (".a", false),
            ("a b", false),
        ] {
            assert_eq!(is_part_name(name), expected, "{name}");
        }
    }
}
