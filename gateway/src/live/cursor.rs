//! How far a client has come: for each entity that its order is made of, the last journal sequence that it
//! has heard of. Opaque to clients; any gateway can go on from it.

use std::fmt;
use std::str::FromStr;

use nakku_cluster::events::Envelope;

/// An entity that tells of an order; all three have the order's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The order itself.
    Order,
    /// Its payment.
    Payment,
    /// Its delivery.
    Delivery,
}

impl Source {
    /// All of them. What they tell at the same time is told in this order.
    pub const ALL: [Self; 3] = [Self::Order, Self::Payment, Self::Delivery];

    /// Its service.
    pub fn service(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Payment => "payment",
            Self::Delivery => "delivery",
        }
    }

    /// Which one tells this; nothing when none does.
    pub fn of(event: &Envelope) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.service() == event.service)
    }
}

/// See the module. Sequences begin with 1; 0 stands for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor([u64; Source::ALL.len()]);

impl Cursor {
    /// The last that was heard of.
    pub fn at(&self, source: Source) -> u64 {
        self.0[source as usize]
    }

    /// Whether an event was heard of.
    pub fn has(&self, event: &Envelope) -> bool {
        Source::of(event).is_some_and(|source| event.sequence <= self.at(source))
    }

    /// Now an event has been heard of.
    pub fn note(&mut self, event: &Envelope) {
        if let Some(source) = Source::of(event) {
            let last = &mut self.0[source as usize];
            *last = event.sequence.max(*last);
        }
    }

    /// Whether it can be gone on from, given everything that happened: each place that it names must be one
    /// at which something did. It is not when the journal was pruned or restored since.
    pub fn is_within(&self, past: &[Envelope]) -> bool {
        Source::ALL.into_iter().all(|source| {
            let last = self.at(source);
            last == 0 || past.iter().any(|event| Source::of(event) == Some(source) && event.sequence == last)
        })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = Source::ALL.into_iter().filter(|source| self.at(*source) > 0);
        for (place, source) in known.enumerate() {
            let dash = if place == 0 { "" } else { "-" };
            write!(f, "{dash}{}.{}", source.service(), self.at(source))?;
        }
        Ok(())
    }
}

/// A text is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not a cursor that was sent")]
pub struct NoCursor;

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let mut cursor = Self::default();
        for part in text.split('-').filter(|_| !text.is_empty()) {
            let (service, sequence) = part.split_once('.').ok_or(NoCursor)?;
            let source = Source::ALL.into_iter().find(|source| source.service() == service).ok_or(NoCursor)?;
            // Each once, and written as it was sent.
            let plain = sequence.bytes().all(|byte| byte.is_ascii_digit());
            let sequence = sequence.parse().ok().filter(|sequence| plain && *sequence > 0).ok_or(NoCursor)?;
            if cursor.at(source) > 0 {
                return Err(NoCursor);
            }
            cursor.0[source as usize] = sequence;
        }
        Ok(cursor)
    }
}

/// Everything in the order in which it is told: by time, and of one entity always in its own order.
pub fn sort(events: &mut [Envelope]) {
    events.sort_by_key(|event| (event.time, Source::of(event).map(|source| source as usize), event.sequence));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    pub fn event(service: &str, sequence: u64, time: &str) -> Envelope {
        let event = json!({
            "specversion": "1.0", "id": format!("1-{service}-0-{sequence}"), "source": format!("/nakku/{service}/0"),
            "type": format!("{service}.happened"), "subject": "u-1.o-1", "time": time,
            "datacontenttype": "application/json", "dataschema": "urn:x", "service": service, "shard": 0,
            "sequence": sequence.to_string(), "previous": "0", "data": {}
        });
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn a_cursor_is_written_and_read() {
        let mut cursor = Cursor::default();
        assert_eq!(cursor.to_string(), "");
        cursor.note(&event("delivery", 17, "2026-01-01T00:00:00Z"));
        cursor.note(&event("order", 42, "2026-01-01T00:00:00Z"));
        cursor.note(&event("order", 41, "2026-01-01T00:00:00Z"));
        assert_eq!(cursor.to_string(), "order.42-delivery.17");
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        assert_eq!("".parse(), Ok(Cursor::default()));
        for text in ["x", "order", "order.", "order.0", "order.+1", "order.1-order.2", "cart.1", "-", "order.1-"] {
            assert_eq!(text.parse::<Cursor>(), Err(NoCursor), "{text}");
        }
    }

    #[test]
    fn a_cursor_of_another_past_is_known() {
        let past = [event("order", 3, "2026-01-01T00:00:00Z"), event("payment", 9, "2026-01-01T00:00:00Z")];
        let within = |text: &str| text.parse::<Cursor>().unwrap().is_within(&past);
        assert!(within("") && within("order.3") && within("order.3-payment.9"));
        assert!(!within("order.2") && !within("order.3-payment.10") && !within("delivery.1"));
    }

    #[test]
    fn events_are_told_by_time_and_an_entitys_in_order() {
        let mut events = vec![
            event("delivery", 1, "2026-01-01T00:00:02Z"),
            event("payment", 8, "2026-01-01T00:00:01Z"),
            event("order", 5, "2026-01-01T00:00:01Z"),
            event("order", 4, "2026-01-01T00:00:01Z"),
        ];
        sort(&mut events);
        let told: Vec<_> = events.iter().map(|event| event.id.as_str()).collect();
        assert_eq!(told, ["1-order-0-4", "1-order-0-5", "1-payment-0-8", "1-delivery-0-1"]);
    }
}
