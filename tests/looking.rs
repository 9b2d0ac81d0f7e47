//! What only a cluster of several nodes can show: the path of a checkout over them, why shards go from one to another,
//! and a node that is drained.

#[path = "support/dev.rs"]
#[allow(dead_code, reason = "made for all tests that look at such a cluster")]
mod dev;

use std::collections::{BTreeSet, HashMap};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use self::dev::Dev;

/// Five times what an order takes on a busy machine, or a drain.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// So many orders at most are placed until one goes over several nodes: each third customer lives on the first.
const ORDERS_MAX: usize = 12;
/// Clocks are read one after the other.
const CLOCK_SLACK_US: i64 = 1_000;

#[test]
fn a_checkout_is_followed_over_nodes_and_moves_have_causes() {
    let dev = Dev::start("looking");
    let path = (0..ORDERS_MAX).map(|_| checkout(&dev)).find(|path| nodes_of(path).len() > 1);
    let path = path.expect("a checkout goes over more than one node");
    nests(&path);

    let drain = dev.nakku(&["drain", "node-3", "--reason", "a test"]).status().expect("the program starts");
    assert!(drain.success());
    let drained = |nodes: &Value| state(nodes, "node-3") == "drained" && serving(nodes, "node-3") == 0;
    until(&dev, "node-3 is drained", &["nodes", "--json"], drained);
    let opened_because = |moves: &Value, cause: &str| {
        let items = moves["items"].as_array().cloned().unwrap_or_default();
        items.iter().any(|one| {
            let other = one["other"].as_str().unwrap_or_default();
            one["what"] == "opened" && one["cause"] == cause && other.starts_with("node-3@")
        })
    };
    until(&dev, "shards have come because of it", &["moves", "--json"], |moves| opened_because(moves, "drain"));
    let undrain = dev.nakku(&["undrain", "node-3", "--reason", "a test"]).status().expect("the program starts");
    assert!(undrain.success());
    until(&dev, "node-3 serves again", &["nodes", "--json"], |nodes| {
        state(nodes, "node-3") == "up" && serving(nodes, "node-3") > 0
    });
    dev.kill("node-3");
    until(&dev, "shards have come because it died", &["moves", "--json"], |moves| opened_because(moves, "death"));
    // A path is shown without it, and says so as long as it is looked for.
    let trace = path["trace"].as_str().expect("an id");
    until(&dev, "the path is still there", &["trace", trace, "--json"], |path| path["items"].is_array());
}

/// An order, and its path from the order's placement on, once all of it is known.
fn checkout(dev: &Dev) -> Value {
    let order = dev.nakku(&["order"]).stdout(Stdio::piped()).output().expect("the program starts");
    assert!(order.status.success(), "an order goes through");
    let said = String::from_utf8_lossy(&order.stdout);
    let ids = said.split("\"id\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    let id = ids.into_iter().find(|id| id.contains(".o-")).expect("an order has an id").to_owned();
    let placed = |history: &Value| history["events"][0]["trace"].as_str().is_some_and(|trace| !trace.is_empty());
    let history = until(dev, "its placement is known", &["history", "order.order", &id, "--json"], placed);
    let trace = history["events"][0]["trace"].as_str().expect("it is there").to_owned();
    let whole = |path: &Value| {
        let names: BTreeSet<&str> = items(path).iter().filter_map(|hop| hop["name"].as_str()).collect();
        let touched = |kind: &str| names.iter().any(|name| name.starts_with(kind));
        ["order.order/", "cart.cart/", "inventory.stock/", "payment.payment/"].iter().all(|kind| touched(kind))
            && items(path).iter().all(|hop| hop["detached"] == false)
    };
    until(dev, "the whole path is known", &["trace", &trace, "--json"], whole)
}

/// Whatever waits for something else takes longer than that, and begins before it.
fn nests(path: &Value) {
    let known: HashMap<&str, &Value> = items(path).iter().map(|hop| (hop["span"].as_str().unwrap(), hop)).collect();
    assert_eq!(items(path)[0]["what"], "request", "{path}");
    assert_eq!(items(path)[0]["name"], "POST /api/v1/orders", "{path}");
    let whats: BTreeSet<&str> = items(path).iter().filter_map(|hop| hop["what"].as_str()).collect();
    for what in ["request", "ask", "link", "decide", "commit", "effect"] {
        assert!(whats.contains(what), "{what} is not in {whats:?}");
    }
    let mut waited_for = 0;
    for hop in items(path) {
        let Some(parent) = known.get(hop["parent"].as_str().unwrap_or_default()) else { continue };
        let begin = |hop: &Value| hop["began_at_us"].as_i64().expect("a time");
        let end = |hop: &Value| begin(hop) + hop["took_us"].as_i64().expect("a time");
        assert!(begin(hop) + CLOCK_SLACK_US >= begin(parent), "{hop} begins before {parent}");
        // A commit goes on behind its decision, and what follows from it behind the commit.
        let is_waited_for = matches!(
            (parent["what"].as_str(), hop["what"].as_str()),
            (Some("request" | "effect"), Some("ask" | "provider"))
                | (Some("ask"), Some("link" | "decide"))
                | (Some("link"), Some("decide"))
        );
        if is_waited_for {
            waited_for += 1;
            assert!(end(hop) <= end(parent) + CLOCK_SLACK_US, "{hop} ends after {parent}");
        }
    }
    assert!(waited_for >= 6, "{path}");
    let decided = items(path).iter().filter(|hop| hop["what"] == "decide" && hop["details"]["queued_us"].is_string());
    assert!(decided.count() > 0, "{path}");
}

/// Asks again and again until the answer is as it should be.
#[track_caller]
fn until(dev: &Dev, what: &str, arguments: &[&str], is_so: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let output = dev.nakku(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).output().expect("it starts");
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        if is_so(&answer) {
            return answer;
        }
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(Instant::now() < deadline, "not so after {PATIENCE:?}: {what}; {said}\n{answer:#}");
        std::thread::sleep(LOOK_EVERY);
    }
}

fn items(answer: &Value) -> &[Value] {
    answer["items"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn nodes_of(path: &Value) -> BTreeSet<&str> {
    items(path).iter().filter_map(|hop| hop["node"].as_str()).collect()
}

/// The state of a node as the first one that answers has it.
fn state<'a>(nodes: &'a Value, name: &str) -> &'a str {
    let members = nodes["items"][0]["status"]["nodes"].as_array();
    let own = members.into_iter().flatten().find(|member| member["name"] == name);
    own.and_then(|member| member["state"].as_str()).unwrap_or_default()
}

/// Shards that a node serves, as it says itself.
fn serving(nodes: &Value, name: &str) -> u64 {
    let own = items(nodes).iter().find(|node| node["node"].as_str().is_some_and(|node| node.starts_with(name)));
    let services = own.and_then(|node| node["status"]["services"].as_array());
    services.into_iter().flatten().filter_map(|service| service["serving_here"].as_u64()).sum()
}
