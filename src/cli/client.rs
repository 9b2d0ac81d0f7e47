//! Where a client command sends its requests, and how it tells of their answers.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use reqwest::{Method, Response};
use serde_json::Value;

use super::outcome::Wrong;
use crate::compose;
use crate::dev::local::{Local, LocalNode};
use crate::settings::Sources;

/// How a client command finds the cluster.
#[derive(Clone, Debug, Args)]
pub struct ClientArguments {
    /// Base URL, such as http://127.0.0.1:8080; without it that of the local `nakku dev` is taken
    #[arg(long, env = "NAKKU_ENDPOINT", value_name = "URL")]
    pub endpoint: Option<String>,
    /// Bearer token; without it that of the local `nakku dev` is taken
    #[arg(long, env = "NAKKU_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Data folder of the local `nakku dev`
    #[arg(long, value_name = "DIR", default_value = crate::dev::DATA_DEFAULT)]
    pub data: PathBuf,
}

/// Which of a node's listeners is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// The API.
    Api,
    /// The admin API.
    Admin,
}

/// Sends requests to one endpoint.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    endpoint: String,
    token: Option<String>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body; null when there is none, a text when it is not JSON.
    pub body: Value,
    /// The body as it came.
    pub text: String,
    /// From the first byte sent to the last received.
    pub took: Duration,
}

/// The longest that a client command waits for one answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest that it waits for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A node of a local dev that does not accept within this is passed over for the next.
const PROBE_TIMEOUT: Duration = Duration::from_millis(200);

impl ClientArguments {
    /// A client for one of the listeners: where the flags say, else of the local dev, else (for operators on a node's
    /// machine) where the settings in force have the admin API.
    ///
    /// # Errors
    /// When none of them names an endpoint.
    pub fn client(&self, listener: Listener) -> Result<Client, Wrong> {
        let local = Local::read(&self.data);
        let settings = match listener {
            Listener::Admin => admin_of_settings(),
            Listener::Api => None,
        };
        let token = self.token.clone().or_else(|| match listener {
            Listener::Admin => local
                .as_ref()
                .map(|local| local.admin_token.clone())
                .or_else(|| settings.as_ref().map(|(_, token)| token.clone())),
            Listener::Api => None,
        });
        if let Some(endpoint) = &self.endpoint {
            return Client::new(endpoint, token);
        }
        if let Some(local) = local {
            let all: Vec<&str> = local.nodes.iter().map(|node| listener.of(node)).collect();
            let live = all.iter().find(|endpoint| accepts(endpoint)).or(all.first());
            return Client::new(live.copied().unwrap_or_default(), token);
        }
        if let Some((endpoint, _)) = settings {
            return Client::new(&endpoint, token);
        }
        let folder = self.data.display();
        Err(Wrong::Usage(format!(
            "no nakku dev runs on {folder}; start one by nakku dev, or name a cluster by --endpoint URL"
        )))
    }
}

impl Listener {
    fn of(self, node: &LocalNode) -> &str {
        match self {
            Self::Api => &node.api,
            Self::Admin => &node.admin,
        }
    }
}

/// Endpoint and token of the admin API, when file or environment set the token.
pub fn admin_of_settings() -> Option<(String, String)> {
    let settings = Sources::here(None, Vec::new()).load().ok()?.settings;
    let token = settings.auth.admin_token.clone();
    (!token.is_empty()).then(|| (compose::base_url(settings.listen.admin), token))
}

impl Client {
    /// A client for an endpoint.
    ///
    /// # Errors
    /// When the endpoint is no URL.
    pub fn new(endpoint: &str, token: Option<String>) -> Result<Self, Wrong> {
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
            return Err(Wrong::Usage(format!("{endpoint:?} is no URL; write --endpoint http://HOST:PORT")));
        }
        let http = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .build()
            .map_err(Wrong::failed)?;
        Ok(Self { http, endpoint, token })
    }

    /// The same endpoint under another token.
    #[must_use]
    pub fn with_token(&self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    /// Where it sends to.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Sends one request and waits for its answer, whatever the status.
    ///
    /// # Errors
    /// When there was no answer.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, Wrong> {
        let started = Instant::now();
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.endpoint));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| self.unanswered(&method, path, &error))?;
        self.whole(&method, path, response, started).await
    }

    /// Asks for a stream, which must be granted, and gives back what there is to read.
    ///
    /// # Errors
    /// When there was no answer, or one that is not 2xx.
    pub async fn stream(&self, path: &str, longest: Duration) -> Result<Response, Wrong> {
        let started = Instant::now();
        let mut request = self.http.get(format!("{}{path}", self.endpoint)).timeout(longest);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.map_err(|error| self.unanswered(&Method::GET, path, &error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let answer = self.whole(&Method::GET, path, response, started).await?;
        Err(answer.refused(&format!("GET {path}")))
    }

    /// Posts a request whose answer is no JSON, and waits for all of it.
    ///
    /// # Errors
    /// When there was no answer in time, or one that is not 2xx.
    pub async fn download(&self, path: &str, body: &Value, longest: Duration) -> Result<Vec<u8>, Wrong> {
        let started = Instant::now();
        let mut request = self.http.post(format!("{}{path}", self.endpoint)).timeout(longest).json(body);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let unanswered = |error: reqwest::Error| self.unanswered(&Method::POST, path, &error);
        let response = request.send().await.map_err(unanswered)?;
        if response.status().is_success() {
            return Ok(response.bytes().await.map_err(unanswered)?.to_vec());
        }
        let answer = self.whole(&Method::POST, path, response, started).await?;
        Err(answer.refused(&format!("POST {path}")))
    }

    async fn whole(&self, method: &Method, path: &str, response: Response, started: Instant) -> Result<Answer, Wrong> {
        let status = response.status().as_u16();
        let text = response.text().await.map_err(|error| self.unanswered(method, path, &error))?;
        let body = match serde_json::from_str(&text) {
            Ok(json) => json,
            Err(_) if text.is_empty() => Value::Null,
            Err(_) => Value::String(text.clone()),
        };
        Ok(Answer { status, body, text, took: started.elapsed() })
    }

    /// Sends one request that must succeed.
    ///
    /// # Errors
    /// When there was no answer, or one that is not 2xx.
    pub async fn get(&self, path: &str) -> Result<Value, Wrong> {
        let answer = self.send(Method::GET, path, &[], None).await?;
        answer.succeeded(&format!("GET {path}"))
    }

    fn unanswered(&self, method: &Method, path: &str, error: &reqwest::Error) -> Wrong {
        let endpoint = &self.endpoint;
        if error.is_connect() {
            return Wrong::Failed(format!("nothing answers at {endpoint}; check --endpoint and that the node runs"));
        }
        let cause = if error.is_timeout() { "no answer in time".to_owned() } else { error.to_string() };
        Wrong::Failed(format!("{method} {endpoint}{path}: {cause}; the node may be overloaded, try again"))
    }
}

impl Answer {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body of a 2xx answer.
    ///
    /// # Errors
    /// What the problem document says, after what was asked.
    pub fn succeeded(self, asked: &str) -> Result<Value, Wrong> {
        if self.is_success() { Ok(self.body) } else { Err(self.refused(asked)) }
    }

    fn refused(&self, asked: &str) -> Wrong {
        let said = self.problem();
        let hint = match self.status {
            401 => "; give a valid token by --token",
            403 => "; this token has not the role for it",
            429 | 503 => "; try again in a moment",
            _ => "",
        };
        Wrong::Failed(format!("{asked} answered {} {said}{hint}", self.status))
    }

    /// What a problem document says, in one line.
    pub fn problem(&self) -> String {
        let text = |name: &str| self.body.get(name).and_then(Value::as_str);
        let words: Vec<&str> = [text("code").or_else(|| text("title")), text("detail")].into_iter().flatten().collect();
        if words.is_empty() { self.body.to_string() } else { words.join(": ") }
    }
}

/// Whether something accepts connections at `http://HOST:PORT`.
fn accepts(endpoint: &str) -> bool {
    let address = endpoint.trim_start_matches("http://");
    let resolved: Vec<SocketAddr> = address.to_socket_addrs().map(Iterator::collect).unwrap_or_default();
    resolved.iter().any(|address| TcpStream::connect_timeout(address, PROBE_TIMEOUT).is_ok())
}
