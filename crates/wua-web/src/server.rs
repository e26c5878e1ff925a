//! The listener on the loopback address, and the order in which a request is looked at.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use wua_types::HResult;

use crate::guard::Guard;
use crate::page;
use crate::problem::Problem;
use crate::relay::Relay;

/// How many connections are open at once; a browser opens six for one page.
const CONNECTIONS: usize = 64;

/// How long a client may take to send the head of a request.
const HEAD: Duration = Duration::from_secs(10);

/// Why the page cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// The port cannot be listened at.
    #[error("cannot listen at port {port} of 127.0.0.1")]
    Listen {
        /// The port that was asked for; 0 is any.
        port: u16,
        /// Why.
        source: io::Error,
    },
    /// The server cannot be started.
    #[error("cannot serve the page")]
    Serve(#[from] io::Error),
}

impl WebError {
    /// The result code.
    pub fn code(&self) -> HResult {
        match self {
            Self::Listen { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => HResult::E_ACCESSDENIED,
                io::ErrorKind::AddrInUse => HResult::WU_E_OPERATIONINPROGRESS,
                _ => HResult::E_FAIL,
            },
            Self::Serve(_) => HResult::E_FAIL,
        }
    }
}

/// A server of the page that listens, and answers once it is told to serve.
pub struct WebServer {
    listener: TcpListener,
    site: Site,
}

impl std::fmt::Debug for WebServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The rest is secret.
        f.debug_struct("WebServer")
            .field("listener", &self.listener)
            .finish_non_exhaustive()
    }
}

impl WebServer {
    /// Listens at a port of 127.0.0.1, any free one for 0, for the agent whose sockets are in the folder.
    ///
    /// # Errors
    /// The port is taken, or not for this user.
    pub fn bind(port: u16, sockets: &Path) -> Result<Self, WebError> {
        let listen = || {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
            listener.set_nonblocking(true)?;
            let address: SocketAddr = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = listen().map_err(|source| WebError::Listen { port, source })?;
        Ok(Self {
            listener,
            site: Site {
                guard: Guard::new(address.to_string()),
                relay: Relay::new(sockets),
            },
        })
    }

    /// The address that opens the page, once.
    pub fn url(&self) -> String {
        self.site.guard.url()
    }

    /// Serves until SIGTERM or SIGINT. Blocks.
    ///
    /// # Errors
    /// The server cannot be started.
    pub fn serve(self) -> Result<(), WebError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(self.listener)?;
            let mut end = signal(SignalKind::terminate())?;
            let mut interrupt = signal(SignalKind::interrupt())?;
            tokio::select! {
                () = accept(listener, Arc::new(self.site)) => {}
                _ = end.recv() => {}
                _ = interrupt.recv() => {}
            }
            io::Result::Ok(())
        })?)
    }
}

async fn accept(listener: tokio::net::TcpListener, site: Arc<Site>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // Whoever comes while all places are taken waits in the kernel's queue.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let site = Arc::clone(&site);
                tokio::spawn(async move {
                    converse(stream, site).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, site: Arc<Site>) {
    let answer = hyper::service::service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        let site = Arc::clone(&site);
        async move { Ok::<_, std::convert::Infallible>(site.answer(request.map(axum::body::Body::new)).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Everything that is answered.
struct Site {
    guard: Guard,
    relay: Relay,
}

impl Site {
    async fn answer(&self, request: Request) -> Response {
        let mut response = self
            .admit(request)
            .await
            .unwrap_or_else(IntoResponse::into_response);
        page::protect(response.headers_mut());
        response
    }

    /// Source first, then the token; whoever lacks either learns nothing else.
    async fn admit(&self, request: Request) -> Result<Response, Problem> {
        let (parts, body) = request.into_parts();
        self.guard.check_source(&parts)?;
        let path = parts.uri.path();
        if path.starts_with("/api/") {
            self.guard.check_token(&parts)?;
            return self.relay.pass(Request::from_parts(parts, body)).await;
        }
        match (path, &parts.method) {
            ("/session", &Method::POST) => {
                let token = self.guard.exchange(&parts)?;
                Ok(axum::Json(serde_json::json!({ "token": token })).into_response())
            }
            ("/session", _) => Err(Problem::method_not_allowed()),
            (path, &Method::GET) => page::file(path),
            _ => Err(Problem::method_not_allowed()),
        }
    }
}
