//! The ordeal: kills wua, apt, dpkg and maintainer scripts at random instants of real jobs on practice machines, and looks whether
//! one more wua command makes the machine whole. `cargo run --release -p wua-cli --example ordeal -- --rounds N --seed S`
//!
//! The judge does not ask wua: it reads dpkg's states and compares installed files with what their packages hold. In every other
//! round the machine that the kill left is also given to plain `dpkg --configure -a`, for comparison, before wua gets it; in the
//! rounds between wua has to cope while survivors still run.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people, with one line of counts"
)]

mod chance;
mod judge;
mod practice;
mod victims;

use std::error::Error;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use crate::chance::Chance;
use crate::judge::{Verdict, judge};
use crate::practice::{Practice, Snapshot};
use crate::victims::{Victim, kill, processes_of};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Longer than any job here takes: what still runs then hangs.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct Counts {
    rounds: u32,
    killed: u32,
    unfinished: u32,
    healed_by_wua: u32,
    healed_by_configure: u32,
    lost: u32,
    lies: u32,
    doubled: u32,
    manual: u32,
    hung: u32,
    slowest: Duration,
}

struct Options {
    rounds: u32,
    seed: u64,
    wua: PathBuf,
}

fn main() -> Outcome<ExitCode> {
    let options = options()?;
    println!("ordeal: {} rounds, seed {}", options.rounds, options.seed);
    let mut chance = Chance::new(options.seed);
    let folder = tempfile::Builder::new().prefix("wua-ordeal-").tempdir()?;
    let practice = Practice::make(folder.path(), &options.wua)?;
    let lengths = [
        practice.length_of(Snapshot::Old)?,
        practice.length_of(Snapshot::New)?,
    ];
    let mut counts = Counts::default();
    for number in 0..options.rounds {
        let round = Round::draw(&mut chance, number, &lengths);
        let before = counts.failures();
        round.run(&practice, &mut counts)?;
        if counts.failures() > before {
            eprintln!("round {number}: {round:?}: {counts:?}");
        }
    }
    if counts.failures() > 0 {
        std::mem::forget(folder);
    }
    println!(
        "rounds {} (a kill hit something in {}), unfinished after the kill {}, healed by wua {}, healed by plain `dpkg --configure -a` {}; \
         lost updates {}, false results {}, scripts twice at once {}, manual steps {}, hung {}; slowest heal {:.1} s",
        counts.rounds,
        counts.killed,
        counts.unfinished,
        counts.healed_by_wua,
        counts.healed_by_configure,
        counts.lost,
        counts.lies,
        counts.doubled,
        counts.manual,
        counts.hung,
        counts.slowest.as_secs_f64(),
    );
    Ok(if counts.failures() == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl Counts {
    fn failures(&self) -> u32 {
        self.lost + self.lies + self.doubled + self.manual + self.hung
    }
}

fn options() -> Outcome<Options> {
    let mut options = Options {
        rounds: 20,
        seed: std::process::id().into(),
        wua: practice::beside_this_program()?,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("`{word}` needs a value"))?;
        match word.as_str() {
            "--rounds" => options.rounds = value.parse()?,
            "--seed" => options.seed = value.parse()?,
            "--wua" => options.wua = value.into(),
            _ => return Err(format!("`{word}` is not known; --rounds, --seed and --wua are").into()),
        }
    }
    Ok(options)
}

/// What one round does; drawn beforehand, so that it can be told and repeated.
#[derive(Debug)]
struct Round {
    /// From which state: an upgrade of the old one, or an undo of the new one.
    from: Snapshot,
    victim: Victim,
    /// When, after the begin.
    instant: Duration,
    /// Whether the first attempt to heal is killed too, and when.
    again: Option<(Victim, Duration)>,
    /// Whether the healer is `wua repair`; else it is simply the job again.
    repair: bool,
    /// Whether survivors may end first, and plain dpkg gets its chance on a copy.
    compare: bool,
}

impl Round {
    fn draw(chance: &mut Chance, number: u32, lengths: &[practice::Length; 2]) -> Self {
        let from = if chance.below(10) < 7 {
            Snapshot::Old
        } else {
            Snapshot::New
        };
        let length = &lengths[from as usize];
        // Half of the instants lie where dpkg works.
        let instant = if chance.below(2) == 0 {
            chance.duration(Duration::ZERO, length.whole)
        } else {
            chance.duration(length.dpkg_from, length.whole)
        };
        let victim = Victim::ALL[chance.below(Victim::ALL.len() as u64) as usize];
        let again = (chance.below(5) == 0).then(|| {
            (
                Victim::ALL[chance.below(Victim::ALL.len() as u64) as usize],
                chance.duration(Duration::ZERO, length.whole),
            )
        });
        Self {
            from,
            victim,
            instant,
            again,
            repair: chance.below(2) == 0,
            compare: number.is_multiple_of(2),
        }
    }

    fn run(&self, practice: &Practice, counts: &mut Counts) -> Outcome<()> {
        counts.rounds += 1;
        practice.restore(self.from)?;
        let job = practice.job_of(self.from);
        let mut front = practice.start(job)?;
        std::thread::sleep(self.instant);
        counts.killed += u32::from(kill(self.victim, front.id(), practice.root()) > 0);
        let mut unfinished = false;
        if self.compare {
            wait_for_silence(practice, &mut front, counts)?;
            unfinished = !judge(practice)?.is_whole;
            counts.unfinished += u32::from(unfinished);
            counts.healed_by_configure += u32::from(unfinished && practice.configure_copy()?);
        }
        if let Some((victim, instant)) = self.again {
            let mut healer = practice.start(&["repair"])?;
            std::thread::sleep(instant);
            kill(victim, healer.id(), practice.root());
            finish(&mut healer, counts)?;
        }
        if !matches!(self.victim, Victim::Follower | Victim::Keeper | Victim::All) {
            // The job lives and ends by itself; whoever came before that would only be told to wait.
            finish(&mut front, counts)?;
        }
        let healer = if self.repair { &["repair"][..] } else { job };
        let begun = Instant::now();
        let mut healing = practice.start(healer)?;
        finish(&mut healing, counts)?;
        counts.slowest = counts.slowest.max(begun.elapsed());
        finish(&mut front, counts)?;
        wait_for_silence(practice, &mut front, counts)?;
        let healed = judge(practice)?;
        counts.healed_by_wua += u32::from(unfinished && healed.is_whole);
        counts.manual += u32::from(!healed.is_whole);
        counts.lies += practice.false_results(&healed)?;
        // Whatever the kill cost, the job done again must bring everything where it belongs.
        let mut next = practice.start(job)?;
        finish(&mut next, counts)?;
        let end = judge(practice)?;
        counts.lost += self.lost(&end);
        counts.doubled += practice.doubled();
        Ok(())
    }

    fn lost(&self, end: &Verdict) -> u32 {
        let wanted = if self.from == Snapshot::Old { "2" } else { "1" };
        end.versions
            .iter()
            .filter(|(name, version)| !practice::is_extra(name) && version.as_str() != wanted)
            .count() as u32
    }
}

fn finish(child: &mut Child, counts: &mut Counts) -> Outcome<()> {
    let limit = Instant::now() + PATIENCE;
    while child.try_wait()?.is_none() {
        if Instant::now() > limit {
            counts.hung += 1;
            child.kill()?;
            child.wait()?;
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Waits until nothing works on the practice machine any more.
fn wait_for_silence(practice: &Practice, front: &mut Child, counts: &mut Counts) -> Outcome<()> {
    let limit = Instant::now() + PATIENCE;
    loop {
        // A follower that waits for a lost keeper is no work.
        let _ = front.try_wait()?;
        let working = processes_of(practice.root())
            .into_iter()
            .any(|process| process.pid != front.id() && process.is_worker());
        if !working {
            return Ok(());
        }
        if Instant::now() > limit {
            counts.hung += 1;
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A command of wua with its words going nowhere.
fn quiet(command: &mut Command) -> &mut Command {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
}
