//! `/notifications`: what one was told, and how one wants to be told.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json as JsonBody, Router};
use nakku_actors::notification::command::{Email, Message, Preferences};
use nakku_actors::notification::template::{Language, Template, Text};
use nakku_actors::notification::{Command, Inbox, Reply};
use nakku_cluster::{Answered, Ref};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Answer, page_limit};
use crate::auth::Caller;
use crate::edge::Edge;
use crate::extract::{Json, Query};
use crate::problem::{Problem, ProblemBody};
use crate::trace::RequestContext;

/// Its routes.
pub fn routes() -> Router<Arc<Edge>> {
    Router::new()
        .route("/", get(list))
        .route("/read", post(mark_read))
        .route("/preferences", get(preferences).put(set_preferences))
}

/// What the caller was told, newest first, in the caller's language; with what became of each e-mail.
#[utoipa::path(get, path = "/api/v1/notifications", tag = "notifications", security(("bearer" = [])),
    params(InboxQuery), responses((status = 200, body = InboxBody), (status = "default", body = ProblemBody)))]
pub async fn list(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    caller: Caller,
    Query(query): Query<InboxQuery>,
) -> Answer<InboxBody> {
    let limit = page_limit(query.limit)? as usize;
    let answered = ask(&edge, &context, &caller, Command::List { before: query.before, limit }).await?;
    match answered.reply {
        Reply::Messages { messages, unread, read_through, language } => Ok(JsonBody(InboxBody {
            next: (messages.len() >= limit).then(|| messages.last().map(|last| last.number)).flatten(),
            items: messages.into_iter().map(|message| MessageBody::new(message, language, read_through)).collect(),
            unread,
            entity_version: answered.entity_version,
        })),
        other => Err(Problem::unexpected(&other)),
    }
}

/// Everything up to a message has been read.
#[utoipa::path(post, path = "/api/v1/notifications/read", tag = "notifications", security(("bearer" = [])),
    request_body = ReadThrough, responses((status = 200, body = ReadThrough), (status = "default", body = ProblemBody)))]
pub async fn mark_read(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    caller: Caller,
    Json(body): Json<ReadThrough>,
) -> Answer<ReadThrough> {
    ask(&edge, &context, &caller, Command::MarkRead { through: body.through }).await?;
    Ok(JsonBody(body))
}

/// How the caller wants to be told.
#[utoipa::path(get, path = "/api/v1/notifications/preferences", tag = "notifications", security(("bearer" = [])),
    responses((status = 200, body = PreferencesBody), (status = "default", body = ProblemBody)))]
pub async fn preferences(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    caller: Caller,
) -> Answer<PreferencesBody> {
    prefer(&edge, &context, &caller, Command::GetPreferences).await
}

/// Replaces them. What was told before stays as it is.
#[utoipa::path(put, path = "/api/v1/notifications/preferences", tag = "notifications", security(("bearer" = [])),
    request_body = PreferencesBody,
    responses((status = 200, body = PreferencesBody), (status = "default", body = ProblemBody)))]
pub async fn set_preferences(
    State(edge): State<Arc<Edge>>,
    context: RequestContext,
    caller: Caller,
    Json(body): Json<PreferencesBody>,
) -> Answer<PreferencesBody> {
    let PreferencesBody { language, email, muted } = body;
    prefer(&edge, &context, &caller, Command::Prefer { preferences: Preferences { language, email, muted } }).await
}

/// Which messages.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct InboxQuery {
    /// Only those before this number: the `next` of the page before.
    pub before: Option<u64>,
    /// At most so many, 1 to 200; a page has no more than 100. Default 50.
    pub limit: Option<u32>,
}

/// One page of an inbox, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct InboxBody {
    /// The messages.
    pub items: Vec<MessageBody>,
    /// Where the next page goes on (`before`); absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
    /// How many are unread, in all.
    pub unread: u64,
    /// The version of the inbox that this rests on.
    pub entity_version: u64,
}

/// A message.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessageBody {
    /// Rises with each message.
    pub number: u64,
    /// What it tells of.
    pub template: Template,
    /// One line.
    pub subject: String,
    /// A few lines.
    pub body: String,
    /// The order that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// When that happened, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Whether it has been read.
    pub read: bool,
    /// The e-mail: `unwanted`, `sending`, `sent` or `failed`.
    pub email: String,
}

/// Up to where was read.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadThrough {
    /// The number of the newest message that was read.
    pub through: u64,
}

/// How a user wants to be told.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreferencesBody {
    /// `en` or `hi`.
    pub language: Language,
    /// Whether by e-mail too; the inbox has every message anyway.
    pub email: bool,
    /// What is not to be sent by e-mail.
    #[serde(default)]
    pub muted: BTreeSet<Template>,
}

impl MessageBody {
    fn new(message: Message, language: Language, read_through: u64) -> Self {
        let Text { subject, body } = message.template.text(language, &message.values);
        let email = match message.email {
            Email::Unwanted => "unwanted",
            Email::Reaching | Email::Sending { .. } => "sending",
            Email::Sent { .. } => "sent",
            Email::Failed { .. } => "failed",
        };
        Self {
            number: message.number,
            template: message.template,
            subject,
            body,
            order: message.values.get("order").cloned(),
            at_ms: message.at.0,
            read: message.number <= read_through,
            email: email.to_owned(),
        }
    }
}

async fn prefer(edge: &Edge, context: &RequestContext, caller: &Caller, command: Command) -> Answer<PreferencesBody> {
    match ask(edge, context, caller, command).await?.reply {
        Reply::Preferences { preferences: Preferences { language, email, muted } } => {
            Ok(JsonBody(PreferencesBody { language, email, muted }))
        }
        other => Err(Problem::unexpected(&other)),
    }
}

/// Every command of an inbox is idempotent.
async fn ask(
    edge: &Edge,
    context: &RequestContext,
    caller: &Caller,
    command: Command,
) -> Result<Answered<Reply>, Problem> {
    let target = Ref::<Inbox>::new(caller.user().clone());
    Ok(edge.cluster.ask(&target, &command, context.ask()).await?)
}
