//! Asks the intakes and merges what they say.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt, TryStreamExt};
use nakku_actors::analytics::bucket::Place;
use nakku_actors::analytics::command::{Command, Product, Reply, Row};
use nakku_actors::analytics::{Analytics, Grouping, Sold, Sums};
use nakku_cluster::events::intake::Head;
use nakku_cluster::events::rebuild;
use nakku_cluster::events::{Intake, intake};
use nakku_cluster::{Ask, AskError, Key, Ref, Timestamp};

use super::bodies::{Range, Rebuilding};
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
    /// Some are gathering their sums anew.
    pub rebuilding: Option<Rebuilding>,
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
    /// Some are gathering their sums anew.
    pub rebuilding: Option<Rebuilding>,
}

impl Question {
    /// What the answer goes over.
    pub fn range(&self, latest_at: Timestamp, rebuilding: Option<Rebuilding>) -> Range {
        Range {
            from_ms: self.span.start().0,
            to_ms: self.span.end().0,
            bucket: name_of(self.span.resolution),
            store: self.store.clone(),
            currency: nakku_actors::money::CURRENCY,
            latest_event_ms: Some(latest_at.0).filter(|at| *at > 0),
            rebuilding,
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
    let answers: Vec<_> = intakes.iter().map(|(key, _)| sums_of(edge, ask, question, Ref::new(key.clone()))).collect();
    let mut answers = stream::iter(answers).buffer_unordered(ASKS_MAX);
    let mut gathered = Gathered::default();
    while let Some((rows, latest_at)) = answers.try_next().await? {
        for Row { place, sums } in rows {
            gathered.rows.entry(place).or_default().merge(&sums);
        }
        gathered.latest_at = gathered.latest_at.max(latest_at);
    }
    gathered.rebuilding = rebuilding(&intakes, &self::intakes(edge, question.sources).await?);
    Ok(gathered)
}

/// What was sold, by all intakes of the question's sources.
pub async fn products(edge: &Edge, ask: &Ask, question: &Question) -> Result<GatheredProducts, Problem> {
    let Question { span, store, .. } = question;
    let command = Command::Products { from: span.from, until: span.until, store: store.clone() };
    let intakes = intakes(edge, question.sources).await?;
    let asked = |(key, _): &(Key, Head)| (Ref::new(key.clone()), command.clone());
    let answers: Vec<_> =
        intakes.iter().map(asked).map(async |(intake, command)| one(edge, ask, &intake, command).await).collect();
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
    gathered.rebuilding = rebuilding(&intakes, &self::intakes(edge, question.sources).await?);
    Ok(gathered)
}

/// The intakes that there are of some services, or of all, and how far they are.
async fn intakes(edge: &Edge, sources: &[&str]) -> Result<Vec<(Key, Head)>, Problem> {
    let mut intakes = rebuild::heads::<Analytics>(&edge.cluster).await?;
    let wanted = |key: &Key| {
        let source = key.as_str().rsplit_once('-').map_or("", |(source, _shard)| source);
        sources.is_empty() || sources.contains(&source)
    };
    intakes.retain(|(key, _)| wanted(key));
    Ok(intakes)
}

/// Whether sums may have been missing while the intakes were asked: some were gathering them anew before, after, or in
/// between.
fn rebuilding(before: &[(Key, Head)], after: &[(Key, Head)]) -> Option<Rebuilding> {
    let number = |head: &Head| head.rebuild.as_ref().map_or(0, |rebuild| rebuild.number);
    let began: BTreeMap<&Key, u64> = before.iter().map(|(key, head)| (key, number(head))).collect();
    let begun = |(key, head): &(Key, Head)| began.get(key).is_some_and(|before| *before != number(head));
    let is_half = before.iter().chain(after).any(|(_, head)| !head.is_whole()) || after.iter().any(begun);
    let progress = rebuild::Rebuilding::of(after.iter().map(|(key, head)| (key, head)));
    is_half.then_some(Rebuilding {
        intakes_left: progress.intakes_left,
        intakes: progress.intakes,
        rows_read: progress.rows_read,
        rows: progress.rows,
    })
}

async fn sums_of(
    edge: &Edge,
    ask: &Ask,
    question: &Question,
    intake: Ref<Intake<Analytics>>,
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
        let reply = one(edge, ask, &intake, command).await?;
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
