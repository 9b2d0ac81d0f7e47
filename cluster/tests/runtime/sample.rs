//! A service made for tests: a counter that can be told to fail, to remind itself and to call others.

use std::fmt;

use nakku_cluster::entity::EntityState;
use nakku_cluster::{
    Call, Column, ColumnKind, ColumnValue, Context, Decision, Effect, Entity, Event, Key, Kind, Migration, Outstanding,
    PartSet, Parts, Ref, Service, Timestamp,
};
use serde::{Deserialize, Serialize};

pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "initial",
    sql: "CREATE TABLE {prefix}counter_state (shard INTEGER NOT NULL, entity VARBINARY(128) NOT NULL, \
          part VARBINARY(192) NOT NULL, version BIGINT NOT NULL, seq BIGINT NOT NULL, data LONGBLOB NOT NULL, \
          wake_at BIGINT NULL, parity BIGINT NULL, PRIMARY KEY (shard, entity, part));\n\
          CREATE INDEX counter_state_wake ON {prefix}counter_state (wake_at);\n\
          CREATE INDEX counter_state_parity ON {prefix}counter_state (parity);\n",
}];

pub fn service() -> Service {
    Service::new("sample", 9999, MIGRATIONS).entity::<Counter>()
}

pub fn counter(key: &str) -> Ref<Counter> {
    Ref::new(Key::new(key).expect("a key"))
}

pub struct Counter;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    Add(i64),
    Get,
    /// Adds here first and at another counter after it, until that one agrees.
    Forward {
        to: Key,
        amount: i64,
        id: u64,
    },
    Receive {
        id: u64,
        amount: i64,
    },
    Forwarded {
        id: u64,
    },
    /// Counts one up at that time.
    RemindAt(Timestamp),
    Reminded,
    Panic,
    PanicWhileEvolving,
    Fill(usize),
    Provide,
    Provided(String),
    GaveUp,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total(pub i64);

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happened {
    Added(i64),
    Forwarding { to: Key, amount: i64, id: u64 },
    Forwarded { id: u64 },
    Received { id: u64, amount: i64 },
    ReminderSet(Timestamp),
    Reminded,
    Broken,
    Filled(usize),
    Asked,
    Told(String),
    GivenUp,
}

impl Event for Happened {
    fn event_type(&self) -> &'static str {
        "counter.changed"
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Negative;

impl fmt::Display for Negative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the total would be negative")
    }
}

impl std::error::Error for Negative {}

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Head {
    pub total: i64,
    pub remind_at: Option<Timestamp>,
    #[serde(default)]
    pub asking: bool,
    #[serde(default)]
    pub filling: String,
}

#[derive(Debug, Default)]
pub struct State {
    head: Head,
    forwarding: Parts<u64, (Key, i64)>,
    received: Parts<u64, i64>,
}

impl EntityState for State {
    type Head = Head;
    const COLUMNS: &'static [Column] = &[Column { name: "parity", kind: ColumnKind::Integer }];
    fn head(&self) -> &Head {
        &self.head
    }
    fn head_mut(&mut self) -> &mut Head {
        &mut self.head
    }
    fn parts(&mut self) -> Vec<(&'static str, &mut dyn PartSet)> {
        vec![("forwarding", &mut self.forwarding), ("received", &mut self.received)]
    }
    fn columns(&self) -> Vec<ColumnValue> {
        vec![ColumnValue::Integer(self.head.total.rem_euclid(2))]
    }
}

impl Entity for Counter {
    const KIND: Kind = Kind { service: "sample", entity: "counter" };
    type State = State;
    type Command = Command;
    type Reply = Total;
    type Event = Happened;
    type Rejection = Negative;

    fn decide(state: &State, command: Command, _: &mut Context) -> Result<Decision<Happened, Total>, Negative> {
        let total = state.head.total;
        let same = |event| Ok(Decision::event(event, Total(total)));
        let add = |amount: i64, event| {
            if total + amount < 0 { Err(Negative) } else { Ok(Decision::event(event, Total(total + amount))) }
        };
        match command {
            Command::Add(amount) => add(amount, Happened::Added(amount)),
            Command::Get => Ok(Decision::reply(Total(total))),
            Command::Forward { id, .. } if state.forwarding.contains_key(&id) => Ok(Decision::reply(Total(total))),
            Command::Forward { to, amount, id } => add(amount, Happened::Forwarding { to, amount, id }),
            Command::Receive { id, .. } if state.received.contains_key(&id) => Ok(Decision::reply(Total(total))),
            Command::Receive { id, amount } => add(amount, Happened::Received { id, amount }),
            Command::Forwarded { id } => same(Happened::Forwarded { id }),
            Command::RemindAt(at) => same(Happened::ReminderSet(at)),
            Command::Reminded => same(Happened::Reminded),
            Command::Panic => panic!("as asked"),
            Command::PanicWhileEvolving => same(Happened::Broken),
            Command::Fill(bytes) => same(Happened::Filled(bytes)),
            Command::Provide => same(Happened::Asked),
            Command::Provided(word) => same(Happened::Told(word)),
            Command::GaveUp => same(Happened::GivenUp),
        }
    }

    fn evolve(state: &mut State, event: &Happened) {
        match event {
            Happened::Added(amount) => state.head.total += amount,
            Happened::Forwarding { to, amount, id } => {
                state.head.total += amount;
                state.forwarding.insert(*id, (to.clone(), *amount));
            }
            Happened::Forwarded { id } => drop(state.forwarding.remove(id)),
            Happened::Received { id, amount } => {
                state.head.total += amount;
                state.received.insert(*id, *amount);
            }
            Happened::ReminderSet(at) => state.head.remind_at = Some(*at),
            Happened::Reminded => {
                state.head.remind_at = None;
                state.head.total += 1;
            }
            Happened::Broken => panic!("as asked"),
            Happened::Filled(bytes) => state.head.filling = "x".repeat(*bytes),
            Happened::Asked => state.head.asking = true,
            Happened::Told(word) => {
                state.head.asking = false;
                state.head.total += i64::try_from(word.len()).unwrap_or(0);
            }
            Happened::GivenUp => {
                state.head.asking = false;
                state.head.total = 1_000_000;
            }
        }
    }

    fn outstanding(state: &State) -> Outstanding<Self> {
        let mut outstanding = Outstanding::none();
        for (id, (to, amount)) in state.forwarding.iter() {
            let call = Call::ask(&Ref::<Counter>::new(to.clone()), &Command::Receive { id: *id, amount: *amount });
            let id = *id;
            outstanding =
                outstanding.effect(Effect::new("forward", id, vec![call], move |_| Command::Forwarded { id }));
        }
        if state.head.asking {
            let call = Call::provider("oracle", &"word");
            let ask = Effect::new("ask", 0, vec![call], |answers| Command::Provided(answers[0].provided()));
            outstanding = outstanding.effect(ask.give_up_after(3, Command::GaveUp));
        }
        match state.head.remind_at {
            Some(at) => outstanding.wake(at, Command::Reminded),
            None => outstanding,
        }
    }
}
