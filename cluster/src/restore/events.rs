//! Intakes, and how far shards are published: both have to fit to what events are called from now on.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use crate::events::ConsumerType;
use crate::events::intake::source_of;
use crate::reference::{Key, Kind};
use crate::service::Service;
use crate::store::Publication;
use crate::store::snapshot::{Cell, Table};

/// What every consumer has consumed, as it was put back.
#[derive(Debug)]
pub(super) struct Consumed {
    consumers: Vec<ConsumerType>,
    /// By intake, service and shard: the sequence of the last event.
    high_water: HashMap<(Kind, String, u32), u64>,
    /// Those that have consumed anything.
    at_work: HashSet<Kind>,
}

/// A state table of intakes.
#[derive(Clone, Debug)]
pub(super) struct IntakeTable {
    kind: Kind,
    entity: usize,
    part: usize,
    data: usize,
}

impl IntakeTable {
    /// Whether a table is one.
    pub(super) fn of(services: &[Service], database: &str, table: &Table) -> Option<Self> {
        let consumers = services.iter().flat_map(|service| &service.consumers);
        let mut own = consumers.filter(|one| one.kind.service == database);
        let consumer = own.find(|one| table.name == format!("{}_state", one.kind.entity))?;
        let index = |name| table.index(name);
        Some(Self { kind: consumer.kind, entity: index("entity")?, part: index("part")?, data: index("data")? })
    }
}

impl Consumed {
    pub(super) fn of(services: &[Service]) -> Self {
        let consumers = services.iter().flat_map(|service| service.consumers.iter().copied());
        Self { consumers: consumers.collect(), high_water: HashMap::new(), at_work: HashSet::new() }
    }

    /// Notes how far an intake is, and makes what it has consumed part of the new incarnation: sequences that it has
    /// are the same events there.
    pub(super) fn take_over(
        &mut self,
        table: &IntakeTable,
        row: &mut [Cell],
        incarnation: impl Fn(&str, u32) -> Option<u64>,
    ) -> Result<(), String> {
        let text = |index: usize| match row.get(index) {
            Some(Cell::Bytes(bytes)) => Ok(String::from_utf8_lossy(bytes).into_owned()),
            _ => Err("an intake's row lacks its texts".to_owned()),
        };
        if !text(table.part)?.is_empty() {
            return Ok(());
        }
        let key = Key::new(text(table.entity)?).map_err(|error| error.to_string())?;
        let Some((service, shard)) = source_of(&key) else { return Ok(()) };
        let mut head: Map<String, Value> =
            serde_json::from_str(&text(table.data)?).map_err(|error| error.to_string())?;
        let high_water = head.get("high_water").and_then(Value::as_u64).unwrap_or(0);
        self.at_work.insert(table.kind);
        self.high_water.insert((table.kind, service.to_owned(), shard), high_water);
        if let Some(incarnation) = incarnation(service, shard) {
            head.insert("incarnation".into(), incarnation.into());
            row[table.data] = Cell::Bytes(Value::Object(head).to_string().into_bytes());
        }
        Ok(())
    }

    /// Takes a position back to the last event that all consumers have. What came behind it may lie with a broker
    /// under the old incarnation, which nobody consumes any more; so it is published again under the new one, and
    /// whoever has it drops it. A consumer without any intake was not at work yet and needs nothing.
    pub(super) fn rewind(&self, service: &str, publication: &mut Publication) {
        let takes = |one: &&ConsumerType| one.sources.contains(&service) && self.at_work.contains(&one.kind);
        let reached =
            self.consumers.iter().filter(takes).map(|one| {
                self.high_water.get(&(one.kind, service.to_owned(), publication.shard)).copied().unwrap_or(0)
            });
        if let Some(reached) = reached.min().filter(|reached| *reached < publication.published) {
            publication.seq = reached;
            publication.published = reached;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMS: ConsumerType =
        ConsumerType { group: "sums", kind: Kind { service: "sums", entity: "intake" }, sources: &["order", "cart"] };
    const MAIL: ConsumerType =
        ConsumerType { group: "mail", kind: Kind { service: "mail", entity: "intake" }, sources: &["order"] };

    fn row(key: &str, part: &str, data: &str) -> Vec<Cell> {
        [key, part, data].map(|text| Cell::Bytes(text.as_bytes().to_vec())).to_vec()
    }

    fn table(one: ConsumerType) -> IntakeTable {
        IntakeTable { kind: one.kind, entity: 0, part: 1, data: 2 }
    }

    #[test]
    fn what_an_intake_has_consumed_is_of_the_new_incarnation() {
        let mut consumed =
            Consumed { consumers: vec![SUMS, MAIL], high_water: HashMap::new(), at_work: HashSet::new() };
        let mut head = row("order-3", "", r#"{"high_water":40,"incarnation":1,"later":{"a":[1]}}"#);
        consumed
            .take_over(&table(SUMS), &mut head, |service, shard| {
                assert_eq!((service, shard), ("order", 3));
                Some(7)
            })
            .expect("it is an intake");
        assert_eq!(head, row("order-3", "", r#"{"high_water":40,"incarnation":7,"later":{"a":[1]}}"#));
        let mut part = row("order-3", "dead/5", "[]");
        consumed.take_over(&table(SUMS), &mut part, |_, _| Some(7)).expect("it is left alone");
        assert_eq!(part, row("order-3", "dead/5", "[]"));
    }

    #[test]
    fn publishing_goes_on_from_what_the_slowest_consumer_has() {
        let mut consumed =
            Consumed { consumers: vec![SUMS, MAIL], high_water: HashMap::new(), at_work: HashSet::new() };
        let rewound = |consumed: &Consumed, service: &str| {
            let mut publication = Publication { shard: 3, seq: 50, published: 45 };
            consumed.rewind(service, &mut publication);
            (publication.seq, publication.published)
        };
        assert_eq!(rewound(&consumed, "order"), (50, 45), "nobody consumes");
        let mut take = |one, head: &str| {
            consumed.take_over(&table(one), &mut row("order-3", "", head), |_, _| Some(7)).expect("an intake");
            (rewound(&consumed, "order"), rewound(&consumed, "cart"))
        };
        assert_eq!(take(SUMS, r#"{"high_water":48}"#), ((50, 45), (0, 0)), "of the cart nothing was consumed");
        assert_eq!(take(MAIL, r#"{"high_water":40}"#).0, (40, 40));
    }
}
