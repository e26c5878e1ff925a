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
