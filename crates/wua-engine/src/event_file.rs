//! The file in which a keeper says what happens, one event a line, for any number of followers.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use jiff::Timestamp;
use uuid::Uuid;
use wua_types::event::AnyProgress;
use wua_types::{EventLine, InstallationProgress, JobEvent};

use crate::failure::Failure;

/// Writes events. Only news: progress that differs from the last in nothing but estimates is left out.
#[derive(Debug)]
pub struct EventWriter {
    file: File,
    job: Uuid,
    last: Option<InstallationProgress>,
    /// Whether the last line may be half written.
    torn: bool,
}

impl EventWriter {
    /// Opens the file for appending, making it where there is none. A line that an earlier keeper's end cut off ends there.
    ///
    /// # Errors
    /// The disk said no.
    pub fn open(path: &Path, job: Uuid) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o644)
            .open(path)?;
        let length = file.metadata()?.len();
        let mut last = [b'\n'];
        if length > 0 {
            file.read_exact_at(&mut last, length - 1)?;
        }
        Ok(Self {
            file,
            job,
            last: None,
            torn: last != *b"\n",
        })
    }

    /// Takes what an earlier keeper said last as said.
    pub(crate) fn restore(&mut self, said: &InstallationProgress) {
        self.last = Some(said.clone());
    }

    /// Says how far the work is, if that is news.
    ///
    /// # Errors
    /// The disk said no.
    pub fn progress(&mut self, now: InstallationProgress) -> io::Result<()> {
        if self
            .last
            .as_ref()
            .is_some_and(|last| same_but_for_estimates(last, &now))
        {
            return Ok(());
        }
        self.last = Some(now.clone());
        self.say(JobEvent::Progress(AnyProgress::Installation(now)))
    }

    /// Says why a job cannot be kept at all, as well as it can.
    pub fn give_up(&mut self, failure: &Failure) {
        let warning = JobEvent::Warning {
            message: failure.sentence(),
            hresult: failure.code(),
        };
        if let Err(error) = self.say(warning) {
            tracing::error!(%error, "an event could not be written");
        }
    }

    /// Says anything. Results and the end are on the disk when this returns.
    ///
    /// # Errors
    /// The disk said no.
    pub fn say(&mut self, event: JobEvent) -> io::Result<()> {
        let durable = matches!(
            event,
            JobEvent::UpdateFinished { .. } | JobEvent::Completed { .. }
        );
        let mut line = if self.torn { vec![b'\n'] } else { Vec::new() };
        serde_json::to_writer(
            &mut line,
            &EventLine {
                job: self.job,
                time: Timestamp::now(),
                event,
            },
        )?;
        line.push(b'\n');
        // One write a line, so that no follower and no later keeper ever sees two half lines mixed; what a full disk cut off
        // ends there.
        let written = self.file.write_all(&line);
        self.torn = written.is_err();
        written?;
        if durable { self.file.sync_data() } else { Ok(()) }
    }
}

fn same_but_for_estimates(one: &InstallationProgress, other: &InstallationProgress) -> bool {
    let facts = |progress: &InstallationProgress| {
        let mut facts = progress.clone();
        facts.truth.time_share = 0.0;
        facts.truth.remaining_seconds = None;
        facts.truth.remaining_low = None;
        facts.truth.remaining_high = None;
        facts
    };
    facts(one) == facts(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_a_full_disk_cut_off_spoils_no_other() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("events.jsonl");
        let mut events = EventWriter::open(&path, Uuid::nil()).expect("opens");
        let warning = || JobEvent::Warning {
            message: "well".into(),
            hresult: wua_types::HResult::S_OK,
        };
        // What a full disk does: half a line, then an error.
        events.file.write_all(b"{\"event\":\"warn").expect("half a line");
        let whole = std::mem::replace(&mut events.file, File::open(&path).expect("for reading"));
        events.say(warning()).expect_err("not writable");
        events.file = whole;
        events.say(warning()).expect("written");
        let text = std::fs::read_to_string(&path).expect("reads");
        let understood = text
            .lines()
            .filter(|line| serde_json::from_str::<EventLine>(line).is_ok());
        assert_eq!((text.lines().count(), understood.count()), (2, 1));
    }
}
