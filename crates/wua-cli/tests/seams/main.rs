//! Faults at our own seams (`wua_engine::seam`): journal, event file, state, store, spawning, reading back. At each visit of each
//! seam, in turn, wua's own work fails, wua stops dead, or the disk is full. Afterwards the next command makes the machine whole, the
//! history can be read, and nothing was ever said to be installed that was not.
//!
//! `cargo test -p wua-cli --features seams --test seams`. The disks that run full are memory file systems in a mount namespace of the
//! test's own, for which it needs `unshare`.

#![expect(clippy::print_stdout, reason = "counts for whoever reads the test's output")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use wua_sandbox::{Package, PracticeMachine, Script, Suite};

const SEAMS: [&str; 11] = [
    "store",
    "store-label",
    "order",
    "state",
    "public-state",
    "spawn-keeper",
    "keeper-sign",
    "journal",
    "journal-written",
    "events",
    "read-back",
];
/// The seams of a run of apt's.
const RUN_SEAMS: [&str; 2] = ["spawn-run", "run-record"];
/// Which visits are disturbed: every early one, and then fewer and fewer, until a job has no more.
const VISITS: [usize; 9] = [1, 2, 3, 4, 6, 9, 14, 22, 40];
const PACKAGES: [&str; 3] = ["alder", "birch", "cedar"];

/// A machine with three pending updates that can be put back to its begin.
struct Ground {
    root: PathBuf,
    kept: PathBuf,
}

impl Ground {
    /// `birch` does `script` once in its new version's script of this kind.
    fn new(folder: &Path, script: Option<(Script, &str)>) -> Self {
        let root = folder.join("disk/m");
        fs::create_dir_all(root.parent().expect("a folder")).expect("a folder");
        let machine = PracticeMachine::empty(&root).expect("a practice machine");
        let package = |name: &str, version: &str| {
            let mut package = Package::new(name, version);
            for number in 0..4 {
                let text = format!("{name} {version} {number}\n").repeat(200);
                package = package.file(format!("usr/share/{name}/{number}"), text);
            }
            match script.filter(|_| name == "birch" && version == "2") {
                Some((kind, text)) => package.script(
                    kind,
                    format!("if mkdir \"$DPKG_ROOT/once\" 2>/dev/null; then {text}\nfi"),
                ),
                None => package,
            }
        };
        let publish = |version: &str| {
            let packages: Vec<Package> = PACKAGES.iter().map(|name| package(name, version)).collect();
            machine.publish(Suite::Practice, &packages).expect("published");
            machine.refresh().expect("refreshed");
        };
        publish("1");
        machine.install(&PACKAGES).expect("installed");
        publish("2");
        // Each update alone, so that there is something between them.
        fs::create_dir_all(root.join("etc/wua")).expect("a folder");
        fs::write(
            root.join("etc/wua/wua.toml"),
            "[install]\nlongest_batch_seconds = 0\n",
        )
        .expect("written");
        let ground = Self {
            root,
            kept: folder.join("kept"),
        };
        copy(&ground.root, &ground.kept);
        ground
    }

    fn restore(&self) {
        copy(&self.kept, &self.root);
    }

    fn wua(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wua"));
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.arg("--root").arg(&self.root).args(["--output", "json"]);
        command.args(words).output().expect("the program starts")
    }

    /// What dpkg says of a package: its version if it is installed, else its state.
    fn installed(&self, name: &str) -> String {
        let machine = PracticeMachine::open(&self.root).expect("a practice machine");
        match machine.dpkg_state(name) {
            Some((status, version)) if status == "install ok installed" => version,
            other => format!("{other:?}"),
        }
    }

    /// An installation under which `disturbance` happens: it may fail, but not lie.
    fn disturbed(&self, disturbance: &str) {
        let output = self.wua(&["install", "--all"]);
        let words = words(&output);
        assert!(!words.contains("panicked"), "{disturbance}: {words}");
        let Ok(document) = serde_json::from_slice::<Value>(&output.stdout) else {
            let is_told = output.status.code().is_none() || !output.stderr.is_empty();
            assert!(is_told, "{disturbance}: neither result nor reason");
            return;
        };
        for update in document["updates"]
            .as_object()
            .into_iter()
            .flat_map(|updates| updates.values())
        {
            let name = update["title"]
                .as_str()
                .unwrap_or_default()
                .split(' ')
                .next()
                .unwrap_or_default();
            if update["is_installed"] == true {
                assert_eq!(
                    self.installed(name),
                    "2",
                    "{disturbance}: {name} is not installed: {words}"
                );
            }
        }
    }

    /// The disturbance is over: one repair, one more installation, and all is well.
    fn comes_right(&self, disturbance: &str) {
        let repair = self.wua(&["repair"]);
        let again = self.wua(&["install", "--all"]);
        let said = format!(
            "{disturbance}: repair said {}, then install said {}",
            words(&repair),
            words(&again)
        );
        assert!(!said.contains("panicked"), "{said}");
        assert_eq!(again.status.code(), Some(0), "{said}");
        for name in PACKAGES {
            assert_eq!(self.installed(name), "2", "{name}: {said}");
            for number in 0..4 {
                let text = fs::read_to_string(self.root.join(format!("usr/share/{name}/{number}")));
                assert!(
                    text.is_ok_and(|text| text.starts_with(&format!("{name} 2 "))),
                    "{name}: {said}"
                );
            }
        }
        assert_eq!(self.wua(&["doctor"]).status.code(), Some(0), "{said}");
        let history = self.wua(&["history"]);
        let document: Value = serde_json::from_slice(&history.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}: {said}", words(&history)));
        assert_eq!(document["unfinished"], serde_json::json!([]), "{said}");
        let mut told = std::collections::BTreeSet::new();
        for entry in document["entries"].as_array().expect("a list") {
            assert!(
                told.insert((entry["job"].to_string(), entry["title"].to_string())),
                "told twice: {entry}: {said}"
            );
        }
        for name in PACKAGES {
            let title = format!("\"{name} 2\"");
            assert!(
                told.iter().any(|(_, told)| *told == title),
                "no record tells of {name}: {said}"
            );
        }
        for job in fs::read_dir(self.root.join("var/lib/wua/jobs"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let log = fs::read_to_string(job.path().join("keeper.log")).unwrap_or_default();
            assert!(!log.contains("panicked"), "{disturbance}: {log}");
        }
    }

    /// Disturbs each seam at each visit; how often that was.
    fn sweep(&self, seams: &[&str], action: &str, undo: impl Fn()) -> usize {
        let mut disturbances = 0;
        for seam in seams {
            for visit in VISITS {
                self.restore();
                let plan = self.root.join("etc/wua/seam");
                fs::write(&plan, format!("{seam} {visit} {action}")).expect("written");
                let disturbance = format!("{action} at visit {visit} of {seam}");
                self.disturbed(&disturbance);
                undo();
                fs::remove_file(&plan).expect("removed");
                if !plan.with_extension("done").exists() {
                    // A job has no such visit.
                    assert_ne!(visit, 1, "nothing ever comes by {seam}");
                    break;
                }
                disturbances += 1;
                self.comes_right(&disturbance);
            }
        }
        disturbances
    }
}

fn copy(from: &Path, to: &Path) {
    if to.exists() {
        fs::remove_dir_all(to).expect("removed");
    }
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(status.is_ok_and(|status| status.success()), "a copy");
}

fn words(output: &Output) -> String {
    format!(
        "({:?}) {}{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn folder() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix("wua-seams-")
        .tempdir()
        .expect("a temporary folder")
}

#[test]
fn whatever_of_our_own_work_fails_is_told_and_the_next_command_makes_it_right() {
    let folder = folder();
    let ground = Ground::new(folder.path(), None);
    let count = ground.sweep(&SEAMS, "fail", || ()) + ground.sweep(&RUN_SEAMS, "fail", || ());
    println!("{count} failures, each made right");
}

#[test]
fn wherever_wua_stops_dead_the_next_command_makes_it_right() {
    let folder = folder();
    let ground = Ground::new(folder.path(), None);
    let count = ground.sweep(&SEAMS, "stop", || ()) + ground.sweep(&RUN_SEAMS, "stop", || ());
    println!("{count} sudden ends, each made right");
}

/// Runs one of the tests below with a disk of its own.
fn on_a_small_disk(test: &str) {
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    let program = std::env::current_exe().expect("this program");
    command
        .arg("--mount")
        .arg(program)
        .args(["--exact", test, "--ignored", "--nocapture"]);
    let output = command
        .output()
        .expect("`unshare` of util-linux is needed for a disk of the test's own");
    assert!(output.status.success(), "{}", words(&output));
    print!("{}", String::from_utf8_lossy(&output.stdout));
}

fn small_disk(folder: &Path) -> PathBuf {
    let disk = folder.join("disk");
    fs::create_dir(&disk).expect("a folder");
    let mut mount = Command::new("mount");
    mount
        .args(["-t", "tmpfs", "-o", "size=48m,mode=755", "wua-seams"])
        .arg(&disk);
    assert!(
        mount.status().is_ok_and(|status| status.success()),
        "a disk of memory"
    );
    disk
}

#[test]
fn wherever_the_disk_is_full_room_and_the_next_command_make_it_right() {
    on_a_small_disk("a_full_disk_at_every_seam");
}

#[test]
#[ignore = "needs a disk of its own: started by the test above"]
fn a_full_disk_at_every_seam() {
    let folder = folder();
    small_disk(folder.path());
    let ground = Ground::new(folder.path(), None);
    let empty = || fs::remove_file(ground.root.join("ballast")).unwrap_or_default();
    let count = ground.sweep(&SEAMS, "fill", empty) + ground.sweep(&RUN_SEAMS, "fill", empty);
    println!("{count} full disks, each made right");
}

#[test]
fn a_disk_that_is_full_while_packages_change_leaves_nothing_broken() {
    on_a_small_disk("a_full_disk_while_packages_change");
}

#[test]
#[ignore = "needs a disk of its own: started by the test above"]
fn a_full_disk_while_packages_change() {
    for (kind, stage) in [(Script::Preinst, "unpacking"), (Script::Postinst, "configuring")] {
        let folder = folder();
        let disk = small_disk(folder.path());
        let fill = "cat /dev/zero >\"$DPKG_ROOT/ballast\" 2>/dev/null || true";
        let ground = Ground::new(folder.path(), Some((kind, fill)));
        // All in one batch.
        fs::remove_file(ground.root.join("etc/wua/wua.toml")).expect("removed");
        let disturbance = format!("a disk that is full from {stage} on");
        ground.disturbed(&disturbance);
        assert!(ground.root.join("ballast").exists(), "{disturbance} came about");
        fs::remove_file(ground.root.join("ballast")).expect("removed");
        ground.comes_right(&disturbance);
        let _ = Command::new("umount").arg(disk).status();
    }
}
