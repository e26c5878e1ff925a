//! Why something was not done, as a problem document (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use uuid::Uuid;
use wua_engine::failure::with_causes;
use wua_engine::service_manager::ServiceError;
use wua_engine::session::HistoryError;
use wua_engine::state::StateError;
use wua_engine::store::StoreError;
use wua_engine::{Failure, StartError};
use wua_types::HResult;
use wua_types::api::{Access, ProblemDocument};
use wua_types::quote::without_quote;

/// The media type of problem documents.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// A problem: a sentence, a code, and better next steps than the code's own, where they are known.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: HResult,
    detail: String,
    next_step: Option<String>,
    job: Option<Uuid>,
}

impl Problem {
    pub(crate) fn new(code: HResult, detail: impl Into<String>) -> Self {
        Self {
            status: status_of(code),
            code,
            detail: detail.into(),
            next_step: None,
            job: None,
        }
    }

    /// Whatever the code says, answered with `status`.
    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn next(mut self, step: impl Into<String>) -> Self {
        self.next_step = Some(step.into());
        self
    }

    /// Names the job that stands in the way.
    pub(crate) fn of_job(mut self, job: Option<Uuid>) -> Self {
        self.job = job;
        self
    }

    /// The same as a caller with such rights may read it: what programs printed is for the machine's owner alone.
    pub(crate) fn for_access(mut self, access: Access) -> Self {
        if access < Access::Owner {
            self.detail = without_quote(&self.detail).to_owned();
        }
        self
    }

    pub(crate) fn code(&self) -> HResult {
        self.code
    }

    pub(crate) fn document(&self) -> ProblemDocument {
        ProblemDocument {
            kind: format!("urn:wua:{}", self.code),
            title: self.code.meaning().unwrap_or("unknown result code").into(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            hresult: self.code,
            next_step: self
                .next_step
                .clone()
                .or_else(|| self.code.next_step().map(Into::into)),
            job: self.job,
        }
    }
}

fn status_of(code: HResult) -> StatusCode {
    match code {
        HResult::E_ACCESSDENIED => StatusCode::FORBIDDEN,
        HResult::E_INVALIDARG
        | HResult::WU_E_INVALID_CRITERIA
        | HResult::WU_E_INVALIDINDEX
        | HResult::WU_E_NO_UPDATE => StatusCode::BAD_REQUEST,
        HResult::WU_E_UNKNOWN_ID | HResult::WU_E_ITEMNOTFOUND | HResult::WU_E_DS_UNKNOWNSERVICE => {
            StatusCode::NOT_FOUND
        }
        HResult::WU_E_INSTALL_NOT_ALLOWED
        | HResult::WU_E_UNINSTALL_NOT_ALLOWED
        | HResult::WU_E_OPERATIONINPROGRESS
        | HResult::WU_E_INVALID_OPERATION
        | HResult::WU_E_EULAS_DECLINED
        | HResult::WU_E_EXCLUSIVE_INSTALL_CONFLICT
        | HResult::WU_E_LOW_BATTERY
        | HResult::ERROR_SHUTDOWN_IN_PROGRESS => StatusCode::CONFLICT,
        HResult::WU_E_TIME_OUT => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let text = serde_json::to_vec(&self.document()).expect("plain values serialise");
        let kind = HeaderValue::from_static(MEDIA_TYPE);
        (self.status, [(header::CONTENT_TYPE, kind)], text).into_response()
    }
}

impl From<ProblemDocument> for Problem {
    fn from(document: ProblemDocument) -> Self {
        Self {
            status: StatusCode::from_u16(document.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            code: document.hresult,
            detail: document.detail,
            next_step: document.next_step,
            job: document.job,
        }
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
coded!(StateError, StoreError, HistoryError, ServiceError);

impl From<StartError> for Problem {
    fn from(error: StartError) -> Self {
        let job = match &error {
            StartError::Busy { job, .. } => *job,
            _ => None,
        };
        Self::new(error.code(), with_causes(&error)).of_job(job)
    }
}
