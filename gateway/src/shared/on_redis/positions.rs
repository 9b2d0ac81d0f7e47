//! Positions that all gateways are told.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nakku_cluster::{Key, Timestamp};

use super::Link;
use super::script::Script;
use crate::shared::{Away, Nearby, Position, Positions, SharedSettings};

/// Positions that all gateways are told. Of each area, the places stand in a geospatial index and the times in a
/// sorted set beside it; a rider's last position stands by itself too.
#[derive(Debug)]
pub struct PositionsOnRedis {
    link: Arc<Link>,
    put_last: Script,
    put_in_area: Script,
    near: Script,
    ttl: Duration,
}

impl PositionsOnRedis {
    /// On this link.
    pub fn new(link: Arc<Link>, settings: &SharedSettings) -> Self {
        Self {
            link,
            put_last: Script::new(include_str!("put_last.lua")),
            put_in_area: Script::new(include_str!("put_in_area.lua")),
            near: Script::new(include_str!("near.lua")),
            ttl: settings.position_ttl,
        }
    }

    /// The places and the times of an area: in one slot.
    fn area_keys(&self, area: &Key) -> [String; 2] {
        ["places", "times"].map(|what| self.link.key(format_args!("riders:{{{area}}}:{what}")))
    }

    fn rider_key(&self, rider: &Key) -> String {
        self.link.key(format_args!("rider:{rider}"))
    }

    fn ttl_ms(&self) -> String {
        self.ttl.as_millis().max(1).to_string()
    }
}

#[async_trait]
impl Positions for PositionsOnRedis {
    async fn put(&self, area: &Key, rider: &Key, position: Position) -> Result<(), Away> {
        let [places, times] = self.area_keys(area);
        let rider_key = self.rider_key(rider);
        let Position { latitude, longitude, at } = position;
        let [latitude, longitude, at, ttl_ms] =
            [latitude.to_string(), longitude.to_string(), at.0.to_string(), self.ttl_ms()];
        let (last_keys, last) = ([rider_key.as_str()], [at.as_str(), &latitude, &longitude, &ttl_ms]);
        let (area_keys, in_area) =
            ([places.as_str(), times.as_str()], [rider.as_str(), &longitude, &latitude, &at, &ttl_ms]);
        let (last, in_area): (Result<u8, Away>, Result<u8, Away>) = tokio::join!(
            self.link.script("put_position", &self.put_last, &last_keys, &last),
            self.link.script("put_position", &self.put_in_area, &area_keys, &in_area),
        );
        last.and(in_area).map(|_| ())
    }

    async fn near(
        &self,
        area: &Key,
        latitude: f64,
        longitude: f64,
        radius_m: f64,
        limit: usize,
    ) -> Result<Vec<Nearby>, Away> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let [places, times] = self.area_keys(area);
        let [longitude, latitude, radius_m, limit, ttl_ms] =
            [longitude.to_string(), latitude.to_string(), radius_m.to_string(), limit.to_string(), self.ttl_ms()];
        let arguments = [longitude.as_str(), &latitude, &radius_m, &limit, &ttl_ms];
        let found: Vec<(String, f64, f64, f64, f64)> =
            self.link.script("near", &self.near, &[&places, &times], &arguments).await?;
        let nearby = |(rider, distance_m, longitude, latitude, at): (String, f64, f64, f64, f64)| {
            let position = Position { latitude, longitude, at: Timestamp(at as i64) };
            Some(Nearby { rider: Key::new(rider).ok()?, position, distance_m })
        };
        Ok(found.into_iter().filter_map(nearby).collect())
    }

    async fn of(&self, rider: &Key) -> Result<Option<Position>, Away> {
        let key = self.rider_key(rider);
        let mut get = redis::cmd("GET");
        get.arg(&key);
        let last: Option<String> = self.link.run("get_position", &key, &get).await?;
        Ok(last.as_deref().and_then(read))
    }

    async fn remove(&self, area: &Key, rider: &Key) -> Result<(), Away> {
        let [places, times] = self.area_keys(area);
        let rider_key = self.rider_key(rider);
        let remove = async |key: &str| -> Result<u64, Away> {
            let mut remove = redis::cmd("ZREM");
            remove.arg(key).arg(rider.as_str());
            self.link.run("remove_position", key, &remove).await
        };
        let mut delete = redis::cmd("DEL");
        delete.arg(&rider_key);
        let forget = self.link.run::<u64>("remove_position", &rider_key, &delete);
        let (place, time, last) = tokio::join!(remove(&places), remove(&times), forget);
        place.and(time).and(last).map(|_| ())
    }
}

/// Time, latitude and longitude, with blanks between.
fn read(text: &str) -> Option<Position> {
    let mut parts = text.split(' ');
    let (at, latitude, longitude) = (parts.next()?, parts.next()?, parts.next()?);
    Position::new(latitude.parse().ok()?, longitude.parse().ok()?, Timestamp(at.parse().ok()?))
}
