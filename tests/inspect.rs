//! The commands that look into a running node and act on it: `nakku nodes`, `shards`, `types`, `top`, `entity`,
//! `history`, `tail`, `passivate` and others, against a real node.

#[path = "../actors/tests/node/mod.rs"]
#[allow(dead_code, reason = "made for the tests of the services")]
mod node;

use std::net::SocketAddr;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use nakku_actors::inventory::{Command, Line, Stock};
use nakku_gateway::{Admin, AdminSettings, Secret};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

const TOKEN: &str = "an admin token that lives for one test only";
const PATIENCE: Duration = Duration::from_secs(10 * node::SLACK as u64);

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_looks_into_a_node_and_acts_on_it() {
    let only = node::start("cli-inspect").await;
    let cluster = only.node.cluster();
    let listen = "127.0.0.1:0".parse().expect("an address");
    let settings = AdminSettings { listen, ..AdminSettings::new(Secret::new(TOKEN)) };
    let admin = nakku_gateway::start_admin(cluster.clone(), settings).await.expect("the admin listener starts");
    let at = admin.local_address();
    for receipt in ["r-1", "r-2"] {
        node::ask::<Stock>(&cluster, &node::key("s-1"), supply(receipt)).await;
    }

    lists(at).await;
    one_entity(at).await;
    tops(at, &cluster).await;
    told_live(at, &cluster).await;
    acts(at, &cluster).await;
    completed(at).await;
    gone(admin, at).await;
    let _ = std::fs::remove_dir_all(only.folder);
}

async fn lists(at: SocketAddr) {
    let nodes = lines(&nakku(at, &["nodes", "--links"]).await);
    assert!(nodes[0].starts_with("cluster cli-inspect, view "), "{nodes:?}");
    assert!(nodes.iter().any(|line| line.contains("only@1") && line.contains("MiB")), "{nodes:?}");
    let nodes = json(&nakku(at, &["nodes", "--json"]).await);
    assert_eq!((&nodes["items"][0]["node"], &nodes["silent"]), (&json!("only@1"), &json!([])), "{nodes}");

    let shards = lines(&nakku(at, &["shards", "--service", "inventory"]).await);
    let expected = format!("0-{}", node::SHARDS - 1);
    assert!(shards.len() == 3 && shards[2].contains(&expected), "{shards:?}");
    let each = lines(&nakku(at, &["shards", "--service", "inventory", "--each"]).await);
    assert_eq!(each.len(), 2 + node::SHARDS as usize, "{each:?}");
    let moves = lines(&nakku(at, &["moves", "--each"]).await);
    assert!(moves.iter().any(|line| line.contains("opened") && line.contains("inventory")), "{moves:?}");

    let types = lines(&nakku(at, &["types", "--kind", "stock"]).await);
    let supplies = ["inventory.stock", "supply", "only@1", "2"];
    assert!(types.iter().any(|line| line.split_whitespace().take(4).eq(supplies)), "{types:?}");
    let tree = lines(&nakku(at, &["tree"]).await);
    assert!(tree.iter().any(|line| line.contains("└─ shards inventory/0-7")), "{tree:?}");

    let unknown = lines(&nakku(at, &["shards", "--service", "nothing"]).await);
    assert_eq!(unknown, ["(none)"]);

    // A reader that goes away ends it; so does Ctrl-C.
    let (mut child, mut watched) = begun(at, &["top", "--watch", "1", "--json"]).await;
    for _ in 0..2 {
        let line = next(&mut watched).await;
        assert!(line.starts_with("{\"by\":\"messages\""), "{line}");
    }
    interrupt(&mut child).await;
}

async fn one_entity(at: SocketAddr) {
    let shown = lines(&nakku(at, &["entity", "stock", "s-1"]).await);
    assert_eq!(shown[0], "inventory.stock/s-1");
    assert!(shown[1].starts_with("loaded on only@1, shard inventory/"), "{shown:?}");
    assert!(shown[2].starts_with("version 2, last journal row "), "{shown:?}");
    assert!(shown.iter().any(|line| line.contains("supply") && line.contains("accepted")), "{shown:?}");
    let past = json(&nakku(at, &["entity", "inventory.stock", "s-1", "--at", "1", "--json"]).await);
    assert_eq!((&past["presence"], &past["version"]), (&json!("past"), &json!(1)));

    let events = lines(&nakku(at, &["history", "stock", "s-1"]).await);
    let heads: Vec<_> = events.iter().filter(|line| !line.starts_with(' ')).collect();
    assert!(heads.len() == 2 && heads[0].starts_with("1  ") && heads[1].starts_with("2  "), "{events:?}");
    assert!(events.iter().any(|line| line.contains("14")), "{events:?}");
    let page = lines(&nakku(at, &["history", "stock", "s-1", "--limit", "1"]).await);
    assert_eq!(page.last().map(String::as_str), Some("more: nakku history inventory.stock s-1 --after 1"));
    let rest = json(&nakku(at, &["history", "stock", "s-1", "--after", "1", "--json"]).await);
    assert_eq!((rest["events"].as_array().map(Vec::len), &rest["more"]), (Some(1), &json!(false)));

    let absent = nakku(at, &["entity", "stock", "s-2"]).await;
    assert_eq!(absent.status.code(), Some(1), "{absent:?}");
    assert!(text(&absent.stderr).contains("there is no inventory.stock/s-2"), "{absent:?}");
    for wrong in [["entity", "rider", "r-1"], ["entity", "frog", "f-1"], ["history", "stock", "a/b"]] {
        let refused = nakku(at, &wrong).await;
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    }
}

async fn tops(at: SocketAddr, cluster: &nakku_cluster::Cluster) {
    // Only every so many are looked at, so that looking costs nothing.
    let mut number = 0;
    let top = loop {
        for _ in 0..20 {
            number += 1;
            node::ask::<Stock>(cluster, &node::key("s-3"), supply(&format!("top-{number}"))).await;
        }
        let top = json(&nakku(at, &["top", "--by", "state", "--json"]).await);
        let found = top["items"].as_array().expect("a list");
        if found.iter().any(|entry| entry["entity"] == "inventory.stock/s-3") {
            break top;
        }
        assert!(number < 2_000, "one of them is sampled: {top}");
    };
    assert_eq!((&top["by"], &top["silent"]), (&json!("state"), &json!([])));
    let top = lines(&nakku(at, &["top", "--by", "state", "--limit", "1"]).await);
    assert!(top.len() == 3 && top[2].contains("B   ") && top[2].ends_with("only@1"), "{top:?}");
}

async fn told_live(at: SocketAddr, cluster: &nakku_cluster::Cluster) {
    let (mut child, mut told) = begun(at, &["tail", "--kind", "stock", "--seconds", "60"]).await;
    // What is asked before the node looks is not told; so it is asked until something is.
    let asking = async {
        for number in 0.. {
            node::ask::<Stock>(cluster, &node::key("s-3"), supply(&format!("live-{number}"))).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let line = tokio::select! {
        line = next(&mut told) => line,
        () = asking => String::new(),
    };
    let words: Vec<&str> = line.split("  ").collect();
    assert_eq!(words[1..4], ["only@1", "inventory.stock/s-3", "supply"], "{line}");
    assert!(words[4].starts_with("accepted in "), "{line}");
    interrupt(&mut child).await;
    let over = nakku(at, &["tail", "--key", "s-9", "--seconds", "1", "--json"]).await;
    assert!(lines(&over).is_empty(), "nobody asks s-9");
}

async fn acts(at: SocketAddr, cluster: &nakku_cluster::Cluster) {
    let why = "--reason=a test";
    assert_eq!(
        lines(&nakku(at, &["passivate", "stock", "s-1", why]).await),
        ["inventory.stock/s-1 has left the memory"]
    );
    let presence = async || json(&nakku(at, &["entity", "stock", "s-1", "--json"]).await)["presence"].clone();
    until("it is out", || async { (presence().await == "passivated").then_some(()) }).await;
    let again = nakku(at, &["passivate", "stock", "s-1", why]).await;
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    assert!(text(&again.stderr).contains("nothing was done"), "{again:?}");
    let fine = nakku(at, &["release", "stock", "s-3", why]).await;
    assert!(fine.status.code() == Some(1) && text(&fine.stderr).contains("is not quarantined"), "{fine:?}");

    node::ask::<Stock>(cluster, &node::key("s-1"), supply("r-3")).await;
    assert_eq!(lines(&nakku(at, &["restart", "stock", "s-1", why]).await), ["inventory.stock/s-1 is read anew"]);
    let matching = ["passivate-matching", "--kind", "stock", "--idle-ms", "0"];
    until("both may leave", || async {
        let counted = json(&nakku(at, &[&matching[..], &["--json"]].concat()).await);
        (counted["entities"] == 2).then_some(())
    })
    .await;
    let counted = lines(&nakku(at, &matching).await);
    assert_eq!(
        counted,
        ["2 entities match and can leave the memory", "nothing was done; --yes --reason REASON does it"]
    );
    let done = lines(&nakku(at, &[&matching[..], &["--yes", why]].concat()).await);
    assert_eq!(done[1], "2 entities have left the memory");
    until("both are out", || async {
        let counted = json(&nakku(at, &[&matching[..], &["--json"]].concat()).await);
        (counted["entities"] == 0).then_some(())
    })
    .await;

    let moved = lines(&nakku(at, &["move", "inventory", "3", "only", why]).await);
    assert!(moved[0].starts_with("inventory/3 goes to only and stays there"), "{moved:?}");
    until("the shard is pinned", || async {
        let shards = lines(&nakku(at, &["shards", "--service", "inventory"]).await);
        shards[2].ends_with("   3").then_some(())
    })
    .await;
    lines(&nakku(at, &["unpin", "inventory", "3", why]).await);
    for wrong in [["move", "inventory", "99", "only", why], ["move", "inventory", "3", "nobody", why]] {
        let refused = nakku(at, &wrong).await;
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    }
    for (wrong, told) in [
        (&["effect", "retry", "stock", "s-1", "verdict", why][..], "nothing is outstanding"),
        (&["effect", "give-up", "stock", "s-1", "verdict:2", why], "no effect verdict:2 of inventory.stock/s-1"),
        (&["reminder", "fire", "stock", "s-1", why], "no reminder of inventory.stock/s-1"),
        (&["profile", "nobody", why], "no node \"nobody\" is in the view"),
        // Only the program itself can.
        (&["profile", "only", "--seconds", "1", why], "can't profile itself"),
    ] {
        let refused = nakku(at, wrong).await;
        assert!(refused.status.code() == Some(1) && text(&refused.stderr).contains(told), "{refused:?}");
    }
    lines(&nakku(at, &["rebalancing", "pause", why]).await);
    lines(&nakku(at, &["rebalancing", "resume", why]).await);
}

async fn completed(at: SocketAddr) {
    for (line, wanted) in
        [("nakku drain o", "only"), ("nakku unpin inv", "inventory"), ("nakku entity order.", "order.order")]
    {
        let words: Vec<&str> = line.split(' ').collect();
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_nakku"));
        command.env("NAKKU_ENDPOINT", format!("http://{at}")).env("NAKKU_TOKEN", TOKEN);
        command.env("_NAKKU_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string());
        let output = command.arg("--").args(&words).output().await.expect("nakku runs");
        assert_eq!(lines(&output), [wanted], "{line}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = lines(&nakku(at, &["completion", shell]).await).join("\n");
        assert!(script.contains("_NAKKU_COMPLETE"), "{script}");
    }
}

/// Once nobody answers, commands fail and say so.
async fn gone(admin: Admin, at: SocketAddr) {
    let refused = tokio::process::Command::new(env!("CARGO_BIN_EXE_nakku"))
        .args(["nodes", "--endpoint", &format!("http://{at}"), "--token", "another token than the right one"])
        .output()
        .await
        .expect("nakku runs");
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(text(&refused.stderr).contains("401"), "{refused:?}");
    admin.drain(Duration::from_secs(5)).await;
    for command in ["nodes", "tail"] {
        let failed = nakku(at, &[command]).await;
        assert_eq!(failed.status.code(), Some(1), "{failed:?}");
        assert!(text(&failed.stderr).contains("nothing answers at"), "{failed:?}");
    }
}

fn supply(receipt: &str) -> Command {
    Command::Supply { receipt: receipt.into(), lines: vec![Line { sku: "p-1".into(), quantity: 7 }] }
}

async fn nakku(at: SocketAddr, arguments: &[&str]) -> Output {
    let run = command(at, arguments).output();
    tokio::time::timeout(PATIENCE, run).await.unwrap_or_else(|_| panic!("{arguments:?} ends")).expect("nakku runs")
}

fn command(at: SocketAddr, arguments: &[&str]) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_nakku"));
    command.args(arguments).env("NAKKU_ENDPOINT", format!("http://{at}")).env("NAKKU_TOKEN", TOKEN);
    command.kill_on_drop(true);
    command
}

/// Starts one that goes on, and what it prints.
async fn begun(at: SocketAddr, arguments: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut child = command(at, arguments).stdout(Stdio::piped()).spawn().expect("nakku runs");
    let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    (child, lines)
}

async fn next(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("a line in time");
    line.expect("it can be read").expect("there is one")
}

/// Ctrl-C is a good end.
async fn interrupt(child: &mut Child) {
    let id = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).expect("it runs");
    kill_process(id, Signal::INT).expect("it is told");
    let ended = tokio::time::timeout(PATIENCE, child.wait()).await.expect("it ends").expect("its status");
    assert_eq!(ended.code(), Some(0));
}

/// Looks until there is what is waited for.
async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn lines(output: &Output) -> Vec<String> {
    assert!(output.status.success(), "{output:?}");
    text(&output.stdout).lines().map(str::to_owned).collect()
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&lines(output).join("\n")).expect("JSON is printed")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}
