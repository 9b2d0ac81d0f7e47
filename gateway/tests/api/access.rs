//! Tokens, roles, and what belongs to others.

use jsonwebtoken::{EncodingKey, Header, encode};
use nakku_actors::user::command::Role;
use nakku_cluster::Key;
use nakku_gateway::auth::Claims;
use serde_json::{Value, json};

use crate::support::{JWT_SECRET, STORE, fresh_key, new_product, on_shop};

pub fn token(secret: &str, roles: Vec<Role>, expires_in: i64) -> String {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let claims = Claims {
        iss: "nakku".into(),
        sub: Key::new("u-forged").unwrap(),
        roles,
        store: None,
        sid: "f".into(),
        iat: now,
        exp: now.checked_add_signed(expires_in).unwrap(),
    };
    encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

#[test]
fn tokens_are_checked() {
    on_shop(async |shop| {
        let anybody = shop.anybody();
        let routes = [
            "/users/me",
            "/cart",
            "/orders",
            "/orders/x",
            "/orders/x/payment",
            "/orders/x/delivery",
            "/rider/deliveries",
        ];
        for path in routes {
            let refused = anybody.get(path).await.expect(401).problem("token_missing");
            assert_eq!(refused.header("www-authenticate"), "Bearer");
            for forged in [
                "nonsense".to_owned(),
                token("another secret, of 32 bytes or more", vec![Role::Admin], 900),
                anybody.with("").token.unwrap(),
            ] {
                anybody.with(&forged).get(path).await.expect(401).problem("token_invalid");
            }
            let expired = token(JWT_SECRET, vec![Role::Customer, Role::Rider], -60);
            anybody.with(&expired).get(path).await.expect(401).problem("token_expired");
        }
        let basic = anybody.request(reqwest::Method::GET, "/users/me").basic_auth("a", Some("b"));
        crate::support::Answer::to(basic).await.expect(401).problem("token_invalid");
    });
}

#[test]
fn roles_are_checked() {
    on_shop(async |shop| {
        let customer = shop.customer().await;
        let sku = shop.product(1, 100).await;
        let supply = json!({ "receipt": fresh_key(), "lines": [{ "sku": sku, "quantity": 1 }] });
        for (path, body) in [
            ("/products".to_owned(), new_product("stolen", 1)),
            (format!("/stores/{STORE}/stock"), supply.clone()),
            ("/rider/online".to_owned(), json!({ "store": STORE })),
        ] {
            let refused = customer.post(&path, body).await.expect(403).problem("forbidden");
            assert!(refused.body["roles"].is_array());
        }
        customer.patch(&format!("/products/{sku}"), json!({ "price_minor": 1 })).await.expect(403).problem("forbidden");
        customer.delete(&format!("/products/{sku}")).await.expect(403).problem("forbidden");
        shop.staff("rider1").await.get("/cart").await.expect(403).problem("forbidden");
        // Staff of one store don't touch another's.
        let other = shop.staff("store2").await;
        other.post(&format!("/stores/{STORE}/stock"), supply).await.expect(403).problem("forbidden");
        assert_eq!(shop.level(&sku).await["supplied"], 1);
        let rider = shop.staff("rider2").await;
        rider.post("/rider/online", json!({ "store": STORE })).await.expect(403).problem("forbidden");
    });
}

#[test]
fn what_is_another_customers_is_not_there() {
    on_shop(async |shop| {
        let (owner, other) = (shop.customer().await, shop.customer().await);
        let sku = shop.product(2, 100).await;
        owner.put_in(&sku, 1).await;
        assert_eq!(
            other.get("/cart").await.expect(200).body["lines"],
            json!([]),
            "every customer has a cart of its own"
        );
        let body = json!({ "payment": { "method": "card", "token": "card_approve" }, "address": "x" });
        let key = fresh_key();
        let order = owner.check_out(&key, &body).await.expect(201).body["id"].as_str().unwrap().to_owned();
        // The same key of another customer names another order.
        other.check_out(&key, &body).await.expect(409).problem("cart_empty");
        for path in ["", "/payment", "/delivery"] {
            other.get(&format!("/orders/{order}{path}")).await.expect(404).problem("not_found");
        }
        other.post(&format!("/orders/{order}/cancel"), json!({})).await.expect(404).problem("not_found");
        assert_eq!(other.get("/orders").await.body["items"], json!([]));
        assert_eq!(owner.get(&format!("/orders/{order}")).await.expect(200).body["status"], "confirmed");
        // A delivery that was not offered to a rider is none of theirs.
        let rider = shop.staff("rider3").await;
        for (step, body) in [
            ("accept", Value::Null),
            ("decline", Value::Null),
            ("pick-up", Value::Null),
            ("deliver", json!({})),
            ("fail", json!({ "reason": "no" })),
        ] {
            let answer = rider.post(&format!("/rider/deliveries/{order}/{step}"), body).await;
            answer.expect(404).problem("not_found");
        }
        let admin = shop.staff("admin").await;
        admin.get(&format!("/orders/{order}")).await.expect(200);
    });
}

#[test]
fn refresh_tokens_are_good_once() {
    on_shop(async |shop| {
        let anybody = shop.anybody();
        let email = format!("{}@example.com", fresh_key());
        let registration = json!({ "email": email, "password": "correct horse", "name": "Asha" });
        let session = anybody.post("/auth/register", registration).await.expect(201).body;
        let refresh = async |token: &str| anybody.post("/auth/refresh", json!({ "refresh_token": token })).await;
        let first = session["refresh_token"].as_str().unwrap();
        let second = refresh(first).await.expect(200).body;
        let customer = anybody.with(second["access_token"].as_str().unwrap());
        customer.get("/users/me").await.expect(200);
        // The first one comes back: two parties hold it, so nobody keeps the session.
        refresh(first).await.expect(401).problem("refresh_token_invalid");
        let second = second["refresh_token"].as_str().unwrap();
        refresh(second).await.expect(401).problem("refresh_token_invalid");
        for nonsense in ["", "a.b.c", "u-nobody.abc.def", &"x".repeat(1_000)] {
            refresh(nonsense).await.expect(401).problem("refresh_token_invalid");
        }

        let login = json!({ "email": email, "password": "correct horse" });
        let session = anybody.post("/auth/login", login).await.expect(200).body;
        let customer = anybody.with(session["access_token"].as_str().unwrap());
        customer.post("/auth/logout", Value::Null).await.expect(204);
        let ended = session["refresh_token"].as_str().unwrap();
        refresh(ended).await.expect(401).problem("refresh_token_invalid");
    });
}

#[test]
fn wrong_credentials_say_no_more() {
    on_shop(async |shop| {
        let anybody = shop.anybody();
        let mut answers = Vec::new();
        for (email, password) in [
            ("customer@nakku.example", "wrong password"),
            ("nobody@nakku.example", "wrong password"),
            ("no e-mail", "wrong password"),
            ("customer@nakku.example", ""),
        ] {
            let answer = anybody.post("/auth/login", json!({ "email": email, "password": password })).await;
            answers.push(answer.expect(401).problem("wrong_credentials").body);
        }
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    });
}
