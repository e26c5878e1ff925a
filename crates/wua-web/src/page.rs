//! The page itself: files that are part of the program, and the headers that say what a browser may do with them.

use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};

use crate::problem::Problem;

/// The page's files: path, media type, content.
const FILES: [(&str, &str, &str); 10] = [
    ("", "text/html; charset=utf-8", include_str!("../page/index.html")),
    (
        "style.css",
        "text/css; charset=utf-8",
        include_str!("../page/style.css"),
    ),
    ("app.js", SCRIPT, include_str!("../page/app.js")),
    ("agent.js", SCRIPT, include_str!("../page/agent.js")),
    ("dom.js", SCRIPT, include_str!("../page/dom.js")),
    ("updates.js", SCRIPT, include_str!("../page/updates.js")),
    ("plan.js", SCRIPT, include_str!("../page/plan.js")),
    ("job.js", SCRIPT, include_str!("../page/job.js")),
    ("history.js", SCRIPT, include_str!("../page/history.js")),
    ("settings.js", SCRIPT, include_str!("../page/settings.js")),
];

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// What goes with every answer. The page runs its own scripts only, makes no markup from text, sends to nobody else, and is shown in
/// nobody's frame; nothing is kept on a disk.
const HEADERS: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// The file with this path.
pub(crate) fn file(path: &str) -> Result<Response, Problem> {
    let (_, kind, text) = FILES
        .iter()
        .find(|(name, ..)| *name == path.trim_start_matches('/'))
        .ok_or_else(Problem::no_such_page)?;
    Ok(([(header::CONTENT_TYPE, *kind)], *text).into_response())
}

/// Adds what goes with every answer.
pub(crate) fn protect(headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
