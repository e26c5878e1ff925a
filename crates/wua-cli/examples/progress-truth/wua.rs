//! wua as a client: `wua install --all --output jsonl`, which is a download job and an install job, one after another.
//!
//! The value is `time_share` and the estimate `remaining_seconds`, both as the events tell them: nothing is computed here. The
//! fetch lasts from the start of the program to the download's completion, the installation from there to the end of the program.

use std::time::Duration;

use serde_json::Value;

use crate::trace::{Notice, Recording, Trace};
use crate::transaction::Part;

/// The trace of one part.
pub(crate) fn trace(recording: &Recording, part: Part) -> Trace {
    let mut downloads = None;
    let mut fetched = Duration::ZERO;
    let mut notices = Vec::new();
    for (at, line) in &recording.lines {
        // A line that is no event is a notice all the same.
        let event: Value = serde_json::from_str(line).unwrap_or_default();
        let word = event["event"].as_str().unwrap_or_default();
        if word == "started" && event["operation"] == "download" {
            downloads = event["job"].as_str().map(str::to_owned);
        }
        let is_download = downloads.is_some() && event["job"].as_str() == downloads.as_deref();
        if is_download && word == "completed" {
            fetched = *at;
        }
        notices.push((*at, is_download, event));
    }
    let (from, to) = match part {
        Part::Fetch => (Duration::ZERO, fetched),
        Part::Install => (fetched, recording.length),
    };
    let notices = notices
        .into_iter()
        .filter(|(at, _, _)| (from..=to).contains(at))
        .map(|(at, is_download, event)| {
            let is_ours = is_download == (part == Part::Fetch);
            let number = |key: &str| event[key].as_f64().filter(|_| is_ours);
            Notice {
                at: (at - from).as_secs_f64(),
                value: number("time_share"),
                remaining: number("remaining_seconds"),
            }
        });
    Trace {
        notices: notices.collect(),
        length: (to - from).as_secs_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_download_ends_where_the_installation_begins() {
        let lines = [
            (0.1, r#"{"event":"started","operation":"download","job":"a"}"#),
            (
                0.5,
                r#"{"event":"progress","job":"a","time_share":0.5,"remaining_seconds":0.5}"#,
            ),
            (1.0, r#"{"event":"completed","job":"a"}"#),
            (
                2.0,
                r#"{"event":"progress","job":"b","time_share":0.25,"remaining_seconds":null}"#,
            ),
            (
                5.0,
                r#"{"event":"progress","job":"b","time_share":1.0,"remaining_seconds":0.0}"#,
            ),
        ];
        let recording = Recording {
            lines: lines
                .map(|(at, line)| (Duration::from_secs_f64(at), line.to_owned()))
                .into(),
            length: Duration::from_secs(6),
            status: std::process::ExitStatus::default(),
        };
        let (fetch, install) = (trace(&recording, Part::Fetch), trace(&recording, Part::Install));
        assert_eq!(
            (fetch.length, fetch.values().collect::<Vec<_>>()),
            (1.0, vec![(0.5, 0.5)])
        );
        assert_eq!(
            (install.length, install.values().collect::<Vec<_>>()),
            (5.0, vec![(1.0, 0.25), (4.0, 1.0)])
        );
        assert_eq!(install.notices.last().and_then(|told| told.remaining), Some(0.0));
    }
}
