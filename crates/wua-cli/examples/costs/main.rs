//! What installing costs: the same upgrade of many practice packages done by wua, by bare apt-get and by unattended-upgrades at
//! its defaults, in turn; what wua holds in memory meanwhile, what it leaves running, what keeping the old archives costs, and whether
//! an observer that stands still slows a job down. docs/performance.md has the figures.
//!
//! `cargo run --release -p wua-cli --example costs -- --pairs N --markdown FILE`
//!
//! Practice machines need no rights; unattended-upgrades needs root's, and works where nothing but the bench's folder can be written.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people, with a table of figures"
)]

#[path = "../common/mod.rs"]
mod common;
mod ground;
mod unattended;
mod watched;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use crate::common::wua_beside_this_program;
use crate::ground::{Ground, Prepared};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Milliseconds that a batch may cost beside the apt run itself.
const BAR_OF_BATCH: f64 = 60.0;
/// Files in memory: what a disk does in a second differs by more than what is measured.
const MEMORY: &str = "/dev/shm";
/// How many pairs are run there for each one on the disk: they are quick, and two of them differ by more than the bar.
const PAIRS_IN_MEMORY: usize = 8;
/// How many times faster than unattended-upgrades wua must be.
const BAR_OF_UNATTENDED: f64 = 3.0;
/// Megabytes that keeper and follower may hold together.
const BAR_OF_MEMORY: f64 = 40.0;
/// Share of a job's time that a standing observer may cost.
const BAR_OF_FROZEN: f64 = 0.01;

#[derive(Debug, Parser)]
#[command(about = "Measures what installing by wua costs beside apt-get and unattended-upgrades")]
struct Options {
    /// How often each side does the upgrade.
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// How many packages are upgraded.
    #[arg(long, default_value_t = 100)]
    packages: usize,
    /// One pair of few packages, which only shows that the bench works.
    #[arg(long)]
    quick: bool,
    /// Write the table to this file.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// The `wua` that is measured; the one built with this program unless told.
    #[arg(long, value_name = "PROGRAM")]
    wua: Option<PathBuf>,
}

fn main() -> Outcome<ExitCode> {
    let mut options = Options::parse();
    if options.quick {
        (options.pairs, options.packages) = (1, 8);
    }
    let wua = options.wua.clone().map_or_else(wua_beside_this_program, Ok)?;
    let folder = folder_in(&std::env::temp_dir())?;
    let ground = Ground::make(folder.path(), &wua, options.packages)?;
    let table = table(&ground, &wua, &options)?;
    println!("{table}");
    if let Some(file) = &options.markdown {
        std::fs::write(file, table)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn table(ground: &Ground, wua: &Path, options: &Options) -> Outcome<String> {
    let (pairs, packages) = (options.pairs, options.packages);
    let mut rows = vec![
        format!("| upgrading {packages} packages | wua | peer | figure | bar |"),
        "|---|---|---|---|---|".to_owned(),
    ];
    let mut row = |what: &str, wua: String, peer: String, figure: String, bar: String| {
        rows.push(format!("| {what} | {wua} | {peer} | {figure} | {bar} |"));
    };

    against_apt(ground, pairs, "", &mut row)?;
    let memory =
        in_memory(wua, packages).inspect_err(|reason| eprintln!("nothing is measured in memory: {reason}"));
    let (quiet, quiet_pairs, place) = match &memory {
        Ok((_, ground)) if !options.quick => (ground, pairs * PAIRS_IN_MEMORY, ", in memory"),
        Ok((_, ground)) => (ground, pairs, ", in memory"),
        Err(_) => (ground, pairs, ""),
    };
    if memory.is_ok() {
        against_apt(quiet, quiet_pairs, place, &mut row)?;
    }

    match unattended::check(ground) {
        Err(reason) => row(
            "unattended-upgrades",
            String::new(),
            String::new(),
            format!("not measured: {reason}"),
            String::new(),
        ),
        Ok(()) => {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for _ in 0..pairs {
                ground.restore(Prepared::Offered)?;
                ours.push(ground.time(&mut ground.wua(&["install", "--all"]))?);
                ground.restore(Prepared::Offered)?;
                theirs.push(ground.time(&mut unattended::upgrade(ground)?)?);
            }
            let faster = median(ours.iter().zip(&theirs).map(|(ours, theirs)| theirs / ours));
            row(
                "fetching and installing: `wua install --all` / `unattended-upgrade`",
                seconds(median(ours)),
                seconds(median(theirs)),
                format!("{faster:.1} times faster"),
                bar(faster >= BAR_OF_UNATTENDED, format!("{BAR_OF_UNATTENDED} times")),
            );
        }
    }

    let (mut keeping, mut plain) = (Vec::new(), Vec::new());
    for _ in 0..pairs {
        for (times, repack) in [(&mut keeping, true), (&mut plain, false)] {
            ground.restore(Prepared::Offered)?;
            ground.repack(repack)?;
            times.push(ground.time(&mut ground.wua(&["download", "--all"]))?);
        }
    }
    let each =
        median(keeping.iter().zip(&plain).map(|(with, without)| with - without)) * 1000.0 / packages as f64;
    row(
        "fetching, with old versions packed again for undo / without",
        seconds(median(keeping)),
        seconds(median(plain)),
        format!("{each:.1} ms a package"),
        "shown".to_owned(),
    );

    let mut held = Vec::new();
    for _ in 0..pairs {
        ground.restore(Prepared::Fetched)?;
        held.push(watched::memory(ground)? / 1e6);
    }
    let held = median(held);
    row(
        "memory of keeper and follower together, at its peak",
        format!("{held:.1} MB"),
        String::new(),
        String::new(),
        bar(held <= BAR_OF_MEMORY, format!("{BAR_OF_MEMORY} MB")),
    );
    row(
        "processes of wua's once the job is over (anything else fails the bench)",
        "0".to_owned(),
        String::new(),
        String::new(),
        bar(true, "0".to_owned()),
    );

    let (mut frozen, mut free) = (Vec::new(), Vec::new());
    for pair in 0..quiet_pairs {
        for is_frozen in [pair % 2 == 0, pair % 2 == 1] {
            quiet.restore(Prepared::Fetched)?;
            let times = if is_frozen { &mut frozen } else { &mut free };
            times.push(watched::job(quiet, is_frozen)?);
        }
    }
    let slower = median(frozen.iter().zip(&free).map(|(frozen, free)| frozen / free - 1.0));
    row(
        &format!("a job whose observer stands still / one that is followed{place}; {quiet_pairs} pairs"),
        seconds(median(frozen)),
        seconds(median(free)),
        format!("{:+.1} %", slower * 100.0),
        bar(slower <= BAR_OF_FROZEN, format!("{:.0} %", BAR_OF_FROZEN * 100.0)),
    );
    rows.push(format!(
        "\nMedians of {pairs} pairs where no other number is told."
    ));
    Ok(rows.join("\n") + "\n")
}

/// The same upgrade by wua and by apt-get, in turn, now one and now the other first.
fn against_apt(
    ground: &Ground,
    pairs: usize,
    place: &str,
    row: &mut impl FnMut(&str, String, String, String, String),
) -> Outcome<()> {
    let (mut ours, mut jobs, mut apt, mut batches) = (Vec::new(), Vec::new(), Vec::new(), 1);
    for pair in 0..pairs {
        for is_ours in [pair % 2 == 0, pair % 2 == 1] {
            ground.restore(Prepared::Fetched)?;
            if is_ours {
                ours.push(ground.time(&mut ground.wua(&["install", "--all"]))?);
                ground.assert_upgraded()?;
                watched::assert_idle(ground)?;
                jobs.push(watched::job_of(ground)?);
                batches = ground.batches()?;
            } else {
                apt.push(ground.time(&mut ground.apt_get_install()?)?);
                ground.assert_upgraded()?;
            }
        }
    }
    let more = |times: &[f64]| median(times.iter().zip(&apt).map(|(ours, apt)| ours - apt)) * 1000.0;
    let more_a_batch = more(&jobs) / batches as f64;
    row(
        &format!(
            "the job, with journal, store, gate and progress / `apt-get install` of the same{place}; {pairs} pairs"
        ),
        seconds(median(jobs.iter().copied())),
        seconds(median(apt.iter().copied())),
        format!("{more_a_batch:.0} ms more a batch ({batches} in all)"),
        bar(more_a_batch <= BAR_OF_BATCH, format!("{BAR_OF_BATCH} ms")),
    );
    row(
        &format!(
            "the command `wua install --all`, which searches and plans, too / the same{place}; {pairs} pairs"
        ),
        seconds(median(ours.iter().copied())),
        seconds(median(apt.iter().copied())),
        format!("{:.0} ms more", more(&ours)),
        "shown".to_owned(),
    );
    Ok(())
}

/// A machine whose files lie in memory, and the folder that it is in.
fn in_memory(wua: &Path, packages: usize) -> Outcome<(tempfile::TempDir, Ground)> {
    let folder = folder_in(Path::new(MEMORY))?;
    let ground = Ground::make(folder.path(), wua, packages)?;
    Ok((folder, ground))
}

/// A folder for the practice machines.
fn folder_in(place: &Path) -> Outcome<tempfile::TempDir> {
    Ok(tempfile::Builder::new().prefix("wua-costs-").tempdir_in(place)?)
}

fn bar(is_met: bool, bar: String) -> String {
    if is_met { bar } else { format!("{bar}, **missed**") }
}

fn seconds(seconds: f64) -> String {
    format!("{seconds:.2} s")
}

fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
