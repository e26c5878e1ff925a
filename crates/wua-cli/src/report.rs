//! Results as people read them: a line for each update, with the reason and the next step where something went wrong.

use console::style;
use wua_types::{HResult, OperationResultCode, Update, UpdateInstallationResult};

use crate::text::{one_line, wrap};

/// The word for how an update ended, in its colour and padded.
pub(crate) fn outcome_word(code: OperationResultCode) -> String {
    let word = match code {
        OperationResultCode::Succeeded => "done",
        OperationResultCode::SucceededWithErrors => "partly",
        OperationResultCode::Failed => "FAILED",
        OperationResultCode::Aborted => "stopped",
        OperationResultCode::NotStarted => "waiting",
        OperationResultCode::InProgress => "running",
    };
    let padded = format!("{word:<7}");
    match code {
        OperationResultCode::Succeeded => style(padded).green().to_string(),
        OperationResultCode::Failed => style(padded).red().bold().to_string(),
        OperationResultCode::Aborted | OperationResultCode::SucceededWithErrors => {
            style(padded).yellow().to_string()
        }
        _ => padded,
    }
}

/// How an update ended: one line, and below it what to know.
pub(crate) fn finished_line(update: &Update, result: &UpdateInstallationResult, width: usize) -> Vec<String> {
    let remark = match result.hresult {
        HResult::S_OK => "",
        HResult::WU_S_REBOOT_REQUIRED => "  restart needed",
        HResult::WU_S_ALREADY_INSTALLED => "  already installed",
        HResult::WU_S_ALREADY_UNINSTALLED => "  not installed",
        HResult::WU_S_ALREADY_DOWNLOADED => "  already downloaded",
        _ => "",
    };
    let mut lines = vec![format!(
        "  {} {}{remark}",
        outcome_word(result.result_code),
        one_line(&update.title)
    )];
    lines.extend(explain(
        result.result_code,
        result.hresult,
        &result.message,
        width,
    ));
    for path in &result.kept_configuration {
        lines.push(format!(
            "          kept your {}; the new one lies beside it",
            one_line(path)
        ));
    }
    lines
}

/// Why an update failed: cause, code and next step, wrapped to the screen.
pub(crate) fn explain(
    code: OperationResultCode,
    hresult: HResult,
    message: &str,
    width: usize,
) -> Vec<String> {
    let mut lines = Vec::new();
    if matches!(
        code,
        OperationResultCode::Failed | OperationResultCode::SucceededWithErrors
    ) {
        let indent = "          ";
        lines.extend(wrap(&one_line(message), width, indent));
        lines.push(format!(
            "{indent}{hresult} {}",
            hresult.name().unwrap_or("unknown code")
        ));
        if let Some(next) = hresult.next_step() {
            lines.extend(wrap(&format!("next: {next}"), width, indent));
        }
    }
    lines
}

/// A warning that came while a job ran.
pub(crate) fn warning_line(message: &str, hresult: HResult) -> String {
    let name = if hresult.is_failure() {
        format!(" ({hresult})")
    } else {
        String::new()
    };
    format!("  {} {}{name}", style("warning").yellow(), one_line(message))
}
