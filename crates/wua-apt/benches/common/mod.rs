//! What the benches of searching share: trees made of this machine's lists, both sides of the comparison, medians.

#![allow(dead_code, reason = "each bench uses a part of it")]

use std::error::Error;
use std::fs;
use std::io::{BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use wua_apt::tree::{PRACTICE_CONFIG, PRACTICE_MARK};
use wua_apt::{Apt, AptOptions};
use wua_engine::source::{SearchRequest, UpdateSource as _};
use wua_engine::store::ContentStore;

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// Our own search; gives the number of packages it offers.
pub(crate) fn search(root: &Path) -> Outcome<usize> {
    let apt = Apt::open(root, AptOptions::default())?;
    let store = ContentStore::new(root.join("var/lib/wua/store"));
    let abort = AtomicBool::new(false);
    let request = SearchRequest {
        refresh: false,
        store: &store,
        abort: &abort,
        waiting: &|_| (),
    };
    Ok(apt
        .search(&request)?
        .updates
        .iter()
        .map(|update| update.packages().len())
        .sum())
}

/// What `apt list --upgradable` lists.
pub(crate) fn apt_list(root: &Path) -> Outcome<usize> {
    count_lines(root, "apt", &["list", "--upgradable"], |line| {
        line.contains(&b'/')
    })
}

/// How many lines of this kind a program of APT's prints about a tree.
pub(crate) fn count_lines(
    root: &Path,
    program: &str,
    words: &[&str],
    is_one: fn(&[u8]) -> bool,
) -> Outcome<usize> {
    let mut command = Command::new(program);
    command
        .args(words)
        .env("APT_CONFIG", root.join(PRACTICE_CONFIG))
        .env("LC_ALL", "C.UTF-8");
    let output = command.stderr(Stdio::null()).output()?;
    let lines = output.stdout.split(|byte| *byte == b'\n');
    Ok(lines.filter(|line| is_one(line)).count())
}

pub(crate) fn time(work: impl FnOnce() -> Outcome<usize>) -> Outcome<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// The head of every table.
pub(crate) const HEAD: &str = "| what | wua | peer | ratio | bar | found |\n|---|---|---|---|---|---|";

/// How often each side runs: `full` times, or once where only the bench itself is tried (`--quick`).
pub(crate) fn runs(full: usize) -> usize {
    if std::env::args_os().any(|argument| argument == "--quick") {
        1
    } else {
        full
    }
}

/// A row of the table.
pub(crate) fn print_row(name: &str, ours: Duration, peer: Duration, bar: Option<f64>, found: &str) {
    let ratio = ours.as_secs_f64() / peer.as_secs_f64();
    let bar = bar.map_or("none".to_owned(), |bar| {
        judged(&format!("{bar:.3}"), ratio <= bar)
    });
    println!(
        "| {name} | {:.1} ms | {:.1} ms | {ratio:.4} | {bar} | {found} |",
        ours.as_secs_f64() * 1e3,
        peer.as_secs_f64() * 1e3,
    );
}

/// A bar, and whether it holds.
pub(crate) fn judged(bar: &str, holds: bool) -> String {
    if holds {
        bar.to_owned()
    } else {
        format!("{bar}, **missed**")
    }
}

#[derive(Clone, Copy)]
pub(crate) enum Form {
    Plain,
    Lz4,
}

impl Form {
    /// As a word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Lz4 => "lz4",
        }
    }
}

/// A practice tree with this machine's lists, sources, pins and dpkg status.
pub(crate) struct Tree {
    pub(crate) root: PathBuf,
    pub(crate) megabytes: f64,
    pub(crate) installed: usize,
}

impl Tree {
    /// `None` where the machine has no lists.
    pub(crate) fn of_this_machine(root: &Path, form: Form) -> Outcome<Option<Self>> {
        for folder in ["apt.conf.d", "preferences.d", "sources.list.d", "trusted.gpg.d"] {
            copy_files(
                &Path::new("/etc/apt").join(folder),
                &root.join("etc/apt").join(folder),
                folder != "apt.conf.d",
            )?;
        }
        copy_files(Path::new("/etc/apt"), &root.join("etc/apt"), true)?;
        let _ = fs::remove_file(root.join("etc/apt/apt.conf"));
        for folder in [
            "var/lib/dpkg",
            "var/lib/apt/lists/partial",
            "var/cache/apt/archives/partial",
            "etc/wua",
        ] {
            fs::create_dir_all(root.join(folder))?;
        }
        let status = fs::read_to_string("/var/lib/dpkg/status")?;
        fs::write(root.join("var/lib/dpkg/status"), set_back(&status))?;
        fs::write(root.join(PRACTICE_MARK), "")?;
        let shown = root.display();
        let config = format!(
            "Dir \"{shown}\";\nDir::State::status \"{shown}/var/lib/dpkg/status\";\n\
             Dir::Etc::Parts \"{shown}/etc/apt/apt.conf.d\";\nAPT::Sandbox::User \"\";\n"
        );
        fs::write(root.join(PRACTICE_CONFIG), config)?;
        let bytes = copy_lists(&root.join("var/lib/apt/lists"), form)?;
        let installed = wua_apt::dpkg::DpkgDatabase::read(root)?.present().count();
        let megabytes = bytes as f64 / 1e6;
        Ok((bytes > 0).then(|| Self {
            root: root.to_owned(),
            megabytes,
            installed,
        }))
    }
}

/// The status file with every second package that no other one speaks of in an older version, so that there are upgrades also on
/// a machine that has them all.
fn set_back(status: &str) -> String {
    let relations = [
        "Depends: ",
        "Pre-Depends: ",
        "Breaks: ",
        "Conflicts: ",
        "Recommends: ",
    ];
    let spoken_of: std::collections::HashSet<&str> = status
        .lines()
        .filter_map(|line| relations.iter().find_map(|field| line.strip_prefix(field)))
        .flat_map(|text| text.split([',', '|']))
        .filter_map(|relation| relation.trim().split([' ', ':']).next())
        .collect();
    let mut text = String::with_capacity(status.len());
    let mut free = 0;
    for stanza in status.split_inclusive("\n\n") {
        let name = stanza.lines().find_map(|line| line.strip_prefix("Package: "));
        let is_free = name.is_some_and(|name| !spoken_of.contains(name));
        free += usize::from(is_free);
        for line in stanza.split_inclusive('\n') {
            match line.strip_prefix("Version: ") {
                Some(version) if is_free && free % 2 == 0 => {
                    text += &format!("Version: {}~~\n", version.trim_end());
                }
                _ => text += line,
            }
        }
    }
    text
}

fn copy_files(from: &Path, to: &Path, with_content: bool) -> Outcome<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).into_iter().flatten().flatten() {
        if with_content && entry.path().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Copies the machine's indexes in the wanted form; gives their unpacked size in bytes.
fn copy_lists(lists: &Path, form: Form) -> Outcome<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir("/var/lib/apt/lists")?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let plain_name = name.strip_suffix(".lz4").unwrap_or(&name);
        if name.ends_with("Release") {
            fs::copy(entry.path(), lists.join(&name))?;
        } else if plain_name.ends_with("_Packages") {
            let mut text = Vec::new();
            let file = BufReader::new(fs::File::open(entry.path())?);
            match name == plain_name {
                true => std::io::Read::read_to_end(&mut { file }, &mut text)?,
                false => {
                    std::io::Read::read_to_end(&mut lz4_flex::frame::FrameDecoder::new(file), &mut text)?
                }
            };
            bytes += text.len() as u64;
            match form {
                Form::Plain => fs::write(lists.join(plain_name), text)?,
                Form::Lz4 => {
                    let file = fs::File::create(lists.join(format!("{plain_name}.lz4")))?;
                    let mut encoder = lz4_flex::frame::FrameEncoder::new(file);
                    encoder.write_all(&text)?;
                    encoder.finish()?;
                }
            }
        }
    }
    Ok(bytes)
}
