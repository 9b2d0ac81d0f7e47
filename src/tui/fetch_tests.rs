//! Nodes that answer, refuse, hang, or are not there.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::answers::Content;
use super::endpoints::Endpoints;
use super::fetch::{Asker, Fetcher, Trouble};
use super::place::{Act, Ask, EntityName};
use super::state::{Effect, Event};

/// Five times what is expected of the slowest: a node that accepts and is silent.
const PATIENCE: Duration = Duration::from_secs(25);

/// A node that answers every request with this status and body; none is a node that never answers.
async fn node(answer: Option<(u16, &'static str)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it listens"));
    tokio::spawn(async move {
        let mut kept = Vec::new();
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let Some((status, body)) = answer else {
                kept.push(stream);
                continue;
            };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let length = body.len();
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
    });
    url
}

/// A port that nobody listens on.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    format!("http://{}", listener.local_addr().expect("it listens"))
}

fn asker(urls: Vec<String>) -> (Asker, mpsc::Receiver<Event>) {
    let (events, happened) = mpsc::channel(16);
    (Asker::new(Endpoints::new(urls, None), "token", events).expect("a client"), happened)
}

const EMPTY: Option<(u16, &str)> = Some((200, r#"{"items":[],"silent":[{"node":"node-2@1","reason":"it froze"}]}"#));

#[tokio::test]
async fn the_next_node_is_asked_when_one_is_gone_or_hangs() {
    let (gone, hangs, answers) = (nobody().await, node(None).await, node(EMPTY).await);
    let (asker, mut happened) = asker(vec![gone.clone(), hangs.clone(), answers.clone()]);
    let looked = tokio::time::timeout(PATIENCE, asker.look(&Ask::Moves)).await.expect("it goes on in time");
    assert_eq!(looked.expect("the last one answers").silent()[0].reason, "it froze");
    assert_eq!(asker.endpoint(), answers);
    for (from, to) in [(gone, &hangs), (hangs.clone(), &answers)] {
        let Ok(Event::Endpoint { url, instead }) = happened.try_recv() else { panic!("it is told") };
        assert_eq!((&url, instead), (to, Some(from)));
    }
}

#[tokio::test]
async fn when_no_node_answers_that_is_said() {
    let (asker, _happened) = asker(vec![nobody().await, nobody().await]);
    let trouble = asker.look(&Ask::Nodes).await.expect_err("nobody is there");
    assert_eq!(trouble, Trouble::Unanswered("none of 2 nodes answers".into()));
}

#[tokio::test]
async fn what_may_have_been_done_is_not_done_again() {
    let (hangs, answers) = (node(None).await, node(Some((200, r#"{"entities":1}"#))).await);
    let (asker, mut happened) = asker(vec![hangs, answers]);
    let mut fetcher = Fetcher::new(asker);
    let act = Act::Passivate(EntityName { kind: "a.b".into(), key: "c/d e".into() });
    let mut said = Vec::new();
    for _ in 0..2 {
        fetcher.perform(Effect::Act { act: act.clone(), reason: "a test".into() });
        loop {
            let event = tokio::time::timeout(PATIENCE * 3, happened.recv()).await.expect("it ends in time");
            if let Some(Event::Acted { result, .. }) = event {
                said.push(result);
                break;
            }
        }
    }
    assert!(said[0].as_ref().is_err_and(|said| said.contains("it may have been done")), "{said:?}");
    assert_eq!(said[1], Ok("done".into()));
}

#[tokio::test]
async fn refusals_are_told_in_the_words_of_the_api() {
    let refuses = node(Some((401, r#"{"title":"Unauthorized","detail":"a token is needed"}"#))).await;
    let (refused, _happened) = asker(vec![refuses]);
    let trouble = refused.look(&Ask::Types).await.expect_err("it is refused").to_string();
    assert_eq!(trouble, "a token is needed; give a valid token by --token");

    let absent = node(Some((404, r#"{"detail":"there is no a.b/c"}"#))).await;
    let (asker, _happened) = asker(vec![absent]);
    let entity = EntityName { kind: "a.b".into(), key: "c".into() };
    let looked = asker.look(&Ask::Entity { entity, version: None, back: 0 }).await.expect("that is an answer");
    assert!(matches!(looked, Content::NoEntity(said) if said == "there is no a.b/c"));
}
