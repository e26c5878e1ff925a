//! The keeper dies in mid-run: apt goes on without it, and the next keeper follows the same run to its end (rule A3).

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Change, Record, Scene, Want, upgrade};
use wua_apt::apply::{ApplyOptions, apply};
use wua_apt::tree::AptTree;
use wua_engine::handler::{Batch, BatchEnd};
use wua_engine::store::ContentStore;
use wua_sandbox::{Package, Script};
use wua_types::{PlannedUpdate, UpdateOperation};

const ROOT: &str = "WUA_TEST_KEEPER";
const SCRIPT: &str = "the maintainer script of slow";
const OPTIONS: ApplyOptions = ApplyOptions {
    lock_limit: None,
    quiet_after: Duration::ZERO,
    script_limit: None,
    script_grace: Duration::ZERO,
};

/// Not a test: the keeper that is going to die.
#[test]
#[ignore = "started by the other test"]
fn keeps() {
    let Some(root) = std::env::var_os(ROOT) else {
        return;
    };
    let root = Path::new(&root);
    let plan = std::fs::read(root.join("plan.json")).expect("plan");
    let plan: Vec<PlannedUpdate> = serde_json::from_slice(&plan).expect("plan");
    let store = ContentStore::new(root.join("var/lib/wua/store"));
    let folder = root.join("var/lib/wua/jobs/test");
    let operation = UpdateOperation::Installation;
    let batch = Batch {
        operation,
        plan: &plan,
        members: &[0, 1],
        number: 7,
        folder: &folder,
        store: &store,
    };
    let mut record = Record::on_waiting(|wait| {
        writeln!(std::io::stdout(), "\n{}", wait.what).expect("told");
        Want::Nothing
    });
    let _ = apply(&AptTree::open(root).expect("tree"), &batch, &OPTIONS, &mut record);
}

#[test]
fn a_run_survives_its_keeper_and_is_followed_by_the_next() {
    let slow = "while [ ! -e \"$DPKG_ROOT/go\" ]; do sleep 0.01; done; echo once >> \"$DPKG_ROOT/ran\"";
    let scene = Scene::new(vec![
        vec![upgrade("slow", |new| new.script(Script::Postinst, slow))],
        vec![upgrade("other", |new| new.depends("slow (>= 2)"))],
    ]);
    let root = scene.machine.root();
    scene.write(
        "plan.json",
        &serde_json::to_string(&scene.updates).expect("plain values"),
    );
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command
        .args(["--exact", "keeps", "--ignored", "--nocapture"])
        .env(ROOT, root);
    let mut keeper = command.stdout(Stdio::piped()).spawn().expect("started");
    let lines = BufReader::new(keeper.stdout.take().expect("piped")).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == SCRIPT));
    keeper.kill().expect("our own child");
    keeper.wait().expect("waited for");

    let mut record = Record::on_waiting(|wait| {
        if wait.what == SCRIPT {
            std::fs::write(root.join("go"), "").expect("written");
        }
        Want::Nothing
    });
    let end = scene.apply(
        UpdateOperation::Installation,
        &scene.updates,
        &[0, 1],
        &OPTIONS,
        &mut record,
    );
    assert_eq!(end.expect("applied"), BatchEnd::Done);
    assert!(record.succeeded(0) && record.succeeded(1), "{:?}", record.story);
    assert!(
        record
            .waits
            .iter()
            .flatten()
            .any(|wait| wait.what.ends_with("started before this keeper"))
    );
    assert_eq!(
        std::fs::read_to_string(root.join("ran")).expect("written"),
        "once\n"
    );
    let runs = scene.job().read_dir().expect("folder").flatten();
    let runs = runs
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("run-"))
        .count();
    assert_eq!(
        runs, 1,
        "the second keeper had nothing left to run: {:?}",
        record.story
    );
}

#[test]
fn a_script_that_outlives_its_dpkg_is_waited_for_and_never_runs_twice_at_once() {
    let script = "cd \"$DPKG_ROOT\"; mkdir busy || touch twice\n\
                  if [ ! -e killed ]; then touch killed; kill -9 \"$PPID\"\n\
                  n=0; while [ ! -e go ] && [ $n -lt 2000 ]; do sleep 0.01; n=$((n+1)); done; fi\n\
                  rmdir busy";
    let scene = Scene::new(vec![
        vec![upgrade("slow", |new| new.script(Script::Postinst, script))],
        vec![upgrade("other", |new| new)],
    ]);
    let mut record = Record::on_waiting(|wait| {
        if wait.what == "the end of an interrupted run" {
            scene.write("go", "");
        }
        Want::Nothing
    });
    assert_eq!(scene.install(&mut record).expect("applied"), BatchEnd::Done);
    assert!(
        scene.exists("killed") && !scene.exists("twice"),
        "{:?}",
        record.story
    );
    assert!(record.succeeded(0) && record.succeeded(1), "{:?}", record.story);
}

#[test]
fn a_new_package_whose_first_unpacking_was_interrupted_is_installed() {
    let new = Package::new("extra", "2").file("usr/share/extra/data", "2");
    let scene = Scene::new(vec![
        vec![
            upgrade("main", |new| new.depends("extra")),
            Change(None, Some(new)),
        ],
        vec![upgrade("other", |new| new)],
    ]);
    // As dpkg leaves it when it is killed in mid-unpack: the new version is recorded already.
    let path = scene.machine.root().join("var/lib/dpkg/status");
    let status = std::fs::read_to_string(&path).expect("status");
    let architecture = &scene.updates[0].changes[1].architecture;
    let entry = format!(
        "Package: extra\nStatus: install reinstreq half-installed\nPriority: optional\nSection: misc\nMaintainer: T <t@example.invalid>\n\
         Architecture: {architecture}\nVersion: 2\nDescription: torn\n\n"
    );
    std::fs::write(&path, format!("{}\n\n{entry}", status.trim_end())).expect("written");
    let mut record = Record::default();
    assert_eq!(scene.install(&mut record).expect("applied"), BatchEnd::Done);
    assert!(record.succeeded(0) && record.succeeded(1), "{:?}", record.story);
    assert_eq!(
        (scene.state("extra"), scene.state("main")),
        ("installed 2".into(), "installed 2".into())
    );
}

#[test]
fn a_package_that_dpkg_left_torn_is_unpacked_again_and_fails_nobody() {
    let scene = Scene::new(vec![
        vec![upgrade("torn", |new| new)],
        vec![upgrade("other", |new| new)],
    ]);
    // The first dpkg that unpacks dies just before it notes that the last package is whole.
    let root = scene.machine.root().display();
    scene.write(
        "dpkg",
        &format!(
            "#!/bin/sh\ncase \" $* \" in *\" --unpack \"*)\nif mkdir {root}/once 2>/dev/null; then /usr/bin/dpkg \"$@\"\n\
             sed -i '/^Package: torn$/,/^$/s/^Status: install ok/Status: install reinstreq/' {root}/var/lib/dpkg/status\n\
             kill -9 $$; fi;; esac\nexec /usr/bin/dpkg \"$@\"\n"
        ),
    );
    let program = scene.machine.root().join("dpkg");
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("executable");
    let config = scene.machine.root().join(wua_apt::tree::PRACTICE_CONFIG);
    let text = std::fs::read_to_string(&config).expect("configuration");
    let program = format!("{text}\nDir::Bin::dpkg \"{}\";\n", program.display());
    std::fs::write(&config, program).expect("written");
    let mut record = Record::default();
    assert_eq!(scene.install(&mut record).expect("applied"), BatchEnd::Done);
    assert!(scene.exists("once"), "dpkg died");
    assert!(record.succeeded(0) && record.succeeded(1), "{:?}", record.results);
    assert_eq!(
        (scene.state("torn"), scene.state("other")),
        ("installed 2".into(), "installed 2".into())
    );
}
