//! The command line is consistent in itself, and its flags are settings.

use clap::{CommandFactory, Parser};

use super::arguments::{Arguments, Command};
use super::outcome::Wrong;
use super::status::own_endpoint;
use crate::settings::Sources;

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

#[test]
fn secrets_are_not_given_by_flags() {
    let refused = |set: &str| {
        let arguments = Arguments::try_parse_from(["nakku", "config", "--set", set]).expect("it is a command");
        let Command::Config(config) = arguments.command else { panic!("another command") };
        config.settings.sources(Vec::new()).err().map(|wrong| format!("{wrong:?}"))
    };
    for set in [
        "auth.jwt_secret=abc",
        "databases.order=mysql://a@b:1,mysql://nakku:hunter2@c:3306",
        "redis.url=redis://:hunter2@c:6379",
        "databases.password=hunter2",
    ] {
        let told = refused(set).expect(set);
        let variable = format!("NAKKU_{}", set.split('=').next().expect("a name").replace('.', "_").to_uppercase());
        assert!(told.contains(&format!("set {variable}, or name a file by {variable}_FILE")), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
    for set in ["databases.default=mysql://root@127.0.0.1:3306", "redis.url=redis://c:6379", "auth.jwt_secret="] {
        assert_eq!(refused(set), None, "{set}");
    }
}

#[test]
fn a_node_is_asked_where_its_settings_have_it() {
    let endpoint = |flags: &[(&str, &str)]| {
        let flags = flags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let settings = Sources { flags, ..Sources::default() }.load().expect("they are settings").settings;
        own_endpoint(&settings).map_err(|wrong| format!("{wrong:?}"))
    };
    assert_eq!(endpoint(&[]).as_deref(), Ok("http://127.0.0.1:8080"));
    assert_eq!(endpoint(&[("listen.gateway", "10.1.2.3:9000")]).as_deref(), Ok("http://10.1.2.3:9000"));
    assert_eq!(endpoint(&[("node.roles", "order,cart")]).as_deref(), Ok("http://127.0.0.1:8084"));
    let at = [("node.roles", "cart"), ("service_ports.host", "10.1.2.3"), ("service_ports.cart", "9085")];
    assert_eq!(endpoint(&at).as_deref(), Ok("http://10.1.2.3:9085"));
    let anywhere = endpoint(&[("node.roles", "cart"), ("service_ports.cart", "0")]).expect_err("nobody knows it");
    assert!(anywhere.contains("--endpoint URL"), "{anywhere}");
}
