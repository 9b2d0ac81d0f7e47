//! `/admin/v1/webhooks`: the endpoints of integrators, what became of what was sent to them, and sending it again.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{any, get, post};
use axum::{Json as JsonBody, Router};
use nakku_actors::notification::webhook::command::{Attempt, Replay, Status, View};
use nakku_actors::notification::webhook::sender::Outcome;
use nakku_actors::notification::webhook::state::Head;
use nakku_actors::notification::webhook::subscription::check_url;
use nakku_actors::notification::webhook::{Command, Rejection, Reply, SigningSecret, Webhook};
use nakku_cluster::{Ask, Cluster, Key, Query as Rows, Ref};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::{IntoParams, OpenApi, ToSchema};

use super::inspect::reason::note;
use super::session::Operator;
use crate::extract::{Json, Path, Query};
use crate::problem::{Code, Problem, ProblemBody};
use crate::routes::{Answer, Page, PageQuery, next_page, page_limit};
use crate::settings::WebhookSettings;

/// How long a webhook may take to answer.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it is waited for that the directory knows what a webhook wants.
const IN_FORCE_PATIENCE: Duration = Duration::from_secs(5);
/// Pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Random bytes of a new secret.
const SECRET_BYTES: usize = 32;

/// What the routes are, for the document of the admin API.
#[derive(OpenApi)]
#[openapi(paths(list, create, show, change, remove, attempts, replay, rotate_secret))]
pub(crate) struct Documented;

/// What the routes need.
#[derive(Clone)]
struct Webhooks {
    cluster: Cluster,
    settings: WebhookSettings,
}

/// Its routes; without settings there are no webhooks, which is what they say.
pub(crate) fn routes(cluster: Cluster, settings: Option<WebhookSettings>) -> Router {
    let Some(settings) = settings else {
        return Router::new()
            .route("/admin/v1/webhooks", any(not_enabled))
            .route("/admin/v1/webhooks/{*rest}", any(not_enabled));
    };
    Router::new()
        .route("/admin/v1/webhooks", get(list).post(create))
        .route("/admin/v1/webhooks/{id}", get(show).patch(change).delete(remove))
        .route("/admin/v1/webhooks/{id}/attempts", get(attempts))
        .route("/admin/v1/webhooks/{id}/replay", post(replay))
        .route("/admin/v1/webhooks/{id}/rotate-secret", post(rotate_secret))
        .with_state(Webhooks { cluster, settings })
}

async fn not_enabled() -> Problem {
    Problem::new(Code::WrongState, "webhooks are not enabled: set webhooks.enabled = true on all nodes")
}

/// A webhook that is to be made.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewWebhook)]
#[serde(deny_unknown_fields)]
struct New {
    /// Where events are sent.
    url: String,
    /// Names of events, such as `order.confirmed`, or families, such as `order.*`.
    types: Vec<String>,
}

/// What is to be changed; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[schema(as = WebhookChange)]
#[serde(deny_unknown_fields)]
struct Change {
    /// Where events are sent.
    #[serde(default)]
    url: Option<String>,
    /// All of them.
    #[serde(default)]
    types: Option<Vec<String>>,
    /// Whether events are sent.
    #[serde(default)]
    enabled: Option<bool>,
}

/// What is to be sent again: one of the two.
#[derive(Deserialize, ToSchema)]
#[schema(as = SendAgain)]
#[serde(deny_unknown_fields)]
struct Again {
    /// Ids of events.
    #[serde(default)]
    events: Option<Vec<String>>,
    /// All that were given up.
    #[serde(default)]
    failed: bool,
}

/// Which attempts.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AttemptsQuery {
    /// Only those before this number.
    #[serde(default)]
    before: Option<u64>,
    /// At most so many, 1 to 200. Default 50.
    #[serde(default)]
    limit: Option<u32>,
}

/// A webhook in a list, as last committed.
#[derive(Serialize, ToSchema)]
#[schema(as = ListedWebhook)]
struct Listed {
    /// Its key.
    #[schema(value_type = String)]
    id: Key,
    /// Where events are sent.
    url: String,
    /// Which are.
    types: Vec<String>,
    /// Whether they are.
    enabled: bool,
    /// Why they are not, as a word for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_reason: Option<&'static str>,
    /// The same for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_detail: Option<String>,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_at_ms: Option<i64>,
    /// When it was made.
    created_at_ms: i64,
    /// When it last took something.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_success_at_ms: Option<i64>,
}

/// A webhook with how it is.
#[derive(Serialize, ToSchema)]
#[schema(as = ShownWebhook)]
struct Shown {
    #[serde(flatten)]
    listed: Listed,
    /// Whether the latest change holds for all events that occur from now on.
    in_force: bool,
    /// Deliveries that are due or under way.
    pending: u64,
    /// Deliveries that were given up.
    failed: u64,
    /// When the next attempt is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at_ms: Option<i64>,
    /// Only in the answer that makes or replaces it.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// An attempt in the log.
#[derive(Serialize, ToSchema)]
struct AttemptBody {
    /// Rises with each attempt of the endpoint.
    number: u64,
    /// The event's id.
    event: String,
    /// Its name.
    event_type: String,
    /// Which attempt of the event it was, from 1.
    nth: u32,
    /// When it ended.
    at_ms: i64,
    /// How long it took.
    took_ms: u64,
    /// Whether the endpoint took it.
    delivered: bool,
    /// What the endpoint answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// Why it did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// When the next one is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_at_ms: Option<i64>,
}

/// A page of the log, newest first.
#[derive(Serialize, ToSchema)]
struct Attempts {
    items: Vec<AttemptBody>,
    /// Where the next page goes on (`before`).
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

/// What is sent again.
#[derive(Serialize, ToSchema)]
#[schema(as = SentAgain)]
struct Replayed {
    /// How many.
    events: u64,
    /// Ids of events that are not kept.
    unknown: Vec<String>,
    /// How many more there are.
    left: u64,
}

/// Webhooks in the order of their keys, as last committed.
#[utoipa::path(get, path = "/admin/v1/webhooks", tag = "webhooks",
    params(PageQuery),
    responses((status = 200, body = Page<Listed>), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn list(State(webhooks): State<Webhooks>, Query(query): Query<PageQuery>) -> Answer<Page<Listed>> {
    let limit = query.limit()?;
    let rows = Rows::new().integer("live", 1).after(query.after()?).limit(limit);
    let rows = webhooks.cluster.list::<Webhook>(&rows).await?;
    let next = next_page(rows.len(), limit, rows.last().map(|row| &row.key));
    let items = rows.into_iter().filter_map(|row| Listed::of_head(row.key, row.head));
    Ok(JsonBody(Page { items: items.collect(), next }))
}

/// Makes one; its secret is shown in this answer only.
#[utoipa::path(post, path = "/admin/v1/webhooks", tag = "webhooks",
    request_body = New,
    responses((status = 201, body = Shown), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn create(
    State(webhooks): State<Webhooks>,
    operator: Operator,
    Json(new): Json<New>,
) -> Result<(StatusCode, JsonBody<Shown>), Problem> {
    let url = webhooks.url(&new.url)?;
    let id = Key::new(format!("wh-{:032x}", rand::random::<u128>())).expect("letters and digits make a key");
    let secret = new_secret();
    let command = Command::Create { url, types: new.types, secret: secret.clone() };
    webhooks.ask(&id, &command).await?;
    let view = webhooks.in_force(&id).await?;
    if let Status::Disabled { reason, .. } = view.status {
        // Nothing else can have disabled it yet: the directory is full.
        webhooks.ask(&id, &Command::Delete).await?;
        return Err(Problem::new(Code::LimitReached, reason.to_string()));
    }
    note(&operator.0, "create_webhook", &id, &format!("{} {:?}", view.url, view.types));
    let shown = Shown { secret: Some(secret.expose().to_owned()), ..Shown::of(id, view) };
    Ok((StatusCode::CREATED, JsonBody(shown)))
}

/// One, with how it is.
#[utoipa::path(get, path = "/admin/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's key")),
    responses((status = 200, body = Shown), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn show(State(webhooks): State<Webhooks>, Path(id): Path<Key>) -> Answer<Shown> {
    let view = webhooks.view(&id, &Command::Get).await?;
    Ok(JsonBody(Shown::of(id, view)))
}

/// Changes what is given.
#[utoipa::path(patch, path = "/admin/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's key")),
    request_body = Change,
    responses((status = 200, body = Shown), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn change(
    State(webhooks): State<Webhooks>,
    operator: Operator,
    Path(id): Path<Key>,
    Json(change): Json<Change>,
) -> Answer<Shown> {
    let url = change.url.map(|url| webhooks.url(&url)).transpose()?;
    let command = Command::Update { url, types: change.types, enabled: change.enabled };
    webhooks.ask(&id, &command).await?;
    let view = webhooks.in_force(&id).await?;
    note(&operator.0, "change_webhook", &id, &format!("{} {:?} {:?}", view.url, view.types, view.status));
    Ok(JsonBody(Shown::of(id, view)))
}

/// Forgets it; nothing is sent to it any more.
#[utoipa::path(delete, path = "/admin/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's key")),
    responses((status = 204, description = "It is gone"), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn remove(
    State(webhooks): State<Webhooks>,
    operator: Operator,
    Path(id): Path<Key>,
) -> Result<StatusCode, Problem> {
    webhooks.ask(&id, &Command::Delete).await?;
    note(&operator.0, "remove_webhook", &id, "");
    Ok(StatusCode::NO_CONTENT)
}

/// What became of what was sent, newest first.
#[utoipa::path(get, path = "/admin/v1/webhooks/{id}/attempts", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's key"), AttemptsQuery),
    responses((status = 200, body = Attempts), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn attempts(
    State(webhooks): State<Webhooks>,
    Path(id): Path<Key>,
    Query(query): Query<AttemptsQuery>,
) -> Answer<Attempts> {
    let limit = page_limit(query.limit)? as usize;
    match webhooks.ask(&id, &Command::Attempts { before: query.before, limit }).await? {
        Reply::Attempts { attempts } => {
            let next = (attempts.len() >= limit).then(|| attempts.last().map(|last| last.number)).flatten();
            Ok(JsonBody(Attempts { items: attempts.into_iter().map(AttemptBody::from).collect(), next }))
        }
        other => Err(Problem::unexpected(&other)),
    }
}

/// Sends events again: some, or all that were given up.
#[utoipa::path(post, path = "/admin/v1/webhooks/{id}/replay", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's key")),
    request_body = Again,
    responses((status = 200, body = Replayed), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn replay(
    State(webhooks): State<Webhooks>,
    operator: Operator,
    Path(id): Path<Key>,
    Json(again): Json<Again>,
) -> Answer<Replayed> {
    let what = match (again.events, again.failed) {
        (Some(events), false) => Replay::Events(events),
        (None, true) => Replay::Failed,
        _ => return Err(Problem::new(Code::InvalidValue, "give either events or failed: true").field("events")),
    };
    match webhooks.ask(&id, &Command::Replay { what }).await? {
        Reply::Replayed { events, unknown, left } => {
            note(&operator.0, "replay_webhook", &id, &format!("{events} events"));
            Ok(JsonBody(Replayed { events, unknown, left }))
        }
        other => Err(Problem::unexpected(&other)),
    }
}

/// Signs with another secret from now on, and for a day with the one before as well; it is shown in this answer only.
#[utoipa::path(post, path = "/admin/v1/webhooks/{id}/rotate-secret", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's key")),
    responses((status = 200, body = Shown), (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
async fn rotate_secret(State(webhooks): State<Webhooks>, operator: Operator, Path(id): Path<Key>) -> Answer<Shown> {
    let secret = new_secret();
    let view = webhooks.view(&id, &Command::RotateSecret { secret: secret.clone() }).await?;
    note(&operator.0, "rotate_webhook_secret", &id, "");
    Ok(JsonBody(Shown { secret: Some(secret.expose().to_owned()), ..Shown::of(id, view) }))
}

impl Webhooks {
    async fn ask(&self, id: &Key, command: &Command) -> Result<Reply, Problem> {
        let target = Ref::<Webhook>::new(id.clone());
        Ok(self.cluster.ask(&target, command, Ask::within(ASK_TIMEOUT)).await?.reply)
    }

    async fn view(&self, id: &Key, command: &Command) -> Result<View, Problem> {
        match self.ask(id, command).await? {
            Reply::Endpoint(view) => Ok(*view),
            other => Err(Problem::unexpected(&other)),
        }
    }

    /// Waits until the directory knows what was changed: then nothing that occurs after the answer is missed. What
    /// takes longer comes true all the same, and the answer says that it has not yet.
    async fn in_force(&self, id: &Key) -> Result<View, Problem> {
        let end = Instant::now() + IN_FORCE_PATIENCE;
        loop {
            let view = self.view(id, &Command::Get).await?;
            if view.in_force || Instant::now() > end {
                return Ok(view);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn url(&self, text: &str) -> Result<String, Problem> {
        Ok(check_url(text, self.settings.allow_plain_http)?)
    }
}

impl Listed {
    fn of_head(id: Key, head: Head) -> Option<Self> {
        let endpoint = head.endpoint?;
        let (disabled_reason, disabled_detail, disabled_at_ms) = disabled(&endpoint.status);
        Some(Self {
            id,
            url: endpoint.url,
            types: endpoint.types,
            enabled: endpoint.status == Status::Enabled,
            disabled_reason,
            disabled_detail,
            disabled_at_ms,
            created_at_ms: endpoint.created_at.0,
            last_success_at_ms: head.last_success_at.map(|at| at.0),
        })
    }
}

/// Why a webhook is sent nothing, and since when.
fn disabled(status: &Status) -> (Option<&'static str>, Option<String>, Option<i64>) {
    match status {
        Status::Enabled => (None, None, None),
        Status::Disabled { reason, at } => (Some(reason.code()), Some(reason.to_string()), Some(at.0)),
    }
}

impl Shown {
    fn of(id: Key, view: View) -> Self {
        let (disabled_reason, disabled_detail, disabled_at_ms) = disabled(&view.status);
        let listed = Listed {
            id,
            url: view.url,
            types: view.types,
            enabled: view.status == Status::Enabled,
            disabled_reason,
            disabled_detail,
            disabled_at_ms,
            created_at_ms: view.created_at.0,
            last_success_at_ms: view.last_success_at.map(|at| at.0),
        };
        Self {
            listed,
            in_force: view.in_force,
            pending: view.pending,
            failed: view.failed,
            next_attempt_at_ms: view.next_attempt_at.map(|at| at.0),
            secret: None,
        }
    }
}

impl From<Attempt> for AttemptBody {
    fn from(attempt: Attempt) -> Self {
        let delivered = attempt.answer.outcome.is_success();
        let (status, reason) = match attempt.answer.outcome {
            Outcome::Answered { status } => (Some(status), None),
            Outcome::Unanswered { reason } => (None, Some(reason)),
        };
        Self {
            number: attempt.number,
            event: attempt.event,
            event_type: attempt.event_type,
            nth: attempt.nth,
            at_ms: attempt.at.0,
            took_ms: attempt.answer.took_ms,
            delivered,
            status,
            reason,
            retry_at_ms: attempt.retry_at.map(|at| at.0),
        }
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        let detail = rejection.to_string();
        match rejection {
            Rejection::NotFound => Self::new(Code::NotFound, detail),
            Rejection::AlreadyExists => Self::new(Code::AlreadyExists, detail),
            Rejection::Disabled { .. } => Self::new(Code::WrongState, detail),
            Rejection::Invalid { field, .. } => Self::new(Code::InvalidValue, detail).field(field),
        }
    }
}

fn new_secret() -> SigningSecret {
    SigningSecret::of(&rand::random::<[u8; SECRET_BYTES]>())
}
