//! When a store is open: hours of each weekday, by the clock on its wall.

use jiff::Timestamp as Instant;
use jiff::civil::{Date, Weekday};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use nakku_cluster::Timestamp;
use serde::{Deserialize, Serialize};

/// The minutes of a day, but for those on which clocks are changed.
pub const DAY_MINUTES: u16 = 24 * 60;
/// The most openings of one weekday.
pub const OPENINGS_MAX: usize = 6;
/// The longest name of a time zone, in bytes.
pub const TIME_ZONE_BYTES_MAX: usize = 64;
/// How many days are looked ahead: beyond them the week repeats itself.
const DAYS_AHEAD: i64 = 8;

/// The opening hours of a week.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Week {
    /// Its name in the IANA database, such as `Asia/Kolkata`.
    pub time_zone: String,
    /// From Monday to Sunday; a day without openings is closed, unless the day before reaches into it.
    pub days: [Vec<Opening>; 7],
}

/// From when to when on a day, by the clock on the wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Opening {
    /// Minutes from midnight, below [`DAY_MINUTES`].
    pub opens_minute: u16,
    /// Minutes from the same midnight, later, by a day at most; from [`DAY_MINUTES`] on it is the next day.
    pub closes_minute: u16,
}

/// Whether a store is open at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Open {
        /// Until then; nothing when it does not close within a week.
        closes_at: Option<Timestamp>,
    },
    /// It is not.
    Closed {
        /// Until then; nothing when it never opens.
        opens_at: Option<Timestamp>,
    },
}

impl Week {
    /// Day and night.
    pub fn always(time_zone: &str) -> Self {
        let all_day = vec![Opening { opens_minute: 0, closes_minute: DAY_MINUTES }];
        Self { time_zone: time_zone.to_owned(), days: std::array::from_fn(|_| all_day.clone()) }
    }

    /// Says which field is wrong and why, if one is.
    ///
    /// # Errors
    /// The field and the rest of the sentence.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if self.zone().is_none() {
            return Err(("time_zone", "is the name of a time zone, such as Asia/Kolkata".into()));
        }
        for openings in &self.days {
            if openings.len() > OPENINGS_MAX {
                return Err(("hours", format!("has at most {OPENINGS_MAX} openings a day")));
            }
            let sound = |opening: &Opening| {
                let length = opening.closes_minute.checked_sub(opening.opens_minute);
                opening.opens_minute < DAY_MINUTES && length.is_some_and(|length| (1..=DAY_MINUTES).contains(&length))
            };
            if !openings.iter().all(sound) {
                return Err(("hours", "opens on its day and closes later, within a day".into()));
            }
        }
        Ok(())
    }

    /// Whether it is open, and when that changes. An hour that the clocks skip is skipped; in one that they repeat
    /// the store opens at the first of the two times and closes at the second.
    pub fn at(&self, now: Timestamp) -> Standing {
        const NEVER: Standing = Standing::Closed { opens_at: None };
        let (Some(zone), Ok(instant)) = (self.zone(), Instant::from_millisecond(now.0)) else { return NEVER };
        let today = zone.to_datetime(instant).date();
        // Whatever began the day before yesterday has ended: an opening ends on the next day at the latest.
        let days = (-1..=DAYS_AHEAD).filter_map(|ahead| day_after(today, ahead));
        let mut spans: Vec<(i64, i64)> = days
            .flat_map(|date| self.openings(date.weekday()).iter().map(move |opening| (date, opening)))
            .filter_map(|(date, opening)| span(&zone, date, *opening))
            .collect();
        spans.sort_unstable();
        let mut open_until: Option<i64> = None;
        for (opens, closes) in spans {
            match open_until {
                None if opens <= now.0 && now.0 < closes => open_until = Some(closes),
                None if opens > now.0 => return Standing::Closed { opens_at: Some(Timestamp(opens)) },
                Some(until) if opens <= until => open_until = Some(closes.max(until)),
                Some(until) => return Standing::Open { closes_at: Some(Timestamp(until)) },
                None => {}
            }
        }
        let horizon = day_after(today, DAYS_AHEAD).and_then(|date| instant_of(&zone, date, 0, false));
        match open_until {
            None => NEVER,
            Some(until) => {
                let closes = horizon.is_some_and(|horizon| until < horizon);
                Standing::Open { closes_at: closes.then_some(Timestamp(until)) }
            }
        }
    }

    fn openings(&self, weekday: Weekday) -> &[Opening] {
        self.days.get(usize::from(weekday.to_monday_zero_offset().unsigned_abs())).map_or(&[], Vec::as_slice)
    }

    /// From the database that is part of the program: a decision reads no file.
    fn zone(&self) -> Option<TimeZone> {
        let plausible = (1..=TIME_ZONE_BYTES_MAX).contains(&self.time_zone.len());
        plausible.then(|| TimeZoneDatabase::bundled().get(&self.time_zone).ok()).flatten()
    }
}

/// When an opening of a day begins and ends, in milliseconds; nothing when clocks skip all of it.
fn span(zone: &TimeZone, date: Date, opening: Opening) -> Option<(i64, i64)> {
    let opens = instant_of(zone, date, opening.opens_minute, false)?;
    let closes = instant_of(zone, date, opening.closes_minute, true)?;
    (opens < closes).then_some((opens, closes))
}

fn instant_of(zone: &TimeZone, date: Date, minute: u16, later: bool) -> Option<i64> {
    let date = day_after(date, i64::from(minute / DAY_MINUTES))?;
    let (hour, minute) = (i8::try_from(minute % DAY_MINUTES / 60).ok()?, i8::try_from(minute % 60).ok()?);
    let ambiguous = zone.to_ambiguous_timestamp(date.at(hour, minute, 0, 0));
    let instant = if later { ambiguous.later() } else { ambiguous.compatible() };
    Some(instant.ok()?.as_millisecond())
}

fn day_after(date: Date, days: i64) -> Option<Date> {
    date.checked_add(jiff::Span::new().try_days(days).ok()?).ok()
}

#[cfg(test)]
#[path = "hours_tests.rs"]
mod tests;
