//! Which updates go by themselves: allow and exclude rules, dated holds, and versions that are left out.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use wua_types::{MsrcSeverity, Update};

use super::memory::Memory;
use super::pattern::{Glob, Pattern};
use super::settings::AutomaticSettings;

/// What an update must be for a rule to fit. Written as one key and its value, `{ name = "linux-*" }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Of this source package, or changing this package.
    Name(Glob),
    /// With a title that this regular expression fits.
    Title(Pattern),
    /// In the category with this name or id. Upper and lower case are the same.
    Category(String),
    /// Of exactly this severity.
    Severity(MsrcSeverity),
    /// Fixing such a vulnerability, `CVE-2026-*`.
    Cve(Glob),
}

impl Rule {
    /// Whether it fits `update`.
    pub fn matches(&self, update: &Update) -> bool {
        match self {
            Self::Name(name) => is_named(update, name),
            Self::Title(pattern) => pattern.matches(&update.title),
            Self::Category(text) => update.categories.iter().any(|category| {
                category.name.eq_ignore_ascii_case(text) || category.id.to_string().eq_ignore_ascii_case(text)
            }),
            Self::Severity(severity) => update.msrc_severity == Some(*severity),
            Self::Cve(glob) => update.cve_ids.iter().any(|cve| glob.matches(cve)),
        }
    }

    /// Whether nothing is written in it.
    pub fn is_empty(&self) -> bool {
        self.to_string().ends_with("``")
    }
}

/// Whether the update is of a source package with that name, or changes a package with it.
fn is_named(update: &Update, name: &Glob) -> bool {
    let source = update.title.split(' ').next().unwrap_or_default();
    name.matches(source)
        || update
            .packages()
            .iter()
            .any(|package| name.matches(&package.name))
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(glob) => write!(f, "name `{glob}`"),
            Self::Title(pattern) => write!(f, "title `{pattern}`"),
            Self::Category(name) => write!(f, "category `{name}`"),
            Self::Severity(severity) => write!(f, "severity `{severity:?}`"),
            Self::Cve(glob) => write!(f, "cve `{glob}`"),
        }
    }
}

/// Leaves updates alone until a date.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// The source package or package.
    pub name: Glob,
    /// The first day on which they go again, `"2026-12-24"`.
    pub until: Date,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Whether an update goes by itself, and if not, why not.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It goes.
    Goes,
    /// The administrator hid it.
    Hidden,
    /// The settings skip this version.
    Skipped,
    /// A hold leaves it alone.
    Held(Hold),
    /// A rule excludes it.
    Excluded(Rule),
    /// There are rules for what is allowed, and none fits.
    NotAllowed,
    /// It is optional, and nobody selected it.
    Optional,
    /// Its installation may ask questions.
    NeedsInput,
    /// Nobody accepted its licence terms.
    TermsNotAccepted,
    /// It was installed, the machine was not well, and it was taken back.
    WasUndone,
}

impl Verdict {
    /// Whether only a person can take it further: wua will not come back to it, and nobody has refused it.
    pub fn waits_for_a_person(&self) -> bool {
        match self {
            Self::Goes | Self::Hidden | Self::Skipped | Self::Held(_) => false,
            Self::Excluded(_)
            | Self::NotAllowed
            | Self::Optional
            | Self::NeedsInput
            | Self::TermsNotAccepted
            | Self::WasUndone => true,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Goes => f.write_str("It is installed automatically."),
            Self::Hidden => f.write_str("It is hidden."),
            Self::Skipped => f.write_str("This version is skipped."),
            Self::Held(hold) => {
                write!(f, "It is held until {}", hold.until)?;
                match &hold.reason {
                    Some(reason) => write!(f, ": {reason}."),
                    None => f.write_str("."),
                }
            }
            Self::Excluded(rule) => write!(f, "It is excluded by the rule for {rule}."),
            Self::NotAllowed => f.write_str("No rule allows it."),
            Self::Optional => f.write_str("It is optional and waits to be selected."),
            Self::NeedsInput => f.write_str("Its installation may ask questions."),
            Self::TermsNotAccepted => f.write_str("Its licence terms are not accepted yet."),
            Self::WasUndone => f.write_str("It was taken back because the machine was not well with it."),
        }
    }
}

/// Says whether `update` goes by itself on the day `today`.
///
/// What the administrator said comes first, and of that the narrower before the wider.
pub fn judge(settings: &AutomaticSettings, memory: &Memory, update: &Update, today: Date) -> Verdict {
    let is_held = |hold: &&Hold| today < hold.until && is_named(update, &hold.name);
    if update.is_hidden {
        Verdict::Hidden
    } else if settings.skip.iter().any(|entry| is_version(update, entry)) {
        Verdict::Skipped
    } else if let Some(hold) = settings.holds.iter().find(is_held) {
        Verdict::Held(hold.clone())
    } else if let Some(rule) = settings.exclude.iter().find(|rule| rule.matches(update)) {
        Verdict::Excluded(rule.clone())
    } else if !settings.allow.is_empty() && !settings.allow.iter().any(|rule| rule.matches(update)) {
        Verdict::NotAllowed
    } else if update.browse_only {
        Verdict::Optional
    } else if !update.eula_accepted {
        Verdict::TermsNotAccepted
    } else if update
        .installation_behavior
        .is_some_and(|behavior| behavior.can_request_user_input)
    {
        Verdict::NeedsInput
    } else if memory.was_undone(update.identity) {
        Verdict::WasUndone
    } else {
        Verdict::Goes
    }
}

/// Whether `entry` names this version.
fn is_version(update: &Update, entry: &str) -> bool {
    entry == update.title
        || entry.eq_ignore_ascii_case(&update.id().to_string())
        || entry.eq_ignore_ascii_case(&update.identity.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use wua_testkit::UpdateBuilder;
    use wua_types::Category;

    fn judged(document: &str, update: &Update) -> String {
        let settings: AutomaticSettings = toml::from_str(document).expect("settings");
        judge(&settings, &Memory::default(), update, date(2026, 11, 24)).to_string()
    }

    fn check(document: &str, expected: &str) {
        let mut update = UpdateBuilder::new("openssl")
            .category(Category::security_updates())
            .build();
        update.cve_ids = vec!["CVE-2026-1234".into()];
        update.msrc_severity = Some(MsrcSeverity::Important);
        assert_eq!(judged(document, &update), expected, "{document}");
    }

    const GOES: &str = "It is installed automatically.";

    #[test]
    fn without_rules_everything_goes() {
        check("", GOES);
    }

    #[test]
    fn one_fitting_rule_is_enough_to_be_allowed() {
        check("allow = [{ name = 'curl' }]", "No rule allows it.");
        check("allow = [{ name = 'curl' }, { name = 'open*' }]", GOES);
        check("allow = [{ category = 'security updates' }]", GOES);
        check(
            "allow = [{ category = '0FA1201D-4330-4fa8-8ae9-b877473b6441' }]",
            GOES,
        );
        check("allow = [{ severity = 'Important' }]", GOES);
        check("allow = [{ severity = 'Critical' }]", "No rule allows it.");
        check("allow = [{ cve = 'cve-2026-*' }]", GOES);
        check("allow = [{ title = '^openssl 2$' }]", GOES);
    }

    #[test]
    fn what_is_excluded_does_not_go_although_it_is_allowed() {
        let document = "allow = [{ severity = 'Important' }]\nexclude = [{ name = '*ssl' }]";
        check(document, "It is excluded by the rule for name `*ssl`.");
    }

    #[test]
    fn a_hold_ends_on_its_date() {
        let hold =
            |until| format!("holds = [{{ name = 'openssl', until = '{until}', reason = 'a test runs' }}]");
        check(&hold("2026-11-25"), "It is held until 2026-11-25: a test runs.");
        check(&hold("2026-11-24"), GOES);
    }

    #[test]
    fn a_skipped_version_is_named_by_id_revision_or_title() {
        let update = UpdateBuilder::new("openssl").build();
        let (id, identity) = (update.id().to_string(), update.identity.to_string());
        for entry in [&id, &identity, "openssl 2"] {
            assert_eq!(
                judged(&format!("skip = ['{entry}']"), &update),
                "This version is skipped."
            );
        }
        assert_eq!(judged(&format!("skip = ['{id}.2', 'openssl 3']"), &update), GOES);
    }

    #[test]
    fn what_needs_a_person_does_not_go() {
        let asking = UpdateBuilder::new("a").asking().build();
        assert_eq!(judged("", &asking), "Its installation may ask questions.");
        let terms = UpdateBuilder::new("a").with_declined_terms().build();
        assert_eq!(judged("", &terms), "Its licence terms are not accepted yet.");
    }
}
