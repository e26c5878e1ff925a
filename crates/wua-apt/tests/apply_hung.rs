//! A maintainer script that says nothing: what progress tells of it, and how the policy ends it.

mod common;

use std::time::Duration;

use common::{Record, Scene, Want, upgrade};
use wua_apt::apply::ApplyOptions;
use wua_engine::handler::BatchEnd;
use wua_sandbox::Script;
use wua_types::{HResult, UpdateOperation};

/// Waits in a process of its own until a file is there, listening to no request to end.
const DEAF: &str = "trap '' TERM; printf 'asking the server\\r'; echo still asking >&2; \
    (trap '' TERM; while [ ! -e \"$DPKG_ROOT/go\" ]; do sleep 0.02; done)";

fn deaf(kind: Script) -> Scene {
    Scene::new(vec![
        vec![upgrade("anchor", |new| new)],
        vec![upgrade("deaf", |new| new.script(kind, DEAF))],
        vec![upgrade("rudder", |new| new)],
    ])
}

#[test]
fn a_silent_script_is_told_with_its_process_and_its_last_line() {
    let scene = deaf(Script::Postinst);
    let options = ApplyOptions {
        quiet_after: Duration::ZERO,
        ..ApplyOptions::default()
    };
    let told = std::cell::RefCell::new(None);
    let mut record = Record::on_waiting(|wait| {
        if wait.holder.is_some() {
            assert_eq!(wait.what, "the maintainer script of deaf");
            if wait.detail.as_deref() == Some("still asking") {
                told.replace(wait.holder.clone());
                scene.write("go", "");
            }
        }
        Want::Nothing
    });
    scene
        .apply(
            UpdateOperation::Installation,
            &scene.updates,
            &[0, 1, 2],
            &options,
            &mut record,
        )
        .expect("applied");
    let holder = told.borrow().clone().expect("the script was told");
    assert!(holder.starts_with("postinst of deaf ("), "{holder}");
    assert!(record.succeeded(1), "{:?}", record.story);
}

#[test]
fn a_script_over_its_limit_is_ended_and_the_others_go_on() {
    for (kind, name, left) in [
        (Script::Postinst, "postinst", "half-configured 2"),
        (Script::Preinst, "preinst", "installed 1"),
    ] {
        let scene = deaf(kind);
        let options = ApplyOptions {
            script_limit: Some(Duration::ZERO),
            script_grace: Duration::ZERO,
            ..ApplyOptions::default()
        };
        let mut record = Record::default();
        let end = scene.apply(
            UpdateOperation::Installation,
            &scene.updates,
            &[0, 1, 2],
            &options,
            &mut record,
        );
        assert_eq!(end.expect("applied"), BatchEnd::Done);
        assert!(record.succeeded(0) && record.succeeded(2), "{:?}", record.story);
        let (code, message) = record.failure(1);
        assert_eq!(code, HResult::WU_E_UH_INSTALLERHUNG, "{message}");
        assert!(
            message.contains(&format!("the {name} of deaf was silent")),
            "{message}"
        );
        assert!(message.contains("it said: "), "{message}");
        assert!(
            record
                .warnings
                .iter()
                .any(|warning| warning.contains("of deaf was silent")),
            "{:?}",
            record.warnings
        );
        assert_eq!(scene.state("deaf"), left);
        assert_eq!(scene.state("rudder"), "installed 2");
    }
}
