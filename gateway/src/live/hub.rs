//! From what the cluster tells this gateway to those who want to know: one task for all connections.
//!
//! While nobody is subscribed there is no task.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use nakku_cluster::events::{Envelope, Live, Signal, Watch};
use nakku_cluster::{Cluster, Key};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// What may wait for one subscriber; beyond it, it is told that it missed something.
const INBOX_MAX: usize = 64;

/// Whose events concern subscribers.
const SERVICES: &[&str] = &["order", "payment", "delivery"];

/// See the module.
#[derive(Debug)]
pub struct Hub {
    cluster: Cluster,
    topics: Mutex<Topics>,
    next_id: AtomicU64,
}

#[derive(Debug, Default)]
struct Topics {
    by_name: HashMap<String, Vec<Subscriber>>,
    reader: Option<AbortHandle>,
}

#[derive(Clone, Debug)]
struct Subscriber {
    id: u64,
    notices: mpsc::Sender<Notice>,
    missed: Arc<AtomicBool>,
}

/// What a subscriber is told.
#[derive(Clone, Debug)]
pub enum Notice {
    /// Something was committed.
    Event(Arc<Envelope>),
    /// Something that is never kept.
    Signal(Arc<Signal>),
    /// There was more than could be told: what is kept must be read.
    Missed,
}

/// Of one subscriber; unsubscribes when dropped.
#[derive(Debug)]
pub struct Inbox {
    hub: Arc<Hub>,
    own: Subscriber,
    notices: mpsc::Receiver<Notice>,
    topics: Vec<String>,
}

/// Of everything that concerns an order.
pub fn order_topic(order: &Key) -> String {
    format!("order/{order}")
}

/// Of the orders and deliveries of a store.
pub fn store_topic(store: &Key) -> String {
    format!("store/{store}")
}

/// Of the deliveries that a rider has.
pub fn deliveries_topic(rider: &Key) -> String {
    format!("deliveries/{rider}")
}

/// Of the signals that say where a rider is.
pub fn position_topic(rider: &Key) -> String {
    format!("rider/{rider}")
}

impl Hub {
    /// Of a gateway on this node.
    pub fn new(cluster: Cluster) -> Arc<Self> {
        Arc::new(Self { cluster, topics: Mutex::default(), next_id: AtomicU64::new(0) })
    }

    /// For a new subscriber.
    pub fn inbox(self: &Arc<Self>) -> Inbox {
        let (sender, notices) = mpsc::channel(INBOX_MAX);
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let own = Subscriber { id, notices: sender, missed: Arc::default() };
        Inbox { hub: self.clone(), own, notices, topics: Vec::new() }
    }

    fn add(self: &Arc<Self>, topic: String, subscriber: Subscriber) {
        let mut topics = self.lock();
        if topics.reader.is_none() {
            // From here on nothing is passed over.
            let live = self.cluster.live_of(SERVICES);
            topics.reader = Some(tokio::spawn(read(Arc::downgrade(self), live)).abort_handle());
        }
        topics.by_name.entry(topic).or_default().push(subscriber);
    }

    fn remove(&self, topic: &str, id: u64) {
        let mut topics = self.lock();
        if let Some(subscribers) = topics.by_name.get_mut(topic) {
            subscribers.retain(|one| one.id != id);
            if subscribers.is_empty() {
                topics.by_name.remove(topic);
            }
        }
        if topics.by_name.is_empty()
            && let Some(reader) = topics.reader.take()
        {
            reader.abort();
            topics.by_name.shrink_to_fit();
        }
    }

    fn event(&self, event: &Arc<Envelope>) {
        if !SERVICES.contains(&&*event.service) {
            return;
        }
        let named = |field: &str| event.data.get(field).and_then(|value| value.as_str());
        let topics = self.lock();
        for (kind, field) in [("order", "order"), ("store", "store"), ("deliveries", "rider")] {
            if let Some(name) = named(field) {
                topics.tell(&format!("{kind}/{name}"), &Notice::Event(event.clone()));
            }
        }
    }

    fn missed(&self) {
        let topics = self.lock();
        for subscriber in topics.by_name.values().flatten() {
            subscriber.tell(Notice::Missed);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Topics> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Topics {
    fn tell(&self, topic: &str, notice: &Notice) {
        for subscriber in self.by_name.get(topic).into_iter().flatten() {
            subscriber.tell(notice.clone());
        }
    }
}

impl Subscriber {
    fn tell(&self, notice: Notice) {
        if self.notices.try_send(notice).is_err() {
            self.missed.store(true, Ordering::Release);
        }
    }
}

impl Inbox {
    /// Hears of a topic from now on.
    pub fn add(&mut self, topic: String) {
        self.hub.add(topic.clone(), self.own.clone());
        self.topics.push(topic);
    }

    /// No longer hears of a topic.
    pub fn remove(&mut self, topic: &str) {
        self.topics.retain(|own| own != topic);
        self.hub.remove(topic, self.own.id);
    }

    /// The next notice.
    pub async fn next(&mut self) -> Notice {
        if self.own.missed.swap(false, Ordering::AcqRel) {
            return Notice::Missed;
        }
        match self.notices.recv().await {
            Some(notice) => notice,
            // It holds a sender itself.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        for topic in &self.topics {
            self.hub.remove(topic, self.own.id);
        }
    }
}

async fn read(hub: Weak<Hub>, mut live: Watch) {
    loop {
        let received = live.recv().await;
        let Some(hub) = hub.upgrade() else { return };
        match received {
            Ok(Live::Event(event)) => hub.event(&event),
            Ok(Live::Signal(signal)) => hub.lock().tell(&signal.topic, &Notice::Signal(signal.clone())),
            // Nodes that did not know that somebody watches may have passed something over.
            Ok(Live::Listening) => hub.missed(),
            Err(RecvError::Lagged(count)) => {
                tracing::debug!(count, "the hub of live updates was too slow");
                hub.missed();
            }
            Err(RecvError::Closed) => return,
        }
    }
}
