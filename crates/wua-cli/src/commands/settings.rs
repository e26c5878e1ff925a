//! `wua settings` and `wua agent simulate`: what is done by itself, when, and why.

use jiff::{SignedDuration, Zoned};
use serde_json::{Map, Value, json};
use wua_agent::schedule::{Happening, Script, Situation, simulate as play};
use wua_agent::settings;
use wua_types::api::SettingOrigin;
use wua_types::{
    Category, InstallationBehavior, InstallationRebootBehavior, Update, UpdateId, UpdateIdentity,
};

use crate::arguments::SettingsCommand;
use crate::exit_code::Exit;
use crate::front::Front;
use crate::problem::Problem;
use crate::text::{moment, one_line, wrap};

pub(crate) fn run(front: &Front, command: Option<SettingsCommand>) -> Result<Exit, Problem> {
    match command {
        None => {}
        Some(SettingsCommand::Set { key, value }) => {
            // A word need not be quoted as JSON wants it.
            let value = serde_json::from_str(&value).unwrap_or(Value::String(value));
            change(front, key, value)?;
        }
        Some(SettingsCommand::Unset { key }) => change(front, key, Value::Null)?,
    }
    show(front)
}

fn change(front: &Front, key: String, value: Value) -> Result<(), Problem> {
    front.need_permission("settings set")?;
    let wishes = Map::from_iter([(key, value)]);
    match front.agent() {
        Some(agent) => drop(agent.change_settings(&wishes)?),
        None => settings::change(front.session.machine(), wishes)?,
    }
    Ok(())
}

fn show(front: &Front) -> Result<Exit, Problem> {
    let merged = settings::of(front.session.machine())?;
    let shown = merged.shown();
    // Only the agent does anything by itself, so only it knows.
    let next = front
        .watcher()
        .and_then(|agent| agent.settings().ok())
        .and_then(|settings| settings.next);
    let screen = front.screen;
    if screen.is_text() {
        for setting in &shown {
            let origin = match setting.origin {
                SettingOrigin::Policy => "  (policy)",
                SettingOrigin::Settings => "  (set)",
                SettingOrigin::Default => "",
            };
            screen.line(format!(
                "{:<22} {}{origin}",
                setting.key,
                one_line(&plain(&setting.value))
            ));
        }
        screen.line("");
        match &next {
            Some(next) => {
                wrap(&next.why, screen.width(), "")
                    .into_iter()
                    .for_each(|line| screen.line(line));
                if let Some(at) = next.at {
                    screen.line(format!("It is decided again at {} at the latest.", moment(at)));
                }
            }
            None => screen.line("No agent runs here, so nothing is done by itself; `wua agent run` is one."),
        }
    }
    front.result(json!({ "settings": shown, "next": next }));
    Ok(Exit::Done)
}

/// A value as people write it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".into(),
        Value::Array(list) if list.is_empty() => "none".into(),
        value => value.to_string(),
    }
}

/// Plays the settings that hold, from now on: with the updates that are pending, and some that are made up.
pub(crate) fn simulate(front: &Front, days: u16) -> Result<Exit, Problem> {
    let merged = settings::of(front.session.machine())?;
    let pending = front.search("", false)?.updates;
    let start = Zoned::now();
    let script = Script {
        situation: Situation {
            pending,
            booted: start.timestamp(),
            ..Situation::default()
        },
        settings: merged.settings().clone(),
        happenings: (0..days).step_by(3).map(publication).collect(),
        start,
        days,
    };
    let events = play(&script);
    if front.screen.is_text() {
        for event in &events {
            let head = event.at.strftime("%a %Y-%m-%d %H:%M");
            front.screen.line(format!("{head}  {}", one_line(&event.what)));
            wrap(&event.why, front.screen.width(), "                      ")
                .into_iter()
                .for_each(|line| front.screen.line(line));
        }
        front
            .screen
            .line("Updates called `example` are made up; nothing was done.");
    }
    let told: Vec<_> = events
        .iter()
        .map(|event| json!({ "at": event.at.timestamp(), "what": event.what, "why": event.why }))
        .collect();
    front.result(json!({ "events": told }));
    Ok(Exit::Done)
}

/// A made-up update on some day: now and then one of the kernel's kind, which needs a restart.
fn publication(day: u16) -> (SignedDuration, Happening) {
    let identity = UpdateIdentity {
        update_id: UpdateId(uuid::Uuid::from_u128(u128::from(day) + 1)),
        revision_number: 1,
    };
    let mut update = Update::new(identity, format!("example {}.0", day + 1));
    update.eula_accepted = true;
    update.categories = vec![Category::security_updates()];
    update.installation_behavior = Some(InstallationBehavior::quiet(if day.is_multiple_of(2) {
        InstallationRebootBehavior::NeverReboots
    } else {
        InstallationRebootBehavior::AlwaysRequiresReboot
    }));
    let at = SignedDuration::from_hours(24 * i64::from(day) + 6);
    (at, Happening::Offered(Box::new(update)))
}
