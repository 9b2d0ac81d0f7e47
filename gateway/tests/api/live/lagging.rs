//! Clients that are silent, and a gateway that was too slow to hear everything.

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nakku_cluster::events::{LIVE_BUFFERED_MAX, Live, Signal};
use nakku_gateway::settings::LiveSettings;
use nakku_gateway::{Gateway, GatewaySettings};
use serde_json::json;
use tokio::runtime::{Builder, Handle};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::client::{Events, Socket, another, behind, journal, order};
use crate::support::{Client, PATIENCE, STORE, Shop, eventually, on_shop, settings};

#[test]
fn a_client_that_answers_no_ping_is_cut_off_and_one_that_does_stays() {
    on_shop(async |shop| {
        const HEARTBEAT: Duration = Duration::from_millis(300);
        let live = LiveSettings { heartbeat: HEARTBEAT, ..LiveSettings::default() };
        let gateway = another(shop, GatewaySettings { live, ..settings() }).await;
        let admin = shop.staff("admin").await.token.unwrap();
        let mut attentive = Socket::open(&gateway, &admin).await;
        let begun = Instant::now();
        // Pings are answered by whoever reads.
        let silent = Socket::open(&gateway, &admin).await;
        eventually("the silent one is gone", async || {
            assert_eq!(attentive.soon(Duration::from_millis(20)).await, None);
            (gateway.status().await.unwrap().live_connections == 1).then_some(())
        })
        .await;
        let taken = begun.elapsed();
        assert!(taken > HEARTBEAT * 2 && taken < HEARTBEAT * 3 * 5, "gone after {taken:?}");
        silent.cut_off().await;
        assert!(attentive.subscribe(json!({ "store": "s-1" })).await["snapshot"].is_object());
        gateway.drain(Duration::from_secs(5)).await;
    });
}

/// A gateway of the shop's node on a thread of its own, which can be held up.
struct Aside {
    gateway: Gateway,
    runtime: Handle,
    thread: std::thread::JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl Aside {
    async fn start(shop: &Shop) -> Self {
        let (started, starting) = oneshot::channel();
        let (stop, stopping) = oneshot::channel();
        let cluster = shop.node.cluster();
        let thread = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let gateway = nakku_gateway::start(cluster, settings()).await.expect("a gateway starts");
                let _ = started.send((gateway.clone(), Handle::current()));
                let _ = stopping.await;
                gateway.drain(Duration::from_secs(5)).await;
            });
        });
        let (gateway, runtime) = starting.await.unwrap();
        Self { gateway, runtime, thread, stop }
    }

    /// Nothing goes on here until what is returned is dropped.
    async fn hold_up(&self) -> mpsc::Sender<()> {
        let (release, released) = mpsc::channel::<()>();
        let (held, holding) = oneshot::channel();
        self.runtime.spawn(async move {
            let _ = held.send(());
            let _ = released.recv();
        });
        holding.await.unwrap();
        release
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::task::spawn_blocking(|| self.thread.join()).await.unwrap().unwrap();
    }
}

#[test]
fn a_gateway_that_lagged_behind_reads_what_it_missed_and_nothing_lacks() {
    on_shop(async |shop| {
        let aside = Aside::start(shop).await;
        let customer = shop.customer().await;
        let token = customer.token.as_ref().unwrap();
        let order = order(shop, &customer, STORE).await;
        let mut socket = Socket::open(&aside.gateway, token).await;
        let snapshot = socket.subscribe(json!({ "order": order })).await;
        let of_socket = snapshot["cursor"].as_str().expect("a snapshot says how far it is").to_owned();
        let there = Client::of(&aside.gateway).with(token);
        let mut stream = Events::open(&there, &format!("order={order}"), None).await;
        let of_stream = stream.next().await.unwrap().id.unwrap();

        let held_up = aside.hold_up().await;
        let cluster = shop.node.cluster();
        let mut live = cluster.live();
        customer.post(&format!("/orders/{order}/cancel"), json!({})).await.expect(200);
        let told = async {
            loop {
                match live.recv().await {
                    Ok(Live::Event(event)) if event.event_type == "order.cancelled" && event.subject == order => return,
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => panic!("the node tells nothing more"),
                }
            }
        };
        timeout(PATIENCE, told).await.expect("the cancellation is told");
        // Nobody wants to know, but it pushes out what the gateway has not heard yet.
        for _ in 0..=LIVE_BUFFERED_MAX {
            cluster.signal(Signal { topic: "rider/nobody".into(), body: "{}".into() });
        }
        drop(held_up);

        let journal = journal(shop, &order).await;
        let wanted: BTreeSet<String> = behind(&journal, &of_socket).into_iter().collect();
        assert!(!wanted.is_empty());
        let mut heard = BTreeSet::new();
        while !wanted.is_subset(&heard) {
            let message = socket.next().await;
            let id = message["event"]["id"].as_str().unwrap_or_else(|| panic!("an event, not {message}"));
            assert!(heard.insert(id.to_owned()), "twice: {message}");
        }
        let wanted: BTreeSet<String> = behind(&journal, &of_stream).into_iter().collect();
        let mut heard = BTreeSet::new();
        while !wanted.is_subset(&heard) {
            let told = stream.next().await.expect("the stream goes on");
            let id = told.data["event"]["id"].as_str().unwrap_or_else(|| panic!("an event, not {told:?}"));
            assert!(heard.insert(id.to_owned()), "twice: {told:?}");
        }
        drop((socket, stream));
        aside.stop().await;
    });
}
