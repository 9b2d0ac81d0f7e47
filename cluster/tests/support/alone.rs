//! The one node that all tests of a program share, each with its own entities: a process can have one set of links in
//! its life.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use nakku_cluster::Cluster;
use nakku_cluster::node::Node;
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

/// Five times what the slowest step on such a node takes.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// Runs a test on the node, which the first one starts. They run on one runtime, since the node lives on it.
pub fn on_node(start: impl AsyncFnOnce() -> Node, test: impl AsyncFnOnce(Cluster)) {
    static NODE: OnceCell<Node> = OnceCell::const_new();
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime starts"));
    RUNTIME.block_on(async {
        let node = NODE.get_or_init(|| start()).await;
        test(node.cluster()).await;
    });
}

/// A new folder for a node's database.
pub fn folder(of: &str) -> PathBuf {
    std::env::temp_dir().join(format!("nakku-{of}-{:016x}", rand::random::<u64>()))
}

/// Looks until a number is as expected.
pub async fn becomes(what: &str, expected: i64, look: impl AsyncFn() -> i64) {
    let began = Instant::now();
    loop {
        let seen = look().await;
        if seen == expected {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{what} was to become {expected} and is {seen}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
