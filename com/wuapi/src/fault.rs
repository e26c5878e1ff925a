//! Why a member failed: a result code, and a sentence where there is more to say than the code says.

use windows::Win32::System::Com::{IErrorInfo, SetErrorInfo};
use windows::Win32::System::Ole::{CreateErrorInfo, ICreateErrorInfo};
use windows_core::{HRESULT, HSTRING, Interface, w};
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

/// Has COM keep a failure's words for whoever called, as `GetErrorInfo` gives them; gives its code. A vtable method can only
/// answer a number. Late-bound clients get the words by the same way: OLE's `Invoke` takes them.
pub fn raise(fault: &Fault) -> HRESULT {
    // Without the words, for want of memory, there is still the code.
    let _ = tell(fault);
    HRESULT(fault.code.as_i32())
}

fn tell(fault: &Fault) -> windows_core::Result<()> {
    // SAFETY: plain calls; the texts are terminated and live for them.
    unsafe {
        let info: ICreateErrorInfo = CreateErrorInfo()?;
        info.SetSource(w!("Microsoft.Update"))?;
        info.SetDescription(&HSTRING::from(fault.description()))?;
        SetErrorInfo(0, &info.cast::<IErrorInfo>()?)
    }
}
