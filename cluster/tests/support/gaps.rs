//! Journals have no gaps, whatever happened.

use nakku_cluster::store::Store;

/// Every shard's journal of a service, from its first row on. Returns how many rows there are.
pub async fn assert_contiguous(store: &dyn Store, service: &str, shards: u32) -> usize {
    let mut count = 0;
    for shard in 0..shards {
        let mut next = 1;
        loop {
            let rows = store.journal(service, shard, next, 1000).await.expect("readable");
            for row in &rows {
                assert_eq!(row.seq, next, "{service}/{shard}: {row:?}");
                next += 1;
            }
            if rows.len() < 1000 {
                break;
            }
        }
        count += usize::try_from(next - 1).expect("small");
    }
    count
}
