//! `nakku user`: people who can't register themselves, above all staff; and people who are to be forgotten.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use nakku_actors::user::command::ErasureReason;
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{Client, ClientArguments, Listener};
use super::outcome::{Done, Wrong};
use super::show;

/// `nakku user`.
#[derive(Debug, Subcommand)]
pub enum User {
    /// Create a user, also staff; by the admin API
    Create(Create),
    /// Erase a user for good; by the admin API. Refused while an order of theirs is under way
    Erase(Erase),
}

/// `nakku user erase`.
#[derive(Debug, Args)]
pub struct Erase {
    /// The admin API of any node and its token
    #[command(flatten)]
    pub client: ClientArguments,
    /// The user's id, such as u-7k2m9q4x1c8z5b3v
    pub id: String,
    /// Why
    #[arg(long, value_parser = ErasureReason::ALL.map(ErasureReason::as_str))]
    pub reason: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `nakku user create`.
#[derive(Debug, Args)]
pub struct Create {
    /// The admin API of any node and its token
    #[command(flatten)]
    pub client: ClientArguments,
    /// What the user may do; can be repeated
    #[arg(long, required = true, value_parser = ["customer", "rider", "store", "admin"])]
    pub role: Vec<String>,
    /// By which the user logs in
    #[arg(long)]
    pub email: String,
    /// The user's name; the e-mail unless given
    #[arg(long)]
    pub name: Option<String>,
    /// Where a rider or a member of a store's staff works
    #[arg(long)]
    pub store: Option<String>,
    /// File whose first line is the password (/dev/stdin reads it from there); without it one is made and printed
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Does what was asked for.
pub async fn run(user: &User) -> Done {
    match user {
        User::Create(arguments) => create(arguments).await,
        User::Erase(arguments) => erase(arguments).await,
    }
}

async fn erase(arguments: &Erase) -> Done {
    let client = arguments.client.client(Listener::Admin)?;
    if arguments.id.is_empty() || !arguments.id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(Wrong::Usage(format!("{:?} is no id of a user", arguments.id)));
    }
    let path = format!("/admin/v1/users/{}/erase", arguments.id);
    let answer = client.send(Method::POST, &path, &[], Some(&json!({ "reason": arguments.reason }))).await?;
    let erased = answer.succeeded(&format!("POST {path}"))?;
    let text = |name: &str| erased[name].as_str().unwrap_or_default().to_owned();
    let row = vec![text("id"), erased["erased_at_ms"].to_string(), text("by"), text("reason")];
    show::rows(arguments.json, &erased, &["id", "erased at (ms)", "by", "reason"], [row])
}

async fn create(arguments: &Create) -> Done {
    let client = arguments.client.client(Listener::Admin)?;
    let made = arguments.password_file.is_none();
    let password = match &arguments.password_file {
        None => random_password(),
        Some(file) => {
            let content = std::fs::read_to_string(file)
                .map_err(|error| Wrong::Usage(format!("can't read the password from {}: {error}", file.display())))?;
            content.lines().next().unwrap_or_default().to_owned()
        }
    };
    let mut body = json!({
        "email": arguments.email,
        "name": arguments.name.as_ref().unwrap_or(&arguments.email),
        "password": password,
        "roles": arguments.role,
    });
    if let Some(store) = &arguments.store {
        body["store"] = store.as_str().into();
    }
    let path = "/admin/v1/users";
    let mut user = register(&client, path, &body).await?;
    if made {
        user["password"] = password.into();
    }
    let text = |name: &str| user.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let row = vec![text("id"), arguments.email.clone(), arguments.role.join(","), text("password")];
    show::rows(arguments.json, &user, &["id", "e-mail", "roles", "password (shown once)"], [row])
}

/// Asks for the user until nobody else is in the middle of registering the e-mail: that ends with a user, or with the
/// e-mail free again.
async fn register(client: &Client, path: &str, body: &Value) -> Result<Value, Wrong> {
    let started = Instant::now();
    loop {
        let answer = client.send(Method::POST, path, &[], Some(body)).await?;
        if answer.body["code"] != REGISTRATION_PENDING {
            return answer.succeeded(&format!("POST {path}"));
        }
        if started.elapsed() >= PENDING_PATIENCE {
            return Err(Wrong::Failed(format!(
                "another registration of {} has begun and not ended; it is given up within a minute, try again then",
                body["email"].as_str().unwrap_or_default()
            )));
        }
        tokio::time::sleep(PENDING_LOOK_EVERY).await;
    }
}

/// The code of the problem that says so.
const REGISTRATION_PENDING: &str = "registration_pending";
/// How long it is waited for; a registration takes a fraction of it.
const PENDING_PATIENCE: Duration = Duration::from_secs(5);
const PENDING_LOOK_EVERY: Duration = Duration::from_millis(100);

/// 144 random bits in letters, digits, `-` and `_`.
fn random_password() -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let random: [u8; 24] = rand::random();
    random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 64)])).collect()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Gives one answer a connection, the last one again and again.
    async fn answering(answers: Vec<(u16, Value)>) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("the loopback has a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
        tokio::spawn(async move {
            for number in 0.. {
                let (status, body) = &answers[number.min(answers.len() - 1)];
                let (mut stream, _) = listener.accept().await.expect("it accepts");
                let mut request = Vec::new();
                // Its body ends with the object's brace; one that was not read to its end would be reset.
                while !request.ends_with(b"}") {
                    assert!(stream.read_buf(&mut request).await.expect("a request comes") > 0, "it is whole");
                }
                let body = body.to_string();
                let head =
                    format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
                stream.write_all(format!("{head}{body}").as_bytes()).await.expect("it is taken");
            }
        });
        Client::new(&endpoint, None).expect("it is a URL")
    }

    fn pending() -> (u16, Value) {
        (503, json!({ "code": REGISTRATION_PENDING, "detail": "under way" }))
    }

    #[tokio::test]
    async fn a_registration_under_way_is_waited_for() {
        let client = answering(vec![pending(), pending(), (201, json!({ "id": "u-1" }))]).await;
        let user = register(&client, "/admin/v1/users", &json!({ "email": "a@b.example" })).await;
        assert_eq!(user.expect("it was made")["id"], "u-1");
        let client = answering(vec![pending(), (409, json!({ "code": "email_taken" }))]).await;
        let taken = register(&client, "/admin/v1/users", &json!({ "email": "a@b.example" })).await;
        assert!(matches!(taken, Err(Wrong::Failed(message)) if message.contains("email_taken")));
    }

    #[tokio::test]
    async fn one_that_does_not_end_is_told_in_words() {
        let client = answering(vec![pending()]).await;
        let started = Instant::now();
        let told = register(&client, "/admin/v1/users", &json!({ "email": "a@b.example" })).await;
        assert!(started.elapsed() >= PENDING_PATIENCE && started.elapsed() < PENDING_PATIENCE * 5);
        let Err(Wrong::Failed(message)) = told else { panic!("it never ends: {told:?}") };
        assert!(message.contains("a@b.example") && !message.contains(REGISTRATION_PENDING), "{message}");
    }
}
