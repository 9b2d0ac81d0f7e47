//! Opening hours across midnight and across changes of the clocks.

use super::*;

fn at(text: &str) -> Timestamp {
    Timestamp(text.parse::<Instant>().unwrap().as_millisecond())
}

fn opening(opens: &str, closes: &str) -> Opening {
    let minute = |text: &str| {
        let (hours, minutes) = text.split_once(':').unwrap();
        hours.parse::<u16>().unwrap() * 60 + minutes.parse::<u16>().unwrap()
    };
    Opening { opens_minute: minute(opens), closes_minute: minute(closes) }
}

fn daily(time_zone: &str, openings: &[Opening]) -> Week {
    Week { time_zone: time_zone.into(), days: std::array::from_fn(|_| openings.to_vec()) }
}

fn open_until(text: &str) -> Standing {
    Standing::Open { closes_at: Some(at(text)) }
}

fn closed_until(text: &str) -> Standing {
    Standing::Closed { opens_at: Some(at(text)) }
}

#[test]
fn hours_are_those_of_the_stores_own_clock() {
    let week = daily("Asia/Kolkata", &[opening("07:00", "23:30")]);
    assert_eq!(week.check(), Ok(()));
    assert_eq!(week.at(at("2026-11-22T01:29:59Z")), closed_until("2026-11-22T01:30:00Z"));
    assert_eq!(week.at(at("2026-11-22T01:30:00Z")), open_until("2026-11-22T18:00:00Z"));
    assert_eq!(week.at(at("2026-11-22T17:59:59Z")), open_until("2026-11-22T18:00:00Z"));
    assert_eq!(week.at(at("2026-11-22T18:00:00Z")), closed_until("2026-11-23T01:30:00Z"));
}

#[test]
fn an_opening_reaches_over_midnight_and_the_end_of_the_week() {
    let mut week = Week { time_zone: "UTC".into(), ..Week::default() };
    week.days[6] = vec![opening("20:00", "26:00")];
    // 2026-11-22 is a Sunday.
    assert_eq!(week.at(at("2026-11-22T19:00:00Z")), closed_until("2026-11-22T20:00:00Z"));
    assert_eq!(week.at(at("2026-11-23T01:59:00Z")), open_until("2026-11-23T02:00:00Z"));
    assert_eq!(week.at(at("2026-11-23T02:00:00Z")), closed_until("2026-11-29T20:00:00Z"));
    // Openings that touch or overlap are one.
    week.days[0] = vec![opening("01:00", "03:00"), opening("03:00", "04:30")];
    assert_eq!(week.at(at("2026-11-22T23:00:00Z")), open_until("2026-11-23T04:30:00Z"));
}

#[test]
fn always_and_never_have_no_end() {
    let always = Week::always("Asia/Kolkata");
    assert_eq!(always.check(), Ok(()));
    assert_eq!(always.at(at("2026-11-22T19:00:00Z")), Standing::Open { closes_at: None });
    assert_eq!(Week::always("Europe/Berlin").at(at("2026-03-29T00:59:00Z")), Standing::Open { closes_at: None });
    let never = Week { time_zone: "UTC".into(), ..Week::default() };
    assert_eq!(never.at(at("2026-11-22T19:00:00Z")), Standing::Closed { opens_at: None });
    assert_eq!(always.at(Timestamp(i64::MAX)), Standing::Closed { opens_at: None });
}

#[test]
fn an_hour_that_the_clocks_skip_is_skipped() {
    // In Berlin, 2026-03-29, 02:00 is followed by 03:00, at 01:00 UTC.
    let week = daily("Europe/Berlin", &[opening("02:15", "02:45"), opening("04:00", "05:00")]);
    assert_eq!(week.at(at("2026-03-29T00:59:00Z")), closed_until("2026-03-29T01:15:00Z"));
    let night = daily("Europe/Berlin", &[opening("22:00", "26:30")]);
    // The last half hour does not exist that night: closing moves on with the clocks.
    assert_eq!(night.at(at("2026-03-29T00:30:00Z")), open_until("2026-03-29T01:30:00Z"));
    assert_eq!(night.at(at("2026-03-30T00:15:00Z")), open_until("2026-03-30T00:30:00Z"));
}

#[test]
fn in_an_hour_that_the_clocks_repeat_a_store_is_open_both_times() {
    // In Berlin, 2026-10-25, 03:00 is followed by 02:00, at 01:00 UTC.
    let night = daily("Europe/Berlin", &[opening("22:00", "26:30")]);
    assert_eq!(night.at(at("2026-10-25T00:15:00Z")), open_until("2026-10-25T01:30:00Z"));
    assert_eq!(night.at(at("2026-10-25T01:29:00Z")), open_until("2026-10-25T01:30:00Z"));
    let early = daily("Europe/Berlin", &[opening("02:30", "06:00")]);
    assert_eq!(early.at(at("2026-10-25T00:29:00Z")), closed_until("2026-10-25T00:30:00Z"));
    assert_eq!(early.at(at("2026-10-25T01:10:00Z")), open_until("2026-10-25T05:00:00Z"));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let wrong = |week: &Week| week.check().expect_err("it must be refused").0;
    assert_eq!(wrong(&Week::always("Bengaluru")), "time_zone");
    assert_eq!(wrong(&Week::always("")), "time_zone");
    for (opens_minute, closes_minute) in [(60, 60), (60, 59), (DAY_MINUTES, DAY_MINUTES + 1), (1, DAY_MINUTES + 2)] {
        assert_eq!(wrong(&daily("UTC", &[Opening { opens_minute, closes_minute }])), "hours", "{opens_minute}");
    }
    assert_eq!(wrong(&daily("UTC", &[opening("01:00", "02:00"); OPENINGS_MAX + 1])), "hours");
    assert_eq!(daily("UTC", &[opening("23:59", "47:59")]).check(), Ok(()));
}
