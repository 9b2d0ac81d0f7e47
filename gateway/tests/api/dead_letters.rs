//! Events that consumers could not process, as an operator sees them over HTTP.

use std::time::Duration;

use nakku_actors::analytics::Analytics;
use nakku_cluster::events::intake::{Command, key_of};
use nakku_cluster::events::{Envelope, Intake};
use nakku_cluster::topology::shard_of;
use nakku_cluster::{Ask, Key, Ref, Timestamp};
use nakku_gateway::Admin;
use reqwest::Method;
use serde_json::{Value, json};

use crate::poison::{self, Poison, Publish};
use crate::support::{ADMIN_TOKEN, Answer, PATIENCE, SHARDS, eventually, fresh_key, on_shop};

const GROUP: &str = "nakku-analytics";

async fn ask(admin: &Admin, method: Method, path: &str) -> Answer {
    let url = format!("http://{}/admin/v1/dead-letters{path}", admin.local_address());
    let request = reqwest::Client::new().request(method.clone(), url).bearer_auth(ADMIN_TOKEN);
    Answer::to(if method == Method::POST { request.json(&json!({ "reason": "a test" })) } else { request }).await
}

/// The letter about a subject in the list of a group, or of all.
async fn listed(admin: &Admin, query: &str, subject: &str) -> Option<Value> {
    let list = ask(admin, Method::GET, query).await.expect(200).body;
    list["items"].as_array().unwrap().iter().find(|item| item["subject"] == subject).cloned()
}

fn path(letter: &Value) -> String {
    let intake = letter["intake"].as_str().unwrap();
    format!("/{}/{intake}/{}", letter["group"].as_str().unwrap(), letter["sequence"])
}

#[test]
fn what_nobody_can_read_is_set_aside_and_shown_and_stays_until_it_can_be_read() {
    on_shop(async |shop| {
        let admin = shop.admin().await;
        let subject = format!("poison-{}", fresh_key());
        let key = Key::new(subject.as_str()).unwrap();
        let poison = Ref::<Poison>::new(key.clone());
        shop.node.cluster().ask(&poison, &Publish, Ask::within(PATIENCE)).await.unwrap();
        let of_group = format!("?group={GROUP}");
        let letter = eventually("it is set aside", async || listed(&admin, &of_group, &subject).await).await;
        let intake = key_of("order", shard_of(&key, SHARDS));
        assert_eq!((&letter["group"], &letter["intake"]), (&json!(GROUP), &json!(intake)));
        assert_eq!((&letter["event_type"], &letter["attempts"]), (&json!(poison::EVENT_TYPE), &json!(4)));
        assert!(letter["set_aside_at"].as_i64().unwrap() > 0 && !letter["reason"].as_str().unwrap().is_empty());
        assert_eq!(letter["event"], Value::Null, "what it says may be personal");
        let shown = ask(&admin, Method::GET, &path(&letter)).await.expect(200).body;
        assert_eq!(shown["event"]["data"], json!({ "total_minor": "a lot" }));
        assert_eq!(shown["reason"], letter["reason"]);
        // The other consumer can't read it either, and is told of among all.
        eventually("it is set aside twice", async || {
            let other = listed(&admin, "?group=nakku-notification", &subject).await?;
            (other["sequence"] == letter["sequence"]).then_some(())
        })
        .await;
        assert!(listed(&admin, "", &subject).await.is_some());
        assert_eq!(ask(&admin, Method::GET, "?limit=1").await.body["items"].as_array().unwrap().len(), 1);

        let replay = format!("{}/replay", path(&letter));
        ask(&admin, Method::POST, &replay).await.expect(409).problem("wrong_state");
        assert_eq!(listed(&admin, &of_group, &subject).await, Some(letter), "it is where it was");
        for missing in ["/nakku-nobody/order-0/1", &format!("/{GROUP}/{intake}/999999999")] {
            ask(&admin, Method::GET, missing).await.expect(404).problem("not_found");
            ask(&admin, Method::POST, &format!("{missing}/replay")).await.expect(404).problem("not_found");
        }
        ask(&admin, Method::GET, "?group=nakku-nobody").await.expect(404).problem("not_found");
        admin.drain(Duration::from_secs(5)).await;
    });
}

#[test]
fn what_an_older_version_could_not_read_is_replayed_once_and_counts() {
    on_shop(async |shop| {
        let admin = shop.admin().await;
        let store = format!("s-{}", fresh_key());
        let event = confirmed(&store);
        let (subject, intake) = (event.subject.clone(), key_of("order", event.shard));
        let set_aside = Command::SetAside { event: Box::new(event), reason: "too new".into(), attempts: 4 };
        let target = Ref::<Intake<Analytics>>::new(intake);
        shop.node.cluster().ask(&target, &set_aside, Ask::within(PATIENCE)).await.unwrap();

        let staff = shop.staff("admin").await;
        let summary = format!("/analytics/summary?store={store}");
        let counted = async || staff.get(&summary).await.expect(200).body["confirmed"].clone();
        assert_eq!(counted().await, 0);
        let letter = eventually("it is listed", async || listed(&admin, "", &subject).await).await;
        assert_eq!(letter["reason"], "too new");
        let replay = format!("{}/replay", path(&letter));
        let replayed = ask(&admin, Method::POST, &replay).await.expect(200).body;
        assert_eq!(replayed, json!({ "replayed": 1 }));
        assert_eq!(counted().await, 1);
        assert_eq!(listed(&admin, "", &subject).await, None);
        ask(&admin, Method::GET, &path(&letter)).await.expect(404).problem("not_found");
        ask(&admin, Method::POST, &replay).await.expect(404).problem("not_found");
        assert_eq!(counted().await, 1, "it counts once");
        admin.drain(Duration::from_secs(5)).await;
    });
}

/// The first event of a source shard that no node has, so that nobody else feeds its intake.
fn confirmed(store: &str) -> Envelope {
    let shard = 1_000_000 + rand::random::<u32>() % 1_000_000_000;
    let now = Timestamp::now();
    let event = json!({
        "specversion": "1.0", "id": format!("1-order-{shard}-1"), "source": format!("/nakku/order/{shard}"),
        "type": "order.confirmed", "subject": format!("u-1.o-{shard}"), "time": "2026-01-01T00:00:00Z",
        "datacontenttype": "application/json", "dataschema": "urn:nakku:event:order.confirmed:1",
        "service": "order", "shard": shard, "sequence": "1", "previous": "0",
        "data": {
            "order": format!("u-1.o-{shard}"), "user": "u-1", "store": store, "currency": "INR",
            "total_minor": 100, "captured_minor": 0, "placed_at_ms": now, "confirmed_at_ms": now,
        },
    });
    Envelope { time: now, ..serde_json::from_value(event).unwrap() }
}
