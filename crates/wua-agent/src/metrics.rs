//! The machine in numbers, in the text format of Prometheus: at the socket for reading, and as a file for node_exporter.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;

use wua_engine::jobs::{self, JobState};
use wua_engine::{Folders, SystemInformation};
use wua_types::{SearchResult, Update};

use crate::machine::Agent;
use crate::problem::Problem;

/// What the machine's numbers are taken from.
pub(crate) struct Numbers {
    pub(crate) found: SearchResult,
    pub(crate) system: SystemInformation,
    pub(crate) jobs: Vec<jobs::JobSummary>,
}

impl Numbers {
    /// Reads all but the search, which is given.
    pub(crate) fn read(agent: &Agent, found: SearchResult) -> Result<Self, Problem> {
        Ok(Self {
            found,
            system: SystemInformation::read(agent.machine())?,
            jobs: jobs::list(agent.folders())?,
        })
    }

    /// The numbers as text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let mut family = |name: &str, help: &str, samples: &[(String, f64)]| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
            for (labels, value) in samples {
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        };
        let mut updates: BTreeMap<(String, String), f64> = BTreeMap::new();
        for update in &self.found.updates {
            *updates.entry((category(update), severity(update))).or_default() += 1.0;
        }
        let updates: Vec<_> = updates
            .into_iter()
            .map(|((category, severity), count)| {
                let labels = format!("{{category=\"{}\",severity=\"{severity}\"}}", escaped(&category));
                (labels, count)
            })
            .collect();
        let plain = |value: f64| [(String::new(), value)];
        family(
            "wua_updates_available",
            "Updates that this machine can have.",
            &updates,
        );
        family(
            "wua_updates",
            "How many updates this machine can have in all.",
            &plain(self.found.updates.len() as f64),
        );
        family(
            "wua_updates_kept_back",
            "Newer packages that are not offered.",
            &plain(self.found.kept_back.len() as f64),
        );
        family(
            "wua_restart_required",
            "Whether a restart is needed.",
            &plain(f64::from(u8::from(self.system.restart_required.is_some()))),
        );
        family(
            "wua_job_running",
            "Whether a job changes the machine now.",
            &plain(f64::from(u8::from(self.system.busy.is_some()))),
        );
        family(
            "wua_jobs_interrupted",
            "Jobs that were interrupted and wait to be finished.",
            &plain(self.system.lost.len() as f64),
        );
        let (mut ended, mut seconds, mut success) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        // Newest first, so the first of each kind is the last one.
        for job in &self.jobs {
            let JobState::Completed {
                result_code,
                ended: end,
                ..
            } = &job.state
            else {
                continue;
            };
            let operation = job.operation.word();
            let labels = format!("{{operation=\"{operation}\",result=\"{result_code}\"}}");
            *ended.entry(labels).or_insert(0.0) += 1.0;
            let label = format!("{{operation=\"{operation}\"}}");
            let took = end.duration_since(job.begun).as_secs_f64();
            seconds.entry(label.clone()).or_insert(took);
            if result_code.is_success() {
                success.entry(label).or_insert(end.as_second() as f64);
            }
        }
        let listed = |samples: BTreeMap<String, f64>| samples.into_iter().collect::<Vec<_>>();
        family(
            "wua_jobs_remembered",
            "Jobs that ended and are remembered.",
            &listed(ended),
        );
        family(
            "wua_job_last_seconds",
            "How long the last job took.",
            &listed(seconds),
        );
        family(
            "wua_job_last_success_timestamp_seconds",
            "When a job last succeeded.",
            &listed(success),
        );
        text
    }

    /// Writes the numbers where node_exporter can be told to look.
    pub(crate) fn publish(&self, folders: &Folders) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(folders.state())?;
        file.write_all(self.text().as_bytes())?;
        file.as_file()
            .set_permissions(std::fs::Permissions::from_mode(0o644))?;
        file.persist(folders.metrics())?;
        Ok(())
    }
}

fn category(update: &Update) -> String {
    let first = update.categories.first();
    first.map_or_else(|| "none".into(), |category| category.name.clone())
}

fn severity(update: &Update) -> String {
    let known = update.msrc_severity;
    known.map_or_else(
        || "unknown".into(),
        |severity| format!("{severity:?}").to_lowercase(),
    )
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', " ")
}
