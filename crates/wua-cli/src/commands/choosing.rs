//! From the words of a selection to updates: what is chosen, and for a word that fits nothing the reason why.
//!
//! A word that fits nothing ends a command, also one that only leaves out. A package that is up to date is no mistake.

use wua_apt::dpkg::{DpkgDatabase, PackageState};
use wua_engine::state::PublicState;
use wua_types::{Category, HResult, KeptBack, SearchResult, Update, UpdateIdentity};

use crate::arguments::Selection;
use crate::front::Front;
use crate::problem::Problem;
use crate::selection::{Selected, Selector, select, source_name};

/// A command that acts needs to be told on what.
pub(crate) fn need_selection(selection: &Selection) -> Result<(), Problem> {
    if selection.all || !selection.selectors.is_empty() || selection.criteria.is_some() {
        return Ok(());
    }
    let problem = Problem::new(HResult::WU_E_NO_UPDATE, "nothing was selected");
    Err(problem.hint("Name updates as `wua search` lists them, or take every one with `--all`."))
}

/// Why a word of a selection fits nothing, as a problem.
pub(crate) fn nothing_fits(front: &Front, selector: &Selector, kept_back: &[KeptBack]) -> Problem {
    if let Some(problem) = standing_in_the_way(front, selector, kept_back) {
        return problem;
    }
    if let Selector::Cve(number) = selector {
        let what = format!("no downloaded update is known to fix {number}");
        return Problem::new(HResult::WU_E_ITEMNOTFOUND, what)
            .hint("CVE numbers come with the archives: `wua download category:security`, then try again.");
    }
    let root = front.session.machine().folders.root().display();
    Problem::new(
        HResult::WU_E_ITEMNOTFOUND,
        format!("no update of `{root}` fits `{selector}`"),
    )
    .hint("`wua search` lists the updates there are.")
}

/// What keeps an update that there is out of the search: it is kept back, hidden, or stuck half-way.
fn standing_in_the_way(front: &Front, selector: &Selector, kept_back: &[KeptBack]) -> Option<Problem> {
    let named = |(id, title)| {
        Update::new(
            UpdateIdentity {
                update_id: id,
                revision_number: 1,
            },
            title,
        )
    };
    let hidden = PublicState::read(&front.session.machine().folders)
        .map(|state| state.hidden)
        .unwrap_or_default();
    if let Some(hidden) = hidden
        .into_iter()
        .map(named)
        .find(|update| selector.matches(update))
    {
        let (title, name) = (&hidden.title, source_name(&hidden));
        let problem = Problem::new(HResult::WU_E_ITEMNOTFOUND, format!("`{title}` is hidden"));
        return Some(problem.hint(format!(
            "Bring it back with `wua unhide {name}`, then repeat the command."
        )));
    }
    let Selector::Name(name) = selector else {
        return None;
    };
    let is_meant = |kept: &&KeptBack| {
        kept.title.split(' ').next() == Some(name) || kept.packages.iter().any(|package| package == name)
    };
    if let Some(kept) = kept_back.iter().find(is_meant) {
        let what = format!("`{}` is kept back: {}", kept.title, kept.reason);
        return Some(Problem::new(HResult::WU_E_NOT_APPLICABLE, what));
    }
    let stuck = installed(front, name)
        .into_iter()
        .find(|(_, state)| *state != PackageState::Installed)?;
    let what = format!(
        "`{name}` {} was begun and not finished: it is {}",
        stuck.0, stuck.1
    );
    Some(Problem::new(HResult::WU_E_UH_INSTALLERFAILURE, what))
}

/// The versions of a package, named with or without architecture, that are on the machine, and how far dpkg got with each.
fn installed(front: &Front, name: &str) -> Vec<(String, PackageState)> {
    let Ok(database) = DpkgDatabase::read(front.session.machine().folders.root()) else {
        return Vec::new();
    };
    let (name, architecture) = name
        .split_once(':')
        .map_or((name, None), |(name, word)| (name, Some(word)));
    let is_meant = |word: &str| architecture.is_none_or(|architecture| word == "all" || word == architecture);
    let present = database
        .named(name)
        .iter()
        .filter(|package| package.status.is_present());
    present
        .filter(|package| is_meant(&package.architecture))
        .map(|package| (package.version.clone(), package.status.state))
        .collect()
}

/// Searches and selects.
pub(crate) fn choose(
    front: &Front,
    selection: &Selection,
    refresh: bool,
) -> Result<(Selected, SearchResult), Problem> {
    let result = front.search(selection.criteria.as_deref().unwrap_or_default(), refresh)?;
    front.tell_warnings(&result);
    let mut selected = select(result.updates.clone(), &selection.selectors, &selection.exclude);
    check_exclusions(front, &selected, &result.kept_back)?;
    let mut unexplained = Vec::new();
    for selector in std::mem::take(&mut selected.idle) {
        if let Some(problem) = standing_in_the_way(front, &selector, &result.kept_back) {
            return Err(problem);
        }
        if let Some(criteria) = &selection.criteria {
            let all = front.search("", false)?;
            if let Some(update) = all.updates.iter().find(|update| selector.matches(update)) {
                let what = format!("`{}` does not fit the criteria `{criteria}`", update.title);
                let hint = "Name it without `--criteria`, or give criteria that it fits.";
                return Err(Problem::new(HResult::WU_E_ITEMNOTFOUND, what).hint(hint));
            }
        }
        // A package that is up to date is no mistake: there is nothing to do for it.
        match &selector {
            Selector::Name(name) if !installed(front, name).is_empty() => {
                front
                    .screen
                    .aside(format!("  `{name}` is installed and has no update"));
            }
            _ => unexplained.push(selector),
        }
    }
    match unexplained.first() {
        Some(selector) => Err(nothing_fits(front, selector, &result.kept_back)),
        None => Ok((selected, result)),
    }
}

/// A word that was to leave something out and fits nothing is an error, too: mistyped, it would let in what the caller does not
/// want. What is known and has no update, or is out already, is none. Patterns and CVE numbers may fit nothing.
pub(crate) fn check_exclusions(
    front: &Front,
    selected: &Selected,
    kept_back: &[KeptBack],
) -> Result<(), Problem> {
    for selector in &selected.idle_exclusions {
        let is_known = match selector {
            Selector::Name(name) => !installed(front, name).is_empty(),
            Selector::Category(name) => {
                let known = [
                    Category::security_updates(),
                    Category::updates(),
                    Category::backports(),
                ];
                known.iter().any(|category| {
                    category.name.to_lowercase().starts_with(name) || category.id.to_string() == *name
                })
            }
            Selector::Id(_) => false,
            Selector::Title(_) | Selector::Cve(_) => {
                front
                    .screen
                    .warn(&format!("`--exclude {selector}` leaves nothing out."));
                true
            }
        };
        if !is_known && standing_in_the_way(front, selector, kept_back).is_none() {
            let what = format!("nothing is known that fits `--exclude {selector}`");
            let hint = "Correct the word, or leave it out; `wua search` lists the updates there are.";
            return Err(Problem::new(HResult::WU_E_ITEMNOTFOUND, what).hint(hint));
        }
    }
    Ok(())
}
