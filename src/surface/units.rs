//! Figures that people can read.

use std::collections::BTreeMap;

use nakku_cluster::Timestamp;
use serde_json::Value;
use time::OffsetDateTime;

/// A duration: `340ms`, `12s`, `3m12s`, `5h02m`, `3d04h`.
pub fn age(ms: u64) -> String {
    if ms < 1000 { format!("{ms}ms") } else { seconds(ms / 1000) }
}

/// The same of whole seconds.
pub fn seconds(s: u64) -> String {
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        3600..86_400 => format!("{}h{:02}m", s / 3600, s / 60 % 60),
        _ => format!("{}d{:02}h", s / 86_400, s / 3600 % 24),
    }
}

/// How long ago something was, or in how long it will be.
pub fn ago(at_ms: i64, now: Timestamp) -> String {
    let distance = age(at_ms.abs_diff(now.0));
    if at_ms > now.0 { format!("in {distance}") } else { format!("{distance} ago") }
}

/// How long ago something was, in seconds; clocks of nodes differ, so it may lie a little in the future.
pub fn since(at_ms: i64, now_at_ms: i64) -> String {
    seconds(u64::try_from(now_at_ms.saturating_sub(at_ms).max(0) / 1_000).unwrap_or_default())
}

/// A short duration: `850µs`, `1.2ms`, `430ms`, `1.24s`.
pub fn micros(us: u64) -> String {
    micros_of(figure(us))
}

/// The same of a figure that is no whole number.
pub fn micros_of(us: f64) -> String {
    match us {
        ..999.5 => format!("{us:.0}µs"),
        ..99_950.0 => format!("{:.1}ms", us / 1e3),
        ..999_500.0 => format!("{:.0}ms", us / 1e3),
        _ => format!("{:.2}s", us / 1e6),
    }
}

/// `512 B`, `3.2 KiB`, `412 MiB`.
pub fn bytes(bytes: f64) -> String {
    let mut value = bytes;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1023.5 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    if unit == "B" || value >= 99.95 { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") }
}

/// A rate a second: `0`, `0.3`, `12.5`, `1840`.
pub fn rate(per_s: f64) -> String {
    match per_s {
        ..0.005 => "0".to_owned(),
        ..0.095 => format!("{per_s:.2}"),
        ..99.95 => format!("{per_s:.1}"),
        _ => format!("{per_s:.0}"),
    }
}

/// A count: `999`, `12.3M`.
pub fn count(count: u64) -> String {
    match count {
        0..1_000_000 => count.to_string(),
        1_000_000..1_000_000_000 => format!("{:.1}M", figure(count) / 1e6),
        _ => format!("{:.1}G", figure(count) / 1e9),
    }
}

/// A count as a figure; what it loses above 2^53 nobody reads.
#[allow(clippy::cast_precision_loss, reason = "figures to look at")]
pub fn figure(count: u64) -> f64 {
    count as f64
}

/// Numbers as ranges: `0-3, 7, 9-12`.
pub fn ranges(numbers: impl IntoIterator<Item = u32>) -> String {
    let mut numbers: Vec<u32> = numbers.into_iter().collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let told = ranges.iter().map(|(first, last)| match last - first {
        0 => first.to_string(),
        1 => format!("{first}, {last}"),
        _ => format!("{first}-{last}"),
    });
    told.collect::<Vec<_>>().join(", ")
}

/// `2026-11-22 23:53:50.123`, UTC.
pub fn date(at_ms: i64) -> String {
    match moment(at_ms) {
        Some(at) => format!("{} {}", at.date(), clock(at_ms)),
        None => at_ms.to_string(),
    }
}

/// `23:53:50.123`, UTC.
pub fn clock(at_ms: i64) -> String {
    match moment(at_ms) {
        Some(at) => format!("{:02}:{:02}:{:02}.{:03}", at.hour(), at.minute(), at.second(), at.millisecond()),
        None => at_ms.to_string(),
    }
}

fn moment(at_ms: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at_ms) * 1_000_000).ok()
}

/// JSON on one line, cut where it gets long.
pub fn json(value: &Value, characters: usize) -> String {
    let text = value.to_string();
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// What is known of a hop, the outcome first: `accepted, 2 events, queued 12µs`.
pub fn details(details: &BTreeMap<String, String>) -> String {
    let first = ["outcome", "status", "command"];
    let named = |name: &&str| details.get_key_value(*name);
    let rest = details.iter().filter(|(name, _)| !first.contains(&name.as_str()));
    let told = first.iter().filter_map(named).chain(rest).map(|(name, value)| match name.as_str() {
        "outcome" | "status" | "command" => value.clone(),
        "events" | "commands" => format!("{value} {name}"),
        "queued_us" => format!("queued {}", value.parse().map_or_else(|_| value.clone(), micros)),
        "node" => format!("on {value}"),
        "failed_attempts" if value == "0" => String::new(),
        _ => format!("{} {value}", name.replace('_', " ")),
    });
    told.filter(|one| !one.is_empty()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_hop_begins_with_how_it_ended() {
        let known = [("events", "2"), ("outcome", "accepted"), ("queued_us", "1240"), ("failed_attempts", "0")];
        let known = known.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(details(&known), "accepted, 2 events, queued 1.2ms");
    }

    #[test]
    fn durations_are_told_in_two_units() {
        let told = [0, 340, 12_000, 192_000, 18_120_000, 273_600_000].map(age);
        assert_eq!(told, ["0ms", "340ms", "12s", "3m12s", "5h02m", "3d04h"]);
        assert_eq!([seconds(0), since(1_000, 13_400), since(5_000, 4_000)], ["0s", "12s", "0s"]);
        assert_eq!(ago(1_000, Timestamp(13_000)), "12s ago");
        assert_eq!(ago(13_000, Timestamp(1_000)), "in 12s");
        assert_eq!(
            [7, 850, 1_240, 99_990, 430_000, 1_240_000].map(micros),
            ["7µs", "850µs", "1.2ms", "100ms", "430ms", "1.24s"]
        );
    }

    #[test]
    fn sizes_and_rates_have_as_many_digits_as_are_read() {
        assert_eq!(
            [0.0, 512.0, 3277.0, 432_013_312.0, 5e12].map(bytes),
            ["0 B", "512 B", "3.2 KiB", "412 MiB", "4.5 TiB"]
        );
        assert_eq!([0.0, 0.03, 0.3, 12.46, 1840.2].map(rate), ["0", "0.03", "0.3", "12.5", "1840"]);
    }

    #[test]
    fn great_counts_are_short() {
        assert_eq!([999, 12_300_000, 4_500_000_000].map(count), ["999", "12.3M", "4.5G"]);
    }

    #[test]
    fn numbers_become_ranges() {
        assert_eq!(ranges([]), "");
        assert_eq!(ranges([9, 0, 1, 2, 3, 7, 10, 3]), "0-3, 7, 9, 10");
        assert_eq!(ranges(0..32), "0-31");
    }

    #[test]
    fn moments_are_told_in_utc() {
        assert_eq!(date(1_795_391_630_123), "2026-11-22 23:53:50.123");
        assert_eq!(clock(1_795_391_630_123), "23:53:50.123");
        assert_eq!(date(i64::MAX), i64::MAX.to_string());
    }

    #[test]
    fn long_json_is_cut_between_characters() {
        assert_eq!(json(&serde_json::json!({ "a": "äöü" }), 8), r#"{"a":"äö…"#);
        assert_eq!(json(&serde_json::json!(7), 8), "7");
    }
}
