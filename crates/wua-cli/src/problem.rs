//! Why a command could not do what it was asked: a sentence, a code, the cause, the next step, and the exit code.

use wua_engine::failure::with_causes;
use wua_engine::session::HistoryError;
use wua_engine::state::StateError;
use wua_engine::store::StoreError;
use wua_engine::{Failure, StartError};
use wua_types::HResult;

use crate::exit_code::Exit;

/// Why a command ended early.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) sentence: String,
    pub(crate) code: HResult,
    pub(crate) exit: Exit,
    /// Better than the code's own next step, where the command knows one.
    pub(crate) hint: Option<String>,
    /// Lines that show the place, such as a caret under criteria.
    pub(crate) picture: Option<String>,
}

impl Problem {
    pub(crate) fn new(code: HResult, sentence: impl Into<String>) -> Self {
        Self {
            sentence: sentence.into(),
            code,
            exit: Exit::of_reason(code),
            hint: None,
            picture: None,
        }
    }

    /// The output could not be written, so what the command came to is not known to the caller.
    pub(crate) fn unwritten(error: &std::io::Error) -> Self {
        Self::new(
            wua_engine::store::io_code(error),
            format!("the output could not be written: {error}"),
        )
        .hint("What was begun was not stopped by this: `wua history` and `wua jobs` tell what was done.")
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What to do now.
    pub(crate) fn next_step(&self) -> Option<&str> {
        self.hint.as_deref().or(self.code.next_step())
    }

    /// The lines for the error output.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("wua: {}", self.sentence)];
        lines.extend(
            self.picture
                .iter()
                .flat_map(|picture| picture.lines())
                .map(|line| format!("  {line}")),
        );
        let name = self.code.name().unwrap_or("unknown code");
        match self.code.meaning() {
            Some(meaning) => lines.push(format!("  code: {} {name}: {meaning}", self.code)),
            None => lines.push(format!("  code: {}", self.code)),
        }
        if let Some(next) = self.next_step() {
            lines.push(format!("  next: {next}"));
        }
        lines
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self::new(failure.code(), failure.sentence())
    }
}

macro_rules! coded {
    ($($error:ty),+) => {$(
        impl From<$error> for Problem {
            fn from(error: $error) -> Self {
                Self::new(error.code(), with_causes(&error))
            }
        }
    )+};
}
coded!(
    StateError,
    StoreError,
    HistoryError,
    wua_engine::policy::PolicyError,
    wua_engine::service_manager::ServiceError
);

impl From<StartError> for Problem {
    fn from(error: StartError) -> Self {
        let problem = Self::new(error.code(), with_causes(&error));
        match error {
            StartError::Busy { job: Some(job), .. } => problem.hint(format!(
                "Wait for it with `wua attach {job}`, then repeat the command."
            )),
            _ => problem,
        }
    }
}

impl From<wua_client::ClientError> for Problem {
    fn from(error: wua_client::ClientError) -> Self {
        let problem = Self::new(error.code(), error.to_string());
        match (&error, error.next_step()) {
            (wua_client::ClientError::Problem(document), _) if document.job.is_some() => {
                let job = document.job.unwrap_or_default();
                problem.hint(format!(
                    "Wait for it with `wua attach {job}`, then repeat the command."
                ))
            }
            (_, Some(next)) => problem.hint(next),
            (_, None) => problem,
        }
    }
}

impl From<wua_web::WebError> for Problem {
    fn from(error: wua_web::WebError) -> Self {
        Self::new(error.code(), with_causes(&error))
            .hint("Choose another port with `--port`, or leave it out.")
    }
}

impl From<wua_web::BridgeError> for Problem {
    fn from(error: wua_web::BridgeError) -> Self {
        let problem = Self::new(error.code(), with_causes(&error));
        match error.next_step() {
            Some(next) => problem.hint(next),
            None => problem,
        }
    }
}

impl From<crate::wine::WineError> for Problem {
    fn from(error: crate::wine::WineError) -> Self {
        Self::new(error.code(), with_causes(&error)).hint(error.next_step())
    }
}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        Self::new(wua_engine::store::io_code(&error), error.to_string())
    }
}

impl From<wua_sandbox::SandboxError> for Problem {
    fn from(error: wua_sandbox::SandboxError) -> Self {
        use wua_sandbox::SandboxError::{Foreign, Occupied, UnfitPath};
        let code = match &error {
            Foreign { .. } => HResult::E_ACCESSDENIED,
            Occupied { .. } | UnfitPath { .. } => HResult::E_INVALIDARG,
            _ => HResult::E_FAIL,
        };
        Self::new(code, with_causes(&error))
            .hint("See what the sentence names; a practice machine needs apt, dpkg and gpgv.")
    }
}
