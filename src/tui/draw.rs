//! The screen: which view, the way to it, what is silent, the rows, how old that is, and the keys.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

use super::answers::{Content, Silent};
use super::help;
use super::page::Page;
use super::pages;
use super::place::{Place, TABS};
use super::prompt;
use super::state::{Mode, State};
use super::table::{Table, Tone, cut, width};
use crate::surface::units;

/// The smallest screen on which there is room for rows.
const SMALLEST: (u16, u16) = (40, 10);

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, state: &State) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        put(frame.buffer_mut(), area, 0, 0, "too small", Style::new());
        return;
    }
    let (last, status) = (area.height - 1, area.height - 2);
    let buffer = frame.buffer_mut();
    tabs(buffer, area, state);
    let page = state.page();
    let table = page.table(state.now_at_ms);
    way(buffer, area, state, &table);
    let mut top = 2;
    if !page.silent().is_empty() {
        put(buffer, area, 0, top, &silent(page.silent()), Tone::Bad.style());
        top += 1;
    }
    top = above(buffer, area, page, state.now_at_ms, top);
    let rows = Rect { x: 0, y: top, width: area.width, height: status.saturating_sub(top) };
    if state.mode == Mode::Help {
        keys(buffer, rows);
    } else {
        self::rows(buffer, rows, page, &table);
    }
    status_line(buffer, area, status, state);
    if let Some(column) = bottom_line(buffer, area, last, state) {
        frame.set_cursor_position((column, last));
    }
}

fn tabs(buffer: &mut Buffer, area: Rect, state: &State) {
    let mut x = 0;
    for (tab, name) in TABS.iter().enumerate() {
        let style = if tab == state.tab { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
        x = put(buffer, area, x, 0, &format!(" {} {name} ", tab + 1), style);
    }
    right(buffer, area, 0, x, "? help ", Tone::Faint.style());
}

/// How the reader got here, and how the rows are arranged.
fn way(buffer: &mut Buffer, area: Rect, state: &State, table: &Table) {
    let page = state.page();
    let titles: Vec<String> = state.tabs[state.tab].iter().map(|page| page.place.title()).collect();
    let mut arranged = Vec::new();
    if let Some(sort) = page.sort
        && let Some(column) = table.columns.get(sort.column)
    {
        let arrow = if column.figure == sort.reverse { '↑' } else { '↓' };
        arranged.push(format!("by {} {arrow}", column.name));
    }
    if page.filter.is_empty() {
        arranged.push(table.rows.len().to_string());
    } else {
        let all = page.rows_in_all(state.now_at_ms);
        arranged.push(format!("/{} {} of {all}", cut(&page.filter, 20), table.rows.len()));
    }
    if page.back > 0 {
        arranged.push(format!("{} windows back", page.back));
    }
    let arranged = format!("{} ", arranged.join(" · "));
    let room = usize::from(area.width).saturating_sub(width(&arranged) + 2);
    // The end of the way is what matters: the beginning goes first.
    let mut first = 0;
    while first + 1 < titles.len() && width(&titles[first..].join(" › ")) + 3 > room {
        first += 1;
    }
    let skipped = if first > 0 { "… › " } else { "" };
    let shown = cut(&format!("{skipped}{}", titles[first..].join(" › ")), room);
    let x = put(buffer, area, 1, 1, &shown, Style::new().add_modifier(Modifier::BOLD));
    right(buffer, area, 1, x, &arranged, Tone::Faint.style());
}

fn silent(silent: &[Silent]) -> String {
    let nodes: Vec<String> = silent
        .iter()
        .map(|silent| match silent.reason.as_str() {
            "" => silent.node.clone(),
            reason => format!("{} ({reason})", silent.node),
        })
        .collect();
    format!(" silent: {}", nodes.join(", "))
}

/// What has to be said before the rows: facts, what is wrong, what a tail has missed; and panels.
fn above(buffer: &mut Buffer, area: Rect, page: &Page, now_at_ms: i64, mut top: u16) -> u16 {
    match &page.content {
        Some(Content::Entity(looked)) => {
            for line in pages::entity::facts(looked, now_at_ms) {
                let mut x = 1;
                for (index, (text, tone)) in line.iter().enumerate() {
                    if index > 0 {
                        x = put(buffer, area, x, top, " · ", Tone::Faint.style());
                    }
                    x = put(buffer, area, x, top, text, tone.style());
                }
                top += 1;
            }
        }
        Some(Content::Path(traced)) => {
            put(buffer, area, 1, top, &pages::path::fact(traced), Style::new());
            top += 1;
        }
        Some(Content::Infrastructure(listed)) => {
            let (fact, tone) = pages::infrastructure::fact(listed, now_at_ms);
            put(buffer, area, 1, top, &fact, tone.style());
            top += 1;
        }
        Some(Content::NoEntity(said) | Content::NoPath(said)) => {
            put(buffer, area, 1, top, said, Tone::Bad.style());
            top += 1;
        }
        Some(Content::Tail(tail)) if tail.missed > 0 => {
            let text = format!(" {} came too fast and are not shown", tail.missed);
            put(buffer, area, 0, top, &text, Tone::Warning.style());
            top += 1;
        }
        _ => {}
    }
    if !page.panels().is_empty() {
        let mut x = 1;
        for (index, panel) in page.panels().iter().enumerate() {
            let style =
                if index == page.panel { Style::new().add_modifier(Modifier::UNDERLINED) } else { Tone::Faint.style() };
            x = put(buffer, area, x, top, panel, style) + 2;
        }
        put(buffer, area, x, top, "← →", Tone::Faint.style());
        top += 1;
    }
    top
}

fn rows(buffer: &mut Buffer, area: Rect, page: &Page, table: &Table) {
    let Rect { y: mut top, mut height, .. } = area;
    if table.rows.is_empty() {
        let said = if page.filter.is_empty() { table.empty } else { "no row contains that (Esc shows all)" };
        put(buffer, area, 1, top + height.min(1), said, Tone::Faint.style());
        return;
    }
    let room = usize::from(area.width).saturating_sub(2);
    let fitted = if table.columns.is_empty() { vec![(0, room)] } else { table.fit(room) };
    if !table.columns.is_empty() {
        let mut x = 1;
        for (column, width) in &fitted {
            let head = table.columns[*column];
            let style = if page.sort.is_some_and(|sort| sort.column == *column) {
                Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED)
            } else {
                Style::new().add_modifier(Modifier::UNDERLINED)
            };
            cell(buffer, area, x, top, head.name, *width, head.figure, style);
            x += u16::try_from(*width).unwrap_or(u16::MAX) + 1;
        }
        top += 1;
        height = height.saturating_sub(1);
    }
    let position = page.position(table);
    let shown = usize::from(height);
    let first = position.saturating_sub(shown / 2).min(table.rows.len().saturating_sub(shown));
    for (index, row) in table.rows.iter().enumerate().skip(first).take(shown) {
        let mut x = 1;
        for (column, width) in &fitted {
            let figure = table.columns.get(*column).is_some_and(|column| column.figure);
            if let Some(own) = row.cells.get(*column) {
                cell(buffer, area, x, top, &own.text, *width, figure, own.tone.style());
            }
            x += u16::try_from(*width).unwrap_or(u16::MAX) + 1;
        }
        if index == position {
            put(buffer, area, 0, top, "›", Style::new());
            buffer.set_style(Rect { y: top, height: 1, ..area }, Style::new().add_modifier(Modifier::REVERSED));
        }
        top += 1;
    }
}

#[expect(clippy::too_many_arguments, reason = "where, what, how wide, how: a struct would only be unpacked again")]
fn cell(buffer: &mut Buffer, area: Rect, x: u16, y: u16, text: &str, columns: usize, figure: bool, style: Style) {
    let shown = cut(text, columns);
    let free = u16::try_from(columns - width(&shown).min(columns)).unwrap_or(0);
    put(buffer, area, if figure { x + free } else { x }, y, &shown, style);
}

/// Two columns of keys.
fn keys(buffer: &mut Buffer, area: Rect) {
    let half = help::KEYS.len().div_ceil(2);
    for (index, (key, meaning)) in help::KEYS.iter().enumerate() {
        let (column, row) = (index / half, index % half);
        let Ok(y) = u16::try_from(row) else { continue };
        if y + 1 >= area.height {
            continue;
        }
        let x = if column == 0 { 2 } else { area.width / 2 };
        put(buffer, area, x, area.y + 1 + y, key, Style::new().add_modifier(Modifier::BOLD));
        put(buffer, area, x + 16, area.y + 1 + y, meaning, Style::new());
    }
}

/// Which node is asked, and how old what is shown is.
fn status_line(buffer: &mut Buffer, area: Rect, y: u16, state: &State) {
    let page = state.page();
    let mut x = put(buffer, area, 1, y, &format!("asking {}", state.endpoint), Tone::Faint.style());
    let mut add = |text: &str, tone: Tone| x = put(buffer, area, x + 2, y, text, tone.style());
    if state.paused {
        add("PAUSED (Space goes on)", Tone::Warning);
    }
    if let Some(stale) = state.stale_ms() {
        add(&format!("STALE: {} old", units::seconds(stale.unsigned_abs() / 1_000)), Tone::Bad);
    }
    if let Some(trouble) = &state.trouble {
        add(trouble, Tone::Bad);
    } else if state.stale_ms().is_none() && page.content.is_some() && page.ask().is_some() && !state.paused {
        add("live", Tone::Good);
    }
}

/// What is typed, asked or told, else the keys that matter here. Gives the column of the cursor while one types.
fn bottom_line(buffer: &mut Buffer, area: Rect, y: u16, state: &State) -> Option<u16> {
    match &state.mode {
        Mode::Prompt { question, text } => {
            let label = prompt::label(question);
            let mut x = put(buffer, area, 1, y, &label, Style::new().add_modifier(Modifier::BOLD));
            // The end of what is typed is in sight.
            let room = usize::from(area.width.saturating_sub(x + 1)).max(1);
            let mut shown = text.as_str();
            while width(shown) >= room {
                let mut characters = shown.chars();
                characters.next();
                shown = characters.as_str();
            }
            x = put(buffer, area, x, y, shown, Style::new());
            if let Some(notice) = &state.notice {
                put(buffer, area, x + 2, y, &notice.text, Tone::Warning.style());
            }
            Some(x)
        }
        Mode::Confirm { act, reason } => {
            let question = format!("{} because of {reason:?}? y/n ", act.describe());
            // The answer's keys must be in sight, however long the reason is.
            let room = usize::from(area.width).saturating_sub(2);
            let shown = if width(&question) > room { format!("{} y/n", cut(&question, room - 4)) } else { question };
            put(buffer, area, 1, y, &shown, Style::new().fg(Color::Yellow).add_modifier(Modifier::BOLD));
            None
        }
        Mode::Help => {
            put(buffer, area, 1, y, "any key goes back", Tone::Faint.style());
            None
        }
        Mode::Browse => {
            if let Some(notice) = &state.notice {
                let tone = if notice.bad { Tone::Bad } else { Tone::Good };
                put(buffer, area, 1, y, &notice.text, tone.style());
            } else {
                put(buffer, area, 1, y, hints(state), Tone::Faint.style());
            }
            None
        }
    }
}

fn hints(state: &State) -> &'static str {
    match &state.page().place {
        Place::Nodes => "Enter shards  d drain  D undrain  s sort  / filter  e entity  q quit",
        Place::Shards { .. } => "Enter moves  m move  s sort  S reverse  / filter  Esc back  Space pause  q quit",
        Place::Types => "Enter commands  t top of it  f follow  s sort  / filter  Space pause  q quit",
        Place::Commands { .. } => "Enter top of it  f follow  s sort  / filter  Esc back  q quit",
        Place::Top { .. } => "Enter entity  b by what  p passivate  f follow  s sort  / filter  q quit",
        Place::Entity { version: None, .. } => {
            "Enter as of  ←→ panels  [ ] older/newer  p passivate  x restart  f follow  Esc"
        }
        Place::Entity { .. } => "←→ panels  / filter  Esc back  q quit",
        Place::NoEntity => "e open an entity  q quit",
        Place::Path { .. } => "Enter entity  s sort  / filter  Esc back  Space pause  q quit",
        Place::Tail(_) => "Enter entity  w way of the request  p passivate  / filter  Space pause  q quit",
        Place::Infrastructure => "←→ panels  Enter shards  s sort  S reverse  / filter  Space pause  q quit",
        Place::Moves { .. } => "Enter shards  m move  s sort  / filter  Esc back  q quit",
    }
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Good => Style::new().fg(Color::Green),
            Self::Warning => Style::new().fg(Color::Yellow),
            Self::Bad => Style::new().fg(Color::Red),
            Self::Faint => Style::new().fg(Color::DarkGray),
        }
    }
}

/// Puts text on one line, cut to what is left of it; gives the column behind it.
fn put(buffer: &mut Buffer, area: Rect, x: u16, y: u16, text: &str, style: Style) -> u16 {
    if x >= area.right() || y >= area.bottom() {
        return x;
    }
    let shown = cut(text, usize::from(area.right() - x));
    buffer.set_stringn(x, y, &shown, usize::from(area.right() - x), style).0
}

/// Puts text at the right end of a line, if there is room behind a column.
fn right(buffer: &mut Buffer, area: Rect, y: u16, behind: u16, text: &str, style: Style) {
    let own = u16::try_from(width(text)).unwrap_or(u16::MAX);
    if let Some(x) = area.right().checked_sub(own).filter(|x| *x > behind) {
        put(buffer, area, x, y, text, style);
    }
}
