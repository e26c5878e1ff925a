//! `wua store`: the archives that are kept; and clearing away those that the policy does not keep.

use serde_json::json;
use wua_engine::cleaning::{self, Reason};
use wua_engine::store::{Content, Origin};

use crate::exit_code::Exit;
use crate::front::Front;
use crate::problem::Problem;
use crate::text::{bytes, count};

pub(crate) fn run(front: &Front) -> Result<Exit, Problem> {
    let mut contents = front.session.machine().store().list()?;
    contents.sort_by(|one, other| one.label.cmp(&other.label));
    let total: u64 = contents.iter().map(|content| content.size).sum();
    let screen = front.screen;
    if screen.is_text() {
        screen.heading(&format!("{}, {}", count(contents.len(), "archive"), bytes(total)));
        for content in &contents {
            let origin = match content.origin {
                Origin::Downloaded => "downloaded",
                Origin::Saved => "saved",
                Origin::Repacked => "repacked",
            };
            screen.line(format!(
                "  {:<48} {:>8}  {origin}",
                name(content),
                bytes(content.size)
            ));
        }
    }
    front.result(json!({ "total_size": total, "contents": contents }));
    Ok(Exit::Done)
}

pub(crate) fn clean(front: &Front, what_if: bool) -> Result<Exit, Problem> {
    let machine = front.session.machine();
    if !what_if {
        front.need_permission("store clean")?;
    }
    let removals = if what_if {
        cleaning::look(machine)?
    } else {
        cleaning::clean(machine)?
    };
    let freed: u64 = removals.iter().map(|removal| removal.content.size).sum();
    let screen = front.screen;
    if screen.is_text() {
        let verb = if what_if { "Would remove" } else { "Removed" };
        screen.heading(&format!(
            "{verb} {}, {}",
            count(removals.len(), "archive"),
            bytes(freed)
        ));
        for removal in &removals {
            let reason = match removal.reason {
                Reason::Old => "not needed any more",
                Reason::TooMuch => "more than the policy keeps",
            };
            let undo = if removal.ends_undo {
                "; its update cannot be taken back without it"
            } else {
                ""
            };
            let content = &removal.content;
            screen.line(format!(
                "  {:<48} {:>8}  {reason}{undo}",
                name(content),
                bytes(content.size)
            ));
        }
    }
    front.result(json!({ "what_if": what_if, "freed_size": freed, "removed": removals }));
    Ok(Exit::Done)
}

/// `NAME:ARCHITECTURE VERSION`.
fn name(content: &Content) -> String {
    let mut words = content.label.split(' ').skip(1);
    let mut word = || words.next().unwrap_or_default();
    let (name, architecture, version) = (word(), word(), word());
    format!("{name}:{architecture} {version}")
}
