//! Downloads on practice machines: new archives, old ones, and what goes wrong.

mod offering;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use offering::{Listener, World};
use wua_engine::handler::UpdateHandler as _;
use wua_engine::store::Origin;
use wua_sandbox::{Fault, Package, Script, Suite};
use wua_types::{HResult, MsrcSeverity, OperationResultCode, Phase};

#[test]
fn a_download_brings_the_new_archive_and_keeps_the_old() {
    let world = World::with(8, &[]);
    let updates = world.search().updates;
    let told = world.download(&updates);
    for (place, update) in updates.iter().enumerate() {
        let result = told.result(place);
        assert_eq!(
            (result.result_code, result.hresult),
            (OperationResultCode::Succeeded, HResult::S_OK),
            "{result:?}"
        );
        for package in update.packages() {
            assert!(
                world
                    .store
                    .has(&package.content.as_ref().expect("an archive").sha256)
            );
            let Some(version) = &package.installed else {
                continue;
            };
            let label = format!("deb {} {} {version}", package.name, package.architecture);
            let old = world
                .store
                .find(&label)
                .expect("readable")
                .unwrap_or_else(|| panic!("no `{label}`"));
            assert_eq!(old.origin, Origin::Repacked);
            let file = fs::metadata(world.store.path(&old.sha256).expect("a hash")).expect("a file");
            assert_eq!(file.mode() & 0o777, 0o600, "it may hold the machine's secrets");
        }
        let last = told
            .bytes
            .iter()
            .rfind(|(index, ..)| *index == place)
            .expect("progress");
        assert_eq!(
            (last.1, last.2, last.3),
            (update.max_download_size, update.max_download_size, Phase::Saving)
        );
    }
    assert_eq!(told.warnings, []);
    let incoming = world.store.folder().join("incoming/apt");
    assert_eq!(
        fs::read_dir(incoming).expect("the folder").count(),
        0,
        "nothing is left over"
    );

    let again = world.search().updates;
    assert!(
        again
            .iter()
            .all(|update| update.is_downloaded && update.min_download_size == 0)
    );
    let told = world.download(&again);
    assert!((0..again.len()).all(|place| told.result(place).hresult == HResult::WU_S_ALREADY_DOWNLOADED));
}

#[test]
fn a_download_keeps_what_apt_said_and_a_search_does_not() {
    let world = World::with(4, &[]);
    let kept = world.machine.root().join("var/lib/wua/apt.json");
    let before = world.search();
    assert!(!kept.exists(), "a search writes nothing");
    world.download(&before.updates);
    let mode = fs::metadata(&kept).expect("it is there").mode();
    assert_eq!(mode & 0o777, 0o644);
    let titles = |found: wua_engine::source::Found| -> Vec<String> {
        found.updates.into_iter().map(|update| update.title).collect()
    };
    assert_eq!(titles(world.search()), titles(before));
}

#[test]
fn a_changelog_is_known_after_the_download_and_names_the_flaw() {
    let world = World::with(8, &[]);
    let before = world.update("postbird");
    assert_eq!(
        (
            before.msrc_severity,
            before.cve_ids.len(),
            before.release_notes.clone()
        ),
        (None, 0, None)
    );
    world.download(&[before]);
    let after = world.update("postbird");
    assert_eq!(after.msrc_severity, Some(MsrcSeverity::Important));
    assert_eq!(after.cve_ids, ["CVE-2026-18802"]);
    let notes = after.release_notes.expect("a changelog");
    assert!(
        notes.starts_with("postbird (3.8.1-2+deb12u1)") && !notes.contains("Initial release"),
        "{notes}"
    );
}

#[test]
fn a_repacked_archive_installs_and_is_the_package_it_was() {
    let old = Package::new("kettle", "1:1.0-1")
        .architecture("all")
        .file("usr/share/kettle/text", "old text\n")
        .executable("usr/bin/kettle", "#!/bin/sh\necho old\n")
        .conffile("etc/kettle.conf", "heat=1\n")
        .conffile("etc/kettle-secret.conf", "none\n")
        .script(
            Script::Postinst,
            "echo configured >\"$DPKG_ROOT/var/kettle-was-here\"",
        );
    let new = Package::new("kettle", "1:1.1-1")
        .file("usr/share/kettle/text", "new text\n")
        .executable("usr/bin/kettle", "#!/bin/sh\necho new\n")
        .conffile("etc/kettle.conf", "heat=1\n");
    let world = World::of(&[old], &[new]);
    world
        .machine
        .edit_conffile("etc/kettle.conf", "heat=9\n")
        .expect("edited");
    fs::remove_file(world.root().join("etc/kettle-secret.conf")).expect("the administrator removed it");
    // Links are packed as links.
    let list = world.root().join("var/lib/dpkg/info/kettle.list");
    let mut text = fs::read_to_string(&list).expect("a list");
    text.push_str("/usr/bin/boil\n/usr/bin/teapot\n");
    fs::write(&list, text).expect("written");
    std::os::unix::fs::symlink("kettle", world.root().join("usr/bin/boil")).expect("a link");
    fs::hard_link(
        world.root().join("usr/bin/kettle"),
        world.root().join("usr/bin/teapot"),
    )
    .expect("a link");

    let update = world.update("kettle");
    let told = world.download(std::slice::from_ref(&update));
    assert_eq!(
        told.warnings.len(),
        1,
        "the removed configuration file is told: {told:?}"
    );
    let old = world
        .store
        .find("deb kettle all 1:1.0-1")
        .expect("readable")
        .expect("kept");
    let archive = world.store.path(&old.sha256).expect("a hash");
    world.machine.install(&["kettle"]).expect("upgraded");
    assert_eq!(world.read("usr/share/kettle/text"), b"new text\n");
    fs::remove_file(world.root().join("var/kettle-was-here")).expect("written by the script");

    let output = world
        .machine
        .dpkg(&["--install", archive.to_str().expect("UTF-8")])
        .expect("dpkg runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        world.machine.dpkg_state("kettle"),
        Some(("install ok installed".into(), "1:1.0-1".into()))
    );
    assert_eq!(world.read("usr/share/kettle/text"), b"old text\n");
    assert_eq!(world.read("usr/bin/kettle"), b"#!/bin/sh\necho old\n");
    assert_eq!(world.read("etc/kettle.conf"), b"heat=9\n");
    assert_eq!(world.read("var/kettle-was-here"), b"configured\n");
    let program = fs::metadata(world.root().join("usr/bin/kettle")).expect("a program");
    assert_eq!(program.permissions().mode() & 0o777, 0o755);
    assert_eq!(
        fs::read_link(world.root().join("usr/bin/boil")).expect("a link"),
        std::path::Path::new("kettle")
    );
    assert_eq!(
        fs::metadata(world.root().join("usr/bin/teapot"))
            .expect("a link")
            .ino(),
        program.ino()
    );
}

#[test]
fn a_damaged_archive_fails_its_own_update_only() {
    let world = World::with(2, &[Fault::BadHash]);
    let updates = world.search().updates;
    assert_eq!(updates.len(), 3);
    let told = world.download(&updates);
    let failed: Vec<_> = told
        .results
        .iter()
        .filter(|(_, result)| result.result_code == OperationResultCode::Failed)
        .collect();
    assert_eq!(failed.len(), 1, "{told:?}");
    assert_eq!(failed[0].1.hresult, HResult::WU_E_DM_INCORRECTFILEHASH);
    assert!(
        failed[0]
            .1
            .message
            .contains("is not the archive that the signed index promises"),
        "{failed:?}"
    );
    assert!(
        told.results
            .iter()
            .filter(|(_, result)| result.hresult == HResult::S_OK)
            .count()
            == 2
    );
}

#[test]
fn an_archive_that_is_gone_or_out_of_reach_has_its_code() {
    let world = World::with(3, &[]);
    let mut updates = world.search().updates;
    let address = |update: &mut wua_types::Update, address: &str| {
        for child in &mut update.bundled_updates {
            let package = child.package.as_mut().expect("a package");
            package.content.as_mut().expect("an archive").url = address.into();
        }
    };
    address(&mut updates[0], "http://127.0.0.1:9/harbour.deb");
    address(&mut updates[1], "copy:/nonexistent/harbour.deb");
    let told = world.download(&updates);
    assert_eq!(told.result(0).hresult, HResult::WU_E_NO_CONNECTION, "{told:?}");
    assert!(told.result(0).message.contains("127.0.0.1"), "{told:?}");
    assert_eq!(told.result(1).hresult, HResult::WU_E_DOWNLOAD_FAILED, "{told:?}");
    assert_eq!(told.result(2).hresult, HResult::S_OK, "{told:?}");
}

#[test]
fn a_damaged_part_is_fetched_anew() {
    let world = World::with(1, &[]);
    let update = world.update("inkpot");
    let hash = update.packages()[0]
        .content
        .as_ref()
        .expect("an archive")
        .sha256
        .clone();
    let incoming = world.store.folder().join("incoming/apt");
    fs::create_dir_all(&incoming).expect("a folder");
    fs::write(incoming.join(format!("{hash}.deb")), "not its beginning").expect("a part");
    let told = world.download(&[update]);
    assert_eq!(told.result(0).hresult, HResult::S_OK, "{told:?}");
}

#[test]
fn an_archive_that_was_altered_in_the_store_is_fetched_again() {
    let world = World::with(1, &[]);
    let update = world.update("inkpot");
    world.download(std::slice::from_ref(&update));
    let archives: Vec<_> = update
        .packages()
        .iter()
        .map(|package| package.content.as_ref().expect("an archive").sha256.clone())
        .collect();
    let path = world.store.path(&archives[0]).expect("a hash");
    let mut bytes = fs::read(&path).expect("stored");
    bytes[100] ^= 1;
    fs::write(&path, bytes).expect("altered");
    world.machine.apt_get(&["clean"]).expect("cleaned");
    let told = world.download(&[update]);
    assert_eq!(told.result(0).hresult, HResult::S_OK, "{told:?}");
    for archive in &archives {
        world.store.verify(archive).expect("whole again");
    }
}

#[test]
fn an_aborted_download_tells_every_update() {
    let world = World::with(2, &[]);
    let updates = world.search().updates;
    let mut listener = Listener {
        abort: true,
        ..Listener::default()
    };
    world
        .apt
        .download(&updates, &world.store, &mut listener)
        .expect("ends in order");
    for place in 0..updates.len() {
        let result = listener.result(place);
        assert_eq!(
            (result.result_code, result.hresult),
            (OperationResultCode::Aborted, HResult::WU_E_CALL_CANCELLED)
        );
    }
}

#[test]
fn what_lies_in_apts_cache_is_not_fetched_again() {
    let world = World::of(&[Package::new("plain", "1")], &[Package::new("plain", "2")]);
    let update = world.update("plain");
    let fetched = world
        .machine
        .apt_get(&["-y", "-d", "install", "plain"])
        .expect("apt-get runs");
    assert!(fetched.status.success());
    // Gone from the archive: only the cache is left.
    fs::remove_file(
        world
            .machine
            .archive()
            .package_file(Suite::Practice, "plain")
            .expect("published"),
    )
    .expect("removed");
    let told = world.download(&[update]);
    assert_eq!(told.result(0).hresult, HResult::S_OK, "{told:?}");
}

#[test]
fn an_old_version_that_is_still_offered_is_the_publishers_own() {
    let world = World::of(
        &[Package::new("plain", "1")],
        &[Package::new("plain", "1"), Package::new("plain", "2")],
    );
    let update = world.update("plain");
    world.download(&[update]);
    let old = world
        .store
        .find("deb plain all 1")
        .expect("readable")
        .expect("kept");
    assert_eq!(old.origin, Origin::Downloaded);
}
