//! Passes requests on to the agent's sockets, and its answers back as they come, so that streams of events stay streams.
//!
//! The kernel decides what the user may: `control.sock` where this process can open it, else `read.sock`. Nothing of the
//! client's goes along but the method, the path, and the document.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::Response;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use wua_types::HResult;

use crate::problem::Problem;

/// The most bytes of a request's document; the agent's own limit.
const LONGEST_BODY: usize = 1 << 20;

/// How long a browser may take to send it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The methods that the API knows.
const METHODS: [Method; 4] = [Method::GET, Method::PUT, Method::POST, Method::PATCH];

/// The way to one agent.
#[derive(Debug)]
pub(crate) struct Relay {
    sockets: PathBuf,
    /// What stands before the agent's own paths here.
    prefix: &'static str,
}

impl Relay {
    pub(crate) fn new(sockets: &Path, prefix: &'static str) -> Self {
        Self {
            sockets: sockets.into(),
            prefix,
        }
    }

    /// Passes a request on: what lies under the prefix here lies at the agent's root.
    pub(crate) async fn pass(&self, request: Request) -> Result<Response, Problem> {
        if !METHODS.contains(request.method()) {
            return Err(Problem::method_not_allowed());
        }
        let request = self.translate(request).await?;
        let stream = self.connect().await.map_err(|error| {
            let what = format!("no agent answers in `{}`: {error}", self.sockets.display());
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, HResult::WU_E_SERVICE_STOP, what)
                .next("If it is not just being restarted, see `systemctl status wua-agent`.")
        })?;
        let gone = |error: hyper::Error| {
            let what = format!("the agent ended in the middle of an answer: {error}");
            Problem::new(StatusCode::BAD_GATEWAY, HResult::WU_E_SERVICE_STOP, what)
                .next("It may just be restarted: try again in a moment.")
        };
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(gone)?;
        // Ends with the answer, or with the browser's interest in it.
        tokio::spawn(connection);
        let answer = sender.send_request(request).await.map_err(gone)?;
        let mut response = Response::new(());
        *response.status_mut() = answer.status();
        if let Some(kind) = answer.headers().get(header::CONTENT_TYPE) {
            response.headers_mut().insert(header::CONTENT_TYPE, kind.clone());
        }
        Ok(response.map(|()| Body::new(answer.into_body())))
    }

    async fn connect(&self) -> io::Result<UnixStream> {
        match UnixStream::connect(self.sockets.join("control.sock")).await {
            Ok(stream) => Ok(stream),
            Err(_) => UnixStream::connect(self.sockets.join("read.sock")).await,
        }
    }

    async fn translate(&self, request: Request) -> Result<hyper::Request<Full<Bytes>>, Problem> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
        let target: Uri = path
            .strip_prefix(self.prefix)
            .and_then(|path| path.parse().ok())
            .ok_or_else(Problem::no_such_page)?;
        let body = tokio::time::timeout(PATIENCE, Limited::new(body, LONGEST_BODY).collect())
            .await
            .map_err(|_| {
                let what = "the request's document did not arrive in time";
                Problem::new(StatusCode::REQUEST_TIMEOUT, HResult::WU_E_TIME_OUT, what)
            })?
            .map_err(|error| {
                let status = if error.is::<LengthLimitError>() {
                    StatusCode::PAYLOAD_TOO_LARGE
                } else {
                    StatusCode::BAD_REQUEST
                };
                Problem::new(
                    status,
                    HResult::E_INVALIDARG,
                    format!("the request's document is not taken: {error}"),
                )
            })?
            .to_bytes();
        let mut passed = hyper::Request::new(Full::new(body));
        *passed.method_mut() = parts.method;
        *passed.uri_mut() = target;
        passed
            .headers_mut()
            .insert(header::HOST, header::HeaderValue::from_static("wua"));
        if let Some(kind) = parts.headers.get(header::CONTENT_TYPE) {
            passed.headers_mut().insert(header::CONTENT_TYPE, kind.clone());
        }
        Ok(passed)
    }
}
