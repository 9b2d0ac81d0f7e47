//! Figures in few characters: a column of a terminal is narrow.

use std::time::Duration;

/// How long ago, or how long: the two greatest units at most.
pub fn seconds(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// The same of milliseconds, which may lie a little in the future when clocks differ.
pub fn since(at_ms: i64, now_at_ms: i64) -> String {
    seconds(u64::try_from(now_at_ms.saturating_sub(at_ms).max(0) / 1_000).unwrap_or_default())
}

/// A duration of a call.
pub fn microseconds(microseconds: u64) -> String {
    match microseconds {
        0..1_000 => format!("{microseconds}µs"),
        1_000..10_000 => format!("{:.1}ms", Duration::from_micros(microseconds).as_secs_f64() * 1e3),
        10_000..1_000_000 => format!("{}ms", microseconds / 1_000),
        _ => format!("{:.1}s", Duration::from_micros(microseconds).as_secs_f64()),
    }
}

/// Memory and states.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1_024 {
        return format!("{bytes}B");
    }
    let mut rest = bytes as f64 / 1_024.0;
    let mut unit = 0;
    while rest >= 1_024.0 && unit + 1 < UNITS.len() {
        rest /= 1_024.0;
        unit += 1;
    }
    if rest < 10.0 { format!("{rest:.1}{}", UNITS[unit]) } else { format!("{rest:.0}{}", UNITS[unit]) }
}

/// Something a second.
pub fn rate(rate: f64) -> String {
    match rate {
        rate if rate <= 0.0 => "0".to_owned(),
        rate if rate < 10.0 => format!("{rate:.1}"),
        rate if rate < 100_000.0 => format!("{rate:.0}"),
        rate => format!("{:.0}k", rate / 1_000.0),
    }
}

/// A count.
pub fn count(count: u64) -> String {
    match count {
        0..1_000_000 => count.to_string(),
        1_000_000..1_000_000_000 => format!("{:.1}M", count as f64 / 1e6),
        _ => format!("{:.1}G", count as f64 / 1e9),
    }
}

/// The time of day (UTC) with milliseconds: dates are of no use to who looks at what happens now.
pub fn clock(at_ms: i64) -> String {
    let of_day = at_ms.rem_euclid(86_400_000);
    let (seconds, rest) = (of_day / 1_000, of_day % 1_000);
    format!("{:02}:{:02}:{:02}.{rest:03}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// The name of a node without its generation.
pub fn name_of(node: &str) -> &str {
    node.split_once('@').map_or(node, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!([seconds(9), seconds(61), seconds(3_661), seconds(90_000)], ["9s", "1m01s", "1h01m", "1d01h"]);
        assert_eq!([microseconds(7), microseconds(1_250), microseconds(12_500)], ["7µs", "1.2ms", "12ms"]);
        assert_eq!(microseconds(2_500_000), "2.5s");
        assert_eq!([bytes(12), bytes(1_536), bytes(300 << 20)], ["12B", "1.5KiB", "300MiB"]);
        assert_eq!([rate(0.0), rate(0.52), rate(812.3), rate(250_000.0)], ["0", "0.5", "812", "250k"]);
        assert_eq!([count(999), count(12_300_000)], ["999", "12.3M"]);
        assert_eq!(clock(3_723_004), "01:02:03.004");
        assert_eq!(since(5_000, 4_000), "0s");
    }
}
