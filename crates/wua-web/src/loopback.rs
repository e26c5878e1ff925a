//! A listener on the loopback address, and nowhere else, with limits that hold whoever comes.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use wua_types::HResult;

/// How many connections are open at once; a browser opens six for one page.
const CONNECTIONS: usize = 64;

/// How long a client may take to send the head of a request.
const HEAD: Duration = Duration::from_secs(10);

/// Why nothing can be served.
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
    #[error("cannot serve at 127.0.0.1")]
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

/// What answers every request, whoever it is from.
pub(crate) trait Site: Send + Sync + 'static {
    fn answer(&self, request: Request) -> impl Future<Output = Response> + Send;
}

/// A port of 127.0.0.1 that is listened at, and answered once it is told to serve.
#[derive(Debug)]
pub(crate) struct Loopback {
    listener: TcpListener,
    port: u16,
}

impl Loopback {
    /// Listens at a port, any free one for 0.
    pub(crate) fn bind(port: u16) -> Result<Self, WebError> {
        let listen = || {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
            listener.set_nonblocking(true)?;
            let port = listener.local_addr()?.port();
            Ok(Self { listener, port })
        };
        listen().map_err(|source| WebError::Listen { port, source })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn authority(&self) -> String {
        format!("{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// Serves until SIGTERM, SIGINT or SIGHUP. Blocks.
    pub(crate) fn serve(self, site: impl Site) -> Result<(), WebError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(self.listener)?;
            let mut end = signal(SignalKind::terminate())?;
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut hangup = signal(SignalKind::hangup())?;
            tokio::select! {
                () = accept(listener, Arc::new(site)) => {}
                _ = end.recv() => {}
                _ = interrupt.recv() => {}
                _ = hangup.recv() => {}
            }
            io::Result::Ok(())
        })?)
    }
}

async fn accept(listener: tokio::net::TcpListener, site: Arc<impl Site>) {
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

async fn converse(stream: TcpStream, site: Arc<impl Site>) {
    // Events are small, and each is waited for.
    let _ = stream.set_nodelay(true);
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
