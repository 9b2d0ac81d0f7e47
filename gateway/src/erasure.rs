//! Erasing a user, for the user's own route and for the operator's.
//!
//! What is under way goes on: the shop, the rider and the bank still need the order. So a user with an order under
//! way is refused. An order that is placed at the same moment finishes as well, for it needs nothing of the user
//! any more; one whose cart had not been held yet is refused by the cart, which the erasure closes.

use std::time::Duration;

use nakku_actors::delivery::rider::{self, Rider};
use nakku_actors::order::state::{CUSTOMER, STATUS};
use nakku_actors::order::{Order, Status};
use nakku_actors::user::command::{ErasedBy, Erasure, ErasureReason, Role};
use nakku_actors::user::{Command, Reply, User};
use nakku_cluster::{Ask, AskError, Cluster, Key, Query, Ref};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::{Code, Problem};

/// When asking again makes sense: orders take minutes.
const RETRY_AFTER: Duration = Duration::from_secs(60);
/// How an order stands that is under way.
const UNDER_WAY: [Status; 4] = [Status::Placing, Status::Confirmed, Status::Packed, Status::OutForDelivery];

/// That a user has been erased.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ErasureBody {
    /// The key, which stays taken.
    #[schema(value_type = String)]
    pub id: Key,
    /// When, the first time, in milliseconds since the Unix epoch.
    pub erased_at_ms: i64,
    /// `user` or `operator`.
    #[schema(value_type = String)]
    pub by: ErasedBy,
    /// `requested`, `inactive`, `abuse` or `legal`.
    #[schema(value_type = String)]
    pub reason: ErasureReason,
}

/// Erases a user who has nothing under way. Repeated, it changes nothing and has the same answer.
///
/// # Errors
/// `order_under_way` naming the order; not found for who never was a user.
pub async fn erase(
    cluster: &Cluster,
    ask: &Ask,
    user: &Key,
    by: ErasedBy,
    reason: ErasureReason,
) -> Result<ErasureBody, Problem> {
    let target = Ref::<User>::new(user.clone());
    // Of who is unknown or erased already nothing is looked at: that is for the user to say.
    if let Some(roles) = roles(cluster, ask, &target).await? {
        no_order_under_way(cluster, user).await?;
        if roles.contains(&Role::Rider) {
            go_offline(cluster, ask, user).await?;
        }
    }
    match cluster.ask(&target, &Command::Erase { by, reason }, ask.clone()).await?.reply {
        Reply::Erased { erasure: Erasure { at, by, reason } } => {
            tracing::info!(%user, ?by, ?reason, "user erased");
            Ok(ErasureBody { id: user.clone(), erased_at_ms: at.0, by, reason })
        }
        other => Err(Problem::unexpected(&other)),
    }
}

async fn roles(cluster: &Cluster, ask: &Ask, target: &Ref<User>) -> Result<Option<Vec<Role>>, Problem> {
    match cluster.ask(target, &Command::Get, ask.clone()).await {
        Ok(answered) => match answered.reply {
            Reply::Profile(profile) => Ok(Some(profile.roles)),
            other => Err(Problem::unexpected(&other)),
        },
        Err(AskError::Rejected { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn no_order_under_way(cluster: &Cluster, user: &Key) -> Result<(), Problem> {
    for status in UNDER_WAY {
        let rows = Query::new().text(CUSTOMER, user.as_str()).text(STATUS, status.as_str()).limit(1);
        if let Some(order) = cluster.list::<Order>(&rows).await?.first() {
            return Err(under_way("an order of the user is under way", &order.key));
        }
    }
    Ok(())
}

/// So that no delivery waits for somebody who can't log in any more.
async fn go_offline(cluster: &Cluster, ask: &Ask, user: &Key) -> Result<(), Problem> {
    match cluster.ask(&Ref::<Rider>::new(user.clone()), &rider::Command::GoOffline, ask.clone()).await {
        Ok(_) => Ok(()),
        Err(AskError::Rejected { rejection: rider::Rejection::JobInHand { delivery }, .. }) => {
            Err(under_way("a delivery is in the rider's hands", &delivery))
        }
        Err(error) => Err(error.into()),
    }
}

fn under_way(detail: &str, order: &Key) -> Problem {
    Problem::new(Code::OrderUnderWay, detail).order(order).retry_after(RETRY_AFTER)
}
