//! The search: APT's own answer, in the shape of updates.
//!
//! Where our own reading proves what APT's plan must be (`proof`), APT is not asked for it, and a search takes one or two
//! hundredths of a second; else its plan is computed by itself in a process of its own. Nothing is written and no privilege needed, unless a refresh is asked for.
//!
//! Warnings have codes by what they mean for the answer. Data that is merely old is a remark (`S_FALSE`, a success code: such
//! a search still succeeded); data that is damaged, was never there or could not be refreshed makes the answer incomplete and
//! has a failing code (rule U5).

use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use wua_engine::Failure;
use wua_engine::source::{Found, SearchRequest};
use wua_types::{HResult, UpdateException, UpdateExceptionContext};

use crate::confirm::{ConfirmError, ConfirmedPackage, Mode, Simulation};
use crate::reader::{ReadError, ReadWarning, Reading, Wanted};
use crate::refresh::{Unrefreshed, refresh};
use crate::text::harmless;
use crate::tree::AptTree;
use crate::updates::{self, Records};
use crate::{kept, kept_back, proof};

/// Indexes older than this are remarked upon.
const STALE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Finds what APT would upgrade, with what it would newly install for that.
///
/// # Errors
/// The machine cannot be read, APT refuses to plan, or the search was aborted.
pub(crate) fn search(
    tree: &AptTree,
    request: &SearchRequest<'_>,
    lock_limit: Option<Duration>,
) -> Result<Found, Failure> {
    let abort = || request.abort.load(Ordering::Relaxed);
    let unrefreshed = if request.refresh {
        let unrefreshed = refresh(tree, request, lock_limit)?;
        kept::keep_if_possible(tree);
        unrefreshed
    } else {
        None
    };
    let reading = Reading::of(tree).map_err(read_failure)?;
    if abort() {
        return Err(ConfirmError::Cancelled.into());
    }
    let plan = match proof::plan(&reading) {
        Ok(plan) => plan,
        Err(unclear) => {
            tracing::debug!(unclear, "APT is asked for its plan");
            Simulation::start(tree, &["upgrade", "--with-new-pkgs"])
                .and_then(|simulation| simulation.finish(abort))
                .map_err(|error| plan_failure(error, &reading.warnings))?
        }
    };
    let mut read_warnings = reading.warnings.clone();
    let records = records(&reading, &plan, &mut read_warnings);
    let updates = updates::updates(
        updates::join(&plan, &records),
        &reading.installed,
        &reading.native_architecture,
        &reading.repositories,
        request.store,
    );
    let kept_back = kept_back::kept_back(tree, &reading.candidates, &plan, &abort)?;
    let mut warnings: Vec<_> = match unrefreshed {
        Some(failure) => vec![refresh_warning(failure, reading.never_refreshed())],
        None => age_warning(&reading, Timestamp::now()).into_iter().collect(),
    };
    // One sentence for the whole says it better than one an archive.
    let is_said = |warning: &&ReadWarning| {
        reading.never_refreshed() && matches!(warning, ReadWarning::NeverRefreshed { .. })
    };
    warnings.extend(
        read_warnings
            .iter()
            .filter(|warning| !is_said(warning))
            .map(read_warning),
    );
    Ok(Found {
        updates,
        kept_back,
        warnings,
    })
}

/// What the archives say of each package of the plan; a second look into the indexes finds those that are not
/// candidates of the reading, as new packages are not.
fn records(reading: &Reading, plan: &[ConfirmedPackage], warnings: &mut Vec<ReadWarning>) -> Records {
    let candidates = reading.candidates.iter().map(|candidate| &candidate.record);
    let key = |record: &crate::reader::ArchiveRecord| {
        (
            record.package.clone(),
            record.architecture.clone(),
            record.version.clone(),
        )
    };
    let mut records: Records = candidates.map(|record| (key(record), record.clone())).collect();
    let missing: Vec<Wanted> = plan
        .iter()
        .filter(|package| package.mode != Mode::Remove)
        .filter(|package| {
            let to = package.to.clone().unwrap_or_default();
            !records.contains_key(&(package.name.clone(), package.architecture.clone(), to))
        })
        .map(|package| Wanted {
            package: package.name.clone(),
            architecture: Some(package.architecture.clone()),
            version: package.to.clone(),
        })
        .collect();
    if !missing.is_empty() {
        let found = reading.find(&missing);
        for record in found.records {
            records.entry(key(&record)).or_insert(record);
        }
        warnings.extend(
            found
                .warnings
                .into_iter()
                .filter(|warning| !reading.warnings.contains(warning)),
        );
    }
    records
}

/// What a failed refresh means for the answer.
fn refresh_warning(failure: Unrefreshed, never_refreshed: bool) -> UpdateException {
    let Unrefreshed { code, why } = failure;
    let meaning = if never_refreshed {
        "there are no older ones, so nothing can be found"
    } else {
        "this search used older ones"
    };
    warning(
        code,
        format!("the indexes could not be refreshed, and {meaning}: {why}"),
    )
}

fn age_warning(reading: &Reading, now: Timestamp) -> Option<UpdateException> {
    if reading.never_refreshed() {
        let message = "the indexes were never fetched on this machine, so nothing can be found; fetch them with \
                       `wua search --refresh`";
        return Some(warning(HResult::WU_E_ITEMNOTFOUND, message.into()));
    }
    let age = now.duration_since(reading.lists_changed?);
    if age < STALE {
        return None;
    }
    let message = format!(
        "the indexes were last refreshed {} days ago; newer updates may exist",
        age.as_hours() / 24
    );
    Some(warning(HResult::S_FALSE, message))
}

fn warning(hresult: HResult, message: String) -> UpdateException {
    UpdateException {
        message,
        hresult,
        context: UpdateExceptionContext::SearchIncomplete,
    }
}

/// APT stumbles over a damaged index in ways that do not name it; our own reading does.
fn plan_failure(error: ConfirmError, warnings: &[ReadWarning]) -> Failure {
    let damage = warnings.iter().find(|warning| {
        matches!(
            warning,
            ReadWarning::DamagedIndex { .. } | ReadWarning::UnreadableIndex { .. }
        )
    });
    match (error, damage) {
        (error @ ConfirmError::Refused { .. }, Some(damage)) => {
            let message = format!(
                "{}; fetch it again with `wua search --refresh`",
                harmless(&damage.to_string())
            );
            Failure::because(HResult::WU_E_INVALID_FILE, message, error)
        }
        (error, _) => error.into(),
    }
}

fn read_warning(warning: &ReadWarning) -> UpdateException {
    let hresult = match warning {
        ReadWarning::NoSources => HResult::WU_E_NO_SERVICE,
        ReadWarning::NeverRefreshed { .. } | ReadWarning::Preferences { .. } => HResult::S_FALSE,
        ReadWarning::MissingIndex { .. } => HResult::WU_E_ITEMNOTFOUND,
        ReadWarning::UnreadableIndex { .. } | ReadWarning::DamagedIndex { .. } => HResult::WU_E_INVALID_FILE,
    };
    // Names in it may be those of a damaged index.
    self::warning(hresult, harmless(&warning.to_string()))
}

pub(crate) fn read_failure(error: ReadError) -> Failure {
    let code = match &error {
        ReadError::Dpkg(_) => HResult::WU_E_UNEXPECTED,
        ReadError::Start { source, .. } => wua_engine::store::io_code(source),
        ReadError::Program { .. } | ReadError::Configuration { .. } => HResult::WU_E_NO_SERVICE,
    };
    Failure::because(code, "the machine's packages cannot be read", error)
}
