//! Which settings hold: the administrator's policy wins over what was set through the API, and that over the defaults.
//!
//! Documents are merged by whole top-level keys, so that every value has one origin that can be named.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use wua_types::api::{SettingDocument, SettingOrigin};

use super::settings::{AutomaticSettings, SettingsError};

/// Keys that only the policy may have: programs that run as root never come from a client.
pub const POLICY_ONLY: [&str; 2] = ["health_command", "tell_command"];

/// Some of the settings: only the keys that somebody wrote, each of them valid.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>", into = "Map<String, Value>")]
pub struct PartialSettings(Map<String, Value>);

impl TryFrom<Map<String, Value>> for PartialSettings {
    type Error = SettingsError;
    fn try_from(document: Map<String, Value>) -> Result<Self, SettingsError> {
        // One at a time, so that the error can name the key.
        for (key, value) in &document {
            let alone = Value::Object(Map::from_iter([(key.clone(), value.clone())]));
            let settings: AutomaticSettings =
                serde_json::from_value(alone).map_err(|error| SettingsError::new(key, error.to_string()))?;
            settings.validate()?;
            let understood = self::document(&settings).remove(key);
            if understood.is_some_and(|understood| is_list_for_keys(value, &understood)) {
                return Err(SettingsError::new(
                    key,
                    "a list stands where keys and values belong",
                ));
            }
        }
        Ok(Self(document))
    }
}

/// Whether `written` has a list where `understood` has keys: serde takes the values of a struct without their names, too.
fn is_list_for_keys(written: &Value, understood: &Value) -> bool {
    match (written, understood) {
        (Value::Array(_), Value::Object(_)) => true,
        (Value::Array(written), Value::Array(understood)) => written
            .iter()
            .zip(understood)
            .any(|(written, understood)| is_list_for_keys(written, understood)),
        (Value::Object(written), Value::Object(understood)) => written.iter().any(|(key, value)| {
            understood
                .get(key)
                .is_some_and(|understood| is_list_for_keys(value, understood))
        }),
        _ => false,
    }
}

impl From<PartialSettings> for Map<String, Value> {
    fn from(settings: PartialSettings) -> Self {
        settings.0
    }
}

impl PartialSettings {
    /// What a client of the API wants to be set.
    ///
    /// # Errors
    /// A value cannot be, or the key is one of [`POLICY_ONLY`].
    pub fn from_client(document: Map<String, Value>) -> Result<Self, SettingsError> {
        match POLICY_ONLY.into_iter().find(|key| document.contains_key(*key)) {
            Some(key) => Err(SettingsError::new(key, "only the policy file may name programs")),
            None => Self::try_from(document),
        }
    }

    /// Takes a key's value from `settings`; `key` is one of theirs.
    pub(super) fn set(&mut self, key: &str, settings: &AutomaticSettings) {
        if let Some(value) = document(settings).remove(key) {
            self.0.insert(key.into(), value);
        }
    }

    /// Says nothing of `key` any more.
    pub(super) fn unset(&mut self, key: &str) {
        self.0.remove(key);
    }
}

/// The settings that hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Merged {
    settings: AutomaticSettings,
    /// The keys that somebody wrote.
    origins: BTreeMap<String, SettingOrigin>,
}

impl Merged {
    /// Lets `policy` win over `stored`, and both over the defaults. Keys of `stored` that only the policy may have do not count.
    pub fn of(policy: &PartialSettings, stored: &PartialSettings) -> Self {
        let stored = stored
            .0
            .iter()
            .filter(|(key, _)| !POLICY_ONLY.contains(&key.as_str()));
        let written = stored
            .map(|pair| (pair, SettingOrigin::Settings))
            .chain(policy.0.iter().map(|pair| (pair, SettingOrigin::Policy)));
        let (mut merged, mut origins) = (Map::new(), BTreeMap::new());
        for ((key, value), origin) in written {
            merged.insert(key.clone(), value.clone());
            origins.insert(key.clone(), origin);
        }
        let settings = serde_json::from_value(Value::Object(merged))
            .expect("each key was read alone when its document was");
        Self { settings, origins }
    }

    /// The settings.
    pub fn settings(&self) -> &AutomaticSettings {
        &self.settings
    }

    /// Where the value of a top-level key comes from.
    pub fn origin(&self, key: &str) -> SettingOrigin {
        self.origins.get(key).copied().unwrap_or(SettingOrigin::Default)
    }

    /// Every value with its origin.
    pub fn shown(&self) -> Vec<SettingDocument> {
        document(&self.settings)
            .into_iter()
            .map(|(key, value)| SettingDocument {
                origin: self.origin(&key),
                key,
                value,
            })
            .collect()
    }
}

/// The settings as a document with every key.
fn document(settings: &AutomaticSettings) -> Map<String, Value> {
    match serde_json::to_value(settings) {
        Ok(Value::Object(document)) => document,
        other => unreachable!("settings are an object of plain values: {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Level;

    fn partial(text: &str) -> PartialSettings {
        toml::from_str(text).expect("a valid document")
    }

    #[test]
    fn the_policy_wins_over_settings_and_settings_over_defaults() {
        let policy = partial("level = 'download'");
        let stored = partial("level = 'install'\nretries = 5");
        let merged = Merged::of(&policy, &stored);
        assert_eq!(
            (merged.settings().level, merged.origin("level")),
            (Level::Download, SettingOrigin::Policy)
        );
        assert_eq!(
            (merged.settings().retries, merged.origin("retries")),
            (5, SettingOrigin::Settings)
        );
        assert_eq!(
            (merged.settings().check_hours, merged.origin("check_hours")),
            (12, SettingOrigin::Default)
        );
    }

    #[test]
    fn every_key_is_shown_with_its_origin() {
        let shown = Merged::of(&partial("retries = 3"), &PartialSettings::default()).shown();
        assert_eq!(shown.len(), 19);
        let policy: Vec<_> = shown
            .iter()
            .filter(|shown| shown.origin == SettingOrigin::Policy)
            .collect();
        assert_eq!(
            policy.len(),
            1,
            "a default that the policy repeats is the policy's"
        );
        assert_eq!(
            serde_json::to_string(policy[0]).expect("JSON"),
            r#"{"key":"retries","value":3,"origin":"policy"}"#
        );
    }

    #[test]
    fn an_error_names_its_key() {
        for (document, key) in [
            (r#"{"retries":"many"}"#, "retries"),
            (r#"{"level":"all"}"#, "level"),
            (r#"{"x":1}"#, "x"),
        ] {
            let error = PartialSettings::try_from(serde_json::from_str::<Map<_, _>>(document).expect("JSON"));
            assert_eq!(error.expect_err(document).key, key);
        }
    }

    #[test]
    fn a_client_cannot_name_a_program() {
        let document: Map<_, _> = serde_json::from_str(r#"{"tell_command":["/bin/sh"]}"#).expect("JSON");
        let error = PartialSettings::from_client(document.clone()).expect_err("refused");
        assert_eq!(error.key, "tell_command");
        // A file that was tampered with does not get further.
        let stored = PartialSettings::try_from(document).expect("a valid value");
        assert!(
            Merged::of(&PartialSettings::default(), &stored)
                .settings()
                .tell_command
                .is_empty()
        );
    }
}
