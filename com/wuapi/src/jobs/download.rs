//! Downloads.

use std::sync::Arc;

use uuid::Uuid;
use windows::Win32::Foundation::DECIMAL;
use windows::Win32::System::Com::ISupportErrorInfo;
use windows::Win32::System::Variant::VARIANT;
use windows_core::{ComObject, IUnknown, implement};
use wua_client::Begin;
use wua_job::{Download, Job, Snapshot};
use wua_types::api::JobRequest;
use wua_types::{
    DownloadPhase, DownloadResult, HResult, Operation, OperationResultCode, UpdateDownloadResult,
};

use super::state::{AsyncState, state_of};
use super::watcher::{Ended, Place, Routines};
use super::{apartment, clean_up, end, index, request_abort, some};
use crate::agent;
use crate::api::{
    IDownloadCompletedCallback, IDownloadCompletedCallbackArgs, IDownloadCompletedCallbackArgs_Impl,
    IDownloadJob, IDownloadJob_Impl, IDownloadProgress, IDownloadProgress_Impl,
    IDownloadProgressChangedCallback, IDownloadProgressChangedCallbackArgs,
    IDownloadProgressChangedCallbackArgs_Impl, IDownloadResult, IDownloadResult_Impl, IUpdateCollection,
    IUpdateDownloadResult, IUpdateDownloadResult_Impl,
};
use crate::border;
use crate::dispatch::scripted;
use crate::fault::Answer;
use crate::module::{self, Lease};
use crate::objects::{DownloadSnapshot, Update, UpdateCollection};
use crate::value::decimal;

/// `BeginDownload`, after its check of the lockdown (rules R11 and R12).
pub fn begin_download(
    order: DownloadSnapshot,
    on_progress_changed: Option<&IUnknown>,
    on_completed: Option<&IUnknown>,
    state: &VARIANT,
) -> Answer<IDownloadJob> {
    Ok(begin(order, on_progress_changed, on_completed, state)?.to_interface())
}

fn begin(
    order: DownloadSnapshot,
    on_progress_changed: Option<&IUnknown>,
    on_completed: Option<&IUnknown>,
    state: &VARIANT,
) -> Answer<ComObject<DownloadJob>> {
    let state = AsyncState::keep(state)?;
    let routines = Routines::<IDownloadProgressChangedCallback, _>::keep(on_progress_changed, on_completed)?;
    let updates = some(order.updates)?;
    // From here on there are threads of ours.
    module::stay()?;
    let place = Place::<DownloadJob>::default();
    let mut request = JobRequest::new(Operation::Download);
    request.is_forced = order.is_forced;
    request.client_application_id = order.client_application_id;
    let begin = Begin::<Download> {
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
    let job = apartment::pumping(|| client.begin(begin))??;
    let object = ComObject::new(DownloadJob {
        job,
        updates,
        _lease: Lease::default(),
    });
    let _ = place.set(object.clone());
    Ok(object)
}

/// `Download`: the same, and its end.
pub fn download(order: DownloadSnapshot) -> Answer<IDownloadResult> {
    let job = begin(order, None, None, &VARIANT::default())?;
    Ok(Result::of(end(&job.job)?))
}

/// `EndDownload` (rule R22).
pub fn end_download(job: Option<&IDownloadJob>) -> Answer<IDownloadResult> {
    let job: ComObject<DownloadJob> = border::ours(job, "job")?;
    Ok(Result::of(end(&job.job)?))
}

/// `IDownloadJob`.
#[implement(IDownloadJob, ISupportErrorInfo)]
#[derive(Debug)]
pub struct DownloadJob {
    job: Job<Download>,
    updates: Vec<ComObject<Update>>,
    _lease: Lease,
}

scripted!(DownloadJob_Impl => IDownloadJob);

impl IDownloadJob_Impl for DownloadJob_Impl {
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

    fn get_progress(&self) -> Answer<IDownloadProgress> {
        Ok(Progress::of(self.job.progress()).into_interface())
    }

    fn request_abort(&self) -> Answer<()> {
        request_abort(&self.job)
    }
}

/// `IDownloadProgress`: how a job stood.
#[implement(IDownloadProgress, ISupportErrorInfo)]
#[derive(Debug)]
pub struct Progress {
    now: Snapshot<Download>,
    _lease: Lease,
}

scripted!(Progress_Impl => IDownloadProgress);

impl Progress {
    fn of(now: Snapshot<Download>) -> ComObject<Self> {
        ComObject::new(Self {
            now,
            _lease: Lease::default(),
        })
    }
}

impl IDownloadProgress_Impl for Progress_Impl {
    fn current_update_bytes_downloaded(&self) -> Answer<DECIMAL> {
        Ok(decimal(self.now.current_update_bytes_downloaded))
    }

    fn current_update_bytes_to_download(&self) -> Answer<DECIMAL> {
        Ok(decimal(self.now.current_update_bytes_to_download))
    }

    fn current_update_index(&self) -> Answer<i32> {
        Ok(self.now.current_update_index as i32)
    }

    fn percent_complete(&self) -> Answer<i32> {
        Ok(self.now.percent_complete.get().into())
    }

    fn total_bytes_downloaded(&self) -> Answer<DECIMAL> {
        Ok(decimal(self.now.total_bytes_downloaded))
    }

    fn total_bytes_to_download(&self) -> Answer<DECIMAL> {
        Ok(decimal(self.now.total_bytes_to_download))
    }

    fn get_update_result(&self, update_index: i32) -> Answer<IUpdateDownloadResult> {
        let index = index(update_index)?;
        let mut result = self.now.update_result(index)?.clone();
        // The current update is in progress (rule R10) also while its work is being prepared; that is when stopping is cheapest.
        if index == self.now.current_update_index && result.result_code == OperationResultCode::NotStarted {
            result.result_code = OperationResultCode::InProgress;
        }
        Ok(UpdateResult::of(&result))
    }

    fn current_update_download_phase(&self) -> Answer<DownloadPhase> {
        Ok(self.now.current_update_download_phase)
    }

    fn current_update_percent_complete(&self) -> Answer<i32> {
        Ok(self.now.current_update_percent_complete.get().into())
    }
}

/// What the routine for progress is told.
#[implement(IDownloadProgressChangedCallbackArgs, ISupportErrorInfo)]
#[derive(Debug)]
pub struct ProgressArgs {
    progress: ComObject<Progress>,
    _lease: Lease,
}

scripted!(ProgressArgs_Impl => IDownloadProgressChangedCallbackArgs);

fn progress_args(now: &Snapshot<Download>) -> IDownloadProgressChangedCallbackArgs {
    ProgressArgs {
        progress: Progress::of(now.clone()),
        _lease: Lease::default(),
    }
    .into()
}

impl IDownloadProgressChangedCallbackArgs_Impl for ProgressArgs_Impl {
    fn progress(&self) -> Answer<IDownloadProgress> {
        Ok(self.progress.to_interface())
    }
}

/// What the routine for the end is told.
#[implement(IDownloadCompletedCallbackArgs, ISupportErrorInfo)]
#[derive(Debug, Default)]
pub struct CompletedArgs {
    _lease: Lease,
}

scripted!(CompletedArgs_Impl => IDownloadCompletedCallbackArgs);

impl IDownloadCompletedCallbackArgs_Impl for CompletedArgs_Impl {}

impl Ended for Download {
    type Completed = IDownloadCompletedCallback;
    fn completed_args() -> IDownloadCompletedCallbackArgs {
        CompletedArgs::default().into()
    }
}

/// `IDownloadResult`.
#[implement(IDownloadResult, ISupportErrorInfo)]
#[derive(Debug)]
pub struct Result {
    outcome: Arc<DownloadResult>,
    _lease: Lease,
}

scripted!(Result_Impl => IDownloadResult);

impl Result {
    fn of(outcome: Arc<DownloadResult>) -> IDownloadResult {
        Self {
            outcome,
            _lease: Lease::default(),
        }
        .into()
    }
}

impl IDownloadResult_Impl for Result_Impl {
    fn hresult(&self) -> Answer<i32> {
        Ok(self.outcome.hresult.as_i32())
    }

    fn result_code(&self) -> Answer<OperationResultCode> {
        Ok(self.outcome.result_code)
    }

    fn get_update_result(&self, update_index: i32) -> Answer<IUpdateDownloadResult> {
        let result = self.outcome.updates.get(index(update_index)?);
        Ok(UpdateResult::of(result.ok_or(HResult::WU_E_INVALIDINDEX)?))
    }
}

/// `IUpdateDownloadResult`.
#[implement(IUpdateDownloadResult, ISupportErrorInfo)]
#[derive(Debug)]
pub struct UpdateResult {
    result: UpdateDownloadResult,
    _lease: Lease,
}

scripted!(UpdateResult_Impl => IUpdateDownloadResult);

impl UpdateResult {
    fn of(result: &UpdateDownloadResult) -> IUpdateDownloadResult {
        Self {
            result: result.clone(),
            _lease: Lease::default(),
        }
        .into()
    }
}

impl IUpdateDownloadResult_Impl for UpdateResult_Impl {
    fn hresult(&self) -> Answer<i32> {
        Ok(self.result.hresult.as_i32())
    }

    fn result_code(&self) -> Answer<OperationResultCode> {
        Ok(self.result.result_code)
    }
}
