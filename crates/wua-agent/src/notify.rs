//! Telling systemd how the agent is (`sd_notify`): a datagram to the socket that it named.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Says `what`, if there is somebody to say it to. A systemd that does not hear is in nobody's way.
pub(crate) fn say(socket: Option<&OsStr>, what: &str) {
    let Some(socket) = socket else { return };
    if let Err(error) = send(socket, what) {
        tracing::warn!(%error, "systemd is not told how the agent is");
    }
}

fn send(socket: &OsStr, what: &str) -> io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(what.as_bytes(), &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_hears_what_is_said_at_either_kind_of_socket() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let abstract_name = format!("@{}", path.display());
        let of_path = UnixDatagram::bind(&path).expect("binds");
        let address = SocketAddr::from_abstract_name(path.as_os_str().as_bytes()).expect("a name");
        let of_name = UnixDatagram::bind_addr(&address).expect("binds");
        say(Some(path.as_os_str()), "READY=1");
        say(Some(OsStr::new(&abstract_name)), "READY=1");
        for socket in [of_path, of_name] {
            let mut said = [0; 16];
            let length = socket.recv(&mut said).expect("heard");
            assert_eq!(&said[..length], b"READY=1");
        }
        say(None, "READY=1");
    }
}
