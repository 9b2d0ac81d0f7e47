//! Who is let in to the admin listener, from where, by what; and the console's files.

use std::time::Duration;

use nakku_actors::demo;
use nakku_gateway::{Admin, AdminSettings, Secret};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{ADMIN_TOKEN, Answer, Shop, on_shop};

const SESSION: &str = "/admin/v1/session";

fn request(admin: &Admin, method: Method, path: &str) -> RequestBuilder {
    reqwest::Client::new().request(method, format!("http://{}{path}", admin.local_address()))
}

async fn log_in(admin: &Admin, credentials: Value) -> Answer {
    Answer::to(request(admin, Method::POST, SESSION).json(&credentials)).await
}

/// The cookie as a browser sends it back, and the proof.
async fn session(admin: &Admin) -> (String, String) {
    let answer = log_in(admin, json!({ "email": "admin@nakku.example", "password": demo::PASSWORD })).await.expect(200);
    let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
    (cookie, answer.body["csrf"].as_str().unwrap().to_owned())
}

async fn other_admin(shop: &Shop, change: impl FnOnce(&mut AdminSettings)) -> Admin {
    let mut settings =
        AdminSettings { listen: "127.0.0.1:0".parse().unwrap(), ..AdminSettings::new(Secret::new(ADMIN_TOKEN)) };
    change(&mut settings);
    nakku_gateway::start_admin(shop.node.cluster(), settings).await.expect("the admin listener starts")
}

async fn end(admin: Admin) {
    admin.drain(Duration::from_secs(5)).await;
}

#[test]
fn an_admin_logs_in_is_known_by_the_cookie_and_logs_out() {
    on_shop(async |shop| {
        let admin = shop.admin().await;
        let answer = log_in(&admin, json!({ "email": " Admin@Nakku.example ", "password": demo::PASSWORD })).await;
        assert_eq!(answer.body["operator"], "admin@nakku.example");
        assert_eq!(answer.header("cache-control"), "no-store");
        let set = answer.header("set-cookie");
        for part in ["nakku_admin=", "HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=28800"] {
            assert!(set.contains(part), "{set} lacks {part}");
        }
        assert!(!set.contains("Secure") && !set.contains("Domain"), "{set}");
        let cookie = set.split(';').next().unwrap();
        let csrf = answer.body["csrf"].as_str().unwrap();
        assert!(cookie.len() > 40 && csrf.len() > 40 && !cookie.contains(csrf));

        let asked = |method, path: &str| request(&admin, method, path).header("cookie", cookie);
        Answer::to(asked(Method::GET, "/admin/v1/status")).await.expect(200);
        let who = Answer::to(asked(Method::GET, SESSION)).await.expect(200).body;
        assert_eq!(who, json!({ "operator": "admin@nakku.example", "csrf": csrf }));
        let body = json!({ "reason": "a test", "dry_run": true });
        let passivate = || asked(Method::POST, "/admin/v1/entities/passivate").json(&body);
        Answer::to(passivate()).await.expect(403).problem("forbidden");
        Answer::to(passivate().header("x-nakku-csrf", "guessed")).await.expect(403).problem("forbidden");
        Answer::to(passivate().header("x-nakku-csrf", csrf)).await.expect(200);
        Answer::to(asked(Method::DELETE, SESSION)).await.expect(403).problem("forbidden");
        let out = Answer::to(asked(Method::DELETE, SESSION).header("x-nakku-csrf", csrf)).await.expect(204);
        assert!(out.header("set-cookie").contains("Max-Age=0"));
        Answer::to(asked(Method::GET, "/admin/v1/status")).await.expect(401).problem("token_revoked");
        assert_eq!(Answer::to(asked(Method::GET, SESSION)).await.expect(200).body["operator"], Value::Null);
        end(admin).await;
    });
}

#[test]
fn only_admins_log_in_or_who_has_the_token() {
    on_shop(async |shop| {
        let admin = shop.admin().await;
        let wrong = log_in(&admin, json!({ "email": "admin@nakku.example", "password": "wrong horse" })).await;
        wrong.expect(401).problem("wrong_credentials");
        log_in(&admin, json!({ "email": "no@body.example", "password": "x" })).await.problem("wrong_credentials");
        let rider = log_in(&admin, json!({ "email": "rider1@nakku.example", "password": demo::PASSWORD })).await;
        let rider = rider.expect(403).problem("forbidden");
        assert!(rider.headers.get("set-cookie").is_none());
        log_in(&admin, json!({ "token": "not the admin token" })).await.expect(401).problem("wrong_credentials");
        log_in(&admin, json!({ "token": ADMIN_TOKEN, "email": "a@b.example" })).await.problem("missing_field");
        log_in(&admin, json!({})).await.problem("missing_field");
        assert_eq!(log_in(&admin, json!({ "token": ADMIN_TOKEN })).await.expect(200).body["operator"], "token");
        // A user's token opens nothing here.
        let token = shop.staff("admin").await.token.unwrap();
        let asked = request(&admin, Method::GET, "/admin/v1/status").bearer_auth(token);
        Answer::to(asked).await.expect(403).problem("forbidden");
        Answer::to(request(&admin, Method::GET, "/admin/v1/status")).await.expect(401).problem("token_missing");
        let unknown = request(&admin, Method::GET, "/admin/v1/status").header("cookie", "nakku_admin=guessed");
        Answer::to(unknown).await.expect(401).problem("token_revoked");
        // The token needs no proof: no browser sends it by itself.
        let dry = request(&admin, Method::POST, "/admin/v1/entities/passivate").bearer_auth(ADMIN_TOKEN);
        Answer::to(dry.json(&json!({ "reason": "a test", "dry_run": true }))).await.expect(200);
        end(admin).await;
    });
}

#[test]
fn log_ins_are_limited_by_address() {
    on_shop(async |shop| {
        let admin = shop.admin().await;
        let mut refused = 0;
        for _ in 0..12 {
            let answer = log_in(&admin, json!({ "token": "guess after guess" })).await;
            if answer.status == 429 {
                assert!(answer.headers.contains_key("retry-after"));
                answer.problem("rate_limited");
                refused += 1;
            }
        }
        assert!(refused >= 1);
        let bearer = request(&admin, Method::GET, "/admin/v1/status").bearer_auth(ADMIN_TOKEN);
        Answer::to(bearer).await.expect(200);
        end(admin).await;
    });
}

#[test]
fn a_foreign_host_or_origin_is_refused() {
    on_shop(async |shop| {
        let admin =
            other_admin(shop, |settings| settings.hosts = vec!["Admin.example".into(), "other.example:8443".into()])
                .await;
        let port = admin.local_address().port();
        let status = || request(&admin, Method::GET, "/admin/v1/status").bearer_auth(ADMIN_TOKEN);
        let own = [format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}")];
        let named = ["admin.example", "admin.example:7947", "other.example:8443"].map(str::to_owned);
        for host in own.iter().chain(&named) {
            Answer::to(status().header("host", host)).await.expect(200);
        }
        let foreign =
            [format!("evil.example:{port}"), "localhost:1".into(), "other.example:1".into(), "192.0.2.1".into()];
        for host in &foreign {
            Answer::to(status().header("host", host)).await.expect(403).problem("forbidden");
            Answer::to(request(&admin, Method::GET, "/console").header("host", host)).await.expect(403);
        }
        let from = |origin: &str| status().header("origin", origin).header("host", format!("localhost:{port}"));
        Answer::to(from(&format!("http://localhost:{port}"))).await.expect(200);
        for origin in [
            format!("http://127.0.0.1:{port}"),
            "http://localhost".into(),
            "https://evil.example".into(),
            "null".into(),
        ] {
            Answer::to(from(&origin)).await.expect(403).problem("forbidden");
        }
        let behind_proxy = status().header("origin", "https://admin.example").header("host", "admin.example");
        Answer::to(behind_proxy).await.expect(200);
        end(admin).await;
    });
}

#[test]
fn the_cookie_is_for_tls_only_behind_tls_and_without_it_there_is_loopback_only() {
    on_shop(async |shop| {
        let admin = shop.admin().await;
        let forwarded = request(&admin, Method::POST, SESSION).header("x-forwarded-proto", "https");
        let answer = Answer::to(forwarded.json(&json!({ "token": ADMIN_TOKEN }))).await.expect(200);
        assert!(answer.header("set-cookie").ends_with("; Secure"));
        end(admin).await;

        let listen = "0.0.0.0:0".parse().unwrap();
        let open = AdminSettings { listen, ..AdminSettings::new(Secret::new(ADMIN_TOKEN)) };
        let refused = nakku_gateway::start_admin(shop.node.cluster(), open).await.unwrap_err().to_string();
        assert!(refused.contains("admin.behind_tls"), "{refused}");
        let admin = other_admin(shop, |settings| (settings.listen, settings.behind_tls) = (listen, true)).await;
        let port = admin.local_address().port();
        let url = format!("http://127.0.0.1:{port}{SESSION}");
        let answer =
            Answer::to(reqwest::Client::new().post(&url).json(&json!({ "token": ADMIN_TOKEN }))).await.expect(200);
        assert!(answer.header("set-cookie").ends_with("; Secure"));
        end(admin).await;
    });
}

#[test]
fn the_console_is_served_to_everybody_and_its_policy_is_strict() {
    on_shop(async |shop| {
        let admin = shop.admin().await;
        let page = Answer::to(request(&admin, Method::GET, "/console")).await.expect(200);
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(page.header("cache-control"), "no-store");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        let policy = page.header("content-security-policy");
        for part in ["default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(part), "{policy} lacks {part}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        let html = page.body.as_str().unwrap();
        let files: Vec<&str> = html.split(['"']).filter(|text| text.starts_with("/console/")).collect();
        assert!(files.len() >= 3, "{files:?}");
        for file in files {
            let answer = Answer::to(request(&admin, Method::GET, file)).await.expect(200);
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
        }
        let script = Answer::to(request(&admin, Method::GET, "/console/main.js")).await.expect(200);
        assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
        Answer::to(request(&admin, Method::GET, "/console/nothing.js")).await.expect(401);
        Answer::to(request(&admin, Method::POST, "/console")).await.expect(401);
        end(admin).await;
    });
}

#[test]
fn a_session_is_known_to_the_listener_that_opened_it_only() {
    on_shop(async |shop| {
        let admin = shop.admin().await;
        let (cookie, _) = session(&admin).await;
        // The cookie of one listener is nothing to another.
        let other = shop.admin().await;
        let asked = request(&other, Method::GET, "/admin/v1/status").header("cookie", cookie);
        Answer::to(asked).await.expect(401).problem("token_revoked");
        end(other).await;
        end(admin).await;
    });
}
