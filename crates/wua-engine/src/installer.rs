//! Installing and taking back (`IUpdateInstaller`): the checks of rule R11 in their order, then the job begins
//! (`beginning`).
//!
//! `start_*` returns as soon as the checks are done; the plan is made in the job. From the checks on, the machine's lock is
//! held: by this process first, then by the keeper it is handed to.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use uuid::Uuid;
use wua_job::{Installation, InstallationJob, JobBuilder, JobObserver};
use wua_types::plan::PlanPolicy;
use wua_types::{
    InstallPlan, InstallationImpact, InstallationResult, Operation, PlanHash, Update, UpdateOperation,
};

use crate::beginning::Beginning;
use crate::failure::Failure;
use crate::handler::Consent;
use crate::jobs::{self, JobState};
use crate::lock::{self, Holder, MachineLock};
use crate::machine::Machine;
use crate::planner::{self, ContentCheck, Planned};
use crate::power;
use crate::resume;
use crate::space;
use crate::start_error::StartError;
use crate::state::PublicState;
use crate::undo;

/// How long the keeper of a job that has ended may take to let go of the machine.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// How often it is looked whether it has; nobody tells.
const LOOK: Duration = Duration::from_millis(10);

/// Installs updates and takes them back. Settings changed while a job runs do not reach it (rule R6).
#[derive(Debug)]
pub struct UpdateInstaller {
    machine: Arc<Machine>,
    client_application_id: String,
    user_id: u32,
    /// The id of the next job, where its caller chose one: a service whose clients name their jobs.
    pub job_id: Option<Uuid>,
    /// Install though installed.
    pub is_forced: bool,
    /// Refuse updates that cannot be installed without questions.
    pub force_quiet: bool,
    /// Do nothing but the plan with this hash. A plan that comes out differently fails the whole job.
    pub authorized_plan: Option<PlanHash>,
    running: Mutex<Option<InstallationJob>>,
}

impl UpdateInstaller {
    pub(crate) fn new(machine: Arc<Machine>, client_application_id: String, user_id: u32) -> Self {
        Self {
            machine,
            client_application_id,
            user_id,
            job_id: None,
            is_forced: false,
            force_quiet: false,
            authorized_plan: None,
            running: Mutex::new(None),
        }
    }

    /// Whether wua changes this machine now, from whatever process. No reservation (`IsBusy`).
    pub fn is_busy(&self) -> bool {
        lock::holder(&self.machine.folders.lock()).is_some()
    }

    /// Whether a job may begin as far as others are concerned. No reservation, as [`is_busy`](Self::is_busy).
    ///
    /// # Errors
    /// `WU_E_INSTALL_NOT_ALLOWED` while wua changes this machine (rule R13).
    pub fn check_busy(&self) -> Result<(), StartError> {
        let begun = Instant::now();
        loop {
            match lock::holder(&self.machine.folders.lock()) {
                Some(holder) if self.is_over(holder) && begun.elapsed() < LAST_WORDS => thread::sleep(LOOK),
                Some(holder) => return Err(busy(Some(holder))),
                None => return Ok(()),
            }
        }
    }

    /// Whether the holder's job has ended and only its keeper is still there: whoever heard the end may begin the next one at once.
    fn is_over(&self, holder: Holder) -> bool {
        jobs::summary(&self.machine.folders.job(holder.job), holder.job)
            .is_some_and(|job| matches!(job.state, JobState::Completed { .. }))
    }

    /// Whether an installation would be refused now because of a pending restart (rule R8).
    pub fn reboot_required_before_installation(&self) -> bool {
        self.check_restart().is_err()
    }

    /// What an installation of `updates` would do once they are downloaded. Touches nothing; blocks as long as the package manager's solver.
    ///
    /// # Errors
    /// The package manager cannot be asked.
    pub fn plan_install(&self, updates: &[Update]) -> Result<Planned, Failure> {
        self.plan(UpdateOperation::Installation, updates)
    }

    /// What taking `updates` back would do. Touches nothing.
    ///
    /// # Errors
    /// The package manager cannot be asked.
    pub fn plan_uninstall(&self, updates: &[Update]) -> Result<Planned, Failure> {
        self.plan(UpdateOperation::Uninstallation, updates)
    }

    /// How much room carrying out `plan` of `updates` needs on each file system, fetching them included, and how much there is.
    /// What has not enough is refused.
    ///
    /// # Errors
    /// The machine's state or a file system cannot be looked at.
    pub fn forecast_space(
        &self,
        plan: &InstallPlan,
        updates: &[Update],
    ) -> Result<Vec<space::Forecast>, Failure> {
        let mut needs = self.machine.handler.space_needed(plan)?;
        if plan.operation == UpdateOperation::Installation {
            let wanted = plan
                .batches
                .iter()
                .flatten()
                .filter_map(|place| updates.get(*place));
            let wanted: Vec<Update> = wanted.cloned().collect();
            needs.extend(space::of_download(&wanted, &self.machine.folders));
        }
        needs.push(space::of_records(&self.machine.folders));
        space::forecast(&needs, space::probe)
    }

    /// Begins an installation (`BeginInstall`). Does not download: an update whose content is not here fails with
    /// `WU_E_DM_NOTDOWNLOADED`.
    ///
    /// # Errors
    /// Rule R11: `E_ACCESSDENIED`, `WU_E_NO_UPDATE`, `WU_E_EXCLUSIVE_INSTALL_CONFLICT`, `WU_E_EULAS_DECLINED`,
    /// `WU_E_INSTALL_NOT_ALLOWED`, `WU_E_OPERATIONINPROGRESS`; then there is no job and nothing was changed.
    pub fn start_install(
        &self,
        updates: Arc<[Update]>,
        observer: Option<Box<dyn JobObserver<Installation>>>,
    ) -> Result<InstallationJob, StartError> {
        self.check_common(&updates)?;
        check_exclusive(&updates, |update| update.installation_behavior)?;
        if updates.iter().all(|update| !update.eula_accepted) {
            return Err(StartError::EulasDeclined);
        }
        self.check_restart()?;
        self.check_power()?;
        self.start(UpdateOperation::Installation, updates, None, observer)
    }

    /// Begins taking updates back (`BeginUninstall`): returns the machine to the versions before.
    ///
    /// # Errors
    /// As [`start_install`](Self::start_install), and `WU_E_UNINSTALL_NOT_ALLOWED` if none can be taken back (rule R38).
    pub fn start_uninstall(
        &self,
        updates: Arc<[Update]>,
        observer: Option<Box<dyn JobObserver<Installation>>>,
    ) -> Result<InstallationJob, StartError> {
        self.check_common(&updates)?;
        check_exclusive(&updates, |update| update.uninstallation_behavior)?;
        self.check_uninstallable(&updates)?;
        self.check_power()?;
        self.start(UpdateOperation::Uninstallation, updates, None, observer)
    }

    /// Begins a repair of the machine's packages, whoever broke them: a job without updates, whose warnings name what could not
    /// be healed. It succeeds if the machine is healthy at its end.
    ///
    /// # Errors
    /// `E_ACCESSDENIED`, `WU_E_INSTALL_NOT_ALLOWED`, `WU_E_OPERATIONINPROGRESS`, in the order of rule R11; then there is no job.
    pub fn start_repair(
        &self,
        consent: Consent,
        observer: Option<Box<dyn JobObserver<Installation>>>,
    ) -> Result<InstallationJob, StartError> {
        self.machine
            .handler
            .may_change()
            .map_err(StartError::NotPermitted)?;
        self.check_power()?;
        self.start(
            UpdateOperation::Installation,
            Arc::from([]),
            Some(consent),
            observer,
        )
    }

    /// Installs and waits for the result (`Install`).
    ///
    /// # Errors
    /// As [`start_install`](Self::start_install).
    pub fn install(&self, updates: Arc<[Update]>) -> Result<Arc<InstallationResult>, StartError> {
        Ok(self.start_install(updates, None)?.wait())
    }

    /// Takes back and waits for the result (`Uninstall`).
    ///
    /// # Errors
    /// As [`start_uninstall`](Self::start_uninstall).
    pub fn uninstall(&self, updates: Arc<[Update]>) -> Result<Arc<InstallationResult>, StartError> {
        Ok(self.start_uninstall(updates, None)?.wait())
    }

    fn plan(&self, operation: UpdateOperation, updates: &[Update]) -> Result<Planned, Failure> {
        planner::plan(
            &self.machine,
            operation,
            updates,
            self.policy(),
            ContentCheck::Assumed,
        )
    }

    fn policy(&self) -> PlanPolicy {
        PlanPolicy {
            forced: self.is_forced,
            force_quiet: self.force_quiet,
        }
    }

    fn check_common(&self, updates: &[Update]) -> Result<(), StartError> {
        self.machine
            .handler
            .may_change()
            .map_err(StartError::NotPermitted)?;
        if updates.is_empty() {
            Err(StartError::NoUpdate)
        } else {
            Ok(())
        }
    }

    fn check_restart(&self) -> Result<(), StartError> {
        let pending = || {
            self.machine
                .handler
                .restart_required()
                .is_ok_and(|packages| packages.is_some())
        };
        if self.machine.policy.install.restart_first && pending() {
            Err(StartError::RestartFirst)
        } else {
            Ok(())
        }
    }

    /// Whether anything may be begun now: a machine that may go off before the work is done begins none.
    ///
    /// # Errors
    /// `WU_E_LOW_BATTERY`, or `WU_E_INSTALL_NOT_ALLOWED` on a machine that goes down.
    pub fn check_power(&self) -> Result<(), StartError> {
        let root = self.machine.folders.root();
        let wanted = self.machine.policy.install.battery_percent;
        match power::battery_percent(root) {
            Some(percent) if percent < wanted => Err(StartError::LowBattery { percent, wanted }),
            _ if power::is_going_down(root, Timestamp::now()) => Err(StartError::ShutdownInProgress),
            _ => Ok(()),
        }
    }

    /// Rule R38: a call none of whose updates can be taken back is refused as a whole.
    fn check_uninstallable(&self, updates: &[Update]) -> Result<(), StartError> {
        let state = PublicState::read(&self.machine.folders)?;
        let contents = undo::contents(&self.machine.store());
        let mut reason = None;
        for update in updates {
            let record = state
                .installed
                .iter()
                .find(|record| record.installed.update.id() == update.id());
            match record.map(|record| undo::look(&record.installed, &contents)) {
                Some(undo) if undo.is_possible() => return Ok(()),
                // Not installed is a success of its own (`WU_S_ALREADY_UNINSTALLED`).
                None if !update.is_installed => return Ok(()),
                Some(undo) => reason = undo.note(),
                None => reason = Some(format!("wua did not install `{}`", update.title)),
            }
        }
        Err(StartError::UninstallNotAllowed {
            reason: reason.unwrap_or_default(),
        })
    }

    fn start(
        &self,
        operation: UpdateOperation,
        updates: Arc<[Update]>,
        repair: Option<Consent>,
        observer: Option<Box<dyn JobObserver<Installation>>>,
    ) -> Result<InstallationJob, StartError> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.as_ref().is_some_and(|job| !job.is_completed()) {
            return Err(StartError::InProgress);
        }
        self.finish_lost()?;
        let id = self.job_id.unwrap_or_else(Uuid::new_v4);
        let lock = self.take_lock(id)?;
        // Under the lock, so that nobody takes it meanwhile.
        if self.job_id.is_some() && self.machine.folders.job(id).path().exists() {
            return Err(StartError::IdTaken(id));
        }
        let verb = match operation {
            _ if repair.is_some() => Operation::Repair,
            UpdateOperation::Installation => Operation::Install,
            UpdateOperation::Uninstallation => Operation::Uninstall,
        };
        let (job, feed, release) = JobBuilder::new(id, verb, Arc::clone(&updates))
            .observer(observer)
            .start()?;
        let work = Beginning {
            machine: Arc::clone(&self.machine),
            operation,
            updates,
            repair,
            policy: self.policy(),
            authorized_plan: self.authorized_plan,
            client_application_id: self.client_application_id.clone(),
            user_id: self.user_id,
        };
        thread::Builder::new()
            .name("wua-install".into())
            .spawn(move || work.run(id, lock, feed))
            .map_err(|source| StartError::Io {
                action: "start the thread of an installation".into(),
                source,
            })?;
        *running = Some(job.clone());
        release.release();
        Ok(job)
    }

    /// What was interrupted earlier comes first; until it has ended the machine is busy.
    fn finish_lost(&self) -> Result<(), StartError> {
        // A state that cannot be read is the job's own to tell.
        if resume::lost(&self.machine.folders).is_ok_and(|lost| !lost.is_empty()) {
            self.resume()
        } else {
            Ok(())
        }
    }

    fn resume(&self) -> Result<(), StartError> {
        match resume::resume_lost(&self.machine)
            .map_err(StartError::Unfinished)?
            .first()
        {
            Some(&job) => Err(StartError::Busy {
                holder: format!("job {job}, which was interrupted and is finished now"),
                job: Some(job),
            }),
            None => Ok(()),
        }
    }

    fn take_lock(&self, job: Uuid) -> Result<MachineLock, StartError> {
        let folder = self.machine.folders.state();
        let io = |action: String| move |source| StartError::Io { action, source };
        crate::files::make_folder(&folder).map_err(io(format!("create `{}`", folder.display())))?;
        let path = self.machine.folders.lock();
        let begun = Instant::now();
        loop {
            let cannot = io(format!("lock `{}`", path.display()));
            if let Some(lock) = MachineLock::take(&path, job).map_err(cannot)? {
                return Ok(lock);
            }
            match lock::holder(&path) {
                Some(holder) if self.is_over(holder) && begun.elapsed() < LAST_WORDS => thread::sleep(LOOK),
                holder => return Err(busy(holder)),
            }
        }
    }
}

fn busy(holder: Option<Holder>) -> StartError {
    StartError::Busy {
        holder: match &holder {
            Some(holder) => format!("job {} (process {})", holder.job, holder.process.pid),
            None => "it has just begun or ended".into(),
        },
        job: holder.map(|holder| holder.job),
    }
}

fn check_exclusive(
    updates: &[Update],
    behavior: impl Fn(&Update) -> Option<wua_types::InstallationBehavior>,
) -> Result<(), StartError> {
    let exclusive = updates.iter().find(|update| {
        behavior(update)
            .is_some_and(|behavior| behavior.impact == InstallationImpact::RequiresExclusiveHandling)
    });
    match exclusive {
        Some(update) if updates.len() > 1 => Err(StartError::ExclusiveConflict {
            title: update.title.clone(),
        }),
        _ => Ok(()),
    }
}
