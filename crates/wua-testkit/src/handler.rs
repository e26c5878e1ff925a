//! A handler that does what it is told to. Untold, it resolves each update to the changes of its packages, needs their content
//! in the store, and succeeds.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use wua_engine::UpdateHandler;
use wua_engine::failure::Failure;
use wua_engine::handler::{
    Batch, BatchContext, BatchEnd, Consent, DownloadContext, Finding, InstalledUpdate, Refusal, Resolution,
    ResolvedUpdate,
};
use wua_engine::space::SpaceNeed;
use wua_engine::stage::{ExpectedStage, Stage, StageKind};
use wua_engine::store::ContentStore;
use wua_types::{
    HResult, InstallPlan, OperationResultCode, Phase, PlannedChange, PlannedUpdate, Update,
    UpdateDownloadResult, UpdateId, UpdateInstallationResult, WaitingFor,
};

use crate::gate::Gate;

type Apply = dyn Fn(&Batch<'_>, &mut dyn BatchContext) -> Result<BatchEnd, Failure> + Send + Sync;
type Download = dyn Fn(&[Update], &mut dyn DownloadContext) -> Result<(), Failure> + Send + Sync;
type Amend = dyn Fn(&mut Resolution) -> Result<(), Failure> + Send + Sync;

/// A handler whose doings a test writes.
pub struct ScriptedHandler {
    apply: Box<Apply>,
    download: Box<Download>,
    amend: Box<Amend>,
    permission: Mutex<Option<HResult>>,
    restart: Mutex<Option<Vec<String>>>,
    gone: Mutex<BTreeSet<UpdateId>>,
    applied: Mutex<Vec<Vec<usize>>>,
    space: Mutex<Vec<SpaceNeed>>,
    findings: Mutex<Vec<Finding>>,
    before_repair: Mutex<Option<Gate>>,
}

/// The result of an update that went well.
pub fn succeeded() -> UpdateInstallationResult {
    UpdateInstallationResult::new(OperationResultCode::Succeeded, HResult::S_OK, "")
}

/// The result of an update whose installer failed.
pub fn failed() -> UpdateInstallationResult {
    UpdateInstallationResult::new(
        OperationResultCode::Failed,
        HResult::WU_E_UH_INSTALLERFAILURE,
        "the installer failed",
    )
}

/// Changes the machine for one update, in two steps, and succeeds.
pub fn succeed(cx: &mut dyn BatchContext, update: usize) {
    cx.step(update, 1, 2, Phase::Unpacking);
    cx.step(update, 2, 2, Phase::Configuring);
    cx.finished(update, succeeded());
}

impl Default for ScriptedHandler {
    fn default() -> Self {
        Self {
            apply: Box::new(|batch, cx| {
                cx.changing();
                batch.members.iter().for_each(|update| succeed(cx, *update));
                Ok(BatchEnd::Done)
            }),
            download: Box::new(|updates, cx| {
                for (place, update) in updates.iter().enumerate() {
                    let size = update.max_download_size;
                    cx.bytes(place, size / 2, size, Phase::Downloading);
                    cx.bytes(place, size, size, Phase::Verifying);
                    cx.finished(
                        place,
                        UpdateDownloadResult::new(OperationResultCode::Succeeded, HResult::S_OK, ""),
                    );
                }
                Ok(())
            }),
            amend: Box::new(|_| Ok(())),
            permission: Mutex::default(),
            restart: Mutex::default(),
            gone: Mutex::default(),
            applied: Mutex::default(),
            space: Mutex::default(),
            findings: Mutex::default(),
            before_repair: Mutex::default(),
        }
    }
}

impl ScriptedHandler {
    /// A handler that applies each batch by `apply`.
    pub fn applying(
        apply: impl Fn(&Batch<'_>, &mut dyn BatchContext) -> Result<BatchEnd, Failure> + Send + Sync + 'static,
    ) -> Self {
        Self {
            apply: Box::new(apply),
            ..Self::default()
        }
    }

    /// A handler that downloads by `download`.
    pub fn downloading(
        download: impl Fn(&[Update], &mut dyn DownloadContext) -> Result<(), Failure> + Send + Sync + 'static,
    ) -> Self {
        Self {
            download: Box::new(download),
            ..Self::default()
        }
    }

    /// A machine on which this is wrong until it is repaired; while it stands in the way, nothing can be planned.
    pub fn ail(&self, finding: Finding) {
        lock(&self.findings).push(finding);
    }

    /// Lets the next repair begin only once it is let through `gate`.
    pub fn stop_repair_at(&self, gate: Gate) {
        *lock(&self.before_repair) = Some(gate);
    }

    /// Lets `amend` have the last word on what an operation would change.
    #[must_use]
    pub fn resolving(
        self,
        amend: impl Fn(&mut Resolution) -> Result<(), Failure> + Send + Sync + 'static,
    ) -> Self {
        Self {
            amend: Box::new(amend),
            ..self
        }
    }

    /// From now on the caller may not change the machine.
    pub fn forbid(&self) {
        *lock(&self.permission) = Some(HResult::E_ACCESSDENIED);
    }

    /// From now on the machine waits for a restart because of `packages`.
    pub fn ask_for_restart(&self, packages: &[&str]) {
        *lock(&self.restart) = Some(packages.iter().map(|name| (*name).to_owned()).collect());
    }

    /// From now on every plan needs this room.
    pub fn need_space(&self, needs: Vec<SpaceNeed>) {
        *lock(&self.space) = needs;
    }

    /// From now on the update is not there any more, though it is recorded.
    pub fn lose(&self, update: UpdateId) {
        lock(&self.gone).insert(update);
    }

    /// The members of every batch that it was given, in order.
    pub fn applied(&self) -> Vec<Vec<usize>> {
        lock(&self.applied).clone()
    }

    fn resolve(&self, updates: Vec<Result<ResolvedUpdate, Refusal>>) -> Result<Resolution, Failure> {
        let mut resolution = Resolution {
            updates,
            together: Vec::new(),
        };
        if let Some(finding) = lock(&self.findings)
            .iter()
            .find(|finding| finding.kind.stops_planning())
        {
            return Err(Failure::new(
                HResult::WU_E_INVALID_RELATIONSHIP,
                finding.sentence.clone(),
            ));
        }
        (self.amend)(&mut resolution)?;
        Ok(resolution)
    }
}

/// Passes everything on, and notes which updates were made: the others are not there.
struct Noting<'a> {
    cx: &'a mut dyn BatchContext,
    made: &'a mut BTreeSet<usize>,
    told: BTreeSet<usize>,
}

impl BatchContext for Noting<'_> {
    fn abort_requested(&self) -> bool {
        self.cx.abort_requested()
    }
    fn changing(&mut self) {
        self.cx.changing();
    }
    fn step(&mut self, update: usize, done: u32, total: u32, phase: Phase) {
        self.cx.step(update, done, total, phase);
    }
    fn waiting(&mut self, what: Option<WaitingFor>) {
        self.cx.waiting(what);
    }
    fn stage(&mut self, stage: Option<Stage>) {
        self.cx.stage(stage);
    }
    fn finished_together(&mut self, results: Vec<(usize, UpdateInstallationResult)>) {
        for (update, result) in &results {
            // The first result counts.
            if self.told.insert(*update) && result.result_code.is_success() {
                self.made.insert(*update);
            }
        }
        self.cx.finished_together(results);
    }
    fn warning(&mut self, code: HResult, message: String) {
        self.cx.warning(code, message);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn resolve_one(update: &Update, forced: bool) -> Result<ResolvedUpdate, Refusal> {
    if update.is_installed && !forced {
        return Err(Refusal::new(HResult::WU_S_ALREADY_INSTALLED, ""));
    }
    let content =
        |change: &wua_types::PackageChange| change.content.as_ref().map(|content| content.sha256.clone());
    let planned = |change: &wua_types::PackageChange| PlannedChange {
        name: change.name.clone(),
        architecture: change.architecture.clone(),
        from: change.installed.clone(),
        to: change.candidate.clone(),
        archive: content(change),
    };
    Ok(ResolvedUpdate {
        changes: update.packages().into_iter().map(planned).collect(),
        unpacked_bytes: 1,
    })
}

fn take_back(installed: &InstalledUpdate) -> ResolvedUpdate {
    let back = |change: &PlannedChange| PlannedChange {
        from: change.to.clone(),
        to: change.from.clone(),
        archive: None,
        ..change.clone()
    };
    ResolvedUpdate {
        changes: installed.changes.iter().map(back).collect(),
        unpacked_bytes: 1,
    }
}

impl UpdateHandler for ScriptedHandler {
    fn machine(&self) -> String {
        "scripted".into()
    }

    fn may_change(&self) -> Result<(), Failure> {
        match *lock(&self.permission) {
            Some(code) => Err(Failure::new(code, "the test forbade it")),
            None => Ok(()),
        }
    }

    fn still_installed(&self, updates: &[&InstalledUpdate]) -> Result<Vec<bool>, Failure> {
        let gone = lock(&self.gone);
        Ok(updates
            .iter()
            .map(|installed| !gone.contains(&installed.update.id()))
            .collect())
    }

    fn resolve_install(&self, updates: &[Update], forced: bool) -> Result<Resolution, Failure> {
        self.resolve(updates.iter().map(|update| resolve_one(update, forced)).collect())
    }

    fn resolve_uninstall(
        &self,
        updates: &[InstalledUpdate],
        _store: &ContentStore,
    ) -> Result<Resolution, Failure> {
        self.resolve(updates.iter().map(|installed| Ok(take_back(installed))).collect())
    }

    fn forecast(&self, updates: &[PlannedUpdate]) -> Vec<Vec<ExpectedStage>> {
        let stages = |update: &PlannedUpdate| {
            let unpack = update.changes.iter().map(|change| ExpectedStage {
                stage: Stage::of(StageKind::Unpack, change.name.clone()),
                seconds: 1.0,
            });
            unpack.collect()
        };
        updates.iter().map(stages).collect()
    }

    fn space_needed(&self, _plan: &InstallPlan) -> Result<Vec<SpaceNeed>, Failure> {
        Ok(lock(&self.space).clone())
    }

    fn download(
        &self,
        updates: &[Update],
        _store: &ContentStore,
        cx: &mut dyn DownloadContext,
    ) -> Result<(), Failure> {
        (self.download)(updates, cx)
    }

    fn apply(&self, batch: &Batch<'_>, cx: &mut dyn BatchContext) -> Result<BatchEnd, Failure> {
        lock(&self.applied).push(batch.members.to_vec());
        let mut made = BTreeSet::new();
        let told = BTreeSet::new();
        let end = (self.apply)(
            batch,
            &mut Noting {
                cx,
                made: &mut made,
                told,
            },
        );
        let mut gone = lock(&self.gone);
        for place in batch.members {
            let id = batch.plan[*place].identity.update_id;
            if made.contains(place) {
                gone.remove(&id);
            } else {
                gone.insert(id);
            }
        }
        end
    }

    fn diagnose(&self, _store: &ContentStore) -> Result<Vec<Finding>, Failure> {
        Ok(lock(&self.findings).clone())
    }

    fn repair(
        &self,
        _folder: &Path,
        _number: usize,
        _store: &ContentStore,
        _consent: Consent,
        _cx: &mut dyn BatchContext,
    ) -> Result<Vec<Finding>, Failure> {
        if let Some(gate) = lock(&self.before_repair).take() {
            gate.stop();
        }
        let mut findings = lock(&self.findings);
        findings.retain(|finding| !finding.heals_itself);
        Ok(findings.clone())
    }

    fn restart_required(&self) -> Result<Option<Vec<String>>, Failure> {
        Ok(lock(&self.restart).clone())
    }

    fn installs_by_itself(&self) -> bool {
        false
    }

    fn lock_holder(&self) -> Option<String> {
        None
    }
}

impl std::fmt::Debug for ScriptedHandler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptedHandler")
            .field("applied", &self.applied())
            .finish_non_exhaustive()
    }
}
