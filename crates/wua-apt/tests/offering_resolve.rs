//! What installing and taking back would change, asked of real APT on practice machines.

mod offering;

use offering::World;
use wua_engine::handler::{InstalledUpdate, Refusal, Resolution, ResolvedUpdate, UpdateHandler as _};
use wua_sandbox::Package;
use wua_types::{HResult, PlannedChange, Update};

fn resolve(world: &World, updates: &[Update]) -> Resolution {
    world.apt.resolve_install(updates, false).expect("a resolution")
}

fn undo(world: &World, updates: &[InstalledUpdate]) -> Resolution {
    world
        .apt
        .resolve_uninstall(updates, &world.store)
        .expect("a resolution")
}

fn refusal(resolution: &Resolution, place: usize) -> &Refusal {
    resolution.updates[place].as_ref().expect_err("refused")
}

fn changes(resolution: &Resolution, place: usize) -> Vec<String> {
    words(
        &resolution.updates[place]
            .as_ref()
            .unwrap_or_else(|refusal| panic!("{refusal:?}"))
            .changes,
    )
}

fn words(changes: &[PlannedChange]) -> Vec<String> {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    changes
        .iter()
        .map(|change| {
            format!(
                "{} {} {}",
                change.name,
                or_dash(&change.from),
                or_dash(&change.to)
            )
        })
        .collect()
}

fn resolved(resolution: Resolution) -> Vec<Vec<PlannedChange>> {
    let changes = |update: Result<ResolvedUpdate, Refusal>| update.expect("resolved").changes;
    resolution.updates.into_iter().map(changes).collect()
}

#[test]
fn the_plan_has_exact_versions_and_archives() {
    let world = World::with(8, &[]);
    let updates = world.search().updates;
    world.download(&updates);
    let resolution = resolve(&world, &updates);
    for (place, update) in updates.iter().enumerate() {
        let changes = &resolution.updates[place].as_ref().expect("resolved").changes;
        let packages = update.packages();
        assert_eq!(changes.len(), packages.len(), "{}", update.title);
        for package in packages {
            let change = changes
                .iter()
                .find(|change| change.name == package.name)
                .expect("planned");
            assert_eq!(
                (&change.from, &change.to),
                (&package.installed, &package.candidate)
            );
            assert_eq!(
                change.archive,
                package.content.as_ref().map(|content| content.sha256.clone())
            );
        }
    }
    assert_eq!(resolution.together, []);
    assert!(world.apt.machine().starts_with("apt practice "));
    world.apt.may_change().expect("our own machine");
}

#[test]
fn what_is_installed_already_is_refused_unless_forced() {
    let world = World::with(2, &[]);
    let updates = world.search().updates;
    world.download(&updates[..1]);
    let resolution = resolve(&world, &updates);
    let chosen = vec![resolved(Resolution {
        updates: resolution.updates.into_iter().take(1).collect(),
        together: vec![],
    })];
    world.install(&updates[..1], chosen.into_iter().flatten().collect());
    assert_eq!(
        refusal(&resolve(&world, &updates), 0).code,
        HResult::WU_S_ALREADY_INSTALLED
    );

    let forced = world
        .apt
        .resolve_install(&updates[..1], true)
        .expect("a resolution");
    let change = &forced.updates[0].as_ref().expect("again").changes[0];
    assert!(change.from == change.to && change.archive.is_some());
}

#[test]
fn updates_that_hang_on_each_other_go_together() {
    let pair = |version: &str| {
        [
            Package::new("player", version).depends(format!("codec (= {version})")),
            Package::new("codec", version),
            Package::new("loner", version).depends("codec"),
        ]
    };
    let world = World::of(&pair("1"), &pair("2"));
    let updates = world.search().updates;
    world.download(&updates);
    let resolution = resolve(&world, &updates);
    let titles: Vec<_> = updates.iter().map(|update| update.title.as_str()).collect();
    assert_eq!(titles, ["codec 2", "loner 2", "player 2"]);
    // Each needs the other: the new player the new codec, and the old player forbids that one alone.
    assert_eq!(resolution.together, [(0, 2), (2, 0)]);

    // One alone takes the other along, if its archive is here.
    let alone = resolve(&world, &updates[2..]);
    assert_eq!(changes(&alone, 0), ["codec 1 2", "player 1 2"]);
}

#[test]
fn what_a_chosen_update_needs_of_others_is_downloaded_and_installed_with_it() {
    let set = |version: &str| {
        [
            Package::new("player", version).depends(format!("codec (= {version})")),
            Package::new("codec", version),
            Package::new("loner", version).depends("codec"),
        ]
    };
    let world = World::of(&set("1"), &set("2"));
    let player = world.update("player");
    let needs: Vec<_> = player.needs.iter().map(|change| change.name.as_str()).collect();
    assert_eq!(needs, ["codec"]);
    assert!(world.update("loner").needs.is_empty());
    world.download(std::slice::from_ref(&player));
    let resolution = resolve(&world, std::slice::from_ref(&player));
    assert_eq!(changes(&resolution, 0), ["codec 1 2", "player 1 2"]);
    let archives = resolution.updates[0].as_ref().expect("resolved").changes.iter();
    assert!(
        archives
            .flat_map(|change| &change.archive)
            .all(|archive| world.store.has(archive))
    );
}

#[test]
fn whoever_would_remove_something_is_refused_and_the_others_are_not() {
    let old = [
        Package::new("winner", "1"),
        Package::new("loser", "1"),
        Package::new("plain", "1"),
    ];
    let new = [
        Package::new("winner", "2"),
        Package::new("loser", "1"),
        Package::new("plain", "2"),
    ];
    let world = World::of(&old, &new);
    let updates = world.search().updates;
    world.download(&updates);
    // The archive changes its mind after the search: same versions, other relations.
    let new = [
        Package::new("winner", "2").field("Conflicts", "loser"),
        Package::new("loser", "1"),
        Package::new("plain", "2"),
    ];
    world
        .machine
        .publish(wua_sandbox::Suite::Practice, &new)
        .expect("published");
    world.machine.refresh().expect("refreshed");
    let resolution = resolve(&world, &updates);
    assert_eq!(changes(&resolution, 0), ["plain 1 2"]);
    assert_eq!(refusal(&resolution, 1).code, HResult::WU_E_INVALID_RELATIONSHIP);
    assert_eq!(refusal(&resolution, 1).message, "it would remove `loser`");
}

#[test]
fn a_version_that_is_gone_says_what_is_offered_now() {
    let world = World::of(
        &[Package::new("plain", "1"), Package::new("other", "1")],
        &[Package::new("plain", "2"), Package::new("other", "2")],
    );
    let updates = world.search().updates;
    world.download(&updates);
    let newer = [Package::new("plain", "3"), Package::new("other", "2")];
    world
        .machine
        .publish(wua_sandbox::Suite::Practice, &newer)
        .expect("published");
    world.machine.refresh().expect("refreshed");
    let resolution = resolve(&world, &updates);
    assert_eq!(changes(&resolution, 0), ["other 1 2"]);
    assert_eq!(refusal(&resolution, 1).code, HResult::WU_E_NOT_APPLICABLE);
    assert!(
        refusal(&resolution, 1).message.contains("now offer 3"),
        "{resolution:?}"
    );
}

#[test]
fn taking_back_returns_to_the_old_versions_and_removes_what_was_added() {
    let old = [
        Package::new("meta", "1").depends("base"),
        Package::new("base", "1"),
    ];
    let new = [
        Package::new("meta", "2").depends("base, extra"),
        Package::new("base", "1"),
        Package::new("extra", "2"),
        Package::new("user", "1").depends("extra"),
    ];
    let world = World::of(&old, &new);
    let updates = world.search().updates;
    world.download(&updates);
    let done = world.install(&updates, resolved(resolve(&world, &updates)));
    assert_eq!(world.apt.still_installed(&[&done[0]]).expect("readable"), [true]);

    let back = undo(&world, &done);
    assert_eq!(changes(&back, 0), ["extra 2 -", "meta 2 1"]);
    let archive = back.updates[0].as_ref().expect("resolved").changes[1]
        .archive
        .clone()
        .expect("an archive");
    assert!(world.store.has(&archive));

    // Somebody needs the added package now: it stays.
    world.machine.install(&["user"]).expect("installed");
    assert_eq!(changes(&undo(&world, &done), 0), ["meta 2 1"]);

    world.store.remove(&archive).expect("removed");
    let refused = undo(&world, &done);
    assert_eq!(refusal(&refused, 0).code, HResult::WU_E_UNINSTALL_NOT_ALLOWED);
    assert!(
        refusal(&refused, 0).message.contains("`meta:all` 1"),
        "{refused:?}"
    );
}

#[test]
fn taking_back_what_others_need_or_what_is_gone_is_refused() {
    let old = [Package::new("lib", "1"), Package::new("plain", "1")];
    let new = [
        Package::new("lib", "2"),
        Package::new("plain", "2"),
        Package::new("user", "1").depends("lib (>= 2)"),
    ];
    let world = World::of(&old, &new);
    let updates = world.search().updates;
    world.download(&updates);
    let done = world.install(&updates, resolved(resolve(&world, &updates)));
    world.machine.install(&["user"]).expect("installed");
    let back = undo(&world, &done);
    assert_eq!(refusal(&back, 0).code, HResult::WU_E_INVALID_RELATIONSHIP);
    assert!(refusal(&back, 0).message.contains("user"), "{back:?}");
    assert_eq!(changes(&back, 1), ["plain 2 1"]);

    let output = world
        .machine
        .apt_get(&["-y", "purge", "plain"])
        .expect("apt-get runs");
    assert!(output.status.success());
    assert_eq!(
        refusal(&undo(&world, &done), 1).code,
        HResult::WU_S_ALREADY_UNINSTALLED
    );
    assert_eq!(
        world
            .apt
            .still_installed(&[&done[0], &done[1]])
            .expect("readable"),
        [true, false]
    );
}

#[test]
fn an_old_archive_that_was_altered_is_shown_to_nobody_and_ends_the_way_back() {
    let world = World::of(&[Package::new("plain", "1")], &[Package::new("plain", "2")]);
    let updates = world.search().updates;
    world.download(&updates);
    let done = world.install(&updates, resolved(resolve(&world, &updates)));
    let old = world
        .store
        .find("deb plain all 1")
        .expect("readable")
        .expect("kept");
    let path = world.store.path(&old.sha256).expect("a hash");
    std::fs::write(path, "no archive at all").expect("altered");
    let back = undo(&world, &done);
    assert_eq!(refusal(&back, 0).code, HResult::WU_E_DM_INCORRECTFILEHASH);
    let message = &refusal(&back, 0).message;
    assert!(
        message.contains("plain") && message.contains("the way back is lost"),
        "{message}"
    );
}
