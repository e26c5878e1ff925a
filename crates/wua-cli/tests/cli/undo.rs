//! `wua uninstall`: back to the versions before, though the archive has only the new ones.

use serde_json::json;
use wua_sandbox::Fault;

use crate::harness::Machine;

#[test]
fn an_update_that_failed_and_is_there_all_the_same_can_be_taken_back() {
    let machine = Machine::new(1, &[Fault::FailingPostinst]);
    machine.wua(["install", "--all"]).ends(1);
    let broken = machine.json(["history"])["entries"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|entry| entry["result_code"] == 4)
        .expect("one failed")
        .clone();
    let title = broken["title"].as_str().expect("a title");
    let (source, version) = title.split_once(' ').expect("two words");
    assert!(machine.installed(source).starts_with(version), "it is unpacked");
    assert_eq!(machine.titles("IsInstalled=1").len(), 2);
    let job = broken["job"].as_str().expect("a job");
    machine.wua(["uninstall", "--job", job]).ends(0);
    assert!(!machine.installed(source).starts_with(version));
    machine.wua(["doctor"]).ends(0);
}

#[test]
fn an_update_is_taken_back_though_the_archive_has_forgotten_the_old_version() {
    let machine = Machine::new(2, &[]);
    let id = machine.id("pixelry");
    machine.wua(["install", "--all"]).ends(0);
    assert_eq!(machine.titles("IsInstalled=1").len(), 2);
    assert_eq!(machine.titles(""), Vec::<String>::new());
    machine
        .wua(["search", "IsInstalled=1"])
        .ends(0)
        .says(&["installed, can be taken back"]);

    let run = machine.wua(["uninstall", "pixelry", "--output", "jsonl"]).ends(0);
    let result = run.result();
    let update = &result["updates"][&id];
    assert_eq!(
        (
            &update["result_code"],
            &update["is_installed"],
            &update["is_hidden"]
        ),
        (&json!(2), &json!(false), &json!(true))
    );
    for package in ["libpixelry3", "pixelry-tools", "pixelry-view"] {
        assert_eq!(machine.installed(package), "2.7.0-3");
    }
    assert_eq!(machine.installed("inkpot"), "4.2.2-1");

    // It is hidden, or the next search would bring it again.
    assert_eq!(machine.titles(""), Vec::<String>::new());
    assert_eq!(
        machine.titles("IsInstalled=0 and IsHidden=1"),
        ["pixelry 2.7.0-3+deb12u1"]
    );
    machine
        .wua(["uninstall", "pixelry"])
        .ends(2)
        .complains(&["installed no update that fits `pixelry`"]);

    machine.wua(["unhide", "pixelry"]).ends(0);
    machine.wua(["install", "pixelry"]).ends(0);
    assert_eq!(machine.installed("libpixelry3"), "2.7.0-3+deb12u1");
    machine
        .wua(["uninstall", &id])
        .ends(0)
        .says(&["1 of 1 update taken back."]);
    assert_eq!(machine.installed("libpixelry3"), "2.7.0-3");
    let history = machine.json(["history"]);
    let operations: Vec<_> = history["entries"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| entry["operation"].clone())
        .collect();
    assert_eq!(
        operations,
        ["uninstall", "install", "uninstall", "install", "install"]
    );
}

#[test]
fn everything_that_a_job_brought_is_taken_back_and_nothing_else() {
    let machine = Machine::new(3, &[]);
    machine.wua(["install", "postbird"]).ends(0);
    let document = machine.json(["install", "--all"]);
    let job = document["jobs"][1].as_str().expect("the installation").to_owned();
    let plan = machine.json(["uninstall", "--job", &job, "--what-if"]);
    assert_eq!(plan["updates"].as_array().map(Vec::len), Some(2));
    machine
        .wua(["uninstall", "--job", &job])
        .ends(0)
        .says(&["2 of 2 updates taken back."]);
    assert_eq!(machine.installed("inkpot"), "4.2.1-1");
    assert_eq!(machine.installed("postbird"), "3.8.1-2+deb12u1");
    machine
        .wua(["uninstall", "--job", &job])
        .ends(2)
        .complains(&["nothing is installed any more", "wua history"]);
    machine
        .wua(["uninstall", "--job", "00000000-0000-4000-8000-000000000000"])
        .ends(2);
    machine.wua(["uninstall", "--job", &job, "inkpot"]).ends(2);
    machine.wua(["uninstall", "--all"]).ends(0);
    assert_eq!(machine.installed("postbird"), "3.8.1-2");
}

#[test]
fn what_an_update_added_goes_with_it() {
    // The ninth product is a kernel whose new version comes as a package of its own.
    let machine = Machine::new(5, &[]);
    machine.wua(["install", "linux-practice"]).ends(0);
    assert_eq!(machine.installed("linux-image-6.12.41-practice"), "6.12.41-1");
    machine.wua(["uninstall", "linux-practice"]).ends(0);
    assert_eq!(machine.installed("linux-image-practice"), "6.12.30-1");
    let image = machine.practice.dpkg_state("linux-image-6.12.41-practice");
    assert!(
        image.is_none_or(|(status, _)| status.contains("deinstall")),
        "it is gone again"
    );
}

#[test]
fn a_configuration_file_of_the_administrator_survives_both_ways() {
    let machine = Machine::new(0, &[Fault::Conffile]);
    machine
        .wua(["install", "gatewarden"])
        .ends(0)
        .says(&["kept your /etc/gatewarden/gatewarden.conf"]);
    machine.wua(["uninstall", "gatewarden"]).ends(0);
    assert_eq!(machine.installed("gatewarden"), "0.8.3-1");
    let text = std::fs::read_to_string(machine.path("etc/gatewarden/gatewarden.conf")).expect("it is there");
    assert!(text.contains("192.0.2.0/24"), "{text}");
}

#[test]
fn an_update_whose_old_archives_are_gone_cannot_be_taken_back() {
    let machine = Machine::new(1, &[]);
    machine.write("etc/wua/wua.toml", "[undo]\nrepack = false\n");
    machine.wua(["install", "inkpot"]).ends(0);
    let shown = machine.json(["show", "inkpot"]);
    assert_eq!(shown["updates"][0]["is_uninstallable"], false);
    machine.wua(["uninstall", "inkpot"]).ends(5).complains(&[
        "WU_E_UNINSTALL_NOT_ALLOWED",
        "none of these updates can be taken back",
    ]);
    assert_eq!(machine.installed("inkpot"), "4.2.2-1");
}
