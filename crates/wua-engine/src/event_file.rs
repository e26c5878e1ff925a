//! The file in which a keeper says what happens, one event a line, for any number of followers.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use uuid::Uuid;
use wua_types::event::AnyProgress;
use wua_types::quote::without_quote;
use wua_types::{EventLine, InstallationProgress, JobEvent};

use crate::failure::Failure;
use crate::folders::JobFolder;

/// Writes events. Only news: progress that differs from the last in nothing but estimates waits until they have moved, or a while
/// has passed.
///
/// Two files: one with everything, for whoever owns the job, and one without what programs printed, for everybody.
#[derive(Debug)]
pub struct EventWriter {
    whole: LineFile,
    public: LineFile,
    job: Uuid,
    last: Option<InstallationProgress>,
    /// When that was said.
    said: Instant,
}

/// What was said is said again when nothing was for this long: asked several times a second, so that a second is never silent.
const BEAT: Duration = Duration::from_millis(700);

/// A share of the time that is worth saying.
const MOVED: f64 = 0.01;

impl EventWriter {
    /// Opens the job's files for appending, making them where there are none. A line that an earlier keeper's end cut off ends
    /// there.
    ///
    /// # Errors
    /// The disk said no.
    pub fn open(folder: &JobFolder, job: Uuid) -> io::Result<Self> {
        Ok(Self {
            whole: LineFile::open(&folder.events(), 0o600)?,
            public: LineFile::open(&folder.public_events(), 0o644)?,
            job,
            last: None,
            said: Instant::now(),
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
            .is_some_and(|last| same_but_for_estimates(last, &now) && !has_moved(last, &now))
            && self.said.elapsed() < BEAT
        {
            return Ok(());
        }
        self.said = Instant::now();
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

    /// Says anything. The end is on the disk when this returns; of results that a power cut takes along the journal knows.
    ///
    /// # Errors
    /// The disk said no.
    pub fn say(&mut self, event: JobEvent) -> io::Result<()> {
        let durable = matches!(event, JobEvent::Completed { .. });
        let mut line = EventLine {
            job: self.job,
            time: Timestamp::now(),
            event,
        };
        let text = line_of(&line)?;
        self.whole.write(&text, durable)?;
        if unpublish(&mut line.event) {
            self.public.write(&line_of(&line)?, false)
        } else {
            self.public.write(&text, false)
        }
    }
}

/// A file of lines, each written whole.
#[derive(Debug)]
struct LineFile {
    file: File,
    /// Whether the last line may be half written.
    torn: bool,
}

impl LineFile {
    fn open(path: &Path, mode: u32) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(mode)
            .open(path)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        let length = file.metadata()?.len();
        let mut last = [b'\n'];
        if length > 0 {
            file.read_exact_at(&mut last, length - 1)?;
        }
        Ok(Self {
            file,
            torn: last != *b"\n",
        })
    }

    fn write(&mut self, line: &[u8], durable: bool) -> io::Result<()> {
        // One write a line, so that no follower and no later keeper ever sees two half lines mixed; what a full disk cut off
        // ends there.
        let written = crate::seam::at("events").and_then(|()| match self.torn {
            true => self.file.write_all(&[b"\n", line].concat()),
            false => self.file.write_all(line),
        });
        self.torn = written.is_err();
        written?;
        if durable { self.file.sync_data() } else { Ok(()) }
    }
}

/// The event with its end of line.
fn line_of(line: &EventLine) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    Ok(text)
}

/// The event as everybody may read it: without what programs printed.
#[must_use]
pub fn published(mut event: JobEvent) -> JobEvent {
    unpublish(&mut event);
    event
}

/// Takes out what programs printed; whether there was anything.
fn unpublish(event: &mut JobEvent) -> bool {
    let cut = |message: &mut String| {
        let length = without_quote(message).len();
        let has_quote = length < message.len();
        message.truncate(length);
        has_quote
    };
    match event {
        JobEvent::Progress(AnyProgress::Installation(now)) => now
            .truth
            .waiting_for
            .as_mut()
            .is_some_and(|waiting| waiting.detail.take().is_some()),
        JobEvent::UpdateFinished { result, .. } => cut(&mut result.message),
        JobEvent::Warning { message, .. } => cut(message),
        JobEvent::Progress(AnyProgress::Download(_))
        | JobEvent::Started { .. }
        | JobEvent::Completed { .. } => false,
    }
}

fn has_moved(last: &InstallationProgress, now: &InstallationProgress) -> bool {
    let (last, now) = (last.truth.time_share, now.truth.time_share);
    now >= last + MOVED || (now >= 1.0 && last < 1.0)
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
    use crate::folders::Folders;
    use wua_types::{
        HResult, OperationResultCode, Progress as _, UpdateId, UpdateInstallationResult, UpdateResult as _,
        WaitingFor,
    };

    fn job() -> (tempfile::TempDir, JobFolder) {
        let folder = tempfile::tempdir().expect("temporary folder");
        let job = Folders::new(folder.path()).job(Uuid::nil());
        crate::files::make_folder(job.path()).expect("made");
        (folder, job)
    }

    fn warning(message: &str) -> JobEvent {
        JobEvent::Warning {
            message: message.into(),
            hresult: HResult::S_OK,
        }
    }

    #[test]
    fn a_line_that_a_full_disk_cut_off_spoils_no_other() {
        let (_folder, job) = job();
        let mut events = EventWriter::open(&job, Uuid::nil()).expect("opens");
        // What a full disk does: half a line, then an error.
        events
            .whole
            .file
            .write_all(b"{\"event\":\"warn")
            .expect("half a line");
        let whole = std::mem::replace(
            &mut events.whole.file,
            File::open(job.events()).expect("for reading"),
        );
        events.say(warning("well")).expect_err("not writable");
        events.whole.file = whole;
        events.say(warning("well")).expect("written");
        let text = std::fs::read_to_string(job.events()).expect("reads");
        let understood = text
            .lines()
            .filter(|line| serde_json::from_str::<EventLine>(line).is_ok());
        assert_eq!((text.lines().count(), understood.count()), (2, 1));
    }

    #[test]
    fn what_a_program_printed_is_told_to_the_owner_alone() {
        let (_folder, job) = job();
        let mut events = EventWriter::open(&job, Uuid::nil()).expect("opens");
        let secret = "password=hunter2";
        let message = wua_types::quote::quote("the script failed", &[secret.into()]);
        let mut working = InstallationProgress::nothing_done();
        working.truth.waiting_for = Some(WaitingFor {
            what: "the script".into(),
            since: Timestamp::now(),
            holder: None,
            detail: Some(secret.into()),
        });
        let failed = UpdateInstallationResult::ended(OperationResultCode::Failed, HResult::E_FAIL, &message);
        let finished = JobEvent::UpdateFinished {
            index: 0,
            id: UpdateId(Uuid::nil()),
            result: failed,
        };
        let told = [
            warning(&message),
            JobEvent::Progress(AnyProgress::Installation(working)),
            finished,
            warning("nothing of anybody's"),
        ];
        for event in told {
            events.say(event).expect("written");
        }
        let read = |path| std::fs::read_to_string(path).expect("reads");
        let (whole, public) = (read(job.events()), read(job.public_events()));
        assert_eq!(whole.matches(secret).count(), 3);
        assert!(!public.contains(secret), "{public}");
        assert_eq!(public.matches("the script").count(), 3);
        let [whole_lines, public_lines] = [&whole, &public].map(|text| text.lines().collect::<Vec<_>>());
        assert_eq!((whole_lines.len(), public_lines.len()), (4, 4));
        assert_eq!(whole_lines[3], public_lines[3], "where nothing is taken out");
        let mode = |path| std::fs::metadata(path).expect("exists").permissions().mode() & 0o777;
        assert_eq!((mode(job.events()), mode(job.public_events())), (0o600, 0o644));
    }
}
