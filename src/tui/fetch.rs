//! Asks the admin API of one node, and of the next one when that does not answer. Answers come back as events.

use std::sync::Arc;
use std::time::Duration;

use nakku_cluster::inspect::report::{EntityReport, HistoryReport, NodeReport};
use reqwest::{Method, Response, Url};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::answers::{Content, Listed, Looked};
use super::endpoints::Endpoints;
use super::follow;
use super::place::{Act, Ask, EntityName, by_name};
use super::state::{Effect, Event};

/// A node that does not answer a look within this is given up for the next.
const LOOK_TIMEOUT: Duration = Duration::from_secs(4);
/// What is done may take longer: a passivation waits for what is in flight.
const ACT_TIMEOUT: Duration = Duration::from_secs(15);
/// A node that can't be connected to is given up sooner.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Entities of one `top`: enough for one kind to be picked out.
const TOP_LIMIT: &str = "200";
/// Events of one window of a history.
pub const WINDOW: u64 = 100;

/// What all requests share.
#[derive(Clone, Debug)]
pub struct Asker {
    http: reqwest::Client,
    endpoints: Arc<Endpoints>,
    token: Arc<str>,
    events: mpsc::Sender<Event>,
}

/// Does what an [`Effect`] says.
#[derive(Debug)]
pub struct Fetcher {
    asker: Asker,
    look: Option<JoinHandle<()>>,
    follow: Option<JoinHandle<()>>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// No node answers, or the one that did something did not say what became of it.
    #[error("{0}")]
    Unanswered(String),
    /// A node answered, but not with what was asked for.
    #[error("{said}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// What the problem says.
        said: String,
    },
}

impl Fetcher {
    /// Sends its events there.
    pub fn new(asker: Asker) -> Self {
        Self { asker, look: None, follow: None }
    }

    /// Begins it; what comes of it is an event.
    pub fn perform(&mut self, effect: Effect) {
        let asker = self.asker.clone();
        match effect {
            Effect::Look { number, ask } => {
                let task = tokio::spawn(async move {
                    let result = asker.look(&ask).await.map_err(|trouble| trouble.to_string());
                    asker.tell(Event::Looked { number, result }).await;
                });
                replace(&mut self.look, Some(task));
            }
            Effect::Follow { number, of } => {
                let task = of.map(|of| tokio::spawn(follow::follow(asker, number, of)));
                replace(&mut self.follow, task);
            }
            Effect::Act { act, reason } => {
                // Never broken off: whoever said yes is told what became of it.
                tokio::spawn(async move {
                    let result = asker.act(&act, &reason).await.map_err(|trouble| trouble.to_string());
                    asker.tell(Event::Acted { act, result }).await;
                });
            }
        }
    }
}

impl Drop for Fetcher {
    fn drop(&mut self) {
        replace(&mut self.look, None);
        replace(&mut self.follow, None);
    }
}

fn replace(task: &mut Option<JoinHandle<()>>, with: Option<JoinHandle<()>>) {
    if let Some(earlier) = std::mem::replace(task, with) {
        earlier.abort();
    }
}

impl Asker {
    /// Asks these endpoints.
    ///
    /// # Errors
    /// When there can be no client at all.
    pub fn new(endpoints: Endpoints, token: &str, events: mpsc::Sender<Event>) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT).build()?;
        Ok(Self { http, endpoints: Arc::new(endpoints), token: token.into(), events })
    }

    /// The node that is asked.
    pub fn endpoint(&self) -> String {
        self.endpoints.current()
    }

    /// Sends an event; nobody may care any more.
    pub async fn tell(&self, event: Event) {
        let _ = self.events.send(event).await;
    }

    /// One question.
    ///
    /// # Errors
    /// When no node answers, or not with that.
    pub async fn look(&self, ask: &Ask) -> Result<Content, Trouble> {
        Ok(match ask {
            Ask::Nodes => {
                let nodes: Listed<NodeReport> = self.get(&["nodes"], &[]).await?;
                self.endpoints.learn(nodes.items.iter().filter_map(|node| node.admin.as_deref()));
                Content::Nodes(nodes)
            }
            Ask::Shards => Content::Shards(self.get(&["shards"], &[]).await?),
            Ask::Types => Content::Types(self.get(&["types"], &[]).await?),
            Ask::Moves => Content::Moves(self.get(&["moves"], &[]).await?),
            Ask::Infrastructure => Content::Infrastructure(self.get(&["infrastructure"], &[]).await?),
            Ask::Path(trace) => match self.get(&["traces", trace], &[]).await {
                Ok(path) => Content::Path(Box::new(path)),
                Err(Trouble::Refused { status: 404 | 422, said }) => Content::NoPath(said),
                Err(trouble) => return Err(trouble),
            },
            Ask::Top(by) => {
                let query = [("by", by_name(*by).to_owned()), ("limit", TOP_LIMIT.to_owned())];
                Content::Top(self.get(&["top"], &query).await?)
            }
            Ask::Entity { entity, version, back } => return self.entity(entity, *version, *back).await,
        })
    }

    async fn entity(&self, name: &EntityName, version: Option<u64>, back: u64) -> Result<Content, Trouble> {
        let EntityName { kind, key } = name;
        let query: Vec<_> = version.iter().map(|version| ("version", version.to_string())).collect();
        let report: EntityReport = match self.get(&["entities", kind, key], &query).await {
            Ok(report) => report,
            // 422: there is no such kind, or it has no such keys.
            Err(Trouble::Refused { status: 404 | 422, said }) => return Ok(Content::NoEntity(said)),
            Err(trouble) => return Err(trouble),
        };
        // As of a version the event that led to it is enough.
        let window = if version.is_some() { 1 } else { WINDOW };
        let after = report.version.saturating_sub(window.saturating_mul(back.saturating_add(1)));
        let query = [("after", after.to_string()), ("limit", window.to_string())];
        let history: Result<HistoryReport, Trouble> = self.get(&["entities", kind, key, "history"], &query).await;
        let history = history.map_err(|trouble| trouble.to_string());
        Ok(Content::Entity(Box::new(Looked { report, history })))
    }

    /// Does something; gives what to say of it.
    async fn act(&self, act: &Act, reason: &str) -> Result<String, Trouble> {
        let mut body = json!({ "reason": reason });
        let number_text;
        let path: Vec<&str> = match act {
            Act::Passivate(entity) => vec!["entities", &entity.kind, &entity.key, "passivate"],
            Act::Restart(entity) => vec!["entities", &entity.kind, &entity.key, "restart"],
            Act::Release(entity) => vec!["entities", &entity.kind, &entity.key, "release"],
            Act::Move { service, number, node } => {
                body["node"] = Value::from(node.as_str());
                number_text = number.to_string();
                vec!["shards", service, &number_text, "move"]
            }
            Act::Drain(node) => vec!["nodes", node, "drain"],
            Act::Undrain(node) => vec!["nodes", node, "undrain"],
        };
        let response = self.send(Method::POST, &path, &[], Some(&body), Some(ACT_TIMEOUT)).await?;
        let answer: Value = answer(response).await?;
        Ok(match (answer["entities"].as_u64(), answer["view_version"].as_u64()) {
            (Some(0), _) => "it was not in the memory, or something of it is in flight".into(),
            (Some(_), _) => "done".into(),
            (None, Some(version)) => format!("done, in view {version}"),
            (None, None) => answer.to_string(),
        })
    }

    async fn get<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, String)]) -> Result<T, Trouble> {
        answer(self.send(Method::GET, path, query, None, Some(LOOK_TIMEOUT)).await?).await
    }

    /// Sends one request to the node that is asked, and when that does not answer to the others in turn. What changes
    /// something is sent again only when it can't have arrived.
    pub async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<&Value>,
        timeout: Option<Duration>,
    ) -> Result<Response, Trouble> {
        let mut last = String::from("no node is known");
        for _ in 0..self.endpoints.count().max(1) {
            let endpoint = self.endpoints.current();
            let url = url(&endpoint, path, query).map_err(Trouble::Unanswered)?;
            let mut request = self.http.request(method.clone(), url).bearer_auth(&self.token);
            if let Some(body) = body {
                request = request.json(body);
            }
            // Of a stream only the beginning is waited for.
            let sent = tokio::time::timeout(timeout.unwrap_or(LOOK_TIMEOUT), request.send()).await;
            let error = match sent {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) => Some(error),
                Err(_) => None,
            };
            let arrived = !error.as_ref().is_some_and(reqwest::Error::is_connect);
            last = format!("{endpoint} does not answer");
            if let Some(url) = self.endpoints.give_up(&endpoint) {
                self.tell(Event::Endpoint { url, instead: Some(endpoint.clone()) }).await;
            }
            if method != Method::GET && arrived {
                return Err(Trouble::Unanswered(format!("{endpoint} did not answer; it may have been done")));
            }
        }
        if self.endpoints.count() > 1 {
            last = format!("none of {} nodes answers", self.endpoints.count());
        }
        Err(Trouble::Unanswered(last))
    }
}

/// `{endpoint}/admin/v1/{path}?{query}`, everything escaped that has to be.
fn url(endpoint: &str, path: &[&str], query: &[(&str, String)]) -> Result<Url, String> {
    let mut url = Url::parse(endpoint).map_err(|error| format!("{endpoint:?} is no URL ({error})"))?;
    url.path_segments_mut()
        .map_err(|()| format!("{endpoint:?} is no URL of a node"))?
        .pop_if_empty()
        .extend(["admin", "v1"])
        .extend(path);
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    Ok(url)
}

/// What a 2xx answer holds, else what the problem says.
pub async fn answer<T: DeserializeOwned>(response: Response) -> Result<T, Trouble> {
    let status = response.status().as_u16();
    let is_success = response.status().is_success();
    let read = tokio::time::timeout(ACT_TIMEOUT, response.bytes()).await;
    let Ok(Ok(body)) = read else {
        return Err(Trouble::Unanswered("the answer broke off".into()));
    };
    if is_success {
        return serde_json::from_slice(&body)
            .map_err(|error| Trouble::Unanswered(format!("the node answers something else: {error}")));
    }
    let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
    let said = ["detail", "title", "code"].iter().find_map(|name| problem[*name].as_str());
    let said = said.map_or_else(|| format!("the node answers {status}"), str::to_owned);
    let said = if status == 401 { format!("{said}; give a valid token by --token") } else { said };
    Err(Trouble::Refused { status, said })
}
