//! Sends e-mails by SMTP.

use std::time::Duration;

use async_trait::async_trait;
use lettre::message::{Mailbox, SinglePart};
use lettre::transport::smtp::PoolConfig;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use nakku_actors::notification::mailer::{MAILER, MailAnswer, MailRequest};
use nakku_cluster::{Provider, ProviderError};
use sha2::{Digest, Sha256};

/// Connections to the mail server.
const CONNECTIONS_MAX: u32 = 4;
/// How long one step of the protocol may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl SmtpMailer {
    /// `url`: `smtps://user:password@host` (TLS), `smtp://user:password@host?tls=required` (STARTTLS), or
    /// `smtp://host:port` in the clear. `from`: `Nakku <orders@nakku.example>`.
    ///
    /// # Errors
    /// What is wrong with either.
    pub fn new(url: &str, from: &str) -> Result<Self, String> {
        let from: Mailbox = from.parse().map_err(|error| format!("notification.mail_from: {error}"))?;
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
            .map_err(|error| format!("notification.smtp_url: {error}"))?
            .timeout(Some(TIMEOUT))
            .pool_config(PoolConfig::new().max_size(CONNECTIONS_MAX))
            .build();
        Ok(Self { transport, from })
    }

    fn message(&self, idempotency_key: &str, request: &MailRequest) -> Result<Message, String> {
        let address: Address = request.email.parse().map_err(|error| format!("{error}"))?;
        let text = request.text();
        let digest: String =
            Sha256::digest(idempotency_key.as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Message::builder()
            .message_id(Some(format!("<{digest}@{}>", self.from.email.domain())))
            .from(self.from.clone())
            .to(Mailbox::new(Some(request.name.clone()).filter(|name| !name.is_empty()), address))
            .subject(text.subject)
            .singlepart(SinglePart::plain(text.body))
            .map_err(|error| error.to_string())
    }
}

#[async_trait]
impl Provider for SmtpMailer {
    fn name(&self) -> &'static str {
        MAILER
    }

    async fn call(&self, idempotency_key: &str, request: &[u8]) -> Result<Vec<u8>, ProviderError> {
        let unavailable = |cause: String| ProviderError::Unavailable { provider: MAILER, cause };
        let request: MailRequest = serde_json::from_slice(request).map_err(|error| unavailable(error.to_string()))?;
        let answer = match self.message(idempotency_key, &request) {
            Err(reason) => MailAnswer::Refused { reason },
            Ok(message) => match self.transport.send(message).await {
                Ok(_) => MailAnswer::Sent,
                Err(error) if error.is_permanent() => MailAnswer::Refused { reason: error.to_string() },
                Err(error) if error.is_transient() => return Err(unavailable(error.to_string())),
                Err(error) => {
                    let cause = error.to_string();
                    return Err(ProviderError::OutcomeUnknown { provider: MAILER, cause });
                }
            },
        };
        serde_json::to_vec(&answer).map_err(|error| unavailable(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use nakku_actors::notification::template::{Language, Template};
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::TcpListener;

    use super::*;

    /// A mail server as RFC 5321 has it, with the few commands that a client needs. It refuses addresses at
    /// `refused.example` for good and keeps what it is given.
    async fn server() -> (String, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let mails = Arc::new(Mutex::new(Vec::new()));
        let kept = mails.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(session(stream, kept.clone()));
            }
        });
        (url, mails)
    }

    async fn session(stream: tokio::net::TcpStream, mails: Arc<Mutex<Vec<String>>>) {
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        write.write_all(b"220 test ESMTP\r\n").await.unwrap();
        let mut mail: Option<String> = None;
        while let Ok(Some(line)) = lines.next_line().await {
            let answer = match &mut mail {
                Some(text) if line == "." => {
                    mails.lock().unwrap().push(std::mem::take(text));
                    mail = None;
                    "250 kept"
                }
                Some(text) => {
                    text.push_str(&line);
                    text.push('\n');
                    continue;
                }
                None if line.starts_with("EHLO") => "250 test",
                None if line.contains("refused.example") => "550 no such mailbox",
                None if line.starts_with("DATA") => {
                    mail = Some(String::new());
                    "354 go on"
                }
                None if line.starts_with("QUIT") => break,
                None => "250 ok",
            };
            write.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
        }
    }

    fn request(email: &str) -> Vec<u8> {
        let request = MailRequest {
            email: email.into(),
            name: "Asha".into(),
            language: Language::Hi,
            template: Template::OrderConfirmed,
            values: [("order".to_owned(), "o-1".to_owned()), ("amount".to_owned(), "99.00".to_owned())].into(),
        };
        serde_json::to_vec(&request).unwrap()
    }

    #[tokio::test]
    async fn an_email_arrives_once_by_its_id() {
        let (url, mails) = server().await;
        let mailer = SmtpMailer::new(&url, "Nakku <orders@nakku.example>").unwrap();
        for _ in 0..2 {
            let answer = mailer.call("inbox/u-1/mail/1", &request("asha@example.com")).await.unwrap();
            assert_eq!(serde_json::from_slice::<MailAnswer>(&answer).unwrap(), MailAnswer::Sent);
        }
        let mails = mails.lock().unwrap().clone();
        let id = |mail: &str| mail.lines().find(|line| line.starts_with("Message-ID:")).unwrap().to_owned();
        assert_eq!(mails.len(), 2);
        assert_eq!(id(&mails[0]), id(&mails[1]), "a repetition is the same message");
        assert!(id(&mails[0]).ends_with("@nakku.example>") && mails[0].contains("To: Asha <asha@example.com>"));
    }

    #[tokio::test]
    async fn a_refusal_is_final_and_an_absent_server_is_not() {
        let (url, _) = server().await;
        let mailer = SmtpMailer::new(&url, "orders@nakku.example").unwrap();
        for email in ["asha@refused.example", "no address"] {
            let answer = mailer.call("k", &request(email)).await.unwrap();
            assert!(matches!(serde_json::from_slice(&answer).unwrap(), MailAnswer::Refused { .. }), "{email}");
        }
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mailer = SmtpMailer::new(&format!("smtp://{free}"), "orders@nakku.example").unwrap();
        mailer.call("k", &request("asha@example.com")).await.unwrap_err();
        SmtpMailer::new("http://x", "orders@nakku.example").unwrap_err();
        SmtpMailer::new("smtp://x", "not an address").unwrap_err();
    }
}
