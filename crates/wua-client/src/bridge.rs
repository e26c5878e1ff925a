//! The way to the agent where there are no Unix sockets: through `wua bridge`, which runs as the same user on the Linux side.
//!
//! The bridge's file says where it listens and what it wants to hear. Only its user can read it. It is read again for each request,
//! so that a bridge that was started again is found. What is heard from the port may come from anybody: another user's program can
//! listen there once the bridge is gone, and is told apart by the proof, which nobody is sent who does not know the token.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use ureq::Error;
use ureq::config::Config;
use ureq::http::{HeaderMap, Uri};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::error::ClientError;

/// The header of an answer that carries the proof.
const PROOF: &str = "wua-bridge";

/// The most bytes of a bridge's file.
const LONGEST: u64 = 4096;

/// What stands in the file of a bridge.
#[derive(serde::Deserialize)]
pub(crate) struct BridgeFile {
    /// Its port of 127.0.0.1.
    port: std::num::NonZeroU16,
    token: String,
    /// What its answers carry, if they do.
    #[serde(default)]
    proof: Option<String>,
}

impl BridgeFile {
    /// Reads the file as it is now. A bridge that cannot be found is an agent that is not there.
    pub(crate) fn read(path: &Path) -> Result<Self, ClientError> {
        let not_there = |why: String| {
            ClientError::NotThere(format!(
                "the bridge's file `{}` {why}; `wua bridge` writes it",
                path.display()
            ))
        };
        let mut text = Vec::new();
        File::open(path)
            .and_then(|file| file.take(LONGEST).read_to_end(&mut text))
            .map_err(|error| not_there(format!("cannot be read: {error}")))?;
        let file: Self =
            serde_json::from_slice(&text).map_err(|error| not_there(format!("is damaged: {error}")))?;
        // It becomes part of a header.
        if file.token.is_empty() || !file.token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(not_there("is damaged: its token is none".into()));
        }
        Ok(file)
    }

    /// Host and port.
    pub(crate) fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn authorization(&self) -> String {
        format!("Bearer {}", self.token)
    }

    /// Whether an answer is the bridge's.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), ClientError> {
        let Some(proof) = &self.proof else {
            return Ok(());
        };
        if headers
            .get(PROOF)
            .is_some_and(|said| said.as_bytes() == proof.as_bytes())
        {
            return Ok(());
        }
        let what = format!("what answers at {} is not the bridge", self.authority());
        Err(ClientError::NotThere(what))
    }
}

/// The loopback address, whatever the name, with the port of the address that is called; no name service is asked.
#[derive(Debug)]
pub(crate) struct Loopback;

impl Resolver for Loopback {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let mut addresses = self.empty();
        addresses.push(([127, 0, 0, 1], uri.port_u16().unwrap_or(0)).into());
        Ok(addresses)
    }
}
