//! Draining.

use std::time::{Duration, Instant};

use serde_json::json;

use super::client::{Events, Socket, another};
use crate::support::{Client, on_shop, settings};

#[test]
fn a_drain_tells_live_connections_to_go_elsewhere_and_does_not_wait_for_them() {
    on_shop(async |shop| {
        let gateway = another(shop, settings()).await;
        let admin = shop.staff("admin").await.token.unwrap();
        let mut socket = Socket::open(&gateway, &admin).await;
        assert!(socket.subscribe(json!({ "store": "s-1" })).await["snapshot"].is_object());
        let client = Client::of(&gateway).with(&admin);
        let mut events = Events::open(&client, "store=s-1", None).await;
        assert_eq!(events.next().await.unwrap().kind, "snapshot");
        let begun = Instant::now();
        let draining = tokio::spawn({
            let gateway = gateway.clone();
            async move { gateway.drain(Duration::from_secs(60)).await }
        });
        assert_eq!(socket.closed().await, (1012, "service restart".into()));
        let last = events.next().await.unwrap();
        assert_eq!((last.kind.as_str(), &last.data["problem"]["code"]), ("problem", &json!("unavailable")));
        assert!(events.next().await.is_none(), "the stream has ended");
        assert_eq!(draining.await.unwrap(), 0, "nothing was cut");
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    });
}
