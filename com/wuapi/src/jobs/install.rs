//! Installations and uninstallations.

use std::sync::{Arc, Mutex};

use uuid::Uuid;
use windows::Win32::System::Com::ISupportErrorInfo;
use windows::Win32::System::Variant::VARIANT;
use windows_core::{ComObject, IUnknown, implement};
use wua_client::Begin;
use wua_job::{Installation, Job, Snapshot, WeakJob};
use wua_types::api::JobRequest;
use wua_types::{
    HResult, InstallationResult, Operation, OperationResultCode, UpdateInstallationResult, UpdateOperation,
};

use super::state::{AsyncState, state_of};
use super::watcher::{Ended, Place, Routines};
use super::{apartment, clean_up, end, index, request_abort, some};
use crate::agent;
use crate::api::{
    IInstallationCompletedCallback, IInstallationCompletedCallbackArgs,
    IInstallationCompletedCallbackArgs_Impl, IInstallationJob, IInstallationJob_Impl, IInstallationProgress,
    IInstallationProgress_Impl, IInstallationProgressChangedCallback,
    IInstallationProgressChangedCallbackArgs, IInstallationProgressChangedCallbackArgs_Impl,
    IInstallationResult, IInstallationResult_Impl, IUpdateCollection, IUpdateInstallationResult,
    IUpdateInstallationResult_Impl,
};
use crate::border;
use crate::dispatch::scripted;
use crate::fault::Answer;
use crate::module::{self, Lease};
use crate::objects::{InstallSnapshot, Update, UpdateCollection, lock};

/// The job that an installer began last: a second one of its own is told apart from others' (rule R13). The installer does not keep
/// it, as what a client gave along may hold the installer (rule R24).
#[derive(Debug, Default)]
pub struct OwnJob(Mutex<Option<WeakJob<Installation>>>);

impl OwnJob {
    fn is_busy(&self) -> bool {
        // It may be the last reference, so it goes after the lock.
        let job = lock(&self.0).as_ref().and_then(WeakJob::upgrade);
        job.is_some_and(|job| !job.is_completed())
    }

    fn set(&self, job: &Job<Installation>) {
        *lock(&self.0) = Some(job.downgrade());
    }
}

/// `BeginInstall` and `BeginUninstall`, after their check of the lockdown (rules R11 and R12).
pub fn begin_installation(
    order: InstallSnapshot,
    own: &OwnJob,
    on_progress_changed: Option<&IUnknown>,
    on_completed: Option<&IUnknown>,
    state: &VARIANT,
) -> Answer<IInstallationJob> {
    Ok(begin(order, own, on_progress_changed, on_completed, state)?.to_interface())
}

fn begin(
    order: InstallSnapshot,
    own: &OwnJob,
    on_progress_changed: Option<&IUnknown>,
    on_completed: Option<&IUnknown>,
    state: &VARIANT,
) -> Answer<ComObject<InstallationJob>> {
    let operation = order.operation;
    let state = AsyncState::keep(state)?;
    let routines =
        Routines::<IInstallationProgressChangedCallback, _>::keep(on_progress_changed, on_completed)?;
    let updates = some(order.updates)?;
    // From here on there are threads of ours.
    module::stay()?;
    let place = Place::<InstallationJob>::default();
    let mut request = JobRequest::new(match operation {
        UpdateOperation::Installation => Operation::Install,
        UpdateOperation::Uninstallation => Operation::Uninstall,
    });
    request.is_forced = order.options.is_forced;
    request.force_quiet = order.options.force_quiet;
    request.client_application_id = order.client_application_id;
    let begin = Begin::<Installation> {
        id: Uuid::new_v4(),
        request,
        updates: updates
            .iter()
            .map(|update| wua_types::Update::clone(update.facts()))
            .collect(),
        observer: routines.watch(&place, progress_args),
        async_state: Some(Arc::new(state)),
    };
    let client = agent::client()?;
    let job = match apartment::pumping(|| client.begin(begin))? {
        Err(error) if error.code() == HResult::WU_E_INSTALL_NOT_ALLOWED && own.is_busy() => {
            return Err(HResult::WU_E_OPERATIONINPROGRESS.into());
        }
        begun => begun?,
    };
    own.set(&job);
    let object = ComObject::new(InstallationJob {
        job,
        operation,
        updates,
        _lease: Lease::default(),
    });
    let _ = place.set(object.clone());
    Ok(object)
}

/// `Install` and `Uninstall`: the same, and its end.
pub fn install(order: InstallSnapshot, own: &OwnJob) -> Answer<IInstallationResult> {
    let job = begin(order, own, None, None, &VARIANT::default())?;
    Ok(Result::of(end(&job.job)?))
}

/// `EndInstall` and `EndUninstall` (rule R22).
pub fn end_installation(
    operation: UpdateOperation,
    job: Option<&IInstallationJob>,
) -> Answer<IInstallationResult> {
    let job: ComObject<InstallationJob> = border::ours(job, "job")?;
    if job.operation != operation {
        return Err(HResult::WU_E_INVALID_OPERATION.into());
    }
    Ok(Result::of(end(&job.job)?))
}

/// `IInstallationJob`.
#[implement(IInstallationJob, ISupportErrorInfo)]
#[derive(Debug)]
pub struct InstallationJob {
    job: Job<Installation>,
    operation: UpdateOperation,
    updates: Vec<ComObject<Update>>,
    _lease: Lease,
}

scripted!(InstallationJob_Impl => IInstallationJob);

impl IInstallationJob_Impl for InstallationJob_Impl {
    fn async_state(&self) -> Answer<VARIANT> {
        state_of(self.job.async_state())
    }

    fn is_completed(&self) -> Answer<bool> {
        Ok(self.job.is_completed())
    }

    fn updates(&self) -> Answer<IUpdateCollection> {
        Ok(UpdateCollection::read_only(self.updates.clone()).into_interface())
    }

    fn clean_up(&self) -> Answer<HResult> {
        clean_up(&self.job)
    }

    fn get_progress(&self) -> Answer<IInstallationProgress> {
        Ok(Progress::of(self.job.progress()).into_interface())
    }

    fn request_abort(&self) -> Answer<()> {
        request_abort(&self.job)
    }
}

/// `IInstallationProgress`: how a job stood.
#[implement(IInstallationProgress, ISupportErrorInfo)]
#[derive(Debug)]
pub struct Progress {
    now: Snapshot<Installation>,
    _lease: Lease,
}

scripted!(Progress_Impl => IInstallationProgress);

impl Progress {
    fn of(now: Snapshot<Installation>) -> ComObject<Self> {
        ComObject::new(Self {
            now,
            _lease: Lease::default(),
        })
    }
}

impl IInstallationProgress_Impl for Progress_Impl {
    fn current_update_index(&self) -> Answer<i32> {
        Ok(self.now.current_update_index as i32)
    }

    fn current_update_percent_complete(&self) -> Answer<i32> {
        Ok(self.now.current_update_percent_complete.get().into())
    }

    fn percent_complete(&self) -> Answer<i32> {
        Ok(self.now.percent_complete.get().into())
    }

    fn get_update_result(&self, update_index: i32) -> Answer<IUpdateInstallationResult> {
        let index = index(update_index)?;
        let mut result = self.now.update_result(index)?.clone();
        // The current update is in progress (rule R10) also while its work is being prepared; that is when stopping is cheapest.
        if index == self.now.current_update_index && result.result_code == OperationResultCode::NotStarted {
            result.result_code = OperationResultCode::InProgress;
        }
        Ok(UpdateResult::of(&result))
    }
}

/// What the routine for progress is told.
#[implement(IInstallationProgressChangedCallbackArgs, ISupportErrorInfo)]
#[derive(Debug)]
pub struct ProgressArgs {
    progress: ComObject<Progress>,
    _lease: Lease,
}

scripted!(ProgressArgs_Impl => IInstallationProgressChangedCallbackArgs);

fn progress_args(now: &Snapshot<Installation>) -> IInstallationProgressChangedCallbackArgs {
    ProgressArgs {
        progress: Progress::of(now.clone()),
        _lease: Lease::default(),
    }
    .into()
}

impl IInstallationProgressChangedCallbackArgs_Impl for ProgressArgs_Impl {
    fn progress(&self) -> Answer<IInstallationProgress> {
        Ok(self.progress.to_interface())
    }
}

/// What the routine for the end is told.
#[implement(IInstallationCompletedCallbackArgs, ISupportErrorInfo)]
#[derive(Debug, Default)]
pub struct CompletedArgs {
    _lease: Lease,
}

scripted!(CompletedArgs_Impl => IInstallationCompletedCallbackArgs);

impl IInstallationCompletedCallbackArgs_Impl for CompletedArgs_Impl {}

impl Ended for Installation {
    type Completed = IInstallationCompletedCallback;
    fn completed_args() -> IInstallationCompletedCallbackArgs {
        CompletedArgs::default().into()
    }
}

/// `IInstallationResult`.
#[implement(IInstallationResult, ISupportErrorInfo)]
#[derive(Debug)]
pub struct Result {
    outcome: Arc<InstallationResult>,
    _lease: Lease,
}

scripted!(Result_Impl => IInstallationResult);

impl Result {
    fn of(outcome: Arc<InstallationResult>) -> IInstallationResult {
        Self {
            outcome,
            _lease: Lease::default(),
        }
        .into()
    }
}

impl IInstallationResult_Impl for Result_Impl {
    fn hresult(&self) -> Answer<i32> {
        Ok(self.outcome.hresult.as_i32())
    }

    fn reboot_required(&self) -> Answer<bool> {
        Ok(self.outcome.reboot_required)
    }

    fn result_code(&self) -> Answer<OperationResultCode> {
        Ok(self.outcome.result_code)
    }

    fn get_update_result(&self, update_index: i32) -> Answer<IUpdateInstallationResult> {
        let result = self.outcome.updates.get(index(update_index)?);
        Ok(UpdateResult::of(result.ok_or(HResult::WU_E_INVALIDINDEX)?))
    }
}

/// `IUpdateInstallationResult`.
#[implement(IUpdateInstallationResult, ISupportErrorInfo)]
#[derive(Debug)]
pub struct UpdateResult {
    result: UpdateInstallationResult,
    _lease: Lease,
}

scripted!(UpdateResult_Impl => IUpdateInstallationResult);

impl UpdateResult {
    fn of(result: &UpdateInstallationResult) -> IUpdateInstallationResult {
        Self {
            result: result.clone(),
            _lease: Lease::default(),
        }
        .into()
    }
}

impl IUpdateInstallationResult_Impl for UpdateResult_Impl {
    fn hresult(&self) -> Answer<i32> {
        Ok(self.result.hresult.as_i32())
    }

    fn reboot_required(&self) -> Answer<bool> {
        Ok(self.result.reboot_required)
    }

    fn result_code(&self) -> Answer<OperationResultCode> {
        Ok(self.result.result_code)
    }
}
