//! `wua web`: the page, for the user who starts it.

use std::path::Path;

use serde_json::json;
use wua_web::WebServer;

use crate::arguments::Global;
use crate::exit_code::Exit;
use crate::problem::Problem;
use crate::screen::Screen;

pub(crate) fn run(screen: Screen, global: &Global, port: u16) -> Result<Exit, Problem> {
    let sockets = global.sockets.as_deref().unwrap_or(Path::new(wua_agent::SOCKETS));
    let server = WebServer::bind(port, sockets)?;
    let url = server.url();
    if screen.is_text() {
        screen.line(&url);
    } else {
        screen.result(json!({ "url": url }));
    }
    server.serve()?;
    Ok(Exit::Done)
}
