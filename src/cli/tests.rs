//! The command line is consistent in itself, and its flags are settings.

use clap::{CommandFactory, Parser};

use super::arguments::{Arguments, Command};
use super::outcome::Wrong;

fn parsed(line: &str) -> Result<Command, clap::Error> {
    Arguments::try_parse_from(line.split_whitespace()).map(|arguments| arguments.command)
}

#[test]
fn commands_and_flags_fit_together() {
    Arguments::command().debug_assert();
}

#[test]
fn wrong_use_is_refused() {
    for line in ["nakku", "nakku frobnicate", "nakku dev --nodes 0", "nakku user create --role boss --email a@b.c"] {
        let error = parsed(line).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
    }
    assert_eq!(parsed("nakku --version").expect_err("it is printed").exit_code(), 0);
}

#[test]
fn flags_of_a_node_are_settings() {
    let line = "nakku node --seed a:1 --seed b:2 --roles gateway,order --name node-7 --set cluster.shards=8";
    let Command::Node(node) = parsed(line).expect("it is a command") else { panic!("another command") };
    let mut sources = node.settings.sources(node.flags()).expect("all flags set something");
    sources.environment.clear();
    let settings = sources.load().expect("all flags are settings").settings;
    assert_eq!(settings.node.seed, ["a:1", "b:2"]);
    assert_eq!(settings.roles(), ["gateway", "order"]);
    assert_eq!((settings.node_name().as_str(), settings.cluster.shards), ("node-7", 8));
}

#[test]
fn a_set_without_a_value_is_wrong_use() {
    let Command::Config(config) = parsed("nakku config --set cluster.shards").expect("it is a command") else {
        panic!("another command")
    };
    let wrong = config.settings.sources(Vec::new()).expect_err("nothing is set");
    assert!(matches!(wrong, Wrong::Usage(message) if message.contains("--set NAME=VALUE")));
}

#[test]
fn flags_behind_a_scenario_are_its_own() {
    let Command::Bench(bench) = parsed("nakku bench journal --seconds 1 --json").expect("it is a command") else {
        panic!("another command")
    };
    assert_eq!(bench.scenario.as_deref(), Some("journal"));
    assert_eq!(bench.rest, ["--seconds", "1", "--json"]);
}
