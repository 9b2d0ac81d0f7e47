//! What consumers have consumed has to fit to what events are called from now on.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::events::ConsumerType;
use crate::events::intake::{Head, key_of, source_of};
use crate::events::rebuild::Rebuild;
use crate::reference::{Key, Kind};
use crate::service::Service;
use crate::store::snapshot::{Cell, CellKind, Table, TableColumn};
use crate::time::Timestamp;
use crate::topology::{Topology, shard_of};

/// A consumer, and the service and shard that one of its intakes consumes.
type Intake = (Kind, String, u32);

/// The heads of all intakes. They are written last, when it is known how far their sources are published.
#[derive(Debug)]
pub(super) struct Consumed {
    consumers: Vec<ConsumerType>,
    /// As they were.
    heads: HashMap<Intake, HeadRow>,
    /// The last public event that went out, by service and shard.
    published: HashMap<(String, u32), u64>,
}

/// A state table of intakes.
#[derive(Clone, Debug)]
pub(super) struct IntakeTable {
    kind: Kind,
    layout: Table,
    entity: usize,
    part: usize,
    data: usize,
    wake_at: usize,
}

/// The head of an intake.
#[derive(Debug)]
pub(super) struct HeadRow {
    pub table: IntakeTable,
    pub row: Vec<Cell>,
}

impl IntakeTable {
    /// Whether a table is one.
    pub(super) fn of(services: &[Service], database: &str, table: &Table) -> Option<Self> {
        let consumers = services.iter().flat_map(|service| &service.consumers);
        let mut own = consumers.filter(|one| one.kind.service == database);
        let consumer = own.find(|one| table.name == format!("{}_state", one.kind.entity))?;
        let index = |name| table.index(name);
        Some(Self {
            kind: consumer.kind,
            layout: table.clone(),
            entity: index("entity")?,
            part: index("part")?,
            data: index("data")?,
            wake_at: index("wake_at")?,
        })
    }

    /// The service that has it.
    pub(super) fn service(&self) -> &'static str {
        self.kind.service
    }

    /// Its columns.
    pub(super) fn layout(&self) -> &Table {
        &self.layout
    }
}

impl HeadRow {
    /// Of an intake that has consumed nothing.
    fn new(kind: Kind, key: &Key, shard: u32) -> Self {
        let bytes = |text: &str| (CellKind::Bytes, Cell::Bytes(text.as_bytes().to_vec()));
        let number = |cell| (CellKind::Integer, cell);
        let cells = [
            ("shard", number(Cell::Integer(shard.into()))),
            ("version", number(Cell::Integer(0))),
            ("seq", number(Cell::Integer(0))),
            ("entity", bytes(key.as_str())),
            ("part", bytes("")),
            ("data", bytes(r#"{"high_water":0}"#)),
            ("wake_at", number(Cell::Null)),
        ];
        let (columns, row) =
            cells.into_iter().map(|(name, (kind, cell))| (TableColumn { name: name.to_owned(), kind }, cell)).unzip();
        let layout = Table { name: format!("{}_state", kind.entity), columns };
        let table = IntakeTable { kind, layout, entity: 3, part: 4, data: 5, wake_at: 6 };
        Self { table, row }
    }

    /// Makes what it has consumed part of an incarnation, in which sequences that it has are the same events; and has
    /// it read from the journal what it lacks of the events that were published before.
    fn take_over(&mut self, source: (&str, u32), incarnation: u64, published: u64) -> Result<(), String> {
        let Some(Cell::Bytes(data)) = self.row.get(self.table.data) else { return Err("it has no data".into()) };
        let wrong = |error: serde_json::Error| error.to_string();
        let head: Head = serde_json::from_slice(data).map_err(wrong)?;
        // With what another version may have written beside.
        let mut fields: Map<String, Value> = serde_json::from_slice(data).map_err(wrong)?;
        fields.insert("incarnation".into(), incarnation.into());
        if head.high_water < published {
            let (service, shard) = (source.0.to_owned(), source.1);
            let begun = head.rebuild.unwrap_or_default();
            let rebuild = Rebuild { service, shard, until: begun.until.max(published), ..begun };
            fields.insert("rebuild".into(), serde_json::to_value(rebuild).map_err(wrong)?);
            self.row[self.table.wake_at] = Cell::Integer(Timestamp::now().0);
        }
        self.row[self.table.data] = Cell::Bytes(Value::Object(fields).to_string().into_bytes());
        Ok(())
    }
}

impl Consumed {
    pub(super) fn of(services: &[Service]) -> Self {
        let consumers = services.iter().flat_map(|service| service.consumers.iter().copied());
        Self { consumers: consumers.collect(), heads: HashMap::new(), published: HashMap::new() }
    }

    /// Notes how far a shard was published.
    pub(super) fn published(&mut self, service: &str, shard: u32, published: u64) {
        self.published.insert((service.to_owned(), shard), published);
    }

    /// Keeps the head of an intake; any other row is given back.
    pub(super) fn keep(&mut self, table: &IntakeTable, row: Vec<Cell>) -> Result<Option<Vec<Cell>>, String> {
        let text = |index: usize| match row.get(index) {
            Some(Cell::Bytes(bytes)) => Ok(String::from_utf8_lossy(bytes).into_owned()),
            _ => Err("an intake's row lacks its texts".to_owned()),
        };
        if !text(table.part)?.is_empty() {
            return Ok(Some(row));
        }
        let key = Key::new(text(table.entity)?).map_err(|error| error.to_string())?;
        let Some((service, shard)) = source_of(&key) else { return Ok(Some(row)) };
        let of = (table.kind, service.to_owned(), shard);
        self.heads.insert(of, HeadRow { table: table.clone(), row });
        Ok(None)
    }

    /// The heads as they have to be from now on, each with the shard that holds it: those that were kept, and one for
    /// each shard of a source that an intake may yet hear of. What the lost time has told of it lies with a broker under
    /// an old incarnation, and whoever had nothing could not tell it from what is true.
    ///
    /// # Errors
    /// With the table, when a head is none.
    pub(super) fn heads(
        &mut self,
        topology: &Topology,
        incarnation: impl Fn(&str, u32) -> Option<u64>,
    ) -> Result<Vec<(u32, HeadRow)>, (String, String)> {
        let mut heads = Vec::new();
        for consumer in &self.consumers {
            let kind = consumer.kind;
            for service in consumer.sources {
                for number in 0..topology.service(service).shard_count {
                    let key = key_of(service, number);
                    let shard = shard_of(&key, topology.service(kind.service).shard_count);
                    let kept = self.heads.remove(&(kind, (*service).to_owned(), number));
                    let mut head = kept.unwrap_or_else(|| HeadRow::new(kind, &key, shard));
                    if let Some(incarnation) = incarnation(service, number) {
                        let published = self.published.get(&((*service).to_owned(), number)).copied().unwrap_or(0);
                        head.take_over((service, number), incarnation, published)
                            .map_err(|reason| (format!("nakku_{}.{}", kind.service, head.table.layout.name), reason))?;
                    }
                    heads.push((shard, head));
                }
            }
        }
        // Of sources that are consumed no more.
        for ((kind, service, number), head) in self.heads.drain() {
            heads.push((shard_of(&key_of(&service, number), topology.service(kind.service).shard_count), head));
        }
        Ok(heads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::ServiceTopology;

    const SUMS: ConsumerType =
        ConsumerType { group: "sums", kind: Kind { service: "sums", entity: "intake" }, sources: &["order", "cart"] };

    fn table() -> IntakeTable {
        HeadRow::new(SUMS.kind, &key_of("order", 0), 0).table
    }

    fn row(key: &str, part: &str, data: &str) -> Vec<Cell> {
        let mut row = HeadRow::new(SUMS.kind, &Key::new(key).expect("a key"), 0).row;
        let table = table();
        row[table.part] = Cell::Bytes(part.into());
        row[table.data] = Cell::Bytes(data.into());
        row
    }

    /// Two shards each; by the key of the intake: its head, and whether it is woken.
    fn heads(mut consumed: Consumed) -> HashMap<String, (Value, bool)> {
        let topology = Topology::new("test", ServiceTopology::spread(2, ["default-1"]));
        let heads = consumed.heads(&topology, |service, _| Some(if service == "order" { 7 } else { 9 }));
        let told = |(shard, HeadRow { table, row }): (u32, HeadRow)| {
            let text = |index: usize| match &row[index] {
                Cell::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                other => panic!("{other:?}"),
            };
            let key = text(table.entity);
            assert_eq!(shard, shard_of(&Key::new(&*key).expect("a key"), 2));
            let head = serde_json::from_str(&text(table.data)).expect("JSON");
            (key, (head, row[table.wake_at] != Cell::Null))
        };
        heads.expect("heads").into_iter().map(told).collect()
    }

    fn consumed(rows: &[Vec<Cell>]) -> Consumed {
        let mut consumed = Consumed { consumers: vec![SUMS], heads: HashMap::new(), published: HashMap::new() };
        for row in rows {
            assert_eq!(consumed.keep(&table(), row.clone()), Ok(None), "it is a head");
        }
        consumed
    }

    #[test]
    fn every_intake_is_of_the_new_incarnation_also_one_that_had_nothing_yet() {
        let mut consumed = consumed(&[row("order-1", "", r#"{"high_water":40,"incarnation":1,"later":{"a":[1]}}"#)]);
        let part = row("order-1", "dead/5", "[]");
        assert_eq!(consumed.keep(&table(), part.clone()), Ok(Some(part)));
        let head = |json: &str| (serde_json::from_str(json).expect("JSON"), false);
        let expected = [
            ("order-0", head(r#"{"high_water":0,"incarnation":7}"#)),
            ("order-1", head(r#"{"high_water":40,"incarnation":7,"later":{"a":[1]}}"#)),
            ("cart-0", head(r#"{"high_water":0,"incarnation":9}"#)),
            ("cart-1", head(r#"{"high_water":0,"incarnation":9}"#)),
        ];
        assert_eq!(heads(consumed), expected.map(|(key, head)| (key.to_owned(), head)).into());
    }

    #[test]
    fn what_was_published_and_not_consumed_is_read_from_the_journal() {
        let begun = r#"{"high_water":20,"rebuild":{"service":"cart","shard":0,"number":3,"through":30,"until":30}}"#;
        let mut consumed = consumed(&[row("order-1", "", r#"{"high_water":48}"#), row("cart-0", "", begun)]);
        for (service, shard) in [("order", 0), ("order", 1), ("cart", 0)] {
            consumed.published(service, shard, 45);
        }
        let heads = heads(consumed);
        let rebuild = |key: &str| {
            let (head, is_woken) = &heads[key];
            let head: Head = serde_json::from_value(head.clone()).expect("a head");
            assert_eq!((head.rebuild.is_some(), head.is_whole()), (*is_woken, !is_woken), "{key}: {head:?}");
            head.rebuild.map(|rebuild| (rebuild.service, rebuild.shard, rebuild.number, rebuild.through, rebuild.until))
        };
        assert_eq!(rebuild("order-0"), Some(("order".to_owned(), 0, 0, 0, 45)));
        assert_eq!(rebuild("order-1"), None, "it has more than is known to be published");
        assert_eq!(rebuild("cart-0"), Some(("cart".to_owned(), 0, 3, 30, 45)));
        assert_eq!(rebuild("cart-1"), None, "nothing was published");
    }
}
