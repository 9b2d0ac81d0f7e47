//! A page: a place, what came back for it, and how the reader looks at it.

use super::answers::{Content, Silent};
use super::pages;
use super::place::{Ask, EntityName, Place, Subject};
use super::table::{Row, Sort, Table};

/// See the module's description.
#[derive(Clone, Debug)]
pub struct Page {
    /// Where it is.
    pub place: Place,
    /// What came back last.
    pub content: Option<Content>,
    /// When that was.
    pub came_at_ms: i64,
    /// Which row the reader is at, by its id; the first if none.
    pub selected: Option<String>,
    /// Where that row was, for when it goes.
    pub cursor: usize,
    /// By what rows are sorted, if not as they come.
    pub sort: Option<Sort>,
    /// Only rows that contain it.
    pub filter: String,
    /// Which panel, where there are some.
    pub panel: usize,
    /// So many windows of an entity's history back.
    pub back: u64,
}

impl Page {
    /// Empty as yet.
    pub fn new(place: Place) -> Self {
        Self {
            place,
            content: None,
            came_at_ms: 0,
            selected: None,
            cursor: 0,
            sort: None,
            filter: String::new(),
            panel: 0,
            back: 0,
        }
    }

    /// Its rows as they are shown.
    pub fn table(&self, now_at_ms: i64) -> Table {
        pages::table(&self.place, self.content.as_ref(), self.panel, now_at_ms).arranged(self.sort, &self.filter)
    }

    /// How many rows there are without the filter.
    pub fn rows_in_all(&self, now_at_ms: i64) -> usize {
        pages::table(&self.place, self.content.as_ref(), self.panel, now_at_ms).rows.len()
    }

    /// What has to be asked to fill it.
    pub fn ask(&self) -> Option<Ask> {
        self.place.ask(self.back)
    }

    /// Whether it shows what stays as it is: an entity as of a version.
    pub fn is_settled(&self) -> bool {
        matches!(self.place, Place::Entity { version: Some(_), .. }) && self.content.is_some()
    }

    /// Its panels, if it has any.
    pub fn panels(&self) -> &'static [&'static str] {
        match self.place {
            Place::Entity { version, .. } => pages::entity::panels(version),
            Place::Infrastructure => &pages::infrastructure::PANELS,
            _ => &[],
        }
    }

    /// Nodes that are missing in it.
    pub fn silent(&self) -> &[Silent] {
        self.content.as_ref().map(Content::silent).unwrap_or_default()
    }

    /// Where the reader is in a table.
    pub fn position(&self, table: &Table) -> usize {
        let found = self.selected.as_deref().and_then(|id| table.position(id));
        found.unwrap_or(self.cursor).min(table.rows.len().saturating_sub(1))
    }

    /// The row that the reader is at.
    pub fn row(&self, now_at_ms: i64) -> Option<Row> {
        let table = self.table(now_at_ms);
        let position = self.position(&table);
        table.rows.into_iter().nth(position)
    }

    /// Goes so many rows down, or up.
    pub fn go(&mut self, rows: isize, now_at_ms: i64) {
        let table = self.table(now_at_ms);
        let last = table.rows.len().saturating_sub(1);
        self.cursor = self.position(&table).saturating_add_signed(rows).min(last);
        // The first row stays the first when new ones come above it: that is what a tail is watched for.
        self.selected = (self.cursor > 0).then(|| table.rows.get(self.cursor).map(|row| row.id.clone())).flatten();
    }

    /// Back to the first row.
    pub fn go_first(&mut self) {
        (self.cursor, self.selected) = (0, None);
    }

    /// What the keys that act are about: the row, else the entity that is shown.
    pub fn subject(&self, now_at_ms: i64) -> Option<Subject> {
        self.row(now_at_ms).and_then(|row| row.subject).or_else(|| self.entity().cloned().map(Subject::Entity))
    }

    /// The trace of the row: of a command, or of an event of an entity.
    pub fn trace(&self, now_at_ms: i64) -> Option<String> {
        let row = self.row(now_at_ms)?;
        let trace = match self.content.as_ref()? {
            Content::Tail(tail) => {
                let command = tail.commands.iter().find(|one| format!("{} {}", one.node, one.entry.number) == row.id);
                command.map(|one| &one.entry.trace)
            }
            Content::Entity(looked) => {
                let events = looked.history.as_ref().ok().filter(|_| self.panel == 0)?;
                events.events.iter().find(|event| event.version.to_string() == row.id).map(|event| &event.trace)
            }
            _ => None,
        };
        trace.filter(|trace| !trace.is_empty()).cloned()
    }

    /// The entity that is shown.
    pub fn entity(&self) -> Option<&EntityName> {
        match &self.place {
            Place::Entity { entity, .. } => Some(entity),
            _ => None,
        }
    }
}
