//! The view: who belongs to the cluster, as all nodes agree on it, and every way in which it may change.
//!
//! A view is one JSON document with a version. It changes only by compare-and-swap in the cluster database,
//! and each change is one of the pure transitions below, which say `None` when there is nothing to change.
//! Fields that this version does not know are kept, so that an older node never erases a newer one's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest name of a node, in bytes.
pub const NODE_NAME_BYTES_MAX: usize = 64;
/// How long a renewal of a lease holds unless set otherwise.
pub const LEASE_MS_DEFAULT: u64 = 2000;
/// The role of a node that takes HTTP in; all other roles are names of services.
pub const GATEWAY: &str = "gateway";

/// One life of a node: its name, and a number that grows with every start.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId {
    /// The name, which outlives a restart.
    pub name: Arc<str>,
    /// The life.
    pub generation: u64,
}

impl NodeId {
    /// This life of this node.
    pub fn new(name: impl Into<Arc<str>>, generation: u64) -> Self {
        Self { name: name.into(), generation }
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.generation)
    }
}

/// Why a text is no [`NodeId`] or no name of a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a node is name@generation, its name 1 to {NODE_NAME_BYTES_MAX} letters, digits, '-', '_' or '.'; this one is {0:?}"
)]
pub struct NodeIdError(String);

impl FromStr for NodeId {
    type Err = NodeIdError;
    fn from_str(text: &str) -> Result<Self, NodeIdError> {
        let wrong = || NodeIdError(text.chars().take(160).collect());
        let (name, generation) = text.split_once('@').ok_or_else(wrong)?;
        check_name(name)?;
        Ok(Self::new(name, generation.parse().map_err(|_| wrong())?))
    }
}

/// Whether a text can name a node.
///
/// # Errors
/// When it is empty, too long or holds another character than letters, digits, `-`, `_`, `.`.
pub fn check_name(name: &str) -> Result<(), NodeIdError> {
    let fits = !name.is_empty() && name.len() <= NODE_NAME_BYTES_MAX;
    let clean = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if fits && clean { Ok(()) } else { Err(NodeIdError(name.chars().take(160).collect())) }
}

/// What a node runs: names of services, and [`GATEWAY`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Roles(BTreeSet<String>);

impl Roles {
    /// These.
    pub fn new<S: Into<String>>(roles: impl IntoIterator<Item = S>) -> Self {
        Self(roles.into_iter().map(Into::into).collect())
    }

    /// Whether it runs this service.
    pub fn contains(&self, role: &str) -> bool {
        self.0.contains(role)
    }

    /// Whether it takes HTTP in.
    pub fn is_gateway(&self) -> bool {
        self.contains(GATEWAY)
    }

    /// All, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// How far a member is in its life. It only moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberState {
    /// It starts; it owns nothing yet.
    Joining,
    /// It owns shards.
    Up,
    /// It hands over what it owned and owns nothing any more.
    Draining,
    /// Over; final for this generation.
    Down,
}

impl fmt::Display for MemberState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Joining => "joining",
            Self::Up => "up",
            Self::Draining => "draining",
            Self::Down => "down",
        })
    }
}

/// How a member's life ended, which decides how soon its successors may answer reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum Ended {
    /// It had stopped serving and said so itself, or somebody has waited until its lease had certainly run out.
    Left,
    /// Its lease stood still at this beat for longer than a lease lasts. Should it turn out to have gone on
    /// after that beat, its lease has to run out first.
    Silent {
        /// The beat that was judged.
        beat: u64,
    },
    /// A new generation of the same name came, after which no renewal of the old one succeeds; the lease of
    /// its last renewal has to run out first.
    Replaced {
        /// The beat of that last renewal.
        beat: u64,
    },
}

/// One member of a view.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Who.
    pub node: NodeId,
    /// What it runs.
    pub roles: Roles,
    /// Where other nodes link to it, `host:port`.
    pub link_address: String,
    /// Where its HTTP listener is, on gateways.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_address: Option<String>,
    /// How far it is.
    pub state: MemberState,
    /// The view in which it became up; what that view gives to others was never its own.
    #[serde(default)]
    pub up_since: u64,
    /// How it ended, once it is down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// How long a renewal of its lease holds, in milliseconds of anyone's clock.
    #[serde(default = "lease_ms_default")]
    pub lease_ms: u64,
    /// The highest feature level that it supports.
    pub feature_level: u16,
    /// The program's version.
    pub version: String,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, serde_json::Value>,
}

impl Member {
    /// A member that begins its life.
    pub fn joining(node: NodeId, roles: Roles, link_address: impl Into<String>, feature_level: u16) -> Self {
        Self {
            node,
            roles,
            link_address: link_address.into(),
            http_address: None,
            state: MemberState::Joining,
            up_since: 0,
            ended: None,
            lease_ms: LEASE_MS_DEFAULT,
            feature_level,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            unknown: BTreeMap::new(),
        }
    }

    /// Whether it is not down.
    pub fn is_live(&self) -> bool {
        self.state != MemberState::Down
    }
}

/// A shard that an operator has put on a node by hand, as long as that node is up and runs the service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pin {
    /// The service.
    pub service: String,
    /// The shard's number.
    pub shard: u32,
    /// The node's name.
    pub node: String,
    /// Put where it was anyway, while rebalancing is paused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
}

/// What all nodes agree on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// Raised by one with every change; 0 when there is none yet.
    pub version: u64,
    /// The cluster's name.
    pub cluster: String,
    /// What every member supports; it only rises.
    pub feature_level: u16,
    /// All members and those that have gone lately, by name and generation.
    pub members: Vec<Member>,
    /// Shards placed by hand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pins: Vec<Pin>,
    /// Names of nodes that own nothing until an operator gives them back, although they are up.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub cordoned: BTreeSet<String>,
    /// Fields of newer versions.
    #[serde(flatten)]
    pub unknown: BTreeMap<String, serde_json::Value>,
}

impl View {
    /// The view before the first.
    pub fn empty(cluster: impl Into<String>) -> Self {
        Self { cluster: cluster.into(), ..Self::default() }
    }

    /// This life of this node.
    pub fn member(&self, node: &NodeId) -> Option<&Member> {
        self.members.iter().find(|member| member.node == *node)
    }

    /// The newest life of the node of this name.
    pub fn newest(&self, name: &str) -> Option<&Member> {
        self.members.iter().filter(|member| *member.node.name == *name).max_by_key(|member| member.node.generation)
    }

    /// How far a node is; one that is not in the view is down.
    pub fn state(&self, node: &NodeId) -> MemberState {
        self.member(node).map_or(MemberState::Down, |member| member.state)
    }

    /// All that are not down.
    pub fn live(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.is_live())
    }

    /// Those that may own shards of a service.
    pub fn eligible(&self, service: &str) -> impl Iterator<Item = &Member> {
        let may_own = |member: &&Member| member.state == MemberState::Up && !self.cordoned.contains(&*member.node.name);
        self.members.iter().filter(may_own).filter(move |member| member.roles.contains(service))
    }

    /// A node begins its life; an older life of it, whose last beat this was, is over. Nothing when this or
    /// a newer life is known, or when it does not support the cluster's feature level.
    #[must_use]
    pub fn join(&self, joining: &Member, older_beat: u64) -> Option<View> {
        let founds = self.version == 0;
        let known =
            self.newest(&joining.node.name).is_some_and(|known| known.node.generation >= joining.node.generation);
        if known || (!founds && joining.feature_level < self.feature_level) {
            return None;
        }
        Some(self.next(|view| {
            if founds {
                view.feature_level = joining.feature_level;
            }
            for member in view.members.iter_mut().filter(|member| member.node.name == joining.node.name) {
                if member.is_live() {
                    member.state = MemberState::Down;
                    member.ended = Some(Ended::Replaced { beat: older_beat });
                }
            }
            let fresh = Member { state: MemberState::Joining, up_since: 0, ended: None, ..joining.clone() };
            view.members.push(fresh);
            view.members.sort_by(|one, other| one.node.cmp(&other.node));
        }))
    }

    /// A joining node is ready to own shards.
    #[must_use]
    pub fn up(&self, node: &NodeId) -> Option<View> {
        self.advance(node, MemberState::Up, None)
    }

    /// A node gives away all its shards.
    #[must_use]
    pub fn drain(&self, node: &NodeId) -> Option<View> {
        self.advance(node, MemberState::Draining, None)
    }

    /// A node's lease has stood still at this beat: its life is over.
    #[must_use]
    pub fn down(&self, node: &NodeId, beat: u64) -> Option<View> {
        self.advance(node, MemberState::Down, Some(Ended::Silent { beat }))
    }

    /// A node that serves nothing any more ends its life by itself.
    #[must_use]
    pub fn leave(&self, node: &NodeId) -> Option<View> {
        self.advance(node, MemberState::Down, Some(Ended::Left))
    }

    /// The lease of a life that is over has run out, by the clock of whoever says so: nobody that joins later has to
    /// wait for it again.
    #[must_use]
    pub fn run_out(&self, node: &NodeId) -> Option<View> {
        let waited_for = matches!(self.member(node)?.ended, Some(Ended::Silent { .. } | Ended::Replaced { .. }));
        waited_for.then(|| {
            self.next(|view| {
                let over = view.members.iter_mut().filter(|member| member.node == *node);
                over.for_each(|member| member.ended = Some(Ended::Left));
            })
        })
    }

    /// Forgets a life that is over.
    #[must_use]
    pub fn forget(&self, node: &NodeId) -> Option<View> {
        let gone = self.member(node).is_some_and(|member| !member.is_live());
        gone.then(|| self.next(|view| view.members.retain(|member| member.node != *node)))
    }

    /// Raises the feature level to what all members support.
    #[must_use]
    pub fn raise_feature_level(&self) -> Option<View> {
        let supported = self.live().map(|member| member.feature_level).min()?;
        (supported > self.feature_level).then(|| self.next(|view| view.feature_level = supported))
    }

    /// Puts a shard on a node by hand, or gives it back to placement.
    #[must_use]
    pub fn pin(&self, service: &str, shard: u32, node: Option<&str>) -> Option<View> {
        let changed = self.next(|view| {
            view.pins.retain(|pin| (pin.service.as_str(), pin.shard) != (service, shard));
            let pin = |node: &str| Pin { service: service.to_owned(), shard, node: node.to_owned(), paused: false };
            view.pins.extend(node.map(pin));
            view.pins.sort();
        });
        (changed.pins != self.pins).then_some(changed)
    }

    /// Pauses rebalancing: every shard that is placed by hand nowhere else stays where it is.
    #[must_use]
    pub fn pause(&self, owners: &[Pin]) -> Option<View> {
        let changed = self.next(|view| {
            let is_placed =
                |pin: &Pin| self.pins.iter().any(|known| known.service == pin.service && known.shard == pin.shard);
            let stay = owners.iter().filter(|pin| !is_placed(pin)).map(|pin| Pin { paused: true, ..pin.clone() });
            view.pins.extend(stay);
            view.pins.sort();
        });
        (changed.pins != self.pins).then_some(changed)
    }

    /// Ends a pause; what was placed by hand stays so.
    #[must_use]
    pub fn resume(&self) -> Option<View> {
        let changed = self.next(|view| view.pins.retain(|pin| !pin.paused));
        (changed.pins != self.pins).then_some(changed)
    }

    /// Takes all shards from a node that stays up, or lets it have some again.
    #[must_use]
    pub fn cordon(&self, node: &str, is_cordoned: bool) -> Option<View> {
        let changed = self.next(|view| {
            if is_cordoned {
                view.cordoned.insert(node.to_owned())
            } else {
                view.cordoned.remove(node)
            };
        });
        (changed.cordoned != self.cordoned).then_some(changed)
    }

    /// The document as it is stored.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a view has string keys and serialises")
    }

    /// The document as it was stored.
    ///
    /// # Errors
    /// When it is none, or of a future version that this one can't read.
    pub fn from_json(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    fn advance(&self, node: &NodeId, state: MemberState, ended: Option<Ended>) -> Option<View> {
        let moves = self.member(node)?.state < state;
        moves.then(|| {
            self.next(|view| {
                let version = view.version;
                for member in view.members.iter_mut().filter(|member| member.node == *node) {
                    if state == MemberState::Up {
                        member.up_since = version;
                    }
                    member.state = state;
                    member.ended = ended;
                }
            })
        })
    }

    fn next(&self, change: impl FnOnce(&mut View)) -> View {
        let mut view = self.clone();
        view.version += 1;
        change(&mut view);
        view
    }
}

fn lease_ms_default() -> u64 {
    LEASE_MS_DEFAULT
}

#[cfg(test)]
mod tests;
