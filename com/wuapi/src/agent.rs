//! The machine's agent, as the objects ask it: through the bridge that `wua bridge` keeps for the user of this prefix.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use windows::Win32::System::Registry::{HKEY_LOCAL_MACHINE, RRF_RT_REG_SZ, RegGetValueW};
use windows_core::w;
use wua_client::{AgentClient, ClientError};
use wua_types::api::UpdateStateDocument;
use wua_types::{HResult, Update, UpdateId};

use crate::fault::{Answer, Fault};

/// A client of the agent. Where no bridge is set up, it is an agent that is not there.
pub fn client() -> Answer<AgentClient> {
    static KNOWN: Mutex<Option<AgentClient>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(client) = &*known {
        return Ok(client.clone());
    }
    let file = bridge_file().ok_or_else(|| {
        Fault::new(
            HResult::WU_E_SERVICE_STOP,
            "This Wine prefix does not know the machine's agent; `wua wine setup PREFIX` tells it",
        )
    })?;
    // Wine's own name for a file of the machine: it needs no drive letter.
    let client = AgentClient::through_bridge(Path::new(&format!("\\\\?\\unix{file}")));
    Ok(known.insert(client).clone())
}

/// The bridge's file, a path of the machine, from `HKLM\Software\wua`. No environment variable replaces it: a prefix has one
/// agent.
fn bridge_file() -> Option<String> {
    let mut text = vec![0_u16; 0x1000];
    let mut bytes = text.len() as u32 * 2;
    // SAFETY: the buffer is writable and of that many bytes.
    let status = unsafe {
        RegGetValueW(
            HKEY_LOCAL_MACHINE,
            w!("Software\\wua"),
            w!("BridgeFile"),
            RRF_RT_REG_SZ,
            None,
            Some(text.as_mut_ptr().cast()),
            Some(&mut bytes),
        )
    };
    let text = status
        .is_ok()
        .then(|| String::from_utf16_lossy(&text[..bytes as usize / 2]))?;
    Some(text.trim_end_matches('\0').to_owned()).filter(|file| !file.is_empty())
}

/// How an update stands now: what is asked again each time, because it changes while a client holds the update. One that the machine
/// does not have any more stands as it was found.
pub fn live(id: UpdateId, found: &Update) -> Answer<UpdateStateDocument> {
    match client()?.update_state(id) {
        Ok(now) => Ok(now),
        Err(ClientError::Problem(problem)) if problem.hresult == HResult::WU_E_ITEMNOTFOUND => {
            Ok(found.into())
        }
        Err(error) => Err(error.into()),
    }
}
