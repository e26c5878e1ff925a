//! Carrying out what the schedule decided: jobs like those that people begin, a restart through systemd, words to people.

use std::collections::BTreeSet;
use std::process::{self, Stdio};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use uuid::Uuid;
use wua_engine::detached;
use wua_types::{HResult, Operation, OperationResultCode, Update, UpdateId, UpdateIdentity};

use crate::caller::Caller;
use crate::jobs::{Entry, Stage};
use crate::machine::Agent;
use crate::order::Order;
use crate::problem::Problem;
use crate::schedule::{Act, Acting, AutomaticSettings, Outcome, Situation};

/// How long a program that is told something may take.
const TELLING: Duration = Duration::from_secs(60);

/// How long systemd may take to restart services.
const SERVICES: Duration = Duration::from_secs(300);

/// Does what was decided, to its end.
pub(crate) async fn carry_out(
    agent: &Arc<Agent>,
    settings: &AutomaticSettings,
    acting: &Acting,
    situation: &Situation,
) -> Outcome {
    let id = acting.job;
    let done = match &acting.act {
        Act::Nothing => Ok(()),
        Act::Check => job(agent, id, Operation::Search, Vec::new()).await,
        Act::Tell(updates) => tell(agent, settings, &of(updates, situation)).await,
        Act::Download(updates) => job(agent, id, Operation::Download, ids(updates)).await,
        Act::Install { updates, .. } => {
            fetch(agent, updates, situation).await;
            let installed = job(agent, id, Operation::Install, ids(updates)).await;
            return after_install(agent, settings, updates, installed).await;
        }
        Act::Restart {
            at, notice_minutes, ..
        } => restart(agent, at.timestamp(), *notice_minutes, situation).await,
        Act::RestartServices { services, .. } => {
            let words = ["--no-ask-password", "try-restart", "--"];
            let words = words.into_iter().chain(services.iter().map(String::as_str));
            run("systemctl", own("systemctl", words), SERVICES, None).await
        }
    };
    match done {
        Ok(()) => Outcome::Succeeded,
        Err(problem) => failed(&problem),
    }
}

fn failed(problem: &Problem) -> Outcome {
    tracing::warn!(problem = problem.document().detail, code = %problem.code(), "automatic updates failed");
    Outcome::Failed(problem.code())
}

fn ids(updates: &[UpdateIdentity]) -> Vec<UpdateId> {
    updates.iter().map(|update| update.update_id).collect()
}

fn of<'a>(updates: &[UpdateIdentity], situation: &'a Situation) -> Vec<&'a Update> {
    let wanted: BTreeSet<&UpdateIdentity> = updates.iter().collect();
    let all = situation.pending.iter();
    all.filter(|update| wanted.contains(&update.identity)).collect()
}

/// Ends what an earlier agent began; none where it was not begun after all.
pub(crate) async fn take_up(
    agent: &Arc<Agent>,
    settings: &AutomaticSettings,
    acting: &Acting,
) -> Option<Outcome> {
    let id = acting.job;
    let found = agent
        .aside(Caller::itself(), move |agent| agent.jobs.get(id))
        .await;
    let entry = found.unwrap_or_else(|problem| {
        failed(&problem);
        None
    })?;
    let done = end_of(&entry).await;
    Some(match (&acting.act, done) {
        (Act::Install { updates, .. }, installed) => after_install(agent, settings, updates, installed).await,
        (_, Ok(())) => Outcome::Succeeded,
        (_, Err(problem)) => failed(&problem),
    })
}

/// A job of the schedule's own, to its end. A job that did not wholly succeed is an error.
async fn job(
    agent: &Arc<Agent>,
    id: Uuid,
    operation: Operation,
    updates: Vec<UpdateId>,
) -> Result<(), Problem> {
    let order = Order::of_schedule(operation, updates);
    let entry = agent
        .aside(Caller::itself(), move |agent| agent.jobs.begin(id, order))
        .await?;
    if let Stage::Refused(problem) = entry.begun().await {
        let forget = move |agent: &Agent| {
            agent.jobs.forget(&entry);
            Ok(())
        };
        agent.aside(Caller::itself(), forget).await?;
        return Err(problem);
    }
    end_of(&entry).await
}

async fn end_of(entry: &Entry) -> Result<(), Problem> {
    let (id, done) = (entry.id(), entry.ended().await?);
    match done.outcome {
        Some(outcome) if outcome.result_code == OperationResultCode::Succeeded => Ok(()),
        Some(outcome) => {
            let what = format!("job {id} ended with {}", outcome.result_code);
            Err(Problem::new(outcome.hresult, what))
        }
        None => Err(Problem::new(
            HResult::WU_E_UNEXPECTED,
            format!("job {id} did not end"),
        )),
    }
}

/// Fetches what is not here yet. What could be fetched is installed all the same; the rest says so itself.
async fn fetch(agent: &Arc<Agent>, updates: &[UpdateIdentity], situation: &Situation) {
    let missing = of(updates, situation)
        .into_iter()
        .filter(|update| !update.is_downloaded);
    let missing: Vec<UpdateId> = missing.map(Update::id).collect();
    if !missing.is_empty()
        && let Err(problem) = job(agent, Uuid::new_v4(), Operation::Download, missing).await
    {
        failed(&problem);
    }
}

/// What comes of an installation that ended so: a machine that is not well gets its old versions back.
async fn after_install(
    agent: &Arc<Agent>,
    settings: &AutomaticSettings,
    updates: &[UpdateIdentity],
    installed: Result<(), Problem>,
) -> Outcome {
    if let Err(problem) = health(agent, settings).await {
        tracing::error!(
            problem = problem.document().detail,
            "the machine is not well after the installation, which is taken back"
        );
        return match job(agent, Uuid::new_v4(), Operation::Uninstall, ids(updates)).await {
            Ok(()) => Outcome::Undone(problem.code()),
            Err(undo) => failed(&undo),
        };
    }
    match installed {
        Ok(()) => Outcome::Succeeded,
        Err(problem) => failed(&problem),
    }
}

/// Asks the policy's health command whether the machine is well.
async fn health(agent: &Agent, settings: &AutomaticSettings) -> Result<(), Problem> {
    let Some((program, words)) = settings.health_command.split_first() else {
        return Ok(());
    };
    let limit = Duration::from_secs(settings.health_limit_seconds.into());
    let command = detached::outside(agent.folders().root(), program, words, limit);
    run(program, command, limit, None).await
}

/// Tells the policy's command of updates, as JSON on its input. The motd tells of them anyway.
async fn tell(agent: &Agent, settings: &AutomaticSettings, updates: &[&Update]) -> Result<(), Problem> {
    let Some((program, words)) = settings.tell_command.split_first() else {
        return Ok(());
    };
    let told: Vec<_> = updates
        .iter()
        .map(|update| {
            let categories: Vec<&str> = update.categories.iter().map(|category| &*category.name).collect();
            serde_json::json!({ "id": update.id(), "title": update.title, "categories": categories, "cve_ids": update.cve_ids })
        })
        .collect();
    let text = serde_json::json!({ "updates": told }).to_string();
    let command = detached::outside(agent.folders().root(), program, words, TELLING);
    run(program, command, TELLING, Some(text)).await
}

/// Orders a restart through systemd's logind, which tells whoever is logged in, and keeps new logins out shortly before.
async fn restart(
    agent: &Agent,
    at: Timestamp,
    notice_minutes: u16,
    situation: &Situation,
) -> Result<(), Problem> {
    if agent.folders().root() != std::path::Path::new("/") {
        let what = "a tree that does not run is not restarted";
        return Err(Problem::new(HResult::WU_E_INVALID_OPERATION, what));
    }
    let seconds = at.duration_since(Timestamp::now()).as_secs();
    let minutes = u64::try_from(seconds)
        .unwrap_or_default()
        .div_ceil(60)
        .max(notice_minutes.into());
    let packages = situation.restart_pending.clone().unwrap_or_default().join(", ");
    let message = match &*packages {
        "" => "wua restarts this machine: updates need it.".to_owned(),
        packages => format!("wua restarts this machine: updates need it ({packages})."),
    };
    let when = format!("+{minutes}");
    run(
        "shutdown",
        own("shutdown", ["-r", &*when, &*message]),
        TELLING,
        None,
    )
    .await
}

/// A program of the system's as the agent's own child, in an environment that is made, not inherited.
fn own<'a>(program: &str, words: impl IntoIterator<Item = &'a str>) -> process::Command {
    let mut command = process::Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .args(words);
    command
}

/// Runs what starts `program`. Anything but success is an error; what it says on its standard error goes to the agent's log.
async fn run(
    program: &str,
    command: process::Command,
    limit: Duration,
    input: Option<String>,
) -> Result<(), Problem> {
    let trouble = |what: String| Problem::new(HResult::WU_E_UNEXPECTED, format!("`{program}` {what}"));
    let mut child = Command::from(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| trouble(format!("cannot be started: {error}")))?;
    let pipe = child.stdin.take();
    let work = async {
        if let (Some(mut pipe), Some(input)) = (pipe, input) {
            // A program that does not want to know is none that fails.
            let _ = pipe.write_all(input.as_bytes()).await;
        }
        child.wait().await
    };
    match tokio::time::timeout(limit, work).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(trouble(format!("ended with {status}"))),
        Ok(Err(error)) => Err(trouble(error.to_string())),
        Err(_) => Err(trouble(format!("took longer than {} seconds", limit.as_secs()))),
    }
}
