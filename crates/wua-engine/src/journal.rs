//! A job's journal: what a keeper is about to do and what came of it, one record a line, each on the disk before the step it
//! announces (apt.md 10.2). A keeper that takes over a job reads here how far the one before it came.
//!
//! Together with the order (the plan with the states before and the archives), which the first record names by the plan's
//! hash, it says all that is needed to go on. A line that a sudden end cut off announced nothing and is passed over.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use uuid::Uuid;
use wua_types::{HResult, UpdateInstallationResult};

use crate::process::ProcessId;

/// The version of the records.
const VERSION: u32 = 1;

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk said no.
    #[error("cannot {action} the journal `{}`", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The journal.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It was written by a newer wua.
    #[error("the journal `{}` is of a newer wua (version {found}; this one knows {VERSION}): let that wua finish the job", path.display())]
    Newer {
        /// The journal.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// It is another job's, or none at all.
    #[error("the journal `{}` cannot be used: {what}", path.display())]
    Foreign {
        /// The journal.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
}

impl JournalError {
    /// The result code.
    pub fn code(&self) -> HResult {
        match self {
            Self::Io { source, .. } => crate::store::io_code(source),
            Self::Newer { .. } => HResult::WU_E_DS_SCHEMAMISMATCH,
            Self::Foreign { .. } => HResult::WU_E_DS_INVALID,
        }
    }
}

/// One line.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
enum Record {
    /// The job has begun; always first.
    Begun {
        version: u32,
        job: Uuid,
        plan_hash: String,
    },
    /// A keeper takes over.
    Kept { keeper: ProcessId, boot: Option<String> },
    /// A run of the package manager is going to begin: a batch, or a repair, which has no members.
    Batch { number: usize, members: Vec<usize> },
    /// What became of an update; `begun` unless an abort kept it from being changed.
    Result {
        place: usize,
        begun: bool,
        result: UpdateInstallationResult,
    },
    /// The run is over and states were read back.
    BatchEnded { number: usize },
}

/// How far a job came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// Whether any keeper began.
    begun: bool,
    /// The boot of the last keeper; none before the first.
    boot: Option<String>,
    /// How many keepers began since the last result.
    pub(crate) keepers_without_progress: usize,
    /// The results so far, by place, and whether the update had been begun.
    pub(crate) results: BTreeMap<usize, (UpdateInstallationResult, bool)>,
    /// The members of the run that was begun and did not end.
    pub(crate) open: Option<Vec<usize>>,
    /// That run's number.
    open_number: Option<usize>,
    /// The updates that were ever begun.
    pub(crate) touched: Vec<usize>,
    /// A number that no run of this job had.
    pub(crate) next_number: usize,
}

impl Past {
    /// Whether the machine was started anew since a keeper was last at work.
    pub(crate) fn is_of_an_earlier_boot(&self, now: Option<&str>) -> bool {
        matches!((self.boot.as_deref(), now), (Some(then), Some(now)) if then != now)
    }

    fn take(&mut self, record: Record) {
        match record {
            Record::Begun { .. } => self.begun = true,
            Record::Kept { boot, .. } => {
                self.boot = boot;
                self.keepers_without_progress += 1;
            }
            Record::Batch { number, members } => {
                self.next_number = self.next_number.max(number + 1);
                if !members.is_empty() {
                    self.touched.extend(&members);
                    self.open = Some(members);
                    self.open_number = Some(number);
                }
            }
            Record::Result { place, begun, result } => {
                self.keepers_without_progress = 0;
                if !begun {
                    self.touched.retain(|touched| *touched != place);
                }
                self.results.entry(place).or_insert((result, begun));
            }
            // The end of a repair brings no result.
            Record::BatchEnded { number } if self.open_number == Some(number) => {
                self.keepers_without_progress = 0;
                self.open = None;
            }
            Record::BatchEnded { .. } => {}
        }
    }
}

/// The journal of a job, open for its keeper.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
    /// Whether the last line may be half written.
    torn: bool,
}

impl Journal {
    /// Opens a job's journal, making it where there is none, and notes that this process keeps the job now. Says how far the
    /// job had come before.
    pub(crate) fn open(path: &Path, job: Uuid, plan_hash: &str) -> Result<(Self, Past), JournalError> {
        let (past, torn) = match read(path, job, Some(plan_hash)) {
            Err(error @ JournalError::Foreign { .. }) => {
                tracing::error!(%error, "the journal is put aside, and another one begun");
                std::fs::rename(path, path.with_extension("damaged")).map_err(failed("put aside", path))?;
                (Past::default(), false)
            }
            read => read?,
        };
        let is_new = !path.exists();
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map_err(failed("open", path))?;
        if is_new {
            // The name has to outlive a power cut, too.
            let folder = path.parent().unwrap_or(Path::new("."));
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(failed("make", path))?;
        }
        let mut journal = Self {
            file,
            path: path.into(),
            torn,
        };
        if !past.begun {
            journal.write(&[Record::Begun {
                version: VERSION,
                job,
                plan_hash: plan_hash.into(),
            }])?;
        }
        journal.write(&[Record::Kept {
            keeper: ProcessId::own(),
            boot: crate::system::boot_id(),
        }])?;
        Ok((journal, past))
    }

    /// A run is going to begin. One without members is a repair.
    pub(crate) fn batch(&mut self, number: usize, members: &[usize]) -> Result<(), JournalError> {
        let members = members.to_vec();
        self.write(&[Record::Batch { number, members }])
    }

    /// Updates have their results; each with its place and whether the update had been begun. All of them are durable when
    /// this returns; where the disk said no, or the keeper ended in between, the first ones may be.
    pub(crate) fn results(
        &mut self,
        results: &[(usize, bool, UpdateInstallationResult)],
    ) -> Result<(), JournalError> {
        let record = |(place, begun, result): &(usize, bool, UpdateInstallationResult)| Record::Result {
            place: *place,
            begun: *begun,
            result: result.clone(),
        };
        self.write(&results.iter().map(record).collect::<Vec<_>>())
    }

    /// A run is over, and its results are known.
    pub(crate) fn batch_ended(&mut self, number: usize) -> Result<(), JournalError> {
        self.write(&[Record::BatchEnded { number }])
    }

    fn write(&mut self, records: &[Record]) -> Result<(), JournalError> {
        let mut lines = if self.torn { vec![b'\n'] } else { Vec::new() };
        for record in records {
            serde_json::to_writer(&mut lines, record).expect("plain values serialise");
            lines.push(b'\n');
        }
        let written = crate::seam::at("journal")
            .and_then(|()| self.file.write_all(&lines))
            .and_then(|()| self.file.sync_data())
            .and_then(|()| crate::seam::at("journal-written"));
        self.torn = written.is_err();
        written.map_err(failed("write", &self.path))
    }
}

/// How far a job came, for whoever may take it over. A job without a journal has not begun.
///
/// # Errors
/// See [`JournalError`].
pub fn past(path: &Path, job: Uuid) -> Result<Past, JournalError> {
    read(path, job, None).map(|(past, _)| past)
}

fn read(path: &Path, job: Uuid, plan_hash: Option<&str>) -> Result<(Past, bool), JournalError> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Past::default(), false)),
        Err(error) => return Err(failed("read", path)(error)),
    };
    let foreign = |what| JournalError::Foreign {
        path: path.into(),
        what,
    };
    let torn = text.last().is_some_and(|last| *last != b'\n');
    let mut past = Past::default();
    // Only whole lines count; a later keeper ended the half ones, which are passed over.
    for line in text
        .split_inclusive(|byte| *byte == b'\n')
        .filter(|line| line.ends_with(b"\n"))
    {
        if line == b"\n" {
            continue;
        }
        check_version(line, path)?;
        match serde_json::from_slice(line) {
            Ok(Record::Begun {
                job: named,
                plan_hash: hash,
                ..
            }) if named != job || plan_hash.is_some_and(|wanted| wanted != hash) => {
                return Err(foreign("it belongs to another job or plan"));
            }
            Ok(record @ Record::Begun { .. }) => past.take(record),
            Ok(record) if past.begun => past.take(record),
            Ok(_) => return Err(foreign("it has no begin")),
            Err(error) if past.begun => {
                tracing::warn!(journal = %path.display(), %error, "a record was cut off by a sudden end");
            }
            // The begin itself was cut off, and nothing had been announced before the next one.
            Err(_) => {}
        }
    }
    if !past.begun && text.len() > 4096 {
        return Err(foreign("it holds no records"));
    }
    Ok((past, torn))
}

/// Looks at the version alone, so that records of a newer wua need not be understood.
fn check_version(line: &[u8], path: &Path) -> Result<(), JournalError> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u32,
    }
    match serde_json::from_slice::<Versioned>(line) {
        Ok(Versioned { version }) if version > VERSION => Err(JournalError::Newer {
            path: path.into(),
            found: version,
        }),
        _ => Ok(()),
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError::Io { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wua_types::OperationResultCode;

    fn journal() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("journal.jsonl");
        (folder, path)
    }

    fn fine() -> UpdateInstallationResult {
        UpdateInstallationResult::new(OperationResultCode::Succeeded, HResult::S_OK, "")
    }

    const JOB: Uuid = Uuid::from_u128(4);

    #[test]
    fn the_next_keeper_knows_what_the_last_one_began() {
        let (_folder, path) = journal();
        let (mut first, past) = Journal::open(&path, JOB, "hash").expect("opens");
        assert_eq!(past, Past::default());
        first.batch(0, &[]).expect("written");
        first.batch(1, &[0]).expect("written");
        first.results(&[(0, true, fine())]).expect("written");
        first.batch_ended(1).expect("written");
        first.batch(2, &[1, 2]).expect("written");
        first.batch(3, &[]).expect("written");
        first.batch_ended(3).expect("written");
        first.results(&[(2, true, fine())]).expect("written");
        let (_, past) = Journal::open(&path, JOB, "hash").expect("opens");
        assert_eq!(past.open, Some(vec![1, 2]));
        assert_eq!(past.results.keys().copied().collect::<Vec<_>>(), [0, 2]);
        assert_eq!((past.next_number, past.keepers_without_progress), (4, 0));
        let (_, past) = Journal::open(&path, JOB, "hash").expect("opens");
        assert_eq!(past.keepers_without_progress, 1);
    }

    #[test]
    fn of_results_written_together_those_count_that_are_whole() {
        let (_folder, path) = journal();
        let (mut first, _) = Journal::open(&path, JOB, "hash").expect("opens");
        first.batch(0, &[0, 1, 2]).expect("written");
        let three = [0, 1, 2].map(|place| (place, true, fine()));
        first.results(&three).expect("written");
        let known = || super::past(&path, JOB).expect("reads").results.len();
        assert_eq!(known(), 3);
        let all = std::fs::read(&path).expect("reads");
        std::fs::write(&path, &all[..all.len() - 1]).expect("cut");
        assert_eq!(known(), 2);
    }

    #[test]
    fn a_record_that_was_cut_off_announced_nothing_and_spoils_no_other() {
        let (_folder, path) = journal();
        let (mut first, _) = Journal::open(&path, JOB, "hash").expect("opens");
        first.batch(0, &[0]).expect("written");
        let whole = std::fs::read(&path).expect("reads");
        first.results(&[(0, true, fine())]).expect("written");
        let all = std::fs::read(&path).expect("reads");
        for length in whole.len()..all.len() {
            std::fs::write(&path, &all[..length]).expect("cut");
            let (mut second, past) = Journal::open(&path, JOB, "hash").expect("opens");
            assert_eq!((past.open, past.results.len()), (Some(vec![0]), 0), "{length}");
            second.batch_ended(0).expect("written");
            assert_eq!(super::past(&path, JOB).expect("reads").open, None, "{length}");
        }
        // The very first record, too.
        for length in 0..30 {
            std::fs::write(&path, &all[..length]).expect("cut");
            let (_, past) = Journal::open(&path, JOB, "hash").expect("opens");
            assert_eq!(past, Past::default(), "{length}");
            assert!(super::past(&path, JOB).expect("reads").begun);
        }
    }

    #[test]
    fn what_is_no_journal_of_this_job_is_put_aside_and_a_newer_one_is_refused() {
        let (_folder, path) = journal();
        let begun = |version: u32| {
            format!(
                "{{\"record\":\"begun\",\"version\":{version},\"job\":\"{JOB}\",\"plan_hash\":\"hash\",\"new\":1}}\n"
            )
        };
        std::fs::write(&path, begun(2) + "{\"record\":\"unheard of\"}\n").expect("written");
        let error = Journal::open(&path, JOB, "hash").expect_err("newer");
        assert!(matches!(error, JournalError::Newer { found: 2, .. }), "{error}");
        assert!(path.exists(), "it is left to the newer wua");
        for text in [
            begun(1).replace("hash\",", "other\","),
            "{\"record\":\"batch_ended\",\"number\":1}\n".into(),
            "a letter to nobody\n".repeat(400),
        ] {
            std::fs::write(&path, &text).expect("written");
            let error = super::past(&path, JOB).and_then(|_| read(&path, JOB, Some("hash")).map(|_| ()));
            assert_eq!(
                error.expect_err("no journal of this job").code(),
                HResult::WU_E_DS_INVALID
            );
            let (_, past) = Journal::open(&path, JOB, "hash").expect("another one");
            assert_eq!(past, Past::default());
            let aside = std::fs::read_to_string(path.with_extension("damaged"));
            assert_eq!(aside.expect("put aside"), text);
        }
    }
}
