//! apt-get as a client: its status lines (`APT::Status-Fd`), which its own bar shows too. `dlstatus` while it fetches, `pmstatus`
//! while it installs, each a run of its own from 0. It tells no remaining time in them.

use crate::trace::{Notice, Recording, Trace};
use crate::transaction::Part;

/// The trace of one run of apt-get, which did one part only.
pub(crate) fn trace(recording: &Recording, part: Part) -> Trace {
    let wanted = match part {
        Part::Fetch => "dlstatus",
        Part::Install => "pmstatus",
    };
    let notices = recording.lines.iter().map(|(at, line)| {
        let mut fields = line.splitn(4, ':');
        let value = fields
            .next()
            .filter(|record| *record == wanted)
            .and_then(|_| fields.nth(1)?.trim().parse::<f64>().ok());
        Notice {
            at: at.as_secs_f64(),
            value: value.map(|percent| percent / 100.0),
            remaining: None,
        }
    });
    Trace {
        notices: notices.collect(),
        length: recording.length.as_secs_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn lines_of_the_other_part_break_the_silence_and_say_no_value() {
        let lines = [
            "dlstatus:1:50.0000:Retrieving file 1 of 2",
            "pmstatus:truth-1:25.0000:Unpacking truth-1 (amd64)",
        ];
        let recording = Recording {
            lines: lines.map(|line| (Duration::from_secs(1), line.to_owned())).into(),
            length: Duration::from_secs(2),
            status: std::process::ExitStatus::default(),
        };
        let values = trace(&recording, Part::Install)
            .notices
            .into_iter()
            .map(|told| told.value);
        assert_eq!(values.collect::<Vec<_>>(), [None, Some(0.25)]);
    }
}
