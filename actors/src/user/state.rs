//! What a user remembers: who it is (the head, which lists return), and as parts what is secret or many.

use nakku_cluster::{Column, ColumnKind, ColumnValue, EntityState, Key, PartSet, Parts, Timestamp};
use serde::{Deserialize, Serialize};

use super::command::{Address, Erasure, PasswordHash, Profile, Role, TokenHash, WipeStep};
use super::email;
use super::event::Event;

/// The column that is 1 for whoever has a role besides customer and 0 else.
pub const STAFF: &str = "staff";
/// The column that holds the place of work.
pub const STORE: &str = "store";
/// The one key under which the password is kept.
pub const PASSWORD: &str = "password";

/// A user's state.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Who it is.
    pub head: Head,
    /// The password's hash, under [`PASSWORD`].
    pub secrets: Parts<String, PasswordHash>,
    /// By their ids.
    pub addresses: Parts<String, Address>,
    /// By family.
    pub sessions: Parts<String, Session>,
}

/// Who a user is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// How far it came.
    pub standing: Standing,
    /// As normalised.
    pub email: String,
    /// As given.
    pub name: String,
    /// In order, each once.
    pub roles: Vec<Role>,
    /// Where a rider or a member of a store's staff works.
    pub store: Option<Key>,
    /// When it registered.
    pub registered_at: Timestamp,
    /// When it logged in last.
    pub last_login_at: Option<Timestamp>,
    /// How many sessions it has opened; orders them.
    pub sessions_opened: u64,
    /// That it was erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<Erasure>,
    /// Who else has yet to forget the erased user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wiping: Option<Wiping>,
}

/// Who else has yet to forget an erased user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wiping {
    /// The user's own key.
    pub user: Key,
    /// The key of the e-mail's entity, which does not show the e-mail.
    pub email: Key,
    /// Those who have not answered.
    pub left: Vec<WipeStep>,
}

/// How far a user came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Nobody yet.
    #[default]
    Unknown,
    /// A user.
    Registered,
    /// Never to be one.
    Abandoned,
    /// No longer one, for good.
    Erased,
}

/// A session that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Which of the user's sessions it was, from 1.
    pub number: u64,
    /// Of the refresh token that is good.
    pub current: TokenHash,
    /// Of the one before it, to answer a repeated exchange alike.
    pub previous: Option<TokenHash>,
    /// When the good one ends.
    pub expires_at: Timestamp,
}

impl State {
    /// Who the user is, with everything that is not secret.
    pub fn profile(&self) -> Profile {
        let head = &self.head;
        Profile {
            email: head.email.clone(),
            name: head.name.clone(),
            roles: head.roles.clone(),
            store: head.store.clone(),
            addresses: self.addresses.iter().map(|(id, address)| (id.clone(), address.clone())).collect(),
            registered_at: head.registered_at,
            last_login_at: head.last_login_at,
        }
    }

    /// Applies an event.
    pub fn evolve(&mut self, event: &Event) {
        let head = &mut self.head;
        match event {
            Event::Registered { email, name, roles, store, at } => {
                head.standing = Standing::Registered;
                head.email = email.clone();
                head.name = name.clone();
                head.roles = roles.clone();
                head.store = store.clone();
                head.registered_at = *at;
            }
            Event::RegistrationAbandoned {} => head.standing = Standing::Abandoned,
            Event::LoggedIn { at } => head.last_login_at = Some(*at),
            Event::PasswordSet { password_hash } => {
                self.secrets.insert(PASSWORD.into(), password_hash.clone());
            }
            Event::SessionOpened { session } => {
                head.sessions_opened += 1;
                let opened = Session {
                    number: head.sessions_opened,
                    current: session.token_hash.clone(),
                    previous: None,
                    expires_at: session.expires_at,
                };
                self.sessions.insert(session.family.clone(), opened);
            }
            Event::RefreshRotated { family, token_hash, expires_at } => {
                if let Some(session) = self.sessions.get_mut(family) {
                    session.previous = Some(std::mem::replace(&mut session.current, token_hash.clone()));
                    session.expires_at = *expires_at;
                }
            }
            Event::SessionsEnded { families, .. } => {
                for family in families {
                    self.sessions.remove(family);
                }
            }
            Event::PasswordChanged { .. } => {}
            Event::AddressSet { id, address, .. } => {
                self.addresses.insert(id.clone(), address.clone());
            }
            Event::AddressRemoved { id } => {
                self.addresses.remove(id);
            }
            Event::RoleGranted { role, store } => {
                head.roles.push(*role);
                head.roles.sort_unstable();
                head.roles.dedup();
                head.store = store.clone();
            }
            Event::RoleRevoked { role } => head.roles.retain(|kept| kept != role),
            Event::Erased { user, at, by, reason } => {
                let email = email::reference(&head.email).key().clone();
                *head = Head {
                    standing: Standing::Erased,
                    erased: Some(Erasure { at: *at, by: *by, reason: *reason }),
                    wiping: Some(Wiping { user: user.clone(), email, left: WipeStep::ALL.to_vec() }),
                    ..Head::default()
                };
                for (_, parts) in self.parts() {
                    parts.clear();
                }
            }
            Event::Wiped { step } => {
                if let Some(wiping) = &mut head.wiping {
                    wiping.left.retain(|left| left != step);
                }
                // With the last one the key of the e-mail goes too.
                head.wiping = head.wiping.take().filter(|wiping| !wiping.left.is_empty());
            }
        }
    }
}

impl EntityState for State {
    type Head = Head;

    const COLUMNS: &'static [Column] =
        &[Column { name: STAFF, kind: ColumnKind::Integer }, Column { name: STORE, kind: ColumnKind::Text }];

    fn head(&self) -> &Head {
        &self.head
    }

    fn head_mut(&mut self) -> &mut Head {
        &mut self.head
    }

    fn parts(&mut self) -> Vec<(&'static str, &mut dyn PartSet)> {
        vec![("secret", &mut self.secrets), ("address", &mut self.addresses), ("session", &mut self.sessions)]
    }

    fn is_erased(&self) -> bool {
        self.head.standing == Standing::Erased
    }

    fn columns(&self) -> Vec<ColumnValue> {
        let staff = self.head.roles.iter().any(|role| *role != Role::Customer);
        let store = self.head.store.as_ref();
        vec![
            ColumnValue::Integer(i64::from(staff)),
            store.map_or(ColumnValue::Null, |store| ColumnValue::Text(store.as_str().to_owned())),
        ]
    }
}
