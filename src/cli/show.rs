//! Tables for people, and the same as JSON for programs.

use std::io::Write;

use comfy_table::{ContentArrangement, LineStyle, Table, TableStyle};
use serde::Serialize;

use super::outcome::{Done, Wrong};

/// Prints rows as a table, or what they were made of as JSON.
pub fn rows<T: Serialize>(json: bool, items: &T, heads: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Done {
    if json {
        return as_json(items);
    }
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic);
    if let Ok(size) = rustix::termios::tcgetwinsize(std::io::stdout()) {
        table.set_width(size.ws_col.max(WIDTH_MIN));
    }
    table.set_header(heads.to_vec());
    for row in rows {
        table.add_row(row);
    }
    line(&table.trim_fmt())
}

/// Prints one value as JSON.
pub fn as_json<T: Serialize>(value: &T) -> Done {
    line(&serde_json::to_string_pretty(value).map_err(Wrong::failed)?)
}

/// Prints a line; a reader that went away (`| head`) is no failure.
pub fn line(text: &str) -> Done {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Lines under the head only, so that rows can be cut out by other programs.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::new('─', '─', '─', '─'));
/// Narrower terminals wrap by themselves.
const WIDTH_MIN: u16 = 80;
