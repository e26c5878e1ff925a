//! Whether to install or to download now.
//!
//! An installation that succeeds completes its window: what comes after it waits for the next one. What is past its deadline does
//! not wait. It is installed at once, without the others, and counts its failures with those of the last window, so that an update which
//! always fails is not tried all day.

use jiff::{SignedDuration, Timestamp};
use wua_types::{AutoDownloadMode, InstallationImpact, Update};

use super::attempts::later;
use super::decide::{Act, Occasion};
use super::look::{LOOK_AGAIN, Look, Step, count, identities};
use super::memory::Run;
use super::settings::Level;
use super::window::{Opening, WindowId};

/// For how long an update that was installed past its deadline, and is offered all the same, is left to the windows.
const LEFT_ALONE: SignedDuration = SignedDuration::from_hours(24);

/// Whether to install now.
pub(super) fn install(look: &Look<'_>) -> Step {
    if look.situation.unattended_upgrades && look.settings.level > Level::Tell {
        let why =
            "unattended-upgrades is active on this machine, so wua downloads and installs nothing by itself.";
        return Step::Wait(None, why.into());
    }
    let wanted = look.wanted();
    if look.level < Level::Install || wanted.is_empty() {
        return Step::Pass;
    }
    let (ready, absent): (Vec<_>, Vec<_>) = wanted
        .into_iter()
        .partition(|update| update.is_downloaded || !look.is_offline_by_choice());
    if ready.is_empty() {
        let why = format!(
            "The network is paid by use, so {} cannot be installed.",
            count(absent.len(), "update")
        );
        return Step::Wait(Some(later(look.now, LOOK_AGAIN)), why);
    }
    let open = look
        .openings
        .iter()
        .find(|opening| opening.is_open(look.now) && !look.is_completed(opening));
    let (chosen, window) = match open {
        Some(opening) => (together(ready.clone()), Some(opening.id)),
        None => {
            let overdue = ready.iter().copied().filter(|update| is_overdue(look, update));
            (together(overdue.collect()), last_opened(look))
        }
    };
    if chosen.is_empty() {
        return wait_for_window(look, &ready, None, "");
    }
    let failed = look.memory.run.as_ref().filter(|run| run.window == window);
    if let Some(wait) = failed.and_then(|run| after_failures(look, run, open, &ready)) {
        return wait;
    }
    let number = count(chosen.len(), "update");
    let occasion = occasion(look, open, failed, &chosen);
    let why = match occasion {
        Occasion::Window => format!("A window is open for {number}."),
        Occasion::MadeUp(missed) => {
            format!("This window makes up for that of {missed}, which passed without {number}.")
        }
        Occasion::Deadline => format!("No window is waited for, because the deadline of {number} is over."),
    };
    let updates = identities(&chosen);
    let act = Act::Install {
        updates,
        window,
        occasion,
    };
    Step::Act(act, why)
}

/// What to wait for after the failures of `run`; none when it is time to try again.
fn after_failures(look: &Look<'_>, run: &Run, open: Option<&Opening>, ready: &[&Update]) -> Option<Step> {
    let failed = &run.attempts;
    let again = failed.next(look.settings, look.now);
    let told = match failed.count {
        1 => format!("The installation failed with {}", failed.result),
        times => format!(
            "The installation failed {times} times, the last time with {}",
            failed.result
        ),
    };
    match again {
        Some(again) if again <= look.now => None,
        Some(again) if open.is_none_or(|opening| again < opening.end) => {
            let why = format!("{told}; it is tried again on {}.", look.told(again));
            Some(Step::Wait(Some(again), why))
        }
        _ => Some(wait_for_window(look, ready, again, &format!("{told}. "))),
    }
}

/// What makes an installation of `chosen` begin, of which `failed` was tried before.
fn occasion(look: &Look<'_>, open: Option<&Opening>, failed: Option<&Run>, chosen: &[&Update]) -> Occasion {
    let Some(opening) = open else {
        return Occasion::Deadline;
    };
    match failed.map(|run| run.occasion) {
        // Tried again, it makes up for what it did the first time.
        Some(Occasion::MadeUp(missed)) => Occasion::MadeUp(missed),
        Some(Occasion::Window | Occasion::Deadline) => Occasion::Window,
        None => missed(look, opening, chosen).map_or(Occasion::Window, Occasion::MadeUp),
    }
}

/// Whether to download now. With [`Level::Install`] too, so that windows are there for installing.
pub(super) fn download(look: &Look<'_>) -> Step {
    let is_absent = |update: &&Update| {
        !update.is_downloaded && update.auto_download != AutoDownloadMode::NeverAutoDownload
    };
    let absent: Vec<_> = look.wanted().into_iter().filter(is_absent).collect();
    if look.level < Level::Download || absent.is_empty() {
        return Step::Pass;
    }
    let number = count(absent.len(), "update");
    if look.is_offline_by_choice() {
        let why = format!("The network is paid by use, so {number} cannot be downloaded.");
        return Step::Wait(Some(later(look.now, LOOK_AGAIN)), why);
    }
    if let Some(tried) = &look.memory.downloads {
        match tried.next(look.settings, look.now) {
            Some(again) if again <= look.now => {}
            Some(again) => {
                let again_at = look.told(again);
                let why = format!(
                    "The download ended with {}; it is tried again on {again_at}.",
                    tried.result
                );
                return Step::Wait(Some(again), why);
            }
            // The next look for updates may change what there is to download.
            None => return Step::Pass,
        }
    }
    Step::Act(
        Act::Download(identities(&absent)),
        format!("The archives of {number} are not here yet."),
    )
}

/// What can be installed together: one that wants to be alone goes only when there is no other.
fn together(mut updates: Vec<&Update>) -> Vec<&Update> {
    let is_exclusive = |update: &&Update| {
        let impact = update.installation_behavior.map(|behavior| behavior.impact);
        impact == Some(InstallationImpact::RequiresExclusiveHandling)
    };
    if updates.iter().all(is_exclusive) {
        updates.truncate(1);
    } else {
        updates.retain(|update| !is_exclusive(update));
    }
    updates
}

/// When an update must be installed, by the settings or by its own deadline.
fn deadline(look: &Look<'_>, update: &Update) -> Option<Timestamp> {
    let first_seen = look
        .memory
        .offer(update.identity)
        .map_or(look.now, |offer| offer.first_seen);
    let set = look
        .settings
        .deadline_days
        .map(|days| later(first_seen, SignedDuration::from_hours(24 * i64::from(days))));
    set.into_iter().chain(update.deadline).min()
}

fn is_overdue(look: &Look<'_>, update: &Update) -> bool {
    let installed = look
        .memory
        .offer(update.identity)
        .and_then(|offer| offer.installed);
    let is_left_alone = installed.is_some_and(|time| look.now.duration_since(time).abs() < LEFT_ALONE);
    !is_left_alone && deadline(look, update).is_some_and(|deadline| deadline <= look.now)
}

fn last_opened(look: &Look<'_>) -> Option<WindowId> {
    let mut opened = look.openings.iter().filter(|opening| opening.start <= look.now);
    opened.next_back().map(|opening| opening.id)
}

/// The window before `opening`, if it passed without an attempt although one of `chosen` was known by then.
fn missed(look: &Look<'_>, opening: &Opening, chosen: &[&Update]) -> Option<WindowId> {
    let before = look.openings.iter().rfind(|before| before.end <= opening.start)?;
    let was_tried = look
        .memory
        .run
        .as_ref()
        .is_some_and(|run| run.window == Some(before.id));
    let was_known = |update: &&Update| {
        let offer = look.memory.offer(update.identity);
        offer.is_some_and(|offer| offer.first_seen < before.end)
    };
    let is_missed = !was_tried && !look.is_completed(before) && chosen.iter().any(was_known);
    is_missed.then_some(before.id)
}

/// Waits for the next window, a deadline before it, or `again`; `before` is what is to be said first.
fn wait_for_window(look: &Look<'_>, ready: &[&Update], again: Option<Timestamp>, before: &str) -> Step {
    let coming = look
        .openings
        .iter()
        .filter(|opening| opening.begin > look.now && !look.is_completed(opening));
    let begin = coming.map(|opening| opening.begin).min();
    let deadlines = ready.iter().filter_map(|update| deadline(look, update));
    let deadline = deadlines.filter(|deadline| *deadline > look.now).min();
    let until = [begin, deadline, again]
        .into_iter()
        .flatten()
        .filter(|time| *time > look.now)
        .min();
    let number = count(ready.len(), "update");
    let verb = if ready.len() == 1 { "waits" } else { "wait" };
    let why = match (begin, deadline) {
        (Some(begin), Some(deadline)) if deadline < begin => {
            format!(
                "{before}{number} {verb} for the deadline on {}.",
                look.told(deadline)
            )
        }
        (Some(begin), _) => format!("{before}{number} {verb} for the window on {}.", look.told(begin)),
        (None, _) => format!("{before}{number} {verb} for a window."),
    };
    Step::Wait(until, why)
}
