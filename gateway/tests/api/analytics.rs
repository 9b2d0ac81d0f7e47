//! What was sold: fed to the intakes directly, and from an order to the figures.

use std::time::Duration;

use nakku_actors::analytics::Analytics;
use nakku_actors::user::command::Role;
use nakku_cluster::events::{Envelope, Intake, intake};
use nakku_cluster::{Ask, Key, Ref, Timestamp};
use nakku_gateway::Secret;
use nakku_gateway::auth::Tokens;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Client, JWT_SECRET, PATIENCE, STORE, Shop, eventually, fresh_key, on_shop};

const HOUR_MS: i64 = 3_600_000;

/// A store of which only this test tells.
struct Told {
    store: String,
    now: i64,
    sequence: u64,
    service: &'static str,
    shard: u32,
}

impl Told {
    /// Of a source shard that no node has, so that nobody else feeds its intake.
    fn new(service: &'static str, store: &str) -> Self {
        let shard = 1_000_000 + rand::random::<u32>() % 1_000_000_000;
        Self { store: store.into(), now: Timestamp::now().0, sequence: 0, service, shard }
    }

    async fn tell(&mut self, shop: &Shop, event_type: &'static str, ago_ms: i64, mut data: Value) {
        let at = Timestamp(self.now - ago_ms);
        let defaults = json!({
            "order": "u-1.o-1", "user": "u-1", "store": self.store, "currency": "INR", "delivery_fee_minor": 0,
            "payment_method": "cash", "captured_minor": 0, "refund_minor": 0, "code": "customer", "reason": "",
            "placed_at_ms": at, "confirmed_at_ms": at, "cancelled_at_ms": at, "completed_at_ms": at, "lines": [],
            "sku": "p-1", "quantity": 1, "total_minor": 0,
        });
        for (name, value) in defaults.as_object().unwrap() {
            data.as_object_mut().unwrap().entry(name).or_insert(value.clone());
        }
        let (service, shard, previous, sequence) = (self.service, self.shard, self.sequence, self.sequence + 1);
        let event = Envelope {
            specversion: "1.0".into(),
            id: format!("1-{service}-{shard}-{sequence}"),
            source: format!("/nakku/{service}/{shard}"),
            event_type: event_type.into(),
            subject: "u-1.o-1".into(),
            time: at,
            datacontenttype: "application/json".into(),
            dataschema: format!("urn:nakku:event:{event_type}:1"),
            traceparent: String::new(),
            service: service.into(),
            shard,
            sequence,
            previous,
            topic: None,
            data,
        };
        self.sequence = sequence;
        let command = serde_json::from_value(json!({ "consume": { "events": [event] } })).unwrap();
        let target = Ref::<Intake<Analytics>>::new(intake::key_of(service, shard));
        let answered = shop.node.cluster().ask(&target, &command, Ask::within(PATIENCE)).await.unwrap();
        let reply = answered.reply;
        let intake::Reply::Consumed(progress) = &reply else { panic!("{reply:?}") };
        assert_eq!((progress.high_water, &progress.refused), (sequence, &None));
    }
}

/// A few orders of the last hours, told by two shards.
async fn busy_store(shop: &Shop) -> (String, i64) {
    let store = format!("s-{}", fresh_key());
    let mut told = Told::new("order", &store);
    let line = |sku: &str, quantity: u32| {
        let (price_minor, tax_minor) = (500, 25);
        json!({ "sku": sku, "name": sku, "quantity": quantity, "price_minor": price_minor, "tax_minor": tax_minor })
    };
    for ago in [5 * HOUR_MS, 2 * HOUR_MS, 2 * HOUR_MS - 1] {
        told.tell(shop, "order.created", ago, json!({ "total_minor": 1_000 })).await;
        told.tell(shop, "order.confirmed", ago, json!({ "total_minor": 1_000 })).await;
    }
    let placed = told.now - 2 * HOUR_MS;
    let completed = json!({
        "total_minor": 1_000, "lines": [line("p-milk", 2), line("p-bread", 1)], "promised_minutes": 10,
        "placed_at_ms": placed, "completed_at_ms": placed + 11 * 60_000,
    });
    told.tell(shop, "order.completed", HOUR_MS, completed).await;
    told.tell(shop, "order.cancelled", HOUR_MS, json!({ "total_minor": 1_000, "confirmed": true })).await;
    told.tell(shop, "order.refunded", HOUR_MS, json!({ "amount_minor": 1_000, "confirmed": true })).await;

    let mut other = Told::new("order", &store);
    other.tell(shop, "order.created", HOUR_MS, json!({ "total_minor": 700 })).await;
    other.tell(shop, "order.cancelled", HOUR_MS, json!({ "total_minor": 700, "confirmed": false })).await;
    let completed = json!({ "total_minor": 500, "lines": [line("p-bread", 4)], "promised_minutes": 10 });
    other.tell(shop, "order.completed", HOUR_MS, completed).await;
    let mut carts = Told::new("cart", &store);
    carts.tell(shop, "cart.updated", HOUR_MS, json!({})).await;
    carts.tell(shop, "cart.updated", HOUR_MS, json!({})).await;
    (store, told.now)
}

/// A member of a store's staff: the session of somebody who has just registered, with another role.
async fn staff_of(shop: &Shop, store: Option<&str>) -> Client {
    let somebody = shop.customer().await;
    let tokens = Tokens::new(&Secret::new(JWT_SECRET), Duration::from_secs(900));
    let claims = tokens.check(somebody.token.as_deref().unwrap()).unwrap();
    let store = store.map(|store| Key::new(store).unwrap());
    somebody.with(&tokens.issue(&claims.sub, &[Role::Store], store.as_ref(), &claims.sid).unwrap())
}

#[test]
fn figures_are_those_of_all_intakes() {
    on_shop(async |shop| {
        let (store, now) = busy_store(shop).await;
        let admin = shop.staff("admin").await;
        let range = format!("store={store}&from={}&to={}", now - 6 * HOUR_MS, now + 1);
        let summary = admin.get(&format!("/analytics/summary?{range}")).await.expect(200).body;
        for (name, value) in [
            ("placed", 4),
            ("confirmed", 3),
            ("cancelled", 2),
            ("cancelled_after_confirmation", 1),
            ("completed", 2),
            ("refunded", 1),
            ("units", 7),
            ("gross_minor", 3_000),
            ("net_minor", 2_000),
            ("cancelled_minor", 1_000),
            ("refunds_minor", 1_000),
            ("tax_minor", 75),
        ] {
            assert_eq!(summary[name], value, "{name}: {summary}");
        }
        assert_eq!((&summary["store"], &summary["bucket"]), (&json!(store), &json!("hour")));
        assert!(summary["from_ms"].as_i64().unwrap() <= now - 6 * HOUR_MS, "{summary}");
        assert!(summary["latest_event_ms"].as_i64().unwrap() >= now - HOUR_MS, "{summary}");
        assert!(summary["events"].is_null(), "only of the whole shop");
        let by_day = admin.get(&format!("/analytics/summary?{range}&bucket=day")).await.expect(200).body;
        assert_eq!(by_day["gross_minor"], 3_000);

        let series = admin.get(&format!("/analytics/series?{range}&bucket=hour")).await.expect(200).body;
        let points = series["points"].as_array().unwrap();
        assert_eq!(points.len(), 7, "every hour that the range touches: {series}");
        let sum = |name: &str| points.iter().map(|point| point[name].as_i64().unwrap()).sum::<i64>();
        assert_eq!((sum("placed"), sum("gross_minor"), sum("net_minor")), (4, 3_000, 2_000));
        assert!(points.is_sorted_by_key(|point| point["start_ms"].as_i64()));

        let top = admin.get(&format!("/analytics/top-products?store={store}&limit=1")).await.expect(200).body;
        assert_eq!(top["items"], json!([{ "sku": "p-bread", "units": 5, "revenue_minor": 2_500 }]));
        assert_eq!((&top["other_units"], &top["other_revenue_minor"]), (&json!(2), &json!(1_000)));

        let funnel = admin.get(&format!("/analytics/funnel?{range}")).await.expect(200).body;
        assert_eq!(funnel["total"], json!({ "carts": 1, "placed": 4, "confirmed": 3, "completed": 2 }));
        let promise = admin.get(&format!("/analytics/promise?{range}")).await.expect(200).body;
        assert_eq!((&promise["deliveries"], &promise["promised"], &promise["late"]), (&json!(2), &json!(2), &json!(1)));
        assert_eq!(promise["actual_average_ms"], 11 * 60_000 / 2);
        assert_eq!(promise["promised_average_ms"], 600_000);
        let of = |minutes: u32| {
            let buckets = promise["minutes"].as_array().unwrap();
            buckets.iter().find(|bucket| bucket["minutes_max"] == minutes).unwrap()["deliveries"].clone()
        };
        assert_eq!((of(5), of(10), of(12)), (json!(1), json!(0), json!(1)));
    });
}

#[test]
fn an_export_is_read_back() {
    on_shop(async |shop| {
        let (store, now) = busy_store(shop).await;
        let admin = shop.staff("admin").await;
        // Of several chunks.
        let from = now - 30 * 24 * HOUR_MS;
        let path = format!("/analytics/export.csv?store={store}&bucket=hour&from={from}&to={}", now + 1);
        let response = admin.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/csv; charset=utf-8; header=present");
        let disposition = response.headers()["content-disposition"].to_str().unwrap().to_owned();
        assert!(disposition.starts_with("attachment; filename=\"nakku-s-"), "{disposition}");
        let text = response.text().await.unwrap();
        assert!(text.ends_with("\r\n") && text.lines().count() >= 4, "{text}");
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let header = reader.headers().unwrap().clone();
        assert_eq!(header.get(0), Some("start"));
        let records: Vec<_> = reader.records().collect::<Result<_, _>>().unwrap();
        let sum = |name: &str| {
            let column = header.iter().position(|column| column == name).unwrap();
            records.iter().map(|record| record[column].parse::<i64>().unwrap()).sum::<i64>()
        };
        assert_eq!((sum("placed"), sum("confirmed"), sum("units"), sum("late")), (4, 3, 7, 1));
        assert_eq!((sum("gross_minor"), sum("net_minor"), sum("refunds_minor")), (3_000, 2_000, 1_000));
        assert!(records.iter().all(|record| record[2] == store), "{text}");

        let all = admin.request(Method::GET, "/analytics/export.csv?bucket=day").send().await.unwrap();
        let text = all.text().await.unwrap();
        assert!(text.contains(&store) && text.starts_with("start,start_ms,store,"), "{text}");
    });
}

#[test]
fn staff_sees_its_own_store_only() {
    on_shop(async |shop| {
        let (store, _) = busy_store(shop).await;
        let own = staff_of(shop, Some(&store)).await;
        let (nowhere, customer) = (staff_of(shop, None).await, shop.customer().await);
        for route in ["summary", "series", "top-products", "funnel", "promise", "export.csv"] {
            let path = format!("/analytics/{route}");
            shop.anybody().get(&path).await.expect(401).problem("token_missing");
            customer.get(&path).await.expect(403).problem("forbidden");
            own.get(&format!("{path}?store={STORE}")).await.expect(403).problem("forbidden");
            nowhere.get(&path).await.expect(403).problem("forbidden");
            own.get(&format!("{path}?store={store}")).await.expect(200);
            own.get(&path).await.expect(200);
        }
        assert_eq!(own.get("/analytics/summary").await.body["placed"], 4);
        assert!(own.get("/analytics/funnel").await.body["total"]["registered"].is_null());
    });
}

#[test]
fn ranges_are_validated() {
    on_shop(async |shop| {
        let admin = shop.staff("admin").await;
        let year = 400 * 24 * HOUR_MS;
        for query in [
            "from=2&to=1".to_owned(),
            "from=-1".to_owned(),
            "to=9999999999999999".to_owned(),
            format!("from=0&to={}", 2 * year),
            format!("from=0&to={year}&bucket=hour"),
            "bucket=week".to_owned(),
            "store=%20".to_owned(),
            "from=yesterday".to_owned(),
        ] {
            for route in ["summary", "export.csv"] {
                admin.get(&format!("/analytics/{route}?{query}")).await.expect(422).problem("invalid_value");
            }
        }
        admin.get("/analytics/top-products?limit=0").await.expect(422).problem("invalid_value");
        admin.get("/analytics/top-products?limit=201").await.expect(422).problem("invalid_value");
        admin.get("/analytics/summary?until=1").await.expect(422).problem("unknown_field");
        let nothing = admin.get("/analytics/summary?store=s-nowhere&from=1&to=2").await.expect(200).body;
        assert_eq!((&nothing["placed"], &nothing["bucket"]), (&json!(0), &json!("day")));
    });
}

#[test]
fn an_order_reaches_the_figures() {
    on_shop(async |shop| {
        let admin = shop.staff("admin").await;
        let customer = shop.customer().await;
        let sku = shop.product(3, 6_000).await;
        customer.put_in(&sku, 2).await;
        let placed = |body: &Value| body["placed"].as_u64().unwrap();
        let summary = format!("/analytics/summary?store={STORE}");
        let before = placed(&admin.get(&summary).await.expect(200).body);
        let body = json!({ "payment": { "method": "cash" }, "address": "12 Hill Road, Bengaluru 560038" });
        customer.check_out(&fresh_key(), &body).await.expect(201);
        eventually("the order is counted", async || {
            let now = admin.get(&summary).await.expect(200).body;
            (placed(&now) > before && now["confirmed"].as_u64() > Some(0)).then_some(())
        })
        .await;
        let whole = admin.get("/analytics/summary").await.expect(200).body;
        assert!(whole["events"]["user.registered"].as_u64() > Some(0), "{whole}");
    });
}
