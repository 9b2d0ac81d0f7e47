//! Tables for people, and the same as JSON for programs.

use std::io::Write;

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};
use serde::Serialize;

use super::outcome::{Done, Wrong};

/// Prints rows as a table, or what they were made of as JSON.
pub fn rows<T: Serialize>(json: bool, items: &T, heads: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Done {
    if json {
        return as_json(items);
    }
    let columns: Vec<Column> = heads.iter().copied().map(Column::Text).collect();
    line(&table(screen().map(|(width, _)| width), &columns, rows))
}

/// The head of a column, and on which side its cells stand.
#[derive(Clone, Copy, Debug)]
pub enum Column<'a> {
    /// On the left.
    Text(&'a str),
    /// On the right.
    Number(&'a str),
}

/// A table as text, no wider than it may be.
pub fn table(width: Option<u16>, columns: &[Column<'_>], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic);
    if let Some(width) = width {
        table.set_width(width);
    }
    table.set_header(columns.iter().map(|(Column::Text(head) | Column::Number(head))| *head));
    for (index, column) in columns.iter().enumerate() {
        if let (Column::Number(_), Some(cells)) = (column, table.column_mut(index)) {
            cells.set_cell_alignment(CellAlignment::Right);
        }
    }
    for row in rows {
        table.add_row(row);
    }
    table.trim_fmt()
}

/// Columns and lines of the terminal, when it is one that is written to.
pub fn screen() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some((size.ws_col.max(WIDTH_MIN), size.ws_row))
}

/// Prints one value as JSON.
pub fn as_json<T: Serialize>(value: &T) -> Done {
    line(&serde_json::to_string_pretty(value).map_err(Wrong::failed)?)
}

/// Prints a line; a reader that went away (`| head`) is no failure.
pub fn line(text: &str) -> Done {
    told(&format!("{text}\n")).map(drop)
}

/// Prints at once, and says whether somebody still reads.
pub fn told(text: &str) -> Result<bool, Wrong> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(true),
    }
}

/// Lines under the head only, so that rows can be cut out by other programs.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::new('─', '─', '─', '─'));
/// Narrower terminals wrap by themselves.
const WIDTH_MIN: u16 = 80;
