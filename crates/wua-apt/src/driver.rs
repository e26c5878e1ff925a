//! Drives the runs of one batch: starts apt or dpkg once nobody else works ([`waiting`]), listens, and tells what it hears.
//!
//! Everything that is waited for is visible (rules L1, T4): a lock with its holder, a run of an earlier keeper, a script
//! that says nothing. An update that dpkg and its database agree is done is told at once (apt.md 2.3); what failed is
//! decided by `apply`, at the end.

mod waiting;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use wua_engine::Failure;
use wua_engine::handler::{Batch, BatchContext};
use wua_engine::stage::{Stage, StageKind};
use wua_types::{HResult, Phase, UpdateInstallationResult, WaitingFor};

use crate::apply::ApplyOptions;
use crate::bell::HEARTBEAT;
use crate::dpkg::DpkgDatabase;
use crate::gate;
use crate::health::must_be_unpacked_again;
use crate::locks::{self, DATABASE, FRONTEND};
use crate::outcome;
use crate::restart::{self, RestartFlag};
use crate::run::{Heard, Run, RunError};
use crate::scripts::Ending;
use crate::tree::AptTree;
use crate::watch::{Moved, Watch};

/// How often it is looked for updates that are done, at most: a look reads dpkg's whole database.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// A script that prints on and on is not told of more often.
const QUIET_PAUSE: Duration = Duration::from_secs(1);

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The mark of its files.
    pub(crate) tag: String,
}

/// The state of one batch while it runs.
pub(crate) struct Driver<'a, 'b> {
    pub(crate) tree: &'a AptTree,
    pub(crate) batch: &'a Batch<'b>,
    /// The job's folder as programs in the tree see it.
    pub(crate) inside: PathBuf,
    pub(crate) watch: Watch,
    /// Items that are not ours and were warned of.
    pub(crate) warned: BTreeSet<String>,
    options: &'a ApplyOptions,
    restart_before: RestartFlag,
    told: BTreeSet<usize>,
    /// Updates that were torn by an interruption and got a second chance.
    unpacked_again: BTreeSet<usize>,
    runs: usize,
    /// Whether the caller was told that the machine is being changed.
    changing: bool,
    repairing: bool,
    waiting: Option<WaitingFor>,
    /// Whether that is something of others.
    waits_for_others: bool,
    /// Whether what is heard is news, of a run that this keeper began.
    tells_stages: bool,
    lock_waited: Duration,
    /// Packages whose scripts were ended, with the sentence that says so.
    hung: Vec<(String, String)>,
    /// When it was last told what a quiet script does.
    quiet_told: Option<Instant>,
}

impl<'a, 'b> Driver<'a, 'b> {
    pub(crate) fn new(
        tree: &'a AptTree,
        batch: &'a Batch<'b>,
        options: &'a ApplyOptions,
    ) -> Result<Self, Failure> {
        let folder = batch.folder;
        let inside = tree.inside(folder).ok_or_else(|| {
            let sentence = format!(
                "the job's folder `{}` is not on `{}`",
                folder.display(),
                tree.root().display()
            );
            Failure::new(HResult::WU_E_UNEXPECTED, sentence)
        })?;
        let failed = |what: &str, source: std::io::Error| {
            Failure::because(
                wua_engine::store::io_code(&source),
                format!("cannot {what}"),
                source,
            )
        };
        fs::create_dir_all(folder)
            .map_err(|source| failed(&format!("make the job's folder `{}`", folder.display()), source))?;
        let restart_before = RestartFlag::before(tree, batch)
            .map_err(|source| failed("read who waits for a restart", source))?;
        Ok(Self {
            watch: Watch::new(batch.plan, batch.members),
            warned: BTreeSet::new(),
            tree,
            batch,
            inside,
            options,
            restart_before,
            told: BTreeSet::new(),
            unpacked_again: BTreeSet::new(),
            runs: 0,
            changing: false,
            repairing: false,
            waiting: None,
            waits_for_others: false,
            tells_stages: true,
            lock_waited: Duration::ZERO,
            hung: Vec::new(),
            quiet_told: None,
        })
    }

    /// Whether an update has its result.
    pub(crate) fn is_told(&self, update: usize) -> bool {
        self.told.contains(&update)
    }

    /// Tells an update's result, once.
    pub(crate) fn tell(
        &mut self,
        update: usize,
        result: UpdateInstallationResult,
        cx: &mut dyn BatchContext,
    ) {
        self.tell_together(vec![(update, result)], cx);
    }

    fn tell_together(
        &mut self,
        mut results: Vec<(usize, UpdateInstallationResult)>,
        cx: &mut dyn BatchContext,
    ) {
        results.retain(|(update, _)| self.told.insert(*update));
        if !results.is_empty() {
            cx.finished_together(results);
        }
    }

    /// Tells that updates are completely made. `restart_for_somebody` where the machine now waits for a restart that no package of
    /// the batch owned up to.
    pub(crate) fn tell_success(
        &mut self,
        updates: &[usize],
        database: &DpkgDatabase,
        restart_for_somebody: bool,
        cx: &mut dyn BatchContext,
    ) {
        let flag = RestartFlag::read(self.tree).ok();
        let success = |update: &usize| {
            let reboot = restart_for_somebody || self.asks_for_restart(*update, flag.as_ref(), database);
            (*update, outcome::success(self.watch.kept_of(*update), reboot))
        };
        let new = updates.iter().filter(|update| !self.is_told(**update));
        let results = new.map(success).collect();
        self.tell_together(results, cx);
    }

    /// Whether dpkg was interrupted while it unpacked a package of an update, which is no failure of the update's own: its archives are
    /// unpacked again, once, and what dpkg said about the torn package is forgotten.
    pub(crate) fn is_torn_for_the_first_time(&mut self, update: usize, database: &DpkgDatabase) -> bool {
        let is_torn = self.watch.of(update).any(|package| {
            let change = &package.change;
            database
                .get(&change.name, &change.architecture)
                .is_some_and(must_be_unpacked_again)
        });
        let is_new = is_torn && self.unpacked_again.insert(update);
        if is_new {
            self.watch.forget_errors_of(update);
        }
        is_new
    }

    /// How a script of `package` hung and was ended, if one did.
    pub(crate) fn hung_script(&self, package: &str) -> Option<&str> {
        let own = self.hung.iter().find(|(name, _)| name == package);
        own.map(|(_, sentence)| sentence.as_str())
    }

    /// The mark of the next run's files, unique in the job.
    pub(crate) fn next_tag(&mut self) -> String {
        loop {
            let tag = format!("{}.{}", self.batch.number, self.runs);
            self.runs += 1;
            // An earlier keeper, or a repair, may have had runs of the same number.
            if !crate::run::is_used(self.batch.folder, &tag) {
                return tag;
            }
        }
    }

    /// Follows to their ends the runs that an earlier keeper of this job left running.
    pub(crate) fn finish_earlier_runs(&mut self, cx: &mut dyn BatchContext) -> Result<(), Failure> {
        for mut run in Run::unfinished(self.batch.folder) {
            self.tell_changing(cx);
            self.wait_for(
                &format!("{}, started before this keeper", run.program()),
                None,
                cx,
            );
            // All it said is heard again at once, which says nothing about how long it took.
            self.tells_stages = false;
            let ended = self.listen(&mut run, cx);
            self.tells_stages = true;
            self.wait_is_over(cx);
            ended.map_err(failure)?;
        }
        Ok(())
    }

    /// Tells what is about to be done in place of an update's steps.
    pub(crate) fn announce(&mut self, what: &str, cx: &mut dyn BatchContext) {
        self.wait_for(what, None, cx);
    }

    /// Runs a program to its end as soon as nothing works on the packages any more and the locks are free; again where somebody
    /// else took them first. `first` marks the files of the first run, and the gate that all of them ask.
    pub(crate) fn run(
        &mut self,
        first: String,
        command: &Command,
        cx: &mut dyn BatchContext,
    ) -> Result<Ended, Failure> {
        let mut tag = first.clone();
        loop {
            // Also between two runs of one batch: where dpkg was killed, its script runs on and no lock tells of it.
            self.wait_for_survivors(cx)?;
            self.wait_for_locks(cx)?;
            self.tell_changing(cx);
            let mut run = Run::start(self.batch.folder, &tag, command).map_err(failure)?;
            let (status, mut met_lock) = self.listen(&mut run, cx).map_err(failure)?;
            self.wait_is_over(cx);
            let did_nothing = status != Some(0) && !self.watch.has_heard_dpkg();
            // A program that does not wait is gone before anybody could look.
            met_lock |= did_nothing && locks::holder(self.tree, &[FRONTEND, DATABASE]).is_some();
            tracing::debug!(tag, ?status, met_lock, "a run has ended");
            if !(did_nothing && met_lock) {
                return Ok(Ended { tag });
            }
            tag = self.next_tag();
            gate::forget_verdict(self.batch.folder, &first);
        }
    }

    /// The same, while what an interrupted run left is finished.
    pub(crate) fn repair(
        &mut self,
        tag: String,
        command: &Command,
        cx: &mut dyn BatchContext,
    ) -> Result<Ended, Failure> {
        self.repairing = true;
        if let Some(&first) = self
            .batch
            .members
            .iter()
            .find(|update| !self.told.contains(update))
        {
            self.step(
                Moved {
                    update: first,
                    phase: Phase::Repairing,
                },
                cx,
            );
        }
        let ended = self.run(tag, command, cx);
        self.repairing = false;
        ended
    }

    /// Whether the machine waits for a restart since this batch began that none of its packages owned up to; and for whom.
    pub(crate) fn restart_for_others(&self) -> Option<String> {
        let now = RestartFlag::read(self.tree).ok()?;
        let new: Vec<_> = now
            .packages
            .difference(&self.restart_before.packages)
            .cloned()
            .collect();
        let ours = |name: &String| {
            self.watch
                .packages
                .iter()
                .any(|package| package.change.name == *name)
        };
        let newly_set = now.is_set && !self.restart_before.is_set;
        ((newly_set || !new.is_empty()) && !new.iter().any(ours)).then(|| new.join(", "))
    }

    fn tell_changing(&mut self, cx: &mut dyn BatchContext) {
        if !self.changing {
            self.changing = true;
            cx.changing();
        }
    }

    /// Follows a run to its end. Its exit status, where known, and whether somebody else was seen holding a lock before
    /// dpkg said anything.
    fn listen(&mut self, run: &mut Run, cx: &mut dyn BatchContext) -> Result<(Option<i32>, bool), RunError> {
        self.watch.begin(run.tag());
        self.tell_stage(Some(Stage::of(StageKind::Prepare, "")), cx);
        let mut met_lock = false;
        let mut last_move = (Instant::now(), Timestamp::now());
        let mut lines = 0_usize;
        let mut looked = (0, Instant::now());
        let mut looked_for_done: Option<Instant> = None;
        let mut silence = Silence::begin(run);
        let mut moved: Option<Moved> = None;
        let status = run.follow(|run, heard| match heard {
            Heard::Apt(line) => {
                if let Some(over) = self
                    .watch
                    .apt(line)
                    .and_then(|now| replace_latest(&mut moved, now))
                {
                    self.step(over, cx);
                }
            }
            Heard::Dpkg(line) => {
                lines += 1;
                let before = self.watch.stage().cloned();
                let now = self.watch.dpkg(line);
                if self.watch.stage() != before.as_ref() {
                    self.tell_stage(self.watch.stage().cloned(), cx);
                }
                if let Some(over) = now.and_then(|now| replace_latest(&mut moved, now)) {
                    self.step(over, cx);
                }
            }
            Heard::Pulse => {
                if let Some(moved) = moved.take() {
                    self.step(moved, cx);
                }
                if lines != looked.0 {
                    silence = Silence::begin(run);
                    last_move = (Instant::now(), Timestamp::now());
                    looked = (lines, last_move.0);
                    self.wait_is_over(cx);
                    if looked_for_done.is_none_or(|looked| looked.elapsed() >= LOOK_PAUSE) {
                        looked_for_done = Some(looked.1);
                        self.tell_done(cx);
                    }
                } else if looked.1.elapsed() >= HEARTBEAT {
                    looked.1 = Instant::now();
                    // dpkg's database may have lagged behind its word, or the last look was too short a time ago.
                    self.tell_done(cx);
                    if !self.watch.has_heard_dpkg() {
                        met_lock |= self.look_at_locks(run, cx);
                    } else if last_move.0.elapsed() >= self.options.quiet_after {
                        self.tell_quiet(run, last_move.1, cx);
                    }
                    self.end_hung_script(run, &mut silence, cx);
                }
            }
        });
        self.watch.end();
        self.tell_stage(None, cx);
        Ok((status?, met_lock))
    }

    /// Tells what dpkg is busy with since a while: which script, and the last line it printed (trap T4).
    fn tell_quiet(&mut self, run: &Run, since: Timestamp, cx: &mut dyn BatchContext) {
        if self.quiet_told.is_some_and(|told| told.elapsed() < QUIET_PAUSE) {
            return;
        }
        self.quiet_told = Some(Instant::now());
        let waiting = WaitingFor {
            what: self.watch.busy_with().unwrap_or("dpkg").to_owned(),
            since,
            holder: run.script().map(|script| script.holder()),
            detail: run.last_line(),
        };
        self.set_waiting(Some(waiting), cx);
    }

    /// Ends a script that has been silent for longer than the policy allows (rule C1).
    fn end_hung_script(&mut self, run: &Run, silence: &mut Silence, cx: &mut dyn BatchContext) {
        let Some(limit) = self.options.script_limit else {
            return;
        };
        if let Some(ending) = &mut silence.ending {
            ending.force_after(self.options.script_grace);
            if ending.is_over() {
                // dpkg may run another script for the failure, without a word between.
                *silence = Silence::begin(run);
            }
            return;
        }
        if silence.lasts(run) < limit {
            return;
        }
        let Some(script) = run.script() else { return };
        let sentence = format!(
            "the {} was silent for {} s, the most that the policy allows, and was ended",
            script.name(),
            limit.as_secs()
        );
        tracing::warn!(script = %script.holder(), "a silent script is being ended");
        cx.warning(HResult::WU_E_UH_INSTALLERHUNG, sentence.clone());
        self.hung.push((script.package.clone(), sentence));
        silence.ending = Some(Ending::ask(&script));
    }

    /// Tells the updates that are surely done: dpkg said so of all their packages, its database agrees, and no trigger
    /// of theirs can still fail.
    fn tell_done(&mut self, cx: &mut dyn BatchContext) {
        let candidates: Vec<_> = self
            .batch
            .members
            .iter()
            .copied()
            .filter(|update| !self.told.contains(update) && self.watch.is_reported_done(*update))
            .filter(|update| self.watch.of(*update).next().is_some() && !self.has_triggers(*update))
            .collect();
        if candidates.is_empty() {
            return;
        }
        // dpkg is writing; what cannot be read now is read at the end.
        let Ok(database) = DpkgDatabase::read(self.tree.root()) else {
            return;
        };
        let is_made = |update: &usize| {
            let mut packages = self.watch.of(*update);
            packages.all(|package| outcome::is_made(&package.change, &database))
        };
        let made: Vec<usize> = candidates.into_iter().filter(is_made).collect();
        self.tell_success(&made, &database, false, cx);
    }

    fn has_triggers(&self, update: usize) -> bool {
        self.watch.of(update).any(|package| {
            let (name, architecture) = (&package.change.name, &package.change.architecture);
            let files = [
                format!("{name}.triggers"),
                format!("{name}:{architecture}.triggers"),
            ];
            files.iter().any(|file| {
                let text = fs::read(self.tree.path("var/lib/dpkg/info").join(file)).unwrap_or_default();
                text.split(|byte| *byte == b'\n')
                    .any(|line| line.trim_ascii_start().starts_with(b"interest"))
            })
        })
    }

    fn asks_for_restart(&self, update: usize, flag: Option<&RestartFlag>, database: &DpkgDatabase) -> bool {
        let named = |flag: &RestartFlag| {
            let new: BTreeSet<_> = flag
                .packages
                .difference(&self.restart_before.packages)
                .cloned()
                .collect();
            self.watch
                .of(update)
                .any(|package| new.contains(&package.change.name))
        };
        let is_machine = self.tree.kind() == crate::tree::TreeKind::Machine;
        let kernel = || {
            is_machine
                && self
                    .watch
                    .of(update)
                    .any(|package| restart::is_kernel(&package.change.name))
                && restart::newer_kernel(database, &restart::running_kernel()).is_some()
        };
        flag.is_some_and(named) || kernel()
    }

    fn step(&mut self, moved: Moved, cx: &mut dyn BatchContext) {
        if !self.told.contains(&moved.update) {
            let (done, total) = self.watch.progress(moved.update);
            let phase = if self.repairing {
                Phase::Repairing
            } else {
                moved.phase
            };
            cx.step(moved.update, done, total, phase);
        }
    }

    fn tell_stage(&self, stage: Option<Stage>, cx: &mut dyn BatchContext) {
        if self.tells_stages {
            cx.stage(stage);
        }
    }
}

/// Keeps `now` as the latest step; gives the one before it if that was another update's, which is to be told then: of one update's steps
/// that are heard together only the last is.
fn replace_latest(latest: &mut Option<Moved>, now: Moved) -> Option<Moved> {
    let update = now.update;
    latest.replace(now).filter(|before| before.update != update)
}

/// How long a run has given no sign of life: no line of dpkg's, nothing printed.
struct Silence {
    since: Instant,
    printed: u64,
    /// The script that is being ended for it.
    ending: Option<Ending>,
}

impl Silence {
    fn begin(run: &Run) -> Self {
        Self {
            since: Instant::now(),
            printed: run.printed_bytes(),
            ending: None,
        }
    }

    fn lasts(&mut self, run: &Run) -> Duration {
        let printed = run.printed_bytes();
        if printed != self.printed {
            (self.since, self.printed) = (Instant::now(), printed);
        }
        self.since.elapsed()
    }
}

/// A run that cannot be started or followed dooms the batch.
pub(crate) fn failure(error: RunError) -> Failure {
    let code = error.code();
    Failure::because(code, "the package manager cannot be run", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_steps_heard_together_the_last_of_each_update_is_told() {
        let moved = |update, phase| Moved { update, phase };
        let heard = [
            moved(0, Phase::Unpacking),
            moved(0, Phase::Configuring),
            moved(1, Phase::Unpacking),
            moved(0, Phase::Triggers),
        ];
        let mut latest = None;
        let told: Vec<_> = heard
            .into_iter()
            .filter_map(|now| replace_latest(&mut latest, now))
            .collect();
        assert_eq!(told, [moved(0, Phase::Configuring), moved(1, Phase::Unpacking)]);
        assert_eq!(latest, Some(moved(0, Phase::Triggers)));
    }
}
