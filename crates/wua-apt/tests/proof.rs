//! The proof against APT: where our reading claims to know what `apt-get upgrade --with-new-pkgs` takes, APT takes exactly that.
//!
//! The machines are random: few names, so that everything meets everything, with dependencies, alternatives, virtual packages,
//! conflicts, recommendations, holds, pins, phasing, half-installed packages and foreign architectures. `cargo test` looks at some
//! hundred; `cargo test --release -p wua-apt --test proof -- --ignored --nocapture` at many more, and at machines made of this
//! machine's own packages and indexes.

#![expect(clippy::print_stdout, reason = "counts for whoever reads the test's output")]

#[path = "reader/generator.rs"]
mod generator;
#[path = "reader/machine.rs"]
mod machine;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use generator::Random;
use machine::{Entry, Machine, TestArchive, TestTree, foreign_architecture, native_architecture};
use wua_apt::proof;
use wua_apt::reader::Reading;

const NAMES: [&str; 14] = [
    "alder", "beech", "birch", "cedar", "elm", "fir", "hazel", "larch", "lime", "maple", "oak", "pine",
    "rowan", "yew",
];
const VIRTUAL: [&str; 3] = ["leaf", "needle", "seed"];
const VERSIONS: [&str; 4] = ["1", "1.5", "2", "3~rc1"];

/// What came of many machines.
#[derive(Debug, Default)]
struct Tally {
    machines: u64,
    proven: u64,
    with_upgrades: u64,
    upgrades: u64,
    unclear: BTreeMap<String, u64>,
}

impl Tally {
    fn tell(&self, what: &str) {
        let share = 100.0 * self.proven as f64 / self.machines as f64;
        println!("{what}: {share:.1} % answered without APT, all as APT does; {self:#?}");
    }
}

/// Name and new version of everything that APT's simulation of `words` installs, or why it refuses.
fn apt_says(tree: &TestTree, words: &[String]) -> Result<BTreeSet<(String, String)>, String> {
    let output = std::process::Command::new("apt-get")
        .args(["-s", "-q"])
        .args(words)
        .env_clear()
        .envs([("LC_ALL", "C.UTF-8"), ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")])
        .env("APT_CONFIG", tree.root().join("etc/apt/practice.conf"))
        .output()
        .expect("apt-get runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let steps = text.lines().filter_map(|line| {
        let (verb, rest) = line.split_once(' ')?;
        let mut words = rest.split(' ');
        match verb {
            "Inst" => {
                let name = words.next()?.split(':').next()?.to_owned();
                let version = words.find_map(|word| word.strip_prefix('('))?.to_owned();
                Some((name, version))
            }
            "Remv" => Some((words.next()?.to_owned(), "removed".to_owned())),
            _ => None,
        }
    });
    if output.status.success() {
        Ok(steps.collect())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn look(seed: u64, tree: &TestTree, tally: &Mutex<Tally>) {
    let reading = Reading::of(&tree.open()).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let proven = proof::upgrades(&reading);
    let mut tally = tally.lock().expect("no test panicked");
    tally.machines += 1;
    let taken = match proven {
        Ok(taken) => taken,
        Err(unclear) => {
            *tally.unclear.entry(unclear.to_owned()).or_default() += 1;
            return;
        }
    };
    tally.proven += 1;
    tally.with_upgrades += u64::from(!taken.is_empty());
    tally.upgrades += taken.len() as u64;
    drop(tally);
    let ours: BTreeSet<(String, String)> = taken
        .iter()
        .map(|candidate| (candidate.record.package.clone(), candidate.record.version.clone()))
        .collect();
    let upgrade = ["upgrade", "--with-new-pkgs"].map(str::to_owned);
    let says = apt_says(tree, &upgrade);
    assert_eq!(says.as_ref(), Ok(&ours), "seed {seed}\n{}", tree.describe(&NAMES));
    if !ours.is_empty() {
        // An installation of just these is planned without asking, too.
        let versions = taken.iter().map(|candidate| {
            let record = &candidate.record;
            format!("{}:{}={}", record.package, record.architecture, record.version)
        });
        let install: Vec<String> = std::iter::once("install".to_owned()).chain(versions).collect();
        let says = apt_says(tree, &install);
        assert_eq!(
            says,
            Ok(ours),
            "seed {seed}, installed\n{}",
            tree.describe(&NAMES)
        );
    }
}

fn look_at(seeds: std::ops::Range<u64>, make: impl Fn(&mut Random) -> TestTree + Sync) -> Tally {
    let tally = Mutex::new(Tally::default());
    let next = AtomicU64::new(seeds.start);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    look(seed, &make(&mut Random::new(seed)), &tally);
                }
            });
        }
    });
    tally.into_inner().expect("no test panicked")
}

fn random_tree(random: &mut Random) -> TestTree {
    machine(random).write()
}

/// A machine whose packages mostly fit together: relations speak of names, virtual names and versions that exist.
fn machine(random: &mut Random) -> Machine {
    // How wild it is: mostly plain machines, some with everything.
    let wild = random.pick(&[0, 0, 0, 1, 3, 10]);
    let there: Vec<&str> = NAMES.into_iter().filter(|_| random.chance(70)).collect();
    let mut installed = Vec::new();
    let mut offered = Vec::new();
    for name in NAMES {
        let is_installed = there.contains(&name);
        let old = random.pick(&VERSIONS[..2]);
        let relations = relations(random, wild, name, &there);
        if is_installed {
            let selection = if random.chance(2 * wild) {
                "hold"
            } else {
                "install"
            };
            let state = if random.chance(wild / 2) {
                "half-configured"
            } else {
                "installed"
            };
            let entry = entry(random, name, old, wild, relations.clone());
            installed.push(Entry {
                status: format!("{selection} ok {state}"),
                ..entry
            });
        }
        // An archive may have the installed version, a newer one, both, or none.
        for version in [old, random.pick(&VERSIONS)] {
            if random.chance(75) {
                let changed = random.chance(20 + 3 * wild);
                // Of the installed version an archive rarely has another one.
                let relations = if changed && (version != old || random.chance(wild)) {
                    self::relations(random, wild, name, &there)
                } else {
                    relations.clone()
                };
                let mut entry = entry(random, name, version, wild, relations);
                if random.chance(wild) {
                    entry.fields.push_str("Phased-Update-Percentage: 40\n");
                }
                entry
                    .fields
                    .push_str(&format!("Filename: pool/{name}_{version}.deb\nSize: 10\n"));
                offered.push(entry);
            }
        }
    }
    let native = native_architecture().to_owned();
    let mut archives = vec![archive("stable", native.clone(), offered)];
    if random.chance(30) {
        let mut newer = Vec::new();
        for name in NAMES {
            if random.chance(20) {
                let relations = relations(random, wild, name, &there);
                let mut entry = entry(random, name, "3", wild, relations);
                entry
                    .fields
                    .push_str(&format!("Filename: pool/{name}_3.deb\nSize: 10\n"));
                newer.push(entry);
            }
        }
        archives.push(archive("stable-security", native, newer));
    }
    let mut preferences = Vec::new();
    if random.chance(3 * wild) {
        let name = random.pick(&NAMES);
        let pin = random.pick(&["version 1", "release a=stable", "version 2"]);
        let priority = random.pick(&["-1", "400", "990", "1001"]);
        preferences.push(format!("Package: {name}\nPin: {pin}\nPin-Priority: {priority}\n"));
    }
    let settings = match random.below(12) {
        0 => "APT::Install-Recommends \"false\";\n",
        1 if wild > 1 => "APT::Install-Suggests \"true\";\n",
        _ => "",
    };
    Machine {
        installed,
        archives,
        preferences,
        default_release: None,
        settings: settings.to_owned(),
    }
}

fn archive(suite: &str, architecture: String, entries: Vec<Entry>) -> TestArchive {
    TestArchive {
        uri: "http://deb.example.org/debian".to_owned(),
        suite: suite.to_owned(),
        release: format!("Suite: {suite}\nCodename: {suite}\nOrigin: Debian\nLabel: Debian\n"),
        indexes: vec![("main".to_owned(), architecture, entries)],
    }
}

fn entry(random: &mut Random, name: &str, version: &str, wild: usize, fields: String) -> Entry {
    let architecture = match random.chance(wild / 2) {
        true => foreign_architecture(),
        false if name.len() == 3 => "all",
        false => native_architecture(),
    };
    let multi_arch = match name {
        "oak" | "elm" => "Multi-Arch: allowed\n",
        "fir" => "Multi-Arch: same\n",
        _ => "",
    };
    Entry {
        package: name.to_owned(),
        architecture: architecture.to_owned(),
        version: version.to_owned(),
        source: None,
        status: String::new(),
        fields: fields + multi_arch,
    }
}

/// Relation fields of one version. On a tame machine most of them hold.
fn relations(random: &mut Random, wild: usize, own: &str, there: &[&str]) -> String {
    let mut fields = String::new();
    let mut field = |random: &mut Random, name: &str, percent: usize, forbidding: bool| {
        if random.chance(percent) {
            let groups: Vec<String> = (0..1 + random.below(2))
                .map(|_| group(random, wild, own, there, forbidding))
                .collect();
            fields.push_str(&format!("{name}: {}\n", groups.join(", ")));
        }
    };
    field(random, "Depends", 25, false);
    field(random, "Pre-Depends", 6, false);
    field(random, "Recommends", 20, false);
    field(random, "Suggests", 20, false);
    field(random, "Conflicts", 3 + wild, true);
    field(random, "Breaks", 8 + wild, true);
    if random.chance(15) {
        let version = random.pick(&["", " (= 1)", " (= 2)"]);
        fields.push_str(&format!("Provides: {}{version}\n", random.pick(&VIRTUAL)));
    }
    fields
}

fn group(random: &mut Random, wild: usize, own: &str, there: &[&str], forbidding: bool) -> String {
    let one = |random: &mut Random| {
        let is_virtual = random.chance(1 + wild);
        let name = match is_virtual {
            true => random.pick(&VIRTUAL),
            false if there.is_empty() || random.chance(1 + wild) => random.pick(&NAMES),
            false => random.pick(there),
        };
        let name = if name == own { "leaf" } else { name };
        let qualifier = match random.below(20) {
            0 if !forbidding => ":any",
            1 if wild > 2 => ":i386",
            _ => "",
        };
        let version = match (forbidding, random.below(4)) {
            // What is forbidden is mostly older than everything.
            (true, 0) if wild > 0 => format!(" (<< {})", random.pick(&VERSIONS)),
            (true, _) => " (<< 1)".to_owned(),
            (false, 0) if wild > 0 => format!(
                " ({} {})",
                random.pick(&[">=", "=", "<<", ">>", "<="]),
                random.pick(&VERSIONS)
            ),
            (false, 0 | 1) => " (>= 1)".to_owned(),
            (false, _) => String::new(),
        };
        format!("{name}{qualifier}{version}")
    };
    let alternatives = if forbidding || random.chance(70) { 1 } else { 2 };
    let parts: Vec<String> = (0..alternatives).map(|_| one(random)).collect();
    parts.join(" | ")
}

#[test]
fn what_is_proven_is_what_apt_takes() {
    let tally = look_at(0..400, random_tree);
    tally.tell("random machines");
    // Otherwise the machines say nothing.
    assert!(tally.with_upgrades >= 60, "{tally:#?}");
    for unclear in [
        "a dependency is not installed",
        "a recommendation is new",
        "a conflict",
        "pins or settings",
        "phasing",
    ] {
        assert!(tally.unclear.contains_key(unclear), "{unclear}: {tally:#?}");
    }
}

#[test]
fn machines_that_once_were_answered_wrongly_stay_right() {
    // A recommendation `leaf:any` of a virtual package that an upgrade takes away.
    look_at(5011..5012, random_tree);
}

#[test]
#[ignore = "some minutes; see the head of this file"]
fn what_is_proven_is_what_apt_takes_on_very_many_machines() {
    let tally = look_at(1000..7000, random_tree);
    tally.tell("random machines");
    assert!(tally.with_upgrades > 500, "{tally:#?}");
}

/// This machine's own packages and indexes, with some packages taken back in version, held, or gone.
#[test]
#[ignore = "some minutes, and a machine with package lists; see the head of this file"]
fn what_is_proven_is_what_apt_takes_on_machines_made_of_this_one() {
    let status = fs::read_to_string("/var/lib/dpkg/status").expect("a Debian machine");
    let lists: Vec<_> = fs::read_dir("/var/lib/apt/lists")
        .expect("lists")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    assert!(lists.len() > 2, "`apt-get update` first");
    let tally = look_at(0..100, |random| variation(random, &status, &lists));
    tally.tell("variations of this machine");
    assert!(tally.with_upgrades > 20, "{tally:#?}");
}

fn variation(random: &mut Random, status: &str, lists: &[std::path::PathBuf]) -> TestTree {
    let tree = Machine::default().write();
    let percent = random.pick(&[0, 0, 1, 3]);
    let is_multi_arch = random.chance(10);
    let older = set_back(random, status);
    let mut text = String::new();
    for stanza in status
        .split("\n\n")
        .filter(|stanza| stanza.starts_with("Package: "))
    {
        if random.chance(percent) && !stanza.contains("Essential: yes") {
            continue;
        }
        let mut stanza = stanza.to_owned();
        if let Some(versions) = older.get(&source(&stanza)) {
            // Older than anything that is offered, and so are those of its source that it speaks of.
            for version in versions {
                stanza = stanza.replace(&format!(" {version})"), &format!(" {version}~~)"));
            }
            stanza = stanza
                .lines()
                .map(|line| match line.strip_prefix("Version: ") {
                    Some(version) => format!("Version: {version}~~\n"),
                    None => format!("{line}\n"),
                })
                .collect::<String>()
                .trim_end()
                .to_owned();
        }
        if random.chance(percent) {
            stanza = stanza.replace("Status: install ok", "Status: hold ok");
        }
        text.push_str(&stanza);
        text.push_str("\n\n");
        // On a few machines, some also of a foreign architecture.
        if is_multi_arch && stanza.contains("Multi-Arch: same") && random.chance(5) {
            let native = format!("Architecture: {}", native_architecture());
            let foreign = format!("Architecture: {}", foreign_architecture());
            text.push_str(&stanza.replace(&native, &foreign));
            text.push_str("\n\n");
        }
    }
    tree.file("var/lib/dpkg/status", &text);
    if !is_multi_arch {
        // This machine has no indexes of a foreign architecture, which would be missed.
        let config = fs::read_to_string(tree.root().join("etc/apt/practice.conf")).expect("written above");
        let foreign = format!("\"{}\"; ", foreign_architecture());
        tree.file("etc/apt/practice.conf", &config.replace(&foreign, ""));
    }
    let sources = fs::read_dir("/etc/apt/sources.list.d")
        .into_iter()
        .flatten()
        .flatten();
    for source in sources.map(|entry| entry.path()) {
        if let (Ok(text), Some(name)) = (fs::read_to_string(&source), source.file_name()) {
            tree.file(
                &format!("etc/apt/sources.list.d/{}", name.to_string_lossy()),
                &text,
            );
        }
    }
    tree.file(
        "etc/apt/sources.list",
        &fs::read_to_string("/etc/apt/sources.list").unwrap_or_default(),
    );
    for list in lists {
        let name = list.file_name().expect("a file").to_string_lossy().into_owned();
        std::os::unix::fs::symlink(list, tree.root().join("var/lib/apt/lists").join(name)).expect("linked");
    }
    tree
}

/// Chooses some source packages to be older on the machine, none of whose exact versions the others speak of, with the versions
/// of their packages.
fn set_back(random: &mut Random, status: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut sources: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for stanza in status.split("\n\n") {
        let version = stanza.lines().find_map(|line| line.strip_prefix("Version: "));
        let versions = sources.entry(source(stanza)).or_default();
        versions.extend(version.map(str::to_owned));
    }
    sources.retain(|_, _| random.chance(12));
    sources.retain(|name, versions| {
        let mut others = status.split("\n\n").filter(|stanza| source(stanza) != *name);
        !others.any(|stanza| {
            versions
                .iter()
                .any(|version| stanza.contains(&format!(" {version})")))
        })
    });
    sources
}

/// The name of the source of a package.
fn source(stanza: &str) -> String {
    let field = |name| stanza.lines().find_map(|line| line.strip_prefix(name));
    let name = field("Source: ").or(field("Package: ")).unwrap_or_default();
    name.split(' ').next().unwrap_or_default().to_owned()
}
