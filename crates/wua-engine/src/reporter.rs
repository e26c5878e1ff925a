//! What a keeper says: to the journal, to history, to the meter, to the event file, in this order, so that nothing is announced
//! that is not written down. A keeper that takes over a job says what the one before it could not say any more, and nothing
//! twice.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use wua_types::event::AnyProgress;
use wua_types::{
    EventLine, HResult, JobEvent, Operation, OperationResultCode, Phase, PlannedUpdate, ServerSelection,
    StartedUpdate, UpdateHistoryEntry, UpdateInstallationResult, UpdateOperation, UpdateResult as _,
    WaitingFor,
};

use crate::durations::Durations;
use crate::event_file::EventWriter;
use crate::failure::Failure;
use crate::handler::BatchContext;
use crate::journal::{Journal, JournalError, Past};
use crate::keeper::is_recorded;
use crate::lock::MachineLock;
use crate::meter::Meter;
use crate::order::Order;
use crate::stage::{ExpectedStage, Stage};
use crate::state::{Consequence, InstalledRecord, State, StateError};
use crate::system;
use crate::timeline::Timeline;
use crate::voice::{SharedVoice, Voice};

/// Tells a job's story.
pub(crate) struct Reporter<'a> {
    order: &'a Order,
    voice: SharedVoice,
    state: State,
    journal: Journal,
    abort: PathBuf,
    /// Whether what runs now was begun by an earlier keeper, so that it is finished first (rule R26).
    is_begun_before: bool,
    results: Vec<Option<UpdateInstallationResult>>,
    begun: BTreeSet<usize>,
    /// The updates whose results history could not be told.
    unrecorded: BTreeSet<usize>,
    /// The updates that the handler works on now; it may speak of no other.
    members: BTreeSet<usize>,
    more_to_come: bool,
}

impl<'a> Reporter<'a> {
    pub(crate) fn new(
        order: &'a Order,
        events: EventWriter,
        state: State,
        journal: Journal,
        abort: PathBuf,
        forecast: Vec<Vec<ExpectedStage>>,
    ) -> Self {
        let durations = state.durations().unwrap_or_else(|error| {
            tracing::warn!(%error, "what earlier runs took is not known");
            Durations::default()
        });
        let mut timeline = Timeline::new(durations, forecast, &order.plan.batches);
        timeline.restore(order.spent.time_share);
        timeline.planned_in(order.spent.planning_seconds);
        let spent = Duration::try_from_secs_f64(order.spent.seconds).unwrap_or_default();
        let voice = Voice::new(Meter::new(order.updates.len()), timeline, events, spent);
        Self {
            order,
            voice: SharedVoice::new(voice),
            state,
            journal,
            abort,
            is_begun_before: false,
            results: vec![None; order.updates.len()],
            begun: BTreeSet::new(),
            unrecorded: BTreeSet::new(),
            members: BTreeSet::new(),
            more_to_come: true,
        }
    }

    /// Goes on where an earlier keeper ended: `past` is what it wrote down, `said` what followers heard. What was written
    /// down and not said is said now.
    pub(crate) fn restore(&mut self, past: &Past, said: &[EventLine]) -> Result<(), Failure> {
        let mut told = BTreeSet::new();
        let mut last = None;
        for line in said {
            match &line.event {
                JobEvent::Progress(AnyProgress::Installation(now)) => {
                    self.voice.lock().restore(now);
                    last = Some(now);
                }
                JobEvent::UpdateFinished { index, result, .. } => {
                    told.insert(*index);
                    // What was said holds, also where the journal does not know of it any more.
                    if let Some(known) = self.results.get_mut(*index) {
                        *known = Some(result.clone());
                        self.voice.lock().finish(*index, result.result_code);
                    }
                }
                _ => {}
            }
        }
        if let (Some(first), Some(last)) = (said.first(), said.last()) {
            let worked = last.time.duration_since(first.time);
            self.voice
                .lock()
                .worked(Duration::try_from(worked).unwrap_or_default());
        }
        self.begun.extend(&past.touched);
        let mut recorded = self
            .state
            .recorded(self.order.job)
            .map_err(|error| Failure::because(error.code(), "cannot read what the job did before", error))?;
        let mut unsaid = Vec::new();
        for (&place, (result, begun)) in &past.results {
            let Some(known) = self.results.get_mut(place) else {
                continue;
            };
            *known = Some(result.clone());
            let id = self.order.updates[place].id();
            match recorded.iter().position(|recorded| *recorded == id) {
                Some(entry) => {
                    recorded.swap_remove(entry);
                }
                None if is_recorded(result.result_code, *begun) => self.remember(&[(place, result)]),
                None => {}
            }
            if told.contains(&place) {
                self.voice.lock().finish(place, result.result_code);
            } else {
                unsaid.push((place, result.clone()));
            }
        }
        let is_promised = |place: usize| {
            last.is_some_and(|last| last.result_code.is_final() && last.current_update_index == place)
        };
        if let Some(last) = last {
            let mut voice = self.voice.lock();
            voice.restore(last);
            voice.events.restore(last);
        }
        // A final progress waits for its result, which must come first.
        unsaid.sort_by_key(|(place, _)| !is_promised(*place));
        for (place, result) in unsaid {
            self.voice.lock().finish(place, result.result_code);
            if !is_promised(place) {
                self.show();
            }
            self.say_finished(place, result);
        }
        Ok(())
    }

    pub(crate) fn started(&mut self) {
        let started = |(index, update): (usize, &PlannedUpdate)| StartedUpdate {
            index,
            id: update.identity.update_id,
            title: update.title.clone(),
        };
        let operation = match self.order.plan.operation {
            _ if self.order.repair.is_some() => Operation::Repair,
            UpdateOperation::Installation => Operation::Install,
            UpdateOperation::Uninstallation => Operation::Uninstall,
        };
        self.say(JobEvent::Started {
            operation,
            plan_hash: Some(self.order.plan.hash().to_string()),
            updates: self.order.plan.updates.iter().enumerate().map(started).collect(),
        });
    }

    /// From now on followers hear something each second.
    pub(crate) fn keep_speaking(&mut self) {
        self.voice.keep_speaking();
    }

    pub(crate) fn abort_wished(&self) -> bool {
        !self.is_begun_before && self.abort.exists()
    }

    /// What runs next was begun by an earlier keeper, or not any more.
    pub(crate) fn begun_before(&mut self, is: bool) {
        self.is_begun_before = is;
    }

    /// Whether an update has its result.
    pub(crate) fn is_finished(&self, place: usize) -> bool {
        self.results.get(place).is_none_or(Option::is_some)
    }

    /// Whether an update was ever begun.
    pub(crate) fn is_begun(&self, place: usize) -> bool {
        self.begun.contains(&place)
    }

    /// A run is about to begin; durable when this returns.
    pub(crate) fn begin_batch(
        &mut self,
        number: usize,
        members: &[usize],
        more_to_come: bool,
    ) -> Result<(), Failure> {
        self.journal.batch(number, members).map_err(not_written)?;
        self.begun.extend(members);
        self.members = members.iter().copied().collect();
        self.more_to_come = more_to_come;
        let mut voice = self.voice.lock();
        let now = voice.now();
        voice.timeline.begin_batch(now, members);
        voice.meter.can_abort(true);
        voice.meter.phase(Phase::Preparing);
        voice.show();
        Ok(())
    }

    /// A repair is about to begin, which concerns no update; durable when this returns.
    pub(crate) fn begin_repair(&mut self, number: usize) -> Result<(), Failure> {
        // Where it is the job itself, nothing comes after it that could be stopped.
        self.begin_batch(number, &[], self.order.repair.is_none())?;
        let mut voice = self.voice.lock();
        voice.meter.phase(Phase::Repairing);
        voice.show();
        Ok(())
    }

    /// Whether any of these updates failed.
    pub(crate) fn has_failed(&self, places: &[usize]) -> bool {
        let results = places
            .iter()
            .filter_map(|place| self.results.get(*place)?.as_ref());
        results
            .into_iter()
            .any(|result| result.result_code == OperationResultCode::Failed)
    }

    /// The run is over, and so are all results that it was to bring.
    pub(crate) fn seal_batch(&mut self, number: usize) {
        if let Err(error) = self.journal.batch_ended(number) {
            tracing::error!(job = %self.order.job, %error, "the end of a batch is not written down");
        }
    }

    pub(crate) fn end_batch(&mut self) {
        self.members.clear();
        let mut voice = self.voice.lock();
        let now = voice.now();
        voice.timeline.end_batch(now);
        voice.meter.waiting(None);
        voice.meter.changing(false);
        let can_abort = self.more_to_come || voice.meter.is_unfinished();
        voice.meter.can_abort(can_abort);
        voice.show();
    }

    /// The result of an update: written to history, then shown.
    pub(crate) fn finish(&mut self, place: usize, result: UpdateInstallationResult) {
        self.finish_together(vec![(place, result)]);
    }

    /// Results that came to light together, each the first of its update.
    fn finish_together(&mut self, results: Vec<(usize, UpdateInstallationResult)>) {
        let mut new: Vec<(usize, bool, UpdateInstallationResult)> = Vec::new();
        for (place, result) in results {
            if !self.is_finished(place) && new.iter().all(|(known, ..)| *known != place) {
                new.push((place, self.begun.contains(&place), result));
            }
        }
        if new.is_empty() {
            return;
        }
        if let Err(error) = self.journal.results(&new) {
            self.say_warning(error.code(), error.to_string());
        }
        let recorded: Vec<_> = new
            .iter()
            .filter(|(_, begun, result)| is_recorded(result.result_code, *begun))
            .map(|(place, _, result)| (*place, result))
            .collect();
        self.remember(&recorded);
        for (place, _, result) in new {
            let mut voice = self.voice.lock();
            voice.finish(place, result.result_code);
            voice.show();
            drop(voice);
            self.results[place] = Some(result.clone());
            self.say_finished(place, result);
        }
    }

    fn say_finished(&mut self, place: usize, result: UpdateInstallationResult) {
        let id = self.order.updates[place].id();
        self.say(JobEvent::UpdateFinished {
            index: place,
            id,
            result,
        });
    }

    /// An update that an abort kept from being changed.
    pub(crate) fn abort(&mut self, place: usize) {
        self.begun.remove(&place);
        let code = OperationResultCode::Aborted;
        self.finish(
            place,
            UpdateInstallationResult::ended(
                code,
                HResult::WU_E_CALL_CANCELLED,
                "stopped before it was begun",
            ),
        );
    }

    /// Gives those of `places` that have no result the one that follows from `failure`.
    pub(crate) fn end_rest(&mut self, failure: &Failure, places: &[usize]) {
        let (code, sentence) = (OperationResultCode::Failed, failure.sentence());
        let failed = |place: &usize| {
            let result = UpdateInstallationResult::ended(code, failure.code(), &sentence);
            (*place, result)
        };
        self.finish_together(places.iter().map(failed).collect());
    }

    /// What a fault of the keeper's own leaves behind: reasons in place of results (rule R17).
    pub(crate) fn end_lost(&mut self) {
        self.end_batch();
        let lost = Failure::new(
            HResult::WU_E_UNEXPECTED,
            "the keeper met a fault of its own; this is a bug of wua's",
        );
        let begun: Vec<usize> = self.begun.iter().copied().collect();
        self.end_rest(&lost, &begun);
        let doomed = Failure::new(
            HResult::WU_E_UPDATE_NOT_PROCESSED,
            "the job ended before this update had its turn",
        );
        self.end_rest(&doomed, &(0..self.results.len()).collect::<Vec<_>>());
    }

    pub(crate) fn results(&self) -> Vec<UpdateInstallationResult> {
        let missing = || {
            UpdateInstallationResult::ended(
                OperationResultCode::Failed,
                HResult::WU_E_UPDATE_NOT_PROCESSED,
                "",
            )
        };
        self.results
            .iter()
            .map(|result| result.clone().unwrap_or_else(missing))
            .collect()
    }

    /// The last event. The operation is finished in the state and the machine's lock is free before followers hear of it, so
    /// that they can begin the next job at once.
    pub(crate) fn completed(mut self, completed: JobEvent, lock: MachineLock) {
        if let Err(error) = self.close() {
            self.say_warning(
                error.code(),
                format!(
                    "the job stays listed as unfinished, and the next command of wua's closes it: {error}"
                ),
            );
        }
        self.learn();
        let Self { voice, state, .. } = self;
        drop(state);
        drop(lock);
        voice.lock().say_last(completed);
    }

    /// Remembers how long the job's stages took. Going back runs the scripts of old versions, which says nothing about the next ones.
    fn learn(&mut self) {
        if self.order.plan.operation != UpdateOperation::Installation {
            return;
        }
        let mut observed = self.voice.lock().timeline.take_observations();
        // What failed, or was ended because it hung, says nothing about how long it takes.
        let updates = self.order.plan.updates.iter().zip(&self.results);
        let failed: BTreeSet<&str> = updates
            .filter(|(_, result)| {
                !result
                    .as_ref()
                    .is_some_and(|result| result.result_code.is_success())
            })
            .flat_map(|(update, _)| &update.changes)
            .map(|change| change.name.as_str())
            .collect();
        observed.retain(|seen| !failed.contains(seen.stage.subject.as_str()));
        if let Err(error) = self.state.learn(&observed) {
            tracing::warn!(%error, "how long this job's stages took is not learned");
        }
    }

    /// Ends the operation in the state, once history knows every result; else it stays unfinished, and the next keeper finds the
    /// results in the journal.
    pub(crate) fn close(&mut self) -> Result<(), StateError> {
        for place in std::mem::take(&mut self.unrecorded) {
            if let Some(result) = self.results[place].clone() {
                self.record(&[(place, &result)])?;
            }
        }
        self.state.end(self.order.job)
    }

    /// An update that failed and is there all the same can be taken back.
    pub(crate) fn keep_way_back(&mut self, place: usize) {
        let record = self.installed_record(place, false);
        if let Err(error) = self.state.keep_installed(&record) {
            tracing::error!(job = %self.order.job, place, %error, "a failed update that is there is not remembered");
        }
    }

    fn installed_record(&self, place: usize, asks_for_restart: bool) -> InstalledRecord {
        InstalledRecord {
            installed: self.order.installed(place),
            job: self.order.job,
            date: Timestamp::now(),
            restart_asked_in_boot: asks_for_restart.then(system::boot_id).flatten(),
        }
    }

    fn remember(&mut self, results: &[(usize, &UpdateInstallationResult)]) {
        if let Err(error) = self.record(results) {
            for (place, _) in results {
                let title = &self.order.updates[*place].title;
                tracing::error!(%title, %error, "a result is not in the history yet");
                self.unrecorded.insert(*place);
            }
        }
    }

    fn record(&mut self, results: &[(usize, &UpdateInstallationResult)]) -> Result<(), StateError> {
        let entries: Vec<_> = results
            .iter()
            .map(|(place, result)| self.entry(*place, result))
            .collect();
        self.state.record(&entries)
    }

    /// A result as history has it, and what follows from it.
    fn entry(&self, place: usize, result: &UpdateInstallationResult) -> (UpdateHistoryEntry, Consequence) {
        let update = &self.order.updates[place];
        let entry = UpdateHistoryEntry {
            job: self.order.job,
            operation: self.order.plan.operation,
            update_identity: update.identity,
            title: update.title.clone(),
            description: update.description.clone(),
            result_code: result.result_code,
            hresult: result.hresult,
            unmapped_result_code: result.unmapped_result_code,
            date: Timestamp::now(),
            message: result.message.clone(),
            reboot_required: result.reboot_required,
            client_application_id: self.order.client_application_id.clone(),
            user_id: self.order.user_id,
            server_selection: ServerSelection::Others,
            service_id: update.service_id,
            kept_configuration: result.kept_configuration.clone(),
            support_url: update.support_url.clone(),
            categories: update.categories.clone(),
        };
        let changes = &self.order.plan.updates[place].changes;
        let changed = result.result_code.is_success() && !changes.is_empty();
        let consequence = match self.order.plan.operation {
            UpdateOperation::Installation if changed => {
                Consequence::Installed(Box::new(self.installed_record(place, result.reboot_required)))
            }
            UpdateOperation::Uninstallation if changed => Consequence::TakenBack,
            _ => Consequence::None,
        };
        (entry, consequence)
    }

    fn show(&mut self) {
        self.voice.lock().show();
    }

    fn say_warning(&mut self, hresult: HResult, message: String) {
        self.say(JobEvent::Warning { message, hresult });
    }

    fn say(&mut self, event: JobEvent) {
        self.voice.lock().say(event);
    }

    fn is_member(&self, update: usize) -> bool {
        let is_one = self.members.contains(&update);
        if !is_one {
            tracing::warn!(job = %self.order.job, update, "the handler spoke of an update that is not in its batch");
        }
        is_one
    }
}

fn not_written(error: JournalError) -> Failure {
    Failure::because(error.code(), "cannot write down what is going to be done", error)
}

impl BatchContext for Reporter<'_> {
    fn abort_requested(&self) -> bool {
        self.abort_wished()
    }

    fn changing(&mut self) {
        let mut voice = self.voice.lock();
        voice.meter.waiting(None);
        voice.meter.changing(true);
        voice.meter.can_abort(self.more_to_come);
        voice.show();
    }

    fn step(&mut self, update: usize, done: u32, total: u32, phase: Phase) {
        if self.is_member(update) {
            let mut voice = self.voice.lock();
            voice.meter.step(update, done, total, phase);
            voice.show();
        }
    }

    fn waiting(&mut self, what: Option<WaitingFor>) {
        self.state.publish_when_due();
        let mut voice = self.voice.lock();
        voice.meter.waiting(what);
        voice.show();
    }

    fn stage(&mut self, stage: Option<Stage>) {
        self.state.publish_when_due();
        let mut voice = self.voice.lock();
        let now = voice.now();
        voice.timeline.stage(now, stage);
    }

    fn finished_together(&mut self, mut results: Vec<(usize, UpdateInstallationResult)>) {
        results.retain(|(update, result)| {
            let is_final = result.result_code.is_final();
            if !is_final {
                tracing::warn!(job = %self.order.job, update, "the handler told a result that is none");
            }
            is_final && self.is_member(*update)
        });
        self.finish_together(results);
    }

    fn warning(&mut self, code: HResult, message: String) {
        self.say_warning(code, message);
    }
}
