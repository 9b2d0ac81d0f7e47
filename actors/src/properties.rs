//! Properties over random inputs, for tests: the seed is printed and can be given.

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestRng, TestRunner};

use nakku_cluster::Timestamp;
use nakku_cluster::{Context, Entity, EntityState, Key};

use crate::public::tests::check_published;

/// The events of a decision and its reply.
pub type Told<E> = (Vec<<E as Entity>::Event>, <E as Entity>::Reply);

/// The variable from which a test takes its seed.
const SEED_VARIABLE: &str = "NAKKU_TEST_SEED";

/// Tries a property on so many random inputs, and shrinks the one that breaks it.
pub fn check<S: Strategy>(cases: u32, input: &S, property: impl Fn(S::Value) -> TestCaseResult) {
    let given = std::env::var(SEED_VARIABLE).ok().map(|text| text.parse().expect("NAKKU_TEST_SEED is a number"));
    let seed: u64 = given.unwrap_or_else(|| Timestamp::now().0.unsigned_abs());
    println!("{SEED_VARIABLE}={seed}");
    let bytes: Vec<u8> = seed.to_be_bytes().into_iter().cycle().take(32).collect();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    if let Err(failure) = TestRunner::new_with_rng(config, rng).run(input, property) {
        panic!("{SEED_VARIABLE}={seed}: {failure}");
    }
}

/// One entity without a cluster.
pub struct Alone<E: Entity> {
    /// As decided so far.
    pub state: E::State,
    /// The time.
    pub now: Timestamp,
    /// How many events there have been.
    pub version: u64,
    key: Key,
}

impl<E: Entity> Alone<E> {
    /// A fresh one.
    pub fn new(key: &str) -> Self {
        Self { state: E::State::default(), now: Timestamp(1_000_000), version: 0, key: Key::new(key).unwrap() }
    }

    /// Decides a command and applies its events, which it returns with the reply.
    pub fn tell(&mut self, command: E::Command) -> Result<Told<E>, E::Rejection> {
        let mut context = Context::new(self.key.clone(), self.now, self.version, 1, 0);
        let decision = E::decide(&self.state, command, &mut context)?;
        for event in &decision.events {
            // As the journal would give it back.
            let json = serde_json::to_vec(event).unwrap();
            check_published(E::publish(&self.key, event).as_ref());
            E::evolve(&mut self.state, &serde_json::from_slice(&json).unwrap());
        }
        self.version += decision.events.len() as u64;
        Ok((decision.events, decision.reply))
    }

    /// What is outstanding, as text.
    pub fn outstanding(&self) -> String {
        format!("{:?}", E::outstanding(&self.state))
    }

    /// The entity as it comes back from its rows.
    pub fn reloaded(&mut self) -> E::State {
        let mut state = E::State::default();
        *state.head_mut() = serde_json::from_slice(&serde_json::to_vec(self.state.head()).unwrap()).unwrap();
        for (name, parts) in self.state.parts() {
            let serde_json::Value::Object(all) = parts.to_json() else { panic!("parts are an object") };
            for (key, value) in all {
                let mut sets = state.parts();
                let (_, set) = sets.iter_mut().find(|(known, _)| *known == name).unwrap();
                set.restore(&key, &serde_json::to_vec(&value).unwrap()).unwrap();
            }
        }
        state.loaded();
        state
    }
}
