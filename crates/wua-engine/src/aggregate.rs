//! The result of the whole from the results of its updates (rule R32), the same for downloads, installs and uninstalls.

use wua_types::{HResult, OperationResultCode, UpdateResult};

/// Why a job ended before it had looked at every update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It did not.
    No,
    /// The caller asked for it.
    AtRequest,
    /// The agent is being stopped.
    ByService,
}

/// The outcome of the whole and its reason.
pub fn aggregate<R: UpdateResult>(results: &[R], stopped: Stopped) -> (OperationResultCode, HResult) {
    let count = |wanted: OperationResultCode| {
        results
            .iter()
            .filter(|result| result.result_code() == wanted)
            .count()
    };
    let failed = count(OperationResultCode::Failed);
    let aborted = count(OperationResultCode::Aborted);
    if stopped == Stopped::AtRequest && aborted > 0 {
        (OperationResultCode::Aborted, HResult::WU_E_CALL_CANCELLED)
    } else if stopped == Stopped::ByService {
        (OperationResultCode::Aborted, HResult::WU_E_SERVICE_STOP)
    } else if failed == results.len() {
        (OperationResultCode::Failed, HResult::WU_E_ALL_UPDATES_FAILED)
    } else if failed > 0 || aborted > 0 || count(OperationResultCode::SucceededWithErrors) > 0 {
        (
            OperationResultCode::SucceededWithErrors,
            HResult::WU_S_UPDATE_ERROR,
        )
    } else {
        (OperationResultCode::Succeeded, HResult::S_OK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wua_types::UpdateDownloadResult;

    fn check(codes: &[i32], stopped: Stopped, expected: (OperationResultCode, HResult)) {
        let results: Vec<_> = codes
            .iter()
            .map(|code| {
                let code = OperationResultCode::try_from(*code).expect("a result code");
                UpdateDownloadResult::new(code, HResult::S_OK, "")
            })
            .collect();
        assert_eq!(aggregate(&results, stopped), expected, "{codes:?} {stopped:?}");
    }

    #[test]
    fn r32_every_row_of_the_table() {
        use OperationResultCode::{Aborted, Failed, Succeeded, SucceededWithErrors};
        check(
            &[2, 5],
            Stopped::AtRequest,
            (Aborted, HResult::WU_E_CALL_CANCELLED),
        );
        check(
            &[2, 4],
            Stopped::AtRequest,
            (SucceededWithErrors, HResult::WU_S_UPDATE_ERROR),
        );
        check(&[2, 5], Stopped::ByService, (Aborted, HResult::WU_E_SERVICE_STOP));
        check(&[4], Stopped::No, (Failed, HResult::WU_E_ALL_UPDATES_FAILED));
        check(&[4, 4], Stopped::No, (Failed, HResult::WU_E_ALL_UPDATES_FAILED));
        check(
            &[2, 4],
            Stopped::No,
            (SucceededWithErrors, HResult::WU_S_UPDATE_ERROR),
        );
        check(
            &[2, 3],
            Stopped::No,
            (SucceededWithErrors, HResult::WU_S_UPDATE_ERROR),
        );
        check(&[2, 2], Stopped::No, (Succeeded, HResult::S_OK));
    }
}
