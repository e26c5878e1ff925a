//! Where wua keeps its files on a machine, all below the machine's root (design.md section 3).

use std::path::{Path, PathBuf};

use uuid::Uuid;

/// The places of wua's files on one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folders {
    root: PathBuf,
}

impl Folders {
    /// The places below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The machine's root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The administrator's policy.
    pub fn policy(&self) -> PathBuf {
        self.root.join("etc/wua/wua.toml")
    }

    /// The folder of everything that changes.
    pub fn state(&self) -> PathBuf {
        self.root.join("var/lib/wua")
    }

    /// The state database; its owner's alone.
    pub fn database(&self) -> PathBuf {
        self.state().join("wua.db")
    }

    /// The public part of the state, for everybody.
    pub fn public_state(&self) -> PathBuf {
        self.state().join("state.json")
    }

    /// What the agent's schedule remembers.
    pub fn agent_memory(&self) -> PathBuf {
        self.agent_jobs().join("schedule.json")
    }

    /// What whoever logs in is told.
    pub fn motd(&self) -> PathBuf {
        self.state().join("motd")
    }

    /// The machine in numbers, for node_exporter.
    pub fn metrics(&self) -> PathBuf {
        self.state().join("wua.prom")
    }

    /// The content store.
    pub fn store(&self) -> PathBuf {
        self.state().join("store")
    }

    /// The lock that whoever changes this machine through wua holds.
    pub fn lock(&self) -> PathBuf {
        self.state().join("lock")
    }

    /// The folder of all jobs.
    pub fn jobs(&self) -> PathBuf {
        self.state().join("jobs")
    }

    /// The folder of the jobs that were begun through the agent.
    pub fn agent_jobs(&self) -> PathBuf {
        self.state().join("agent")
    }

    /// The folder of what the agent's worker says of one job.
    pub fn agent_job(&self, job: Uuid) -> JobFolder {
        JobFolder {
            path: self.agent_jobs().join(job.to_string()),
        }
    }

    /// The folder of one job.
    pub fn job(&self, job: Uuid) -> JobFolder {
        JobFolder {
            path: self.jobs().join(job.to_string()),
        }
    }
}

/// The folder of one job and the files in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobFolder {
    path: PathBuf,
}

impl JobFolder {
    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is to be done, for the keeper alone.
    pub fn order(&self) -> PathBuf {
        self.path.join("order.json")
    }

    /// What the agent was asked to do, and by whom.
    pub fn request(&self) -> PathBuf {
        self.path.join("request.json")
    }

    /// Held by the agent's worker of the job as long as it lives.
    pub fn claim(&self) -> PathBuf {
        self.path.join("claim")
    }

    /// Says that the agent's worker is about to have a keeper begin.
    pub fn handing_over(&self) -> PathBuf {
        self.path.join("handing-over")
    }

    /// What the keeper is about to do and what came of it, for the next keeper.
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal.jsonl")
    }

    /// What happens, for the owner's followers.
    pub fn events(&self) -> PathBuf {
        self.path.join("events.jsonl")
    }

    /// What happens, without what programs printed, for followers who may not act on the machine.
    pub fn public_events(&self) -> PathBuf {
        self.path.join("public.jsonl")
    }

    /// Who keeps the job: a pid with its start time.
    pub fn keeper(&self) -> PathBuf {
        self.path.join("keeper.json")
    }

    /// Its presence asks the keeper to stop.
    pub fn abort(&self) -> PathBuf {
        self.path.join("abort")
    }

    /// Where the keeper fetches the machine's lock while somebody starts it.
    pub fn hand_over(&self) -> PathBuf {
        self.path.join("hand-over")
    }

    /// What the keeper says that fits nowhere else.
    pub fn log(&self) -> PathBuf {
        self.path.join("keeper.log")
    }
}
