//! The JSON documents of the command line (docs/output.schema.json). Keys follow the Ansible module `win_updates` where it has
//! them, so these values belong to this front alone and are composed here by hand.

use serde_json::{Map, Value, json};
use wua_engine::jobs::JobSummary;
use wua_types::{
    HResult, InstallationImpact, InstallationRebootBehavior, KeptBack, OperationResultCode, PackageChange,
    SearchResult, Update, UpdateException, UpdateHistoryEntry, UpdateInstallationResult,
};

/// One update.
pub(crate) fn update(update: &Update) -> Map<String, Value> {
    let behavior = update.installation_behavior;
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| {
        object.insert(key.into(), value);
    };
    put("id", json!(update.id()));
    put("revision", json!(update.identity.revision_number));
    put("title", json!(update.title));
    put("description", json!(update.description));
    put("kb", json!(update.kb_article_ids));
    put(
        "categories",
        json!(
            update
                .categories
                .iter()
                .map(|category| &category.name)
                .collect::<Vec<_>>()
        ),
    );
    put("type", json!(update.update_type.word()));
    put("is_installed", json!(update.is_installed));
    put("is_downloaded", json!(update.is_downloaded));
    put("is_hidden", json!(update.is_hidden));
    put("is_uninstallable", json!(update.is_uninstallable));
    put("reboot_required", json!(update.reboot_required));
    let reboot = behavior.map_or(InstallationRebootBehavior::NeverReboots, |behavior| {
        behavior.reboot_behavior
    });
    put("reboot_behaviour", json!(reboot.word()));
    put(
        "impact",
        json!(
            behavior
                .map_or(InstallationImpact::Normal, |behavior| behavior.impact)
                .word()
        ),
    );
    put("download_size", json!(update.max_download_size));
    put("severity", json!(update.msrc_severity));
    put("cves", json!(update.cve_ids));
    put("support_url", json!(update.support_url));
    put("deadline", json!(update.deadline));
    put(
        "packages",
        json!(update.packages().into_iter().map(package).collect::<Vec<_>>()),
    );
    object
}

fn package(package: &PackageChange) -> Value {
    json!({
        "name": package.name,
        "architecture": package.architecture,
        "installed": package.installed,
        "candidate": package.candidate,
    })
}

fn warning(warning: &UpdateException) -> Value {
    json!({ "message": warning.message, "hresult": warning.hresult })
}

fn kept_back(kept: &KeptBack) -> Value {
    json!({ "title": kept.title, "packages": kept.packages, "reason": kept.reason, "removals": kept.removals })
}

/// `wua search`.
pub(crate) fn search(result: &SearchResult) -> Value {
    let updates: Map<String, Value> = result
        .updates
        .iter()
        .map(|found| (found.id().to_string(), Value::Object(update(found))))
        .collect();
    json!({
        "found_update_count": result.updates.len(),
        "result_code": result.result_code,
        "hresult": result.hresult,
        "updates": updates,
        "kept_back": result.kept_back.iter().map(kept_back).collect::<Vec<_>>(),
        "warnings": result.warnings.iter().map(warning).collect::<Vec<_>>(),
    })
}

/// How one update of a download, installation or uninstallation ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) update: Update,
    pub(crate) result_code: OperationResultCode,
    pub(crate) hresult: HResult,
    pub(crate) message: String,
    pub(crate) reboot_required: bool,
    pub(crate) kept_configuration: Vec<String>,
}

/// `wua download`, `install` and `uninstall`: what came of it all.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) result_code: OperationResultCode,
    pub(crate) hresult: HResult,
    pub(crate) reboot_required: bool,
    pub(crate) jobs: Vec<uuid::Uuid>,
    pub(crate) ended: Vec<Ended>,
    pub(crate) left_out: Vec<(Update, Vec<String>)>,
}

impl Outcome {
    /// How many updates failed.
    pub(crate) fn failed(&self) -> usize {
        self.ended
            .iter()
            .filter(|ended| ended.result_code == OperationResultCode::Failed)
            .count()
    }

    /// How many were done, with or without warnings.
    pub(crate) fn done(&self) -> usize {
        self.ended
            .iter()
            .filter(|ended| ended.result_code.is_success())
            .count()
    }

    pub(crate) fn document(&self) -> Value {
        let updates: Map<String, Value> = self
            .ended
            .iter()
            .map(|ended| {
                let mut object = update(&ended.update);
                object.insert("result_code".into(), json!(ended.result_code));
                object.insert("hresult".into(), json!(ended.hresult));
                object.insert("reboot_required".into(), json!(ended.reboot_required));
                object.insert("kept_configuration".into(), json!(ended.kept_configuration));
                if ended.result_code == OperationResultCode::Failed {
                    object.insert("failure_hresult_code".into(), json!(ended.hresult));
                    object.insert("failure_msg".into(), json!(ended.message));
                } else if !ended.message.is_empty() {
                    object.insert("message".into(), json!(ended.message));
                }
                (ended.update.id().to_string(), Value::Object(object))
            })
            .collect();
        let filtered: Map<String, Value> = self
            .left_out
            .iter()
            .map(|(left_out, reasons)| {
                let mut object = update(left_out);
                object.insert("filtered_reasons".into(), json!(reasons));
                (left_out.id().to_string(), Value::Object(object))
            })
            .collect();
        json!({
            "found_update_count": self.ended.len() + self.left_out.len(),
            "installed_update_count": self.done(),
            "failed_update_count": self.failed(),
            "reboot_required": self.reboot_required,
            "result_code": self.result_code,
            "hresult": self.hresult,
            "jobs": self.jobs,
            "updates": updates,
            "filtered_updates": filtered,
        })
    }
}

/// One history entry.
pub(crate) fn history_entry(entry: &UpdateHistoryEntry) -> Value {
    json!({
        "job": entry.job,
        "operation": entry.operation.word(),
        "id": entry.update_identity.update_id,
        "revision": entry.update_identity.revision_number,
        "title": entry.title,
        "result_code": entry.result_code,
        "hresult": entry.hresult,
        "unmapped_result_code": entry.unmapped_result_code,
        "date": entry.date,
        "message": entry.message,
        "reboot_required": entry.reboot_required,
        "client_application_id": entry.client_application_id,
        "user_id": entry.user_id,
        "kept_configuration": entry.kept_configuration,
        "support_url": entry.support_url,
    })
}

/// One update of a job that was followed.
pub(crate) fn attached(update: &Update, result: &UpdateInstallationResult) -> Value {
    json!({
        "id": update.id(),
        "title": update.title,
        "result_code": result.result_code,
        "hresult": result.hresult,
        "reboot_required": result.reboot_required,
        "unmapped_result_code": result.unmapped_result_code,
        "message": result.message,
        "kept_configuration": result.kept_configuration,
    })
}

/// `wua jobs`.
pub(crate) fn jobs(jobs: &[JobSummary]) -> Value {
    json!({ "jobs": jobs })
}
