//! `nakku user`: people who can't register themselves, above all staff.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::{ClientArguments, Listener};
use super::outcome::{Done, Wrong};
use super::show;

/// `nakku user`.
#[derive(Debug, Subcommand)]
pub enum User {
    /// Create a user, also staff; by the admin API
    Create(Create),
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
    let User::Create(arguments) = user;
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
    let mut user = client.send(Method::POST, path, &[], Some(&body)).await?.succeeded(&format!("POST {path}"))?;
    if made {
        user["password"] = password.into();
    }
    let text = |name: &str| user.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let row = vec![text("id"), arguments.email.clone(), arguments.role.join(","), text("password")];
    show::rows(arguments.json, &user, &["id", "e-mail", "roles", "password (shown once)"], [row])
}

/// 144 random bits in letters, digits, `-` and `_`.
fn random_password() -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let random: [u8; 24] = rand::random();
    random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 64)])).collect()
}
