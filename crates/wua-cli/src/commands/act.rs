//! `wua download`, `install` and `uninstall`: select, plan, run the jobs, and say what came of them.

use std::sync::Arc;

use wua_engine::StartError;
use wua_engine::state::PublicState;
use wua_job::Job;
use wua_types::api::Access;
use wua_types::{
    HResult, KeptBack, Operation, OperationResultCode, PlanHash, SearchResult, Update, UpdateOperation,
    UpdateResult,
};

use crate::arguments::{ActArguments, Selection, UninstallArguments};
use crate::commands::choosing::{check_exclusions, choose, need_selection};
use crate::commands::plan_view;
use crate::documents::{Ended, Outcome};
use crate::exit_code::Exit;
use crate::front::{Front, Watched};
use crate::problem::Problem;
use crate::progress::{Observer, Shown};
use crate::selection::{Selected, Selector, select, source_name};
use crate::text::{count, one_line};

const INSTALLED: &str = "IsInstalled=1";

pub(crate) fn download(front: &Front, arguments: &ActArguments) -> Result<Exit, Problem> {
    let mut work = match begin(front, arguments, Operation::Download)? {
        Begun::Work(work) => work,
        Begun::Over(exit) => return Ok(exit),
    };
    work.download()?;
    Ok(work.finish("downloaded"))
}

pub(crate) fn install(front: &Front, arguments: &ActArguments) -> Result<Exit, Problem> {
    let mut work = match begin(front, arguments, Operation::Install)? {
        Begun::Work(work) => work,
        Begun::Over(exit) => return Ok(exit),
    };
    // What would be refused anyway is refused before anything is fetched.
    if front
        .session
        .create_update_installer()
        .reboot_required_before_installation()
    {
        return Err(StartError::RestartFirst.into());
    }
    work.download()?;
    if arguments.plan.plan.is_none() {
        work.download_again_after_refresh()?;
    }
    work.install(arguments.plan.plan)?;
    Ok(work.finish("installed"))
}

/// What the beginning of a command comes to.
enum Begun<'a> {
    Work(Work<'a>),
    /// There is nothing to do, or only a plan was wanted.
    Over(Exit),
}

/// The beginning of `download` and `install`: may the caller, what is chosen, does the plan fit. On a machine that is going to be
/// changed, what an earlier interruption left is healed first, also where nothing is to be done otherwise.
fn begin<'a>(front: &'a Front, arguments: &ActArguments, operation: Operation) -> Result<Begun<'a>, Problem> {
    need_selection(&arguments.selection)?;
    if !arguments.plan.what_if {
        front.need_access(operation.word(), Access::Member)?;
        front.finish_lost()?;
        if operation == Operation::Install {
            // What would be refused anyway is refused before anything is healed or fetched.
            let installer = front.session.create_update_installer();
            installer.check_busy()?;
            installer.check_power()?;
            super::repair::heal_first(front)?;
        }
    }
    let (selected, result) = choose(front, &arguments.selection, arguments.refresh)?;
    if arguments.plan.what_if {
        return what_if_install(front, selected, &result.kept_back).map(Begun::Over);
    }
    check_plan(
        front,
        UpdateOperation::Installation,
        &selected.chosen,
        arguments.plan.plan,
    )?;
    if let Some(work) = Work::begin(front, selected) {
        return Ok(Begun::Work(work));
    }
    if operation == Operation::Install {
        super::repair::heal_at_least(front)?;
    }
    nothing_to_do(front, &arguments.selection, result).map(Begun::Over)
}

pub(crate) fn uninstall(front: &Front, arguments: &UninstallArguments) -> Result<Exit, Problem> {
    let mut selection = arguments.selection.clone();
    if let Some(job) = arguments.job {
        let state = PublicState::read(&front.session.machine().folders)?;
        let of_job = state.installed.iter().filter(|record| record.job == job);
        selection.selectors = of_job
            .map(|record| Selector::Id(record.installed.update.id()))
            .collect();
        if selection.selectors.is_empty() {
            let what = format!("nothing is installed any more that job {job} brought");
            return Err(Problem::new(HResult::WU_E_ITEMNOTFOUND, what)
                .hint("See `wua history` for what each job did."));
        }
    }
    need_selection(&selection)?;
    if !arguments.plan.what_if {
        front.need_permission("uninstall")?;
        front.finish_lost()?;
        front.session.create_update_installer().check_busy()?;
        super::repair::heal_first(front)?;
    }
    let result = front.search(selection.criteria.as_deref().unwrap_or(INSTALLED), false)?;
    let selected = select(result.updates.clone(), &selection.selectors, &selection.exclude);
    if let Some(selector) = selected.idle.first() {
        let what = format!("wua installed no update that fits `{selector}`");
        let hint = "`wua search IsInstalled=1` lists what can be taken back.";
        return Err(Problem::new(HResult::WU_E_ITEMNOTFOUND, what).hint(hint));
    }
    check_exclusions(front, &selected, &[])?;
    if arguments.plan.what_if {
        let planned = front
            .session
            .create_update_installer()
            .plan_uninstall(&selected.chosen)?;
        plan_view::tell(front, &selected.chosen, &planned, &selected.left_out, &[])?;
        return Ok(Exit::Done);
    }
    check_plan(
        front,
        UpdateOperation::Uninstallation,
        &selected.chosen,
        arguments.plan.plan,
    )?;
    let Some(mut work) = Work::begin(front, selected) else {
        super::repair::heal_at_least(front)?;
        return nothing_to_do(
            front,
            &selection,
            SearchResult {
                kept_back: Vec::new(),
                ..result
            },
        );
    };
    work.tell_undo_notes();
    work.uninstall(arguments.plan.plan)?;
    Ok(work.finish("taken back"))
}

fn what_if_install(front: &Front, selected: Selected, kept_back: &[KeptBack]) -> Result<Exit, Problem> {
    let planned = front
        .session
        .create_update_installer()
        .plan_install(&selected.chosen)?;
    plan_view::tell(front, &selected.chosen, &planned, &selected.left_out, kept_back)?;
    Ok(Exit::Done)
}

/// Refuses early, before anything is fetched, what `--plan` does not authorise. The job itself is held to it once more.
fn check_plan(
    front: &Front,
    operation: UpdateOperation,
    updates: &[Update],
    authorized: Option<PlanHash>,
) -> Result<(), Problem> {
    let Some(authorized) = authorized else {
        return Ok(());
    };
    let installer = front.session.create_update_installer();
    let planned = match operation {
        UpdateOperation::Installation => installer.plan_install(updates)?,
        UpdateOperation::Uninstallation => installer.plan_uninstall(updates)?,
    };
    let hash = planned.plan.hash();
    if hash == authorized {
        return Ok(());
    }
    let what = format!("the plan is now {hash}, and only {authorized} was authorised");
    Err(Problem::new(HResult::WU_E_INVALID_OPERATION, what).hint("Look at `--what-if` again."))
}

fn nothing_to_do(front: &Front, selection: &Selection, result: SearchResult) -> Result<Exit, Problem> {
    if front.screen.is_text() {
        front.screen.line("Nothing to do.");
        super::search::tell_kept_back(front.screen, &result.kept_back);
    }
    let outcome = Outcome {
        result_code: OperationResultCode::Succeeded,
        hresult: HResult::S_OK,
        reboot_required: false,
        jobs: Vec::new(),
        ended: Vec::new(),
        left_out: Vec::new(),
    };
    front.result(outcome.document());
    Ok(if selection.fail_if_none {
        Exit::NothingToDo
    } else {
        Exit::Done
    })
}

/// One command's jobs, one after the other, and what came of each update.
struct Work<'a> {
    front: &'a Front,
    outcome: Outcome,
    /// The updates that may still go on, in order.
    going: Vec<Update>,
}

impl<'a> Work<'a> {
    /// Nothing, where nothing is chosen.
    fn begin(front: &'a Front, selected: Selected) -> Option<Self> {
        if selected.chosen.is_empty() {
            return None;
        }
        let outcome = Outcome {
            result_code: OperationResultCode::Succeeded,
            hresult: HResult::S_OK,
            reboot_required: false,
            jobs: Vec::new(),
            ended: Vec::new(),
            left_out: selected.left_out,
        };
        Some(Self {
            front,
            outcome,
            going: selected.chosen,
        })
    }

    fn download(&mut self) -> Result<(), Problem> {
        let updates: Arc<[Update]> = self.going.clone().into();
        let observer = Observer::new(self.front.screen, self.front.done());
        let job = self.front.start_download(updates, observer)?;
        self.watch(&job)
    }

    /// An archive that is not there any more has usually made room for a newer one: fetch the indexes and try those once.
    fn download_again_after_refresh(&mut self) -> Result<(), Problem> {
        let gone = |ended: &Ended| ended.hresult == HResult::WU_E_DOWNLOAD_FAILED;
        let names: Vec<String> = self
            .outcome
            .ended
            .iter()
            .filter(|ended| gone(ended))
            .map(|ended| source_name(&ended.update).into())
            .collect();
        if names.is_empty() {
            return Ok(());
        }
        self.front
            .screen
            .aside("Some archives were not there; fetching the indexes again.");
        let result = self.front.search("", true)?;
        self.front.tell_warnings(&result);
        let newer: Vec<Update> = result
            .updates
            .into_iter()
            .filter(|update| names.iter().any(|name| name == source_name(update)))
            .collect();
        if newer.is_empty() {
            return Ok(());
        }
        let replaced = |ended: &Ended| {
            newer
                .iter()
                .any(|update| source_name(update) == source_name(&ended.update))
        };
        self.outcome
            .ended
            .retain(|ended| !(gone(ended) && replaced(ended)));
        let done = std::mem::replace(&mut self.going, newer);
        self.download()?;
        let again = std::mem::take(&mut self.going);
        self.going = done.into_iter().chain(again).collect();
        Ok(())
    }

    fn install(&mut self, authorized: Option<PlanHash>) -> Result<(), Problem> {
        if self.going.is_empty() || self.outcome.result_code == OperationResultCode::Aborted {
            return Ok(());
        }
        self.outcome.ended.retain(|ended| !ended.result_code.is_success());
        self.change(UpdateOperation::Installation, authorized)
    }

    /// Says what is not quite as it was: archives that were packed again from installed files.
    fn tell_undo_notes(&self) {
        for update in self.going.iter().filter(|update| update.is_uninstallable) {
            if let Some(note) = &update.uninstallation_notes {
                self.front
                    .screen
                    .aside(format!("  {}", one_line(&format!("{}: {note}", update.title))));
            }
        }
    }

    fn uninstall(&mut self, authorized: Option<PlanHash>) -> Result<(), Problem> {
        self.change(UpdateOperation::Uninstallation, authorized)
    }

    fn change(&mut self, operation: UpdateOperation, authorized: Option<PlanHash>) -> Result<(), Problem> {
        let observer = Observer::new(self.front.screen, self.front.done());
        let updates = self.going.clone().into();
        let job = self
            .front
            .start_change(operation, updates, authorized, observer)?;
        self.watch(&job)
    }

    /// Watches a job to its end and sorts its updates into those that go on and those that do not.
    fn watch<K: Shown>(&mut self, job: &Job<K>) -> Result<(), Problem> {
        self.outcome.jobs.push(job.id());
        if self.front.watch(job) == Watched::Left {
            return Err(left(job, self.front.agent().is_some()));
        }
        let ending = K::tell_outcome(&job.wait());
        self.outcome.result_code = ending.result_code;
        self.outcome.hresult = ending.hresult;
        self.outcome.reboot_required |= ending.reboot_required;
        let snapshot = job.progress();
        self.going.clear();
        for (update, result) in job.updates().iter().zip(snapshot.update_results()) {
            if result.result_code().is_success() {
                self.going.push(update.clone());
            }
            let result = K::tell_result(result);
            self.outcome.ended.push(Ended {
                update: after(job.operation(), result.result_code.is_success(), update),
                result_code: result.result_code,
                hresult: result.hresult,
                message: result.message,
                reboot_required: result.reboot_required,
                kept_configuration: result.kept_configuration,
            });
        }
        Ok(())
    }

    fn finish(mut self, participle: &str) -> Exit {
        let codes: Vec<_> = self
            .outcome
            .ended
            .iter()
            .map(|ended| wua_types::UpdateDownloadResult::new(ended.result_code, ended.hresult, ""))
            .collect();
        let aborted = self.outcome.result_code == OperationResultCode::Aborted;
        let stopped = if aborted {
            wua_engine::aggregate::Stopped::AtRequest
        } else {
            wua_engine::aggregate::Stopped::No
        };
        (self.outcome.result_code, self.outcome.hresult) = wua_engine::aggregate::aggregate(&codes, stopped);
        if self.front.screen.is_text() {
            self.tell(participle);
        }
        self.front.result(self.outcome.document());
        Exit::of_result(self.outcome.result_code, self.outcome.reboot_required)
    }

    fn tell(&self, participle: &str) {
        let outcome = &self.outcome;
        let screen = self.front.screen;
        let mut line = format!(
            "{} of {} {participle}",
            outcome.done(),
            count(outcome.ended.len(), "update")
        );
        if outcome.failed() > 0 {
            line.push_str(&format!(", {} failed", outcome.failed()));
        }
        let stopped = outcome
            .ended
            .iter()
            .filter(|ended| ended.result_code == OperationResultCode::Aborted)
            .count();
        if stopped > 0 {
            line.push_str(&format!(", {stopped} stopped"));
        }
        screen.line(format!("{line}."));
        if outcome.reboot_required {
            let titles: Vec<&str> = outcome
                .ended
                .iter()
                .filter(|ended| ended.reboot_required)
                .map(|ended| source_name(&ended.update))
                .collect();
            screen.line(format!("Restart the machine to finish: {}.", titles.join(", ")));
        }
    }
}

/// The update as it is once a job is over.
fn after(operation: Operation, done: bool, update: &Update) -> Update {
    let mut update = update.clone();
    match operation {
        Operation::Search | Operation::Repair => {}
        Operation::Download => update.is_downloaded |= done,
        Operation::Install => update.is_installed |= done,
        Operation::Uninstall if done => {
            (update.is_installed, update.is_uninstallable) = (false, false);
            update.is_hidden = true;
        }
        Operation::Uninstall => {}
    }
    update
}

/// What to say when the caller leaves a job: an installation goes on, a download ends with us.
fn left<K: Shown>(job: &Job<K>, by_agent: bool) -> Problem {
    let id = job.id();
    match job.operation() {
        wua_types::Operation::Download if by_agent => Problem::new(
            HResult::WU_E_CALL_CANCELLED,
            format!("left job {id}, which goes on"),
        ),
        wua_types::Operation::Install | wua_types::Operation::Uninstall => Problem::new(
            HResult::WU_E_CALL_CANCELLED,
            format!("left job {id}, which goes on"),
        )
        .hint(format!("Follow it again with `wua attach {id}`.")),
        _ => Problem::new(HResult::WU_E_CALL_CANCELLED, "the download was stopped")
            .hint("Run it again: what is complete is kept, and the rest is resumed."),
    }
}
