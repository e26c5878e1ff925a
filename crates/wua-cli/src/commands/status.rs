//! `wua status` and `wua services`: how the machine stands, and who offers it updates.

use serde_json::json;
use wua_engine::SystemInformation;

use crate::exit_code::Exit;
use crate::front::Front;
use crate::problem::Problem;

pub(crate) fn status(front: &Front) -> Result<Exit, Problem> {
    let system = SystemInformation::read(front.session.machine())?;
    let screen = front.screen;
    if screen.is_text() {
        match &system.restart_required {
            None => screen.line("restart      not needed"),
            Some(packages) if packages.is_empty() => screen.line("restart      needed"),
            Some(packages) => screen.line(format!("restart      needed, for {}", packages.join(", "))),
        }
        match (&system.busy, &system.lock_holder) {
            (Some(holder), _) => {
                screen.line(format!(
                    "busy         job {} (process {})",
                    holder.job, holder.process.pid
                ));
            }
            (None, Some(holder)) => screen.line(format!("busy         {holder} holds the package database")),
            (None, None) => screen.line("busy         no"),
        }
        if system.unfinished.is_empty() {
            screen.line("unfinished   nothing");
        }
        for operation in &system.unfinished {
            let is_lost = system.lost.iter().any(|lost| lost.job == operation.job);
            let state = if is_lost {
                "was interrupted; the next command that acts finishes it"
            } else {
                "runs"
            };
            let of = match operation.titles.join(", ") {
                // A repair has no updates.
                titles if titles.is_empty() => String::new(),
                titles => format!(" of {titles}"),
            };
            screen.line(format!(
                "unfinished   {}{of}, job {}, {state}",
                operation.operation, operation.job
            ));
        }
    }
    front.result(json!({
        "restart_required": system.restart_required.is_some(),
        "restart_packages": system.restart_required.unwrap_or_default(),
        "busy": system.busy,
        "lock_holder": system.lock_holder,
        "unfinished": system.unfinished,
    }));
    Ok(Exit::Done)
}

pub(crate) fn services(front: &Front) -> Result<Exit, Problem> {
    let services = front.session.create_update_service_manager().services()?;
    if front.screen.is_text() {
        for service in &services {
            front.screen.heading(&service.name);
            front.screen.line(format!("  id                 {}", service.id));
            let automatic = if service.is_registered_with_au {
                "used"
            } else {
                "not used"
            };
            front.screen.line(format!("  automatic updates  {automatic}"));
        }
    }
    front.result(json!({ "services": services }));
    Ok(Exit::Done)
}
