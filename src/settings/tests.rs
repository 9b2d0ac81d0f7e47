//! The table, the tree and the committed page agree; each source is read; mistakes are named.

use std::collections::HashSet;
use std::path::Path;

use nakku_cluster::link::LinkCredits;

use super::check::{check, check_node};
use super::print::{EXAMPLE_FILE, lines, page};
use super::table::{TABLE, VARIABLE_PREFIX};
use super::{Layer, Sources};

fn sources() -> Sources {
    Sources::default()
}

fn with_variables(variables: &[(&str, &str)]) -> Sources {
    let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Sources { environment, ..sources() }
}

fn with_file(name: &str, text: &str) -> Sources {
    let file = std::env::temp_dir().join(format!("nakku-settings-{}-{name}.toml", std::process::id()));
    std::fs::write(&file, text).expect("the folder for temporary files takes one");
    Sources { file: Some(file), ..sources() }
}

fn refusal(sources: &Sources) -> String {
    sources.load().expect_err("these settings are wrong").to_string()
}

#[test]
fn the_table_and_the_tree_agree() {
    let loaded = sources().load().expect("the defaults are settings");
    assert_eq!(loaded.values.len(), TABLE.len());
    assert!(loaded.values.values().all(|(_, layer)| *layer == Layer::Default));
    check(&loaded.settings).expect("the defaults fit each other");
}

#[test]
fn links_have_the_credits_of_the_cluster_crate_and_no_impossible_ones() {
    let links = sources().load().expect("the defaults are settings").settings.links;
    let own = LinkCredits { messages: links.credit_messages, bytes: links.credit_bytes };
    assert_eq!(own, LinkCredits::default());
    for (variable, value) in [
        ("NAKKU_LINKS_CREDIT_MESSAGES", "0"),
        ("NAKKU_LINKS_CREDIT_MESSAGES", "16777216"),
        ("NAKKU_LINKS_CREDIT_BYTES", "2097151"),
        ("NAKKU_LINKS_CREDIT_BYTES", "1099511627776"),
    ] {
        let told = refusal(&with_variables(&[(variable, value)]));
        assert!(told.contains(variable) && told.contains("a whole number from"), "{told}");
    }
}

#[test]
fn names_and_variables_are_unique_and_explained() {
    let mut seen = HashSet::new();
    for setting in TABLE {
        assert!(seen.insert(setting.variable()), "{} is there twice", setting.variable());
        assert!(setting.name.matches('.').count() == 1, "{}", setting.name);
        assert!(setting.meaning.ends_with('.'), "{} has no sentence", setting.name);
        for (unit, word) in [("_ms", "milliseconds"), ("_s", "seconds"), ("_bytes_max", "bytes")] {
            assert!(
                !setting.name.ends_with(unit) || setting.meaning.to_lowercase().contains(word),
                "{} lacks its unit",
                setting.name
            );
        }
    }
}

#[test]
fn the_committed_page_is_current() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md");
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == page(),
        "docs/settings.md is old; run: cargo run --release -- config --docs > docs/settings.md"
    );
}

#[test]
fn later_sources_win() {
    let mut all = with_file("win", "[cluster]\nlease_ms = 3000\nrenew_ms = 300\nshards = 8\n");
    all.dev = vec![("cluster.lease_ms", "2500".into()), ("payment.simulated_card", "true".into())];
    all.environment = vec![("NAKKU_CLUSTER_LEASE_MS".into(), "4000".into()), ("HOME".into(), "/".into())];
    all.flags = vec![("cluster.shards".into(), "16".into())];
    let loaded = all.load().expect("all are settings");
    let cluster = &loaded.settings.cluster;
    assert_eq!((cluster.lease_ms, cluster.renew_ms, cluster.shards), (4000, 300, 16));
    assert!(loaded.settings.payment.simulated_card);
    let source = |name: &str| loaded.values[name].1.name();
    let names = ["cluster.lease_ms", "cluster.renew_ms", "cluster.shards", "payment.simulated_card", "node.name"];
    assert_eq!(names.map(source), ["environment", "file", "flag", "dev", "default"]);
}

#[test]
fn an_unknown_name_is_refused_with_the_nearest() {
    let told = refusal(&with_file("unknown", "[cluster]\nleese_ms = 1\n"));
    assert!(told.contains("cluster.leese_ms") && told.contains("did you mean cluster.lease_ms?"), "{told}");
    let told = refusal(&with_variables(&[("NAKKU_CLUSTER_SHARD", "4")]));
    assert!(told.contains("NAKKU_CLUSTER_SHARD,") && told.contains("did you mean NAKKU_CLUSTER_SHARDS?"), "{told}");
    let told = refusal(&Sources { flags: vec![("node.role".into(), "order".into())], ..sources() });
    assert!(told.contains("did you mean node.roles?"), "{told}");
    let told = refusal(&with_file("top", "lease_ms = 1\n"));
    assert!(told.contains("sets lease_ms, which is no setting"), "{told}");
    let told = refusal(&with_variables(&[("NAKKU_NODE_ROLES", "gateway,ordr")]));
    assert!(told.contains("did you mean order?"), "{told}");
}

#[test]
fn wrong_values_are_refused_with_what_is_right() {
    let told = refusal(&with_variables(&[("NAKKU_CLUSTER_SHARDS", "many")]));
    assert!(told.contains("a whole number from 1 to 65536"), "{told}");
    let told = refusal(&with_variables(&[("NAKKU_LISTEN_GATEWAY", "8080")]));
    assert!(told.contains("IP:PORT"), "{told}");
    let told = refusal(&with_variables(&[("NAKKU_DATABASES_DEFAULT", "mysql://u:p@h/db")]));
    assert!(told.contains("without a database name"), "{told}");
    let told = refusal(&with_file("kind", "[payment]\nsimulated_card = \"yes\"\n"));
    assert!(told.contains("true or false"), "{told}");
    let told = refusal(&with_file("toml", "[node]\nname = \n"));
    assert!(told.contains("line 2"), "{told}");
    let missing = Sources { file: Some("no-such-file.toml".into()), ..sources() };
    assert!(refusal(&missing).contains("no-such-file.toml"));
}

#[test]
fn other_variables_of_ours_are_left_alone() {
    let known = with_variables(&[("NAKKU_CONFIG", ""), ("NAKKU_TOKEN", "t"), ("NAKKU_TEST_SEED", "7")]);
    assert!(known.load().is_ok());
    assert_eq!(VARIABLE_PREFIX, "NAKKU_");
}

#[test]
fn secrets_and_passwords_are_masked() {
    let variables = [
        ("NAKKU_AUTH_JWT_SECRET", "4f1c09"),
        ("NAKKU_DATABASES_ORDER", "mysql://nakku:hunter2@a:3306,mysql://nakku@b:3306"),
    ];
    let shown = lines(&with_variables(&variables).load().expect("both are settings"));
    let value = |name: &str| shown.iter().find(|line| line.name == name).expect("it is shown").value.clone();
    assert_eq!(value("auth.jwt_secret"), "********");
    assert_eq!(value("databases.order"), "mysql://nakku:********@a:3306,mysql://nakku@b:3306");
    let all = serde_json::to_string(&shown).expect("lines are JSON");
    assert!(!all.contains("hunter2") && !all.contains("4f1c09"));
}

#[test]
fn a_node_wants_real_secrets_and_protected_links() {
    let strong = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let told = |variables: &[(&str, &str)]| {
        let settings = with_variables(variables).load().expect("they are settings").settings;
        check_node(&settings).map_or_else(|error| error.to_string(), |()| "fit".into())
    };
    let cookie = ("NAKKU_CLUSTER_COOKIE", strong);
    let secret = ("NAKKU_AUTH_JWT_SECRET", strong);
    assert!(told(&[]).contains("cluster.cookie is not set"));
    assert!(told(&[("NAKKU_CLUSTER_COOKIE", "short")]).contains("shorter than 32 bytes"));
    let demo = ("NAKKU_AUTH_JWT_SECRET", "nakku-demo-secret-nakku-demo-secret");
    assert!(told(&[cookie, demo]).contains("auth.jwt_secret is a demo secret"));
    assert!(told(&[cookie, secret]).contains("auth.admin_token is not set"));
    let token = ("NAKKU_AUTH_ADMIN_TOKEN", strong);
    assert!(told(&[cookie, secret, token]).contains("links.tls_cert names no file"));
    let absent = ("NAKKU_LINKS_TLS_CERT", "/nowhere/node.pem");
    assert!(told(&[cookie, secret, token, absent]).contains("there is no such file"));
    assert_eq!(told(&[cookie, secret, token, ("NAKKU_LINKS_TLS", "off")]), "fit");
    let open = ("NAKKU_LISTEN_ADMIN", "0.0.0.0:7947");
    assert!(told(&[cookie, secret, token, open]).contains("admin.behind_tls"));
    let off = ("NAKKU_LINKS_TLS", "off");
    assert_eq!(told(&[cookie, secret, token, off, open, ("NAKKU_ADMIN_BEHIND_TLS", "true")]), "fit");
    let renew = ("NAKKU_CLUSTER_RENEW_MS", "1000");
    assert!(told(&[cookie, secret, token, renew]).contains("must outlast 4 renewals"));
}

#[test]
fn the_example_in_the_page_is_a_file() {
    let loaded = with_file("example", EXAMPLE_FILE).load().expect("the example holds settings only");
    let settings = loaded.settings;
    assert_eq!(settings.own_databases("order").len(), 2);
    assert!(settings.own_databases("cart").is_empty());
    assert_eq!(settings.default_databases(), settings.databases.default);
    assert_eq!(settings.cluster_database(), settings.databases.default[0]);
    assert_eq!(settings.advertised().as_deref(), Some("10.0.0.2:7946"));
}

#[test]
fn a_secret_may_stand_in_a_file() {
    let file = |name: &str, text: &str| {
        let file = std::env::temp_dir().join(format!("nakku-secret-{}-{name}", std::process::id()));
        std::fs::write(&file, text).expect("the folder for temporary files takes one");
        file.display().to_string()
    };
    let (secret, password) = (file("secret", "a b\tc=d\n"), file("password", "p@ss/w:rd\r\n"));
    let urls = file("urls", "mysql://nakku:own@a:3306,mysql://nakku@b:3306\n");
    let all = with_variables(&[
        ("NAKKU_AUTH_JWT_SECRET_FILE", &secret),
        ("NAKKU_AUTH_JWT_SECRET", ""),
        ("NAKKU_DATABASES_PASSWORD_FILE", &password),
        ("NAKKU_DATABASES_ORDER_FILE", &urls),
        ("NAKKU_DATABASES_DEFAULT", "mysql://nakku@c:3306?ssl-mode=VERIFY_CA,mysql://d:3306,sqlite:here.db"),
    ]);
    let loaded = all.load().expect("all are settings");
    assert_eq!(loaded.settings.auth.jwt_secret, "a b\tc=d");
    let filled = "mysql://nakku:p%40ss%2Fw%3Ard@";
    let expected = [format!("{filled}c:3306?ssl-mode=VERIFY_CA"), "mysql://d:3306".into(), "sqlite:here.db".into()];
    assert_eq!(loaded.settings.databases.default, expected);
    assert_eq!(loaded.settings.databases.order, ["mysql://nakku:own@a:3306".to_owned(), format!("{filled}b:3306")]);
    let shown = lines(&loaded).into_iter().find(|line| line.name == "auth.jwt_secret").expect("it is shown");
    assert_eq!((shown.value.as_str(), shown.source), ("********", "secret file"));
    assert_eq!(shown.set_by.as_deref(), Some("NAKKU_AUTH_JWT_SECRET_FILE"));

    let told = refusal(&with_variables(&[("NAKKU_AUTH_JWT_SECRET_FILE", &secret), ("NAKKU_AUTH_JWT_SECRET", "x")]));
    assert_eq!(told, "NAKKU_AUTH_JWT_SECRET and NAKKU_AUTH_JWT_SECRET_FILE are both set; unset one of them");
    let mut absent = with_variables(&[("NAKKU_CLUSTER_COOKIE_FILE", "/nowhere/cookie")]);
    let told = refusal(&absent);
    assert!(told.starts_with("NAKKU_CLUSTER_COOKIE_FILE names /nowhere/cookie, which can't be read"), "{told}");
    absent.without_secrets = true;
    assert_eq!(absent.load().expect("it is not read").settings.cluster.cookie, "");
    let told = refusal(&with_variables(&[("NAKKU_CLUSTER_COOKIE_FILE", &file("empty", "\n"))]));
    assert!(told.contains("it is empty"), "{told}");
    let told = refusal(&with_variables(&[("NAKKU_NODE_NAME_FILE", &secret)]));
    assert!(told.contains("only secrets are read from files, set NAKKU_NODE_NAME"), "{told}");
    let told = refusal(&with_variables(&[("NAKKU_AUTH_JWT_SECRT_FILE", &secret)]));
    assert!(told.contains("did you mean NAKKU_AUTH_JWT_SECRET_FILE?"), "{told}");
}

#[test]
fn demo_passwords_are_refused_wherever_they_stand() {
    let strong = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let fit = ["CLUSTER_COOKIE", "AUTH_JWT_SECRET", "AUTH_ADMIN_TOKEN"].map(|name| (format!("NAKKU_{name}"), strong));
    let told = |name: &str, value: &str| {
        let own = format!("NAKKU_{}", name.replace('.', "_").to_uppercase());
        let off = ("NAKKU_LINKS_TLS".to_owned(), "off");
        // Replicas want the primaries that they are of.
        let primary = own.strip_suffix("_REPLICAS").map(|primary| match primary {
            "NAKKU_DATABASES" => "NAKKU_DATABASES_DEFAULT".to_owned(),
            service => service.to_owned(),
        });
        let primary = primary.map(|name| (name, "mysql://nakku@b:3306"));
        let others = fit.iter().filter(|(name, _)| *name != own).cloned();
        let all = others.chain([off, (own.clone(), value)]).chain(primary);
        let environment = all.map(|(name, value)| (name, value.to_owned())).collect();
        let settings = Sources { environment, ..sources() }.load().expect("they are settings").settings;
        check_node(&settings).map_or_else(|error| error.to_string(), |()| "fit".into())
    };
    assert_eq!(told("databases.password", strong), "fit");
    // Whatever is secret, with a value that only an example has.
    for setting in TABLE.iter().filter(|setting| setting.kind.holds_secret()) {
        let value = match setting.name {
            "redis.url" => "rediss://nakku:change-me@a:6379",
            "notification.smtp_url" => "smtps://shop:change-me@mail:465",
            name if name == "databases.password" || !name.starts_with("databases.") => {
                "change-me-change-me-change-me-change-me"
            }
            _ => "mysql://nakku:change-me@a:3306",
        };
        let told = told(setting.name, value);
        assert!(told.contains(setting.name) && told.contains("demo secret"), "{}: {told}", setting.name);
    }
}
