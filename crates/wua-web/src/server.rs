//! The page's server: the order in which a request is looked at.

use std::path::Path;

use axum::extract::Request;
use axum::http::Method;
use axum::response::{IntoResponse, Response};

use crate::guard::{Guard, Visitor};
use crate::loopback::{Loopback, Site, WebError};
use crate::page;
use crate::problem::Problem;
use crate::relay::Relay;

/// A server of the page that listens, and answers once it is told to serve.
pub struct WebServer {
    loopback: Loopback,
    site: PageSite,
}

impl std::fmt::Debug for WebServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The rest is secret.
        f.debug_struct("WebServer")
            .field("loopback", &self.loopback)
            .finish_non_exhaustive()
    }
}

impl WebServer {
    /// Listens at a port of 127.0.0.1, any free one for 0, for the agent whose sockets are in the folder.
    ///
    /// # Errors
    /// The port is taken, or not for this user.
    pub fn bind(port: u16, sockets: &Path) -> Result<Self, WebError> {
        let loopback = Loopback::bind(port)?;
        Ok(Self {
            site: PageSite {
                guard: Guard::new(loopback.authority(), Visitor::Browser),
                relay: Relay::new(sockets, "/api"),
            },
            loopback,
        })
    }

    /// The address that opens the page, once.
    pub fn url(&self) -> String {
        self.site.guard.url()
    }

    /// Serves until SIGTERM, SIGINT or SIGHUP. Blocks.
    ///
    /// # Errors
    /// The server cannot be started.
    pub fn serve(self) -> Result<(), WebError> {
        self.loopback.serve(self.site)
    }
}

/// Everything that is answered.
struct PageSite {
    guard: Guard,
    relay: Relay,
}

impl Site for PageSite {
    async fn answer(&self, request: Request) -> Response {
        let mut response = self
            .admit(request)
            .await
            .unwrap_or_else(IntoResponse::into_response);
        page::protect(response.headers_mut());
        response
    }
}

impl PageSite {
    /// Source first, then the token; whoever lacks either learns nothing else.
    async fn admit(&self, request: Request) -> Result<Response, Problem> {
        let (parts, body) = request.into_parts();
        self.guard.check_source(&parts)?;
        let path = parts.uri.path();
        if path.starts_with("/api/") {
            self.guard.check_token(&parts)?;
            return self.relay.pass(Request::from_parts(parts, body)).await;
        }
        match (path, &parts.method) {
            ("/session", &Method::POST) => {
                let token = self.guard.exchange(&parts)?;
                Ok(axum::Json(serde_json::json!({ "token": token })).into_response())
            }
            ("/session", _) => Err(Problem::method_not_allowed()),
            (path, &Method::GET) => page::file(path),
            _ => Err(Problem::method_not_allowed()),
        }
    }
}
