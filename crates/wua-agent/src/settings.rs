//! The settings of automatic updates: what holds and where it comes from, what will happen next and why, and how they are changed.

use serde_json::{Map, Value};
use wua_engine::state::{PublicState, State};
use wua_engine::{Failure, Machine, Policy};
use wua_types::HResult;
use wua_types::api::{AutomaticUpdatesDocument, NextDocument, SettingOrigin, SettingsDocument};

use crate::machine::Agent;
use crate::problem::Problem;
use crate::schedule::{Merged, PartialSettings, SettingsError};

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

/// Changes settings: each key of `wishes` to its value, or with null back to what holds without it. All or nothing.
///
/// # Errors
/// `E_INVALIDARG` for a key or value that cannot be, `E_ACCESSDENIED` for one that the policy decides, or the state's own code.
pub fn change(machine: &Machine, wishes: Map<String, Value>) -> Result<(), Failure> {
    let before = of(machine)?;
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
    use crate::schedule::AutomaticSettings;

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
        assert_eq!(examples.len(), 8, "{examples:#?}");
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
