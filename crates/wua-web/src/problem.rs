//! Why this server itself did not do something, as the agent says such things: a problem document (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use wua_types::HResult;
use wua_types::api::ProblemDocument;

/// The media type of problem documents.
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// A status, a code, a sentence, and a better next step than the code's own, where there is one.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: HResult,
    detail: String,
    next_step: Option<&'static str>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: HResult, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            next_step: None,
        }
    }

    pub(crate) fn next(mut self, step: &'static str) -> Self {
        self.next_step = Some(step);
        self
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    pub(crate) fn no_such_page() -> Self {
        let what = "there is no such page";
        Self::new(StatusCode::NOT_FOUND, HResult::WU_E_ITEMNOTFOUND, what)
    }

    pub(crate) fn method_not_allowed() -> Self {
        let what = "that method is not used here";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, HResult::E_INVALIDARG, what)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = ProblemDocument {
            kind: format!("urn:wua:{}", self.code),
            title: self.code.meaning().unwrap_or("unknown result code").into(),
            status: self.status.as_u16(),
            detail: self.detail,
            hresult: self.code,
            next_step: self.next_step.or(self.code.next_step()).map(Into::into),
            job: None,
        };
        let text = serde_json::to_vec(&document).expect("plain values serialise");
        (self.status, [(header::CONTENT_TYPE, MEDIA_TYPE)], text).into_response()
    }
}
