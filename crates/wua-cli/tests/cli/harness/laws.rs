//! The laws of progress, held against every stream of event lines that a test sees (rules R9, R17, R20; design.md section 3).

use serde_json::Value;

use super::schema;

/// How far a stream of lines has to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// To the end of its jobs and the result document, of which this is the name in the schema.
    Whole(&'static str),
    /// To the end of its job; no document follows (a keeper's event file).
    Job,
    /// Anywhere: its teller was stopped.
    Part,
}

/// One job's lines while they are read.
struct Reading {
    job: String,
    operation: String,
    results: Vec<Option<i64>>,
    percent: i64,
    last_progress: Option<(usize, i64)>,
    completed: bool,
}

/// Checks the lines of one command: its jobs, one after the other, and its result.
pub(crate) fn check(lines: &[Value], extent: Extent) {
    let mut reading: Option<Reading> = None;
    let mut jobs = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let at = |what: &str| format!("line {}: {what}\n{line}\n{}", number + 1, picture(lines));
        if line["event"] == "result" && line.get("problem").is_some() {
            assert_eq!(number + 1, lines.len(), "{}", at("the problem is the last line"));
            schema::check("problem", line);
            return;
        }
        if line["event"] == "result" {
            let Extent::Whole(document) = extent else {
                panic!("{}", at("a result where none belongs"))
            };
            assert_eq!(number + 1, lines.len(), "{}", at("the result is the last line"));
            schema::check(document, line);
            if let Some(named) = line.get("jobs").filter(|_| document == "outcome") {
                assert_eq!(
                    *named,
                    Value::from(jobs.clone()),
                    "{}",
                    at("the jobs of the result are those that ran")
                );
            }
            continue;
        }
        schema::check(schema::event_of(line), line);
        if line["event"] == "started" {
            assert!(
                reading.as_ref().is_none_or(|reading| reading.completed),
                "{}",
                at("the job before ended")
            );
            let begun = Reading::begin(line);
            if begun.operation != "search" {
                jobs.push(begun.job.clone());
            }
            reading = Some(begun);
            continue;
        }
        let reading = reading
            .as_mut()
            .unwrap_or_else(|| panic!("{}", at("a job's first line is `started`")));
        if let Err(what) = reading.read(line) {
            panic!("{}", at(&what));
        }
    }
    if extent != Extent::Part {
        assert!(
            reading.is_none_or(|reading| reading.completed),
            "the last job never ended\n{}",
            picture(lines)
        );
    }
    if matches!(extent, Extent::Whole(_)) {
        let last = lines.last().map(|line| &line["event"]);
        assert_eq!(
            last,
            Some(&Value::from("result")),
            "the last line is the result\n{}",
            picture(lines)
        );
    }
}

impl Reading {
    fn begin(line: &Value) -> Self {
        let updates = line["updates"].as_array().expect("a list");
        for (index, update) in updates.iter().enumerate() {
            assert_eq!(update["index"], index, "updates are named in their order: {line}");
        }
        Self {
            job: line["job"].as_str().expect("an id").into(),
            operation: line["operation"].as_str().expect("a verb").into(),
            results: vec![None; updates.len()],
            percent: 0,
            last_progress: None,
            completed: false,
        }
    }

    fn read(&mut self, line: &Value) -> Result<(), String> {
        let law = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
        let number = |key: &str| line[key].as_i64().ok_or_else(|| format!("`{key}` is a number"));
        law(!self.completed, "nothing comes after `completed`")?;
        law(line["job"] == *self.job, "all lines of a job name it")?;
        let before = self.last_progress.take();
        match line["event"].as_str() {
            Some("progress") => {
                let index =
                    usize::try_from(number("current_update_index")?).map_err(|error| error.to_string())?;
                let (own, whole, code) = (
                    number("current_update_percent_complete")?,
                    number("percent_complete")?,
                    number("result_code")?,
                );
                // A repair has no updates, and so nothing that its percentages could count.
                let is_empty = self.results.is_empty();
                law(
                    index < self.results.len() || is_empty,
                    "the current update is one of the job's",
                )?;
                law(whole >= self.percent, "the whole never falls")?;
                self.percent = whole;
                law(own < 100 || code >= 2, "an update is at 100 only with its result")?;
                law(
                    own == 100 || code < 2 || code == 5,
                    "an update with its result is at 100, unless it was stopped",
                )?;
                let told = |place: usize| place == index && code >= 2;
                let ended = (0..self.results.len()).all(|place| self.results[place].is_some() || told(place));
                let stopped = self.results.contains(&Some(5)) || code == 5;
                law(
                    whole < 100 || ended,
                    "the whole is at 100 only when all updates have their results",
                )?;
                law(
                    whole == 100 || !ended || stopped || is_empty,
                    "the whole is at 100 when all updates have their results",
                )?;
                self.last_progress = Some((index, code));
            }
            Some("update_finished") => {
                let index = usize::try_from(number("index")?).map_err(|error| error.to_string())?;
                let code = number("result_code")?;
                law(
                    before == Some((index, code)),
                    "it comes right after the update's final progress",
                )?;
                let place = self
                    .results
                    .get_mut(index)
                    .ok_or("it is one of the job's updates")?;
                law(place.replace(code).is_none(), "each update gets one final result")?;
            }
            Some("warning") => self.last_progress = before,
            Some("completed") => {
                self.completed = true;
                law(
                    self.results.iter().all(Option::is_some),
                    "each update has its result before the end",
                )?;
            }
            other => return Err(format!("{other:?} is no event")),
        }
        Ok(())
    }
}

fn picture(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("  {line}\n")).collect()
}
