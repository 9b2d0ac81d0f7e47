//! What can be subscribed to, who may, and the task that serves it.

use std::future::Future;
use std::sync::Arc;

use nakku_actors::user::command::Role;
use nakku_cluster::{Ask, Key};
use serde_json::{Value, json};

use super::board::Board;
use super::cursor::Cursor;
use super::protocol::Told;
use super::{board, order};
use crate::auth::{Caller, StaffOnly};
use crate::edge::Edge;
use crate::problem::{Code, Problem};
use crate::routes::orders::own_order;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subscription {
    /// An order, its payment, its delivery, and where its rider is.
    Order(Key),
    /// The caller's own deliveries.
    Deliveries,
    /// The open orders of a store.
    Store(Key),
}

/// Who hears what a subscription tells.
pub trait Listener: Send + Sync + 'static {
    /// Takes one message.
    fn tell(&self, told: Told) -> impl Future<Output = Result<(), Gone>> + Send;
}

/// Nobody listens any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// Why a subscription is served no more.
#[derive(Debug)]
pub enum Ended {
    /// Nobody listens any more.
    Gone,
    /// It can't be served.
    Problem(Problem),
}

impl From<Gone> for Ended {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl<E: Into<Problem>> From<E> for Ended {
    fn from(error: E) -> Self {
        Self::Problem(error.into())
    }
}

impl Subscription {
    /// As it is written.
    pub fn name(&self) -> Value {
        match self {
            Self::Order(order) => json!({ "order": order }),
            Self::Deliveries => json!({ "deliveries": true }),
            Self::Store(store) => json!({ "store": store }),
        }
    }

    /// Lets in whom it is for, as the routes do that read the same.
    ///
    /// # Errors
    /// Not found for another's order; forbidden for a role or store that is not the caller's.
    pub fn admit(&self, caller: &Caller) -> Result<(), Problem> {
        let forbidden = |roles: &[Role]| {
            let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
            Problem::new(Code::Forbidden, "the token's roles don't allow this").member("roles", roles)
        };
        match self {
            Self::Order(order) => own_order(caller, order.as_str()).map(drop),
            Self::Deliveries if caller.has(Role::Rider) => Ok(()),
            Self::Deliveries => Err(forbidden(&[Role::Rider])),
            Self::Store(store) if caller.has(Role::Store) || caller.has(Role::Admin) => {
                StaffOnly(caller.clone()).of_store(store)
            }
            Self::Store(_) => Err(forbidden(&[Role::Store, Role::Admin])),
        }
    }

    /// Serves it until nobody listens any more or it can't be served; then the listener is told why.
    pub async fn serve(self, edge: Arc<Edge>, user: Key, cursor: Option<Cursor>, listener: impl Listener) {
        let ended = match &self {
            Self::Order(key) => order::follow(&edge, &self, key, cursor, &listener).await,
            Self::Deliveries => board::follow(&edge, &self, Board::Deliveries(&user), &listener).await,
            Self::Store(store) => board::follow(&edge, &self, Board::Store(store), &listener).await,
        };
        if let Err(Ended::Problem(problem)) = ended {
            // Whoever has gone meanwhile need not know.
            let _ = listener.tell(Told::ended(&self, problem)).await;
        }
    }
}

/// How long an entity is waited for.
pub(super) fn ask(edge: &Edge) -> Ask {
    Ask::within(edge.settings.ask_timeout)
}
