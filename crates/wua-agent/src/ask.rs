//! Questions that take memory or time, answered by a short-lived child, so that an idle agent stays small: `wua agent ask` reads
//! one question from its input and writes the answer to its output, both JSON.

use std::io::{self, Read, Write};
use std::process::Stdio;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wua_engine::handler::Finding;
use wua_engine::{Failure, UpdateSession};
use wua_types::api::{KnownResult, PlanDocument, PlanRequest, ProblemDocument};
use wua_types::{HResult, OperationResultCode, SearchResult, Update, UpdateId, UpdateOperation};

use crate::caller::Caller;
use crate::machine::Agent;
use crate::problem::Problem;

/// All updates of a machine: installed or not, hidden or not.
pub(crate) const EVERYTHING: &str = "IsInstalled=0 or IsInstalled=1";

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(300);

/// The most that an answer may say, in bytes.
const LONGEST: u64 = 256 << 20;

/// What can be asked.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub(crate) enum Question {
    /// A search; never one that refreshes.
    Search {
        criteria: String,
    },
    Plan {
        request: PlanRequest,
    },
    Doctor,
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Answer(serde_json::Value),
    Problem(ProblemDocument),
}

/// Answers one question, as the child.
///
/// # Errors
/// The question is none, or the answer cannot be written.
pub fn answer(session: &UpdateSession, input: impl Read, output: impl Write) -> io::Result<()> {
    let question: Question = serde_json::from_reader(input)?;
    let found = match question {
        Question::Search { criteria } => search(session, &criteria).and_then(|found| value(&found)),
        Question::Plan { request } => plan(session, &request).and_then(|plan| value(&plan)),
        Question::Doctor => doctor(session)
            .map_err(Problem::from)
            .and_then(|found| value(&found)),
    };
    let answer = match found {
        Ok(found) => Answer::Answer(found),
        Err(problem) => Answer::Problem(problem.document()),
    };
    serde_json::to_writer(output, &answer)?;
    Ok(())
}

fn value(found: &impl serde::Serialize) -> Result<serde_json::Value, Problem> {
    serde_json::to_value(found).map_err(|error| Problem::new(HResult::WU_E_UNEXPECTED, error.to_string()))
}

/// Searches; a failed search is a problem.
pub(crate) fn search(session: &UpdateSession, criteria: &str) -> Result<SearchResult, Problem> {
    let result = session.create_update_searcher().search(criteria);
    if result.result_code == OperationResultCode::Failed {
        let sentence = result
            .warnings
            .last()
            .map_or("the search failed", |warning| &*warning.message);
        return Err(Problem::new(result.hresult, sentence));
    }
    Ok(result)
}

/// The updates with these ids, in this order.
///
/// # Errors
/// `WU_E_ITEMNOTFOUND` names the first that is not there.
pub(crate) fn find(
    session: &UpdateSession,
    ids: &[UpdateId],
) -> Result<(Vec<Update>, SearchResult), Problem> {
    let result = search(session, EVERYTHING)?;
    let found = |id: &UpdateId| {
        result
            .updates
            .iter()
            .find(|update| update.id() == *id)
            .cloned()
            .ok_or_else(|| {
                Problem::new(
                    HResult::WU_E_ITEMNOTFOUND,
                    format!("this machine has no update {id} now"),
                )
                .next("Search again: the archives may have a newer version.")
            })
    };
    Ok((ids.iter().map(found).collect::<Result<_, _>>()?, result))
}

fn plan(session: &UpdateSession, request: &PlanRequest) -> Result<PlanDocument, Problem> {
    let (updates, result) = find(session, &request.updates)?;
    let mut installer = session.create_update_installer();
    installer.is_forced = request.is_forced;
    installer.force_quiet = request.force_quiet;
    let planned = match request.operation {
        UpdateOperation::Installation => installer.plan_install(&updates)?,
        UpdateOperation::Uninstallation => installer.plan_uninstall(&updates)?,
    };
    let known = planned.known.into_iter();
    Ok(PlanDocument {
        hash: planned.plan.hash().to_string(),
        plan: planned.plan,
        known: known
            .map(|(index, result)| KnownResult { index, result })
            .collect(),
        kept_back: result.kept_back,
        can_be_authorized: false,
    })
}

fn doctor(session: &UpdateSession) -> Result<Vec<Finding>, Failure> {
    let machine = session.machine();
    machine.handler.diagnose(&machine.store())
}

impl Agent {
    /// Has a caller's question answered by a child. Waits for its turn: few are answered at once.
    ///
    /// # Errors
    /// The answer is a problem, there are too many questions already, or the child failed.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        caller: Caller,
        question: &Question,
    ) -> Result<T, Problem> {
        let _turn = self.turn(caller).await?;
        let asking = self.ask_child(question);
        let answer = tokio::time::timeout(LIMIT, asking)
            .await
            .map_err(|_| {
                let what = format!("the answer took longer than {} seconds", LIMIT.as_secs());
                Problem::new(HResult::WU_E_TIME_OUT, what)
            })?
            .map_err(|error| {
                Problem::new(
                    HResult::WU_E_UNEXPECTED,
                    format!("the search's process failed: {error}"),
                )
            })?;
        match answer {
            Answer::Answer(value) => serde_json::from_value(value)
                .map_err(|error| Problem::new(HResult::WU_E_UNEXPECTED, error.to_string())),
            Answer::Problem(document) => Err(document.into()),
        }
    }

    async fn ask_child(&self, question: &Question) -> io::Result<Answer> {
        let mut child = self
            .own_program()
            .args(["agent", "ask"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("it has no pipes"));
        };
        input.write_all(&serde_json::to_vec(question)?).await?;
        drop(input);
        let mut text = Vec::new();
        output.take(LONGEST).read_to_end(&mut text).await?;
        let status = child.wait().await?;
        if text.is_empty() {
            return Err(io::Error::other(format!("it ended with {status}")));
        }
        Ok(serde_json::from_slice(&text)?)
    }
}
