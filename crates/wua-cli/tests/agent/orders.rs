//! All orders of calls: plans, authorisations, selections and aborts, while somebody changes indexes, packages and archives in
//! between. Whatever comes of them: what a job changed is what was authorised for it, and nothing else.

use std::collections::BTreeMap;
use std::fs;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use serde_json::{Value, json};
use uuid::Uuid;
use wua_sandbox::{Package, Suite};

use crate::api::{Agent, Door};
use crate::harness::Machine;

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The caller has everything downloaded.
    Download,
    /// The caller has a plan made of everything.
    Plan,
    /// The caller authorises the last plan.
    Authorize,
    /// The caller has everything installed, unplanned.
    Select,
    /// The caller asks the last job to stop.
    Abort,
    /// The archive publishes a newer version of one update, and the indexes are fetched.
    Publish,
    /// The machine's owner installs an update with apt.
    InstallByHand,
    /// The archives in the content store change.
    Damage,
}

/// Each as often as it takes for jobs to be begun at all.
const STEPS: [(Step, u32); 8] = [
    (Step::Download, 5),
    (Step::Plan, 4),
    (Step::Authorize, 5),
    (Step::Select, 2),
    (Step::Abort, 1),
    (Step::Publish, 1),
    (Step::InstallByHand, 1),
    (Step::Damage, 1),
];

/// A package, by name, and the version that it is or comes to.
type Versions = BTreeMap<String, String>;

/// A job that may still run: the versions before it, and those that it was authorised to bring.
struct Job {
    id: String,
    before: Versions,
    authorized: Versions,
}

struct Play {
    agent: Agent,
    plan: Option<Value>,
    job: Option<Job>,
    published: u32,
    /// How many jobs changed something, and how many were refused or failed as a whole.
    counts: (usize, usize),
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

impl Play {
    fn new() -> Self {
        Self {
            agent: Agent::serve(Machine::new(2, &[])),
            plan: None,
            job: None,
            published: 0,
            counts: (0, 0),
        }
    }

    fn installed(&self) -> Versions {
        let machine = &self.agent.machine;
        let mut listing = machine.practice.command("dpkg-query");
        listing.arg("--admindir").arg(machine.path("var/lib/dpkg"));
        listing.args(["-W", "-f", "${Package} ${Version}\\n"]);
        let listed = String::from_utf8(listing.output().expect("dpkg-query runs").stdout).expect("text");
        let lines = listed.lines().filter_map(|line| line.split_once(' '));
        let versions: Versions = lines
            .map(|(name, version)| (name.to_owned(), version.to_owned()))
            .collect();
        assert!(versions.contains_key("inkpot"), "{listed}");
        versions
    }

    /// Everything that is offered: ids, and the versions that they bring.
    fn offered(&self) -> (Vec<String>, Versions) {
        let found = self.agent.get("/updates");
        let updates = found["updates"].as_array().expect("a list");
        let changes = updates
            .iter()
            .flat_map(|update| update["bundled_updates"].as_array().into_iter().flatten());
        let versions = changes
            .map(|child| {
                (
                    text(&child["package"]["name"]),
                    text(&child["package"]["candidate"]),
                )
            })
            .collect();
        (
            updates.iter().map(|update| text(&update["id"])).collect(),
            versions,
        )
    }

    /// Waits for the last job, and holds what it changed against what was authorised.
    fn settle(&mut self) {
        let Some(job) = self.job.take() else { return };
        let done = self.agent.finish(&job.id);
        let after = self.installed();
        self.counts.0 += usize::from(after != job.before);
        self.counts.1 += usize::from(done["outcome"]["result_code"] == 4);
        for (package, version) in &after {
            let before = job.before.get(package);
            let may = before == Some(version) || job.authorized.get(package) == Some(version);
            assert!(
                may,
                "{package} is {version}, was {before:?}, authorised was {:?}\n{done:#}",
                job.authorized
            );
        }
        assert!(
            job.before.keys().all(|package| after.contains_key(package)),
            "nothing is removed"
        );
    }

    /// Begins a job that may be refused.
    fn begin(&mut self, request: Value, authorized: Versions) {
        let (id, before) = (Uuid::new_v4().to_string(), self.installed());
        let reply = self.agent.put_job(&id, request);
        if reply.status == 201 {
            self.job = Some(Job {
                id,
                before,
                authorized,
            });
        } else {
            self.counts.1 += 1;
            assert_eq!(
                self.installed(),
                before,
                "what was refused changed nothing: {:#}",
                reply.body
            );
        }
    }

    fn step(&mut self, step: Step) {
        if step != Step::Abort {
            self.settle();
        }
        match step {
            Step::Download => {
                let (updates, _) = self.offered();
                self.begin(
                    json!({ "operation": "download", "updates": updates }),
                    Versions::new(),
                );
            }
            Step::Plan => {
                let (updates, _) = self.offered();
                let request = json!({ "operation": 1, "updates": updates });
                let reply = self.agent.call(Door::Control, "POST", "/plans", Some(request));
                self.plan = (reply.status == 200).then_some(reply.body);
            }
            Step::Authorize => {
                // The plan stays here, so that the next authorisation of it is one too many.
                let Some(plan) = self.plan.clone() else { return };
                let updates = plan["plan"]["updates"].as_array().expect("a list");
                let changes = updates
                    .iter()
                    .flat_map(|update| update["changes"].as_array().into_iter().flatten());
                let authorized = changes
                    .map(|change| (text(&change["name"]), text(&change["to"])))
                    .collect();
                self.begin(
                    json!({ "operation": "install", "plan": plan["hash"] }),
                    authorized,
                );
            }
            Step::Select => {
                let (updates, authorized) = self.offered();
                self.begin(json!({ "operation": "install", "updates": updates }), authorized);
            }
            Step::Abort => {
                if let Some(job) = &self.job {
                    self.agent
                        .call(Door::Control, "POST", &format!("/jobs/{}/abort", job.id), None)
                        .is(202);
                }
            }
            Step::Publish => {
                self.published += 1;
                let practice = &self.agent.machine.practice;
                let newer = Package::new("inkpot", format!("4.2.{}-1", self.published + 2))
                    .architecture(practice.architecture());
                practice.publish(Suite::Practice, &[newer]).expect("published");
                practice.refresh().expect("refreshed");
            }
            Step::InstallByHand => {
                let words = ["-y", "install", "inkpot"];
                assert!(
                    self.agent
                        .machine
                        .practice
                        .apt_get(&words)
                        .expect("runs")
                        .status
                        .success()
                );
            }
            Step::Damage => {
                let folder = self.agent.machine.path("var/lib/wua/store/sha256");
                let folders = fs::read_dir(folder).into_iter().flatten().flatten();
                let files =
                    folders.flat_map(|folder| fs::read_dir(folder.path()).into_iter().flatten().flatten());
                for file in files
                    .map(|entry| entry.path())
                    .filter(|path| path.extension().is_some_and(|end| end == "deb"))
                {
                    let mut content = fs::read(&file).expect("readable");
                    if let Some(byte) = content.last_mut() {
                        *byte ^= 1;
                    }
                    fs::write(&file, content).expect("writable");
                }
            }
        }
    }
}

/// Plays `count` random sequences.
#[expect(clippy::print_stdout, reason = "the sequence that failed is to be seen")]
fn play(count: usize) {
    let mut random = StdRng::seed_from_u64(1);
    let mut counts = (0, 0);
    for _ in 0..count {
        let steps: Vec<Step> = (0..9)
            .map(|_| {
                STEPS
                    .choose_weighted(&mut random, |(_, weight)| *weight)
                    .expect("steps")
                    .0
            })
            .collect();
        println!("{steps:?}");
        let mut play = Play::new();
        steps.into_iter().for_each(|step| play.step(step));
        play.settle();
        counts = (counts.0 + play.counts.0, counts.1 + play.counts.1);
    }
    println!(
        "{} jobs changed something, {} were refused or failed",
        counts.0, counts.1
    );
    assert!(
        counts.0 * 4 >= count && counts.1 * 4 >= count,
        "hardly anything was tried: {counts:?}"
    );
}

#[test]
fn whatever_the_order_of_calls_only_what_was_authorised_is_done() {
    play(10);
}

#[test]
#[ignore = "takes minutes; run it with --ignored after a change of what is authorised"]
fn whatever_the_order_of_a_thousand_calls_only_what_was_authorised_is_done() {
    play(150);
}

/// The order in which each step has its turn against the machine's changes.
#[test]
fn a_plan_is_worth_nothing_after_each_change_of_the_machine() {
    for change in [Step::Publish, Step::InstallByHand, Step::Damage] {
        let mut play = Play::new();
        for step in [
            Step::Download,
            Step::Plan,
            change,
            Step::Authorize,
            Step::Authorize,
            Step::Download,
            Step::Select,
        ] {
            play.step(step);
        }
        play.settle();
    }
}
