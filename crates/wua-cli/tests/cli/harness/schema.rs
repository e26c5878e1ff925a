//! `docs/output.schema.json`: every document and every event line that a test sees is held against it.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::{Value, json};

const TEXT: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../docs/output.schema.json"
));

/// The schema as it is written.
pub(crate) fn whole() -> Value {
    serde_json::from_str(TEXT).expect("the schema is JSON")
}

fn validators() -> &'static BTreeMap<String, Validator> {
    static VALIDATORS: OnceLock<BTreeMap<String, Validator>> = OnceLock::new();
    VALIDATORS.get_or_init(|| {
        let whole = whole();
        jsonschema::meta::validate(&whole).expect("the schema is one of draft 2020-12");
        let listed = whole["anyOf"]
            .as_array()
            .expect("the schema lists its documents")
            .clone();
        let validator = |reference: Value| {
            let name = reference["$ref"]
                .as_str()
                .expect("a reference")
                .trim_start_matches("#/$defs/")
                .to_owned();
            let part =
                json!({ "$schema": whole["$schema"], "$defs": whole["$defs"], "$ref": reference["$ref"] });
            (
                name,
                jsonschema::validator_for(&part).expect("every part of the schema is valid"),
            )
        };
        listed.into_iter().map(validator).collect()
    })
}

/// Fails unless `value` is what the schema calls `name`.
pub(crate) fn check(name: &str, value: &Value) {
    let validator = validators()
        .get(name)
        .unwrap_or_else(|| panic!("the schema does not describe `{name}`"));
    let faults: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("  {}: {error}", error.instance_path()))
        .collect();
    assert!(
        faults.is_empty(),
        "not what the schema calls `{name}`:\n{}\n{value:#}",
        faults.join("\n")
    );
}

/// Every place in the schema that has no description, as pointers. References carry the description of what they mean.
pub(crate) fn undescribed() -> Vec<String> {
    fn walk(value: &Value, path: &str, found: &mut Vec<String>) {
        let Value::Object(object) = value else { return };
        if let Some(Value::Object(properties)) = object.get("properties") {
            for (name, property) in properties {
                let constant = property.get("const").is_some();
                if property.get("description").is_none() && !constant {
                    found.push(format!("{path}/{name}"));
                }
                walk(property, &format!("{path}/{name}"), found);
            }
        }
        for key in ["items", "additionalProperties"] {
            if let Some(inner) = object.get(key) {
                walk(inner, path, found);
            }
        }
    }
    let whole = whole();
    let mut found = Vec::new();
    for (name, part) in whole["$defs"].as_object().expect("definitions") {
        if part.get("description").is_none() {
            found.push(name.clone());
        }
        walk(part, name, &mut found);
    }
    found
}

/// What the schema calls the document of a command.
pub(crate) fn document_of(arguments: &[String]) -> &'static str {
    let what_if = arguments.iter().any(|argument| argument == "--what-if");
    match arguments.first().map(String::as_str) {
        Some("download" | "install" | "uninstall") if what_if => "plan",
        Some("download" | "install" | "uninstall") => "outcome",
        Some("hide" | "unhide" | "accept-eula") => "flags",
        Some("search") => "search",
        Some("show") => "show",
        Some("history") => "history",
        Some("jobs") => "jobs",
        Some("attach") => "attach",
        Some("abort") => "abort",
        Some("status") => "status",
        Some("doctor") => "doctor",
        Some("repair") if what_if => "doctor",
        Some("repair") => "repair",
        Some("store") if arguments.get(1).is_some_and(|word| word == "clean") => "store_clean",
        Some("store") => "store",
        Some("services") => "services",
        Some("settings") => "settings",
        Some("agent") => "simulation",
        Some("codes") => "codes",
        Some("sandbox") => "sandbox",
        Some("web") => "web",
        Some("bridge") => "bridge",
        Some("wine") => "wine",
        other => panic!("the schema knows no document of {other:?}"),
    }
}

/// What the schema calls an event line.
pub(crate) fn event_of(line: &Value) -> &'static str {
    match line["event"].as_str() {
        Some("started") => "started",
        Some("progress") if line.get("total_bytes_to_download").is_some() => "download_progress",
        Some("progress") => "installation_progress",
        Some("update_finished") => "update_finished",
        Some("warning") => "warning",
        Some("completed") => "completed",
        other => panic!("the schema knows no event {other:?}"),
    }
}

#[test]
fn every_key_of_every_document_is_explained() {
    assert_eq!(undescribed(), Vec::<String>::new());
}
