//! How updates are applied: the trait that a package manager implements.
//!
//! A handler works on batches and answers for each update. It reports steps of its own updates only; totals, history and the
//! law of progress (rule R9) are the engine's. It reads results back from the machine, never from an exit code (rule I1).

use std::fmt;
use std::path::Path;

use wua_types::{
    HResult, InstallPlan, Phase, PlannedChange, PlannedUpdate, Update, UpdateDownloadResult,
    UpdateInstallationResult, UpdateOperation, WaitingFor,
};

use crate::failure::Failure;
use crate::space::SpaceNeed;
use crate::stage::{ExpectedStage, Stage};
use crate::store::ContentStore;

/// What the package manager says an operation on some updates would exactly change, asked before anything is touched.
#[derive(Debug, Default)]
pub struct Resolution {
    /// For each update, in the order given: its exact changes, or why it is not going to be changed.
    pub updates: Vec<Result<ResolvedUpdate, Refusal>>,
    /// Pairs of places of updates that must go in the same batch (rule B1).
    pub together: Vec<(usize, usize)>,
}

/// What one update exactly changes.
#[derive(Clone, Debug, Default)]
pub struct ResolvedUpdate {
    /// The changes, sorted; no removals unless the operation is an uninstallation.
    pub changes: Vec<PlannedChange>,
    /// Bytes that are unpacked, for the forecast.
    pub unpacked_bytes: u64,
}

/// Why one update is not going to be changed: its result, known before the work.
///
/// A success code (`WU_S_ALREADY_INSTALLED`) makes a result of `Succeeded`, a failing one of `Failed`.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The reason.
    pub code: HResult,
    /// The reason as a sentence.
    pub message: String,
}

impl Refusal {
    /// A refusal with its reason.
    pub fn new(code: HResult, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// An update to be taken back: what was recorded when it was installed.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct InstalledUpdate {
    /// The update as it was installed.
    pub update: Update,
    /// The changes that were made, `from` being the version to go back to.
    pub changes: Vec<PlannedChange>,
}

/// What a handler is given to know while it downloads, and whom to tell.
pub trait DownloadContext {
    /// Whether the caller wants to stop; asked often. Content that is complete stays, partial content may.
    fn abort_requested(&self) -> bool;
    /// Tells how many bytes of an update are here, of how many.
    fn bytes(&mut self, update: usize, here: u64, total: u64, phase: Phase);
    /// Tells what is being waited for, or that the wait is over.
    fn waiting(&mut self, what: Option<WaitingFor>);
    /// Tells an update's result; once for each update.
    fn finished(&mut self, update: usize, result: UpdateDownloadResult);
    /// Tells something that ends nothing.
    fn warning(&mut self, code: HResult, message: String);
}

/// One run of the package manager: updates that go together.
#[derive(Debug)]
pub struct Batch<'a> {
    /// Install or uninstall.
    pub operation: UpdateOperation,
    /// Every update of the plan, also those outside this batch; places in it are the engine's update indexes.
    pub plan: &'a [PlannedUpdate],
    /// Which of them make up this batch.
    pub members: &'a [usize],
    /// A number that differs between all runs of a job, for names of files.
    pub number: usize,
    /// The job's own folder, on the machine's tree; the handler keeps its logs there.
    pub folder: &'a Path,
    /// The content; every archive of the plan is in it.
    pub store: &'a ContentStore,
}

/// How a batch ended, beside the results told on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchEnd {
    /// Every member has been told a result.
    Done,
    /// Nothing was touched: the package manager would also change packages of these updates (rule B1). The engine merges them
    /// into the batch and runs it again.
    NeedsAlso(Vec<usize>),
}

/// What a handler is given to know while it changes the machine, and whom to tell.
pub trait BatchContext {
    /// Whether the caller wants to stop. Asked before the package manager runs and while locks are waited for; never after
    /// (rule R26).
    fn abort_requested(&self) -> bool;
    /// From here on the machine is being changed: an abort is answered after this batch.
    fn changing(&mut self);
    /// Tells how many of an update's steps are done, and what is being done to it. Steps may come in any order; the engine
    /// keeps the most.
    fn step(&mut self, update: usize, done: u32, total: u32, phase: Phase);
    /// Tells what is being waited for, or that the wait is over.
    fn waiting(&mut self, what: Option<WaitingFor>);
    /// Tells that a stage begins, which ends the one before, or that none runs; for the estimate of time alone.
    fn stage(&mut self, stage: Option<Stage>);
    /// Tells final results, read back from the machine; one for each member. What came to light together is told together: it is
    /// written down by one write to the disk.
    fn finished_together(&mut self, results: Vec<(usize, UpdateInstallationResult)>);
    /// Tells one final result.
    fn finished(&mut self, update: usize, result: UpdateInstallationResult) {
        self.finished_together(vec![(update, result)]);
    }
    /// Tells something that ends nothing.
    fn warning(&mut self, code: HResult, message: String);
}

/// One thing about a machine that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Finding {
    /// What kind of trouble it is; decides which rung of the ladder cures it.
    pub kind: FindingKind,
    /// What is concerned: a package as `NAME:ARCHITECTURE`, a process as `NAME (PID)`, a file.
    pub subject: String,
    /// What is wrong, as a sentence.
    pub sentence: String,
    /// What a repair would do about it, as a sentence.
    pub cure: String,
    /// Whether a repair may do that by itself. What it may not needs the administrator's consent, or a human.
    pub heals_itself: bool,
}

impl fmt::Display for Finding {
    /// What is wrong, and the next step.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; next: {}", self.sentence, self.cure)
    }
}

/// The kinds of trouble, in the order of the rungs that cure them (apt.md 10.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Another program is changing packages now, so that nothing can be said of their states.
    Busy,
    /// Something of an earlier, interrupted run is still working, or another program holds the package database.
    Survivor,
    /// Packages are unpacked and not configured, or the package database has an unfinished journal.
    Unconfigured,
    /// A package was interrupted while it was unpacked and must be unpacked again.
    HalfInstalled,
    /// Dependencies of installed packages are not satisfied.
    BrokenDependency,
    /// Files of an interrupted run lie about.
    Leftover,
}

impl FindingKind {
    /// Whether a package manager refuses to plan anything before it is healed.
    pub fn stops_planning(self) -> bool {
        matches!(self, Self::HalfInstalled | Self::BrokenDependency)
    }
}

/// What the administrator allows a repair to do beyond what it may do by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Consent {
    /// Remove packages.
    pub removals: bool,
}

/// How updates are applied.
pub trait UpdateHandler: Send + Sync {
    /// A stable text that says which machine this is; part of a plan's hash.
    fn machine(&self) -> String;

    /// Whether the caller may change the machine.
    ///
    /// # Errors
    /// `E_ACCESSDENIED`, saying what is missing.
    fn may_change(&self) -> Result<(), Failure>;

    /// Which of `updates`, each recorded as installed, are still there in exactly that version.
    ///
    /// # Errors
    /// The machine's state cannot be read.
    fn still_installed(&self, updates: &[&InstalledUpdate]) -> Result<Vec<bool>, Failure>;

    /// What installing `updates` would exactly change now, whether or not their content is here. Touches nothing; blocks as long
    /// as the package manager's solver.
    ///
    /// # Errors
    /// The package manager cannot be asked.
    fn resolve_install(&self, updates: &[Update], forced: bool) -> Result<Resolution, Failure>;

    /// What taking `updates` back would exactly change now. Touches nothing.
    ///
    /// # Errors
    /// The package manager cannot be asked.
    fn resolve_uninstall(
        &self,
        updates: &[InstalledUpdate],
        store: &ContentStore,
    ) -> Result<Resolution, Failure>;

    /// Which stages each update of a plan is going to need, with what a machine of which nothing is known takes for them; for the
    /// estimate of time alone, so what cannot be told is left out. Touches nothing; takes milliseconds.
    fn forecast(&self, updates: &[PlannedUpdate]) -> Vec<Vec<ExpectedStage>>;

    /// How much room carrying out `plan` needs, folder by folder, beside the engine's own records. Touches nothing.
    ///
    /// # Errors
    /// The machine's state cannot be read.
    fn space_needed(&self, plan: &InstallPlan) -> Result<Vec<SpaceNeed>, Failure>;

    /// Brings the archives of `updates` into the store, verified, and those of the installed versions too, for a later undo.
    /// Tells a result for each update unless it returns an error.
    ///
    /// # Errors
    /// Nothing can be downloaded at all.
    fn download(
        &self,
        updates: &[Update],
        store: &ContentStore,
        cx: &mut dyn DownloadContext,
    ) -> Result<(), Failure>;

    /// Applies one batch. Tells a result for each member unless it returns [`BatchEnd::NeedsAlso`] or an error.
    ///
    /// # Errors
    /// Something that dooms the batch and what follows it: the package database locked or broken, a full disk (rule R33).
    /// Members told before keep their result.
    fn apply(&self, batch: &Batch<'_>, cx: &mut dyn BatchContext) -> Result<BatchEnd, Failure>;

    /// What is wrong with the machine's packages. Touches nothing and needs no privilege. An empty answer means healthy.
    ///
    /// # Errors
    /// The machine's state cannot be read.
    fn diagnose(&self, store: &ContentStore) -> Result<Vec<Finding>, Failure>;

    /// Heals what [`diagnose`](Self::diagnose) finds, rung by rung, each at most once for the same trouble; waits visibly for
    /// survivors and locks. Returns what is left. `folder` is the job's own, for logs; `number` differs between all runs of a job.
    ///
    /// # Errors
    /// Nothing could be tried: a lock held past its limit, a full disk, an abort while waiting (`WU_E_CALL_CANCELLED`).
    fn repair(
        &self,
        folder: &Path,
        number: usize,
        store: &ContentStore,
        consent: Consent,
        cx: &mut dyn BatchContext,
    ) -> Result<Vec<Finding>, Failure>;

    /// Whether the machine waits for a restart, for whatever reason, and for which packages.
    ///
    /// # Errors
    /// The machine's state cannot be read.
    fn restart_required(&self) -> Result<Option<Vec<String>>, Failure>;

    /// Whether another program installs updates on this machine by itself.
    fn installs_by_itself(&self) -> bool;

    /// Who else is changing the machine's packages now, as `NAME (PID)`.
    fn lock_holder(&self) -> Option<String>;
}
