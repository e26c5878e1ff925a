//! `wua codes`: result codes explained. Needs no machine.

use serde_json::json;
use wua_types::HResult;
use wua_types::api::CodeDocument;

use crate::exit_code::Exit;
use crate::problem::Problem;
use crate::screen::Screen;
use crate::text::wrap;

pub(crate) fn run(screen: Screen, code: Option<HResult>) -> Result<Exit, Problem> {
    match code {
        Some(code) => one(screen, code),
        None => {
            if screen.is_text() {
                for info in HResult::ALL {
                    screen.line(format!("{}  {:<48} {}", info.value, info.name, info.meaning));
                }
            }
            screen
                .result(json!({ "codes": HResult::ALL.iter().map(CodeDocument::from).collect::<Vec<_>>() }));
            Ok(Exit::Done)
        }
    }
}

fn one(screen: Screen, code: HResult) -> Result<Exit, Problem> {
    let Some(info) = code.info() else {
        let problem = Problem::new(
            HResult::WU_E_ITEMNOTFOUND,
            format!("{code} is no code of the update agent"),
        );
        return Err(problem.hint("`wua codes` lists all of them."));
    };
    if !screen.is_text() {
        screen.result(json!({ "codes": [CodeDocument::from(info)] }));
        return Ok(Exit::Done);
    }
    screen.heading(&format!("{} {}", info.value, info.name));
    screen.line(format!("  decimal    {}", info.value.as_i32()));
    let field = |name: &str, text: &str| {
        for (number, line) in wrap(text, screen.width().saturating_sub(1), "             ")
            .into_iter()
            .enumerate()
        {
            screen.line(if number == 0 {
                format!("  {name:<10} {}", line.trim_start())
            } else {
                line
            });
        }
    };
    field("meaning", info.meaning);
    if let Some(cause) = info.cause {
        field("cause", cause);
    }
    if let Some(next) = info.next_step {
        field("next", next);
    }
    Ok(Exit::Done)
}
