//! The ordeal: kills wua, apt, dpkg and maintainer scripts at random instants of real jobs on practice machines, and looks whether
//! one more wua command makes the machine whole. `cargo run --release -p wua-cli --example ordeal -- --rounds N --seed S`
//!
//! The judge does not ask wua: it reads dpkg's states and compares installed files with those that plain apt-get installed. In
//! every other round the healer comes while survivors still run. Each upgrade is also done by plain apt-get, killed in the same way
//! at the same instant, and then given to `dpkg --configure -a`, which is all that the peers do.
//!
//! With `--root TREE` the machine is a copy of a real root that has pending updates, for which the program needs root's rights.
//! A machine that a round leaves otherwise than promised is put aside, and its place is told.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people, with one line of counts"
)]

mod chance;
#[path = "../common/mod.rs"]
mod common;
mod expected;
mod ground;
mod judge;
mod practice;
mod victims;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use crate::chance::Chance;
use crate::common::wua_beside_this_program;
use crate::ground::{Ground, Length, Snapshot, opposite};
use crate::judge::judge;
use crate::victims::{Process, Victim, kill, processes_of};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Longer than any job here takes: what still runs then hangs.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct Counts {
    rounds: u32,
    killed: u32,
    /// The kill hit something in front of dpkg's work, in a download or a plan.
    killed_early: u32,
    /// A second kill hit something while wua was at healing.
    killed_again: u32,
    /// What the kill left running had ended, and the machine was unfinished; looked at in every other round.
    unfinished: u32,
    healed: u32,
    /// The same kills at plain apt-get.
    plain: u32,
    plain_unfinished: u32,
    plain_healed: u32,
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
    root: Option<PathBuf>,
}

fn main() -> Outcome<ExitCode> {
    let options = options()?;
    println!("ordeal: {} rounds, seed {}", options.rounds, options.seed);
    let mut chance = Chance::new(options.seed);
    let folder = tempfile::Builder::new().prefix("wua-ordeal-").tempdir()?;
    let ground = Ground::make(folder.path(), &options.wua, options.root.as_deref())?;
    let lengths = [ground.length_of(Snapshot::Old)?, ground.length_of(Snapshot::New)?];
    let plain_length = ground.plain_length()?;
    let mut counts = Counts::default();
    for number in 0..options.rounds {
        let round = Round::draw(&mut chance, number, &lengths);
        let before = counts.failures();
        round.run(&ground, &mut counts)?;
        if counts.failures() > before {
            let place = ground.put_aside(number)?;
            eprintln!("round {number}: {round:?}; the machine is in {}", place.display());
        }
        if round.from == Snapshot::Old {
            let share = round.instant.as_secs_f64() / lengths[Snapshot::Old as usize].whole.as_secs_f64();
            let (unfinished, healed) =
                ground.baseline(round.victim.without_wua(), plain_length.mul_f64(share))?;
            counts.plain += 1;
            counts.plain_unfinished += u32::from(unfinished);
            counts.plain_healed += u32::from(healed);
        }
    }
    if counts.failures() > 0 {
        // What was put aside is worth a look.
        let _ = folder.keep();
    }
    println!(
        "rounds {} (a kill hit something in {}, {} times before packages were touched; a second one, while wua healed, in {}), left \
         unfinished once all had ended {}, healed by one more command {}; lost updates {}, false results {}, scripts twice at once {}, \
         manual steps {}, hung {}; slowest heal {:.1} s, where an undisturbed job takes {:.1} s",
        counts.rounds,
        counts.killed,
        counts.killed_early,
        counts.killed_again,
        counts.unfinished,
        counts.healed,
        counts.lost,
        counts.lies,
        counts.doubled,
        counts.manual,
        counts.hung,
        counts.slowest.as_secs_f64(),
        lengths[0].whole.as_secs_f64(),
    );
    println!(
        "the same kills at plain apt-get: rounds {}, left unfinished {}, healed by `dpkg --configure -a` {}, manual steps {}",
        counts.plain,
        counts.plain_unfinished,
        counts.plain_healed,
        counts.plain_unfinished - counts.plain_healed,
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
        wua: wua_beside_this_program()?,
        root: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("`{word}` needs a value"))?;
        match word.as_str() {
            "--rounds" => options.rounds = value.parse()?,
            "--seed" => options.seed = value.parse()?,
            "--wua" => options.wua = value.into(),
            "--root" => options.root = Some(value.into()),
            _ => return Err(format!("`{word}` is not known; --rounds, --seed, --wua and --root are").into()),
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
    /// Whether survivors may end before the healer comes.
    patient: bool,
}

impl Round {
    fn draw(chance: &mut Chance, number: u32, lengths: &[Length; 2]) -> Self {
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
        // What heals is shorter than the job.
        let again = (chance.below(4) == 0).then(|| {
            (
                Victim::ALL[chance.below(Victim::ALL.len() as u64) as usize],
                chance.duration(Duration::ZERO, length.whole / 2),
            )
        });
        Self {
            from,
            victim,
            instant,
            again,
            repair: chance.below(2) == 0,
            patient: number.is_multiple_of(2),
        }
    }

    fn run(&self, ground: &Ground, counts: &mut Counts) -> Outcome<()> {
        counts.rounds += 1;
        ground.restore(self.from)?;
        let job = ground.job_of(self.from);
        let judge = || judge(ground.root(), ground.expected());
        let mut front = ground.start(job)?;
        std::thread::sleep(self.instant);
        let is_early = !ground.root().join("var/lib/wua/jobs").exists();
        let has_hit = kill(self.victim, front.id(), ground.root()) > 0;
        counts.killed += u32::from(has_hit);
        counts.killed_early += u32::from(has_hit && is_early && self.from == Snapshot::Old);
        let mut unfinished = false;
        if self.patient {
            counts.hung += u32::from(!wait_for_silence(ground.root(), Some(&mut front))?);
            unfinished = !judge()?.is_whole();
            counts.unfinished += u32::from(unfinished);
        }
        if let Some((victim, instant)) = self.again {
            let mut healer = ground.start(&["repair"])?;
            std::thread::sleep(instant);
            counts.killed_again += u32::from(kill(victim, healer.id(), ground.root()) > 0);
            finish(&mut healer, counts)?;
        }
        let last = self.again.map_or(self.victim, |(victim, _)| victim);
        if !matches!(last, Victim::Keeper | Victim::All) {
            // The job lives and ends by itself; whoever came before that would only be told to wait.
            counts.hung += u32::from(!wait_for_silence(ground.root(), Some(&mut front))?);
        }
        let healer = if self.repair { &["repair"][..] } else { job };
        let begun = Instant::now();
        let mut healing = ground.start(healer)?;
        finish(&mut healing, counts)?;
        let refused = healing.wait()?.code() == Some(5);
        if refused && is_at_work(ground.root()) {
            // The first front gave the job a new keeper meanwhile, so this command was told to wait for it and to come again.
            counts.hung += u32::from(!wait_for_silence(ground.root(), Some(&mut front))?);
            healing = ground.start(healer)?;
            finish(&mut healing, counts)?;
        }
        counts.slowest = counts.slowest.max(begun.elapsed());
        finish(&mut front, counts)?;
        counts.hung += u32::from(!wait_for_silence(ground.root(), Some(&mut front))?);
        let healed = judge()?;
        counts.healed += u32::from(unfinished && healed.is_whole());
        counts.manual += u32::from(!healed.is_whole());
        healed
            .troubles
            .iter()
            .for_each(|trouble| eprintln!("  after one more command: {trouble}"));
        let lies = ground.false_results(self.from, &healed)?;
        lies.iter().for_each(|lie| eprintln!("  false: {lie}"));
        counts.lies += lies.len() as u32;
        // Whatever the kill cost, the job done again must bring everything where it belongs.
        let mut next = ground.start(job)?;
        finish(&mut next, counts)?;
        let (end, expected) = (judge()?, ground.expected());
        let lost = expected
            .changed()
            .filter(|name| !end.is_at(name, opposite(self.from), expected));
        for name in lost {
            eprintln!("  lost: {name}");
            counts.lost += 1;
        }
        counts.doubled += ground.doubled();
        Ok(())
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

fn is_at_work(root: &Path) -> bool {
    processes_of(root).iter().any(Process::is_worker)
}

/// Waits until nothing works on the machine any more; whether that came to be.
fn wait_for_silence(root: &Path, mut front: Option<&mut Child>) -> Outcome<bool> {
    let limit = Instant::now() + PATIENCE;
    loop {
        // A follower that waits for a lost keeper is no work.
        let follower = front
            .as_mut()
            .map(|front| front.try_wait().map(|_| front.id()))
            .transpose()?;
        let working = processes_of(root)
            .into_iter()
            .any(|process| Some(process.pid) != follower && process.is_worker());
        if !working {
            return Ok(true);
        }
        if Instant::now() > limit {
            return Ok(false);
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
