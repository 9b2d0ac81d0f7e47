//! The nodes that can be asked: those of the command line, else those of a local dev, whose list is read again
//! whenever one fails, so that nodes that came later are found; and those that these tell of.

use std::path::PathBuf;
use std::sync::Mutex;

use crate::dev::local::Local;

/// Admin APIs, and the one that is asked.
#[derive(Debug)]
pub struct Endpoints {
    /// Where a local dev tells of its nodes.
    data: Option<PathBuf>,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    urls: Vec<String>,
    current: usize,
}

impl Endpoints {
    /// Those of the command line; with a folder also those of the dev that runs on it, now or later.
    pub fn new(given: Vec<String>, data: Option<PathBuf>) -> Self {
        let endpoints = Self { data, known: Mutex::new(Known { urls: given, current: 0 }) };
        endpoints.read(&mut endpoints.lock());
        endpoints
    }

    /// The one to ask.
    pub fn current(&self) -> String {
        let known = self.lock();
        known.urls.get(known.current).cloned().unwrap_or_default()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.lock().urls.len()
    }

    /// One that does not answer makes way for the next. Gives that one, unless somebody else has already gone on.
    pub fn give_up(&self, url: &str) -> Option<String> {
        let mut known = self.lock();
        if known.urls.get(known.current).is_none_or(|current| current != url) {
            return None;
        }
        self.read(&mut known);
        if known.urls.len() < 2 {
            return None;
        }
        known.current = (known.current + 1) % known.urls.len();
        known.urls.get(known.current).cloned()
    }

    /// Takes in where nodes say that their admin APIs are (`host:port`). Only if the one that is asked is among them:
    /// from behind a proxy or a tunnel the others are not to be found under what they call themselves, and whoever is
    /// would be sent the token.
    pub fn learn<'a>(&self, addresses: impl Iterator<Item = &'a str>) {
        let urls: Vec<String> = addresses.map(|address| format!("http://{address}")).collect();
        let mut known = self.lock();
        if known.urls.get(known.current).is_some_and(|current| urls.contains(current)) {
            for url in urls {
                if !known.urls.contains(&url) {
                    known.urls.push(url);
                }
            }
        }
    }

    fn read(&self, known: &mut Known) {
        let local = self.data.as_deref().and_then(Local::read);
        for node in local.into_iter().flat_map(|local| local.nodes) {
            if !known.urls.contains(&node.admin) {
                known.urls.push(node.admin);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        // Nothing in here can be left half done.
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_is_taken_once_for_all_who_give_one_up() {
        let endpoints = Endpoints::new(vec!["http://one".into(), "http://two".into()], None);
        assert_eq!(endpoints.current(), "http://one");
        assert_eq!(endpoints.give_up("http://one").as_deref(), Some("http://two"));
        assert_eq!(endpoints.give_up("http://one"), None);
        assert_eq!(endpoints.current(), "http://two");
        assert_eq!(endpoints.give_up("http://two").as_deref(), Some("http://one"));
    }

    #[test]
    fn nodes_tell_of_each_other_unless_they_are_behind_something() {
        let endpoints = Endpoints::new(vec!["http://10.0.0.1:7947".into()], None);
        endpoints.learn(["10.0.0.1:7947", "10.0.0.2:7947"].into_iter());
        assert_eq!(endpoints.give_up("http://10.0.0.1:7947").as_deref(), Some("http://10.0.0.2:7947"));
        let tunnelled = Endpoints::new(vec!["http://127.0.0.1:17947".into()], None);
        tunnelled.learn(["127.0.0.1:7947"].into_iter());
        assert_eq!(tunnelled.count(), 1);
    }

    #[test]
    fn one_alone_is_asked_on_and_on() {
        let endpoints = Endpoints::new(vec!["http://one".into()], None);
        assert_eq!(endpoints.give_up("http://one"), None);
        assert_eq!(endpoints.current(), "http://one");
    }
}
