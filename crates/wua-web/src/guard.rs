//! Who is let in. A page of somebody else's in the same browser, another user of the machine and a name that was made to point at
//! the loopback address (DNS rebinding) all reach this port; none of them has the token, and the last has another `Host`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use axum::http::request::Parts;
use axum::http::{HeaderName, StatusCode, header};
use wua_types::HResult;

use crate::problem::Problem;
use crate::secret::Secret;

/// Who is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visitor {
    /// A browser with the page of `wua web`.
    Browser,
    /// A program that has read the file of `wua bridge`. No page has anything to do here.
    Program,
}

/// Why somebody is turned away; each is logged once.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    Host,
    Origin,
    Code,
    Token,
}

/// What those who come in must know.
pub(crate) struct Guard {
    visitor: Visitor,
    /// `127.0.0.1:PORT`, as it must stand in `Host`.
    authority: String,
    /// `http://127.0.0.1:PORT`, as it must stand in `Origin`, where a browser sends one.
    origin: String,
    /// Buys the token; none once it was used, and for programs.
    code: Mutex<Option<Secret>>,
    token: Secret,
    /// Which refusals were logged.
    logged: [AtomicBool; 4],
}

impl Guard {
    pub(crate) fn new(authority: String, visitor: Visitor) -> Self {
        Self {
            visitor,
            origin: format!("http://{authority}"),
            authority,
            code: Mutex::new((visitor == Visitor::Browser).then(Secret::new)),
            token: Secret::new(),
            logged: Default::default(),
        }
    }

    /// The URL that opens the page, with its code. Fragments are not sent to any server and stand in no log of one.
    pub(crate) fn url(&self) -> String {
        let code = self.code.lock().unwrap_or_else(PoisonError::into_inner);
        let code = code.as_ref().map_or("", Secret::reveal);
        format!("{}/#{code}", self.origin)
    }

    /// Whether a request was meant for this server, and comes from its own page if it comes from a page.
    pub(crate) fn check_source(&self, parts: &Parts) -> Result<(), Problem> {
        if one(parts, header::HOST) != Some(self.authority.as_bytes()) || !self.is_own_target(parts) {
            return Err(self.refuse(Refusal::Host));
        }
        let own_page =
            self.visitor == Visitor::Browser && one(parts, header::ORIGIN) == Some(self.origin.as_bytes());
        if parts.headers.contains_key(header::ORIGIN) && !own_page {
            return Err(self.refuse(Refusal::Origin));
        }
        Ok(())
    }

    /// A request may name a whole URL; then that says for whom it is, not `Host`.
    fn is_own_target(&self, parts: &Parts) -> bool {
        let named = parts.uri.authority();
        named.is_none_or(|named| named.as_str() == self.authority)
    }

    /// Whether a request carries the token.
    pub(crate) fn check_token(&self, parts: &Parts) -> Result<(), Problem> {
        match bearer(parts) {
            Some(text) if self.token.is(text) => Ok(()),
            _ => Err(self.refuse(Refusal::Token)),
        }
    }

    /// The token, to be told to those who may come in.
    pub(crate) fn token(&self) -> &str {
        self.token.reveal()
    }

    /// The token, for whoever brings the code first.
    pub(crate) fn exchange(&self, parts: &Parts) -> Result<&str, Problem> {
        let mut code = self.code.lock().unwrap_or_else(PoisonError::into_inner);
        let brought = bearer(parts).unwrap_or_default();
        if code.as_ref().is_some_and(|code| code.is(brought)) {
            *code = None;
            return Ok(self.token.reveal());
        }
        Err(self.refuse(Refusal::Code))
    }

    fn refuse(&self, refusal: Refusal) -> Problem {
        let problem = refusal.problem(self.visitor);
        if !self.logged[refusal as usize].swap(true, Ordering::Relaxed) {
            tracing::warn!(
                reason = problem.detail(),
                "a request was refused; more of the kind are not logged"
            );
        }
        problem
    }
}

impl Refusal {
    fn problem(self, visitor: Visitor) -> Problem {
        let (status, what) = match self {
            Self::Host => (
                StatusCode::MISDIRECTED_REQUEST,
                "the request names another host than this one",
            ),
            Self::Origin => (
                StatusCode::FORBIDDEN,
                "the request comes from a page of somebody else's",
            ),
            Self::Code => (
                StatusCode::UNAUTHORIZED,
                "the code is not this page's, or it was used before",
            ),
            Self::Token => (StatusCode::UNAUTHORIZED, "there is no session"),
        };
        let (what, next) = match (visitor, self) {
            (Visitor::Browser, Self::Host) => (
                what,
                "Open the page by the address that `wua web` printed, with its number and its port.",
            ),
            (Visitor::Browser, Self::Origin) => {
                (what, "Open the page by the address that `wua web` printed.")
            }
            (Visitor::Browser, Self::Code) => (
                what,
                "Each code opens the page once. Start `wua web` again, and open the address that it prints.",
            ),
            (Visitor::Browser, Self::Token) => (
                what,
                "Start `wua web` again, and open the address that it prints.",
            ),
            (Visitor::Program, Self::Token | Self::Code) => (
                "the request does not carry the bridge's token",
                "Read port and token from the bridge's file again: each `wua bridge` has new ones.",
            ),
            (Visitor::Program, Self::Host | Self::Origin) => {
                (what, "The bridge is for programs that have read its file.")
            }
        };
        Problem::new(status, HResult::E_ACCESSDENIED, what).next(next)
    }
}

/// The value of a header that is there exactly once.
fn one(parts: &Parts, name: HeaderName) -> Option<&[u8]> {
    let mut values = parts.headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then_some(value.as_bytes())
}

fn bearer(parts: &Parts) -> Option<&[u8]> {
    one(parts, header::AUTHORIZATION)?.strip_prefix(b"Bearer ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let mut request = axum::http::Request::builder().uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    #[test]
    fn the_code_buys_the_token_once() {
        let guard = Guard::new("127.0.0.1:1".into(), Visitor::Browser);
        let url = guard.url();
        let code = url.strip_prefix("http://127.0.0.1:1/#").expect("a fragment");
        let with = |text: &str| parts(&[("authorization", &format!("Bearer {text}"))]);
        assert!(guard.exchange(&with("wrong")).is_err());
        let token = guard.exchange(&with(code)).expect("the first time").to_owned();
        assert!(guard.exchange(&with(code)).is_err());
        assert!(guard.exchange(&with("")).is_err());
        assert!(guard.exchange(&with(&token)).is_err());
        assert!(guard.check_token(&with(&token)).is_ok());
        assert!(guard.check_token(&with(code)).is_err());
        assert!(guard.check_token(&parts(&[])).is_err());
    }

    #[test]
    fn only_the_exact_host_and_origin_are_let_in() {
        let guard = Guard::new("127.0.0.1:81".into(), Visitor::Browser);
        let may = |headers: &[(&str, &str)]| guard.check_source(&parts(headers)).is_ok();
        assert!(may(&[("host", "127.0.0.1:81")]));
        assert!(may(&[
            ("host", "127.0.0.1:81"),
            ("origin", "http://127.0.0.1:81")
        ]));
        for host in [
            "localhost:81",
            "127.0.0.1",
            "127.0.0.1:82",
            "127.0.0.1:81.evil.example",
            "[::1]:81",
            "",
        ] {
            assert!(!may(&[("host", host)]), "{host}");
        }
        assert!(!may(&[]));
        assert!(!may(&[("host", "127.0.0.1:81"), ("host", "127.0.0.1:81")]));
        for origin in [
            "null",
            "https://127.0.0.1:81",
            "http://127.0.0.1:82",
            "http://evil.example",
            "",
        ] {
            assert!(!may(&[("host", "127.0.0.1:81"), ("origin", origin)]), "{origin}");
        }
    }
}
