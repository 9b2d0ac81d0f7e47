//! What holds on one server and on a cluster alike, with two gateways that know each other only through it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nakku_cluster::{Key, Timestamp};
use nakku_gateway::SharedSettings;
use nakku_gateway::shared::{Bucket, Found, Mark, PageKey, Position, Shared, Standing, Subject};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::server::{Server, Servers, settings, settings_of_nakku};

/// Runs a check with two gateways on one server, then with two on a cluster, each with the rights that production gives.
async fn on_both(check: impl AsyncFn(Shared, Shared), change: impl Fn(&mut SharedSettings)) {
    let (single, cluster) = tokio::join!(Server::protected(), Servers::protected());
    for urls in [vec![single.url()], cluster.urls()] {
        let mut settings = settings_of_nakku(urls);
        change(&mut settings);
        let gateways = (Shared::start(&settings).await.unwrap(), Shared::start(&settings).await.unwrap());
        assert!(gateways.0.redis().unwrap().up && gateways.1.redis().unwrap().up);
        check(gateways.0, gateways.1).await;
    }
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_burst_is_let_in_however_many_ask_at_once() {
    let check = async |one: Shared, other: Shared| {
        let bucket = Bucket::new("test", 1, Duration::from_secs(3_600), 37);
        let asked = (0..400).map(|number| {
            let limits = if number % 2 == 0 { one.limits.clone() } else { other.limits.clone() };
            tokio::spawn(async move { limits.take(&bucket, "u-1").await })
        });
        let asked: Vec<_> = asked.collect();
        let mut left = Vec::new();
        for answer in asked {
            let taken = answer.await.unwrap();
            if taken.allowed {
                left.push(taken.remaining);
            } else {
                assert!(taken.retry_after > Duration::from_secs(3_500), "{taken:?}");
            }
        }
        left.sort_unstable();
        assert_eq!(left, (0..37).collect::<Vec<_>>(), "each token was given once");
        assert!(other.limits.take(&bucket, "u-2").await.allowed, "another user has another bucket");
        let quick = Bucket::new("quick", 50, Duration::from_secs(1), 1);
        assert!(one.limits.take(&quick, "u-1").await.allowed);
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert!(other.limits.take(&quick, "u-1").await.allowed, "tokens come back by the server's clock");
    };
    on_both(check, |_| {}).await;
}

async fn mark(shared: &Shared, user: &Key, session: &str) -> Mark {
    match shared.sessions.look(user, session).await {
        Standing::Unknown { mark, .. } => mark,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_gateway_notes_about_sessions_the_other_knows() {
    let check = async |one: Shared, other: Shared| {
        let user = key("u-asha");
        let unknown = mark(&one, &user, "a").await;
        one.sessions.note_open(&user, "a", &unknown).await;
        assert_eq!(other.sessions.look(&user, "a").await, Standing::Open);
        mark(&other, &user, "b").await;
        other.sessions.end(&user, "a").await;
        assert_eq!(one.sessions.look(&user, "a").await, Standing::Ended);
        one.sessions.note_open(&user, "a", &unknown).await;
        assert_eq!(other.sessions.look(&user, "a").await, Standing::Ended, "an end is for good");

        let before = mark(&one, &user, "c").await;
        one.sessions.note_open(&user, "c", &before).await;
        assert_eq!(one.sessions.look(&user, "c").await, Standing::Open);
        other.sessions.end_some(&user).await;
        assert_ne!(mark(&one, &user, "c").await, before);
        one.sessions.note_open(&user, "c", &before).await;
        let after = mark(&one, &user, "c").await;
        mark(&other, &user, "c").await;
        one.sessions.note_open(&user, "c", &after).await;
        assert_eq!(other.sessions.look(&user, "c").await, Standing::Open);
        mark(&other, &key("u-ravi"), "c").await;
    };
    on_both(check, |settings| settings.session_ttl = Duration::from_secs(60)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn notes_and_pages_end_by_themselves() {
    let check = async |one: Shared, other: Shared| {
        let user = key("u-asha");
        let unknown = mark(&one, &user, "a").await;
        one.sessions.note_open(&user, "a", &unknown).await;
        let page = PageKey::of(Subject::Product, "butter");
        one.pages.put(&page, String::new(), Bytes::from_static(b"old")).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        mark(&other, &user, "a").await;
        assert!(matches!(other.pages.get(&page).await, Found::Nothing { .. }));
    };
    let brief = |settings: &mut SharedSettings| {
        settings.session_ttl = Duration::from_millis(200);
        settings.page_ttl = Duration::from_millis(200);
    };
    on_both(check, brief).await;
}

async fn version(shared: &Shared, key: &PageKey) -> String {
    match shared.pages.get(key).await {
        Found::Nothing { version, .. } => version,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_on_one_gateway_makes_pages_of_the_other_stale() {
    let check = async |one: Shared, other: Shared| {
        let body = Bytes::from_static(b"{\"lines\":\n\"two\"}");
        let [butter, bread] = ["butter", "bread"].map(|sku| PageKey::of(Subject::Product, sku));
        let list = PageKey::list(Subject::Product, "category=dairy");
        let store = PageKey::of(Subject::Store, "butter");
        let keys = [&butter, &bread, &list, &store];
        for key in keys {
            let version = version(&one, key).await;
            one.pages.put(key, version, body.clone()).await;
            assert_eq!(other.pages.get(key).await, Found::Page(body.clone()));
        }
        let reading = version(&other, &PageKey::of(Subject::Product, "milk")).await;
        one.pages.invalidate(Subject::Product, "milk").await;
        other.pages.put(&PageKey::of(Subject::Product, "milk"), reading, body.clone()).await;
        version(&one, &PageKey::of(Subject::Product, "milk")).await;

        other.pages.invalidate(Subject::Product, "butter").await;
        for key in [&butter, &list] {
            let version = version(&one, key).await;
            one.pages.put(key, version, Bytes::from_static(b"new")).await;
            assert_eq!(other.pages.get(key).await, Found::Page(Bytes::from_static(b"new")));
        }
        for key in [&bread, &store] {
            assert_eq!(one.pages.get(key).await, Found::Page(body.clone()));
        }
    };
    on_both(check, |settings| settings.page_ttl = Duration::from_secs(60)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn riders_are_found_as_without_redis() {
    let seed = std::env::var("NAKKU_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("NAKKU_TEST_SEED={seed}");
    let check = async |one: Shared, other: Shared| {
        let mut random = StdRng::seed_from_u64(seed);
        let alone = Shared::in_process(&SharedSettings::default());
        let areas = ["s-indiranagar", "s-koramangala"].map(key);
        for number in 0..200 {
            let at = Timestamp(Timestamp::now().0 - random.random_range(0..10_000));
            let latitude = 12.97 + random.random_range(-0.05..0.05);
            let longitude = 77.64 + random.random_range(-0.05..0.05);
            let position = Position::new(latitude, longitude, at).unwrap();
            let (area, rider) = (&areas[number % 2], key(&format!("r-{}", number % 150)));
            one.positions.put(area, &rider, position).await.unwrap();
            alone.positions.put(area, &rider, position).await.unwrap();
        }
        for area in &areas {
            for (radius_m, limit) in [(500.0, 10), (3_000.0, 5), (20_000.0, 1_000), (20_000.0, 0)] {
                let found = other.positions.near(area, 12.97, 77.64, radius_m, limit).await.unwrap();
                let expected = alone.positions.near(area, 12.97, 77.64, radius_m, limit).await.unwrap();
                // Redis rounds places to within a metre, which may swap neighbours and move some over the rim.
                assert!(found.len().abs_diff(expected.len()) <= 2, "{} {}", found.len(), expected.len());
                for (one, other) in found.iter().zip(&expected) {
                    assert!((one.distance_m - other.distance_m).abs() < 5.0, "{one:?} {other:?}");
                }
                assert!(found.windows(2).all(|pair| pair[0].distance_m <= pair[1].distance_m));
            }
        }
        for number in 0..150 {
            let rider = key(&format!("r-{number}"));
            assert_eq!(other.positions.of(&rider).await, alone.positions.of(&rider).await, "{rider}");
        }
        assert_eq!(other.positions.of(&key("r-nobody")).await, Ok(None));
        assert_eq!(other.positions.near(&key("s-nowhere"), 12.97, 77.64, 1e6, 10).await, Ok(Vec::new()));
    };
    on_both(check, |_| {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn riders_who_fall_silent_or_go_off_duty_are_nowhere() {
    let check = async |one: Shared, other: Shared| {
        let (area, ravi, sita) = (key("s-indiranagar"), key("r-ravi"), key("r-sita"));
        let now = || Timestamp::now();
        let here = |at: Timestamp| Position::new(12.97, 77.64, at).unwrap();
        let near = async |shared: &Shared| {
            let near = shared.positions.near(&area, 12.97, 77.64, 100.0, 10).await.unwrap();
            near.into_iter().map(|nearby| nearby.rider.to_string()).collect::<Vec<_>>()
        };
        one.positions.put(&area, &ravi, here(Timestamp(now().0 - 60_000))).await.unwrap();
        assert!(near(&other).await.is_empty(), "a position that came too late");
        // A clock that is ahead keeps nobody for longer.
        one.positions.put(&area, &ravi, here(Timestamp(now().0 + 60_000))).await.unwrap();
        one.positions.put(&area, &sita, here(now())).await.unwrap();
        assert_eq!(near(&other).await.len(), 2);
        other.positions.remove(&area, &sita).await.unwrap();
        assert_eq!(near(&one).await, ["r-ravi"]);
        assert_eq!(one.positions.of(&sita).await, Ok(None));
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        assert!(near(&other).await.is_empty());
        assert_eq!(other.positions.of(&ravi).await, Ok(None));
    };
    on_both(check, |settings| settings.position_ttl = Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_bounded_in_time_on_the_server() {
    let server = Server::start().await;
    let shared = Arc::new(Shared::start(&settings(vec![server.url()])).await.unwrap());
    let (user, area) = (key("u-asha"), key("s-indiranagar"));
    shared.limits.take(&Bucket::new("test", 1, Duration::from_secs(60), 5), "u-asha").await;
    let unknown = mark(&shared, &user, "a").await;
    shared.sessions.note_open(&user, "a", &unknown).await;
    shared.sessions.end(&user, "b").await;
    shared.sessions.end_some(&user).await;
    shared.pages.put(&PageKey::list(Subject::Store, ""), String::new(), Bytes::from_static(b"x")).await;
    shared.pages.invalidate(Subject::Store, "s-1").await;
    shared.positions.put(&area, &user, Position::new(12.9, 77.6, Timestamp::now()).unwrap()).await.unwrap();
    let keys = server.ask(&["KEYS", "*"]);
    assert!(keys.lines().count() >= 10, "{keys}");
    for key in keys.lines() {
        let left_ms: i64 = server.ask(&["PTTL", key]).parse().unwrap();
        assert!(left_ms > 0, "{key} stays for ever");
    }
}
