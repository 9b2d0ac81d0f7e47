//! What several gateways share: limits, the end of sessions, cached pages; and a gateway without Redis, or with a
//! Redis that is away.

use std::time::Duration;

use nakku_actors::product::command::Price;
use nakku_actors::product::{self, Product};
use nakku_cluster::{Ask, Key, Ref};
use nakku_gateway::shared::SharedSettings;
use nakku_gateway::{Gateway, GatewaySettings, LimitSettings};
use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{self, Server};
use crate::support::{Answer, Client, PASSWORD, Shop, eventually, fresh_key, new_product, on_shop, settings};

async fn gateway(shop: &Shop, change: impl Fn(&mut GatewaySettings)) -> Gateway {
    let mut settings = settings();
    change(&mut settings);
    nakku_gateway::start(shop.node.cluster(), settings).await.expect("the gateway starts")
}

/// Two gateways that know each other only through this server.
async fn pair(shop: &Shop, server: &Server, change: impl Fn(&mut GatewaySettings)) -> [Gateway; 2] {
    let shared = server::settings(vec![server.url()]);
    let change = |settings: &mut GatewaySettings| {
        settings.shared = shared.clone();
        change(settings);
    };
    [gateway(shop, change).await, gateway(shop, change).await]
}

async fn end(gateways: impl IntoIterator<Item = Gateway>) {
    for gateway in gateways {
        gateway.drain(Duration::from_secs(5)).await;
    }
}

fn at(gateway: &Gateway, client: &Client) -> Client {
    Client::of(gateway).with(client.token.as_ref().unwrap())
}

fn slow_limits() -> LimitSettings {
    LimitSettings {
        enabled: true,
        per_user_per_s: 1,
        per_user_burst: 4,
        per_address_burst: 10_000,
        per_address_per_s: 10_000,
        log_ins_per_address_per_min: 1,
        log_ins_per_address_burst: 2,
    }
}

#[test]
fn two_gateways_share_the_limits_of_a_user() {
    on_shop(async |shop| {
        let server = Server::start().await;
        // So slow that no token comes back meanwhile, however slow the machine is.
        let slow = |settings: &mut GatewaySettings| {
            settings.limits = LimitSettings { per_user_per_s: 1, per_user_burst: 40, ..slow_limits() }
        };
        let gateways = pair(shop, &server, slow).await;
        let (customer, other) = (shop.customer().await, shop.customer().await);
        let mut asked = Vec::new();
        for number in 0..120 {
            let client = at(&gateways[number % 2], &customer);
            asked.push(tokio::spawn(async move { client.get("/users/me").await }));
        }
        let begun = std::time::Instant::now();
        let mut allowed = 0;
        for answer in asked {
            let answer = answer.await.unwrap();
            assert!(answer.header("ratelimit-policy").contains(r#""user";q=40;w=40"#), "{answer:?}");
            assert!(answer.header("ratelimit").starts_with(r#""user";r="#), "{answer:?}");
            if answer.status == 200 {
                allowed += 1;
                continue;
            }
            let refused = answer.expect(429).problem("rate_limited");
            assert_eq!((refused.header("retry-after"), &refused.body["policy"]), ("1", &json!("user")));
        }
        // One comes back each second.
        let back = begun.elapsed().as_secs() as usize + 1;
        assert!((40..=40 + back).contains(&allowed), "{allowed} after {:?}", begun.elapsed());
        at(&gateways[0], &other).get("/users/me").await.expect(200);
        for path in ["//health", "//ready", "//metrics", "//docs", "//openapi.json"] {
            let answer = at(&gateways[0], &customer).get(path).await.expect(200);
            assert!(!answer.headers.contains_key("ratelimit"), "{path} is not limited");
        }
        end(gateways).await;
    });
}

#[test]
fn log_ins_are_limited_by_address_and_proxies_are_believed_when_trusted() {
    on_shop(async |shop| {
        let trusting = gateway(shop, |settings| {
            settings.limits = slow_limits();
            settings.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        })
        .await;
        let wary = gateway(shop, |settings| settings.limits = slow_limits()).await;
        let log_in = async |gateway: &Gateway, from: &str| {
            let body = json!({ "email": "nobody@nakku.example", "password": "wrong password" });
            let request = Client::of(gateway).request(Method::POST, "/auth/login").header("X-Forwarded-For", from);
            Answer::to(request.json(&body)).await
        };
        for from in ["203.0.113.7", "1.1.1.1, 203.0.113.7"] {
            log_in(&trusting, from).await.expect(401).problem("wrong_credentials");
        }
        let refused = log_in(&trusting, "2.2.2.2, 203.0.113.7").await.expect(429).problem("rate_limited");
        assert_eq!(refused.body["policy"], "log-in");
        log_in(&trusting, "203.0.113.8").await.expect(401);
        for from in ["203.0.113.1", "203.0.113.2"] {
            log_in(&wary, from).await.expect(401);
        }
        log_in(&wary, "203.0.113.3").await.expect(429).problem("rate_limited");
        Client::of(&wary).get("/products").await.expect(200);
        end([trusting, wary]).await;
    });
}

async fn log_in(client: &Client, email: &str) -> Value {
    client.post("/auth/login", json!({ "email": email, "password": PASSWORD })).await.expect(200).body
}

async fn registered(client: &Client) -> (String, Value) {
    let email = format!("{}@example.com", fresh_key());
    let body = json!({ "email": email, "password": PASSWORD, "name": "Asha" });
    (email, client.post("/auth/register", body).await.expect(201).body)
}

fn access(session: &Value) -> &str {
    session["access_token"].as_str().unwrap()
}

#[test]
fn a_log_out_at_one_gateway_holds_at_the_other_at_once() {
    on_shop(async |shop| {
        let server = Server::start().await;
        let lasting = |settings: &mut GatewaySettings| settings.shared.session_ttl = Duration::from_secs(3_600);
        let [one, other] = pair(shop, &server, lasting).await;
        let (email, first) = registered(&Client::of(&one)).await;
        let second = log_in(&Client::of(&other), &email).await;
        for gateway in [&one, &other] {
            for session in [&first, &second] {
                Client::of(gateway).with(access(session)).get("/users/me").await.expect(200);
            }
        }
        Client::of(&one).with(access(&first)).post("/auth/logout", Value::Null).await.expect(204);
        for gateway in [&one, &other] {
            let refused = Client::of(gateway).with(access(&first)).get("/users/me").await;
            assert_eq!(refused.expect(401).problem("token_revoked").header("www-authenticate"), "Bearer");
            Client::of(gateway).with(access(&second)).get("/users/me").await.expect(200);
        }
        let live = Client::of(&other).request(Method::GET, "/live");
        let upgrade = [
            ("Connection", "upgrade".to_owned()),
            ("Upgrade", "websocket".to_owned()),
            ("Sec-WebSocket-Version", "13".to_owned()),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==".to_owned()),
            ("Sec-WebSocket-Protocol", format!("nakku.live.v1, bearer.{}", access(&first))),
        ];
        let live = upgrade.into_iter().fold(live, |request, (name, value)| request.header(name, value));
        Answer::to(live).await.expect(401).problem("token_revoked");
        // A refresh token that comes back ends its session, and the access tokens with it.
        let refresh = async |gateway: &Gateway| {
            Client::of(gateway).post("/auth/refresh", json!({ "refresh_token": second["refresh_token"] })).await
        };
        let third = refresh(&one).await.expect(200).body;
        Client::of(&other).with(access(&third)).get("/users/me").await.expect(200);
        refresh(&other).await.expect(401).problem("refresh_token_invalid");
        for session in [&second, &third] {
            Client::of(&one).with(access(session)).get("/users/me").await.expect(401).problem("token_revoked");
        }
        end([one, other]).await;
    });
}

#[test]
fn without_redis_a_log_out_holds_elsewhere_within_its_time() {
    on_shop(async |shop| {
        let brief = |settings: &mut GatewaySettings| settings.shared.session_ttl = Duration::from_millis(500);
        let [one, other] = [gateway(shop, brief).await, gateway(shop, brief).await];
        let (_, session) = registered(&Client::of(&one)).await;
        let token = access(&session);
        Client::of(&other).with(token).get("/users/me").await.expect(200);
        Client::of(&one).with(token).post("/auth/logout", Value::Null).await.expect(204);
        Client::of(&one).with(token).get("/users/me").await.expect(401).problem("token_revoked");
        tokio::time::sleep(Duration::from_millis(600)).await;
        Client::of(&other).with(token).get("/users/me").await.expect(401).problem("token_revoked");
        end([one, other]).await;
    });
}

#[test]
fn a_changed_product_is_seen_everywhere_at_once_and_its_price_is_never_charged_from_the_cache() {
    on_shop(async |shop| {
        let server = Server::start().await;
        let lasting = |settings: &mut GatewaySettings| settings.shared.page_ttl = Duration::from_secs(3_600);
        let gateways = pair(shop, &server, lasting).await;
        let [one, other] = &gateways;
        let (admin, customer) = (shop.staff("admin").await, shop.customer().await);
        let sku = shop.product(5, 1_000).await;
        let price = async |gateway: &Gateway, path: &str| {
            let body = at(gateway, &customer).get(path).await.expect(200).body;
            let item = body["items"].as_array().and_then(|items| items.iter().find(|item| item["sku"] == sku.as_str()));
            item.unwrap_or(&body)["price_minor"].as_i64().unwrap()
        };
        let page = format!("/products/{sku}");
        let list = "/products?category=test&limit=200";
        let change = json!({ "price_minor": 900 });
        for path in [page.as_str(), list] {
            assert_eq!((price(one, path).await, price(other, path).await), (1_000, 1_000));
        }
        at(one, &admin).patch(&page, change).await.expect(200);
        for path in [page.as_str(), list] {
            assert_eq!((price(one, path).await, price(other, path).await), (900, 900), "{path}");
        }
        // A change that came through no gateway: both hear of it, by its event. What is charged comes from no page.
        let changed = Price { mrp_minor: 1_000, price_minor: 800, tax_basis_points: 500 };
        let target = Ref::<Product>::new(Key::new(sku.as_str()).unwrap());
        let command = product::Command::ChangePrice { price: changed };
        shop.node.cluster().ask(&target, &command, Ask::within(Duration::from_secs(20))).await.unwrap();
        for gateway in [one, other] {
            eventually("the page is new", async || (price(gateway, &page).await == 800).then_some(())).await;
        }
        let customer = at(one, &customer);
        customer.put_in(&sku, 2).await;
        let body = json!({ "payment": { "method": "card", "token": "card_approve" }, "address": "x" });
        let order = customer.check_out(&fresh_key(), &body).await.expect(201).body;
        assert_eq!(order["lines"][0]["price_minor"], 800, "{order}");
        at(other, &admin).delete(&page).await.expect(204);
        assert_eq!(at(one, &admin).get(&page).await.expect(200).body["archived"], true);
        let new = format!("test-{}", fresh_key());
        at(one, &admin).get(&format!("/products/{new}")).await.expect(404).problem("product_unknown");
        at(one, &admin).post("/products", new_product(&new, 100)).await.expect(201);
        at(other, &admin).get(&format!("/products/{new}")).await.expect(200);
        end(gateways).await;
    });
}

#[test]
fn without_redis_a_change_at_one_gateway_is_seen_at_the_other_long_before_a_page_ends() {
    on_shop(async |shop| {
        let lasting = |settings: &mut GatewaySettings| settings.shared.page_ttl = Duration::from_secs(3_600);
        let [one, other] = [gateway(shop, lasting).await, gateway(shop, lasting).await];
        let admin = shop.staff("admin").await;
        let sku = shop.product(0, 1_000).await;
        let page = format!("/products/{sku}");
        let there = at(&other, &admin);
        // Gateways hear of the product a moment after it was made, and read it then.
        let price = async |wanted: i64| {
            let body = there.get(&page).await.expect(200).body;
            (body["price_minor"] == wanted).then_some(())
        };
        eventually("the first price", async || price(1_000).await).await;
        for (wanted, name) in [(900, "Butter"), (800, "Ghee")] {
            let change = json!({ "price_minor": wanted, "name": name });
            at(&one, &admin).patch(&page, change).await.expect(200);
            eventually("the change is seen", async || price(wanted).await).await;
            let named = async || (there.get(&page).await.body["name"] == name).then_some(());
            eventually("the name is seen", named).await;
        }
        // A store that begins to have goods, and a store that closes for a while, are seen too.
        let stores = async |gateway: &Gateway| at(gateway, &admin).get("/stores?limit=200").await.expect(200).body;
        let new = format!("s-{}", fresh_key());
        assert!(!stores(&other).await.to_string().contains(&new));
        let supply = json!({ "receipt": fresh_key(), "lines": [{ "sku": sku, "quantity": 1 }] });
        at(&one, &admin).post(&format!("/stores/{new}/stock"), supply).await.expect(200);
        let listed = async || stores(&other).await.to_string().contains(&new).then_some(());
        eventually("the new store is listed", listed).await;
        end([one, other]).await;
    });
}

#[test]
fn nothing_fails_while_redis_is_away_and_health_says_so() {
    on_shop(async |shop| {
        let mut server = Server::start().await;
        let gateways = pair(shop, &server, |settings| {
            settings.limits = LimitSettings { per_user_burst: 1_000, ..slow_limits() };
            settings.shared = SharedSettings { session_ttl: Duration::from_millis(200), ..settings.shared.clone() };
        })
        .await;
        let [one, other] = &gateways;
        let health = async |gateway: &Gateway| {
            let body = Client::of(gateway).get("//health").await.expect(200).body;
            let redis = body["dependencies"].as_array().unwrap().iter().find(|one| one["name"] == "redis").cloned();
            (body["status"].as_str().unwrap().to_owned(), redis.expect("redis is named")["up"].as_bool().unwrap())
        };
        assert_eq!(health(one).await, ("ok".to_owned(), true));
        let customer = shop.customer().await;
        let (_, session) = registered(&shop.anybody()).await;
        let sku = shop.product(10, 100).await;
        let buys = async |gateway: &Gateway| {
            let customer = at(gateway, &customer);
            for path in ["/users/me", "/cart", "/products", "/stores", &format!("/products/{sku}")] {
                customer.get(path).await.expect(200);
            }
            customer.put_in(&sku, 1).await;
            let body = json!({ "payment": { "method": "card", "token": "card_approve" }, "address": "x" });
            customer.check_out(&fresh_key(), &body).await.expect(201);
        };
        buys(one).await;
        for gateway in &gateways {
            Client::of(gateway).with(access(&session)).get("/users/me").await.expect(200);
        }
        server.kill();
        for gateway in &gateways {
            buys(gateway).await;
            assert_eq!(health(gateway).await, ("degraded".to_owned(), false));
            Client::of(gateway).get("//ready").await.expect(200);
        }
        // A log-out that Redis does not hear of: the other gateway asks the user.
        Client::of(one).with(access(&session)).post("/auth/logout", Value::Null).await.expect(204);
        Client::of(one).with(access(&session)).get("/users/me").await.expect(401).problem("token_revoked");
        let held = async || {
            let answer = Client::of(other).with(access(&session)).get("/users/me").await;
            assert!(matches!(answer.status.as_u16(), 200 | 401), "{answer:?}");
            (answer.status == 401).then_some(())
        };
        eventually("the log-out holds at the other gateway", held).await;
        server.restart().await;
        for gateway in &gateways {
            eventually("health is good again", async || (health(gateway).await.0 == "ok").then_some(())).await;
            buys(gateway).await;
            Client::of(gateway).with(access(&session)).get("/users/me").await.expect(401).problem("token_revoked");
        }
        let metrics = Client::of(one).get("//metrics").await.expect(200).body;
        let metrics = metrics.as_str().unwrap();
        for name in ["nakku_gateway_redis_up", "nakku_gateway_redis_operations_total", "nakku_gateway_session_checks"] {
            assert!(metrics.contains(name), "{name}");
        }
        end(gateways).await;
    });
}
