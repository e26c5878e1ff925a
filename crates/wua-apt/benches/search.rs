//! Searching against its peers, on this machine's own package lists, in one run: `cargo bench -p wua-apt --bench search`.
//!
//! The lists are copied into throw-away trees, once plain and once as lz4, with APT's binary cache on and warm
//! (a container's settings often turn it off, which would slow only the peer down). Both sides run in turn, and the
//! medians are compared. Memory is that of a child process that does one search, sampled while it runs.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{
    Form, HEAD, Outcome, Tree, apt_list, count_lines, judged, median, print_row, runs, search, time,
};
use wua_apt::reader::Reading;
use wua_apt::tree::AptTree;
use wua_apt::{kept, proof};

/// How often each side runs.
const RUNS: usize = 31;
/// How often where a run takes seconds.
const FEW_RUNS: usize = 7;
/// The argument that makes this program the child whose memory is measured.
const MEMORY_OF: &str = "--memory-of";
/// The bar for memory, in KiB (30 MB).
const MEMORY_BAR: u64 = 30_000_000 / 1024;

/// One comparison: what we do, what the peer does, and how much of the peer's time we may take.
struct Comparison {
    name: &'static str,
    ours: fn(&Path) -> Outcome<usize>,
    peer: fn(&Path) -> Outcome<usize>,
    /// For plain indexes and for lz4. With its binary cache on, the peer reads no index at all.
    bars: [Option<f64>; 2],
    state: State,
}

/// What wua knows before it begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// What APT said of its settings and sources was kept, as a refresh or a download does.
    Kept,
    /// Nothing was kept.
    Fresh,
    /// Kept, but nothing can be proven, so that wua has to ask APT for its plan.
    Asking,
}

const COMPARISONS: [Comparison; 4] = [
    Comparison {
        name: "list of candidates / `apt list --upgradable`",
        ours: candidates,
        peer: apt_list,
        bars: [Some(1.0 / 6.0), None],
        state: State::Kept,
    },
    Comparison {
        name: "whole search, proven / `apt list --upgradable`",
        ours: search,
        peer: apt_list,
        bars: [Some(1.0 / 10.0), Some(1.0 / 4.0)],
        state: State::Kept,
    },
    Comparison {
        name: "the same, nothing kept of what APT said",
        ours: search,
        peer: apt_list,
        bars: [None, None],
        state: State::Fresh,
    },
    Comparison {
        name: "whole search, asking APT / `apt-get -s upgrade --with-new-pkgs`",
        ours: search,
        peer: apt_get_upgrade,
        bars: [Some(1.15), None],
        state: State::Asking,
    },
];

/// Where what APT said is kept, below a tree's root.
const KEPT: &str = "var/lib/wua/apt.json";
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
            "{} indexes, {:.1} MB, {} packages installed:\n\n{HEAD}",
            form.name(),
            tree.megabytes,
            tree.installed
        );
        for comparison in &COMPARISONS {
            comparison.run(&tree.root, form)?;
        }
        let memory = memory_of_a_search(&tree.root)?;
        println!(
            "| anonymous memory of one search | {:.1} MB | | | {} | |\n",
            memory as f64 / 976.6,
            judged("30 MB", memory <= MEMORY_BAR)
        );
    }
    Ok(())
}

fn candidates(root: &Path) -> Outcome<usize> {
    Ok(Reading::of(&AptTree::open(root)?)?.candidates.len())
}

fn apt_get_upgrade(root: &Path) -> Outcome<usize> {
    let words = ["-s", "-q", "upgrade", "--with-new-pkgs"];
    count_lines(root, "apt-get", &words, |line| line.starts_with(b"Inst "))
}

impl Comparison {
    fn run(&self, root: &Path, form: Form) -> Outcome<()> {
        let pin = root.join("etc/apt/preferences.d/bench");
        match self.state {
            State::Kept => kept::keep(&AptTree::open(root)?)?,
            State::Fresh => fs::remove_file(root.join(KEPT))?,
            State::Asking => {
                kept::keep(&AptTree::open(root)?)?;
                fs::write(&pin, PIN)?;
            }
        }
        let reading = Reading::of(&AptTree::open(root)?)?;
        if self.state != State::Asking
            && let Err(unclear) = proof::upgrades(&reading)
        {
            println!(
                "| {}: not here, nothing can be proven: {unclear} | | | | | |",
                self.name
            );
            return Ok(());
        }
        // The first runs warm the caches of both and must agree.
        let (found, expected) = ((self.ours)(root)?, (self.peer)(root)?);
        if found != expected {
            return Err(format!("{}: {found} found, {expected} expected", self.name).into());
        }
        let often = runs(match self.state {
            State::Kept | State::Fresh => RUNS,
            State::Asking => FEW_RUNS,
        });
        let (mut ours, mut peer) = (Vec::new(), Vec::new());
        for _ in 0..often {
            ours.push(time(|| (self.ours)(root))?);
            peer.push(time(|| (self.peer)(root))?);
        }
        let bar = self.bars[form as usize];
        print_row(self.name, median(ours), median(peer), bar, &found.to_string());
        if self.state == State::Asking {
            fs::remove_file(&pin)?;
        }
        Ok(())
    }
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
