//! Stages: what a package manager does one after the other, as far as it is worth knowing how long it takes.

/// What kind of work a stage is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StageKind {
    /// Making the plan.
    Plan,
    /// From the begin of a batch to the first package: locks, the package manager's own start.
    Prepare,
    /// A package's files are put in place.
    Unpack,
    /// A package is configured.
    Configure,
    /// A package is removed.
    Remove,
    /// The triggers of a package run.
    Triggers,
    /// From the last package to the end of a batch: reading results back.
    Finish,
    /// What an interruption left is repaired.
    Repair,
    /// Others hold what is needed: locks, runs of an earlier keeper. Says nothing about the machine.
    Wait,
    /// Bytes are fetched.
    Download,
}

impl StageKind {
    const ALL: [Self; 10] = [
        Self::Plan,
        Self::Prepare,
        Self::Unpack,
        Self::Configure,
        Self::Remove,
        Self::Triggers,
        Self::Finish,
        Self::Repair,
        Self::Wait,
        Self::Download,
    ];

    /// The word that stands for it in the state database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Prepare => "prepare",
            Self::Unpack => "unpack",
            Self::Configure => "configure",
            Self::Remove => "remove",
            Self::Triggers => "triggers",
            Self::Finish => "finish",
            Self::Repair => "repair",
            Self::Wait => "wait",
            Self::Download => "download",
        }
    }

    /// Whether it is work on a package.
    pub const fn is_of_package(self) -> bool {
        matches!(
            self,
            Self::Unpack | Self::Configure | Self::Remove | Self::Triggers
        )
    }

    /// The kind that a word stands for.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// One stage.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stage {
    /// What is done.
    pub kind: StageKind,
    /// To which package; empty where it concerns none.
    pub subject: String,
}

impl Stage {
    /// A stage of one package.
    pub fn of(kind: StageKind, subject: impl Into<String>) -> Self {
        Self {
            kind,
            subject: subject.into(),
        }
    }
}

/// A stage that an update is going to need, with the seconds that a machine of which nothing is known is supposed to take.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedStage {
    /// The stage.
    pub stage: Stage,
    /// The prior.
    pub seconds: f64,
}
