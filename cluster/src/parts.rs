//! Keyed parts of an entity's state that note which keys a decision touched, so that only those are written.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::ops::Bound;
use std::str::FromStr;

use serde::{Serialize, de::DeserializeOwned};

/// An ordered map from key to value. Keys are written as text: at most 128 bytes, without control
/// characters.
#[derive(Clone, Debug)]
pub struct Parts<K, V> {
    entries: BTreeMap<K, V>,
    touched: BTreeSet<K>,
}

impl<K: Ord + Clone, V> Parts<K, V> {
    /// The value under a key.
    pub fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.entries.get(key)
    }

    /// The value under a key, to be changed; the key counts as touched.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let value = self.entries.get_mut(key)?;
        self.touched.insert(key.clone());
        Some(value)
    }

    /// Sets the value under a key.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.touched.insert(key.clone());
        self.entries.insert(key, value)
    }

    /// Removes a key and its row.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let value = self.entries.remove(key)?;
        self.touched.insert(key.clone());
        Some(value)
    }

    /// Whether the key is there.
    pub fn contains_key<Q>(&self, key: &Q) -> bool
    where
        K: std::borrow::Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.entries.contains_key(key)
    }

    /// All entries in the order of their keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.entries.iter()
    }

    /// All entries behind a key, or all, in the order of their keys.
    pub fn iter_after<Q>(&self, key: Option<&Q>) -> impl DoubleEndedIterator<Item = (&K, &V)>
    where
        K: std::borrow::Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let from = key.map_or(Bound::Unbounded, Bound::Excluded);
        self.entries.range::<Q, _>((from, Bound::Unbounded))
    }

    /// All keys in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> {
        self.entries.keys()
    }

    /// All values in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.entries.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<K, V> Default for Parts<K, V> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), touched: BTreeSet::new() }
    }
}

/// One part that changed: its key as text, and its JSON, or nothing when it is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TouchedPart {
    /// The key.
    pub key: String,
    /// The new value.
    pub data: Option<Vec<u8>>,
}

/// A [`Parts`] whose types are not named; what the runtime sees.
pub trait PartSet {
    /// What has been touched since the last call.
    fn take_touched(&mut self) -> Vec<TouchedPart>;

    /// Puts back one part as it was read from the store.
    ///
    /// # Errors
    /// When key or JSON are not of this set.
    fn restore(&mut self, key: &str, data: &[u8]) -> Result<(), String>;

    /// Removes all parts and their rows.
    fn clear(&mut self);

    /// How many parts there are.
    fn count(&self) -> usize;

    /// All of them as one JSON object, for inspection.
    fn to_json(&self) -> serde_json::Value;
}

impl<K, V> PartSet for Parts<K, V>
where
    K: Ord + Clone + Display + FromStr + Send,
    V: Serialize + DeserializeOwned + Send,
{
    fn take_touched(&mut self) -> Vec<TouchedPart> {
        std::mem::take(&mut self.touched)
            .into_iter()
            .map(|key| TouchedPart {
                data: self
                    .entries
                    .get(&key)
                    .map(|value| serde_json::to_vec(value).expect("part values serialise to JSON")),
                key: key.to_string(),
            })
            .collect()
    }

    fn restore(&mut self, key: &str, data: &[u8]) -> Result<(), String> {
        let parsed = K::from_str(key).map_err(|_| format!("{key:?} is no key of this set"))?;
        let value = serde_json::from_slice(data).map_err(|error| format!("part {key:?}: {error}"))?;
        self.entries.insert(parsed, value);
        Ok(())
    }

    fn clear(&mut self) {
        self.touched.extend(std::mem::take(&mut self.entries).into_keys());
    }

    fn count(&self) -> usize {
        self.entries.len()
    }

    fn to_json(&self) -> serde_json::Value {
        self.entries
            .iter()
            .map(|(key, value)| (key.to_string(), serde_json::to_value(value).unwrap_or_default()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}
