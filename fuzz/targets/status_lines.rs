//! The status lines of apt and dpkg, in pieces as they come.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wua_apt::status_lines::{Lines, parse_apt, parse_dpkg};

fuzz_target!(|input: (u8, &[u8])| {
    let (size, bytes) = input;
    let (mut whole, mut pieces) = (Vec::new(), Vec::new());
    Lines::default().take(bytes, |line| whole.push(line.to_owned()));
    let mut lines = Lines::default();
    for piece in bytes.chunks(usize::from(size).max(1)) {
        lines.take(piece, |line| pieces.push(line.to_owned()));
    }
    assert_eq!(whole, pieces);
    for line in whole {
        let _ = (parse_apt(&line), parse_dpkg(&line));
    }
});
