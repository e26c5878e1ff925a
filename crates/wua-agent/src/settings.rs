//! The settings of automatic updates: what holds and where it comes from, what will happen next and why, and how they are changed.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use wua_engine::state::{PublicState, State};
use wua_engine::{Failure, Machine, Policy};
use wua_types::api::{AutomaticUpdatesDocument, NextDocument, SettingOrigin, SettingsDocument};
use wua_types::{AutomaticUpdatesNotificationLevel, AutomaticUpdatesScheduledInstallationDay, HResult};

use crate::machine::Agent;
use crate::problem::Problem;
use crate::schedule::{AutomaticSettings, Merged, PartialSettings, SettingsError};

/// `[automatic]` of the policy.
///
/// # Errors
/// `E_INVALIDARG`: a value cannot be so. Only the key is told, since whoever reads this may not be allowed to read the policy.
pub fn of_policy(policy: &Policy) -> Result<PartialSettings, Failure> {
    PartialSettings::try_from(policy.automatic.clone()).map_err(|error| {
        let what = format!(
            "the policy's `[automatic]` is not valid: `{}` cannot be so",
            error.key
        );
        Failure::new(error.code(), what)
    })
}

/// The settings that hold on a machine: its policy's, and below them those that were set.
///
/// # Errors
/// The policy or what was set is not valid, or cannot be read.
pub fn of(machine: &Machine) -> Result<Merged, Failure> {
    let state = PublicState::read(&machine.folders)
        .map_err(|error| Failure::because(error.code(), "cannot read what was set", error))?;
    let stored = PartialSettings::try_from(state.settings.into_iter().collect::<Map<_, _>>());
    Ok(Merged::of(
        &of_policy(&machine.policy)?,
        &stored.map_err(refused)?,
    ))
}

fn refused(error: SettingsError) -> Failure {
    Failure::new(error.code(), error.to_string())
}

/// The key under which the API's own terms may be set, and their names as `GET /settings` shows them.
const THEIR_TERMS: &str = "automatic_updates";

/// Changes settings: each key of `wishes` to its value, or with null back to what holds without it; `automatic_updates` holds
/// those of `IAutomaticUpdatesSettings`. All or nothing.
///
/// # Errors
/// `E_INVALIDARG` for a key or value that cannot be, `E_ACCESSDENIED` for one that the policy decides, or the state's own code.
pub fn change(machine: &Machine, mut wishes: Map<String, Value>) -> Result<(), Failure> {
    let before = of(machine)?;
    if let Some(terms) = wishes.remove(THEIR_TERMS) {
        wishes.extend(in_our_terms(terms, before.settings())?);
    }
    if let Some(key) = wishes
        .keys()
        .find(|key| before.origin(key) == SettingOrigin::Policy)
    {
        let what = format!(
            "the policy decides `{key}`: change `[automatic]` in `/etc/wua/wua.toml`, which wins over what is set"
        );
        return Err(Failure::new(HResult::E_ACCESSDENIED, what));
    }
    let (set, taken_back): (Map<_, _>, Map<_, _>) =
        wishes.into_iter().partition(|(_, value)| !value.is_null());
    PartialSettings::from_client(set.clone()).map_err(refused)?;
    let is_known = |key: &String| before.shown().iter().any(|shown| shown.key == *key);
    if let Some(key) = taken_back.keys().find(|key| !is_known(key)) {
        return Err(Failure::new(
            HResult::E_INVALIDARG,
            format!("there is no setting `{key}`"),
        ));
    }
    let values: Vec<_> = set
        .into_iter()
        .map(|(key, value)| (key, Some(value)))
        .chain(taken_back.into_iter().map(|(key, _)| (key, None)))
        .collect();
    State::open(&machine.folders)
        .and_then(|mut state| state.set_settings(&values))
        .map_err(|error| Failure::because(error.code(), "cannot write what is set", error))
}

/// Settings of `IAutomaticUpdatesSettings`, as far as somebody wants them changed.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct TheirTerms {
    notification_level: Option<AutomaticUpdatesNotificationLevel>,
    scheduled_installation_day: Option<AutomaticUpdatesScheduledInstallationDay>,
    scheduled_installation_time: Option<i32>,
    paused: Option<bool>,
}

/// How long `Pause` lasts, documented so (rule R48).
const PAUSE: SignedDuration = SignedDuration::from_hours(8);

/// What they mean here; null where they take a key back.
fn in_our_terms(terms: Value, now: &AutomaticSettings) -> Result<Map<String, Value>, Failure> {
    let terms: TheirTerms = serde_json::from_value::<Map<String, Value>>(terms)
        .and_then(|terms| serde_json::from_value(terms.into()))
        .map_err(|error| Failure::because(HResult::E_INVALIDARG, "the settings are not understood", error))?;
    let mut ours = PartialSettings::default();
    if let Some(day) = terms.scheduled_installation_day {
        ours.put_scheduled_installation_day(day, now);
    }
    if let Some(hour) = terms.scheduled_installation_time {
        // A day that was just put stays.
        let with_day = Merged::of(&ours, &PartialSettings::default());
        let now = if terms.scheduled_installation_day.is_some() {
            with_day.settings()
        } else {
            now
        };
        ours.put_scheduled_installation_time(hour, now).map_err(refused)?;
    }
    let mut ours = Map::from(ours);
    if let Some(level) = terms.notification_level {
        let mut alone = PartialSettings::default();
        alone.put_notification_level(level);
        ours.insert(
            "level".into(),
            Map::from(alone).remove("level").unwrap_or_default(),
        );
    }
    if let Some(paused) = terms.paused {
        let until = paused.then(|| (Timestamp::now() + PAUSE).to_string());
        ours.insert("paused_until".into(), until.into());
    }
    Ok(ours)
}

/// The settings that hold, and what follows from them.
pub(crate) fn document(agent: &Agent) -> Result<SettingsDocument, Problem> {
    let merged = of(agent.machine())?;
    let standing = agent.standing();
    let settings = merged.settings();
    Ok(SettingsDocument {
        automatic_updates: AutomaticUpdatesDocument {
            notification_level: merged.notification_level(),
            scheduled_installation_day: settings.scheduled_installation_day(),
            scheduled_installation_time: settings.scheduled_installation_time(),
            paused: settings
                .paused_until
                .is_some_and(|until| until > Timestamp::now()),
        },
        settings: merged.shown(),
        next: standing.decision.map(|decision| NextDocument {
            what: decision.act.to_string(),
            why: decision.why,
            at: decision.next.map(|next| next.timestamp()),
        }),
        last_check: standing.memory.last_check,
        last_installation: standing.memory.last_installation,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_terms_of_the_windows_update_agent_are_understood() {
        let now = AutomaticSettings::default();
        let change = |terms: Value| in_our_terms(terms, &now).map(Value::Object);
        let sundays = json!({ "notification_level": 4, "scheduled_installation_day": 1, "scheduled_installation_time": 22 });
        let ours = change(sundays).expect("understood");
        assert_eq!(ours["level"], "install");
        assert_eq!(
            ours["windows"],
            json!([{ "days": ["sun"], "start": "22:00", "length_minutes": 120 }])
        );
        // Not configured: what holds without it.
        assert_eq!(
            change(json!({ "notification_level": 0 })).expect("understood"),
            json!({ "level": null })
        );
        let paused = change(json!({ "paused": true })).expect("understood");
        let until: Timestamp = paused["paused_until"]
            .as_str()
            .and_then(|until| until.parse().ok())
            .expect("a moment");
        let hours = until.duration_since(Timestamp::now()).as_secs_f64() / 3600.0;
        assert!((7.9..=8.0).contains(&hours), "{hours}");
        assert_eq!(
            change(json!({ "paused": false })).expect("understood"),
            json!({ "paused_until": null })
        );
        assert!(change(json!({ "scheduled_installation_time": 24 })).is_err());
        assert!(change(json!({ "notification_level": 9 })).is_err());
        assert!(change(json!({ "colour": "red" })).is_err());
    }

    #[test]
    fn the_policy_that_the_document_shows_is_the_one_without_a_file() {
        let document = include_str!("../../../docs/policy.md");
        let text = document
            .split("```")
            .nth(1)
            .and_then(|block| block.strip_prefix("toml\n"))
            .expect("a block of TOML");
        let shown = Policy::parse(text, "policy.md".as_ref()).expect("valid");
        let merged = Merged::of(&of_policy(&shown).expect("valid"), &PartialSettings::default());
        assert_eq!(*merged.settings(), AutomaticSettings::default());
        let without = Policy {
            automatic: Map::new(),
            ..shown
        };
        assert_eq!(without, Policy::default());
        // What stands there as an example can be so, too.
        let examples = text.lines().filter_map(|line| line.strip_prefix("# "));
        let examples: Vec<&str> = examples
            .filter(|line| line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')))
            .collect();
        assert_eq!(examples.len(), 9, "{examples:#?}");
        for line in examples
            .into_iter()
            .filter(|line| !line.starts_with("script_limit_seconds"))
        {
            let policy =
                Policy::parse(&format!("[automatic]\n{line}\n"), "policy.md".as_ref()).expect("valid");
            of_policy(&policy).unwrap_or_else(|error| panic!("{line}: {}", error.sentence()));
        }
    }
}
