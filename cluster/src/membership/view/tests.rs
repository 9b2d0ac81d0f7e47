//! Transitions of the view.

use super::{Ended, Member, MemberState, NodeId, Roles, View};

fn node(name: &str, generation: u64) -> NodeId {
    NodeId::new(name, generation)
}

fn member(name: &str, generation: u64) -> Member {
    Member::joining(node(name, generation), Roles::new(["order", "gateway"]), "127.0.0.1:7946", 2)
}

fn founded() -> View {
    View::empty("test").join(&member("a", 1), 0).expect("founded")
}

#[test]
fn a_life_moves_forward_only() {
    let joined = founded();
    assert_eq!((joined.version, joined.feature_level, joined.state(&node("a", 1))), (1, 2, MemberState::Joining));
    let up = joined.up(&node("a", 1)).expect("joining");
    assert_eq!((up.version, up.member(&node("a", 1)).expect("there").up_since), (2, 2));
    assert_eq!(up.up(&node("a", 1)), None, "it is up already");
    let draining = up.drain(&node("a", 1)).expect("up");
    assert_eq!(draining.up(&node("a", 1)), None);
    let left = draining.leave(&node("a", 1)).expect("draining");
    assert_eq!(left.member(&node("a", 1)).expect("there").ended, Some(Ended::Left));
    assert_eq!(left.down(&node("a", 1), 7), None, "over is over");
    assert_eq!(left.join(&member("a", 1), 0), None, "and final for this generation");
    assert_eq!(draining.forget(&node("a", 1)), None, "only what is over is forgotten");
    assert!(left.forget(&node("a", 1)).expect("over").members.is_empty());
    assert_eq!(left.up(&node("b", 1)), None, "an unknown node");
}

#[test]
fn a_new_generation_replaces_the_older_one() {
    let up = founded().up(&node("a", 1)).expect("joining");
    let again = up.join(&member("a", 3), 41).expect("newer");
    assert_eq!(again.member(&node("a", 1)).expect("there").ended, Some(Ended::Replaced { beat: 41 }));
    assert_eq!(again.newest("a").expect("there").node.generation, 3);
    assert_eq!(again.join(&member("a", 2), 0), None, "an older life comes too late");
    let silent = up.down(&node("a", 1), 9).expect("up").join(&member("a", 2), 10).expect("newer");
    assert_eq!(silent.member(&node("a", 1)).expect("there").ended, Some(Ended::Silent { beat: 9 }), "as it ended");
}

#[test]
fn the_feature_level_only_rises() {
    let mut newer = member("b", 1);
    newer.feature_level = 4;
    let two = founded().join(&newer, 0).expect("new");
    assert_eq!(two.raise_feature_level(), None, "one supports no more");
    let alone = two.leave(&node("a", 1)).expect("there").raise_feature_level().expect("all support 4");
    assert_eq!(alone.feature_level, 4);
    assert_eq!(alone.join(&member("c", 1), 0), None, "it supports only 2");
}

#[test]
fn fields_of_newer_versions_are_kept() {
    let mut json: serde_json::Value = serde_json::from_slice(&founded().to_json()).expect("JSON");
    json["zones"] = serde_json::json!({ "a": "north" });
    json["members"][0]["zone"] = "north".into();
    let view = View::from_json(&serde_json::to_vec(&json).expect("JSON")).expect("tolerated");
    let changed: serde_json::Value =
        serde_json::from_slice(&view.up(&node("a", 1)).expect("joining").to_json()).expect("JSON");
    assert_eq!(changed["zones"], json["zones"]);
    assert_eq!(changed["members"][0]["zone"], "north");
}

#[test]
fn names_of_nodes_are_checked() {
    assert_eq!("a-1.b@12".parse(), Ok(node("a-1.b", 12)));
    assert_eq!(node("a", 3).to_string(), "a@3");
    for wrong in ["a", "@1", "a@", "a b@1", "a@x"] {
        assert!(wrong.parse::<NodeId>().is_err(), "{wrong}");
    }
}
