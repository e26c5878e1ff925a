//! Which of the updates found a command is about, and why the others are left out.

use std::str::FromStr;

use regex::{Regex, RegexBuilder};
use wua_types::{Update, UpdateId};

/// The reason of an update that no word of the selection fits.
pub(crate) const NOT_SELECTED: &str = "not selected";

/// One word of a selection.
#[derive(Clone, Debug)]
pub(crate) enum Selector {
    /// The update's source package, or one of its packages, with or without architecture.
    Name(String),
    /// The update's id.
    Id(UpdateId),
    /// A category by the beginning of its name, or by its id.
    Category(String),
    /// A CVE number.
    Cve(String),
    /// A regular expression on the title.
    Title(Regex),
}

impl FromStr for Selector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        match text.split_once(':') {
            Some((_, "")) => Err(format!("`{text}` names nothing after the colon")),
            Some(("category", name)) => Ok(Self::Category(name.to_lowercase())),
            Some(("cve", number)) => Ok(Self::Cve(number.to_uppercase())),
            Some(("title", pattern)) => RegexBuilder::new(pattern)
                .case_insensitive(true)
                .build()
                .map(Self::Title)
                .map_err(|error| error.to_string()),
            _ if text.is_empty() || text.starts_with('-') => Err(format!("`{text}` is no name")),
            // A title has a blank before the version, and that may have an epoch.
            Some((prefix, architecture)) if !prefix.contains(' ') && !is_architecture(architecture) => {
                Err(format!(
                    "`{prefix}:` begins no selection; `category:`, `cve:`, `title:` and NAME:ARCHITECTURE do"
                ))
            }
            _ => Ok(Self::Name(text.to_owned())),
        }
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Id(id) => id.fmt(f),
            Self::Category(name) => write!(f, "category:{name}"),
            Self::Cve(number) => write!(f, "cve:{number}"),
            Self::Title(pattern) => write!(f, "title:{pattern}"),
        }
    }
}

impl Selector {
    pub(crate) fn matches(&self, update: &Update) -> bool {
        match self {
            Self::Name(name) => is_named(update, name),
            Self::Id(id) => update.id() == *id,
            Self::Category(name) => update.categories.iter().any(|category| {
                category.name.to_lowercase().starts_with(name) || category.id.to_string() == *name
            }),
            Self::Cve(number) => update.cve_ids.iter().any(|known| known == number),
            Self::Title(pattern) => pattern.is_match(&update.title),
        }
    }
}

/// Whether a word can be a Debian architecture, such as `amd64`, `all` or `hurd-i386`.
fn is_architecture(word: &str) -> bool {
    const CPUS: [&str; 30] = [
        "all", "alpha", "amd64", "any", "arc", "arm64", "armel", "armhf", "hppa", "i386", "ia64", "loong64",
        "m68k", "mips", "mips64", "mips64el", "mipsel", "powerpc", "ppc64", "ppc64el", "riscv64", "s390x",
        "sh4", "sparc", "sparc64", "x32", "amd64v3", "arm", "armeb", "or1k",
    ];
    CPUS.contains(&word.rsplit('-').next().unwrap_or(word))
}

/// The source package of an update: the first word of its title (design.md section 4).
pub(crate) fn source_name(update: &Update) -> &str {
    update.title.split(' ').next().unwrap_or(&update.title)
}

fn is_named(update: &Update, name: &str) -> bool {
    update.title == name
        || source_name(update) == name
        || update
            .packages()
            .iter()
            .any(|package| package.name == name || package.label() == name)
}

/// What was chosen and what was not.
#[derive(Debug, Default)]
pub(crate) struct Selected {
    pub(crate) chosen: Vec<Update>,
    pub(crate) left_out: Vec<(Update, Vec<String>)>,
    /// The wanted selectors that fit no update.
    pub(crate) idle: Vec<Selector>,
    /// The excluding selectors that fit no update.
    pub(crate) idle_exclusions: Vec<Selector>,
}

/// Chooses from what was found: everything where `wanted` is empty, less what is excluded.
pub(crate) fn select(found: Vec<Update>, wanted: &[Selector], excluded: &[Selector]) -> Selected {
    let is_idle = |selector: &&Selector| !found.iter().any(|update| selector.matches(update));
    let idle = wanted.iter().filter(is_idle).cloned().collect();
    let idle_exclusions = excluded.iter().filter(is_idle).cloned().collect();
    let mut selected = Selected {
        idle,
        idle_exclusions,
        ..Selected::default()
    };
    for update in found {
        let mut reasons: Vec<String> = Vec::new();
        if !wanted.is_empty() && !wanted.iter().any(|selector| selector.matches(&update)) {
            reasons.push(NOT_SELECTED.into());
        }
        let by = excluded.iter().filter(|selector| selector.matches(&update));
        reasons.extend(by.map(|selector| format!("excluded by `{selector}`")));
        if reasons.is_empty() {
            selected.chosen.push(update);
        } else {
            selected.left_out.push((update, reasons));
        }
    }
    selected
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;
    use wua_types::{Category, UpdateIdentity};

    fn update(number: u128, title: &str) -> Update {
        let identity = UpdateIdentity {
            update_id: UpdateId(Uuid::from_u128(number)),
            revision_number: 1,
        };
        Update {
            categories: vec![Category::security_updates()],
            ..Update::new(identity, title)
        }
    }

    fn titles(wanted: &[&str], excluded: &[&str]) -> Vec<String> {
        let parse = |words: &[&str]| {
            words
                .iter()
                .map(|word| word.parse().expect("a selector"))
                .collect::<Vec<Selector>>()
        };
        let found = vec![update(1, "harbour 2.0"), update(2, "inkpot 1.1")];
        let selected = select(found, &parse(wanted), &parse(excluded));
        selected.chosen.into_iter().map(|update| update.title).collect()
    }

    #[test]
    fn updates_are_chosen_by_name_id_category_and_title() {
        assert_eq!(titles(&["harbour"], &[]), ["harbour 2.0"]);
        assert_eq!(
            titles(&["00000000-0000-0000-0000-000000000002"], &[]),
            ["inkpot 1.1"]
        );
        assert_eq!(titles(&["category:security"], &["inkpot"]), ["harbour 2.0"]);
        assert_eq!(titles(&["title:^INK"], &[]), ["inkpot 1.1"]);
        assert_eq!(titles(&[], &["title:2\\.0$"]), ["inkpot 1.1"]);
    }

    #[test]
    fn a_prefix_that_begins_no_selection_is_refused() {
        for text in [
            "foo:bar",
            "categorie:security",
            "title: ",
            "inkpot:amd46",
            "inkpot:",
        ] {
            assert_eq!(text.parse::<Selector>().is_err(), text != "title: ", "{text}");
        }
        for text in ["inkpot:amd64", "libquay1:all", "inkpot 1:4.2-1", "g++-12"] {
            assert!(
                matches!(text.parse(), Ok(Selector::Name(name)) if name == text),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_left_out_says_why_and_idle_words_are_named() {
        let wanted = ["nothing".parse().expect("a name")];
        let excluded = ["nobody".parse().expect("a name")];
        let selected = select(vec![update(1, "harbour 2.0")], &wanted, &excluded);
        assert_eq!(selected.left_out[0].1, ["not selected"]);
        assert_eq!((selected.idle.len(), selected.idle_exclusions.len()), (1, 1));
    }
}
