//! Catalogue and stock.

use nakku_cluster::events::Live;
use serde_json::json;

use crate::support::{PATIENCE, STORE, fresh_key, new_product, on_shop};

#[test]
fn products_are_added_changed_and_archived() {
    on_shop(async |shop| {
        let staff = shop.staff("store1").await;
        let sku = format!("test-{}", fresh_key());
        let created = staff.post("/products", new_product(&sku, 6_000)).await.expect(201);
        assert_eq!(created.header("location"), format!("/api/v1/products/{sku}"));
        staff.post("/products", new_product(&sku, 6_000)).await.expect(201);
        staff.post("/products", new_product(&sku, 5_000)).await.expect(409).problem("already_exists");

        let path = format!("/products/{sku}");
        let changed =
            staff.patch(&path, json!({ "name": "Better Butter", "price_minor": 5_500 })).await.expect(200).body;
        assert_eq!((&changed["name"], &changed["brand"]), (&json!("Better Butter"), &json!("Test")));
        assert_eq!((&changed["price_minor"], &changed["mrp_minor"]), (&json!(5_500), &json!(6_000)));
        for change in
            [json!({ "price_minor": 6_001 }), json!({ "price_minor": -1 }), json!({ "barcode": "8901262010017" })]
        {
            staff.patch(&path, change).await.expect(422).problem("invalid_value");
        }
        staff.patch(&path, json!({ "price": 1 })).await.expect(422).problem("unknown_field");
        assert_eq!(staff.get(&path).await.expect(200).body, changed);

        staff.delete(&path).await.expect(204);
        assert_eq!(staff.get(&path).await.expect(200).body["archived"], true);
        staff.patch(&path, json!({ "name": "Too late" })).await.expect(409).problem("wrong_state");
        let customer = shop.customer().await;
        let item = json!({ "quantity": 1, "store": STORE });
        customer.put(&format!("/cart/items/{sku}"), item).await.expect(404).problem("product_unknown");
        staff.patch("/products/no-such-product", json!({ "name": "x" })).await.expect(404).problem("product_unknown");
    });
}

#[test]
fn products_are_validated() {
    on_shop(async |shop| {
        let staff = shop.staff("admin").await;
        for (field, value) in [
            ("sku", json!("with blank")),
            ("barcode", json!("8901262010017")),
            ("tax_basis_points", json!(700)),
            ("price_minor", json!(-1)),
            ("mrp_minor", json!(0)),
            ("name", json!("")),
            ("category", json!("Dairy & Eggs")),
            ("tax_basis_points", json!(70_000)),
        ] {
            let mut body = new_product(&format!("test-{}", fresh_key()), 6_000);
            body[field] = value;
            let sku = body["sku"].as_str().unwrap().to_owned();
            staff.post("/products", body).await.expect(422).problem("invalid_value");
            staff.get(&format!("/products/{}", sku.replace(' ', "%20"))).await.expect(404);
        }
    });
}

#[test]
fn supplies_count_once_and_are_validated() {
    on_shop(async |shop| {
        let staff = shop.staff("store1").await;
        let sku = shop.product(0, 100).await;
        let path = format!("/stores/{STORE}/stock");
        let receipt = fresh_key();
        let supply = json!({ "receipt": receipt, "lines": [{ "sku": sku, "quantity": 7 }] });
        for _ in 0..2 {
            let levels = staff.post(&path, supply.clone()).await.expect(200).body;
            assert_eq!(levels["items"][0]["available"], 7, "{levels}");
        }
        let other = json!({ "receipt": receipt, "lines": [{ "sku": sku, "quantity": 8 }] });
        staff.post(&path, other).await.expect(409).problem("already_exists");
        for (lines, status, code) in [
            (json!([]), 422, "invalid_value"),
            (json!([{ "sku": sku, "quantity": 0 }]), 422, "invalid_value"),
            (json!([{ "sku": sku, "quantity": 1_000_001 }]), 422, "invalid_value"),
            (json!([{ "sku": sku, "quantity": -5 }]), 422, "invalid_value"),
            (json!([{ "sku": sku, "quantity": 1 }, { "sku": sku, "quantity": 1 }]), 422, "invalid_value"),
            (json!([{ "sku": "no-such-product", "quantity": 1 }]), 404, "product_unknown"),
            (json!([{ "sku": sku, "quantity": 1, "price": 1 }]), 422, "unknown_field"),
        ] {
            let body = json!({ "receipt": fresh_key(), "lines": lines });
            staff.post(&path, body).await.expect(status).problem(code);
        }
        assert_eq!(shop.level(&sku).await["supplied"], 7);
    });
}

#[test]
fn staff_say_when_a_product_counts_as_low() {
    on_shop(async |shop| {
        let staff = shop.staff("store1").await;
        let sku = shop.product(7, 100).await;
        let path = format!("/stores/{STORE}/stock/{sku}");
        assert_eq!(shop.level(&sku).await["low_stock_at"], 5);
        let supply = json!({ "receipt": fresh_key(), "lines": [{ "sku": sku, "quantity": 1, "low_stock_at": 3 }] });
        let supplied = staff.post(&format!("/stores/{STORE}/stock"), supply).await.expect(200).body;
        assert_eq!((&supplied["items"][0]["available"], &supplied["items"][0]["low_stock_at"]), (&json!(8), &json!(3)));
        let mut live = shop.node.cluster().live();
        for _ in 0..2 {
            let level = staff.patch(&path, json!({ "low_stock_at": 20 })).await.expect(200).body;
            assert_eq!((&level["available"], &level["low_stock_at"]), (&json!(8), &json!(20)));
        }
        let low = async {
            loop {
                let Ok(Live::Event(event)) = live.recv().await else { continue };
                if event.event_type == "inventory.low_stock" && event.data["sku"] == sku.as_str() {
                    return event.data.clone();
                }
            }
        };
        let low = tokio::time::timeout(PATIENCE, low).await.expect("it counts as low at once");
        assert_eq!(low, json!({ "store": STORE, "sku": sku, "available": 8, "threshold": 20 }));
        staff.patch(&path, json!({ "low_stock_at": 0 })).await.expect(200);
        staff.patch(&path, json!({ "low_stock_at": 1_000_001 })).await.expect(422).problem("invalid_value");
        staff.patch(&path, json!({})).await.expect(422).problem("missing_field");
        let unknown = format!("/stores/{STORE}/stock/never-there");
        staff.patch(&unknown, json!({ "low_stock_at": 1 })).await.expect(404).problem("product_unknown");
        let elsewhere = shop.staff("store2").await;
        elsewhere.patch(&path, json!({ "low_stock_at": 1 })).await.expect(403).problem("forbidden");
        shop.customer().await.patch(&path, json!({ "low_stock_at": 1 })).await.expect(403).problem("forbidden");
        assert_eq!(shop.level(&sku).await["low_stock_at"], 0);
    });
}
