//! The search against real APT on practice machines.

mod offering;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Command, Stdio};

use offering::World;
use wua_engine::Failure;
use wua_engine::source::{Found, SearchRequest, UpdateSource as _};
use wua_sandbox::{Fault, Package, Recipe};
use wua_types::category::{SECURITY_UPDATES, UPDATES};
use wua_types::criteria::CriteriaFacts as _;
use wua_types::{HResult, InstallationRebootBehavior};

#[test]
fn the_search_is_what_apt_would_upgrade() {
    let world = World::with(8, &[Fault::MissingDependency]);
    let output = world
        .machine
        .apt_get(&["-s", "-q", "upgrade", "--with-new-pkgs"])
        .expect("apt-get runs");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let expected: BTreeSet<(String, String)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("Inst "))
        .map(|line| {
            let name = line.split(' ').next().expect("a name").to_owned();
            let version = line
                .split('(')
                .nth(1)
                .expect("a version")
                .split(' ')
                .next()
                .expect("a version")
                .to_owned();
            (name, version)
        })
        .collect();
    let found = world.search();
    let packages = found.updates.iter().flat_map(|update| update.packages());
    let ours: Vec<_> = packages
        .map(|package| {
            (
                package.name.clone(),
                package.candidate.clone().expect("a candidate"),
            )
        })
        .collect();
    assert_eq!(ours.len(), expected.len());
    assert_eq!(ours.into_iter().collect::<BTreeSet<_>>(), expected);
    assert_eq!(found.warnings, []);
}

#[test]
fn updates_are_the_sources_with_all_they_need() {
    let world = World::with(8, &[]);
    let found = world.search();
    let planned = Recipe {
        updates: 8,
        ..Recipe::default()
    }
    .planned_updates();
    let mut expected: Vec<_> = planned
        .iter()
        .map(|update| format!("{} {}", update.source, update.version))
        .collect();
    expected.sort();
    let titles: Vec<_> = found.updates.iter().map(|update| update.title.clone()).collect();
    assert_eq!(titles, expected);

    for (update, planned) in found.updates.iter().zip({
        let mut planned = planned;
        planned.sort_by_key(|update| format!("{} {}", update.source, update.version));
        planned
    }) {
        let mut names: Vec<_> = update
            .packages()
            .iter()
            .map(|package| package.name.clone())
            .collect();
        names.sort();
        let mut expected = [planned.packages.clone(), planned.new_packages.clone()].concat();
        expected.sort();
        assert_eq!(names, expected, "{}", update.title);
        assert_eq!(
            update.in_category(SECURITY_UPDATES),
            planned.suite == wua_sandbox::Suite::Security
        );
        assert_eq!(
            update.in_category(UPDATES),
            planned.suite == wua_sandbox::Suite::Practice
        );
        assert!(!update.is_downloaded && !update.is_installed && update.eula_accepted);
        assert_eq!(update.min_download_size, update.max_download_size);
        assert!(update.max_download_size > 0 && update.last_deployment_change_time.is_some());
        assert_eq!(
            update.support_url.as_deref(),
            Some(&*format!("https://{}.example.org/", planned.source))
        );
        for package in update.packages() {
            let content = package.content.as_ref().expect("an archive");
            assert!(
                content.url.starts_with("copy:/") && content.url.ends_with(".deb"),
                "{}",
                content.url
            );
        }
    }
    let kernel = found
        .updates
        .iter()
        .find(|update| update.title.starts_with("linux"))
        .expect("a kernel");
    let behavior = kernel.installation_behavior.expect("merged from its children");
    assert_eq!(
        behavior.reboot_behavior,
        InstallationRebootBehavior::CanRequestReboot
    );
    assert!(
        kernel
            .packages()
            .iter()
            .any(|package| package.installed.is_none()),
        "the new kernel comes along"
    );
    assert_eq!(
        found.updates,
        world.search().updates,
        "a search depends on nothing but the machine"
    );
}

#[test]
fn what_is_kept_back_says_why() {
    let old = [
        Package::new("held", "1"),
        Package::new("stuck", "1"),
        Package::new("early", "1"),
        Package::new("winner", "1"),
        Package::new("loser", "1"),
        Package::new("plain", "1"),
    ];
    let new = [
        Package::new("held", "2"),
        Package::new("stuck", "2").depends("nowhere (>= 3)"),
        Package::new("early", "2").phased(0),
        Package::new("winner", "2").field("Conflicts", "loser"),
        Package::new("loser", "1"),
        Package::new("plain", "2"),
    ];
    let world = World::of(&old, &new);
    world.machine.hold("held").expect("held");
    let found = world.search();
    let titles: Vec<_> = found.updates.iter().map(|update| update.title.as_str()).collect();
    assert_eq!(titles, ["plain 2"]);
    let kept = |title: &str| {
        let found = found.kept_back.iter().find(|kept| kept.title == title);
        found.unwrap_or_else(|| panic!("`{title}` is not kept back: {:?}", found))
    };
    assert_eq!(kept("held 2").reason, "`held` is on hold at 1");
    assert!(
        kept("stuck 2").reason.contains("nowhere (>= 3)"),
        "{:?}",
        kept("stuck 2")
    );
    assert!(
        kept("early 2")
            .reason
            .starts_with("it is offered to 0 % of all machines"),
        "{:?}",
        kept("early 2")
    );
    assert_eq!(kept("winner 2").removals, ["loser"]);
    assert_eq!(kept("winner 2").reason, "it would remove `loser`");
    assert_eq!(found.kept_back.len(), 4);
}

fn forget_indexes(world: &World) {
    let lists = world.root().join("var/lib/apt/lists");
    for entry in fs::read_dir(lists).expect("lists") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            fs::remove_file(path).expect("removed");
        }
    }
}

#[test]
fn a_machine_without_indexes_says_so_and_what_to_do() {
    let world = World::of(&[Package::new("plain", "1")], &[Package::new("plain", "2")]);
    forget_indexes(&world);
    let found = world.search();
    assert!(found.updates.is_empty());
    let warnings: Vec<_> = found
        .warnings
        .iter()
        .map(|warning| (warning.hresult, warning.message.as_str()))
        .collect();
    let expected = "the indexes were never fetched on this machine, so nothing can be found; fetch them with `wua search --refresh`";
    assert_eq!(warnings, [(HResult::WU_E_ITEMNOTFOUND, expected)]);
}

#[test]
fn a_failed_refresh_speaks_of_older_indexes_only_where_there_are_some() {
    let world = World::of(&[Package::new("plain", "1")], &[Package::new("plain", "2")]);
    forget_indexes(&world);
    fs::rename(world.machine.archive().root(), world.root().join("srv/away")).expect("moved away");
    let found = search(&world, true, &|_| ()).expect("a search");
    let [warning] = &found.warnings[..] else {
        panic!("{:?}", found.warnings)
    };
    assert!(warning.hresult.is_failure());
    let beginning =
        "the indexes could not be refreshed, and there are no older ones, so nothing can be found: ";
    assert!(warning.message.starts_with(beginning), "{}", warning.message);
}

#[test]
fn a_damaged_index_is_named_where_apt_only_stumbles() {
    let world = World::of(&[Package::new("plain", "1")], &[Package::new("plain", "2")]);
    let lists = world.root().join("var/lib/apt/lists");
    let index = fs::read_dir(lists)
        .expect("lists")
        .map(|entry| entry.expect("an entry").path())
        .find(|path| {
            path.to_string_lossy().contains("practice_") && path.to_string_lossy().ends_with("_Packages")
        })
        .expect("an index");
    let mut text = fs::read(&index).expect("readable");
    text.extend_from_slice(b"\nPackage: plain\n\x00\xff\x1b[2Jgarbage without a colon");
    fs::write(&index, text).expect("damaged");
    let failure = search(&world, false, &|_| ()).expect_err("APT does not read it");
    assert_eq!(
        failure.code(),
        HResult::WU_E_INVALID_FILE,
        "{}",
        failure.sentence()
    );
    let name = index.file_name().expect("a name").to_string_lossy().into_owned();
    assert!(failure.sentence().contains(&name), "{}", failure.sentence());
    assert!(!failure.sentence().contains('\u{1b}'));
}

const LOCK: &str = "WUA_TEST_LOCK";

/// Not a test: the program that holds a lock. A process does not see its own record locks, so it is another one: this
/// test program, started again.
#[test]
#[ignore = "started by another test"]
fn holds_a_lock() {
    let Some(path) = std::env::var_os(LOCK) else {
        return;
    };
    let mut options = fs::OpenOptions::new();
    let file = options
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .expect("lock file");
    rustix::fs::fcntl_lock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)
        .expect("nobody else holds it");
    let mut out = std::io::stdout();
    out.write_all(b"\nheld\n")
        .and_then(|()| out.flush())
        .expect("told");
    std::io::stdin()
        .read_to_end(&mut Vec::new())
        .expect("until the other end closes");
}

#[test]
fn a_refresh_waits_visibly_for_whoever_works_with_the_indexes() {
    let world = World::of(&[Package::new("plain", "1")], &[Package::new("plain", "2")]);
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "holds_a_lock", "--ignored", "--nocapture"])
        .env(LOCK, world.root().join(wua_apt::locks::LISTS))
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
    let pid = child.id();
    let (child, told) = (RefCell::new(child), RefCell::new(Vec::new()));
    // Being told of the wait is what lets the holder go.
    let waiting = |what: &str| {
        told.borrow_mut().push(what.to_owned());
        drop(child.borrow_mut().stdin.take());
    };
    let found = search(&world, true, &waiting).expect("a search");
    child.borrow_mut().wait().expect("waited for");
    assert_eq!(found.warnings, []);
    let told = told.into_inner();
    assert!(
        told.len() == 1 && told[0].contains(&format!("({pid})")),
        "{told:?}"
    );
}

fn search(world: &World, refresh: bool, waiting: &dyn Fn(&str)) -> Result<Found, Failure> {
    let abort = std::sync::atomic::AtomicBool::new(false);
    let request = SearchRequest {
        refresh,
        store: &world.store,
        abort: &abort,
        waiting,
    };
    world.apt.search(&request)
}

#[test]
fn a_failed_refresh_leaves_the_old_answer_and_a_failing_warning() {
    let world = World::of(&[Package::new("plain", "1")], &[Package::new("plain", "2")]);
    world
        .machine
        .archive()
        .corrupt_release(wua_sandbox::Suite::Practice)
        .expect("corrupted");
    let found = search(&world, true, &|_| ()).expect("a search");
    assert_eq!(found.updates.len(), 1);
    assert_eq!(found.warnings.len(), 1, "{:?}", found.warnings);
    assert_eq!(
        found.warnings[0].hresult,
        HResult::TRUST_E_NOSIGNATURE,
        "{:?}",
        found.warnings
    );
}

#[test]
fn an_abort_ends_the_search() {
    let world = World::of(&[Package::new("plain", "1")], &[Package::new("plain", "2")]);
    let abort = std::sync::atomic::AtomicBool::new(true);
    let request = wua_engine::source::SearchRequest {
        refresh: false,
        store: &world.store,
        abort: &abort,
        waiting: &|_| (),
    };
    let failure = wua_engine::source::UpdateSource::search(&world.apt, &request).expect_err("aborted");
    assert_eq!(failure.code(), HResult::WU_E_CALL_CANCELLED);
}
