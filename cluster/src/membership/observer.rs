//! What a node concludes from the beats of the others' leases, timed by its own boot-time clock.
//!
//! Nothing here does I/O or reads a clock. Two questions are answered: whose lease has stood still for so
//! long that its life has to be declared over, and whose leases have certainly run out, so that successors
//! may answer reads.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::store::LeaseRow;
use crate::time::BootTime;

use super::view::{Ended, Member, MemberState, NodeId, View};

/// Clocks of two machines may differ in speed by one part in so many, and more than that is never seen.
const MARGIN_DIVISOR: u32 = 10;

/// What is known of one life's lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The newest beat; 0 when there has been none.
    pub beat: u64,
    /// When that beat was first seen, or when timing began anew.
    pub since: BootTime,
    /// The newest view that it has acknowledged.
    pub acknowledged_version: u64,
}

/// See the module.
pub struct Observer {
    me: NodeId,
    /// Timing begins anew when the node itself was not heard by the database for longer than this.
    gap_max: Duration,
    seen: BTreeMap<NodeId, Seen>,
    /// When a life was first seen to be over.
    down_since: BTreeMap<NodeId, BootTime>,
    /// Lives whose lease has certainly run out.
    over: BTreeSet<NodeId>,
    /// Those of them of which a node that joins now could not see it, and would have to wait.
    waited_for: BTreeSet<NodeId>,
    /// Lease rows without a member.
    orphans: BTreeMap<NodeId, Seen>,
    last_success: Option<BootTime>,
}

impl Observer {
    /// Of a node that renews its own lease at least this often while all is well.
    pub fn new(me: NodeId, gap_max: Duration) -> Self {
        Self {
            me,
            gap_max,
            seen: BTreeMap::new(),
            down_since: BTreeMap::new(),
            over: BTreeSet::new(),
            waited_for: BTreeSet::new(),
            orphans: BTreeMap::new(),
            last_success: None,
        }
    }

    /// The node's own renewal failed: the others may have failed the same way, so their silence says
    /// nothing until there has been a whole lease of it from the next success on.
    pub fn interrupted(&mut self) {
        self.last_success = None;
    }

    /// Takes in view and leases, read in one go between `began` and `now` after a renewal of the node's own.
    pub fn observe(&mut self, began: BootTime, now: BootTime, view: &View, leases: &[LeaseRow]) {
        let gap = self.last_success.is_none_or(|last| began.since(last) > self.gap_max);
        self.last_success = Some(now);
        self.seen.retain(|node, _| view.member(node).is_some());
        self.down_since.retain(|node, _| view.member(node).is_some());
        self.over.retain(|node| view.member(node).is_some());
        self.waited_for.clear();
        for member in &view.members {
            let row = leases.iter().find(|row| is_of(row, &member.node));
            self.note(now, gap, &member.node, row);
            if !member.is_live() {
                let down_since = *self.down_since.entry(member.node.clone()).or_insert(now);
                if self.has_run_out(member, row, down_since, began) {
                    self.over.insert(member.node.clone());
                }
                if self.over.contains(&member.node) && !shows_its_end(member, row) {
                    self.waited_for.insert(member.node.clone());
                }
            }
        }
        let orphans = leases.iter().filter(|row| view.newest(&row.node).is_none());
        let mut orphaned = BTreeMap::new();
        for row in orphans {
            let node = NodeId::new(row.node.as_str(), row.generation);
            let known = self.orphans.get(&node).filter(|seen| seen.beat == row.beat).copied();
            orphaned.insert(node, known.unwrap_or(Seen { beat: row.beat, since: now, acknowledged_version: 0 }));
        }
        self.orphans = orphaned;
    }

    /// Members other than this one whose lease has stood still for too long, each with its beat.
    pub fn silent(&self, view: &View, began: BootTime) -> Vec<(NodeId, u64)> {
        let others = view.live().filter(|member| member.node != self.me);
        others
            .filter_map(|member| {
                let seen = self.seen.get(&member.node)?;
                (began.since(seen.since) >= patience(member)).then(|| (member.node.clone(), seen.beat))
            })
            .collect()
    }

    /// The highest view such that nobody serves any more what that view, or one before it, took away.
    pub fn all_acknowledged(&self, view: &View, own: u64) -> u64 {
        let of_members = view.members.iter().filter_map(|member| self.acknowledged(member, own));
        of_members.min().unwrap_or(view.version).min(view.version)
    }

    /// Lives whose lease has run out, which the view does not say yet.
    pub fn waited_for(&self) -> &BTreeSet<NodeId> {
        &self.waited_for
    }

    /// Lives that have been over for longer than `forget`.
    pub fn forgettable(&self, now: BootTime, forget: Duration) -> Vec<NodeId> {
        let gone = self.down_since.iter().filter(|(_, since)| now.since(**since) >= forget);
        gone.map(|(node, _)| node.clone()).collect()
    }

    /// Lives that have a lease row, no place in the view, and no beat for longer than `forget`.
    pub fn orphans(&self, now: BootTime, forget: Duration) -> Vec<NodeId> {
        let gone = self.orphans.iter().filter(|(_, seen)| now.since(seen.since) >= forget);
        gone.map(|(node, _)| node.clone()).collect()
    }

    /// What is known of each life.
    pub fn seen(&self) -> &BTreeMap<NodeId, Seen> {
        &self.seen
    }

    /// How long until somebody's patience ends, if nothing is heard in the meantime.
    pub fn next_due(&self, view: &View, now: BootTime) -> Option<Duration> {
        let due = view.members.iter().filter_map(|member| {
            let since = match member.state {
                MemberState::Down if self.over.contains(&member.node) => return None,
                MemberState::Down => *self.down_since.get(&member.node)?,
                _ if member.node == self.me => return None,
                _ => self.seen.get(&member.node)?.since,
            };
            Some(patience(member).saturating_sub(now.since(since)))
        });
        due.min()
    }

    fn note(&mut self, now: BootTime, gap: bool, node: &NodeId, row: Option<&LeaseRow>) {
        let (beat, acknowledged_version) = row.map_or((0, 0), |row| (row.beat, row.acknowledged_version));
        let seen = self.seen.entry(node.clone()).or_insert(Seen { beat, since: now, acknowledged_version });
        if gap || (row.is_some() && seen.beat != beat) {
            seen.since = now;
        }
        if row.is_some() {
            seen.beat = beat;
            seen.acknowledged_version = acknowledged_version;
        }
    }

    /// Whether a life that the view calls over can't hold a valid lease. A renewal counts for its node only
    /// if the view that it reads afterwards still has it, so what matters are renewals before the view in
    /// which it is down, and `down_since` is later than that.
    fn has_run_out(&self, member: &Member, row: Option<&LeaseRow>, down_since: BootTime, began: BootTime) -> bool {
        let by_last_beat = match member.ended {
            Some(Ended::Replaced { beat }) => {
                let last = self.seen.get(&member.node).filter(|seen| seen.beat == beat && beat > 0);
                last.is_some_and(|seen| began.since(seen.since) >= patience(member))
            }
            _ => false,
        };
        shows_its_end(member, row) || by_last_beat || began.since(down_since) >= patience(member)
    }

    /// Nothing for those who serve nothing.
    fn acknowledged(&self, member: &Member, own: u64) -> Option<u64> {
        if member.state == MemberState::Joining || never_up(member) || self.over.contains(&member.node) {
            return None;
        }
        let acknowledged = if member.node == self.me {
            own
        } else {
            self.seen.get(&member.node).map_or(0, |seen| seen.acknowledged_version)
        };
        // It had nothing before it was up.
        Some(acknowledged.max(member.up_since))
    }
}

/// How long a member may be silent.
fn patience(member: &Member) -> Duration {
    let lease = Duration::from_millis(member.lease_ms);
    lease + lease / MARGIN_DIVISOR
}

/// Whether view and lease row alone say that a life that is over holds no valid lease.
fn shows_its_end(member: &Member, row: Option<&LeaseRow>) -> bool {
    let is_seen = match member.ended {
        Some(Ended::Left) => true,
        Some(Ended::Silent { beat }) => row.is_some_and(|row| row.beat == beat),
        Some(Ended::Replaced { .. }) | None => false,
    };
    is_seen || never_up(member)
}

fn never_up(member: &Member) -> bool {
    member.up_since == 0
}

fn is_of(row: &LeaseRow, node: &NodeId) -> bool {
    row.generation == node.generation && *row.node == *node.name
}

#[cfg(test)]
mod tests;
