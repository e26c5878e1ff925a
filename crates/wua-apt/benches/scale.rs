//! Searching where it is harder, against its peers: cold, with more indexes, with more packages; and against
//! `unattended-upgrade`: `cargo bench -p wua-apt --bench scale`.
//!
//! Everything happens in throw-away trees made of this machine's own lists. Where the release binary `wua` is built, whole
//! commands are compared, which is what a user waits for. A cold start drops the page cache, which needs root.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Form, HEAD, Outcome, Tree, apt_list, median, print_row, runs, search, time};
use wua_apt::reader::Reading;
use wua_apt::stanza::{Stanza, Stanzas};
use wua_apt::tree::AptTree;
use wua_apt::{kept, proof};

/// How often each side runs.
const RUNS: usize = 7;
/// How often where a run takes many seconds.
const FEW_RUNS: usize = 5;
/// What `unattended-upgrade -d` says once it has chosen, before it downloads or simulates anything.
const CHOSEN: &str = "look like they should be upgraded";
/// The longest wait for that.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() -> Outcome<()> {
    if !std::env::args_os().any(|argument| argument == "--bench") {
        return Ok(()); // `cargo test --benches` only wants to know that it starts.
    }
    let folder = tempfile::tempdir()?;
    let tree_of = |name: &str, form| Tree::of_this_machine(&folder.path().join(name), form);
    let Some(plain) = tree_of("plain", Form::Plain)? else {
        println!("This machine has no package lists; run `apt-get update` first.");
        return Ok(());
    };
    println!("{HEAD}");
    for form in [Form::Plain, Form::Lz4] {
        if let Some(tree) = tree_of(&format!("whole-{}", form.name()), form)? {
            whole(&tree.root, form)?;
        }
    }
    for copies in [1, 2, 4] {
        if let Some(tree) = tree_of(&format!("copies-{copies}"), Form::Plain)? {
            multiply(&tree.root, copies)?;
            compare(&format!("indexes ×{copies}"), &tree.root, None, RUNS)?;
        }
    }
    for count in [200, 700, 4000] {
        if let Some(tree) = tree_of(&format!("packages-{count}"), Form::Plain)? {
            let made = populate(&tree.root, count)?;
            compare(&format!("{made} packages installed"), &tree.root, None, RUNS)?;
        }
    }
    unattended(&plain.root)
}

/// The whole commands, warm and cold.
fn whole(root: &Path, form: Form) -> Outcome<()> {
    let Some(wua) = wua() else {
        println!("| whole commands: not measured, `cargo build --release` makes `wua` | | | | | |");
        return Ok(());
    };
    kept::keep(&AptTree::open(root)?)?;
    let ours = || command(Command::new(&wua).arg("--root").arg(root).arg("search"));
    let peer = || apt_list(root);
    row(
        &format!("the command, {}", form.name()),
        ours,
        peer,
        None,
        RUNS,
        "",
    )?;
    if drop_caches().is_err() {
        println!("| cold: not measured, the page cache cannot be dropped | | | | | |");
        return Ok(());
    }
    let (mut cold_ours, mut cold_peer) = (Vec::new(), Vec::new());
    for _ in 0..runs(FEW_RUNS) {
        drop_caches()?;
        cold_ours.push(time(ours)?);
        drop_caches()?;
        cold_peer.push(time(peer)?);
    }
    print_row(
        &format!("the command, {}, cold", form.name()),
        median(cold_ours),
        median(cold_peer),
        Some(0.25),
        "",
    );
    Ok(())
}

/// A search in this process against `apt list --upgradable`.
fn compare(name: &str, root: &Path, bar: Option<f64>, runs: usize) -> Outcome<()> {
    let tree = AptTree::open(root)?;
    kept::keep(&tree)?;
    let name = match proof::upgrades(&Reading::of(&tree)?) {
        Ok(_) => name.to_owned(),
        Err(unclear) => format!("{name} (APT asked: {unclear})"),
    };
    let (found, expected) = (search(root)?, apt_list(root)?);
    if found != expected {
        return Err(format!("{name}: {found} found, {expected} expected").into());
    }
    let found = found.to_string();
    row(&name, || search(root), || apt_list(root), bar, runs, &found)
}

fn row(
    name: &str,
    ours: impl Fn() -> Outcome<usize>,
    peer: impl Fn() -> Outcome<usize>,
    bar: Option<f64>,
    runs: usize,
    found: &str,
) -> Outcome<()> {
    // The first runs warm the caches of both.
    ours()?;
    peer()?;
    let (mut our_times, mut peer_times) = (Vec::new(), Vec::new());
    for _ in 0..common::runs(runs) {
        our_times.push(time(&ours)?);
        peer_times.push(time(&peer)?);
    }
    print_row(name, median(our_times), median(peer_times), bar, found);
    Ok(())
}

/// The release binary beside this program.
fn wua() -> Option<PathBuf> {
    let folder = std::env::current_exe().ok()?.parent()?.parent()?.to_owned();
    Some(folder.join("wua")).filter(|path| path.is_file())
}

/// Runs a command to its end; gives the number of lines it prints.
fn command(command: &mut Command) -> Outcome<usize> {
    let output = command.stderr(Stdio::null()).output()?;
    match output.status.success() {
        true => Ok(output.stdout.iter().filter(|byte| **byte == b'\n').count()),
        false => Err(format!("{command:?} failed").into()),
    }
}

fn drop_caches() -> Outcome<()> {
    rustix::fs::sync();
    Ok(fs::write("/proc/sys/vm/drop_caches", "3")?)
}

/// Gives the tree every archive `copies` times, under further hosts.
fn multiply(root: &Path, copies: usize) -> Outcome<()> {
    let lists = root.join("var/lib/apt/lists");
    let names: Vec<String> = fs::read_dir(&lists)?
        .flatten()
        .filter(|entry| entry.path().is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let hosts: BTreeSet<&str> = names.iter().filter_map(|name| name.split('_').next()).collect();
    let sources = root.join("etc/apt/sources.list.d");
    let mut texts: Vec<(PathBuf, String)> = Vec::new();
    for folder in [&sources, &root.join("etc/apt")] {
        for entry in fs::read_dir(folder)?.flatten() {
            let is_source = |extension: &str| ["list", "sources"].contains(&extension);
            let path = entry.path();
            if path
                .extension()
                .and_then(|name| name.to_str())
                .is_some_and(is_source)
            {
                texts.push((path.clone(), fs::read_to_string(&path)?));
            }
        }
    }
    for copy in 1..copies {
        for host in &hosts {
            let other = format!("copy{copy}.{host}");
            for name in names.iter().filter(|name| name.starts_with(&format!("{host}_"))) {
                fs::copy(lists.join(name), lists.join(name.replacen(host, &other, 1)))?;
            }
            for (number, (path, text)) in texts.iter().enumerate() {
                let extension = path.extension().unwrap_or_default().to_string_lossy();
                let copied = text.replace(&format!("//{host}/"), &format!("//{other}/"));
                fs::write(sources.join(format!("{other}-{number}.{extension}")), copied)?;
            }
        }
    }
    Ok(())
}

/// Fills the tree's status file with about `count` packages of its indexes that fit together, every fifth of those that nobody
/// depends on in an older version; gives how many there are.
fn populate(root: &Path, count: usize) -> Outcome<usize> {
    let mut text = Vec::new();
    for entry in fs::read_dir(root.join("var/lib/apt/lists"))?.flatten() {
        if entry.file_name().to_string_lossy().ends_with("_Packages") {
            text.extend(fs::read(entry.path())?);
            text.push(b'\n');
        }
    }
    let mut offered: BTreeMap<String, Stanza<'_>> = BTreeMap::new();
    for (_, stanza) in Stanzas::new(&text) {
        let Some(name) = stanza.text("Package") else {
            continue;
        };
        let version = |stanza: Stanza<'_>| stanza.text("Version").unwrap_or_default().into_owned();
        let is_newer = offered
            .get(&*name)
            .is_none_or(|known| wua_apt::version::compare(&version(stanza), &version(*known)).is_gt());
        if is_newer {
            offered.insert(name.into_owned(), stanza);
        }
    }
    let mut chosen: BTreeSet<String> = BTreeSet::new();
    // By name: who is called so or provides it, and who does not stand it beside him.
    let mut carriers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut enemies: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let all: Vec<&String> = offered.keys().collect();
    // From all over the alphabet, and the same ones each time.
    for place in (0..all.len()).map(|place| place * 7919 % all.len()) {
        if chosen.len() >= count {
            break;
        }
        let Some(mut group) = closure(all[place], &offered) else {
            continue;
        };
        group.retain(|name| !chosen.contains(name));
        for name in &group {
            for carried in carried(name, offered[name]) {
                carriers.entry(carried).or_default().insert(name.clone());
            }
            for banned in banned(offered[name]) {
                enemies.entry(banned).or_default().insert(name.clone());
            }
        }
        let touched: Vec<String> = group
            .iter()
            .flat_map(|name| carried(name, offered[name]).chain(banned(offered[name])))
            .collect();
        let fits = touched
            .iter()
            .all(|name| match (carriers.get(name), enemies.get(name)) {
                // Only who does not stand others of its own kind may carry the name.
                (Some(carriers), Some(enemies)) => {
                    carriers.is_empty()
                        || enemies.is_empty()
                        || carriers.len() == 1 && enemies.is_subset(carriers)
                }
                _ => true,
            });
        if fits {
            chosen.extend(group);
            continue;
        }
        for name in &touched {
            for known in [&mut carriers, &mut enemies] {
                if let Some(known) = known.get_mut(name) {
                    known.retain(|other| !group.contains(other));
                }
            }
        }
    }
    let needed: BTreeSet<String> = chosen
        .iter()
        .flat_map(|name| groups(offered[name], "Depends").chain(groups(offered[name], "Pre-Depends")))
        .flatten()
        .collect();
    let mut status = String::new();
    for (place, name) in chosen.iter().enumerate() {
        let is_old = place % 5 == 0 && !needed.contains(name);
        for line in String::from_utf8_lossy(offered[name].bytes()).lines() {
            match line.split_once(": ") {
                Some(("Version", version)) if is_old => status += &format!("Version: {version}~~\n"),
                Some(("Filename" | "Size" | "MD5sum" | "SHA256", _)) => {}
                _ => status += &format!("{line}\n"),
            }
        }
        status += "Status: install ok installed\n\n";
    }
    fs::write(root.join("var/lib/dpkg/status"), status)?;
    Ok(chosen.len())
}

/// A package with everything it depends on, first alternatives first.
fn closure(name: &str, offered: &BTreeMap<String, Stanza<'_>>) -> Option<BTreeSet<String>> {
    let (mut open, mut group) = (vec![name.to_owned()], BTreeSet::new());
    while let Some(name) = open.pop() {
        let stanza = *offered.get(&name)?;
        if !group.insert(name) {
            continue;
        }
        for alternatives in groups(stanza, "Depends").chain(groups(stanza, "Pre-Depends")) {
            open.push(alternatives.into_iter().find(|name| offered.contains_key(name))?);
        }
    }
    Some(group)
}

/// The names that a package goes by.
fn carried(name: &str, stanza: Stanza<'_>) -> impl Iterator<Item = String> {
    let own = std::iter::once(name.to_owned());
    own.chain(groups(stanza, "Provides").flatten())
}

/// Whom a package does not stand, in any version.
fn banned(stanza: Stanza<'_>) -> impl Iterator<Item = String> {
    groups(stanza, "Conflicts")
        .chain(groups(stanza, "Breaks"))
        .flatten()
}

/// The names in a relation field, by group.
fn groups(stanza: Stanza<'_>, field: &str) -> std::vec::IntoIter<Vec<String>> {
    let text = stanza.text(field).unwrap_or_default();
    let name = |relation: &str| {
        let end = relation.find(|letter: char| " (:[<".contains(letter));
        relation[..end.unwrap_or(relation.len())].to_owned()
    };
    let groups: Vec<Vec<String>> = text
        .split(',')
        .filter(|group| !group.trim().is_empty())
        .map(|group| group.split('|').map(|relation| name(relation.trim())).collect())
        .collect();
    groups.into_iter()
}

/// Our search against `unattended-upgrade --dry-run`, which is timed only until it has chosen what to upgrade.
fn unattended(root: &Path) -> Outcome<()> {
    let settings = "/etc/apt/apt.conf.d/50unattended-upgrades";
    if !Path::new("/usr/bin/unattended-upgrade").exists() || !Path::new(settings).exists() {
        println!("| `unattended-upgrade --dry-run`: not installed | | | | | |");
        return Ok(());
    }
    fs::copy(settings, root.join("etc/apt/apt.conf.d/50unattended-upgrades"))?;
    for folder in ["var/lib/dpkg/updates", "var/lib/dpkg/info"] {
        fs::create_dir_all(root.join(folder))?;
    }
    kept::keep(&AptTree::open(root)?)?;
    search(root)?;
    until_chosen(root)?;
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..runs(FEW_RUNS) {
        ours.push(time(|| search(root))?);
        match until_chosen(root)? {
            Some(duration) => peer.push(duration),
            None => {
                println!("| `unattended-upgrade --dry-run`: not measured, it chose nothing | | | | | |");
                return Ok(());
            }
        }
    }
    let name = "`unattended-upgrade --dry-run`, until it has chosen";
    print_row(name, median(ours), median(peer), Some(0.01), "");
    Ok(())
}

/// How long it takes until it says what it would upgrade; what it downloads and simulates afterwards is not waited for. It looks
/// at the machine whatever `APT_CONFIG` says, so it gets the tree's folders in the place of the machine's, seen by it alone.
fn until_chosen(root: &Path) -> Outcome<Option<Duration>> {
    let start = Instant::now();
    let shown = root.display();
    let mut script = String::from(
        "set -e; mount --make-rprivate /; mount -t tmpfs none /run; mount -t tmpfs none /var/log; \
         mkdir /var/log/unattended-upgrades /var/log/apt; ",
    );
    for folder in ["etc/apt", "var/lib/apt", "var/lib/dpkg", "var/cache/apt"] {
        script += &format!("mount --bind '{shown}/{folder}' /{folder}; ");
    }
    // Dry or not, nothing else can be written.
    script += "export TMPDIR=/run; for place in / /usr /var /var/lib /etc /home; do \
               if mountpoint -q $place; then mount -o remount,bind,ro $place; fi; done; \
               exec unattended-upgrade --dry-run -d";
    let mut child = Command::new("timeout")
        .args([
            &PATIENCE.as_secs().to_string(),
            "unshare",
            "--mount",
            "sh",
            "-c",
            &script,
        ])
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let output = BufReader::new(child.stdout.take().ok_or("no output")?);
    let mut lines = output.lines().map_while(Result::ok);
    let chosen = lines.any(|line| line.contains(CHOSEN)).then(|| start.elapsed());
    drop(lines);
    // `timeout` hands the signal on.
    let pid = rustix::process::Pid::from_child(&child);
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    child.wait()?;
    Ok(chosen)
}
