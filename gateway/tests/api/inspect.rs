//! What an operator sees of nodes, shards and entities, and what they may do, over HTTP.

use std::time::Duration;

use nakku_gateway::Admin;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ADMIN_TOKEN, Answer, PATIENCE, Shop, eventually, fresh_key, on_shop};

async fn ask(admin: &Admin, method: Method, path: &str, body: Option<Value>) -> Answer {
    let url = format!("http://{}/admin/v1{path}", admin.local_address());
    let request = reqwest::Client::new().request(method, url).bearer_auth(ADMIN_TOKEN);
    Answer::to(match body {
        Some(body) => request.json(&body),
        None => request,
    })
    .await
}

async fn get(admin: &Admin, path: &str) -> Value {
    ask(admin, Method::GET, path, None).await.expect(200).body
}

async fn post(admin: &Admin, path: &str, body: Value) -> Answer {
    ask(admin, Method::POST, path, Some(body)).await
}

fn items(body: &Value) -> &Vec<Value> {
    body["items"].as_array().expect("a list")
}

/// A confirmed order of a customer of its own: their id and the order's.
async fn ordered(shop: &'static Shop) -> (String, String) {
    let customer = shop.customer().await;
    let sku = shop.product(5, 4_200).await;
    customer.put_in(&sku, 1).await;
    let body = json!({ "payment": { "method": "card", "token": "card_approve" }, "address": "12 Hill Road" });
    let order = customer.check_out(&fresh_key(), &body).await.expect(201).body;
    let user = customer.get("/users/me").await.expect(200).body["id"].as_str().unwrap().to_owned();
    (user, order["id"].as_str().unwrap().to_owned())
}

#[test]
fn nodes_shards_types_and_the_tree_are_of_the_whole_cluster() {
    on_shop(async |shop| {
        let admin = shop.admin().await;
        ordered(shop).await;
        let nodes = get(&admin, "/nodes").await;
        let node = &items(&nodes)[0];
        assert!(node["node"].as_str().unwrap().starts_with("only@"), "{node}");
        assert_eq!((&node["lease_valid"], &node["ready"], &nodes["silent"]), (&json!(true), &json!(true), &json!([])));
        assert!(node["memory_bytes"].as_u64().unwrap() > 1 << 20 && node["loaded"].as_u64().unwrap() > 0);

        let shards = get(&admin, "/shards?service=order").await;
        assert!(items(&shards).iter().all(|shard| shard["service"] == "order"), "{shards}");
        assert!(
            items(&shards).iter().any(|shard| shard["commands"].as_u64() > Some(0) && shard["seq"].as_u64() > Some(1))
        );

        let types = get(&admin, "/types?kind=order.order").await;
        let commands = items(&types)[0]["commands"].as_array().unwrap();
        let place = commands.iter().find(|command| command["command"] == "place").expect("orders are placed");
        assert!(
            place["outcomes"]["accepted"].as_u64() > Some(0) && place["p99_us"].as_u64() >= place["p50_us"].as_u64()
        );

        let tree = get(&admin, "/tree").await;
        let regions = items(&tree)[0]["children"].as_array().unwrap();
        let region = regions.iter().find(|region| region["name"] == "region order").expect("a region");
        assert_eq!(region["children"].as_array().unwrap().len(), items(&shards).len());

        for (name, least) in [("gateway 127.0.0.1:", 0), ("journals", 1), ("consumers", 1)] {
            let branch = regions.iter().find(|branch| branch["name"].as_str().unwrap().starts_with(name));
            let branch = branch.unwrap_or_else(|| panic!("{name} is not in {tree}"));
            assert!(branch["children"].as_array().unwrap().len() >= least, "{branch}");
        }

        let moves = get(&admin, "/moves").await;
        let came = |one: &&Value| one["what"] == "opened" && one["cause"] == "join" && one["node"].as_str().is_some();
        assert!(items(&moves).iter().any(|one| came(&one)), "{moves}");
        assert!(node["admin"].as_str().is_some_and(|admin| admin.starts_with("127.0.0.1:")), "{node}");
        eventually("a point is taken", async || {
            let points = get(&admin, "/points").await;
            (!items(&points)[0]["points"].as_array()?.is_empty()).then_some(())
        })
        .await;
    });
}

#[test]
fn what_works_behind_the_shards_is_shown() {
    on_shop(async |shop| {
        let admin = shop.admin().await;
        ordered(shop).await;
        eventually("what was committed is counted and published", async || {
            let shards = get(&admin, "/shards?service=order").await;
            let busy = items(&shards).iter().find(|shard| shard["commits"]["commits"].as_u64() > Some(0))?;
            let took = busy["commits"]["p99_us"].as_u64() >= busy["commits"]["p50_us"].as_u64();
            assert!(took && busy["hot"].is_boolean(), "{busy}");
            let published =
                items(&shards).iter().all(|shard| shard["unpublished"] == 0 && shard["unpublished_ms"] == 0);
            published.then_some(())
        })
        .await;
        let all = get(&admin, "/infrastructure").await;
        let own = &items(&all)[0];
        assert_eq!(&own["node"], &items(&get(&admin, "/nodes").await)[0]["node"]);
        let writers = own["writers"].as_array().unwrap();
        assert!(writers.iter().any(|writer| writer["commits"]["commits"].as_u64() > Some(0)), "{own}");
        assert!(writers.iter().all(|writer| writer["queue_max"].as_u64() > Some(0)), "{own}");
        let store = &own["stores"][0];
        assert!(store["up"] == true && store["incarnations"]["order"].as_u64() >= Some(1), "{store}");
        let order = own["publishers"].as_array().unwrap().iter().find(|one| one["service"] == "order");
        assert!(
            order.is_some_and(|order| order["published"].as_u64() > Some(0) && order["trouble"].is_null()),
            "{own}"
        );
        let groups = own["consumers"].as_array().unwrap();
        assert!(
            groups.iter().any(|one| one["group"] == "nakku-analytics" && one["consumed"].as_u64() > Some(0)),
            "{own}"
        );
        let watched = ask(&admin, Method::GET, "/watch?view=none", None).await.expect(422);
        assert!(watched.body["detail"].as_str().unwrap().contains("infrastructure"), "{}", watched.body);
    });
}

#[test]
fn the_path_of_a_request_is_found_by_its_trace() {
    on_shop(async |shop| {
        let admin = shop.admin().await;
        let (_, order) = ordered(shop).await;
        let history = get(&admin, &format!("/entities/order.order/{order}/history")).await;
        let trace = history["events"][0]["trace"].as_str().expect("an order has a trace").to_owned();
        let path = eventually("its effects are known", async || {
            let path = get(&admin, &format!("/traces/{}", trace.to_uppercase())).await;
            let whats: Vec<_> = items(&path).iter().map(|hop| hop["what"].as_str().unwrap().to_owned()).collect();
            ["ask", "decide", "commit", "effect", "provider"]
                .iter()
                .all(|what| whats.iter().any(|one| one == what))
                .then_some(path)
        })
        .await;
        let first = &items(&path)[0];
        assert_eq!((&first["what"], &first["name"]), (&json!("request"), &json!("POST /api/v1/orders")), "{path}");
        assert_eq!((&first["depth"], &first["details"]["status"]), (&json!(0), &json!("201")), "{path}");
        assert_eq!((&items(&path)[1]["depth"], &path["silent"]), (&json!(1), &json!([])), "{path}");
        let decided = items(&path).iter().find(|hop| hop["details"]["command"] == "place").expect("it was placed");
        assert_eq!(
            (&decided["details"]["outcome"], &decided["name"]),
            (&json!("accepted"), &json!(format!("order.order/{order}")))
        );

        ask(&admin, Method::GET, "/traces/xyz", None).await.expect(422).problem("invalid_value");
        let unknown = format!("/traces/{:032x}", 7);
        ask(&admin, Method::GET, &unknown, None).await.expect(404).problem("not_found");
    });
}

#[test]
fn an_entity_is_shown_with_its_history_and_its_past() {
    on_shop(async |shop| {
        let admin = shop.admin().await;
        let (_, order) = ordered(shop).await;
        let path = format!("/entities/order.order/{order}");
        let shown = get(&admin, &path).await;
        assert_eq!((&shown["presence"], &shown["kind"]), (&json!("loaded"), &json!("order.order")));
        assert_eq!(shown["state"]["head"]["terms"]["address"], "•••", "{shown}");
        assert!(shown["masked"].as_array().unwrap().contains(&json!("address")));
        assert!(shown["recent"].as_array().is_some_and(|recent| !recent.is_empty()), "{shown}");

        let history = get(&admin, &format!("{path}/history")).await;
        let events = history["events"].as_array().unwrap();
        assert_eq!((&events[0]["version"], &history["incomplete"]), (&json!(1), &Value::Null), "{history}");
        assert!(events.iter().all(|event| !event["changes"].as_array().unwrap().is_empty()), "{history}");
        assert!(!history.to_string().contains("Hill Road"));
        let status = events.iter().flat_map(|event| event["changes"].as_array().unwrap());
        let status: Vec<_> = status.filter(|change| change["path"] == "/head/status").collect();
        assert!(!status.is_empty(), "{history}");
        let behind = get(&admin, &format!("{path}/history?after=1&limit=1")).await;
        assert_eq!((&behind["events"][0]["version"], &behind["more"]), (&json!(2), &json!(true)));
        assert_eq!(behind["events"][0]["changes"], events[1]["changes"]);

        let first = get(&admin, &format!("{path}?version=1")).await;
        assert_eq!((&first["presence"], &first["version"]), (&json!("past"), &json!(1)));
        assert!(first["state_bytes"].as_u64() > Some(100), "{first}");
        ask(&admin, Method::GET, &format!("{path}?version=9999"), None).await.expect(404).problem("not_found");
    });
}

#[test]
fn personal_data_is_shown_for_a_reason_only() {
    on_shop(async |shop| {
        let admin = shop.admin().await;
        let customer = shop.customer().await;
        let me = customer.get("/users/me").await.expect(200).body;
        let path = format!("/entities/user.user/{}", me["id"].as_str().unwrap());
        let email = me["email"].as_str().unwrap();
        for path in [path.clone(), format!("{path}/history"), format!("{path}?version=1")] {
            let shown = get(&admin, &path).await.to_string();
            assert!(!shown.contains(email) && !shown.contains("$argon2"), "{shown}");
        }
        ask(&admin, Method::GET, &format!("{path}?reveal="), None).await.expect(422).problem("missing_field");
        let shown = get(&admin, &format!("{path}?reveal=ticket%2017")).await;
        assert_eq!(
            (&shown["state"]["head"]["email"], &shown["masked"]),
            (&json!(email), &json!(["password", "current"]))
        );
        assert!(!shown.to_string().contains("$argon2"), "a secret is never shown: {shown}");
    });
}

#[test]
fn a_passivated_entity_is_shown_without_waking_it() {
    on_shop(async |shop| {
        let admin = shop.admin().await;
        let (user, _) = ordered(shop).await;
        let path = format!("/entities/cart.cart/{user}");
        let because = json!({ "reason": "a test" });
        post(&admin, &format!("{path}/passivate"), json!({})).await.expect(422).problem("missing_field");
        post(&admin, &format!("{path}/explode"), because.clone()).await.expect(404);
        eventually("it leaves the memory", async || {
            post(&admin, &format!("{path}/passivate"), because.clone()).await.expect(200);
            (get(&admin, &path).await["presence"] == "passivated").then_some(())
        })
        .await;
        let first = get(&admin, &path).await;
        assert_eq!(post(&admin, &format!("{path}/passivate"), because.clone()).await.expect(200).body["entities"], 0);
        tokio::time::sleep(Duration::from_millis(100)).await;
        let second = get(&admin, &path).await;
        assert_eq!((&first["presence"], &second["presence"]), (&json!("passivated"), &json!("passivated")));
        assert_eq!(first["state"], second["state"]);

        // Restarting drops the memory and reads it anew; nothing is lost.
        let (user, order) = ordered(shop).await;
        let path = format!("/entities/order.order/{order}");
        let before = get(&admin, &path).await;
        assert_eq!(post(&admin, &format!("{path}/restart"), because.clone()).await.expect(200).body["entities"], 1);
        let after = get(&admin, &path).await;
        assert_eq!((&before["state"]["head"]["terms"], &user), (&after["state"]["head"]["terms"], &user));
        let release = post(&admin, &format!("{path}/release"), because).await.expect(200).body;
        assert_eq!(release["entities"], 0, "it was not set aside");
    });
}

#[test]
fn what_matches_is_counted_before_it_leaves() {
    on_shop(async |shop| {
        let admin = shop.admin().await;
        let (user, _) = ordered(shop).await;
        let matching = |reason: &str, dry_run: bool| json!({ "reason": reason, "kind": "cart.cart", "idle_ms": 0, "dry_run": dry_run });
        let counted = post(&admin, "/entities/passivate", matching("", true)).await.expect(200).body;
        assert!(counted["entities"].as_u64() > Some(0), "{counted}");
        post(&admin, "/entities/passivate", matching("", false)).await.expect(422).problem("missing_field");
        post(&admin, "/entities/passivate", matching("a test", false)).await.expect(200);
        eventually("the cart has left", async || {
            let path = format!("/entities/cart.cart/{user}");
            (get(&admin, &path).await["presence"] == "passivated").then_some(())
        })
        .await;
    });
}

#[test]
fn commands_are_told_as_they_are_answered() {
    on_shop(async |shop| {
        let admin = shop.admin().await;
        let (user, _) = ordered(shop).await;
        let url = format!("http://{}/admin/v1/tail?kind=cart.cart&key={user}&seconds=60", admin.local_address());
        let mut told = reqwest::Client::new().get(url).bearer_auth(ADMIN_TOKEN).send().await.unwrap();
        assert_eq!(told.status(), 200);
        // Whatever is asked before the first look is not told, so it is asked until it is.
        let asking = async {
            loop {
                let target = nakku_cluster::Cluster::reference::<nakku_actors::cart::Cart>(&user).unwrap();
                let ask = nakku_cluster::Ask::within(PATIENCE);
                shop.node.cluster().ask(&target, &nakku_actors::cart::Command::Get, ask).await.unwrap();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let reading = async {
            let mut text = String::new();
            while let Some(chunk) = told.chunk().await.unwrap() {
                text.push_str(&String::from_utf8_lossy(&chunk));
                if text.contains("event: command") && text.contains("\n\n") {
                    return text;
                }
            }
            panic!("the stream ended: {text}");
        };
        let text = tokio::select! {
            text = tokio::time::timeout(PATIENCE, reading) => text.expect("commands are told"),
            () = asking => unreachable!("it never ends"),
        };
        assert!(text.contains(&format!("cart.cart/{user}")) && text.contains("\"command\":\"get\""), "{text}");
        ask(&admin, Method::GET, "/tail?seconds=0", None).await.expect(422).problem("invalid_value");

        let top = get(&admin, "/top?by=messages&limit=5").await;
        assert!(items(&top).len() <= 5 && top["by"] == "messages", "{top}");
        let mut view = reqwest::Client::new()
            .get(format!("http://{}/admin/v1/watch?view=nodes", admin.local_address()))
            .bearer_auth(ADMIN_TOKEN)
            .send()
            .await
            .unwrap();
        let first = tokio::time::timeout(PATIENCE, view.chunk()).await.expect("it is shown at once").unwrap().unwrap();
        assert!(String::from_utf8_lossy(&first).starts_with("event: view"));
        ask(&admin, Method::GET, "/watch?view=none", None).await.expect(422).problem("invalid_value");
    });
}

#[test]
fn who_reads_too_slowly_is_told_how_much_was_missed() {
    on_shop(async |shop| {
        let admin = shop.admin().await;
        let url = format!("http://{}/admin/v1/tail?seconds=600", admin.local_address());
        let mut told = reqwest::Client::new().get(url).bearer_auth(ADMIN_TOKEN).send().await.unwrap();
        // More than are handed out, until what is kept for that is full.
        let asking = async {
            let target = nakku_cluster::Cluster::reference::<nakku_actors::cart::Cart>("u-hasty").unwrap();
            loop {
                let get = nakku_actors::cart::Command::Get;
                let asks = (0..64).map(|_| {
                    let ask = nakku_cluster::Ask::within(PATIENCE);
                    let (cluster, target, get) = (shop.node.cluster(), &target, &get);
                    async move { cluster.ask(target, get, ask).await.map(drop) }
                });
                // A refusal because of too many is fine here.
                futures::future::join_all(asks).await;
            }
        };
        let reading = async {
            let mut text = String::new();
            while let Some(chunk) = told.chunk().await.unwrap() {
                text.push_str(&String::from_utf8_lossy(&chunk));
                if let Some((_, missed)) = text.split_once("event: missed\ndata: ")
                    && let Some((missed, _)) = missed.split_once('\n')
                {
                    return serde_json::from_str::<Value>(missed).expect("JSON");
                }
                let kept = text.rfind("\n\n").map_or(0, |end| end + 2);
                text.drain(..kept);
            }
            panic!("the stream ended: {text}");
        };
        let missed = tokio::select! {
            missed = tokio::time::timeout(PATIENCE * 3, reading) => missed.expect("it is told"),
            () = asking => unreachable!("it never ends"),
        };
        assert!(
            missed["count"].as_u64() > Some(0) && missed["node"].as_str().unwrap().starts_with("only@"),
            "{missed}"
        );
        admin.drain(Duration::from_millis(100)).await;
    });
}

#[test]
fn what_is_not_there_is_said_clearly() {
    on_shop(async |shop| {
        let admin = shop.admin().await;
        ask(&admin, Method::GET, "/entities/cart.cart/u-nobody", None).await.expect(404).problem("not_found");
        ask(&admin, Method::GET, "/entities/cart.none/u-1", None).await.expect(422).problem("invalid_value");
        ask(&admin, Method::GET, "/entities/cart.cart/%21", None).await.expect(422);
        ask(&admin, Method::GET, "/top?by=beauty", None).await.expect(422);
        let because = |node: &str| json!({ "reason": "a test", "node": node });
        for (path, body) in [
            ("/shards/order/0/move", because("nobody")),
            ("/shards/order/9999/move", because("only")),
            ("/shards/none/0/move", because("only")),
        ] {
            post(&admin, path, body).await.expect(422).problem("invalid_value");
        }
        let because = json!({ "reason": "a test" });
        let refused = post(&admin, "/nodes/only/drain", because.clone()).await.expect(422);
        assert!(refused.body["detail"].as_str().unwrap().contains("the only node"), "{}", refused.body);
        post(&admin, "/nodes/nobody/drain", because.clone()).await.expect(422).problem("invalid_value");
        let long = json!({ "reason": "x".repeat(201) });
        post(&admin, "/rebalancing/pause", long).await.expect(422).problem("invalid_value");

        // Where it is already: the shop goes on.
        let moved =
            post(&admin, "/shards/order/0/move", json!({ "reason": "a test", "node": "only" })).await.expect(200);
        assert!(moved.body["view_version"].as_u64() > Some(0));
        eventually("the shard is pinned", async || {
            let shards = get(&admin, "/shards?service=order").await;
            items(&shards).iter().any(|shard| shard["pinned"] == true).then_some(())
        })
        .await;
        post(&admin, "/shards/order/0/unpin", because.clone()).await.expect(200);
        post(&admin, "/rebalancing/pause", because.clone()).await.expect(200);
        post(&admin, "/rebalancing/resume", because).await.expect(200);
        let customer = shop.customer().await;
        let url = format!("http://{}/admin/v1/nodes", admin.local_address());
        let token = customer.token.as_deref().unwrap();
        Answer::to(reqwest::Client::new().get(url).bearer_auth(token)).await.expect(403).problem("forbidden");
    });
}
