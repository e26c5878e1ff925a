//! The traces as a plot: one panel for each transaction, time from left to right, told progress from bottom to top. True progress
//! is the diagonal.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::Outcome;
use crate::client::Client;
use crate::figures::typical;
use crate::panel::Panel;
use crate::trace::Trace;

const COLUMNS: usize = 2;
const PANEL: (u32, u32) = (480, 330);
const LEGEND: u32 = 64;
const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(40, 44, 52);
const FAINT: RGBColor = RGBColor(150, 155, 163);
const GRID: RGBColor = RGBColor(232, 234, 238);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Colours that people with any sight can tell apart (after Okabe and Ito).
fn style(client: Client) -> ShapeStyle {
    match client {
        Client::WuaTrained => RGBColor(0, 114, 178).stroke_width(3),
        Client::WuaUntrained => RGBColor(86, 180, 233).stroke_width(2),
        Client::AptGet => RGBColor(230, 159, 0).stroke_width(2),
        Client::PackageKit => RGBColor(204, 121, 167).stroke_width(2),
    }
}

pub(crate) fn draw(file: &Path, panels: &[Panel]) -> Outcome<()> {
    let rows = panels.len().div_ceil(COLUMNS);
    let size = (PANEL.0 * COLUMNS as u32, LEGEND + PANEL.1 * rows as u32);
    let root = SVGBackend::new(file, size).into_drawing_area();
    root.fill(&WHITE)?;
    let (top, rest) = root.split_vertically(LEGEND);
    legend(&top, panels)?;
    for (panel, area) in panels.iter().zip(rest.split_evenly((rows, COLUMNS))) {
        draw_panel(&area, panel)?;
    }
    root.present()?;
    Ok(())
}

fn legend(area: &Area<'_>, panels: &[Panel]) -> Outcome<()> {
    let text = (FONT, 14)
        .into_font()
        .color(&INK)
        .pos(Pos::new(HPos::Left, VPos::Center));
    let is_there = |client: &Client| panels.iter().any(|panel| panel.traces.contains_key(client));
    let lines = Client::ALL
        .into_iter()
        .filter(is_there)
        .map(|client| (client.name(), style(client)))
        .chain([("true progress", FAINT.stroke_width(1))]);
    let mut left = 60;
    for (name, style) in lines {
        area.draw(&PathElement::new(vec![(left, 38), (left + 26, 38)], style))?;
        area.draw(&Text::new(name, (left + 34, 38), text.clone()))?;
        // The backend measures no text; this is how wide letters of this size are.
        left += 62 + 7 * i32::try_from(name.len())?;
    }
    Ok(())
}

fn draw_panel(area: &Area<'_>, panel: &Panel) -> Outcome<()> {
    let seconds = panel.figures().map(|(_, figures)| figures.seconds);
    let (least, most) = seconds.fold((f64::INFINITY, 0.0_f64), |(least, most), now| {
        (least.min(now), most.max(now))
    });
    let caption = format!("{} ({least:.1} to {most:.1} s)", panel.name);
    let label = (FONT, 12).into_font().color(&INK);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .margin_right(20)
        .caption(caption, (FONT, 16).into_font().color(&INK))
        .x_label_area_size(40)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..1.0_f64, 0.0..1.02_f64)?;
    chart
        .configure_mesh()
        .x_labels(6)
        .y_labels(6)
        .x_label_formatter(&|share| format!("{:.0} %", share * 100.0))
        .y_label_formatter(&|share| format!("{:.0} %", share * 100.0))
        .x_desc("share of the time that passed")
        .y_desc("told progress")
        .label_style(label.clone())
        .axis_desc_style(label)
        .axis_style(FAINT)
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .draw()?;
    chart.draw_series([PathElement::new(
        vec![(0.0, 0.0), (1.0, 1.0)],
        FAINT.stroke_width(1),
    )])?;
    // The one that the plot is about comes last and lies on top.
    for (client, traces) in panel.traces.iter().rev() {
        if let Some(trace) = typical(traces) {
            chart.draw_series([PathElement::new(steps(trace), style(*client))])?;
        }
    }
    Ok(())
}

/// The line of a trace: each value stands until the next is told.
fn steps(trace: &Trace) -> Vec<(f64, f64)> {
    let mut line = vec![(0.0, 0.0)];
    let mut shown = 0.0;
    for (at, value) in trace.values() {
        let share = (at / trace.length).min(1.0);
        line.extend([(share, shown), (share, value)]);
        shown = value;
    }
    line.push((1.0, shown));
    line
}
