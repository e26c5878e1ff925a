//! The sockets, and the connections that come in through them.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio_io_timeout::TimeoutStream;
use tower::Service as _;
use wua_engine::{Failure, UpdateSession};
use wua_types::HResult;

use crate::caller::{Caller, Door};
use crate::machine::Agent;
use crate::seats::Seats;
use crate::{notify, routes, scheduler};

/// How many connections are open at once at each socket, and how many of them one user's.
const CONNECTIONS: (usize, usize) = (256, 48);

/// How long a client may take to send the head of a request.
const HEAD: Duration = Duration::from_secs(30);

/// How long a client may take none of an answer.
const TAKING: Duration = Duration::from_secs(30);

/// The group whose members may act.
const GROUP: &str = "wua";

/// What an agent serves, and where.
#[derive(Debug)]
pub struct Service {
    /// The machine, opened with this program as its keeper.
    pub session: UpdateSession,
    /// The folder of the sockets; made where there is none.
    pub sockets: PathBuf,
    /// Where systemd wants to be told that the agent is ready (`NOTIFY_SOCKET`), if it does.
    pub notify: Option<OsString>,
}

/// Serves until SIGTERM or SIGINT. Blocks. Jobs that run go on.
///
/// # Errors
/// The sockets cannot be opened, `E_ACCESSDENIED` among others; or another agent listens at them (`WU_E_OPERATIONINPROGRESS`).
pub fn run(service: Service) -> Result<(), Failure> {
    let cannot = |what: &'static str| {
        move |error: io::Error| Failure::because(wua_engine::store::io_code(&error), what, error)
    };
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(16)
        .build()
        .map_err(cannot("cannot start the agent"))?
        .block_on(serve(service))
}

async fn serve(service: Service) -> Result<(), Failure> {
    let failed = |what: String| {
        move |error: io::Error| match error.kind() {
            io::ErrorKind::AddrInUse => Failure::because(HResult::WU_E_OPERATIONINPROGRESS, what, error),
            _ => Failure::because(wua_engine::store::io_code(&error), what, error),
        }
    };
    let sockets = service.sockets;
    let place = sockets.display().to_string();
    let (read, control) = open(&sockets).map_err(failed(format!("cannot listen in `{place}`")))?;
    let agent = Arc::new(Agent::new(service.session));
    agent
        .aside(Caller::itself(), |agent| agent.jobs.restore())
        .await
        .unwrap_or_else(|problem| tracing::warn!(?problem, "jobs of an earlier agent are not taken up"));
    let schedule = tokio::spawn(scheduler::run(Arc::clone(&agent)));
    let router = routes::router(agent);
    let (mut end, mut interrupt) = (
        signal(SignalKind::terminate()).map_err(failed("cannot wait for signals".into()))?,
        signal(SignalKind::interrupt()).map_err(failed("cannot wait for signals".into()))?,
    );
    tracing::info!(sockets = place, "the agent listens");
    notify::say(service.notify.as_deref(), "READY=1");
    tokio::select! {
        () = accept(read, Door::Read, router.clone()) => {}
        () = accept(control, Door::Control, router) => {}
        _ = end.recv() => {}
        _ = interrupt.recv() => {}
    }
    schedule.abort();
    notify::say(service.notify.as_deref(), "STOPPING=1");
    Ok(())
}

/// Opens both sockets. Nobody but the agent's own user can reach one before it has its final mode.
fn open(folder: &Path) -> io::Result<(UnixListener, UnixListener)> {
    fs::create_dir_all(folder)?;
    let place = fs::metadata(folder)?;
    if place.uid() != rustix::process::geteuid().as_raw() || place.mode() & 0o022 != 0 {
        // Whoever else can write there could put something in the sockets' places.
        let why = "the folder of the sockets must be the agent's own, and nobody else's to write to";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    let read = bind(&folder.join("read.sock"))?;
    let control = bind(&folder.join("control.sock"))?;
    if rustix::process::geteuid().is_root() {
        match group_id(GROUP) {
            Some(group) => std::os::unix::fs::chown(folder.join("control.sock"), Some(0), Some(group))?,
            None => tracing::warn!("there is no group `{GROUP}`: root alone may act"),
        }
    }
    fs::set_permissions(folder.join("control.sock"), Permissions::from_mode(0o660))?;
    fs::set_permissions(folder.join("read.sock"), Permissions::from_mode(0o666))?;
    Ok((read, control))
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => {
            return Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                "another agent listens there",
            ));
        }
        // What a dead agent left.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)?,
        Err(_) => {}
    }
    // The caller's umask leaves writing, which is what connecting takes, to the owner.
    UnixListener::bind(path)
}

/// The number of a group of this system.
fn group_id(name: &str) -> Option<u32> {
    let groups = fs::read_to_string("/etc/group").ok()?;
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
}

async fn accept(listener: UnixListener, door: Door, router: Router) {
    let seats = Seats::new(CONNECTIONS.0, CONNECTIONS.1);
    let mut refused = BTreeSet::new();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection was not taken");
                // Where no file can be opened any more, trying at once again only takes the processor.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(peer) = stream.peer_cred() else { continue };
        let caller = Caller::at(door, peer.uid(), rustix::process::geteuid().as_raw());
        let Some(seat) = seats.take(peer.uid()) else {
            // Told once for each user, or a flood of connections would be one of lines.
            if refused.insert(peer.uid()) {
                tracing::warn!(
                    uid = peer.uid(),
                    "a user has too many connections; further ones are closed"
                );
            }
            continue;
        };
        let router = router.clone();
        tokio::spawn(async move {
            converse(stream, caller, router).await;
            drop(seat);
        });
    }
}

async fn converse(stream: UnixStream, caller: Caller, router: Router) {
    let answer = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(caller);
        router.clone().call(request)
    });
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(TAKING));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(Box::pin(stream)), answer)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}
