//! A world of entities without a cluster, for tests: it runs commands, effects and timers of any services in
//! a random order, and does to them what a cluster may do. Calls are made twice, arrive late, lose their
//! answers; entities are forgotten and read back from the rows that they wrote.

use std::collections::BTreeMap;
use std::sync::Arc;

use nakku_cluster::instance::{Decided, EffectId, EntityType, Instance};
use nakku_cluster::store::StoredEntity;
use nakku_cluster::{Address, Answer, Call, Context, Entity, Key, Ref, Service, Timestamp};

use crate::public::tests::check_published;

/// The variable from which a test takes its seed.
const SEED_VARIABLE: &str = "NAKKU_TEST_SEED";

/// How often, in percent, what goes wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// A call is made twice.
    pub repeated: u64,
    /// A call's answer is lost; the effect stays outstanding.
    pub lost: u64,
    /// A call is made once more at some later time, when nobody waits for it.
    pub late: u64,
    /// An entity is forgotten and read back before it decides.
    pub reloaded: u64,
}

impl Faults {
    /// A rough day.
    pub const MANY: Self = Self { repeated: 10, lost: 10, late: 5, reloaded: 20 };
    /// None.
    pub const NONE: Self = Self { repeated: 0, lost: 0, late: 0, reloaded: 0 };
}

/// A sequence of random numbers that follows from a seed.
pub struct Random(Context);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(Context::new(Key::new("random").unwrap(), Timestamp(0), 0, 1, seed))
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0.random_u64() % end.max(1)
    }

    /// One of several.
    pub fn one_of<'a, T>(&mut self, several: &'a [T]) -> &'a T {
        &several[self.below(several.len() as u64) as usize]
    }

    /// True so often.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// Runs a test with one seed from the environment, or with several that follow from the time; prints each.
pub fn with_seeds(runs: u64, test: impl Fn(u64)) {
    let given = std::env::var(SEED_VARIABLE).ok().map(|text| text.parse().expect("NAKKU_TEST_SEED is a number"));
    let seeds = given.map_or_else(
        || {
            let mut random = Random::new(Timestamp::now().0.unsigned_abs());
            (0..runs).map(|_| random.below(u64::MAX)).collect()
        },
        |seed| vec![seed],
    );
    for seed in seeds {
        println!("{SEED_VARIABLE}={seed}");
        test(seed);
    }
}

/// What stands in for an entity whose service is not part of the world, or for a provider: from the entity's
/// key, or the request's idempotency key, to the answer.
pub type StandIn = Box<dyn FnMut(&Key, serde_json::Value) -> Answer + Send>;

/// The world.
pub struct World {
    /// The time; it moves only when it is told to.
    pub now: Timestamp,
    /// What goes wrong.
    pub faults: Faults,
    /// The one source of chance.
    pub random: Random,
    types: BTreeMap<String, Arc<dyn EntityType>>,
    stand_ins: BTreeMap<String, StandIn>,
    entities: BTreeMap<Address, Resident>,
    late: Vec<(Key, Call)>,
}

struct Resident {
    instance: Box<dyn Instance>,
    rows: StoredEntity,
    parts: BTreeMap<String, Vec<u8>>,
}

impl World {
    /// A world of these services.
    pub fn new(services: &[Service], seed: u64) -> Self {
        let types = services.iter().flat_map(|service| &service.types);
        Self {
            now: Timestamp(1_700_000_000_000),
            faults: Faults::NONE,
            random: Random::new(seed),
            types: types.map(|one| (one.kind().to_string(), Arc::clone(one))).collect(),
            stand_ins: BTreeMap::new(),
            entities: BTreeMap::new(),
            late: Vec::new(),
        }
    }

    /// Lets something stand in for all entities of a kind (`service.entity`).
    pub fn stand_in(&mut self, kind: &str, stand_in: StandIn) {
        self.stand_ins.insert(kind.into(), stand_in);
    }

    /// Asks an entity.
    pub fn ask<E: Entity>(&mut self, key: &Key, command: &E::Command) -> Result<E::Reply, E::Rejection> {
        let answer = self.command(&Ref::<E>::new(key.clone()).address(), &serde_json::to_vec(command).unwrap());
        answer.of::<E>()
    }

    /// Asks an entity by its address.
    pub fn ask_untyped(&mut self, address: &Address, command: &[u8]) -> Answer {
        self.command(address, command)
    }

    /// Lets time pass.
    pub fn advance(&mut self, milliseconds: i64) {
        self.now = Timestamp(self.now.0 + milliseconds);
    }

    /// Does one of the things that are to be done, if there are any.
    pub fn step(&mut self) -> bool {
        if !self.late.is_empty() && self.random.percent(20) {
            let at = self.random.below(self.late.len() as u64) as usize;
            let (caller, call) = self.late.swap_remove(at);
            self.call(&caller, &call);
            return true;
        }
        let work = self.work();
        if work.is_empty() {
            return false;
        }
        let (address, id) = self.random.one_of(&work).clone();
        self.run(&address, id);
        true
    }

    /// Does everything that is to be done, without faults, until only timers that lie ahead are left.
    pub fn settle(&mut self) {
        self.faults = Faults::NONE;
        for (caller, call) in std::mem::take(&mut self.late) {
            self.call(&caller, &call);
        }
        for _ in 0..100_000 {
            let work = self.work();
            if work.is_empty() {
                return;
            }
            for (address, id) in work {
                self.run(&address, id);
            }
        }
        panic!("never settles: {:?}", self.work());
    }

    /// The earliest timer of all.
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.entities.values().filter_map(|resident| resident.instance.outstanding().wake).map(|(at, _)| at).min()
    }

    /// Settles, goes on to the next timer and settles again, until there is no timer before `until`.
    pub fn settle_until(&mut self, until: Timestamp) {
        self.settle();
        while let Some(at) = self.next_wake().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.settle();
        }
    }

    /// Every effect that is outstanding, and every timer (as nothing) that is due.
    fn work(&self) -> Vec<(Address, Option<EffectId>)> {
        let mut work = Vec::new();
        for (address, resident) in &self.entities {
            let pending = resident.instance.outstanding();
            work.extend(pending.effects.iter().map(|effect| (address.clone(), Some(effect.id))));
            if pending.wake.is_some_and(|(at, _)| at <= self.now) {
                work.push((address.clone(), None));
            }
        }
        work
    }

    fn run(&mut self, address: &Address, id: Option<EffectId>) {
        let pending = self.entities[address].instance.outstanding();
        let Some(id) = id else {
            if let Some((_, command)) = pending.wake.filter(|(at, _)| *at <= self.now) {
                self.command(address, &command);
            }
            return;
        };
        let Some(effect) = pending.effects.into_iter().find(|effect| effect.id == id) else { return };
        let caller = Key::new(format!("{}.{}.{}", address.key, id.step, id.ordinal)).unwrap();
        let lost = self.random.percent(self.faults.lost);
        // Whoever loses the answers may have died before all calls were made.
        let made = if lost { self.random.below(effect.calls.len() as u64 + 1) as usize } else { effect.calls.len() };
        let mut answers = Vec::new();
        for call in &effect.calls[..made] {
            let mut answer = self.call(&caller, call);
            if self.random.percent(self.faults.repeated) {
                answer = self.call(&caller, call);
            }
            if self.random.percent(self.faults.late) {
                self.late.push((caller.clone(), call.clone()));
            }
            answers.push(answer);
        }
        if !lost {
            self.command(address, &(effect.then)(answers));
        }
    }

    /// The caller is what a provider knows the call by: the entity's key, the step and the ordinal.
    fn call(&mut self, caller: &Key, call: &Call) -> Answer {
        match call {
            Call::Ask { target, command } => match self.stand_ins.get_mut(&*target.kind) {
                Some(stand_in) => stand_in(&target.key, serde_json::from_slice(command).unwrap()),
                None => self.command(target, command),
            },
            Call::Provider { name, request } => {
                let stand_in = self.stand_ins.get_mut(*name).unwrap_or_else(|| panic!("nothing stands in for {name}"));
                stand_in(caller, serde_json::from_slice(request).unwrap())
            }
        }
    }

    fn command(&mut self, address: &Address, command: &[u8]) -> Answer {
        let reload = self.random.percent(self.faults.reloaded);
        let chance = self.random.below(u64::MAX);
        let of_kind = self.types.get(&*address.kind).unwrap_or_else(|| panic!("no service holds {address}"));
        let resident = self.entities.entry(address.clone()).or_insert_with(|| Resident {
            instance: of_kind.create(),
            rows: StoredEntity::default(),
            parts: BTreeMap::new(),
        });
        if reload && resident.rows.version > 0 {
            let before = resident.instance.to_json();
            resident.rows.parts = resident.parts.clone().into_iter().collect();
            resident.instance = of_kind.restore(&resident.rows).unwrap();
            assert_eq!(resident.instance.to_json(), before, "{address} comes back as it was");
        }
        let version = resident.rows.version;
        let mut context = Context::new(address.key.clone(), self.now, version, 1, chance);
        match resident.instance.decide(command, None, &mut context) {
            Decided::Accepted { events, reply } => {
                for (_, event) in &events {
                    check_published(of_kind.publish(&address.key, event).unwrap().as_ref());
                }
                resident.rows.version += events.len() as u64;
                let head = resident.instance.head_row();
                assert!(head.fits(), "the head of {address} is within its bound");
                if events.is_empty() {
                    assert!(resident.instance.take_touched().is_empty(), "{address} touches nothing without an event");
                } else {
                    resident.rows.head = head.data;
                }
                for (part, data) in resident.instance.take_touched() {
                    match data {
                        Some(data) => resident.parts.insert(part, data),
                        None => resident.parts.remove(&part),
                    };
                }
                Answer::Reply(reply)
            }
            Decided::Rejected(rejection) => Answer::Rejected(rejection),
            Decided::Failed(failure) => panic!("{address}: {failure}"),
        }
    }
}
