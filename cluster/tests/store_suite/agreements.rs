//! Topology, view, leases, generations, incarnations.

use std::collections::BTreeSet;
use std::sync::Arc;

use nakku_cluster::store::{ClusterStore, LeaseRow, Publication, SqlStore, Store, open};

use crate::fixture::{Fixture, ServerKind};

crate::on_every_server!(
    what_the_cluster_agrees_on,
    incarnation_rises,
    known_incarnation_never_falls,
    generations_are_never_given_twice,
    how_far_is_published_never_falls,
);

/// All tests of a server share its one cluster database, so this is the only one that writes the view.
async fn what_the_cluster_agrees_on(kind: ServerKind) {
    let fixture = Fixture::bare(kind).await;
    let store = &fixture.store;
    let (one, other) = tokio::join!(store.migrate_cluster(), store.migrate_cluster());
    one.unwrap();
    other.unwrap();

    founded_once(store).await;
    view_is_swapped_by_version(store).await;
    leases_never_go_back(store).await;
}

async fn founded_once(store: &Arc<SqlStore>) {
    let founders: Vec<_> = (0..4)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { store.found(format!("topology of {number}").as_bytes()).await.unwrap() })
        })
        .collect();
    let mut seen = BTreeSet::new();
    for founder in founders {
        seen.insert(founder.await.unwrap());
    }
    assert_eq!(seen.len(), 1, "all founders see the same topology: {seen:?}");
}

async fn view_is_swapped_by_version(store: &Arc<SqlStore>) {
    let begin = store.read_cluster().await.unwrap().view_version;
    let swappers: Vec<_> = (0..4)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { store.swap_view(begin, format!("view of {number}").as_bytes()).await.unwrap() })
        })
        .collect();
    let mut winners = Vec::new();
    for (number, swapper) in swappers.into_iter().enumerate() {
        if swapper.await.unwrap() {
            winners.push(number);
        }
    }
    assert_eq!(winners.len(), 1, "{winners:?}");
    let rows = store.read_cluster().await.unwrap();
    assert_eq!(rows.view_version, begin + 1);
    assert_eq!(rows.view, format!("view of {}", winners[0]).into_bytes());
    assert!(!store.swap_view(begin, b"late").await.unwrap());
    assert!(!store.swap_view(begin + 2, b"early").await.unwrap());
    assert!(store.swap_view(begin + 1, b"next").await.unwrap());
    assert_eq!(store.read_cluster().await.unwrap().view, b"next");
}

async fn leases_never_go_back(store: &Arc<SqlStore>) {
    let node = format!("lease-{}", std::process::id());
    let lease = async || {
        let rows = store.read_cluster().await.unwrap().leases;
        rows.into_iter()
            .find(|row| row.node == node)
            .map(|LeaseRow { generation, acknowledged_version, beat, .. }| (generation, acknowledged_version, beat))
    };
    assert_eq!(lease().await, None);
    assert!(store.renew_lease(&node, 3, 5).await.unwrap());
    assert_eq!(lease().await, Some((3, 5, 1)));
    assert!(store.renew_lease(&node, 3, 4).await.unwrap());
    assert_eq!(lease().await, Some((3, 5, 2)));
    assert!(store.renew_lease(&node, 4, 2).await.unwrap());
    assert_eq!(lease().await, Some((4, 2, 3)), "a new life has acknowledged only what it says itself");
    assert!(!store.renew_lease(&node, 3, 9).await.unwrap());
    assert_eq!(lease().await, Some((4, 2, 3)));
    store.remove_lease(&node, 3).await.unwrap();
    assert_eq!(lease().await, Some((4, 2, 3)));
    store.remove_lease(&node, 4).await.unwrap();
    assert_eq!(lease().await, None);
}

async fn incarnation_rises(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    assert_eq!(fixture.store.incarnation(fixture.service).await.unwrap(), 1);
    assert_eq!(fixture.store.raise_incarnation(fixture.service, 0).await.unwrap(), 2);
    assert_eq!(fixture.store.raise_incarnation(fixture.service, 1).await.unwrap(), 3);
    // An older copy is raised above what is known elsewhere.
    assert_eq!(fixture.store.raise_incarnation(fixture.service, 7).await.unwrap(), 8);
    assert_eq!(open(&fixture.url).await.unwrap().incarnation(fixture.service).await.unwrap(), 8);
}

async fn known_incarnation_never_falls(kind: ServerKind) {
    let fixture = Fixture::bare(kind).await;
    let (store, service) = (&fixture.store, fixture.service);
    store.migrate_cluster().await.unwrap();
    assert_eq!(store.remember_incarnation(service, "main", 0).await.unwrap(), 0, "asking alone tells nothing");
    assert_eq!(store.remember_incarnation(service, "main", 2).await.unwrap(), 2);
    assert_eq!(store.remember_incarnation(service, "main", 1).await.unwrap(), 2);
    assert_eq!(store.remember_incarnation(service, "other", 1).await.unwrap(), 1, "each server has its own");
    let mut nodes = tokio::task::JoinSet::new();
    for incarnation in 3..=12 {
        let store = open(&fixture.url).await.unwrap();
        nodes.spawn(async move { (incarnation, store.remember_incarnation(service, "main", incarnation).await) });
    }
    while let Some(told) = nodes.join_next().await {
        let (incarnation, known) = told.unwrap();
        assert!(known.unwrap() >= incarnation);
    }
    assert_eq!(store.remember_incarnation(service, "main", 0).await.unwrap(), 12);
}

async fn generations_are_never_given_twice(kind: ServerKind) {
    let fixture = Fixture::bare(kind).await;
    fixture.store.migrate_cluster().await.unwrap();
    let node = format!("generation-{}", std::process::id());
    let mut askers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (store, node) = (open(&fixture.url).await.unwrap(), node.clone());
        askers.spawn(async move {
            let mut given = Vec::new();
            for _ in 0..10 {
                given.push(store.next_generation(&node).await.unwrap());
            }
            given
        });
    }
    let mut given = askers.join_all().await.concat();
    given.sort_unstable();
    let first = given[0];
    assert_eq!(given, (first..first + 40).collect::<Vec<_>>());
}

async fn how_far_is_published_never_falls(kind: ServerKind) {
    let fixture = Fixture::new(kind).await;
    let (store, service) = (&fixture.store, fixture.service);
    let at = |shard, seq, published| Publication { shard, seq, published };
    assert_eq!(store.publications(service, &[1, 2, 3]).await.unwrap(), []);
    store.record_publications(service, &[at(1, 5, 4), at(2, 7, 0), at(900, 1, 1)]).await.unwrap();
    // A former owner that has fallen behind changes nothing, and neither does a repetition.
    store.record_publications(service, &[at(1, 4, 4), at(2, 9, 8), at(900, 1, 1)]).await.unwrap();
    let mut known = store.publications(service, &[900, 1, 2, 3]).await.unwrap();
    known.sort_by_key(|one| one.shard);
    assert_eq!(known, [at(1, 5, 4), at(2, 9, 8), at(900, 1, 1)]);
    let many: Vec<Publication> = (0..700).map(|shard| at(shard, 10, 9)).collect();
    store.record_publications(service, &many).await.unwrap();
    assert_eq!(store.publications(service, &(0..700).collect::<Vec<_>>()).await.unwrap().len(), 700);
}
