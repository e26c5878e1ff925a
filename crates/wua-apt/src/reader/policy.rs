//! APT's choice among versions: the priority of each, and the candidate of a package.
//!
//! Pure: reads nothing but its arguments. The rules are those of apt_preferences(5); where the manual is silent,
//! those that the APT of Debian 12 shows (the tests compare with it over random machines).

use std::cmp::Ordering;

use super::preferences::{Matcher, NEVER, NameMatcher, Pins, ReleaseMatcher, SpecificPin};
use crate::version;

/// What pins can match about a file that versions come from: an index, or dpkg's status file.
#[derive(Clone, Debug, Default)]
pub(super) struct FileTraits {
    pub(super) archive: Option<String>,
    pub(super) codename: Option<String>,
    pub(super) version: Option<String>,
    pub(super) origin: Option<String>,
    pub(super) label: Option<String>,
    pub(super) component: Option<String>,
    pub(super) architecture: Option<String>,
    /// The host; empty for local archives.
    pub(super) host: String,
    pub(super) not_automatic: bool,
    pub(super) but_automatic_upgrades: bool,
    pub(super) is_status: bool,
}

impl FileTraits {
    /// The file of installed versions.
    pub(super) fn status() -> Self {
        Self {
            archive: Some("now".to_owned()),
            is_status: true,
            ..Self::default()
        }
    }

    fn default_priority(&self) -> i32 {
        match self {
            Self { is_status: true, .. }
            | Self {
                but_automatic_upgrades: true,
                ..
            } => 100,
            Self {
                not_automatic: true, ..
            } => 1,
            _ => 500,
        }
    }
}

/// The pins, applied to the files of one machine.
#[derive(Debug)]
pub(super) struct Policy {
    files: Vec<FileTraits>,
    priorities: Vec<i32>,
    /// Whether a pin for all packages gave a file its priority.
    pinned: Vec<bool>,
    specific: Vec<SpecificPin>,
    native: String,
}

/// One version of one package, as the policy sees it.
#[derive(Clone, Debug)]
pub(super) struct Version<'a> {
    pub(super) version: &'a str,
    pub(super) source: &'a str,
    /// The files it comes from, by their number in [`Policy::new`].
    pub(super) files: Vec<usize>,
    /// It is the one on the machine.
    pub(super) is_current: bool,
}

/// A package, by the name and architecture under which APT files it (`all` counts as native).
#[derive(Clone, Copy, Debug)]
pub(super) struct PackageKey<'a> {
    pub(super) name: &'a str,
    pub(super) architecture: &'a str,
}

impl Policy {
    pub(super) fn new(pins: Pins, files: Vec<FileTraits>, native: String) -> Self {
        // The first general pin that matches a file decides, except that `never` wins wherever it stands.
        let priority = |file: &FileTraits| {
            let matching = pins.general.iter().filter(|pin| matches_file(&pin.matcher, file));
            let mut matching = matching.map(|pin| pin.priority);
            let first = matching.next()?;
            Some(if matching.any(|priority| priority == NEVER) {
                NEVER
            } else {
                first
            })
        };
        let pinned: Vec<_> = files.iter().map(priority).collect();
        let own = files.iter().map(FileTraits::default_priority);
        Self {
            priorities: pinned
                .iter()
                .zip(own)
                .map(|(pin, own)| pin.unwrap_or(own))
                .collect(),
            pinned: pinned.iter().map(Option::is_some).collect(),
            files,
            specific: pins.specific,
            native,
        }
    }

    /// Whether any pin has a say about a version.
    pub(super) fn is_pinned(&self, package: PackageKey<'_>, version: &Version<'_>) -> bool {
        version.files.iter().any(|file| self.pinned[*file])
            || self
                .specific
                .iter()
                .any(|pin| self.applies(pin, package, version))
    }

    /// The candidate among `versions` (newest first), as a place in that list, with its priority.
    /// `current` is the version on the machine.
    pub(super) fn candidate(
        &self,
        package: PackageKey<'_>,
        versions: &[Version<'_>],
        current: &str,
    ) -> Option<(usize, i32)> {
        let mut best: Option<(usize, i32)> = None;
        for (place, version) in versions.iter().enumerate() {
            let priority = self.priority(package, version);
            if priority == 0 || priority <= best.map_or(-1, |(_, best)| best) {
                continue;
            }
            if priority < 1000 && version::compare(version.version, current) == Ordering::Less {
                continue;
            }
            best = Some((place, priority));
        }
        best
    }

    fn priority(&self, package: PackageKey<'_>, version: &Version<'_>) -> i32 {
        let pinned = self
            .specific
            .iter()
            .find(|pin| self.applies(pin, package, version));
        if let Some(pin) = pinned {
            // Where all its files are never to be used, no pin of a package helps.
            if version.files.iter().any(|file| self.priorities[*file] != NEVER) {
                return pin.pin.priority;
            }
        }
        let of_file = |file: &usize| match self.files[*file].is_status && !version.is_current {
            // What the status file says about versions that are not on the machine offers nothing.
            true => -1,
            false => self.priorities[*file],
        };
        version.files.iter().map(of_file).max().unwrap_or(0)
    }

    fn applies(&self, pin: &SpecificPin, package: PackageKey<'_>, version: &Version<'_>) -> bool {
        let architecture_fits = match pin.architecture.as_deref() {
            None => package.architecture == self.native,
            Some("any") => true,
            Some(architecture) => package.architecture == architecture,
        };
        let name: &NameMatcher = &pin.name;
        architecture_fits
            && name.matches(if pin.is_source {
                version.source
            } else {
                package.name
            })
            && match &pin.pin.matcher {
                Matcher::Version(pattern) => pattern.matches(version.version),
                matcher => version
                    .files
                    .iter()
                    .any(|file| matches_file(matcher, &self.files[*file])),
            }
    }
}

fn matches_file(matcher: &Matcher, file: &FileTraits) -> bool {
    match matcher {
        Matcher::Everything => true,
        Matcher::Release(release) => matches_release(release, file),
        Matcher::Origin { is_local: true, .. } => file.host.is_empty() && !file.is_status,
        Matcher::Origin { host, .. } => !file.is_status && host.matches(&file.host),
        Matcher::Version(_) => false,
    }
}

fn matches_release(matcher: &ReleaseMatcher, file: &FileTraits) -> bool {
    let ReleaseMatcher {
        release,
        version,
        origin,
        archive,
        codename,
        label,
        component,
        architecture,
    } = matcher;
    let conditions = [
        (origin, &file.origin),
        (archive, &file.archive),
        (codename, &file.codename),
        (label, &file.label),
        (component, &file.component),
        (architecture, &file.architecture),
    ];
    let matches = |text: &Option<String>, pattern: &super::expression::Expression| {
        text.as_deref().is_some_and(|text| pattern.matches(text))
    };
    let is_empty =
        release.is_none() && version.is_none() && conditions.iter().all(|(pattern, _)| pattern.is_none());
    if is_empty {
        // Conditions that APT does not understand leave nothing to hold; then only this file matches.
        return file.is_status;
    }
    !is_empty
        && conditions
            .into_iter()
            .all(|(pattern, text)| pattern.as_ref().is_none_or(|pattern| matches(text, pattern)))
        && release
            .as_ref()
            .is_none_or(|release| matches(&file.archive, release) || matches(&file.codename, release))
        && version
            .as_ref()
            .is_none_or(|version| file.version.as_deref().is_some_and(|text| version.matches(text)))
}
