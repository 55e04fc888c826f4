//! What stands where on the screen.

use console::{PartitionRow, Status};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Style},
    text::{Line, Span},
    widgets::{Cell, Paragraph, Row, Table},
};

use super::view::{Place, View};
use crate::commands::{pause, status::seconds, time};

/// Needs a person.
const WRONG: Style = Style::new().fg(Color::Red);
/// Waits for something that comes by itself.
const WAITS: Style = Style::new().fg(Color::Yellow);
/// Headings.
const HEAD: Style = Style::new().fg(Color::Cyan);

/// Draws the whole screen. Scrolls no further than the last partition.
pub(super) fn draw(frame: &mut Frame<'_>, view: &mut View) {
    let [title, rest] = Layout::vertical([Constraint::Length(2), Constraint::Fill(1)]).areas(frame.area());
    frame.render_widget(Paragraph::new(heading(view)), title);
    let Some((_, status)) = &view.read else { return };
    let numbers = numbers(status);
    let height = |rows: usize| Constraint::Length(u16::try_from(rows).unwrap_or(u16::MAX));
    let sources = status.transactions.len().max(status.connections.len());
    let [stages, flow, counts, places] = Layout::vertical([
        height(status.stages.len() + 2),
        height(sources + 2),
        height(numbers.len() + 1),
        Constraint::Fill(1),
    ])
    .areas(rest);
    draw_stages(frame, stages, status);
    draw_sources(frame, flow, view, status);
    frame.render_widget(Paragraph::new(numbers), counts);
    let above = draw_places(frame, places, view);
    view.above = above;
}

fn heading(view: &View) -> Vec<Line<'static>> {
    let at = view.read.as_ref().map_or_else(|| "not read yet".to_owned(), |(at_ms, _)| time(*at_ms));
    let every = view.every.as_secs();
    let first = format!("tributary · {} · {at} · every {every} s · q ends", view.redis);
    let failed = view.failed.iter().map(|why| Line::styled(format!("cannot be read: {why}"), WRONG));
    std::iter::once(Line::from(first)).chain(failed).collect()
}

fn draw_stages(frame: &mut Frame<'_>, area: Rect, status: &Status) {
    let row = |stage: &console::StageStatus| {
        Row::new([
            Cell::from(stage.stage),
            Cell::from(format!("{} by {}", stage.owned, stage.owners.len())),
            number(stage.unowned, WRONG),
            Cell::from(stage.backlog.to_string()),
            Cell::from(stage.runnable.to_string()),
            number(stage.parked, WAITS),
            Cell::from(seconds(stage.oldest_ms)),
        ])
    };
    let head = ["stage", "owned", "unowned", "backlog", "runnable", "parked", "oldest"];
    frame.render_widget(table(&head, &[12, 12, 9, 10, 10, 10, 12], status.stages.iter().map(row)), area);
}

fn draw_sources(frame: &mut Frame<'_>, area: Rect, view: &View, status: &Status) {
    let names = status.transactions.keys().chain(status.connections.keys());
    let names: std::collections::BTreeSet<&String> = names.collect();
    let row = |name: &String| {
        let state =
            |state: &str| status.transactions.get(name).and_then(|states| states.get(state)).copied().unwrap_or(0);
        let connected =
            |state: &str| status.connections.get(name).and_then(|states| states.get(state)).copied().unwrap_or(0);
        let rate = |tenths: Option<i64>| {
            Cell::from(tenths.map_or_else(|| "-".to_owned(), |tenths| format!("{}.{}/s", tenths / 10, tenths % 10)))
        };
        let rates = view.rates.get(name);
        Row::new([
            Cell::from(name.clone()),
            rate(rates.map(|rates| rates.arrived)),
            rate(rates.map(|rates| rates.ended)),
            Cell::from(state("queued").to_string()),
            Cell::from(state("processing").to_string()),
            Cell::from(state("completed").to_string()),
            number(state("errored"), WRONG),
            Cell::from(connected("on").to_string()),
            number(connected("off"), WRONG),
        ])
    };
    let head = ["source", "arrive", "end", "queued", "processing", "completed", "errored", "on", "off"];
    let table = table(&head, &[12, 9, 9, 8, 11, 11, 9, 6, 6], names.into_iter().map(row));
    frame.render_widget(table, area);
}

fn numbers(status: &Status) -> Vec<Line<'static>> {
    let styled =
        |value: u64, style: Style| Span::styled(value.to_string(), if value > 0 { style } else { Style::new() });
    let mut lines = vec![Line::from(vec![
        "dead letters ".into(),
        styled(status.dead_letters, WRONG),
        format!(" · users due {}, without budget ", status.users_due).into(),
        styled(status.users_limited, WAITS),
        format!(" · longest overdue poll {}", seconds(status.polls_overdue_ms)).into(),
    ])];
    lines.extend(status.paused.iter().map(|paused| Line::styled(pause::line(paused), WAITS)));
    lines.extend(status.key_locks.iter().map(|lock| {
        let left = seconds(lock.left_ms);
        Line::styled(format!("{} of {} is locked by {} for {left}", lock.user, lock.stage, lock.who), WAITS)
    }));
    lines
}

/// Draws partitions from the first that fits, and says how many stand above it.
fn draw_places(frame: &mut Frame<'_>, area: Rect, view: &View) -> usize {
    let places = view.places();
    let room = usize::from(area.height.saturating_sub(1));
    let above = view.above.min(places.len().saturating_sub(room));
    let row = |place: &Place<'_>| {
        let mut cells = vec![Cell::from(format!("{:02}", place.number))];
        cells.extend(place.stages.iter().map(|row| owner(row)));
        let sum = |of: fn(&PartitionRow) -> u64| place.stages.iter().map(|row| of(row)).sum::<u64>();
        cells.push(Cell::from(sum(|row| row.backlog).to_string()));
        cells.push(number(sum(|row| row.parked), WAITS));
        cells.push(Cell::from(seconds(place.oldest_ms())));
        Row::new(cells)
    };
    let head = ["partition", "fetch", "normalise", "write", "backlog", "parked", "oldest"];
    let rows: Vec<Row<'_>> = places.iter().skip(above).map(row).collect();
    frame.render_widget(table(&head, &[9, 22, 22, 22, 9, 8, 12], rows), area);
    above
}

/// Who owns it, or for how long nobody has.
fn owner(row: &PartitionRow) -> Cell<'static> {
    match (&row.owner, row.unowned_ms) {
        (Some(owner), _) => Cell::from(owner.clone()),
        (None, Some(ms)) => Cell::from(format!("nobody, {}", seconds(ms))).style(WRONG),
        (None, None) => Cell::from("nobody yet").style(WRONG),
    }
}

/// A number in a colour, if it is not 0.
fn number(value: impl ToString + PartialEq + Default, style: Style) -> Cell<'static> {
    let style = if value == Default::default() { Style::new() } else { style };
    Cell::from(value.to_string()).style(style)
}

fn table<'a>(head: &'a [&'a str], widths: &[u16], rows: impl IntoIterator<Item = Row<'a>>) -> Table<'a> {
    let head = Row::new(head.iter().copied()).style(HEAD);
    Table::new(rows, widths.iter().map(|width| Constraint::Length(*width))).header(head)
}

#[cfg(test)]
mod tests;
