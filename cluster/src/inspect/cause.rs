//! Why a shard goes from one node to another: what differs between two views.

use crate::membership::{Ended, MemberState, NodeId, View};
use crate::reference::ShardId;

/// In a word: `death`, `leave`, `drain`, `undrain`, `pin`, `unpin`, `resume`, `join` or, when none of them is to be
/// seen, `rebalance`. Views may be skipped; then the first of these that fits.
pub(crate) fn between(
    before: &View,
    after: &View,
    shard: ShardId,
    from: Option<&NodeId>,
    to: Option<&NodeId>,
) -> &'static str {
    if let Some(from) = from {
        match after.member(from).map(|member| (member.state, &member.ended)) {
            Some((MemberState::Down, Some(Ended::Left))) => return "leave",
            None | Some((MemberState::Down, _)) => return "death",
            Some((MemberState::Draining, _)) => return "drain",
            Some(_) => {}
        }
        let is_cordoned = |view: &View| view.cordoned.contains(&*from.name);
        if is_cordoned(after) && !is_cordoned(before) {
            return "drain";
        }
    }
    let pin = |view: &View| {
        let own = view.pins.iter().find(|pin| pin.service == shard.service && pin.shard == shard.number);
        own.map(|pin| (pin.node.clone(), pin.paused))
    };
    match (pin(before), pin(after)) {
        (earlier, Some(present)) if earlier.as_ref() != Some(&present) && !present.1 => return "pin",
        (Some((_, true)), None) => return "resume",
        (Some((_, false)), None) => return "unpin",
        _ => {}
    }
    if before.cordoned.iter().any(|name| !after.cordoned.contains(name)) {
        return "undrain";
    }
    let joined = to.is_some_and(|to| before.state(to) != MemberState::Up && after.state(to) == MemberState::Up);
    if joined { "join" } else { "rebalance" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership::{Member, Pin, Roles};

    const SHARD: ShardId = ShardId { service: "order", number: 3 };

    fn node(name: &str) -> NodeId {
        NodeId::new(name, 1)
    }

    fn view(states: &[(&str, MemberState)]) -> View {
        let member = |(name, state): &(&str, MemberState)| {
            let joining = Member::joining(node(name), Roles::new(["order"]), "127.0.0.1:1", 1);
            Member { state: *state, ended: None, ..joining }
        };
        View { members: states.iter().map(member).collect(), ..View::empty("test") }
    }

    fn pinned(paused: bool) -> View {
        let pin = Pin { service: "order".into(), shard: 3, node: "b".into(), paused };
        View { pins: vec![pin], ..both() }
    }

    fn both() -> View {
        view(&[("a", MemberState::Up), ("b", MemberState::Up)])
    }

    #[track_caller]
    fn told(before: &View, after: &View, cause: &str) {
        assert_eq!(between(before, after, SHARD, Some(&node("a")), Some(&node("b"))), cause);
    }

    #[test]
    fn a_shard_moves_because_of_what_has_changed() {
        told(&both(), &view(&[("b", MemberState::Up)]), "death");
        told(&both(), &view(&[("a", MemberState::Down), ("b", MemberState::Up)]), "death");
        told(&both(), &view(&[("a", MemberState::Draining), ("b", MemberState::Up)]), "drain");
        let mut left = view(&[("a", MemberState::Down), ("b", MemberState::Up)]);
        left.members[0].ended = Some(Ended::Left);
        told(&both(), &left, "leave");
        let cordoned = View { cordoned: ["a".to_owned()].into(), ..both() };
        told(&both(), &cordoned, "drain");
        told(&cordoned, &both(), "undrain");
        told(&both(), &pinned(false), "pin");
        told(&pinned(false), &both(), "unpin");
        told(&pinned(true), &both(), "resume");
        told(&view(&[("a", MemberState::Up), ("b", MemberState::Joining)]), &both(), "join");
        told(&both(), &both(), "rebalance");
        let (before, after) = (View::empty("test"), both());
        assert_eq!(between(&before, &after, SHARD, None, Some(&node("b"))), "join", "the first owner");
    }
}
