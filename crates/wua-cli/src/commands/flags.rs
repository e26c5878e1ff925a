//! `wua hide`, `unhide` and `accept-eula`: the administrator's flags.

use serde_json::json;
use wua_engine::state::{PublicState, State};
use wua_types::api::Access;
use wua_types::{HResult, Update, UpdateIdentity};

use crate::arguments::Selection;
use crate::exit_code::Exit;
use crate::front::Front;
use crate::problem::Problem;
use crate::selection::{Selected, select};
use crate::text::{count, one_line};

pub(crate) fn hide(front: &Front, selection: &Selection) -> Result<Exit, Problem> {
    let selected = find(
        front,
        selection,
        "hide",
        "IsInstalled=0 and IsHidden=0",
        Access::Owner,
    )?;
    let fixed = selected
        .chosen
        .iter()
        .find(|update| update.is_mandatory || update.deadline.is_some());
    if let Some(update) = fixed {
        let what = format!(
            "`{}` cannot be hidden: it is mandatory or has a deadline",
            update.title
        );
        return Err(Problem::new(HResult::WU_E_DS_DECLINENOTALLOWED, what));
    }
    set_hidden(front, &selected.chosen, true)?;
    tell(front, &selected.chosen, "hidden", selection.fail_if_none)
}

/// What is hidden may not be offered any more, so it is looked up among the flags, not in a search.
pub(crate) fn unhide(front: &Front, selection: &Selection) -> Result<Exit, Problem> {
    super::choosing::need_selection(selection)?;
    front.need_permission("unhide")?;
    let state = PublicState::read(&front.session.machine().folders)?;
    let named = |(id, title): (_, String)| {
        Update::new(
            UpdateIdentity {
                update_id: id,
                revision_number: 1,
            },
            title,
        )
    };
    let found: Vec<Update> = match &selection.criteria {
        Some(criteria) => {
            let mut result = front.search(criteria, false)?;
            result.updates.retain(|update| update.is_hidden);
            result.updates
        }
        None => state.hidden.into_iter().map(named).collect(),
    };
    let selected = select(found, &selection.selectors, &selection.exclude);
    if let Some(selector) = selected.idle.first() {
        let problem = Problem::new(
            HResult::WU_E_ITEMNOTFOUND,
            format!("no hidden update fits `{selector}`"),
        );
        return Err(problem.hint("List the hidden ones with `wua search 'IsInstalled=0 and IsHidden=1'`."));
    }
    super::choosing::check_exclusions(front, &selected, &[])?;
    set_hidden(front, &selected.chosen, false)?;
    tell(front, &selected.chosen, "shown again", selection.fail_if_none)
}

pub(crate) fn accept_eula(front: &Front, selection: &Selection) -> Result<Exit, Problem> {
    let selected = find(front, selection, "accept-eula", "IsInstalled=0", Access::Member)?;
    match front.agent() {
        Some(agent) => {
            for update in &selected.chosen {
                agent.accept_eula(update.id())?;
            }
        }
        None => State::open(&front.session.machine().folders)?.accept_eula(&selected.chosen)?,
    }
    tell(front, &selected.chosen, "accepted", selection.fail_if_none)
}

fn find(
    front: &Front,
    selection: &Selection,
    command: &str,
    default: &str,
    access: Access,
) -> Result<Selected, Problem> {
    super::choosing::need_selection(selection)?;
    front.need_access(command, access)?;
    let result = front.search(selection.criteria.as_deref().unwrap_or(default), false)?;
    front.tell_warnings(&result);
    let selected = select(result.updates, &selection.selectors, &selection.exclude);
    if let Some(selector) = selected.idle.first() {
        return Err(super::choosing::nothing_fits(front, selector, &result.kept_back));
    }
    super::choosing::check_exclusions(front, &selected, &result.kept_back)?;
    Ok(selected)
}

fn set_hidden(front: &Front, updates: &[Update], hidden: bool) -> Result<(), Problem> {
    let named: Vec<_> = updates
        .iter()
        .map(|update| (update.id(), update.title.clone()))
        .collect();
    if named.is_empty() {
        return Ok(());
    }
    Ok(State::open(&front.session.machine().folders)?.set_hidden(&named, hidden)?)
}

fn tell(front: &Front, updates: &[Update], what: &str, fail_if_none: bool) -> Result<Exit, Problem> {
    if front.screen.is_text() {
        for update in updates {
            front.screen.line(format!("  {}", one_line(&update.title)));
        }
        front
            .screen
            .line(format!("{} {what}.", count(updates.len(), "update")));
    }
    let ids: Vec<_> = updates.iter().map(Update::id).collect();
    front.result(json!({ "updates": ids }));
    Ok(if updates.is_empty() && fail_if_none {
        Exit::NothingToDo
    } else {
        Exit::Done
    })
}
