//! `wua show`: one update whole.

use wua_types::Update;

use crate::commands::search::detail_lines;
use crate::documents;
use crate::exit_code::Exit;
use crate::front::Front;
use crate::problem::Problem;
use crate::selection::Selector;
use crate::text::{bytes, is_unfit, moment, one_line, wrap};

/// Everything, installed or not, hidden or not.
const EVERYTHING: &str = "IsInstalled=0 or IsInstalled=1";

pub(crate) fn run(front: &Front, selector: &Selector) -> Result<Exit, Problem> {
    let result = front.search(EVERYTHING, false)?;
    front.tell_warnings(&result);
    let fitting: Vec<&Update> = result
        .updates
        .iter()
        .filter(|update| selector.matches(update))
        .collect();
    if fitting.is_empty() {
        return Err(super::choosing::nothing_fits(front, selector, &result.kept_back));
    }
    for (number, update) in fitting.iter().enumerate() {
        if front.screen.is_text() {
            if number > 0 {
                front.screen.line("");
            }
            tell(front, update);
        }
    }
    let documents = fitting.iter().map(|update| {
        let mut document = documents::update(update);
        document.insert("changelog".into(), update.release_notes.clone().into());
        document.insert(
            "uninstallation_notes".into(),
            update.uninstallation_notes.clone().into(),
        );
        document.insert("eula_text".into(), update.eula_text.clone().into());
        serde_json::Value::Object(document)
    });
    front.result(serde_json::json!({ "updates": documents.collect::<Vec<_>>() }));
    Ok(Exit::Done)
}

fn tell(front: &Front, update: &Update) {
    let screen = front.screen;
    let width = screen.width();
    screen.heading(&one_line(&update.title));
    wrap(&one_line(&update.description), width, "  ")
        .into_iter()
        .for_each(|line| screen.line(line));
    let field = |name: &str, value: String| screen.line(format!("  {name:<12} {value}"));
    field("id", update.identity.to_string());
    let categories: Vec<&str> = update
        .categories
        .iter()
        .map(|category| category.name.as_str())
        .collect();
    field("category", categories.join(", "));
    if let Some(severity) = update.msrc_severity {
        field("severity", format!("{severity:?}"));
    }
    if !update.cve_ids.is_empty() {
        field("fixes", update.cve_ids.join(", "));
    }
    field("size", bytes(update.max_download_size));
    if let Some(behavior) = update.installation_behavior {
        field("restart", behavior.reboot_behavior.to_string());
    }
    let mut state = vec![if update.is_installed {
        "installed"
    } else {
        "not installed"
    }];
    if update.is_downloaded {
        state.push("downloaded");
    }
    if update.is_hidden {
        state.push("hidden");
    }
    if update.is_uninstallable {
        state.push("can be taken back");
    }
    field("state", state.join(", "));
    if let Some(note) = &update.uninstallation_notes {
        wrap(&one_line(note), width, "               ")
            .into_iter()
            .for_each(|line| screen.line(line));
    }
    if let Some(changed) = update.last_deployment_change_time {
        field("published", moment(changed));
    }
    if let Some(url) = &update.support_url {
        field("home page", one_line(url));
    }
    screen.line("  packages");
    detail_lines(update).for_each(|line| screen.line(line));
    match &update.release_notes {
        Some(notes) => {
            screen.line("  changelog");
            notes
                .lines()
                .for_each(|line| screen.line(format!("    {}", line.replace(is_unfit, " "))));
        }
        None if !update.is_downloaded => screen.line("  changelog    comes with the download"),
        None => {}
    }
}
