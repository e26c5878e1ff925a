//! The beginning of a job, in its own thread: heal what stands in the way, plan, write down, hand over to the keeper, and follow.
//!
//! Nothing of the machine is changed here; what fails here ends the job with nothing begun.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;
use wua_job::{Installation, JobBuilder, JobFeed};
use wua_types::plan::PlanPolicy;
use wua_types::{
    HResult, InstallationProgress, InstallationResult, Operation, OperationResultCode, Phase, PlanHash,
    Progress as _, Truth, Update, UpdateInstallationResult, UpdateOperation, UpdateResult as _, WaitingFor,
};

use crate::aggregate::{Stopped, aggregate};
use crate::clock::{Clock, preparing};
use crate::failure::Failure;
use crate::follow;
use crate::handler::{Consent, Finding, FindingKind};
use crate::keeper;
use crate::lock::MachineLock;
use crate::machine::Machine;
use crate::order::{Order, Spent};
use crate::planner::{self, ContentCheck, Planned};
use crate::space;
use crate::state::{OperationRecord, State};

/// How often it is looked whether others are still at work; nobody tells.
const LOOK: Duration = Duration::from_millis(250);

/// What is to be done, for the job's own thread.
#[derive(Debug)]
pub(crate) struct Beginning {
    pub(crate) machine: Arc<Machine>,
    pub(crate) operation: UpdateOperation,
    pub(crate) updates: Arc<[Update]>,
    /// What a repair may do, if the job is one.
    pub(crate) repair: Option<Consent>,
    pub(crate) policy: PlanPolicy,
    pub(crate) authorized_plan: Option<PlanHash>,
    pub(crate) client_application_id: String,
    pub(crate) user_id: u32,
}

/// How far the beginning of a job came.
enum Begun {
    /// It has a keeper.
    Kept,
    /// The caller wished to stop before anything was written down.
    Aborted,
}

impl Beginning {
    /// Blocks until the job's end.
    pub(crate) fn run(self, job: Uuid, lock: MachineLock, feed: JobFeed<Installation>) {
        feed.progress(InstallationProgress {
            truth: preparing(),
            ..InstallationProgress::nothing_done()
        });
        let clock = Clock::start(&self.machine, &self.updates);
        let begun = clock.keep_telling(&feed, || self.begin(job, lock, &feed, &clock));
        match begun {
            Ok(Begun::Kept) => follow::follow_and_revive(&self.machine, job, feed),
            Ok(Begun::Aborted) => {
                let code = OperationResultCode::Aborted;
                self.end_all(&feed, code, HResult::WU_E_CALL_CANCELLED, "");
                complete(feed, Stopped::AtRequest);
            }
            Err(failure) => self.fail(feed, &failure),
        }
    }

    /// Plans, writes down and hands over to the keeper. Where that does not happen, the lock is free when this returns, so
    /// that whoever hears of the job's end can begin the next one.
    fn begin(
        &self,
        job: Uuid,
        lock: MachineLock,
        feed: &JobFeed<Installation>,
        clock: &Clock,
    ) -> Result<Begun, Failure> {
        let lock = self.heal(job, lock, feed, clock)?;
        if feed.abort_requested() {
            return Ok(Begun::Aborted);
        }
        clock.tell(feed, preparing());
        let planned = clock.planning(|| {
            let planned = self.plan()?;
            self.check_space(&planned)?;
            Ok(planned)
        })?;
        if feed.abort_requested() {
            return Ok(Begun::Aborted);
        }
        self.write_down(job, planned, clock.spent()).inspect_err(|_| {
            self.forget(job);
            let _ = std::fs::remove_dir_all(self.machine.folders.job(job).path());
        })?;
        // Before the keeper starts, so that it sees a wish that came before.
        follow::pass_on_aborts(&self.machine.folders.job(job), feed);
        keeper::start(&self.machine, job, lock).map_err(|source| {
            self.forget(job);
            Failure::because(
                HResult::WU_E_UNEXPECTED,
                "cannot start the keeper of the job",
                source,
            )
        })?;
        Ok(Begun::Kept)
    }

    /// Heals what would keep a plan from being made, by a repair that is a job of its own, and takes the lock again after it. The
    /// keeper heals the rest.
    fn heal(
        &self,
        job: Uuid,
        lock: MachineLock,
        feed: &JobFeed<Installation>,
        clock: &Clock,
    ) -> Result<MachineLock, Failure> {
        if self.repair.is_some() {
            return Ok(lock);
        }
        let Some(found) = self.wait_for_others(feed, clock)? else {
            return Ok(lock);
        };
        let can_be_healed = |finding: &Finding| finding.kind.stops_planning() && finding.heals_itself;
        if !found.iter().any(can_be_healed) {
            return Ok(lock);
        }
        let repair = Uuid::new_v4();
        let order = Self {
            machine: Arc::clone(&self.machine),
            operation: UpdateOperation::Installation,
            updates: Arc::from([]),
            repair: Some(Consent::default()),
            policy: PlanPolicy::default(),
            authorized_plan: None,
            client_application_id: self.client_application_id.clone(),
            user_id: self.user_id,
        };
        let (healing, repair_feed, release) = JobBuilder::new(repair, Operation::Repair, Arc::from([]))
            .start()
            .map_err(|error| {
                let sentence = "cannot begin the repair that comes first";
                Failure::because(HResult::E_OUTOFMEMORY, sentence, error)
            })?;
        release.release();
        let stopped = healing.clone();
        // A repair that cannot be stopped any more is waited for.
        feed.on_abort(move || drop(stopped.request_abort()));
        thread::scope(|scope| {
            scope.spawn(|| order.run(repair, lock, repair_feed));
            // The repair shows as the first phase of the job that waits for it.
            let mut seen = healing.progress();
            while let Some(now) = healing.next_change(seen.revision()) {
                let truth = Truth {
                    phase: Phase::Repairing,
                    ..now.truth.clone()
                };
                clock.tell(feed, truth);
                seen = now;
            }
        });
        // What is left is told by the plan that it stands in the way of.
        let path = self.machine.folders.lock();
        let lock = MachineLock::take(&path, job).map_err(|error| {
            Failure::because(
                crate::store::io_code(&error),
                format!("cannot lock `{}`", path.display()),
                error,
            )
        })?;
        lock.ok_or_else(|| {
            let sentence = "another job began while the machine was repaired for this one";
            Failure::new(HResult::WU_E_INSTALL_NOT_ALLOWED, sentence)
        })
    }

    /// Waits, visibly, until nobody else works on the packages: states that are on their way cannot be planned on. What is wrong then;
    /// nothing where the caller wishes to stop.
    fn wait_for_others(
        &self,
        feed: &JobFeed<Installation>,
        clock: &Clock,
    ) -> Result<Option<Vec<Finding>>, Failure> {
        let since = Timestamp::now();
        loop {
            let found = self.machine.handler.diagnose(&self.machine.store())?;
            let Some(other) = found.iter().find(|finding| finding.kind == FindingKind::Busy) else {
                return Ok(Some(found));
            };
            if feed.abort_requested() {
                return Ok(None);
            }
            let truth = Truth {
                phase: Phase::Waiting,
                waiting_for: Some(WaitingFor {
                    what: "the package database".into(),
                    since,
                    holder: Some(other.subject.clone()),
                    detail: None,
                }),
                safe_to_power_off: false,
                ..preparing()
            };
            clock.tell(feed, truth);
            thread::sleep(LOOK);
        }
    }

    fn plan(&self) -> Result<Planned, Failure> {
        let planned = planner::plan(
            &self.machine,
            self.operation,
            &self.updates,
            self.policy,
            ContentCheck::Required,
        )?;
        let hash = planned.plan.hash();
        if let Some(authorized) = self.authorized_plan
            && authorized != hash
        {
            return Err(Failure::new(
                HResult::WU_E_INVALID_OPERATION,
                format!(
                    "the plan is now {hash}, and only {authorized} was authorised: look at `--what-if` again"
                ),
            ));
        }
        Ok(planned)
    }

    /// Refuses what there is no room for, before anything is touched. What is to be changed is in the store already.
    fn check_space(&self, planned: &Planned) -> Result<(), Failure> {
        if planned.plan.batches.is_empty() {
            return Ok(());
        }
        let mut needs = self.machine.handler.space_needed(&planned.plan)?;
        needs.push(space::of_records(&self.machine.folders));
        space::check(&space::forecast(&needs, space::probe)?)
    }

    fn write_down(&self, job: Uuid, Planned { plan, known }: Planned, spent: Spent) -> Result<(), Failure> {
        let begun = Timestamp::now();
        let operation = OperationRecord {
            job,
            operation: match self.repair {
                Some(_) => Operation::Repair.word().into(),
                None => self.operation.to_string(),
            },
            begun,
            titles: self.updates.iter().map(|update| update.title.clone()).collect(),
            plan_hash: plan.hash().to_string(),
        };
        let order = Order {
            job,
            begun,
            plan,
            updates: self.updates.to_vec(),
            known,
            client_application_id: self.client_application_id.clone(),
            user_id: self.user_id,
            spent,
            repair: self.repair,
        };
        let remember = |error: crate::state::StateError| {
            Failure::because(error.code(), "cannot write down what is going to be done", error)
        };
        // The order first: an operation without one could never be finished.
        order.write(&self.machine.folders.job(job)).map_err(|error| {
            Failure::because(
                crate::store::io_code(&error),
                "cannot write down what is going to be done",
                error,
            )
        })?;
        State::open(&self.machine.folders)
            .and_then(|mut state| state.begin(&operation, &order.text()))
            .map_err(remember)
    }

    /// An operation that never reached its keeper is not unfinished: nothing was begun.
    fn forget(&self, job: Uuid) {
        if let Err(error) = State::open(&self.machine.folders).and_then(|mut state| state.end(job)) {
            tracing::warn!(%job, %error, "an operation that was not begun stays listed as unfinished");
        }
    }

    fn fail(&self, feed: JobFeed<Installation>, failure: &Failure) {
        if self.repair.is_some() {
            // There is no update to say it of.
            feed.warning(failure.sentence(), failure.code());
        }
        self.end_all(
            &feed,
            OperationResultCode::Failed,
            failure.code(),
            &failure.sentence(),
        );
        complete(feed, Stopped::No);
    }

    fn end_all(
        &self,
        feed: &JobFeed<Installation>,
        code: OperationResultCode,
        hresult: HResult,
        message: &str,
    ) {
        for index in 0..self.updates.len() {
            feed.update_finished(index, UpdateInstallationResult::ended(code, hresult, message));
        }
    }
}

/// Ends the job with what its updates' results add up to.
fn complete(feed: JobFeed<Installation>, stopped: Stopped) {
    let updates: Vec<UpdateInstallationResult> = feed.job().progress().update_results().cloned().collect();
    let (result_code, hresult) = aggregate(&updates, stopped);
    let reboot_required = updates.iter().any(|update| update.reboot_required);
    feed.complete(InstallationResult {
        result_code,
        hresult,
        reboot_required,
        updates,
    });
}
