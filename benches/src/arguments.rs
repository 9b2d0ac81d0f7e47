//! The scenarios and the flags of `nakku bench`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::error::BenchError;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Durable commands through the journal against raw batched statements.
    Journal,
    /// Many buyers of few units.
    HotItem,
    /// Asks from node to node against ractor_cluster's own calls.
    Ask,
    /// Whole checkouts over HTTP.
    Checkout,
    /// From the death of an owner to the first answer of its entities.
    Failover,
    /// Memory of loaded idle entities.
    Idle,
    /// Many WebSockets, and a rider's position from gateway to gateway.
    Live,
    /// What looking costs the checkouts, and how long it takes.
    Inspect,
    /// Events from commit over Kafka to a consumer, against librdkafka's own producer.
    Events,
}

impl Scenario {
    /// All of them with name and help.
    pub const ALL: &[(Self, &'static str, &'static str)] = &[
        (
            Self::Journal,
            "journal",
            "durable commands/s through the journal, against raw batched inserts and upserts of the same rows",
        ),
        (Self::HotItem, "hot-item", "300 buyers of 100 units over HTTP; reservations/s of one item by asks"),
        (Self::Ask, "ask", "asks from node to node, against calls by ractor_cluster's derived messages"),
        (Self::Checkout, "checkout", "whole checkouts/s over HTTP, 32 clients, and the processor time that they take"),
        (Self::Failover, "failover", "from SIGKILL of an owner to the first answer of its entities"),
        (Self::Idle, "idle", "memory of 200,000 loaded idle entities, next to bare actors"),
        (Self::Live, "live", "5,000 WebSockets on one gateway node, and a position's time from another to a customer"),
        (
            Self::Inspect,
            "inspect",
            "whole checkouts/s with a console open, against without; every view of 5 nodes with 200,000 entities",
        ),
        (
            Self::Events,
            "events",
            "events/s from commit over three brokers to a durable effect, against librdkafka's own producer",
        ),
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(scenario, ..)| *scenario == self).map_or("", |(_, name, _)| *name)
    }
}

impl FromStr for Scenario {
    type Err = BenchError;
    fn from_str(text: &str) -> Result<Self, BenchError> {
        let found = Self::ALL.iter().find(|(_, name, _)| *name == text);
        found.map(|(scenario, ..)| *scenario).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|(_, name, _)| *name).collect();
            BenchError::Usage(format!("there is no scenario {text:?}; there are {}", names.join(", ")))
        })
    }
}

/// Kills in `failover` unless set otherwise.
const KILLS: u32 = 20;

/// What a scenario is run with.
#[derive(Clone, Debug)]
pub struct BenchArguments {
    /// Which.
    pub scenario: Scenario,
    /// How long one measurement lasts.
    pub duration: Duration,
    /// How often it is repeated; kills in `failover`.
    pub repeats: u32,
    /// How long it runs before it is measured.
    pub warmup: Duration,
    /// `mysql://…` of a server to use, without databases `nakku_…`, which are made and removed. A throw-away
    /// MariaDB is started where it is not given.
    pub database_url: Option<String>,
    /// `HOST:PORT,…` of brokers to use, whose topics `nakku-bench-…` are made and removed. Three throw-away ones are
    /// started where they are not given.
    pub kafka_brokers: Option<String>,
    /// The program itself.
    pub executable: PathBuf,
    /// The program that is started as `nakku node`: this one, or another version to compare with.
    pub node_executable: PathBuf,
    /// Whether the report is printed as JSON.
    pub json: bool,
}

impl BenchArguments {
    /// The defaults of a scenario.
    pub fn new(scenario: Scenario, executable: PathBuf) -> Self {
        Self {
            scenario,
            duration: Duration::from_secs(3),
            repeats: 5,
            warmup: Duration::from_secs(1),
            database_url: None,
            kafka_brokers: None,
            node_executable: executable.clone(),
            executable,
            json: false,
        }
    }

    /// Reads the flags behind a scenario's name.
    ///
    /// # Errors
    /// [`BenchError::Usage`].
    pub fn parse(scenario: &str, rest: &[String], executable: PathBuf) -> Result<Self, BenchError> {
        let mut arguments = Self::new(scenario.parse()?, executable);
        if arguments.scenario == Scenario::Failover {
            arguments.repeats = KILLS;
        }
        let mut words = rest.iter();
        while let Some(word) = words.next() {
            let (flag, joined) = match word.split_once('=') {
                Some((flag, value)) => (flag, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            let mut value = || {
                let given = joined.clone().or_else(|| words.next().cloned());
                given.ok_or_else(|| BenchError::Usage(format!("{flag} needs a value")))
            };
            match flag {
                "--seconds" => arguments.duration = Duration::from_secs_f64(number(flag, &value()?, 0.1, 3600.0)?),
                "--warmup" => arguments.warmup = Duration::from_secs_f64(number(flag, &value()?, 0.0, 3600.0)?),
                "--repeats" => arguments.repeats = number(flag, &value()?, 1.0, 1000.0)? as u32,
                "--database" => arguments.database_url = Some(value()?),
                "--kafka" => arguments.kafka_brokers = Some(value()?),
                "--node" => arguments.node_executable = PathBuf::from(value()?),
                "--json" => arguments.json = true,
                _ => return Err(BenchError::Usage(format!("bench knows no flag {flag}\n\n{}", usage()))),
            }
        }
        Ok(arguments)
    }
}

/// The help of `nakku bench`.
pub fn usage() -> String {
    let mut text = String::from("usage: nakku bench SCENARIO [FLAGS]\n\nscenarios\n");
    for (_, name, help) in Scenario::ALL {
        let _ = writeln!(text, "  {name:<10} {help}");
    }
    text.push_str(
        "\nflags\n  \
         --seconds N      length of one measurement (3)\n  \
         --repeats N      how often it is repeated (5; 20 kills in failover)\n  \
         --warmup N       seconds before it is measured (1)\n  \
         --database URL   empty mysql:// server to use; a throw-away MariaDB is started where none is given\n  \
         --kafka BROKERS  HOST:PORT,... to use; three throw-away brokers are started where none are given\n  \
         --node FILE      program to start as nakku node; this one where none is given\n  \
         --json           print the report as JSON\n",
    );
    text
}

fn number(flag: &str, text: &str, least: f64, most: f64) -> Result<f64, BenchError> {
    match text.parse::<f64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(BenchError::Usage(format!("{flag} takes a number from {least} to {most}, not {text:?}"))),
    }
}
