//! Every view is a table: columns, rows, and what a row leads to. Sorting, filtering and cutting to the width of the
//! screen are the same for all of them.

use std::cmp::Ordering;

use ratatui::text::Span;

use super::place::{Place, Subject};
use crate::surface::units;

/// Between two columns.
const GAP: usize = 1;
/// No column that may be cut gets narrower.
const CUT_LEAST: usize = 8;
/// Text that is longer than this is rather cut than that a spare column goes for it.
const SPARE_FOR: usize = 28;

/// What is shown, before it is sorted and filtered.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// From left to right.
    pub columns: Vec<Column>,
    /// In the order they came.
    pub rows: Vec<Row>,
    /// What to say when there are no rows.
    pub empty: &'static str,
}

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its head.
    pub name: &'static str,
    /// Figures: to the right, never cut, the greatest first when sorted by.
    pub figure: bool,
    /// How early it goes when the screen is too narrow for all; 0 never.
    pub spare: u8,
}

/// One row.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// Stays the same over refreshes.
    pub id: String,
    /// As many as there are columns.
    pub cells: Vec<Cell>,
    /// Where Enter leads.
    pub opens: Option<Place>,
    /// What can be acted on.
    pub subject: Option<Subject>,
}

/// One cell.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    /// As shown.
    pub text: String,
    /// What it is sorted by, if not by its text.
    pub number: Option<f64>,
    /// How it is meant.
    pub tone: Tone,
}

/// How something is meant; the colours are a matter of drawing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Nothing special.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// Worth a look.
    Warning,
    /// Trouble.
    Bad,
    /// Of little interest.
    Faint,
}

/// By what rows are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// Number of the column.
    pub column: usize,
    /// The other way round than is natural for it.
    pub reverse: bool,
}

impl Column {
    /// Text, cut where it is too long.
    pub const fn text(name: &'static str) -> Self {
        Self { name, figure: false, spare: 0 }
    }

    /// A figure.
    pub const fn figure(name: &'static str) -> Self {
        Self { name, figure: true, spare: 0 }
    }

    /// The same, to be left out on narrow screens; the greatest goes first.
    #[must_use]
    pub const fn spare(self, spare: u8) -> Self {
        Self { spare, ..self }
    }
}

impl Cell {
    /// Text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// A figure as it is shown, and what it is sorted by.
    pub fn figure(text: impl Into<String>, number: f64) -> Self {
        Self { text: text.into(), number: Some(number), tone: Tone::Plain }
    }

    /// A count.
    pub fn count(count: u64) -> Self {
        Self::figure(units::count(count), count as f64)
    }

    /// Nothing is known.
    pub fn unknown() -> Self {
        Self { text: "–".into(), number: Some(-1.0), tone: Tone::Faint }
    }

    /// The same under another tone.
    #[must_use]
    pub fn tone(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }

    /// The tone if something holds.
    #[must_use]
    pub fn tone_if(self, holds: bool, tone: Tone) -> Self {
        if holds { self.tone(tone) } else { self }
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self.number, other.number) {
            (Some(own), Some(others)) => own.total_cmp(&others),
            _ => self.text.cmp(&other.text),
        }
    }
}

impl Table {
    /// The rows that contain a text in any cell (whatever its case), sorted.
    #[must_use]
    pub fn arranged(mut self, sort: Option<Sort>, filter: &str) -> Self {
        if !filter.is_empty() {
            let filter = filter.to_lowercase();
            self.rows.retain(|row| row.cells.iter().any(|cell| cell.text.to_lowercase().contains(&filter)));
        }
        if let Some(sort) = sort
            && let Some(column) = self.columns.get(sort.column)
        {
            let falling = column.figure != sort.reverse;
            self.rows.sort_by(|one, other| match (one.cells.get(sort.column), other.cells.get(sort.column)) {
                (Some(one), Some(other)) if falling => other.compare(one),
                (Some(one), Some(other)) => one.compare(other),
                _ => Ordering::Equal,
            });
        }
        self
    }

    /// Where a row is.
    pub fn position(&self, id: &str) -> Option<usize> {
        self.rows.iter().position(|row| row.id == id)
    }

    /// The columns that fit, with their widths: spare ones go first, then text is cut, the longest first.
    pub fn fit(&self, width: usize) -> Vec<(usize, usize)> {
        let natural = |index: usize| {
            let cells = self.rows.iter().filter_map(|row| row.cells.get(index)).map(|cell| self::width(&cell.text));
            cells.max().unwrap_or(0).max(self::width(self.columns[index].name))
        };
        let mut fitted: Vec<(usize, usize)> = (0..self.columns.len()).map(|index| (index, natural(index))).collect();
        let least = |(index, natural): &(usize, usize)| {
            if self.columns[*index].figure { *natural } else { (*natural).min(SPARE_FOR) }
        };
        let total = |widths: &mut dyn Iterator<Item = usize>| widths.map(|width| width + GAP).sum::<usize>();
        while total(&mut fitted.iter().map(least)) > width + GAP {
            let spare = |(index, _): &(usize, usize)| self.columns[*index].spare;
            let Some(goes) =
                (0..fitted.len()).filter(|at| spare(&fitted[*at]) > 0).max_by_key(|at| spare(&fitted[*at]))
            else {
                break;
            };
            fitted.remove(goes);
        }
        while total(&mut fitted.iter().map(|(_, width)| *width)) > width + GAP {
            let cut = fitted
                .iter_mut()
                .filter(|(index, width)| !self.columns[*index].figure && *width > CUT_LEAST)
                .max_by_key(|(_, width)| *width);
            match cut {
                Some((_, width)) => *width -= 1,
                None => break,
            }
        }
        fitted
    }
}

/// How many columns of the screen a text takes.
pub fn width(text: &str) -> usize {
    Span::raw(text).width()
}

/// A text in so many columns of the screen: cut with an ellipsis where it is longer.
pub fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    for character in text.chars() {
        kept.push(character);
        if width(&kept) + 1 > columns {
            kept.pop();
            break;
        }
    }
    if columns > 0 {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let row = |id: &str, number: f64| Row {
            id: id.into(),
            cells: vec![Cell::text(format!("{id} {}", "long ".repeat(10))), Cell::figure(number.to_string(), number)],
            ..Row::default()
        };
        Table {
            columns: vec![Column::text("name"), Column::figure("number"), Column::text("rest").spare(1)],
            rows: [("b", 2.0), ("a", 10.0), ("c", 1.0)]
                .map(|(id, number)| {
                    let mut row = row(id, number);
                    row.cells.push(Cell::text("spare"));
                    row
                })
                .into(),
            empty: "",
        }
    }

    fn order(table: &Table) -> Vec<&str> {
        table.rows.iter().map(|row| row.id.as_str()).collect()
    }

    #[test]
    fn figures_fall_and_text_rises_unless_reversed() {
        let by = |column, reverse| order(&table().arranged(Some(Sort { column, reverse }), "")).join("");
        assert_eq!([by(1, false), by(1, true), by(0, false), by(0, true)], ["abc", "cba", "abc", "cba"]);
        assert_eq!(order(&table().arranged(None, "")), ["b", "a", "c"]);
    }

    #[test]
    fn a_filter_looks_into_every_cell() {
        assert_eq!(order(&table().arranged(None, "10")), ["a"]);
        assert_eq!(order(&table().arranged(None, "B LONG")), ["b"]);
    }

    #[test]
    fn spare_columns_go_before_text_is_cut() {
        assert_eq!(table().fit(100).len(), 3);
        let narrow = table().fit(20);
        assert_eq!(narrow, [(0, 13), (1, 6)]);
        assert_eq!(cut("a long text", 6), "a lon…");
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("日本語", 4), "日…");
    }
}
