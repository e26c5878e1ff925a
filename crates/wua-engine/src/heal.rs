//! Healing the machine around a job: before its first batch, after a batch that ended uncleanly, and as a job of its own
//! (`wua repair`; apt.md 10.2). What heals is the handler's; when, and what becomes of the rest, is decided here.
//!
//! A healthy machine costs one diagnosis. What cannot be healed is told as warnings and fails no update that can be made.

use wua_types::{HResult, OperationResultCode};

use crate::failure::Failure;
use crate::folders::JobFolder;
use crate::handler::{BatchContext as _, Consent, Finding, FindingKind};
use crate::journal::Past;
use crate::machine::Machine;
use crate::reporter::Reporter;

/// Healing in the course of one job.
#[derive(Debug)]
pub(crate) struct Healer<'a> {
    machine: &'a Machine,
    folder: &'a JobFolder,
    /// What was left, so that nothing is tried twice for the same trouble.
    left: Vec<Finding>,
}

impl<'a> Healer<'a> {
    pub(crate) fn new(machine: &'a Machine, folder: &'a JobFolder) -> Self {
        Self {
            machine,
            folder,
            left: Vec::new(),
        }
    }

    /// Heals what an earlier run left; whether there was anything. `number` is this repair's own among the runs of the job.
    ///
    /// # Errors
    /// Nothing could be tried; what dooms this dooms the job's batches.
    pub(crate) fn before(&mut self, number: usize, reporter: &mut Reporter<'_>) -> Result<bool, Failure> {
        let found = self.machine.handler.diagnose(&self.machine.store())?;
        if found.is_empty() {
            return Ok(false);
        }
        self.repair(number, Consent::default(), reporter)?;
        self.warn(reporter);
        Ok(true)
    }

    /// Heals what a batch left behind, if that is more than packages that were just tried to be configured; whether it was.
    pub(crate) fn after(&mut self, number: usize, reporter: &mut Reporter<'_>) -> bool {
        let is_new = |finding: &Finding| {
            let known = self
                .left
                .iter()
                .any(|left| (left.kind, &left.subject) == (finding.kind, &finding.subject));
            finding.kind != FindingKind::Unconfigured && !known
        };
        let found = self.machine.handler.diagnose(&self.machine.store());
        let healed = match found {
            Ok(found) if !found.iter().any(is_new) => return false,
            Ok(_) => self.repair(number, Consent::default(), reporter),
            Err(failure) => Err(failure),
        };
        match healed {
            Ok(()) => self.warn(reporter),
            Err(failure) => {
                let sentence = format!("the machine was not repaired after this: {}", failure.sentence());
                reporter.warning(failure.code(), sentence);
            }
        }
        true
    }

    fn repair(
        &mut self,
        number: usize,
        consent: Consent,
        reporter: &mut Reporter<'_>,
    ) -> Result<(), Failure> {
        reporter.begin_repair(number)?;
        let (handler, store) = (&self.machine.handler, self.machine.store());
        let left = handler.repair(self.folder.path(), number, &store, consent, reporter);
        reporter.end_batch();
        reporter.seal_batch(number);
        self.left = left?;
        Ok(())
    }

    fn warn(&self, reporter: &mut Reporter<'_>) {
        for finding in &self.left {
            reporter.warning(HResult::WU_E_UH_INSTALLERFAILURE, finding.to_string());
        }
    }
}

/// Carries out a repair that is a job of its own; its outcome.
pub(crate) fn carry_out(
    machine: &Machine,
    consent: Consent,
    folder: &JobFolder,
    past: &Past,
    reporter: &mut Reporter<'_>,
) -> (OperationResultCode, HResult) {
    let mut healer = Healer::new(machine, folder);
    match healer.repair(past.next_number, consent, reporter) {
        Ok(()) if healer.left.is_empty() => (OperationResultCode::Succeeded, HResult::S_OK),
        Ok(()) => {
            healer.warn(reporter);
            (OperationResultCode::Failed, HResult::WU_E_UH_INSTALLERFAILURE)
        }
        Err(failure) if failure.code() == HResult::WU_E_CALL_CANCELLED => {
            (OperationResultCode::Aborted, HResult::WU_E_CALL_CANCELLED)
        }
        Err(failure) => {
            reporter.warning(failure.code(), failure.sentence());
            (OperationResultCode::Failed, failure.code())
        }
    }
}
