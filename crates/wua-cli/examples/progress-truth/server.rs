//! A web server for one folder on this machine alone, which sends package archives no faster than a slow line would.

use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind, Result, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

/// What the line carries. Indexes come at once: looking for updates is not what is measured.
const BYTES_PER_SECOND: f64 = 1.2e6;
const PIECE: usize = 16 << 10;

/// Serves `folder` until the program ends; returns the port.
pub(crate) fn serve(folder: PathBuf) -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let folder = folder.clone();
            // A client that goes away in the middle is no matter of ours.
            std::thread::spawn(move || answer_all(&stream, &folder));
        }
    });
    Ok(port)
}

fn answer_all(stream: &TcpStream, folder: &Path) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut requests = BufReader::new(stream);
    loop {
        let mut request = String::new();
        if requests.read_line(&mut request)? == 0 {
            return Ok(());
        }
        let mut header = String::new();
        while requests.read_line(&mut header)? > 2 {
            header.clear();
        }
        let path = request
            .split(' ')
            .nth(1)
            .unwrap_or_default()
            .trim_start_matches('/');
        answer(stream, folder, Path::new(path))?;
    }
}

fn answer(mut stream: &TcpStream, folder: &Path, path: &Path) -> Result<()> {
    let is_below = path.components().all(|part| matches!(part, Component::Normal(_)));
    let content = match is_below.then(|| fs::read(folder.join(path))) {
        Some(Ok(content)) => content,
        None => return missing(stream),
        Some(Err(error)) if error.kind() == ErrorKind::NotFound => return missing(stream),
        Some(Err(error)) => return Err(error),
    };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
        content.len()
    )?;
    if path.extension().is_none_or(|extension| extension != "deb") {
        return stream.write_all(&content);
    }
    let begun = Instant::now();
    for (number, piece) in content.chunks(PIECE).enumerate() {
        stream.write_all(piece)?;
        let due = Duration::from_secs_f64(((number * PIECE + piece.len()) as f64) / BYTES_PER_SECOND);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
    }
    Ok(())
}

fn missing(mut stream: &TcpStream) -> Result<()> {
    stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
}
