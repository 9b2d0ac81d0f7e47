//! The path of a request.

use nakku_cluster::inspect::path::{HopReport, PathReport};

use super::{NOW, PAGE, assert_shown};
use crate::cli::inspect::trace;

#[test]
fn a_path_is_a_line_for_each_hop_below_what_led_to_it() {
    let hop = |span: &str, parent: &str, what: &str, name: &str, after_us: i64, took_us, known: &[(&str, &str)]| {
        let details = known.iter().map(|(field, value)| ((*field).to_owned(), (*value).to_owned())).collect();
        let (span, parent, what, name) = (span.into(), parent.into(), what.into(), name.into());
        let hop = HopReport { span, parent, what, name, began_at_us: NOW * 1000 + after_us, took_us, details };
        (if after_us > 400 { "node-2@1" } else { "node-1@1" }.to_owned(), hop)
    };
    let order = "order.order/u-1.o-2";
    let path = PathReport::of(
        "0f3a4a9d23c39cc2eec28717cb6cb619".into(),
        vec![
            hop("a", "", "request", "POST /api/v1/orders", 0, 18_240, &[("status", "201")]),
            hop("b", "a", "ask", order, 310, 17_600, &[("outcome", "accepted"), ("node", "node-2")]),
            hop("c", "b", "link", "from node-1", 650, 16_900, &[("kind", "order.order")]),
            hop(
                "d",
                "c",
                "decide",
                order,
                800,
                42,
                &[("command", "place"), ("outcome", "accepted"), ("events", "1"), ("queued_us", "120")],
            ),
            hop(
                "z",
                "lost",
                "commit",
                order,
                900,
                2_100,
                &[("outcome", "committed"), ("lane", "0"), ("commands", "4")],
            ),
        ],
        0,
    );
    assert_shown(
        &trace::text(&path, &PAGE),
        "
trace 0f3a4a9d23c39cc2eec28717cb6cb619: 5 hops on node-1@1, node-2@1, 18.2ms from the first to the end of the last
began at 2026-11-22 23:53:50.123 UTC (0ms ago)

  after     took   node     hop
──────────────────────────────────────────────────────────────────────────────────────────────────────────
    0µs   18.2ms   node-1   request POST /api/v1/orders: 201
  310µs   17.6ms   node-1     ask order.order/u-1.o-2: accepted, on node-2
  650µs   16.9ms   node-2       link from node-1: kind order.order
  800µs     42µs   node-2         decide order.order/u-1.o-2: accepted, place, 1 events, queued 120µs
  900µs    2.1ms   node-2   * commit order.order/u-1.o-2: committed, 4 commands, lane 0

* what led to it was not kept, or is on a node that does not answer
",
    );
    assert!(trace::id("0F3A4A9D23C39CC2EEC28717CB6CB619").is_ok() && trace::id("0f3a").is_err());
}
