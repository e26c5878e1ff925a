//! What applying costs beside the apt run itself, on a practice set: `cargo bench -p wua-apt --bench apply`.
//!
//! Both sides upgrade equal machines to the same versions with the same archives at hand; machines cannot be reused, so
//! each run gets a new one. The bar is 100 ms a batch.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use wua_apt::apply::{ApplyOptions, apply};
use wua_apt::tree::AptTree;
use wua_engine::handler::{Batch, BatchContext};
use wua_engine::store::{ContentStore, Origin};
use wua_sandbox::{PracticeMachine, Recipe};
use wua_types::{
    HResult, OperationResultCode, Phase, PlannedChange, PlannedUpdate, UpdateId, UpdateIdentity,
    UpdateInstallationResult, UpdateOperation, WaitingFor,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

const RUNS: usize = 9;
const PACKAGES: usize = 20;
const BAR: f64 = 100.0;

fn main() -> Outcome<()> {
    let mut ours = Vec::new();
    let mut peer = Vec::new();
    for run in 0..RUNS {
        // In turn, so that whatever else the machine does hits both sides.
        let pair = if run % 2 == 0 {
            [true, false]
        } else {
            [false, true]
        };
        for is_ours in pair {
            let folder = tempfile::tempdir()?;
            let machine = Machine::new(folder.path())?;
            if is_ours {
                ours.push(milliseconds(machine.apply()?))
            } else {
                peer.push(milliseconds(machine.apt_get()?))
            }
        }
    }
    let fastest = |times: &[f64]| times.iter().copied().fold(f64::INFINITY, f64::min);
    let least = fastest(&ours) - fastest(&peer);
    let more = median(ours.iter().zip(&peer).map(|(ours, peer)| ours - peer).collect());
    println!("{PACKAGES} updates in one batch, {RUNS} pairs, in milliseconds");
    println!("apt-get alone {:>8.0}", median(peer));
    println!("wua           {:>8.0}", median(ours));
    println!(
        "more          {more:>8.0} (median of the pairs, bar {BAR}), {least:.0} (fastest against fastest)"
    );
    println!(
        "{}",
        if more > BAR {
            "over the bar"
        } else {
            "within the bar"
        }
    );
    Ok(())
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

struct Machine {
    practice: PracticeMachine,
    updates: Vec<PlannedUpdate>,
}

impl Machine {
    fn new(folder: &Path) -> Outcome<Self> {
        let recipe = Recipe {
            updates: PACKAGES,
            ..Recipe::default()
        };
        let practice = PracticeMachine::create(&folder.join("machine"), &recipe)?;
        practice.apt_get(&["-y", "-q", "-d", "upgrade", "--with-new-pkgs"])?;
        let store = ContentStore::new(practice.root().join("var/lib/wua/store"));
        let mut updates = Vec::new();
        for entry in fs::read_dir(practice.root().join("var/cache/apt/archives"))? {
            let path = entry?.path();
            let Some(name) = path
                .file_name()
                .and_then(|name| name.to_str())
                .and_then(|name| name.strip_suffix(".deb"))
            else {
                continue;
            };
            let fields: Vec<_> = name.split('_').collect();
            let [name, version, architecture] = fields[..] else {
                return Err("an odd archive".into());
            };
            let from = practice
                .dpkg_state(name)
                .map(|(_, version)| version)
                .filter(|version| !version.is_empty());
            let content = store.put(&path, None, name, Origin::Downloaded)?;
            let change = PlannedChange {
                name: name.into(),
                architecture: architecture.into(),
                from,
                to: Some(version.replace("%3a", ":")),
                archive: Some(content.sha256),
            };
            updates.push(PlannedUpdate {
                identity: UpdateIdentity {
                    update_id: UpdateId(uuid::Uuid::from_u128(updates.len() as u128)),
                    revision_number: 1,
                },
                title: name.into(),
                changes: vec![change],
                unpacked_bytes: 0,
            });
        }
        Ok(Self { practice, updates })
    }

    fn apply(&self) -> Outcome<Duration> {
        let tree = AptTree::open(self.practice.root())?;
        let store = ContentStore::new(self.practice.root().join("var/lib/wua/store"));
        let members: Vec<_> = (0..self.updates.len()).collect();
        let batch = Batch {
            operation: UpdateOperation::Installation,
            plan: &self.updates,
            members: &members,
            number: 0,
            folder: &self.practice.root().join("var/lib/wua/jobs/bench"),
            store: &store,
        };
        let mut counter = Counter::default();
        let start = Instant::now();
        apply(&tree, &batch, &ApplyOptions::default(), &mut counter)?;
        let time = start.elapsed();
        if counter.succeeded == members.len() {
            Ok(time)
        } else {
            Err("not all updates succeeded".into())
        }
    }

    fn apt_get(&self) -> Outcome<Duration> {
        let changes = self.updates.iter().flat_map(|update| &update.changes);
        let wanted =
            changes.map(|change| format!("{}={}", change.name, change.to.as_deref().unwrap_or_default()));
        let arguments: Vec<_> = ["-y", "-q", "install"]
            .map(Into::into)
            .into_iter()
            .chain(wanted)
            .collect();
        let start = Instant::now();
        let output = self.practice.apt_get::<String>(&arguments)?;
        let time = start.elapsed();
        if output.status.success() {
            Ok(time)
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into())
        }
    }
}

#[derive(Default)]
struct Counter {
    succeeded: usize,
}

impl BatchContext for Counter {
    fn stage(&mut self, _stage: Option<wua_engine::stage::Stage>) {}
    fn abort_requested(&self) -> bool {
        false
    }
    fn changing(&mut self) {}
    fn step(&mut self, _update: usize, _done: u32, _total: u32, _phase: Phase) {}
    fn waiting(&mut self, _what: Option<WaitingFor>) {}
    fn finished(&mut self, _update: usize, result: UpdateInstallationResult) {
        self.succeeded += usize::from(result.result_code == OperationResultCode::Succeeded);
    }
    fn warning(&mut self, _code: HResult, _message: String) {}
}
