//! Being forgotten: by oneself and by an operator.

use std::time::Duration;

use nakku_actors::notification::{self, Inbox};
use nakku_actors::public::PublicData;
use nakku_actors::user;
use nakku_cluster::events::{Envelope, Live, Watch};
use nakku_cluster::{Ask, AskError, Key, Ref};
use nakku_gateway::{AdminSettings, Secret};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Client, PASSWORD, Shop, eventually, fresh_key, on_shop, settings};

/// Somebody with a name that nobody else has.
struct Person {
    email: String,
    id: Key,
    client: Client,
    session: Value,
}

async fn person(shop: &Shop) -> Person {
    let email = format!("{}@example.com", fresh_key());
    let body = json!({ "email": email, "password": PASSWORD, "name": "Asha Rao" });
    let session = shop.anybody().post("/auth/register", body).await.expect(201).body;
    let client = shop.anybody().with(session["access_token"].as_str().unwrap());
    Person { email, id: Key::new(session["user"]["id"].as_str().unwrap()).unwrap(), client, session }
}

impl Person {
    async fn erase(&self, password: &str) -> Answer {
        let request = self.client.request(Method::DELETE, "/users/me").json(&json!({ "password": password }));
        Answer::to(request).await
    }

    async fn order(&self, sku: &str) -> String {
        self.client.put_in(sku, 1).await;
        let body = json!({ "payment": { "method": "cash" }, "address": "12 Hill Road" });
        self.client.check_out(&fresh_key(), &body).await.expect(201).body["id"].as_str().unwrap().to_owned()
    }

    async fn log_in(&self, shop: &Shop) -> Answer {
        shop.anybody().post("/auth/login", json!({ "email": self.email, "password": PASSWORD })).await
    }
}

async fn inbox(shop: &Shop, user: &Key, command: notification::Command) -> Result<notification::Reply, String> {
    let ask = Ask::within(Duration::from_secs(20));
    match shop.node.cluster().ask(&Ref::<Inbox>::new(user.clone()), &command, ask).await {
        Ok(answered) => Ok(answered.reply),
        Err(AskError::Rejected { rejection, .. }) => Err(rejection.to_string()),
        Err(AskError::Failed(failure)) => panic!("{failure}"),
    }
}

async fn messages(shop: &Shop, user: &Key) -> usize {
    match inbox(shop, user, notification::Command::List { before: None, limit: 100 }).await {
        Ok(notification::Reply::Messages { messages, .. }) => messages.len(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_wants_to_be_forgotten_is_once_nothing_is_under_way() {
    on_shop(async |shop| {
        let leaving = person(shop).await;
        let address = json!({ "line": "12 Hill Road", "city": "Mumbai", "pin_code": "400050" });
        leaving.client.post("/users/me/addresses", address).await.expect(201);
        let sku = shop.product(5, 1_000).await;
        let order = leaving.order(&sku).await;
        let told = async || (messages(shop, &leaving.id).await > 0).then_some(());
        eventually("something is in the inbox", told).await;

        let refused = leaving.erase(PASSWORD).await.expect(409).problem("order_under_way");
        assert_eq!(refused.body["order"], order.as_str());
        leaving.erase("wrong password").await.expect(401).problem("wrong_credentials");
        leaving.client.delete("/users/me").await.expect(415).problem("unsupported_media_type");
        leaving.client.post(&format!("/orders/{order}/cancel"), json!({})).await.expect(200);
        let path = format!("/orders/{order}");
        let cancelled = async || (leaving.client.get(&path).await.body["status"] == "cancelled").then_some(());
        eventually("the order is cancelled", cancelled).await;
        leaving.client.put_in(&sku, 2).await;

        let mut live = shop.node.cluster().live();
        let erased = leaving.erase(PASSWORD).await.expect(200).body;
        assert_eq!((&erased["id"], &erased["by"]), (&json!(leaving.id), &json!("user")));
        for path in ["/users/me", "/cart", "/orders", "/notifications"] {
            leaving.client.get(path).await.expect(401).problem("token_revoked");
        }
        leaving.log_in(shop).await.expect(401).problem("wrong_credentials");
        let refresh = json!({ "refresh_token": leaving.session["refresh_token"] });
        shop.anybody().post("/auth/refresh", refresh).await.expect(401).problem("refresh_token_invalid");

        let event = heard(&mut live, &leaving.id).await;
        let data: user::public::Erased = event.data().unwrap();
        assert_eq!(json!(data.erased_at_ms), erased["erased_at_ms"]);
        let known = nakku_actors::events().into_iter().find(|one| one.event_type == event.event_type).unwrap();
        let named = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(named(&event.data), named(&known.schema["properties"]), "it says what its schema says");

        // Others forget as soon as they hear of it.
        let forgotten = async || (messages(shop, &leaving.id).await == 0).then_some(());
        eventually("the inbox is empty", forgotten).await;
        let deliver = notification::Command::Prefer { preferences: Default::default() };
        eventually("nothing comes in", async || inbox(shop, &leaving.id, deliver.clone()).await.err()).await;
        let register = json!({ "email": leaving.email, "password": PASSWORD, "name": "Somebody else" });
        let anew = async || {
            let answer = shop.anybody().post("/auth/register", register.clone()).await;
            (answer.status == 201).then_some(answer.body)
        };
        let anew = eventually("the e-mail can be registered anew", anew).await;
        assert_ne!(anew["user"]["id"], json!(leaving.id));
        assert_eq!(anew["user"]["addresses"], json!([]));

        // What the books need stays, under the key alone.
        let kept = shop.staff("admin").await.get(&path).await.expect(200).body;
        assert_eq!(kept["lines"][0]["sku"], sku.as_str());
        assert!(!kept.to_string().contains("Asha"), "{kept}");
    });
}

#[test]
fn an_order_placed_at_the_same_moment_breaks_nothing() {
    on_shop(async |shop| {
        let sku = shop.product(50, 1_000).await;
        for _ in 0..6 {
            let leaving = person(shop).await;
            leaving.client.put_in(&sku, 1).await;
            let body = json!({ "payment": { "method": "cash" }, "address": "12 Hill Road" });
            let key = fresh_key();
            let (erased, placed) = tokio::join!(leaving.erase(PASSWORD), leaving.client.check_out(&key, &body));
            assert!(matches!(erased.status.as_u16(), 200 | 409), "{erased:?}");
            assert!(matches!(placed.status.as_u16(), 201 | 202 | 401 | 409), "{placed:?}");
            let admin = shop.staff("admin").await;
            let order = nakku_actors::order::order_key(&leaving.id, &key);
            // Whatever came of it is whole: goods are held for a confirmed order only.
            let decided = async || {
                let answer = admin.get(&format!("/orders/{order}")).await;
                (answer.status == 404 || answer.body["status"] != "placing").then_some(answer)
            };
            let decided = eventually("the order is decided", decided).await;
            if placed.status == 201 {
                assert_ne!(decided.body["status"], "cancelled", "{:?}", decided.body);
            }
            if erased.status == 200 {
                let late = leaving.client.check_out(&fresh_key(), &body).await;
                late.expect(401).problem("token_revoked");
            }
        }
        let whole = async || {
            let level = shop.level(&sku).await;
            let count = |name: &str| level[name].as_u64().unwrap();
            (count("on_hand") == count("available") + count("reserved")).then_some(())
        };
        eventually("the stock is whole", whole).await;
    });
}

#[test]
fn an_operator_erases_and_every_gateway_hears_of_it() {
    on_shop(async |shop| {
        let token = "an admin token for tests";
        let listen = AdminSettings { listen: "127.0.0.1:0".parse().unwrap(), ..AdminSettings::new(Secret::new(token)) };
        let admin = nakku_gateway::start_admin(shop.node.cluster(), listen).await.unwrap();
        // One that would believe for an hour that a session is open.
        let mut lasting = settings();
        lasting.shared.session_ttl = Duration::from_secs(3_600);
        let other = nakku_gateway::start(shop.node.cluster(), lasting).await.unwrap();
        let erase = async |id: &str, reason: &str| {
            let url = format!("http://{}/admin/v1/users/{id}/erase", admin.local_address());
            let request = reqwest::Client::new().post(url).bearer_auth(token).json(&json!({ "reason": reason }));
            Answer::to(request).await
        };
        let leaving = person(shop).await;
        let there = Client::of(&other).with(leaving.client.token.as_ref().unwrap());
        there.get("/users/me").await.expect(200);
        erase("u-nobody", "abuse").await.expect(404).problem("not_found");
        erase(leaving.id.as_str(), "because").await.expect(422);
        let first = erase(leaving.id.as_str(), "inactive").await.expect(200).body;
        assert_eq!((&first["by"], &first["reason"]), (&json!("operator"), &json!("inactive")));
        let ended = async || (there.get("/users/me").await.status == 401).then_some(());
        eventually("the session has ended at the other gateway", ended).await;
        assert_eq!(erase(leaving.id.as_str(), "abuse").await.expect(200).body, first, "repeated, it changes nothing");
        leaving.log_in(shop).await.expect(401).problem("wrong_credentials");
        other.drain(Duration::from_secs(5)).await;
        admin.drain(Duration::from_secs(5)).await;
    });
}

async fn heard(live: &mut Watch, user: &Key) -> Envelope {
    let hear = async {
        loop {
            let Live::Event(event) = live.recv().await.expect("events come") else { continue };
            if event.event_type == user::public::Erased::TYPE && event.subject == user.as_str() {
                return (*event).clone();
            }
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, hear).await.expect("user.erased is told")
}
