//! What a job says, one object a line: the keeper's event file and `--output jsonl` speak the same words.
//!
//! Order (design.md section 3): `started` first; a final `progress` of an update, then its `update_finished`; `completed`
//! once and last.

use jiff::Timestamp;
use uuid::Uuid;

use crate::enums::OperationResultCode;
use crate::hresult::HResult;
use crate::identity::{UpdateId, UpdateIdentity};
use crate::progress::{DownloadProgress, InstallationProgress, Truth};
use crate::result::UpdateInstallationResult;
use crate::update::Update;

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the verbs are the command line's own")]
pub enum Operation {
    Search,
    Download,
    Install,
    Uninstall,
    Repair,
}

impl Operation {
    /// The verb.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::Download => "download",
            Self::Install => "install",
            Self::Uninstall => "uninstall",
            Self::Repair => "repair",
        }
    }
}

/// An update of a job, as its first event names it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct StartedUpdate {
    /// Its place in the job's collection, from 0.
    pub index: usize,
    /// Its id.
    pub id: UpdateId,
    /// Its title.
    pub title: String,
}

impl StartedUpdate {
    /// The updates of a job, in the order of its collection.
    pub fn all(updates: &[Update]) -> Vec<Self> {
        let named = |(index, update): (usize, &Update)| Self {
            index,
            id: update.id(),
            title: update.title.clone(),
        };
        updates.iter().enumerate().map(named).collect()
    }

    /// The update, of which no more is known.
    pub fn into_update(self) -> Update {
        let identity = UpdateIdentity {
            update_id: self.id,
            revision_number: 1,
        };
        Update::new(identity, self.title)
    }
}

/// The progress of either kind of job.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum AnyProgress {
    /// Of a download; first, because its keys include the other's.
    Download(DownloadProgress),
    /// Of an installation or uninstallation.
    Installation(InstallationProgress),
}

impl AnyProgress {
    /// The time-true part.
    pub fn truth_mut(&mut self) -> &mut Truth {
        match self {
            Self::Download(progress) => &mut progress.truth,
            Self::Installation(progress) => &mut progress.truth,
        }
    }
}

/// One thing that happened in a job.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum JobEvent {
    /// The job has begun.
    Started {
        /// What it does.
        operation: Operation,
        /// The plan it is held to; downloads and searches have none.
        plan_hash: Option<String>,
        /// Its updates, in the order of the collection.
        updates: Vec<StartedUpdate>,
    },
    /// It is further than before, or waits.
    Progress(AnyProgress),
    /// An update reached its final result.
    UpdateFinished {
        /// Its place in the collection.
        index: usize,
        /// Its id.
        id: UpdateId,
        /// The result, whole.
        #[serde(flatten)]
        result: UpdateInstallationResult,
    },
    /// Something to know that ends nothing.
    Warning {
        /// A sentence.
        message: String,
        /// Its code.
        hresult: HResult,
    },
    /// The job has ended.
    Completed {
        /// The outcome of the whole.
        result_code: OperationResultCode,
        /// Its reason.
        hresult: HResult,
        /// Whether any update needs a restart.
        reboot_required: bool,
    },
}

/// An event with the job it belongs to and its time: one line.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct EventLine {
    /// The job.
    pub job: Uuid,
    /// When it happened.
    pub time: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub event: JobEvent,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Progress as _;

    fn round_trip(event: JobEvent) -> String {
        let line = EventLine {
            job: Uuid::from_u128(7),
            time: Timestamp::UNIX_EPOCH,
            event,
        };
        let text = serde_json::to_string(&line).expect("serialises");
        assert_eq!(serde_json::from_str::<EventLine>(&text).expect("parses"), line);
        text
    }

    #[test]
    fn progress_of_both_kinds_comes_back_as_what_it_was() {
        let install = round_trip(JobEvent::Progress(AnyProgress::Installation(
            InstallationProgress::nothing_done(),
        )));
        assert!(
            install.contains(r#""event":"progress""#) && install.contains(r#""phase":"starting""#),
            "{install}"
        );
        round_trip(JobEvent::Progress(AnyProgress::Download(
            DownloadProgress::nothing_done(),
        )));
    }

    #[test]
    fn a_result_is_flat_beside_its_index() {
        let result = UpdateInstallationResult::new(
            OperationResultCode::Failed,
            HResult::WU_E_UH_INSTALLERFAILURE,
            "no",
        );
        let text = round_trip(JobEvent::UpdateFinished {
            index: 2,
            id: UpdateId(Uuid::from_u128(1)),
            result,
        });
        assert!(
            text.contains(r#""result_code":4"#) && text.contains(r#""index":2"#),
            "{text}"
        );
    }
}
