//! `wua search`: which updates there are.

use console::style;
use unicode_width::UnicodeWidthStr as _;
use wua_types::{KeptBack, OperationResultCode, SearchResult, Update};

use crate::arguments::SearchArguments;
use crate::documents;
use crate::exit_code::Exit;
use crate::front::Front;
use crate::problem::Problem;
use crate::screen::Screen;
use crate::text::{bytes, count, one_line, shorten, wrap};

pub(crate) fn run(front: &Front, arguments: &SearchArguments) -> Result<Exit, Problem> {
    let result = front.search(
        arguments.criteria.as_deref().unwrap_or_default(),
        arguments.refresh,
    )?;
    front.tell_warnings(&result);
    if front.screen.is_text() {
        tell(front.screen, &result, arguments.details);
    }
    front.result(documents::search(&result));
    // What is incomplete because a refresh that was asked for failed is not a success (design.md section 3).
    let stale = arguments.refresh && result.result_code == OperationResultCode::SucceededWithErrors;
    Ok(if stale { Exit::SomeFailed } else { Exit::Done })
}

fn tell(screen: Screen, result: &SearchResult, details: bool) {
    if result.updates.is_empty() {
        screen.line("No updates.");
    } else {
        let size: u64 = result.updates.iter().map(|update| update.min_download_size).sum();
        let size = if size > 0 {
            format!(", {} to download", bytes(size))
        } else {
            String::new()
        };
        screen.heading(&format!("{}{size}", count(result.updates.len(), "update")));
        let table = Table::of(&result.updates, screen.width());
        for update in &result.updates {
            screen.line(table.row(update));
            if details {
                detail_lines(update).for_each(|line| screen.line(line));
            }
        }
    }
    tell_kept_back(screen, &result.kept_back);
}

/// Columns wide enough for what stands in them, and no wider than the screen.
struct Table {
    title: usize,
    category: usize,
}

impl Table {
    fn of(updates: &[Update], width: usize) -> Self {
        let widest = |text: &dyn Fn(&Update) -> usize, most: usize| {
            updates.iter().map(text).max().unwrap_or(0).min(most)
        };
        let category = widest(&|update| category(update).len(), 16);
        let remarks = widest(&|update| remarks(update).len(), 30);
        let room = width
            .saturating_sub(2 + 2 + category + 2 + 7 + 2 + remarks)
            .max(24);
        Self {
            title: widest(&|update| update.title.width(), room),
            category,
        }
    }

    fn row(&self, update: &Update) -> String {
        let title = format!(
            "{:<width$}",
            shorten(&one_line(&update.title), self.title),
            width = self.title
        );
        let category = format!(
            "{:<width$}",
            shorten(category(update), self.category),
            width = self.category
        );
        let category = if is_security(update) {
            style(category).yellow().to_string()
        } else {
            category
        };
        let row = format!(
            "  {title}  {category}  {:>7}  {}",
            bytes(update.max_download_size),
            remarks(update)
        );
        row.trim_end().to_owned()
    }
}

fn category(update: &Update) -> &str {
    update.categories.first().map_or("", |category| &category.name)
}

fn is_security(update: &Update) -> bool {
    update
        .categories
        .iter()
        .any(|category| category.id == wua_types::category::SECURITY_UPDATES)
}

/// What else a row tells.
fn remarks(update: &Update) -> String {
    let mut remarks = Vec::new();
    if update.is_installed {
        remarks.push(if update.is_uninstallable {
            "installed, can be taken back"
        } else {
            "installed"
        });
    } else if update.is_downloaded {
        remarks.push("downloaded");
    }
    if update.is_hidden {
        remarks.push("hidden");
    }
    if update.reboot_required {
        remarks.push("restart pending");
    }
    let may_restart = update
        .installation_behavior
        .is_some_and(|behavior| i32::from(behavior.reboot_behavior) > 0);
    if may_restart && !update.is_installed {
        remarks.push("may need a restart");
    }
    remarks.join(", ")
}

/// The packages of an update and the versions they go from and to.
pub(crate) fn detail_lines(update: &Update) -> impl Iterator<Item = String> {
    update.packages().into_iter().map(|package| {
        let change = match (&package.installed, &package.candidate) {
            (Some(from), Some(to)) => format!("{from} -> {to}"),
            (None, Some(to)) => format!("new, {to}"),
            (Some(from), None) => format!("{from}, removed"),
            (None, None) => String::new(),
        };
        format!("      {}", one_line(&format!("{} {change}", package.label())))
    })
}

/// What is newer but not offered, and why.
pub(crate) fn tell_kept_back(screen: Screen, kept: &[KeptBack]) {
    if kept.is_empty() {
        return;
    }
    screen.heading(&format!("{} kept back", kept.len()));
    for kept in kept {
        let line = one_line(&format!("{}: {}", kept.title, kept.reason));
        for (number, line) in wrap(&line, screen.width().saturating_sub(2), "    ")
            .into_iter()
            .enumerate()
        {
            screen.line(if number == 0 {
                format!("  {}", line.trim_start())
            } else {
                line
            });
        }
    }
}
