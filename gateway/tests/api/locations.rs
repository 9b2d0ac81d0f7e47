//! Where stores are, where they bring goods and on what terms, and where riders are.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nakku_cluster::events::Live;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use crate::support::{Client, PATIENCE, STORE, Shop, eventually, fresh_key, new_product, on_shop};

/// A place in the zone around [`STORE`], and one in its wider zone.
const NEAR: (f64, f64) = (12.9719, 77.6412);
const FAR: (f64, f64) = (12.9784, 77.6680);
/// A part of the town that no store of the demo serves.
const NOWHERE: (f64, f64) = (12.9698, 77.7500);

/// A store of its own for a test, with a product and a zone, far from all others.
struct Place {
    staff: Client,
    store: String,
    sku: String,
    lat: f64,
    lng: f64,
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right");
    i64::try_from(since.as_millis()).expect("milliseconds fit")
}

fn all_day(time_zone: &str) -> Value {
    let day = json!([{ "opens": "00:00", "closes": "24:00" }]);
    json!({
        "time_zone": time_zone, "monday": day, "tuesday": day, "wednesday": day, "thursday": day, "friday": day,
        "saturday": day, "sunday": day,
    })
}

fn square(lat: f64, lng: f64, side: f64) -> Value {
    json!([[lng, lat], [lng + side, lat], [lng + side, lat + side], [lng, lat + side], [lng, lat]])
}

impl Place {
    async fn open(shop: &Shop) -> Self {
        let staff = shop.staff("admin").await;
        let (store, sku) = (format!("s-test-{}", fresh_key()), format!("test-{}", fresh_key()));
        staff.post("/products", new_product(&sku, 6_000)).await.expect(201);
        let supply = json!({ "receipt": sku, "lines": [{ "sku": sku, "quantity": 50 }] });
        staff.post(&format!("/stores/{store}/stock"), supply).await.expect(200);
        // A grid of a tenth of a degree over the southern seas.
        let cell = rand::random::<u16>();
        let (lat, lng) = (-60.0 + f64::from(cell / 256) / 10.0, -20.0 + f64::from(cell % 256) / 10.0);
        let place = Self { staff, store, sku, lat, lng };
        place.describe(all_day("Asia/Kolkata")).await;
        let hole = square(lat + 0.02, lng + 0.02, 0.01);
        let area = json!({ "type": "Polygon", "coordinates": [square(lat, lng, 0.05), hole] });
        let zone = json!({ "fee_minor": 2_500, "minimum_minor": 20_000, "promised_minutes": 17, "area": area });
        place.staff.put(&place.path("/zones/all"), zone).await.expect(200);
        place.is("served").await;
        place
    }

    fn path(&self, below: &str) -> String {
        format!("/stores/{}{below}", self.store)
    }

    async fn describe(&self, hours: Value) {
        let base = json!({ "fee_minor": 1_100, "promised_minutes": 40 });
        let body = json!({ "name": "Test Corner", "lat": self.lat, "lng": self.lng, "hours": hours, "base": base });
        self.staff.put(&self.path(""), body).await.expect(200);
    }

    /// Waits until the directory says so of an address in the zone; it is a moment behind the store.
    async fn is(&self, outcome: &str) -> Value {
        let path = format!("/serviceability?lat={}&lng={}&store={}", self.lat + 0.01, self.lng + 0.01, self.store);
        eventually(outcome, async || {
            let body = self.staff.get(&path).await.expect(200).body;
            (body["outcome"] == outcome).then_some(body)
        })
        .await
    }

    async fn put_in(&self, customer: &Client, quantity: u32) {
        let item = json!({ "quantity": quantity, "store": self.store });
        customer.put(&format!("/cart/items/{}", self.sku), item).await.expect(200);
    }

    /// An address so far north and east of the zone's corner.
    fn to(&self, north: f64, east: f64) -> Value {
        json!({ "line": "1 Sea Road", "lat": self.lat + north, "lng": self.lng + east })
    }
}

fn order_to(address: &Value) -> Value {
    json!({ "payment": { "method": "cash" }, "address": address })
}

#[test]
fn serviceability_says_who_serves_or_why_nobody_does() {
    on_shop(async |shop| {
        let anybody = shop.anybody();
        let ask = async |(lat, lng): (f64, f64), more: &str| {
            anybody.get(&format!("/serviceability?lat={lat}&lng={lng}{more}")).await.expect(200).body
        };
        let near = eventually("the demo's stores are known", async || {
            let body = ask(NEAR, "").await;
            (body["served"] == true).then_some(body)
        })
        .await;
        assert_eq!((&near["store"], &near["zone"], &near["fee_minor"]), (&json!(STORE), &json!("near"), &json!(0)));
        let far = ask(FAR, &format!("&store={STORE}")).await;
        assert_eq!((&far["fee_minor"], &far["minimum_minor"]), (&json!(2_500), &json!(14_900)), "{far}");
        assert_eq!(ask(NOWHERE, "").await, json!({ "served": false, "outcome": "outside" }));
        let elsewhere = ask(NEAR, "&store=s-jayanagar").await;
        assert_eq!((&elsewhere["outcome"], &elsewhere["other_store"]), (&json!("outside"), &json!(STORE)));
        assert_eq!(ask(NEAR, "&store=s-nowhere").await["outcome"], "undescribed");
        for (query, code) in [
            ("lat=91&lng=77", "invalid_value"),
            ("lat=12&lng=-181", "invalid_value"),
            ("lat=NaN&lng=77", "invalid_value"),
            ("lat=12", "missing_field"),
            ("lat=12&lng=east", "invalid_value"),
            ("lat=12&lng=77&city=x", "unknown_field"),
        ] {
            anybody.get(&format!("/serviceability?{query}")).await.expect(422).problem(code);
        }
        let stores = anybody.get("/stores?limit=200").await.expect(200).body;
        let items = stores["items"].as_array().unwrap();
        let own = items.iter().find(|store| store["id"] == STORE).expect("the demo's store is listed");
        assert_eq!((&own["name"], &own["open"], &own["lat"]), (&json!("Indiranagar"), &json!(true), &json!(12.9784)));
    });
}

#[test]
fn a_place_is_described_by_its_staff_alone_and_comes_back_as_it_was_given() {
    on_shop(async |shop| {
        let (admin, other) = (shop.staff("admin").await, shop.staff("store1").await);
        let path = format!("/stores/s-test-{}", fresh_key());
        admin.get(&path).await.expect(404).problem("store_unknown");
        let mut body =
            json!({ "name": "Night Owl", "lat": 52.52, "lng": 13.405, "hours": { "time_zone": "europe/berlin" } });
        body["hours"]["saturday"] =
            json!([{ "opens": "20:00", "closes": "02:30" }, { "opens": "08:00", "closes": "12:00" }]);
        other.put(&path, body.clone()).await.expect(403).problem("forbidden");
        shop.customer().await.put(&path, body.clone()).await.expect(403).problem("forbidden");
        shop.anybody().put(&path, body.clone()).await.expect(401).problem("token_missing");
        let ring = json!([[13.4, 52.5], [13.42, 52.5], [13.42, 52.52], [13.4, 52.52], [13.4, 52.5]]);
        let area = json!({ "type": "Polygon", "coordinates": [ring] });
        let zone = json!({ "fee_minor": 100, "area": area });
        admin.put(&format!("{path}/zones/mitte"), zone.clone()).await.expect(404).problem("store_unknown");
        admin.put(&path, body.clone()).await.expect(200);
        let placed = admin.put(&path, body.clone()).await.expect(200).body;
        assert_eq!(placed["hours"]["saturday"], body["hours"]["saturday"]);
        assert_eq!(placed["hours"]["sunday"], json!([]));
        assert_eq!(
            (&placed["lat"], &placed["lng"], &placed["name"]),
            (&json!(52.52), &json!(13.405), &json!("Night Owl"))
        );
        let zoned = admin.put(&format!("{path}/zones/mitte"), zone.clone()).await.expect(200).body;
        assert_eq!(zoned["zones"][0]["id"], "mitte");
        assert_eq!(zoned["zones"][0]["area"], area);
        assert_eq!(shop.anybody().get(&path).await.expect(200).body["zones"], zoned["zones"]);

        for (field, value) in [
            ("name", json!("")),
            ("lat", json!(90.5)),
            ("hours", json!({ "time_zone": "Berlin" })),
            ("hours", json!({ "time_zone": "UTC", "monday": [{ "opens": "25:00", "closes": "26:00" }] })),
            ("base", json!({ "fee_minor": -1 })),
        ] {
            let mut wrong = body.clone();
            wrong[field] = value;
            admin.put(&path, wrong).await.expect(422).problem("invalid_value");
        }
        let bow = json!([[13.0, 52.0], [13.1, 52.1], [13.1, 52.0], [13.0, 52.1], [13.0, 52.0]]);
        for rings in [json!([]), json!([bow]), json!([square(52.0, 13.0, 1.5)]), json!([[[13.0, 52.0], [13.1, 52.0]]])]
        {
            let wrong = json!({ "fee_minor": 0, "area": { "type": "Polygon", "coordinates": rings } });
            let refused = admin.put(&format!("{path}/zones/wrong"), wrong).await.expect(422).problem("invalid_value");
            assert_eq!(refused.body["field"], "area", "{}", refused.body);
        }
        admin.put(&format!("{path}/zones/a%20b"), zone).await.expect(422).problem("invalid_value");
        let removed = admin.delete(&format!("{path}/zones/mitte")).await.expect(200).body;
        assert_eq!(removed["zones"], json!([]));
        admin.delete(&format!("{path}/zones/mitte")).await.expect(200);
    });
}

#[test]
fn an_order_has_the_terms_of_the_zone_and_none_is_placed_outside() {
    on_shop(async |shop| {
        let place = Place::open(shop).await;
        let customer = shop.customer().await;
        place.put_in(&customer, 4).await;
        let inside = place.to(0.01, 0.01);
        for outside in [place.to(0.06, 0.01), place.to(0.025, 0.025), place.to(-0.001, 0.01)] {
            let refused = customer.check_out(&fresh_key(), &order_to(&outside)).await.expect(409);
            assert_eq!(refused.problem("address_not_served").body["store"], *place.store, "{outside}");
        }
        let mut half = inside.clone();
        half.as_object_mut().unwrap().remove("lng");
        customer.check_out(&fresh_key(), &order_to(&half)).await.expect(422).problem("missing_field");
        let wrong = json!({ "line": "x", "lat": 12.0, "lng": 200.0 });
        customer.check_out(&fresh_key(), &order_to(&wrong)).await.expect(422).problem("invalid_value");

        place.put_in(&customer, 3).await;
        let lacking = customer.check_out(&fresh_key(), &order_to(&inside)).await.expect(409).problem("below_minimum");
        assert_eq!((&lacking.body["lacking_minor"], &lacking.body["minimum_minor"]), (&json!(2_000), &json!(20_000)));
        assert_eq!(customer.get("/orders").await.body["items"], json!([]));
        let stock = place.path(&format!("/stock/{}", place.sku));
        assert_eq!(customer.get(&stock).await.expect(200).body["available"], 50);

        place.put_in(&customer, 4).await;
        let mut body = order_to(&inside);
        body["expected_total_minor"] = json!(24_000);
        let shown = customer.check_out(&fresh_key(), &body).await.expect(409).problem("price_changed");
        assert_eq!(shown.body["total_minor"], 26_500);
        body["expected_total_minor"] = json!(26_500);
        let key = fresh_key();
        let placed = customer.check_out(&key, &body).await.expect(201).body;
        assert_eq!(
            (&placed["delivery_fee_minor"], &placed["total_minor"], &placed["promised_minutes"], &placed["address"]),
            (&json!(2_500), &json!(26_500), &json!(17), &json!("1 Sea Road"))
        );

        // An address without a position has the store's base terms, and no minimum.
        let another = shop.customer().await;
        place.put_in(&another, 1).await;
        let placed = another.check_out(&fresh_key(), &order_to(&json!("1 Sea Road"))).await.expect(201).body;
        assert_eq!((&placed["delivery_fee_minor"], &placed["promised_minutes"]), (&json!(1_100), &json!(40)));

        // What the store does afterwards does not change an order that stands: it is answered as before.
        place.staff.delete(&place.path("/zones/all")).await.expect(200);
        place.is("outside").await;
        assert_eq!(customer.check_out(&key, &body).await.expect(201).body["total_minor"], 26_500);
    });
}

#[test]
fn a_saved_address_has_a_position_and_old_ones_need_none() {
    on_shop(async |shop| {
        let place = Place::open(shop).await;
        let customer = shop.customer().await;
        let mut home = json!({ "id": "home", "line": "1 Sea Road", "city": "Nowhere", "pin_code": "400050" });
        let saved = customer.post("/users/me/addresses", home.clone()).await.expect(201).body;
        assert!(saved.get("lat").is_none(), "{saved}");
        home["lat"] = json!(place.lat + 0.025);
        customer.post("/users/me/addresses", home.clone()).await.expect(422).problem("missing_field");
        home["lng"] = json!(place.lng + 0.025);
        let saved = customer.post("/users/me/addresses", home.clone()).await.expect(201).body;
        let microdegrees = |body: &Value, field: &str| body[field].as_f64().map(|degrees| (degrees * 1e6).round());
        for field in ["lat", "lng"] {
            assert_eq!(microdegrees(&saved, field), microdegrees(&home, field));
        }
        place.put_in(&customer, 4).await;
        let body = json!({ "payment": { "method": "cash" } });
        customer.check_out(&fresh_key(), &body).await.expect(409).problem("address_not_served");
        home["lng"] = json!(place.lng + 0.01);
        customer.post("/users/me/addresses", home).await.expect(201);
        let placed = customer.check_out(&fresh_key(), &body).await.expect(201).body;
        assert_eq!((&placed["delivery_fee_minor"], &placed["promised_minutes"]), (&json!(2_500), &json!(17)));
    });
}

#[test]
fn a_store_that_is_closed_or_paused_takes_no_orders() {
    on_shop(async |shop| {
        let place = Place::open(shop).await;
        let customer = shop.customer().await;
        place.put_in(&customer, 4).await;
        let (with, without) = (order_to(&place.to(0.01, 0.01)), order_to(&json!("1 Sea Road")));
        let until_ms = now_ms() + 3_600_000;
        let pause = json!({ "reason": "too many orders", "until_ms": until_ms });
        let paused = place.staff.post(&place.path("/pause"), pause).await.expect(200).body;
        assert_eq!((&paused["open"], &paused["pause"]["until_ms"]), (&json!(false), &json!(until_ms)));
        assert_eq!(place.is("paused").await["reason"], "too many orders");
        for body in [&with, &without] {
            let refused = customer.check_out(&fresh_key(), body).await.expect(409).problem("store_closed");
            assert_eq!(refused.body["opens_at_ms"], until_ms);
        }
        let past = json!({ "until_ms": 1 });
        place.staff.post(&place.path("/pause"), past).await.expect(422).problem("invalid_value");
        place.staff.post(&place.path("/resume"), Value::Null).await.expect(200);
        place.is("served").await;
        place.describe(json!({ "time_zone": "Asia/Kolkata" })).await;
        place.is("closed").await;
        for body in [&with, &without] {
            customer.check_out(&fresh_key(), body).await.expect(409).problem("store_closed");
        }
        place.describe(all_day("Asia/Kolkata")).await;
        place.is("served").await;
        customer.check_out(&fresh_key(), &with).await.expect(201);
    });
}

#[test]
fn riders_say_where_they_are_and_staff_finds_the_nearest() {
    on_shop(async |shop| {
        let (rider, staff) = (shop.staff("rider1").await, shop.staff("store1").await);
        let ping = async |lat: f64, at_ms: Option<i64>| {
            let body = json!({ "lat": lat, "lng": 77.6408, "accuracy_m": 8, "at_ms": at_ms });
            rider.post("/rider/position", body).await.expect(200).body["outcome"].clone()
        };
        let mut live = shop.node.cluster().live();
        assert_eq!(ping(12.9780, None).await, "kept");
        let told = tokio::time::timeout(PATIENCE, async {
            loop {
                match live.recv().await {
                    Ok(Live::Signal(signal)) if signal.topic == "rider/u-demo-rider1" => break signal,
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => panic!("the node tells nothing more"),
                }
            }
        });
        let told: Value = serde_json::from_str(&told.await.expect("watchers are told").body).unwrap();
        assert_eq!((&told["lat"], &told["lng"]), (&json!(12.978), &json!(77.6408)));
        // Within the same millisecond it would be a repetition.
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert_eq!(ping(12.9780, None).await, "thinned");
        assert_eq!(ping(12.9990, Some(now_ms() - 120_000)).await, "stale");
        assert_eq!(ping(12.9794, None).await, "kept");
        let path = format!("/stores/{STORE}/riders?busy=true");
        let near = eventually("the rider is found", async || {
            let list = staff.get(&path).await.expect(200).body;
            let found = list["items"].as_array().unwrap().iter().find(|one| one["rider"] == "u-demo-rider1").cloned();
            found.filter(|found| found["lat"] == 12.9794)
        })
        .await;
        assert_eq!(near["distance_m"], 111);
        // What is not worth keeping is known to the gateways all the same.
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert_eq!(ping(12.97941, None).await, "thinned");
        let list = staff.get(&path).await.expect(200).body;
        let found: Vec<_> =
            list["items"].as_array().unwrap().iter().filter(|one| one["rider"] == "u-demo-rider1").collect();
        assert_eq!((found.len(), &found[0]["lat"], &found[0]["distance_m"]), (1, &json!(12.97941), &json!(112)));
        let far = staff.get(&format!("{path}&lat=13.2&lng=77.6408&within_m=1000")).await.expect(200).body;
        assert_eq!(far["items"], json!([]));
        for (query, code) in
            [("limit=0", "invalid_value"), ("within_m=50001", "invalid_value"), ("lat=12", "missing_field")]
        {
            staff.get(&format!("/stores/{STORE}/riders?{query}")).await.expect(422).problem(code);
        }
        shop.staff("store2").await.get(&path).await.expect(403).problem("forbidden");
        rider.get(&path).await.expect(403).problem("forbidden");
        let body = json!({ "lat": 12.9, "lng": 77.6 });
        shop.customer().await.post("/rider/position", body.clone()).await.expect(403).problem("forbidden");
        let ahead = json!({ "lat": 12.9, "lng": 77.6, "at_ms": now_ms() + 600_000 });
        rider.post("/rider/position", ahead).await.expect(422).problem("invalid_value");
    });
}
