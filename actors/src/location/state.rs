//! What a store's place remembers: what is small in the head, and each zone as a part.

use nakku_cluster::{EntityState, Key, PartSet, Parts};
use serde::{Deserialize, Serialize};

use super::command::{Description, Pause, View, Zone};
use super::event::Event;

/// A store's state.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Everything but the zones.
    pub head: Head,
    /// The zones, by id.
    pub zones: Parts<String, Zone>,
}

/// Everything but the zones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The store's own key, once it is described.
    pub store: Option<Key>,
    /// What it is called, where it is and when it is open; nothing while nobody has said so.
    pub description: Option<Description>,
    /// Why it takes no orders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    /// How often it has changed; tells the news to the directory apart.
    #[serde(default)]
    pub revision: u64,
    /// Which of these the directory knows.
    #[serde(default)]
    pub told: u64,
}

impl State {
    /// The store as others see it; nothing while it is not described.
    pub fn view(&self) -> Option<View> {
        Some(View {
            description: self.head.description.clone()?,
            pause: self.head.pause.clone(),
            zones: self.zones.iter().map(|(id, zone)| (id.clone(), zone.clone())).collect(),
        })
    }

    /// Applies an event.
    pub fn evolve(&mut self, event: &Event) {
        let head = &mut self.head;
        match event {
            Event::Described { store, description } => {
                head.store = Some(store.clone());
                head.description = Some(description.clone());
            }
            Event::ZoneSet { id, zone } => {
                self.zones.insert(id.clone(), zone.clone());
            }
            Event::ZoneRemoved { id } => {
                self.zones.remove(id);
            }
            Event::Paused { pause } => head.pause = Some(pause.clone()),
            Event::Resumed {} => head.pause = None,
            Event::Told { revision } => {
                head.told = *revision;
                return;
            }
        }
        head.revision += 1;
    }
}

impl EntityState for State {
    type Head = Head;

    fn head(&self) -> &Head {
        &self.head
    }

    fn head_mut(&mut self) -> &mut Head {
        &mut self.head
    }

    fn parts(&mut self) -> Vec<(&'static str, &mut dyn PartSet)> {
        vec![("zone", &mut self.zones)]
    }
}
