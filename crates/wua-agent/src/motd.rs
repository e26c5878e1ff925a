//! What whoever logs in is told: a file that the login shows (`/etc/update-motd.d`), written when it changes.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;

use wua_engine::Folders;
use wua_types::Category;

use crate::schedule::{Act, Decision, Situation};

/// Writes what there is to tell. That it could not be written is in nobody's way.
pub(crate) fn publish(folders: &Folders, situation: &Situation, decision: &Decision) {
    let text = text(situation, decision);
    let path = folders.motd();
    if fs::read_to_string(&path).is_ok_and(|before| before == text) {
        return;
    }
    let write = || -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folders.state())?;
        file.write_all(text.as_bytes())?;
        file.as_file()
            .set_permissions(fs::Permissions::from_mode(0o644))?;
        file.persist(&path)?;
        Ok(())
    };
    if let Err(error) = write() {
        tracing::warn!(%error, "the message of the day is not up to date");
    }
}

fn text(situation: &Situation, decision: &Decision) -> String {
    let mut lines = Vec::new();
    let count = situation.pending.len();
    let security = Category::security_updates().id;
    let is_urgent =
        |update: &&wua_types::Update| update.categories.iter().any(|category| category.id == security);
    let urgent = situation.pending.iter().filter(is_urgent).count();
    match (count, urgent) {
        (0, _) => {}
        (1, 0) => lines.push("1 update can be installed: `wua search` shows it.".to_owned()),
        (_, 0) => lines.push(format!(
            "{count} updates can be installed: `wua search` lists them."
        )),
        (1, _) => lines.push("1 security update can be installed: `wua search` shows it.".to_owned()),
        (_, _) => lines.push(format!(
            "{count} updates can be installed, {urgent} of them for security: `wua search` lists them."
        )),
    }
    match &situation.restart_pending {
        None => {}
        Some(packages) if packages.is_empty() => {
            lines.push("This machine must be restarted to finish updates.".into())
        }
        Some(packages) => lines.push(format!(
            "This machine must be restarted to finish updates: {}.",
            packages.join(", ")
        )),
    }
    if !situation.stale_services.is_empty() {
        lines.push(format!(
            "Services that still use replaced files: {}.",
            situation.stale_services.join(", ")
        ));
    }
    if !lines.is_empty() && decision.act == Act::Nothing {
        lines.push(decision.why.clone());
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wua_testkit::UpdateBuilder;

    fn decision() -> Decision {
        Decision {
            act: Act::Nothing,
            why: "They wait for a person.".into(),
            next: None,
        }
    }

    #[test]
    fn a_machine_with_nothing_to_tell_tells_nothing() {
        assert_eq!(text(&Situation::default(), &decision()), "");
    }

    #[test]
    fn whoever_logs_in_hears_of_updates_and_of_a_pending_restart() {
        let situation = Situation {
            pending: vec![
                UpdateBuilder::new("one").build(),
                UpdateBuilder::new("two").build(),
            ],
            restart_pending: Some(vec!["linux-image-6.1".into()]),
            ..Situation::default()
        };
        assert_eq!(
            text(&situation, &decision()),
            "2 updates can be installed: `wua search` lists them.\nThis machine must be restarted to finish updates: \
             linux-image-6.1.\nThey wait for a person.\n"
        );
    }
}
