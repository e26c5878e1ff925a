//! The loop around the schedule: looks at the machine, has [`decide`] say what to do, does it, remembers how it went, and waits.

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::{Timestamp, Zoned};
use uuid::Uuid;
use wua_types::{SearchResult, Update};

use crate::acts;
use crate::ask::Question;
use crate::caller::Caller;
use crate::changes::Changes;
use crate::machine::Agent;
use crate::metrics::Numbers;
use crate::motd;
use crate::problem::Problem;
use crate::schedule::{Act, Acting, Decision, Memory, Outcome, decide};
use crate::{settings, surroundings};

/// How long the loop waits after something that it needs could not be had, in seconds.
const AFTER_TROUBLE: i64 = 300;

/// What the schedule came to last, for whoever asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    pub(crate) decision: Option<Decision>,
    pub(crate) memory: Memory,
    pub(crate) stale_services: Vec<String>,
}

/// Runs the schedule until the agent ends.
pub(crate) async fn run(agent: Arc<Agent>) {
    let path = agent.folders().agent_memory();
    let mut memory = match read(&path) {
        Ok(memory) => memory,
        Err(error) => {
            tracing::warn!(%error, "what the schedule remembered cannot be read; it begins anew");
            Memory::default()
        }
    };
    let changes = Changes::watch(agent.folders().root());
    let mut pending: Option<Vec<Update>> = None;
    loop {
        let next = match turn(&agent, &mut memory, &mut pending).await {
            Ok(next) => next,
            Err(problem) => {
                tracing::error!(
                    problem = problem.document().detail,
                    "the schedule cannot go on; it tries again in five minutes"
                );
                Some(Timestamp::now() + jiff::SignedDuration::from_secs(AFTER_TROUBLE))
            }
        };
        if let Err(error) = write(&path, &memory) {
            tracing::error!(%error, "what the schedule remembers is not on the disk");
        }
        tokio::select! {
            woken = crate::alarm::wait(next) => {
                if let Err(error) = woken {
                    tracing::error!(%error, "the schedule has no alarm");
                    // Without an alarm there is nothing to wait for but time itself.
                    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
                }
            }
            // What was found before may be so no more.
            () = agent.news.notified() => pending = None,
            () = changes.next() => pending = None,
        }
    }
}

/// One turn: all that is to be done now; and when to look again at the latest.
async fn turn(
    agent: &Arc<Agent>,
    memory: &mut Memory,
    pending: &mut Option<Vec<Update>>,
) -> Result<Option<Timestamp>, Problem> {
    loop {
        let merged = agent
            .aside(Caller::itself(), |agent| Ok(settings::of(agent.machine())?))
            .await?;
        let automatic = merged.settings();
        let offered = match pending.take() {
            Some(offered) => offered,
            None => search(agent).await?,
        };
        if let Some(acting) = memory.acting.take() {
            // An agent before this one began it.
            if let Some(outcome) = acts::take_up(agent, automatic, &acting).await {
                record(agent, memory, &acting, outcome, &offered)?;
            }
            *pending = None;
            continue;
        }
        let situation = surroundings::look(agent, offered).await?;
        let now = Zoned::now();
        memory.observe(&situation, &now);
        let decision = decide(automatic, memory, &situation, &now);
        let next = decision.next.as_ref().map(Zoned::timestamp);
        motd::publish(agent.folders(), &situation, &decision);
        agent.tell_standing(Standing {
            decision: Some(decision.clone()),
            memory: memory.clone(),
            stale_services: situation.stale_services.clone(),
        });
        if decision.act == Act::Nothing {
            *pending = Some(situation.pending);
            return Ok(next);
        }
        tracing::info!(act = %decision.act, why = decision.why, "automatic updates act");
        let acting = Acting {
            act: decision.act,
            job: Uuid::new_v4(),
        };
        memory.acting = Some(acting.clone());
        save(agent, memory)?;
        let outcome = acts::carry_out(agent, automatic, &acting, &situation).await;
        let after = search(agent).await.unwrap_or(situation.pending);
        record(agent, memory, &acting, outcome, &after)?;
        *pending = Some(after);
    }
}

/// Remembers how something ended.
fn record(
    agent: &Agent,
    memory: &mut Memory,
    acting: &Acting,
    outcome: Outcome,
    pending: &[Update],
) -> Result<(), Problem> {
    tracing::info!(act = %acting.act, ?outcome, "automatic updates have acted");
    memory.acting = None;
    memory.record(&acting.act, outcome, pending, &Zoned::now());
    save(agent, memory)
}

fn save(agent: &Agent, memory: &Memory) -> Result<(), Problem> {
    write(&agent.folders().agent_memory(), memory)
        .map_err(|error| Problem::new(wua_engine::store::io_code(&error), error.to_string()))
}

/// What the machine can have now; and what follows from it for the machine's numbers.
async fn search(agent: &Arc<Agent>) -> Result<Vec<Update>, Problem> {
    let question = Question::Search {
        criteria: String::new(),
    };
    let found: SearchResult = agent.ask(Caller::itself(), &question).await?;
    let updates = found.updates.clone();
    agent
        .aside(Caller::itself(), |agent| {
            let published = Numbers::read(agent, found)?.publish(agent.folders());
            published
                .unwrap_or_else(|error| tracing::warn!(%error, "the machine's numbers are not published"));
            Ok(())
        })
        .await?;
    Ok(updates)
}

fn read(path: &PathBuf) -> io::Result<Memory> {
    match fs::read(path) {
        Ok(text) => Ok(serde_json::from_slice(&text)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Memory::default()),
        Err(error) => Err(error),
    }
}

fn write(path: &PathBuf, memory: &Memory) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&serde_json::to_vec(memory)?)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
