//! `wua store`: the archives that are kept.

use serde_json::json;
use wua_engine::store::Origin;

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
            let mut words = content.label.split(' ').skip(1);
            let (name, architecture, version) =
                (words.next().unwrap_or_default(), words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let origin = match content.origin {
                Origin::Downloaded => "downloaded",
                Origin::Saved => "saved",
                Origin::Repacked => "repacked",
            };
            let what = format!("{name}:{architecture} {version}");
            screen.line(format!("  {what:<48} {:>8}  {origin}", bytes(content.size)));
        }
    }
    front.result(json!({ "total_size": total, "contents": contents }));
    Ok(Exit::Done)
}
