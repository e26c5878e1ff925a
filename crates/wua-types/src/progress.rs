//! How far work is: WUA's numbers, and beside them the time-true part of wua's own.
//!
//! A progress value carries no results; a job adds them in its snapshots (`wua-job`).

use jiff::Timestamp;

use crate::enums::{DownloadPhase, OperationResultCode};
use crate::percent::Percent;

/// What a job is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Nothing has begun.
    #[default]
    Starting,
    /// Waiting for something that others hold.
    Waiting,
    /// Looking at the machine and the plan.
    Preparing,
    /// Fetching.
    Downloading,
    /// Checking hashes.
    Verifying,
    /// Keeping the installed versions for a later undo.
    Saving,
    /// Files are being unpacked.
    Unpacking,
    /// Packages are being configured.
    Configuring,
    /// Packages are being removed.
    Removing,
    /// Triggers of other packages run.
    Triggers,
    /// An unfinished piece of work is being completed.
    Repairing,
    /// Results are being read back.
    Finishing,
}

impl Phase {
    /// The word for people.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Waiting => "waiting",
            Self::Preparing => "preparing",
            Self::Downloading => "downloading",
            Self::Verifying => "verifying",
            Self::Saving => "saving",
            Self::Unpacking => "unpacking",
            Self::Configuring => "configuring",
            Self::Removing => "removing",
            Self::Triggers => "running triggers",
            Self::Repairing => "repairing",
            Self::Finishing => "checking results",
        }
    }
}

/// Something that work waits for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct WaitingFor {
    /// What: "the package database lock", "the maintainer script of slow-service".
    pub what: String,
    /// Since when.
    pub since: Timestamp,
    /// Who holds it, as `NAME (PID)`, where known.
    pub holder: Option<String>,
    /// The last thing it was heard to say, one line fit for a terminal, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What beside WUA's numbers is told about running work. Times are estimates; the rest is fact.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Truth {
    /// What is being done.
    pub phase: Phase,
    /// What is being waited for, if anything.
    pub waiting_for: Option<WaitingFor>,
    /// Share of the expected time that has passed, 0 to 1.
    pub time_share: f64,
    /// Expected seconds to the end; none where nothing is known to base it on.
    pub remaining_seconds: Option<f64>,
    /// The lower end of the estimate's band, in seconds.
    pub remaining_low: Option<f64>,
    /// The upper end of the estimate's band, in seconds.
    pub remaining_high: Option<f64>,
    /// Whether a request to abort would still stop something.
    pub can_abort: bool,
    /// Whether the machine would be whole if power failed now.
    pub safe_to_power_off: bool,
}

/// How far an installation or uninstallation is (`IInstallationProgress`, rule R9).
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct InstallationProgress {
    /// The update being worked on: its place in the collection, from 0. Follows the order of execution, so it may fall.
    pub current_update_index: usize,
    /// How much of that update is done; 99 until its result is known.
    pub current_update_percent_complete: Percent,
    /// How much of the whole is done. Never falls; 100 only when all updates are final.
    pub percent_complete: Percent,
    /// How the current update stands.
    pub result_code: OperationResultCode,
    /// The time-true part.
    #[serde(flatten)]
    pub truth: Truth,
}

/// How far a download is (`IDownloadProgress`).
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct DownloadProgress {
    /// The update being fetched: its place in the collection, from 0.
    pub current_update_index: usize,
    /// How much of that update is done.
    pub current_update_percent_complete: Percent,
    /// How much of the whole is done. Never falls.
    pub percent_complete: Percent,
    /// How the current update stands.
    pub result_code: OperationResultCode,
    /// Where the current update's download stands.
    pub current_update_download_phase: DownloadPhase,
    /// Bytes of the current update that are here.
    pub current_update_bytes_downloaded: u64,
    /// Bytes of the current update in all.
    pub current_update_bytes_to_download: u64,
    /// Bytes of the whole that are here.
    pub total_bytes_downloaded: u64,
    /// Bytes of the whole in all.
    pub total_bytes_to_download: u64,
    /// The time-true part.
    #[serde(flatten)]
    pub truth: Truth,
}

/// What both kinds of progress tell a job about its current update.
pub trait Progress: Clone + PartialEq {
    /// The progress of work that has not begun: index 0, all percentages 0 (rule R9).
    fn nothing_done() -> Self;
    /// The update being worked on.
    fn current_update_index(&self) -> usize;
    /// How it stands.
    fn result_code(&self) -> OperationResultCode;
    /// How much of the whole is done.
    fn percent_complete(&self) -> Percent;
    /// Whether a request to abort would still stop something.
    fn can_abort(&self) -> bool;
    /// The same with another number for the whole.
    fn with_percent_complete(self, percent: Percent) -> Self;
    /// The same, with nothing that is told of the whole less than `before` told: neither its number nor its share of time.
    fn not_behind(self, before: &Self) -> Self;
    /// The same, telling about update `index` that it stands at `code`. What is told of the update alone begins anew
    /// when it is another one; it is 100 % where it ended by anything but an abort, which stops where it is.
    fn with_current(self, index: usize, code: OperationResultCode) -> Self;
}

/// How much of an update is done once it stands at `code`, if `before` was.
fn percent_at(code: OperationResultCode, before: Percent) -> Percent {
    if code.is_final() && code != OperationResultCode::Aborted {
        Percent::FULL
    } else {
        before
    }
}

impl Progress for InstallationProgress {
    fn nothing_done() -> Self {
        Self {
            current_update_index: 0,
            current_update_percent_complete: Percent::ZERO,
            percent_complete: Percent::ZERO,
            result_code: OperationResultCode::NotStarted,
            truth: Truth {
                can_abort: true,
                safe_to_power_off: true,
                ..Truth::default()
            },
        }
    }
    fn current_update_index(&self) -> usize {
        self.current_update_index
    }
    fn result_code(&self) -> OperationResultCode {
        self.result_code
    }
    fn percent_complete(&self) -> Percent {
        self.percent_complete
    }
    fn can_abort(&self) -> bool {
        self.truth.can_abort
    }
    fn with_percent_complete(self, percent_complete: Percent) -> Self {
        Self {
            percent_complete,
            ..self
        }
    }
    fn not_behind(mut self, before: &Self) -> Self {
        self.percent_complete = self.percent_complete.max(before.percent_complete);
        self.truth.time_share = self.truth.time_share.max(before.truth.time_share);
        self
    }
    fn with_current(mut self, index: usize, code: OperationResultCode) -> Self {
        if index != self.current_update_index {
            self.current_update_index = index;
            self.current_update_percent_complete = Percent::ZERO;
        }
        self.current_update_percent_complete = percent_at(code, self.current_update_percent_complete);
        self.result_code = code;
        self
    }
}

impl Progress for DownloadProgress {
    fn nothing_done() -> Self {
        Self {
            current_update_index: 0,
            current_update_percent_complete: Percent::ZERO,
            percent_complete: Percent::ZERO,
            result_code: OperationResultCode::NotStarted,
            current_update_download_phase: DownloadPhase::Initializing,
            current_update_bytes_downloaded: 0,
            current_update_bytes_to_download: 0,
            total_bytes_downloaded: 0,
            total_bytes_to_download: 0,
            truth: Truth {
                can_abort: true,
                safe_to_power_off: true,
                ..Truth::default()
            },
        }
    }
    fn current_update_index(&self) -> usize {
        self.current_update_index
    }
    fn result_code(&self) -> OperationResultCode {
        self.result_code
    }
    fn percent_complete(&self) -> Percent {
        self.percent_complete
    }
    fn can_abort(&self) -> bool {
        self.truth.can_abort
    }
    fn with_percent_complete(self, percent_complete: Percent) -> Self {
        Self {
            percent_complete,
            ..self
        }
    }
    fn not_behind(mut self, before: &Self) -> Self {
        self.percent_complete = self.percent_complete.max(before.percent_complete);
        self.truth.time_share = self.truth.time_share.max(before.truth.time_share);
        self
    }
    fn with_current(mut self, index: usize, code: OperationResultCode) -> Self {
        if index != self.current_update_index {
            self.current_update_index = index;
            self.current_update_percent_complete = Percent::ZERO;
            self.current_update_download_phase = DownloadPhase::Initializing;
            self.current_update_bytes_downloaded = 0;
            self.current_update_bytes_to_download = 0;
        }
        self.current_update_percent_complete = percent_at(code, self.current_update_percent_complete);
        self.result_code = code;
        self
    }
}
