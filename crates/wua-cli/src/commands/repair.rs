//! `wua doctor` and `wua repair`: what is wrong with the machine's packages, and healing it.
//!
//! Looking touches nothing and needs no rights. Healing is a job of the keeper, so it outlives this command and can be attached
//! to; before an installation it runs only where the plan could not be made otherwise, and instead of one that finds nothing to do.

use serde_json::{Value, json};
use wua_engine::handler::{Consent, Finding, FindingKind};
use wua_types::api::Access;
use wua_types::{HResult, OperationResultCode};

use crate::arguments::RepairArguments;
use crate::exit_code::Exit;
use crate::front::{Front, Watched};
use crate::problem::Problem;
use crate::progress::Observer;
use crate::text::{count, one_line, wrap};

/// What came of a repair.
struct Repaired {
    job: Option<uuid::Uuid>,
    result_code: OperationResultCode,
    hresult: HResult,
    warnings: Vec<Value>,
}

pub(crate) fn doctor(front: &Front) -> Result<Exit, Problem> {
    let findings = diagnose(front)?;
    if front.screen.is_text() {
        tell(front, &findings, "Nothing is wrong with the packages.", "next");
    }
    front.result(json!({ "healthy": findings.is_empty(), "findings": findings }));
    Ok(if findings.is_empty() {
        Exit::Done
    } else {
        Exit::SomeFailed
    })
}

pub(crate) fn repair(front: &Front, arguments: &RepairArguments) -> Result<Exit, Problem> {
    if arguments.what_if {
        let findings = diagnose(front)?;
        if front.screen.is_text() {
            tell(front, &findings, "Nothing to repair.", "would");
        }
        front.result(json!({ "healthy": findings.is_empty(), "findings": findings }));
        return Ok(Exit::Done);
    }
    let access = if arguments.allow_removals {
        Access::Owner
    } else {
        Access::Member
    };
    front.need_access("repair", access)?;
    front.finish_lost()?;
    front.session.create_update_installer().check_busy()?;
    let found = diagnose(front)?;
    let repaired = if found.is_empty() {
        Repaired {
            job: None,
            result_code: OperationResultCode::Succeeded,
            hresult: HResult::S_OK,
            warnings: Vec::new(),
        }
    } else {
        carry_out(
            front,
            Consent {
                removals: arguments.allow_removals,
            },
        )?
    };
    let left = if repaired.job.is_some() {
        diagnose(front)?
    } else {
        Vec::new()
    };
    if front.screen.is_text() {
        front.screen.line(match (repaired.job, left.len()) {
            (None, _) => "Nothing to repair.".into(),
            (Some(_), 0) => format!("Healthy again: {} healed.", count(found.len(), "finding")),
            (Some(_), left) if repaired.result_code == OperationResultCode::Aborted => {
                format!("Stopped; {} left.", count(left, "finding"))
            }
            (Some(_), left) => format!(
                "{} left; the warnings say why and what next.",
                count(left, "finding")
            ),
        });
    }
    front.result(json!({
        "job": repaired.job,
        "result_code": repaired.result_code,
        "hresult": repaired.hresult,
        "found": found,
        "left": left,
        "warnings": repaired.warnings,
    }));
    Ok(match repaired.result_code {
        OperationResultCode::Aborted => Exit::Aborted,
        _ if left.is_empty() => Exit::Done,
        _ => Exit::Failed,
    })
}

/// Repairs before an operation whose plan APT refuses to make on a machine in such a state. What is left is told, and the
/// operation goes on as far as it can.
pub(crate) fn heal_first(front: &Front) -> Result<(), Problem> {
    heal(
        front,
        |finding| finding.kind.stops_planning() && finding.heals_itself,
        "the packages are in disorder; they are repaired first.",
    )
}

/// Repairs where an operation finds nothing to do, so that no job does it on its way.
pub(crate) fn heal_at_least(front: &Front) -> Result<(), Problem> {
    let is_healed_by_a_job = |finding: &Finding| finding.kind > FindingKind::Survivor;
    heal(
        front,
        is_healed_by_a_job,
        "the packages are in disorder; they are repaired.",
    )
}

fn heal(front: &Front, concerns: impl Fn(&Finding) -> bool, what: &str) -> Result<(), Problem> {
    if diagnose(front)?.iter().any(concerns) {
        front.screen.warn(what);
        carry_out(front, Consent::default())?;
    }
    Ok(())
}

fn diagnose(front: &Front) -> Result<Vec<Finding>, Problem> {
    let machine = front.session.machine();
    Ok(machine.handler.diagnose(&machine.store())?)
}

fn carry_out(front: &Front, consent: Consent) -> Result<Repaired, Problem> {
    let observer = Observer::new(front.screen, front.done());
    let job = front.start_repair(consent, observer)?;
    if front.watch(&job) == Watched::Left {
        let id = job.id();
        return Err(Problem::new(
            HResult::WU_E_CALL_CANCELLED,
            format!("left job {id}, which goes on"),
        )
        .hint(format!("Follow it again with `wua attach {id}`.")));
    }
    let outcome = job.wait();
    let warnings = job
        .progress()
        .warnings()
        .iter()
        .map(|warning| json!({ "message": warning.message, "hresult": warning.hresult }))
        .collect();
    Ok(Repaired {
        job: Some(job.id()),
        result_code: outcome.result_code,
        hresult: outcome.hresult,
        warnings,
    })
}

/// Findings as people read them: what is wrong, and below it what is to be done.
fn tell(front: &Front, findings: &[Finding], healthy: &str, word: &str) {
    let screen = front.screen;
    if findings.is_empty() {
        return screen.line(healthy);
    }
    for finding in findings {
        for line in wrap(&one_line(&finding.sentence), screen.width(), "  ") {
            screen.line(line);
        }
        for line in wrap(
            &format!("{word}: {}", one_line(&finding.cure)),
            screen.width(),
            "      ",
        ) {
            screen.line(line);
        }
    }
    screen.line(format!(
        "{}; `wua repair` heals what can be healed.",
        count(findings.len(), "finding")
    ));
}
