//! The nodes that can be asked: those of the command line, else those of a local dev, whose list is read again
//! whenever one fails, so that nodes that came later are found.

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
        endpoints.learn(&mut endpoints.lock());
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
        self.learn(&mut known);
        if known.urls.len() < 2 {
            return None;
        }
        known.current = (known.current + 1) % known.urls.len();
        known.urls.get(known.current).cloned()
    }

    fn learn(&self, known: &mut Known) {
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
    fn one_alone_is_asked_on_and_on() {
        let endpoints = Endpoints::new(vec!["http://one".into()], None);
        assert_eq!(endpoints.give_up("http://one"), None);
        assert_eq!(endpoints.current(), "http://one");
    }
}
