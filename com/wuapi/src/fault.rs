//! Why a member failed: a result code, and a sentence where there is more to say than the code says.

use std::cell::RefCell;

use windows_core::HRESULT;
use wua_types::HResult;
use wua_types::enums::UnknownValue;

/// What a member answers.
pub type Answer<T> = Result<T, Fault>;

/// A failure on its way to the caller.
#[derive(Debug)]
pub struct Fault {
    /// What the caller gets.
    pub code: HResult,
    /// What happened, for people; none where the code says it all.
    pub text: Option<String>,
}

impl Fault {
    /// A failure with a sentence of its own.
    pub fn new(code: HResult, text: impl Into<String>) -> Self {
        Self {
            code,
            text: Some(text.into()),
        }
    }

    /// What late-bound clients show their users.
    pub fn description(&self) -> String {
        describe(self.code, self.text.as_deref())
    }
}

/// A code in words: the sentence at hand, or the code's meaning, with its name.
pub fn describe(code: HResult, text: Option<&str>) -> String {
    let says = text.or_else(|| code.meaning()).unwrap_or("The call failed");
    match code.name() {
        Some(name) => format!("{} ({name}, {code})", says.trim_end_matches('.')),
        None => format!("{} ({code})", says.trim_end_matches('.')),
    }
}

impl From<HResult> for Fault {
    fn from(code: HResult) -> Self {
        Self { code, text: None }
    }
}

impl From<UnknownValue> for Fault {
    fn from(error: UnknownValue) -> Self {
        Self::new(HResult::E_INVALIDARG, error.to_string())
    }
}

impl From<windows_core::Error> for Fault {
    fn from(error: windows_core::Error) -> Self {
        HResult::from_i32(error.code().0).into()
    }
}

impl From<wua_job::JobError> for Fault {
    fn from(error: wua_job::JobError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<wua_client::ClientError> for Fault {
    fn from(error: wua_client::ClientError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

thread_local! {
    /// The last failure on this thread. A vtable method can only answer a number; `Invoke`, which calls it, takes the words here.
    static LAST: RefCell<Option<Fault>> = const { RefCell::new(None) };
}

/// Keeps a failure's words for [`recall`]; gives its code.
pub fn remember(fault: Fault) -> HRESULT {
    let code = HRESULT(fault.code.as_i32());
    LAST.set(Some(fault));
    code
}

/// Takes the last failure of this thread.
pub fn recall() -> Option<Fault> {
    LAST.take()
}
