//! Positions that one gateway was told.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use nakku_cluster::{Key, Timestamp};

use crate::shared::{Away, Nearby, Position, Positions, SharedSettings};

/// How many riders are followed. One more is taken in once others have gone stale.
const RIDERS_MAX: usize = 100_000;

/// Positions that one gateway was told.
#[derive(Debug)]
pub struct PositionsInProcess {
    ttl: Duration,
    riders: Mutex<Riders>,
}

#[derive(Debug, Default)]
struct Riders {
    by_rider: HashMap<Key, Position>,
    by_area: HashMap<Key, HashMap<Key, Position>>,
}

impl PositionsInProcess {
    /// Forgets riders after the time that the settings say.
    pub fn new(settings: &SharedSettings) -> Self {
        Self { ttl: settings.position_ttl, riders: Mutex::default() }
    }

    fn riders(&self) -> MutexGuard<'_, Riders> {
        // Each change is whole by itself, so a panic between two leaves at most a rider in one of the maps.
        self.riders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_fresh(&self, position: &Position) -> bool {
        Timestamp::now().since(position.at) < self.ttl
    }
}

impl Riders {
    fn drop_stale(&mut self, is_fresh: impl Fn(&Position) -> bool) {
        self.by_rider.retain(|_, position| is_fresh(position));
        self.by_area.retain(|_, riders| {
            riders.retain(|_, position| is_fresh(position));
            !riders.is_empty()
        });
    }
}

#[async_trait]
impl Positions for PositionsInProcess {
    async fn put(&self, area: &Key, rider: &Key, position: Position) -> Result<(), Away> {
        // A clock that is ahead must not keep a rider for longer.
        let position = Position { at: position.at.min(Timestamp::now()), ..position };
        let mut riders = self.riders();
        let newer = |known: Option<&Position>| known.is_none_or(|known| known.at <= position.at);
        if !self.is_fresh(&position) || !newer(riders.by_rider.get(rider)) {
            return Ok(());
        }
        if riders.by_rider.len() >= RIDERS_MAX && !riders.by_rider.contains_key(rider) {
            riders.drop_stale(|known| self.is_fresh(known));
            if riders.by_rider.len() >= RIDERS_MAX {
                return Err(Away);
            }
        }
        riders.by_rider.insert(rider.clone(), position);
        riders.by_area.entry(area.clone()).or_default().insert(rider.clone(), position);
        Ok(())
    }

    async fn near(
        &self,
        area: &Key,
        latitude: f64,
        longitude: f64,
        radius_m: f64,
        limit: usize,
    ) -> Result<Vec<Nearby>, Away> {
        let mut riders = self.riders();
        let Some(of_area) = riders.by_area.get_mut(area) else { return Ok(Vec::new()) };
        of_area.retain(|_, position| self.is_fresh(position));
        let mut near: Vec<Nearby> = of_area
            .iter()
            .map(|(rider, position)| Nearby {
                rider: rider.clone(),
                position: *position,
                distance_m: position.distance_m(latitude, longitude),
            })
            .filter(|nearby| nearby.distance_m <= radius_m)
            .collect();
        near.sort_unstable_by(|one, other| one.distance_m.total_cmp(&other.distance_m));
        near.truncate(limit);
        Ok(near)
    }

    async fn of(&self, rider: &Key) -> Result<Option<Position>, Away> {
        let known = self.riders().by_rider.get(rider).copied();
        Ok(known.filter(|position| self.is_fresh(position)))
    }

    async fn remove(&self, area: &Key, rider: &Key) -> Result<(), Away> {
        let mut riders = self.riders();
        riders.by_rider.remove(rider);
        if let Some(of_area) = riders.by_area.get_mut(area) {
            of_area.remove(rider);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::new(text).unwrap()
    }

    fn at(latitude: f64, age: Duration) -> Position {
        let at = Timestamp(Timestamp::now().0 - age.as_millis() as i64);
        Position::new(latitude, 77.0, at).unwrap()
    }

    #[tokio::test]
    async fn the_nearest_come_first_and_the_stale_never() {
        let positions = PositionsInProcess::new(&SharedSettings::default());
        let (here, there) = (key("s-1"), key("s-2"));
        for (rider, latitude, age) in [("r-far", 12.02, 0), ("r-near", 12.001, 0), ("r-stale", 12.0, 300)] {
            positions.put(&here, &key(rider), at(latitude, Duration::from_secs(age))).await.unwrap();
        }
        positions.put(&there, &key("r-other"), at(12.0, Duration::ZERO)).await.unwrap();
        let near = async |radius_m, limit| {
            let near = positions.near(&here, 12.0, 77.0, radius_m, limit).await.unwrap();
            near.iter().map(|nearby| nearby.rider.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(near(5_000.0, 10).await, ["r-near", "r-far"]);
        assert_eq!(near(5_000.0, 1).await, ["r-near"]);
        assert_eq!(near(1_000.0, 10).await, ["r-near"]);
        assert_eq!(positions.of(&key("r-stale")).await, Ok(None));
        positions.remove(&here, &key("r-near")).await.unwrap();
        assert_eq!(near(5_000.0, 10).await, ["r-far"]);
        assert_eq!(positions.of(&key("r-near")).await, Ok(None));
    }

    #[tokio::test]
    async fn older_positions_change_nothing() {
        let positions = PositionsInProcess::new(&SharedSettings::default());
        let (area, rider) = (key("s-1"), key("r-1"));
        let newer = at(12.0, Duration::from_secs(1));
        positions.put(&area, &rider, newer).await.unwrap();
        positions.put(&area, &rider, at(13.0, Duration::from_secs(2))).await.unwrap();
        assert_eq!(positions.of(&rider).await, Ok(Some(newer)));
    }
}
