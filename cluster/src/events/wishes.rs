//! Whose events somebody wants to hear as they happen, here and on each of the other gateways. What nobody wants is
//! neither copied nor looked at when it is committed.
//!
//! A gateway tells every other node what it wants; until it has, a node takes it that it wants everything. A wish that
//! grows is told at once, and when all nodes have confirmed it, those who watch hear [`Live::Listening`]: what was
//! committed before may have passed them by. One that shrinks is told at leisure, since the next client may want the
//! same.
//!
//! [`Live::Listening`]: super::Live::Listening

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use tokio::sync::watch;

use super::live::{Spread, WATCHER};
use crate::link::Request;
use crate::membership::{NodeId, View};
use crate::wire::{self, WireCall, WireWatch};

/// A wish that has shrunk is told after so long.
const LINGER: Duration = Duration::from_secs(30);
/// How long a node may take to confirm a wish.
const CONFIRM_PATIENCE: Duration = Duration::from_secs(2);
/// A node that has not is told again after so long.
const AGAIN: Duration = Duration::from_millis(500);

/// Services by their bits.
type Services = u64;
const EVERYTHING: Services = Services::MAX;

/// See the module.
pub(super) struct Wishes {
    /// All of the program; the place of one is its bit, those behind the last bit share it.
    services: Vec<&'static str>,
    /// How many here want each.
    here: Mutex<Vec<u32>>,
    own: watch::Sender<Services>,
    /// Of the other gateways, with the number of what they told last.
    others: Mutex<BTreeMap<NodeId, (u64, Services)>>,
    /// Of all of them: asked with every commit.
    all: AtomicU64,
}

/// A wish of somebody here; given up when dropped.
#[derive(Debug)]
pub(super) struct Wish {
    wishes: Weak<Wishes>,
    services: Services,
}

impl Wishes {
    pub(super) fn new(services: Vec<&'static str>) -> Arc<Self> {
        let here = Mutex::new(vec![0; Services::BITS as usize]);
        let (own, others) = (watch::Sender::new(0), Mutex::default());
        Arc::new(Self { services, here, own, others, all: AtomicU64::new(0) })
    }

    /// Whether anybody wants events of a service.
    pub(super) fn any(&self, service: &str) -> bool {
        let all = self.all.load(Ordering::Acquire);
        all == EVERYTHING || (all != 0 && all & self.bit(service) != 0)
    }

    /// Whether nobody wants anything.
    pub(super) fn is_none(&self) -> bool {
        self.all.load(Ordering::Acquire) == 0
    }

    /// Somebody here wants the events of these services from now on, or of all.
    pub(super) fn add(self: &Arc<Self>, services: Option<&[&str]>) -> Wish {
        let services = services.map_or(EVERYTHING, |names| self.bits(names));
        self.count(services, |count| *count += 1);
        Wish { wishes: Arc::downgrade(self), services }
    }

    fn count(&self, services: Services, change: impl Fn(&mut u32)) {
        let mut here = lock(&self.here);
        let mut own = 0;
        for (place, count) in here.iter_mut().enumerate() {
            if services & (1 << place) != 0 {
                change(count);
            }
            own |= u64::from(*count > 0) << place;
        }
        self.own.send_if_modified(|known| std::mem::replace(known, own) != own);
        self.sum_up();
    }

    /// The other gateways are these.
    pub(super) fn follow(&self, nodes: &[NodeId]) {
        let mut others = lock(&self.others);
        others.retain(|node, _| nodes.contains(node));
        for node in nodes {
            others.entry(node.clone()).or_insert((0, EVERYTHING));
        }
        drop(others);
        self.sum_up();
    }

    /// Another gateway tells what it wants. What it told before may come later.
    pub(super) fn told(&self, node: &NodeId, WireWatch { number, services }: &WireWatch) {
        let mut others = lock(&self.others);
        let known = others.entry(node.clone()).or_insert((0, EVERYTHING));
        if *number > known.0 {
            *known = (*number, services.as_ref().map_or(EVERYTHING, |names| self.bits(names)));
        }
        drop(others);
        self.sum_up();
    }

    /// The other gateways that want events of a service.
    pub(super) fn others(&self, service: &str) -> Vec<NodeId> {
        let bit = self.bit(service);
        lock(&self.others).iter().filter(|(_, (_, wanted))| wanted & bit != 0).map(|(node, _)| node.clone()).collect()
    }

    /// All other gateways.
    pub(super) fn all_others(&self) -> Vec<NodeId> {
        lock(&self.others).keys().cloned().collect()
    }

    fn sum_up(&self) {
        // Under a lock, so that an older sum can't come last.
        let others = lock(&self.others);
        let all = others.values().fold(*self.own.borrow(), |all, (_, wanted)| all | wanted);
        self.all.store(all, Ordering::Release);
    }

    /// A service that this version does not know has the bits of all, so that nothing is kept back by mistake.
    fn bit(&self, service: &str) -> Services {
        let place = self.services.iter().position(|name| *name == service);
        place.map_or(EVERYTHING, |place| 1 << place.min(Services::BITS as usize - 1))
    }

    fn bits(&self, names: &[impl AsRef<str>]) -> Services {
        names.iter().fold(0, |bits, name| bits | self.bit(name.as_ref()))
    }

    fn names(&self, services: Services) -> Option<Vec<String>> {
        let wanted = self.services.iter().filter(|name| services & self.bit(name) != 0);
        (services != EVERYTHING).then(|| wanted.map(|name| (*name).to_owned()).collect())
    }
}

impl Drop for Wish {
    fn drop(&mut self) {
        if let Some(wishes) = self.wishes.upgrade() {
            wishes.count(self.services, |count| *count -= 1);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is to be done about the other nodes.
#[derive(Debug, Default)]
struct Telling {
    /// What each node has confirmed; one that is not named here believes that everything is wanted.
    confirmed: HashMap<NodeId, Services>,
    /// Something is wanted that not every node knew of.
    grows: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Next {
    Nothing,
    /// Every node knows what had been lacking.
    Listening,
    Tell(Vec<NodeId>),
    /// They believe that more is wanted than is.
    TellAtLeisure(Vec<NodeId>),
}

impl Telling {
    fn next(&mut self, wanted: Services, nodes: &[NodeId]) -> Next {
        self.confirmed.retain(|node, _| nodes.contains(node));
        let believed = |node: &&NodeId| self.confirmed.get(*node).copied().unwrap_or(EVERYTHING);
        let lacking: Vec<NodeId> = nodes.iter().filter(|node| wanted & !believed(node) != 0).cloned().collect();
        if !lacking.is_empty() {
            self.grows = true;
            return Next::Tell(lacking);
        }
        if std::mem::take(&mut self.grows) {
            return Next::Listening;
        }
        let generous: Vec<NodeId> = nodes.iter().filter(|node| believed(node) != wanted).cloned().collect();
        if generous.is_empty() { Next::Nothing } else { Next::TellAtLeisure(generous) }
    }
}

/// Tells the other nodes what is wanted here, while this node is a gateway. It ends with the membership, or with the
/// last one who spreads.
pub(super) async fn tell(
    spread: Weak<Spread>,
    wishes: Arc<Wishes>,
    mut views: watch::Receiver<Arc<View>>,
    node: NodeId,
) {
    let mut own = wishes.own.subscribe();
    let mut telling = Telling::default();
    let mut number = 0;
    loop {
        let wanted = *own.borrow_and_update();
        let nodes = told_nodes(&views.borrow_and_update(), &node);
        let (to_tell, pause) = match telling.next(wanted, &nodes) {
            Next::Tell(nodes) => (nodes, Duration::ZERO),
            Next::TellAtLeisure(nodes) => (nodes, LINGER),
            Next::Nothing => (Vec::new(), Duration::MAX),
            Next::Listening => {
                let Some(spread) = spread.upgrade() else { return };
                spread.listening();
                continue;
            }
        };
        if !pause.is_zero() {
            tokio::select! {
                changed = own.changed() => if changed.is_err() { return } else { continue },
                changed = views.changed() => if changed.is_err() { return } else { continue },
                () = tokio::time::sleep(pause) => {}
            }
        }
        let Some(spread) = spread.upgrade() else { return };
        let Some(links) = spread.links() else { return };
        number += 1;
        let call = wire::encode(&WireCall::Watch(WireWatch { number, services: wishes.names(wanted) }));
        let epoch = views.borrow().version;
        let asked = to_tell.iter().map(|node| {
            let (service, header) = (Arc::from(WATCHER), call.clone());
            let request = Request { service, header, body: Bytes::new(), traceparent: None, epoch };
            links.request(node, request, CONFIRM_PATIENCE)
        });
        let mut all_confirmed = true;
        for (node, answer) in to_tell.iter().zip(join_all(asked).await) {
            match answer {
                // A node of an older version refuses, and goes on telling everything.
                Ok(_) => drop(telling.confirmed.insert(node.clone(), wanted)),
                Err(failure) => {
                    tracing::debug!(%node, %failure, "a node was not told what is watched here");
                    all_confirmed = false;
                }
            }
        }
        drop(spread);
        if !all_confirmed {
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// All other nodes, if this one is a gateway: nobody else is told anything.
fn told_nodes(view: &View, own: &NodeId) -> Vec<NodeId> {
    let is_gateway = view.member(own).is_some_and(|member| member.roles.contains(WATCHER));
    let others = view.live().filter(|member| is_gateway && member.node != *own);
    others.map(|member| member.node.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wishes() -> Arc<Wishes> {
        Wishes::new(vec!["cart", "order", "product"])
    }

    fn told(number: u64, services: &[&str]) -> WireWatch {
        WireWatch { number, services: Some(services.iter().map(|name| (*name).to_owned()).collect()) }
    }

    #[test]
    fn what_nobody_wants_is_known() {
        let wishes = wishes();
        let wanted = |wishes: &Wishes| ["cart", "order", "product"].map(|service| wishes.any(service));
        assert!(wishes.is_none());
        let quiet = wishes.add(Some(&["product"]));
        assert_eq!(wanted(&wishes), [false, false, true]);
        let (one, other) = (wishes.add(Some(&["order"])), wishes.add(Some(&["order", "product"])));
        drop(one);
        assert_eq!(wanted(&wishes), [false, true, true], "somebody still does");
        drop((other, quiet));
        assert!(wishes.is_none() && wanted(&wishes) == [false; 3]);
        let all = wishes.add(None);
        assert!(wishes.any("cart") && wishes.any("a service of a later version"));
        drop(all);
    }

    #[test]
    fn another_gateway_wants_everything_until_it_says_what() {
        let wishes = wishes();
        let other = NodeId::new("b", 1);
        wishes.follow(std::slice::from_ref(&other));
        assert!(wishes.any("cart") && wishes.others("cart") == [other.clone()]);
        wishes.told(&other, &told(2, &["order"]));
        wishes.told(&other, &told(1, &["cart"]));
        assert!(wishes.any("order") && !wishes.any("cart"), "what comes late is older");
        assert!(wishes.others("cart").is_empty() && wishes.all_others() == [other.clone()]);
        wishes.told(&other, &WireWatch { number: 3, services: None });
        assert!(wishes.any("cart"));
        wishes.follow(&[]);
        assert!(wishes.is_none());
    }

    #[test]
    fn a_wish_that_grows_is_told_before_anybody_relies_on_it() {
        let wishes = wishes();
        let (quiet, loud) = (wishes.bit("product"), wishes.bit("product") | wishes.bit("order"));
        let nodes = [NodeId::new("a", 1), NodeId::new("b", 1)];
        let mut telling = Telling::default();
        assert_eq!(telling.next(loud, &nodes), Next::TellAtLeisure(nodes.to_vec()), "they tell everything as it is");
        telling.confirmed.extend(nodes.iter().map(|node| (node.clone(), quiet)));
        assert_eq!(telling.next(quiet, &nodes), Next::Nothing);
        assert_eq!(telling.next(loud, &nodes), Next::Tell(nodes.to_vec()));
        telling.confirmed.insert(nodes[0].clone(), loud);
        assert_eq!(telling.next(loud, &nodes), Next::Tell(vec![nodes[1].clone()]));
        // It ends, and comes back: it knows nothing, and so tells everything.
        let back = [nodes[0].clone(), NodeId::new("b", 2)];
        assert_eq!(telling.next(loud, &back), Next::Listening);
        assert_eq!(telling.next(loud, &back), Next::TellAtLeisure(vec![back[1].clone()]));
    }
}
