//! A lock that somebody else holds is waited for visibly, until it is free, the time is over, or the caller gives up.

mod common;

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use common::{Record, Scene, Want, upgrade};
use rustix::fs::{FlockOperation, fcntl_lock};
use wua_apt::apply::ApplyOptions;
use wua_apt::locks::{self, DATABASE, FRONTEND};
use wua_engine::handler::BatchEnd;
use wua_types::{HResult, UpdateOperation};

const LOCK: &str = "WUA_TEST_LOCK";
const WAIT: &str = "the package database lock";

/// Not a test: the program that holds a lock. A process does not see its own record locks, so it is another one: this
/// test program, started again.
#[test]
#[ignore = "started by the other tests"]
fn holds_a_lock() {
    let Some(path) = std::env::var_os(LOCK) else {
        return;
    };
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .expect("lock file");
    fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).expect("nobody else holds it");
    let mut out = std::io::stdout();
    out.write_all(b"\nheld\n")
        .and_then(|()| out.flush())
        .expect("told");
    std::io::stdin()
        .read_to_end(&mut Vec::new())
        .expect("until the other end closes");
}

struct Holder(Child, BufReader<ChildStdout>);

impl Holder {
    fn of(lock: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command
            .args(["--exact", "holds_a_lock", "--ignored", "--nocapture"])
            .env(LOCK, lock);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        assert!(
            out.by_ref()
                .lines()
                .map_while(Result::ok)
                .any(|line| line == "held")
        );
        Self(child, out)
    }

    /// Lets it go, and waits until it is gone.
    fn let_go(mut self) {
        drop(self.0.stdin.take());
        self.1.read_to_end(&mut Vec::new()).expect("its last words");
        self.0.wait().expect("waited for");
    }
}

fn scene() -> Scene {
    Scene::new(vec![vec![upgrade("anchor", |new| new)]])
}

#[test]
fn a_wait_names_the_holder_and_ends_when_the_lock_is_free() {
    for lock in [FRONTEND, DATABASE] {
        let scene = scene();
        let mut holder = Some(Holder::of(&scene.machine.root().join(lock)));
        let pid = holder.as_ref().expect("held").0.id();
        assert_eq!(
            locks::holder(&scene.tree, &[FRONTEND, DATABASE]).and_then(|holder| holder.pid),
            Some(pid)
        );
        let mut record = Record::on_waiting(|wait| {
            assert_eq!(wait.what, WAIT);
            assert!(
                wait.holder
                    .as_ref()
                    .is_some_and(|holder| holder.ends_with(&format!(" ({pid})"))),
                "{wait:?}"
            );
            holder.take().into_iter().for_each(Holder::let_go);
            Want::Nothing
        });
        assert_eq!(scene.install(&mut record).expect("applied"), BatchEnd::Done);
        assert!(record.succeeded(0));
        assert!(record.waited_for(WAIT));
        let changing = record.story.iter().position(|line| line == "changing");
        let over = record.story.iter().position(|line| line == "waiting None");
        assert!(
            over < changing,
            "nothing is being changed while a lock is waited for: {:?}",
            record.story
        );
    }
}

#[test]
fn an_abort_ends_the_wait_and_nothing_is_touched() {
    let scene = scene();
    let holder = Holder::of(&scene.machine.root().join(FRONTEND));
    let mut record = Record::on_waiting(|_| Want::Abort);
    let failure = scene.install(&mut record).expect_err("aborted");
    assert_eq!(failure.code(), HResult::WU_E_CALL_CANCELLED);
    assert!(record.results.is_empty());
    assert!(!record.story.iter().any(|line| line == "changing"));
    assert_eq!(record.waits.last(), Some(&None));
    assert_eq!(scene.state("anchor"), "installed 1");
    holder.let_go();
}

#[test]
fn a_wait_that_lasts_too_long_fails_naming_the_holder() {
    let scene = scene();
    let holder = Holder::of(&scene.machine.root().join(FRONTEND));
    let options = ApplyOptions {
        lock_limit: Some(Duration::from_millis(1)),
        ..ApplyOptions::default()
    };
    let mut record = Record::default();
    let failure = scene
        .apply(
            UpdateOperation::Installation,
            &scene.updates,
            &[0],
            &options,
            &mut record,
        )
        .expect_err("too long");
    assert_eq!(failure.code(), HResult::WU_E_INSTALL_NOT_ALLOWED);
    assert!(
        failure.sentence().contains(&format!("({})", holder.0.id())),
        "{}",
        failure.sentence()
    );
    holder.let_go();
}
