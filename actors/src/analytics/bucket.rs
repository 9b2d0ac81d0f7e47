//! Hours and days, as sums are kept by them.

use std::fmt;
use std::str::FromStr;

use nakku_cluster::{Key, Timestamp};
use serde::{Deserialize, Serialize};

/// The one time zone of a deployment, as it has one currency: so many minutes east of UTC. Its days begin at
/// midnight there, and its hours with them. India has no daylight saving time.
pub const ZONE_MINUTES: i64 = 5 * 60 + 30;
/// How many hours are kept: the newest, by the time of the newest event.
pub const HOURS_KEPT: i64 = 40 * 24;
/// How many days are kept.
pub const DAYS_KEPT: i64 = 400;
/// Of how many days it is kept what was sold.
pub const PRODUCT_DAYS_KEPT: i64 = 100;

const MINUTE_MS: i64 = 60_000;

/// How finely sums are kept in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// By the hour, for [`HOURS_KEPT`].
    Hour,
    /// By the day, for [`DAYS_KEPT`].
    Day,
}

impl Resolution {
    /// How long a bucket is, in milliseconds.
    pub const fn length_ms(self) -> i64 {
        match self {
            Self::Hour => 60 * MINUTE_MS,
            Self::Day => 24 * 60 * MINUTE_MS,
        }
    }

    /// How many buckets are kept.
    pub const fn kept(self) -> i64 {
        match self {
            Self::Hour => HOURS_KEPT,
            Self::Day => DAYS_KEPT,
        }
    }

    /// The number of the bucket that a time lies in; the one in which 1970 began in the zone is 0.
    pub const fn bucket(self, at: Timestamp) -> i64 {
        at.0.saturating_add(ZONE_MINUTES * MINUTE_MS).div_euclid(self.length_ms())
    }

    /// When a bucket begins.
    pub const fn start(self, bucket: i64) -> Timestamp {
        Timestamp(bucket.saturating_mul(self.length_ms()).saturating_sub(ZONE_MINUTES * MINUTE_MS))
    }
}

/// Names the sums of a bucket of a store, or of what belongs to no store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Which bucket.
    pub bucket: i64,
    /// Which store.
    pub store: Option<Key>,
}

impl Place {
    /// The first of a bucket.
    pub const fn first_of(bucket: i64) -> Self {
        Self { bucket, store: None }
    }
}

/// A character that no key has.
const SEPARATOR: char = '~';

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{SEPARATOR}{}", self.bucket, self.store.as_ref().map_or("", Key::as_str))
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (bucket, store) = text.split_once(SEPARATOR).ok_or("a bucket and a store")?;
        let bucket = bucket.parse().map_err(|error| format!("{bucket:?}: {error}"))?;
        let store = match store {
            "" => None,
            store => Some(Key::new(store).map_err(|error| error.to_string())?),
        };
        Ok(Self { bucket, store })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_begin_at_midnight_in_the_zone_and_hours_with_them() {
        // 2026-11-22T18:30:00Z is midnight in India.
        let midnight = Timestamp(1_795_372_200_000);
        let day = Resolution::Day.bucket(midnight);
        assert_eq!(Resolution::Day.start(day), midnight);
        assert_eq!(Resolution::Day.bucket(Timestamp(midnight.0 - 1)), day - 1);
        assert_eq!(Resolution::Hour.start(day * 24), midnight);
        assert_eq!(Resolution::Hour.bucket(midnight), day * 24);
        assert_eq!(Resolution::Hour.bucket(Timestamp(midnight.0 + 3_600_000)), day * 24 + 1);
    }

    #[test]
    fn a_place_is_written_and_read() {
        for store in [None, Some(Key::new("s-1.north").unwrap())] {
            let place = Place { bucket: 498_717, store };
            assert_eq!(place.to_string().parse::<Place>().unwrap(), place);
        }
        assert!("498717".parse::<Place>().is_err());
        assert!("x~s-1".parse::<Place>().is_err());
    }
}
