//! `wua web`: the page, for the user who starts it.

use std::path::Path;

use serde_json::json;
use wua_web::WebServer;

use crate::exit_code::Exit;
use crate::problem::Problem;
use crate::screen::Screen;

pub(crate) fn run(screen: Screen, port: u16, sockets: &Path) -> Result<Exit, Problem> {
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
