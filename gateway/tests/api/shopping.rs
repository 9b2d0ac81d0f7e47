//! From registering to the door.

use serde_json::{Value, json};

use crate::support::{PASSWORD, STORE, eventually, fresh_key, on_shop};

/// A store from which no other test orders, so that its riders are free.
const QUIET_STORE: &str = "s-jayanagar";

#[test]
fn a_customer_registers_logs_in_and_reads_who_it_is() {
    on_shop(async |shop| {
        let anybody = shop.anybody();
        let email = format!("{}@Example.com", fresh_key());
        let registration = json!({ "email": email, "password": PASSWORD, "name": "Asha Rao" });
        let registered = anybody.post("/auth/register", registration.clone()).await.expect(201).body;
        assert_eq!(registered["token_type"], "Bearer");
        assert_eq!(registered["user"]["roles"], json!(["customer"]));
        anybody.post("/auth/register", registration).await.expect(409).problem("email_taken");

        let login = json!({ "email": email.to_uppercase(), "password": PASSWORD });
        let session = anybody.post("/auth/login", login).await.expect(200).body;
        let customer = anybody.with(session["access_token"].as_str().unwrap());
        let me = customer.get("/users/me").await.expect(200).body;
        assert_eq!(me["id"], registered["user"]["id"]);
        assert_eq!(me["email"], email.to_lowercase());
        assert_eq!(me["name"], "Asha Rao");

        let home = json!({ "id": "home", "line": "12 Hill Road", "city": "Mumbai", "pin_code": "400050" });
        customer.post("/users/me/addresses", home).await.expect(201);
        let me = customer.get("/users/me").await.expect(200).body;
        assert_eq!(me["addresses"][0]["pin_code"], "400050");
        customer.delete("/users/me/addresses/home").await.expect(204);
        assert_eq!(customer.get("/users/me").await.body["addresses"], json!([]));
    });
}

#[test]
fn catalogue_and_shelves_are_read_page_by_page() {
    on_shop(async |shop| {
        let anybody = shop.anybody();
        let stores = anybody.get("/stores").await.expect(200).body;
        assert!(stores["items"].as_array().unwrap().iter().any(|store| store["id"] == STORE), "{stores}");

        let mut skus: Vec<String> = Vec::new();
        let mut after = String::new();
        loop {
            let page = anybody.get(&format!("/stores/{STORE}/products?limit=40{after}")).await.expect(200).body;
            for product in page["items"].as_array().unwrap() {
                assert!(product["available"].is_u64() && product["price_minor"].is_i64(), "{product}");
                skus.push(product["sku"].as_str().unwrap().to_owned());
            }
            let Some(next) = page["next"].as_str() else { break };
            after = format!("&after={next}");
        }
        assert!(skus.len() >= 150, "{} products in {STORE}", skus.len());
        assert!(skus.is_sorted(), "in the order of the ids, each once");

        let product = anybody.get(&format!("/products/{}", skus[0])).await.expect(200).body;
        let category = product["category"].as_str().unwrap();
        let same = anybody.get(&format!("/products?category={category}&limit=200")).await.expect(200).body;
        assert!(same["items"].as_array().unwrap().iter().all(|one| one["category"] == category));
        let level = shop.level(&skus[0]).await;
        assert_eq!(
            level["on_hand"].as_u64(),
            level["available"].as_u64().zip(level["reserved"].as_u64()).map(|(a, r)| a + r)
        );
    });
}

#[test]
fn the_cart_is_what_was_put_in() {
    on_shop(async |shop| {
        let customer = shop.customer().await;
        let (butter, bread) = (shop.product(9, 6_000).await, shop.product(9, 4_500).await);
        customer.put_in(&butter, 2).await;
        let cart = customer.put_in(&bread, 1).await.body;
        assert_eq!((&cart["store"], &cart["total_minor"]), (&json!(STORE), &json!(16_500)));
        // Setting is setting, not adding.
        assert_eq!(customer.put_in(&butter, 2).await.body["total_minor"], 16_500);
        assert_eq!(customer.put_in(&butter, 3).await.body["total_minor"], 22_500);
        let cart = customer.delete(&format!("/cart/items/{bread}")).await.expect(200).body;
        assert_eq!(cart["total_minor"], 18_000);
        customer.delete(&format!("/cart/items/{bread}")).await.expect(200);
        let item = format!("/cart/items/{bread}");
        let other = json!({ "quantity": 1, "store": "s-jayanagar" });
        customer.put(&item, other).await.expect(409).problem("cart_other_store");
        let cart = customer.delete("/cart").await.expect(200).body;
        assert_eq!((&cart["lines"], &cart["total_minor"]), (&json!([]), &json!(0)));
        customer.put(&item, json!({ "quantity": 1 })).await.expect(422).problem("missing_field");
    });
}

#[test]
fn an_order_goes_from_the_cart_to_the_door() {
    on_shop(async |shop| {
        let customer = shop.customer().await;
        let sku = shop.product(0, 6_000).await;
        let supply = json!({ "receipt": sku, "lines": [{ "sku": sku, "quantity": 5 }] });
        let admin = shop.staff("admin").await;
        admin.post(&format!("/stores/{QUIET_STORE}/stock"), supply).await.expect(200);
        let item = json!({ "quantity": 2, "store": QUIET_STORE });
        customer.put(&format!("/cart/items/{sku}"), item).await.expect(200);
        let body = json!({
            "payment": { "method": "cash" }, "address": "12 Hill Road, Mumbai 400050", "store": QUIET_STORE,
            "expected_total_minor": 12_000,
        });
        let placed = customer.check_out(&fresh_key(), &body).await.expect(201);
        let order = placed.body["id"].as_str().unwrap().to_owned();
        assert_eq!(placed.header("location"), format!("/api/v1/orders/{order}"));
        assert_eq!(placed.body["total_minor"], 12_000);
        assert_eq!(placed.body["lines"][0]["tax_minor"], 571);
        assert_eq!(placed.body["payment_method"], "cash");
        eventually("the cart is cleared", async || {
            (customer.get("/cart").await.body["lines"] == json!([])).then_some(())
        })
        .await;
        let own = customer.get("/orders").await.expect(200).body;
        assert_eq!(own["items"][0]["id"], *order, "{own}");

        // Riders of the store come to work; whoever is offered the order brings it.
        let riders = [shop.staff("rider3").await, shop.staff("rider6").await];
        for rider in &riders {
            rider.post("/rider/online", json!({ "store": QUIET_STORE })).await.expect(200);
        }
        let rider = eventually("a rider is offered the order", async || {
            for rider in &riders {
                let list = rider.get("/rider/deliveries").await.expect(200).body;
                if list["deliveries"][0]["id"] == *order {
                    return Some(rider);
                }
            }
            None
        })
        .await;
        let step = |step: &str| format!("/rider/deliveries/{order}/{step}");
        rider
            .post(&step("deliver"), json!({ "cash_collected_minor": 12_000 }))
            .await
            .expect(409)
            .problem("wrong_state");
        assert_eq!(rider.post(&step("accept"), Value::Null).await.expect(200).body["stage"], "assigned");
        assert_eq!(rider.post(&step("pick-up"), Value::Null).await.expect(200).body["stage"], "picked_up");
        eventually("the order is on its way", async || {
            let now = customer.get(&format!("/orders/{order}")).await.expect(200).body;
            (now["status"] == "out_for_delivery").then_some(())
        })
        .await;
        customer.post(&format!("/orders/{order}/cancel"), json!({})).await.expect(409).problem("wrong_state");
        rider.post(&step("deliver"), json!({ "cash_collected_minor": 1 })).await.expect(422).problem("invalid_value");
        let delivered = rider.post(&step("deliver"), json!({ "cash_collected_minor": 12_000 })).await.expect(200).body;
        assert_eq!(delivered["stage"], "delivered");
        eventually("the order is delivered", async || {
            let now = customer.get(&format!("/orders/{order}")).await.expect(200).body;
            (now["status"] == "delivered").then_some(())
        })
        .await;
        let delivery = customer.get(&format!("/orders/{order}/delivery")).await.expect(200).body;
        assert_eq!(delivery["stage"], "delivered");
        eventually("the cash is noted", async || {
            let payment = customer.get(&format!("/orders/{order}/payment")).await;
            (payment.body["captured_minor"] == 12_000).then_some(())
        })
        .await;
        let level = customer.get(&format!("/stores/{QUIET_STORE}/stock/{sku}")).await.expect(200).body;
        assert_eq!((&level["sold"], &level["available"], &level["reserved"]), (&json!(2), &json!(3), &json!(0)));
        for rider in &riders {
            rider.post("/rider/offline", Value::Null).await;
        }
    });
}
