//! The supervision tree of a node down to its shards, with the gateway, the journal's writers and the consumers.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use super::infrastructure;
use super::report::Branch;
use crate::metrics;
use crate::router::NodeRouter;

pub(super) fn of(router: &NodeRouter) -> Branch {
    let mut children = regions(router);
    children.extend(infrastructure::beside().iter().map(|one| one.branch()));
    children.push(journals(router));
    children.push(consumers(router));
    let links = router.links.get().map(|links| links.peers()).unwrap_or_default();
    let ready = links.iter().filter(|peer| peer.connected && peer.node != router.node).count();
    children.push(leaf("links".into(), format!("{ready} ready")));
    let restarts = children.iter().map(|child| child.restarts).sum();
    Branch { name: format!("node {}", router.node), detail: String::new(), restarts, children }
}

fn regions(router: &NodeRouter) -> Vec<Branch> {
    let mut services: HashMap<&'static str, (i64, Vec<Branch>)> = HashMap::new();
    let mut places = router.open.places();
    places.sort_by_key(|(shard, _)| (shard.service, shard.number));
    for (shard, place) in places {
        let loaded = place.seen.loaded.load(Ordering::Relaxed);
        let (all, shards) = services.entry(shard.service).or_default();
        *all += loaded;
        shards.push(leaf(format!("shard {shard}"), format!("{loaded} entities")));
    }
    let observer = &router.runtime.observer;
    let region = |(service, (loaded, shards)): (&'static str, (i64, Vec<Branch>))| {
        let kinds = observer.kinds().map(|(kind, _)| *kind).filter(|kind| kind.service == service);
        let detail = format!("{} shards, {loaded} entities", shards.len());
        let restarts = kinds.map(metrics::restarted_count).sum();
        Branch { name: format!("region {service}"), detail, restarts, children: shards }
    };
    let mut regions: Vec<Branch> = services.into_iter().map(region).collect();
    regions.sort_by(|one, other| one.name.cmp(&other.name));
    regions
}

fn journals(router: &NodeRouter) -> Branch {
    let writers = infrastructure::writers(router);
    let lanes = writers.iter().map(|writer| {
        let detail = format!(
            "{} of {} waiting, {:.1} transactions a second",
            writer.queue, writer.queue_max, writer.commits.commits_per_s
        );
        leaf(format!("writer {} of {}", writer.lane, writer.location), detail)
    });
    let detail = format!("{} writers", writers.len());
    Branch { children: lanes.collect(), ..leaf("journals".into(), detail) }
}

fn consumers(router: &NodeRouter) -> Branch {
    let consumers = infrastructure::consumers(router);
    let groups = consumers.iter().map(|consumer| {
        let detail =
            format!("{} consumed, {} behind, {} set aside", consumer.consumed, consumer.lag, consumer.dead_lettered);
        leaf(consumer.group.clone(), detail)
    });
    let detail = format!("{} groups", consumers.len());
    Branch { children: groups.collect(), ..leaf("consumers".into(), detail) }
}

fn leaf(name: String, detail: String) -> Branch {
    Branch { name, detail, ..Branch::default() }
}
