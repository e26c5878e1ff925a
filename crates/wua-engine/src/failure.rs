//! The error that crosses the border between the engine and what it drives.
//!
//! Sources and handlers have errors of their own kinds; the engine needs a sentence, a code and the cause of each. The next
//! step belongs to the code ([`HResult::next_step`]).

use std::error::Error;
use std::fmt;

use wua_types::HResult;

/// Why an operation could not take place, or an update could not be changed.
#[derive(Debug)]
pub struct Failure {
    code: HResult,
    message: String,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure without a deeper cause. `message` says what was attempted and on what.
    pub fn new(code: HResult, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            cause: None,
        }
    }

    /// A failure with the error that caused it.
    pub fn because(
        code: HResult,
        message: impl Into<String>,
        cause: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            code,
            message: message.into(),
            cause: Some(cause.into()),
        }
    }

    /// The result code.
    pub fn code(&self) -> HResult {
        self.code
    }

    /// The sentence and its causes in one line.
    pub fn sentence(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

/// An error and its causes in one line; what an error says of its cause already is not said twice.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause
            .as_ref()
            .map(|cause| &**cause as &(dyn Error + 'static))
    }
}
