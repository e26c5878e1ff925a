//! The bridge: the agent's API, nothing else, for the programs of the user who runs it that have no Unix sockets, such as those
//! under Wine. What it wants to hear, and what its answers carry so that its clients know it from whoever listens at that port
//! later, stands in a file that only this user can read.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use axum::extract::Request;
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use wua_types::HResult;

use crate::guard::{Guard, Visitor};
use crate::loopback::{Loopback, Site, WebError};
use crate::relay::Relay;
use crate::secret::Secret;

/// The header by which an answer to a request with the token shows that it is the bridge's.
const PROOF: HeaderName = HeaderName::from_static("wua-bridge");

/// Why there is no bridge.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// It cannot listen or serve.
    #[error(transparent)]
    Web(#[from] WebError),
    /// Another bridge has the file.
    #[error("a bridge of yours runs already, with the file `{file}`")]
    Running {
        /// The file.
        file: PathBuf,
    },
    /// Others could put a file of theirs in the place of the bridge's.
    #[error("other users can change what is in the folder `{folder}`")]
    OpenFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// The file, or something beside it, is not to be had.
    #[error("cannot {action} `{path}`")]
    File {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl BridgeError {
    /// The result code.
    pub fn code(&self) -> HResult {
        match self {
            Self::Web(error) => error.code(),
            Self::Running { .. } => HResult::WU_E_OPERATIONINPROGRESS,
            Self::OpenFolder { .. } => HResult::E_ACCESSDENIED,
            Self::File { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => HResult::E_ACCESSDENIED,
                _ => HResult::E_FAIL,
            },
        }
    }

    /// What to do.
    pub fn next_step(&self) -> Option<&'static str> {
        match self {
            Self::Web(_) => None,
            Self::Running { .. } => {
                Some("Use that one, or end it first; `--file` names another file for a second one.")
            }
            Self::OpenFolder { .. } => {
                Some("Name a file in a folder that only you can write to, by `--file`.")
            }
            Self::File { .. } => Some("Name a file in a folder of yours, by `--file`."),
        }
    }
}

/// A bridge that listens, and answers once it is told to serve. Its file is there as long as it is.
pub struct Bridge {
    loopback: Loopback,
    site: BridgeSite,
    file: BridgeFile,
}

impl std::fmt::Debug for Bridge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The rest is secret.
        f.debug_struct("Bridge")
            .field("loopback", &self.loopback)
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl Bridge {
    /// Listens at a free port of 127.0.0.1 for the agent whose sockets are in the folder, and writes the file, with its folder where
    /// that is missing.
    ///
    /// # Errors
    /// See [`BridgeError`]; of two bridges with one file the second is refused.
    pub fn open(sockets: &Path, file: &Path) -> Result<Self, BridgeError> {
        let place = Place::take(file)?;
        let loopback = Loopback::bind(0)?;
        let guard = Guard::new(loopback.authority(), Visitor::Program);
        let proof = Secret::new();
        let file = place.write(&json!({
            "port": loopback.port(),
            "token": guard.token(),
            "proof": proof.reveal(),
        }))?;
        Ok(Self {
            site: BridgeSite {
                guard,
                proof: HeaderValue::from_str(proof.reveal()).expect("digits"),
                relay: Relay::new(sockets, ""),
            },
            loopback,
            file,
        })
    }

    /// The port of 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.loopback.port()
    }

    /// Serves until SIGTERM, SIGINT or SIGHUP, and removes the file. Blocks.
    ///
    /// # Errors
    /// The server cannot be started.
    pub fn serve(self) -> Result<(), BridgeError> {
        let served = self.loopback.serve(self.site);
        drop(self.file);
        Ok(served?)
    }
}

/// Everything that is answered.
struct BridgeSite {
    guard: Guard,
    proof: HeaderValue,
    relay: Relay,
}

impl Site for BridgeSite {
    async fn answer(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let admitted = self
            .guard
            .check_source(&parts)
            .and_then(|()| self.guard.check_token(&parts));
        let mut response = match admitted {
            Ok(()) => {
                let passed = self.relay.pass(Request::from_parts(parts, body)).await;
                let mut response = passed.unwrap_or_else(IntoResponse::into_response);
                response.headers_mut().insert(PROOF, self.proof.clone());
                response
            }
            // Whoever does not know the token learns no proof either.
            Err(problem) => problem.into_response(),
        };
        protect(response.headers_mut());
        response
    }
}

fn protect(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
}

/// Where a bridge's file may be written: nobody else does it.
struct Place {
    path: PathBuf,
    /// Held as long as the bridge is there; the kernel lets go of it where the bridge cannot.
    lock: File,
}

impl Place {
    fn take(path: &Path) -> Result<Self, BridgeError> {
        let error = |action, path: &Path| {
            let path = path.to_owned();
            move |source| BridgeError::File { action, path, source }
        };
        let path = std::path::absolute(path).map_err(error("find", path))?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(error("make the folder", folder))?;
        let found = folder.metadata().map_err(error("look at", folder))?;
        let own = rustix::process::geteuid().as_raw();
        if found.mode() & 0o022 != 0 || ![own, 0].contains(&found.uid()) {
            return Err(BridgeError::OpenFolder {
                folder: folder.into(),
            });
        }
        let lock_path = path.with_added_extension("lock");
        let lock = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(error("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, lock }),
            Err(TryLockError::WouldBlock) => Err(BridgeError::Running { file: path }),
            Err(TryLockError::Error(source)) => Err(error("lock", &lock_path)(source)),
        }
    }

    /// Puts the file there, whole or not at all.
    fn write(self, document: &serde_json::Value) -> Result<BridgeFile, BridgeError> {
        let write = || {
            let folder = self.path.parent().unwrap_or(Path::new("/"));
            let mut file = tempfile::Builder::new()
                .prefix(".bridge-")
                .permissions(Permissions::from_mode(0o600))
                .tempfile_in(folder)?;
            file.write_all(document.to_string().as_bytes())?;
            file.persist(&self.path).map_err(|error| error.error)?;
            Ok(())
        };
        write().map_err(|source| BridgeError::File {
            action: "write",
            path: self.path.clone(),
            source,
        })?;
        Ok(BridgeFile {
            path: self.path,
            _lock: self.lock,
        })
    }
}

/// The file of a bridge that is there.
#[derive(Debug)]
struct BridgeFile {
    path: PathBuf,
    _lock: File,
}

impl Drop for BridgeFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "the bridge's file was not removed");
        }
    }
}
