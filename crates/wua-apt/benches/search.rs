//! Searching against its peers, on this machine's own package lists, in one run: `cargo bench -p wua-apt --bench search`.
//!
//! The lists are copied into throw-away trees, once plain and once as lz4, with APT's binary cache on and warm
//! (a container's settings often turn it off, which would slow only the peer down). Both sides run in turn, and the
//! medians are compared. Memory is that of a child process that does one search, sampled while it runs.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]

use std::error::Error;
use std::fs;
use std::io::{BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use wua_apt::proof;
use wua_apt::reader::Reading;
use wua_apt::tree::{AptTree, PRACTICE_CONFIG, PRACTICE_MARK};
use wua_apt::{Apt, AptOptions};
use wua_engine::source::{SearchRequest, UpdateSource as _};
use wua_engine::store::ContentStore;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// How often each side runs.
const RUNS: usize = 31;
/// The argument that makes this program the child whose memory is measured.
const MEMORY_OF: &str = "--memory-of";
/// The bar for memory, in KiB (30 MB).
const MEMORY_BAR: u64 = 30_000_000 / 1024;

/// One comparison: what we do, what the peer does, and how much of the peer's time we may take.
struct Comparison {
    name: &'static str,
    ours: fn(&Path) -> Outcome<usize>,
    peer: fn(&Path) -> Outcome<usize>,
    bar: f64,
    /// Whether wua has to ask APT.
    asks: bool,
}

const COMPARISONS: [Comparison; 3] = [
    Comparison {
        name: "candidates / apt list --upgradable",
        ours: candidates,
        peer: apt_list,
        bar: 1.0 / 6.0,
        asks: false,
    },
    Comparison {
        name: "whole search, proven / apt list --upgradable",
        ours: search,
        peer: apt_list,
        bar: 1.0 / 10.0,
        asks: false,
    },
    Comparison {
        name: "whole search, asking APT / apt-get -s upgrade --with-new-pkgs",
        ours: search,
        peer: apt_get_upgrade,
        bar: 1.15,
        asks: true,
    },
];

/// A pin that changes nothing and touches what every machine has, so that nothing can be proven.
const PIN: &str = "Package: dpkg\nPin: release a=now\nPin-Priority: 100\n";

fn main() -> Outcome<()> {
    let arguments: Vec<_> = std::env::args_os().collect();
    if let Some(place) = arguments.iter().position(|argument| argument == MEMORY_OF) {
        let tree = arguments.get(place + 1).ok_or("the tree is missing")?;
        return report_memory(Path::new(tree));
    }
    if !arguments.iter().any(|argument| argument == "--bench") {
        return Ok(()); // `cargo test --benches` only wants to know that it starts.
    }
    let folder = tempfile::tempdir()?;
    for form in [Form::Plain, Form::Lz4] {
        let Some(tree) = Tree::of_this_machine(&folder.path().join(form.name()), form)? else {
            println!("This machine has no package lists; run `apt-get update` first.");
            return Ok(());
        };
        println!(
            "{} indexes, {:.1} MB, {} packages installed",
            form.name(),
            tree.megabytes,
            tree.installed
        );
        for comparison in &COMPARISONS {
            comparison.run(&tree.root, form)?;
        }
        let memory = memory_of_a_search(&tree.root)?;
        println!(
            "  anonymous memory of one search: {:.1} MB at most ({})",
            memory as f64 / 976.6,
            verdict(memory <= MEMORY_BAR)
        );
    }
    Ok(())
}

fn candidates(root: &Path) -> Outcome<usize> {
    Ok(Reading::of(&AptTree::open(root)?)?.candidates.len())
}

fn search(root: &Path) -> Outcome<usize> {
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

fn apt_get_upgrade(root: &Path) -> Outcome<usize> {
    let mut command = Command::new("apt-get");
    command
        .args(["-s", "-q", "upgrade", "--with-new-pkgs"])
        .env("APT_CONFIG", root.join(PRACTICE_CONFIG))
        .env("LC_ALL", "C.UTF-8");
    let output = command.stderr(Stdio::null()).output()?;
    Ok(output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| line.starts_with(b"Inst "))
        .count())
}

fn apt_list(root: &Path) -> Outcome<usize> {
    let mut command = Command::new("apt");
    command
        .args(["list", "--upgradable"])
        .env("APT_CONFIG", root.join(PRACTICE_CONFIG))
        .env("LC_ALL", "C.UTF-8");
    let output = command.stderr(Stdio::null()).output()?;
    Ok(output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| line.contains(&b'/'))
        .count())
}

impl Comparison {
    fn run(&self, root: &Path, form: Form) -> Outcome<()> {
        let pin = root.join("etc/apt/preferences.d/bench");
        if self.asks {
            fs::write(&pin, PIN)?;
        }
        let reading = Reading::of(&AptTree::open(root)?)?;
        if !self.asks
            && let Err(unclear) = proof::upgrades(&reading)
        {
            println!("  {}: not here, nothing can be proven: {unclear}", self.name);
            return Ok(());
        }
        // The first runs warm the caches of both and must agree.
        let (found, expected) = ((self.ours)(root)?, (self.peer)(root)?);
        if found != expected {
            return Err(format!("{}: {found} found, {expected} expected", self.name).into());
        }
        let (mut ours, mut peer) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            ours.push(time(|| (self.ours)(root))?);
            peer.push(time(|| (self.peer)(root))?);
        }
        let (ours, peer) = (median(ours), median(peer));
        let ratio = ours.as_secs_f64() / peer.as_secs_f64();
        // With its binary cache on, the peer reads no index at all, so packed ones are shown without a bar.
        let judged = match form {
            Form::Plain => format!("bar {:.3} ({})", self.bar, verdict(ratio <= self.bar)),
            Form::Lz4 => "no bar".to_owned(),
        };
        println!(
            "  {}: {:.1} ms / {:.1} ms = {ratio:.3}, {judged}, {found} found, medians of {RUNS}",
            self.name,
            ours.as_secs_f64() * 1e3,
            peer.as_secs_f64() * 1e3,
        );
        if self.asks {
            fs::remove_file(&pin)?;
        }
        Ok(())
    }
}

fn time(work: impl FnOnce() -> Outcome<usize>) -> Outcome<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn verdict(holds: bool) -> &'static str {
    if holds { "holds" } else { "MISSED" }
}

#[derive(Clone, Copy)]
enum Form {
    Plain,
    Lz4,
}

impl Form {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Lz4 => "lz4",
        }
    }
}

/// A practice tree with this machine's lists, sources, pins and dpkg status.
struct Tree {
    root: PathBuf,
    megabytes: f64,
    installed: usize,
}

impl Tree {
    /// `None` where the machine has no lists.
    fn of_this_machine(root: &Path, form: Form) -> Outcome<Option<Self>> {
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
        fs::copy("/var/lib/dpkg/status", root.join("var/lib/dpkg/status"))?;
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

/// The most anonymous memory, in KiB, that a process of its own has during one search.
fn memory_of_a_search(root: &Path) -> Outcome<u64> {
    // Not by its path: a build in the meantime may have replaced the file.
    let output = Command::new("/proc/self/exe").arg(MEMORY_OF).arg(root).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

fn report_memory(root: &Path) -> Outcome<()> {
    let done = AtomicBool::new(false);
    let most = std::thread::scope(|scope| -> Outcome<u64> {
        let sampler = scope.spawn(|| {
            let mut most = 0;
            while !done.load(Ordering::Relaxed) {
                most = most.max(anonymous_memory());
                std::thread::yield_now();
            }
            most
        });
        let reading = AptTree::open(root)
            .map_err(Box::from)
            .and_then(|tree| Reading::of(&tree).map_err(Box::from));
        done.store(true, Ordering::Relaxed);
        let most = sampler.join().map_err(|_| "the sampler failed")?;
        reading.map(|_| most)
    })?;
    println!("{most}");
    Ok(())
}

/// This process's anonymous memory, in KiB.
fn anonymous_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}
