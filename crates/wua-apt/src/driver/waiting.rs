//! Waiting for others, visibly: for a lock of another program, and for what an interrupted run left working.

use std::time::Instant;

use jiff::Timestamp;
use wua_engine::Failure;
use wua_engine::handler::BatchContext;
use wua_engine::stage::{Stage, StageKind};
use wua_types::{HResult, WaitingFor};

use super::Driver;
use crate::bell::wait_for_process;
use crate::locks::{self, DATABASE, FRONTEND};
use crate::run::Run;
use crate::scripts::{Ending, Script};
use crate::survivors;

/// What people read while a lock is waited for.
const LOCK: &str = "the package database lock";

/// What people read while what an interrupted run left is waited for.
const SURVIVOR: &str = "the end of an interrupted run";

impl Driver<'_, '_> {
    /// Waits until nobody else holds a lock, visibly.
    ///
    /// # Errors
    /// `WU_E_CALL_CANCELLED` when an abort is asked for and nothing was changed yet; `WU_E_INSTALL_NOT_ALLOWED` with the
    /// holder when the limit is over.
    pub(crate) fn wait_for_locks(&mut self, cx: &mut dyn BatchContext) -> Result<(), Failure> {
        let mut last_look = Instant::now();
        loop {
            if !self.changing && cx.abort_requested() {
                self.wait_is_over(cx);
                return Err(Failure::new(
                    HResult::WU_E_CALL_CANCELLED,
                    "an abort was asked for before anything was changed",
                ));
            }
            let Some(holder) = locks::holder(self.tree, &[FRONTEND, DATABASE]) else {
                self.wait_is_over(cx);
                return Ok(());
            };
            let now = Instant::now();
            self.lock_waited += now - last_look;
            last_look = now;
            if self
                .options
                .lock_limit
                .is_some_and(|limit| self.lock_waited >= limit)
            {
                self.wait_is_over(cx);
                let sentence = format!("{holder} holds {LOCK}");
                return Err(Failure::new(HResult::WU_E_INSTALL_NOT_ALLOWED, sentence));
            }
            self.wait_for(LOCK, Some(holder.to_string()), cx);
            wait_for_process(holder.pid);
        }
    }

    /// Waits, visibly, for what an interrupted run left working: a script would run twice at once otherwise (apt.md 10.2).
    ///
    /// # Errors
    /// `WU_E_CALL_CANCELLED` when an abort is asked for and nothing was changed yet.
    pub(crate) fn wait_for_survivors(&mut self, cx: &mut dyn BatchContext) -> Result<(), Failure> {
        let begun = Instant::now();
        let mut ending: Option<(u32, Ending)> = None;
        while let Some(survivor) = survivors::find(self.tree).into_iter().next() {
            // The policy's limit holds for a script that outlived its dpkg, too, from when it is waited for.
            match &mut ending {
                Some((pid, ending)) if *pid == survivor.pid => ending.force_after(self.options.script_grace),
                _ if self
                    .options
                    .script_limit
                    .is_some_and(|limit| begun.elapsed() >= limit) =>
                {
                    if let Some(script) = Script::of(survivor.pid) {
                        tracing::warn!(script = %script.holder(), "a script of an interrupted run is being ended");
                        let sentence = format!(
                            "the {} of an interrupted run did not end by itself, and was ended",
                            script.name()
                        );
                        cx.warning(HResult::WU_E_UH_INSTALLERHUNG, sentence);
                        ending = Some((survivor.pid, Ending::ask(&script)));
                    }
                }
                _ => {}
            }
            if !self.changing && cx.abort_requested() {
                self.wait_is_over(cx);
                return Err(Failure::new(
                    HResult::WU_E_CALL_CANCELLED,
                    "an abort was asked for before anything was changed",
                ));
            }
            self.wait_for(SURVIVOR, Some(survivor.to_string()), cx);
            wait_for_process(Some(survivor.pid));
        }
        self.wait_is_over(cx);
        Ok(())
    }

    /// Whether somebody else holds a lock that our apt, just started, now waits for.
    pub(super) fn look_at_locks(&mut self, run: &Run, cx: &mut dyn BatchContext) -> bool {
        let holder = locks::holder(self.tree, &[FRONTEND, DATABASE]);
        let stranger = holder.filter(|holder| holder.pid.is_none_or(|pid| !run.owns(pid)));
        match &stranger {
            Some(holder) => self.wait_for(LOCK, Some(holder.to_string()), cx),
            None if self.waiting.as_ref().is_some_and(|waiting| waiting.what == LOCK) => {
                self.wait_is_over(cx)
            }
            None => {}
        }
        stranger.is_some()
    }

    /// Waits for something of others.
    pub(super) fn wait_for(&mut self, what: &str, holder: Option<String>, cx: &mut dyn BatchContext) {
        if !self.waits_for_others {
            self.waits_for_others = true;
            self.tell_stage(Some(Stage::of(StageKind::Wait, "")), cx);
        }
        let since = match &self.waiting {
            Some(waiting) if waiting.what == what => waiting.since,
            _ => Timestamp::now(),
        };
        self.set_waiting(
            Some(WaitingFor {
                what: what.into(),
                since,
                holder,
                detail: None,
            }),
            cx,
        );
    }

    pub(super) fn wait_is_over(&mut self, cx: &mut dyn BatchContext) {
        self.quiet_told = None;
        if self.waits_for_others && self.tells_stages {
            self.waits_for_others = false;
            // dpkg may be at a package by now.
            cx.stage(self.watch.stage().cloned());
        }
        self.set_waiting(None, cx);
    }

    pub(super) fn set_waiting(&mut self, waiting: Option<WaitingFor>, cx: &mut dyn BatchContext) {
        if self.waiting != waiting {
            self.waiting.clone_from(&waiting);
            cx.waiting(waiting);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::ApplyOptions;
    use crate::tree::AptTree;
    use wua_engine::handler::Batch;
    use wua_engine::store::ContentStore;
    use wua_sandbox::PracticeMachine;
    use wua_types::{
        Phase, PlannedChange, PlannedUpdate, UpdateId, UpdateIdentity, UpdateInstallationResult,
        UpdateOperation,
    };

    /// Who keeps what is told of stages.
    #[derive(Default)]
    struct Stages(Vec<Option<Stage>>);

    impl BatchContext for Stages {
        fn stage(&mut self, stage: Option<Stage>) {
            self.0.push(stage);
        }
        fn abort_requested(&self) -> bool {
            false
        }
        fn changing(&mut self) {}
        fn step(&mut self, _: usize, _: u32, _: u32, _: Phase) {}
        fn waiting(&mut self, _: Option<WaitingFor>) {}
        fn finished_together(&mut self, _: Vec<(usize, UpdateInstallationResult)>) {}
        fn warning(&mut self, _: HResult, _: String) {}
    }

    #[test]
    fn the_end_of_a_wait_tells_the_stage_that_dpkg_is_at_by_then() {
        let folder = tempfile::tempdir().expect("a folder");
        let machine = PracticeMachine::empty(&folder.path().join("machine")).expect("a machine");
        let tree = AptTree::open(machine.root()).expect("a tree");
        let store = ContentStore::new(machine.root().join("var/lib/wua/store"));
        let change = PlannedChange {
            name: "a".into(),
            architecture: "amd64".into(),
            from: Some("1".into()),
            to: Some("2".into()),
            archive: None,
        };
        let update = PlannedUpdate {
            identity: UpdateIdentity {
                update_id: UpdateId(uuid::Uuid::nil()),
                revision_number: 1,
            },
            title: "a".into(),
            changes: vec![change],
            unpacked_bytes: 0,
        };
        let batch = Batch {
            operation: UpdateOperation::Installation,
            plan: &[update],
            members: &[0],
            number: 0,
            folder: &machine.root().join("var/lib/wua/jobs/test"),
            store: &store,
        };
        let options = ApplyOptions::default();
        let mut driver = Driver::new(&tree, &batch, &options).expect("a driver");
        let mut stages = Stages::default();
        driver.wait_for(LOCK, None, &mut stages);
        driver.watch.dpkg("processing: upgrade: a");
        driver.wait_is_over(&mut stages);
        let expected = [Stage::of(StageKind::Wait, ""), Stage::of(StageKind::Unpack, "a")];
        assert_eq!(stages.0, expected.map(Some));
    }
}
