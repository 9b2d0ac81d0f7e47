//! Asks the intakes and merges what they say.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt, TryStreamExt};
use nakku_actors::analytics::bucket::Place;
use nakku_actors::analytics::command::{Command, Product, Reply, Row};
use nakku_actors::analytics::{Analytics, Grouping, Sold, Sums};
use nakku_cluster::events::{Intake, intake};
use nakku_cluster::query::PAGE_MAX;
use nakku_cluster::{Ask, AskError, Key, Query as Rows, Ref, Timestamp};

use super::bodies::Range;
use super::name_of;
use super::span::Span;
use crate::edge::Edge;
use crate::problem::Problem;

/// Intakes that are asked at the same time for one answer.
const ASKS_MAX: usize = 32;

/// Every service.
pub const ALL: &[&str] = &[];
/// Where orders and their money are told of.
pub const ORDERS: &[&str] = &["order"];
/// Where a customer's way to the door is told of.
pub const FUNNEL: &[&str] = &["user", "cart", "order"];

/// What is asked of every intake.
#[derive(Debug)]
pub struct Question {
    /// Over which time.
    pub span: Span,
    /// Of which store.
    pub store: Option<Key>,
    /// Which sums are told as one.
    pub grouping: Grouping,
    /// Whose events.
    pub sources: &'static [&'static str],
}

/// What all said together.
#[derive(Debug, Default)]
pub struct Gathered {
    /// By bucket and store, as the grouping says.
    pub rows: BTreeMap<Place, Sums>,
    /// The time of the newest event that any of them knows.
    pub latest_at: Timestamp,
}

/// What all said of products.
#[derive(Debug, Default)]
pub struct GatheredProducts {
    /// By SKU.
    pub by_sku: BTreeMap<String, Sold>,
    /// All others.
    pub others: Sold,
    /// The time of the newest event that any of them knows.
    pub latest_at: Timestamp,
}

impl Question {
    /// What the answer goes over.
    pub fn range(&self, latest_at: Timestamp) -> Range {
        Range {
            from_ms: self.span.start().0,
            to_ms: self.span.end().0,
            bucket: name_of(self.span.resolution),
            store: self.store.clone(),
            currency: nakku_actors::money::CURRENCY,
            latest_event_ms: Some(latest_at.0).filter(|at| *at > 0),
        }
    }
}

impl Gathered {
    /// All of it as one.
    pub fn total(&self) -> Sums {
        let mut total = Sums::default();
        self.rows.values().for_each(|sums| total.merge(sums));
        total
    }

    /// When each bucket begins and what happened in it, also where nothing did.
    pub fn points(&self, span: Span) -> impl Iterator<Item = (Timestamp, Sums)> {
        (span.from..span.until).map(move |bucket| {
            let sums = self.rows.get(&Place::first_of(bucket)).cloned().unwrap_or_default();
            (span.resolution.start(bucket), sums)
        })
    }
}

/// Sums of all intakes of the question's sources.
pub async fn sums(edge: &Edge, ask: &Ask, question: &Question) -> Result<Gathered, Problem> {
    let intakes = intakes(edge, question.sources).await?;
    let answers: Vec<_> = intakes.iter().map(|intake| sums_of(edge, ask, question, intake)).collect();
    let mut answers = stream::iter(answers).buffer_unordered(ASKS_MAX);
    let mut gathered = Gathered::default();
    while let Some((rows, latest_at)) = answers.try_next().await? {
        for Row { place, sums } in rows {
            gathered.rows.entry(place).or_default().merge(&sums);
        }
        gathered.latest_at = gathered.latest_at.max(latest_at);
    }
    Ok(gathered)
}

/// What was sold, by all intakes of the question's sources.
pub async fn products(edge: &Edge, ask: &Ask, question: &Question) -> Result<GatheredProducts, Problem> {
    let Question { span, store, .. } = question;
    let command = Command::Products { from: span.from, until: span.until, store: store.clone() };
    let intakes = intakes(edge, question.sources).await?;
    let answers: Vec<_> = intakes.iter().map(|intake| one(edge, ask, intake, command.clone())).collect();
    let mut answers = stream::iter(answers).buffer_unordered(ASKS_MAX);
    let mut gathered = GatheredProducts::default();
    while let Some(reply) = answers.try_next().await? {
        let Reply::Products { products, others, latest_at } = reply else { return Err(Problem::unexpected(&reply)) };
        for Product { sku, sold } in products {
            gathered.by_sku.entry(sku).or_default().merge(sold);
        }
        gathered.others.merge(others);
        gathered.latest_at = gathered.latest_at.max(latest_at);
    }
    Ok(gathered)
}

/// The intakes that there are of some services, or of all.
async fn intakes(edge: &Edge, sources: &[&str]) -> Result<Vec<Ref<Intake<Analytics>>>, Problem> {
    let mut intakes = Vec::new();
    let mut after = None;
    loop {
        let rows = Rows::new().after(after).limit(PAGE_MAX);
        let listed = edge.cluster.list::<Intake<Analytics>>(&rows).await?;
        let is_last = listed.len() < PAGE_MAX as usize;
        after = listed.last().map(|row| row.key.clone());
        let wanted = |key: &Key| {
            let source = key.as_str().rsplit_once('-').map_or("", |(source, _shard)| source);
            sources.is_empty() || sources.contains(&source)
        };
        intakes.extend(listed.into_iter().map(|row| row.key).filter(wanted).map(Ref::new));
        if is_last {
            return Ok(intakes);
        }
    }
}

async fn sums_of(
    edge: &Edge,
    ask: &Ask,
    question: &Question,
    intake: &Ref<Intake<Analytics>>,
) -> Result<(Vec<Row>, Timestamp), Problem> {
    let Question { span, store, grouping, .. } = question;
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let command = Command::Sums {
            resolution: span.resolution,
            from: span.from,
            until: span.until,
            store: store.clone(),
            grouping: *grouping,
            after,
        };
        let reply = one(edge, ask, intake, command).await?;
        let Reply::Sums { rows, next, latest_at } = reply else { return Err(Problem::unexpected(&reply)) };
        all.extend(rows);
        match next {
            Some(place) => after = Some(place),
            None => return Ok((all, latest_at)),
        }
    }
}

async fn one(edge: &Edge, ask: &Ask, intake: &Ref<Intake<Analytics>>, command: Command) -> Result<Reply, Problem> {
    match edge.cluster.ask(intake, &intake::Command::Own(command), ask.clone()).await {
        Ok(answered) => match answered.reply {
            intake::Reply::Own(reply) => Ok(reply),
            other => Err(Problem::unexpected(&other)),
        },
        Err(AskError::Failed(failure)) => Err(failure.into()),
        // A question is never refused.
        Err(AskError::Rejected { rejection, .. }) => Err(Problem::unexpected(&rejection)),
    }
}
