//! Taking requests apart. What does not fit is answered by a problem document, as everything else.

use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use uuid::Uuid;
use wua_types::HResult;

use crate::problem::Problem;

/// How long a client may take to send a document.
const SENDING: Duration = Duration::from_secs(30);

fn not_understood(status: StatusCode, why: impl ToString) -> Problem {
    Problem::new(
        HResult::E_INVALIDARG,
        format!("the request is not understood: {}", why.to_string()),
    )
    .status(status)
    .next("`GET /openapi.json` describes every request.")
}

/// The JSON document that a request carries.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Sync + Send, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let reading = axum::Json::<Map<String, Value>>::from_request(request, state);
        let Ok(read) = tokio::time::timeout(SENDING, reading).await else {
            let status = StatusCode::REQUEST_TIMEOUT;
            return Err(not_understood(status, "its document did not come in time"));
        };
        match read {
            // By way of a map, since serde takes the values of a struct without their names, too.
            Ok(axum::Json(document)) => serde_json::from_value(document.into())
                .map(Self)
                .map_err(|error| not_understood(StatusCode::BAD_REQUEST, error)),
            Err(rejection) => {
                let status = match rejection.status() {
                    // One answer for a document that is none and for one that says nothing of ours.
                    StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
                    status => status,
                };
                Err(not_understood(status, rejection.body_text()))
            }
        }
    }
}

/// The id in a request's path. One that is no id names nothing.
pub(crate) struct Id(pub(crate) Uuid);

impl<S: Sync + Send> FromRequestParts<S> for Id {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|error| not_understood(StatusCode::BAD_REQUEST, error.body_text()))?;
        text.parse().map(Self).map_err(|_| {
            Problem::new(HResult::E_INVALIDARG, "the last part of the path is no id")
                .status(StatusCode::BAD_REQUEST)
        })
    }
}

/// The parameters after the question mark.
pub(crate) struct Params<T>(pub(crate) T);

impl<S: Sync + Send, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(error) => Err(not_understood(StatusCode::BAD_REQUEST, error.body_text())),
        }
    }
}
