//! Which metrics an expression of Prometheus names, and which labels it asks of each. No full parser: it tells names
//! from functions, keywords, labels, numbers, durations and texts, which is what tests need.

/// A metric that an expression selects.
#[derive(Debug, PartialEq, Eq)]
pub struct Selected {
    /// Its name.
    pub metric: String,
    /// Labels within its braces.
    pub labels: Vec<String>,
}

/// What an expression names.
#[derive(Debug, Default)]
pub struct Named {
    /// Metrics, in the order of the expression.
    pub metrics: Vec<Selected>,
    /// Labels behind `by`, `on` and the like.
    pub grouped: Vec<String>,
}

const OPERATORS: &[&str] = &["and", "or", "unless", "bool", "offset", "inf", "nan", "atan2"];
const GROUPINGS: &[&str] = &["by", "without", "on", "ignoring", "group_left", "group_right"];

/// Takes an expression apart.
pub fn named(expression: &str) -> Named {
    let words = words(expression);
    let mut named = Named::default();
    let mut place = 0;
    while let Some(word) = words.get(place) {
        let next = words.get(place + 1).map(String::as_str);
        place += 1;
        if !is_name(word) || OPERATORS.contains(&word.to_lowercase().as_str()) {
            continue;
        }
        if GROUPINGS.contains(&word.as_str()) {
            if next == Some("(") {
                let end = place + words[place..].iter().position(|word| word == ")").unwrap_or(0);
                named.grouped.extend(words[place..end].iter().filter(|word| is_name(word)).cloned());
                place = end;
            }
        } else if !matches!(next, Some("(" | "by" | "without")) {
            // Neither a function nor an aggregation.
            let mut labels = Vec::new();
            if next == Some("{") {
                let end = place + words[place..].iter().position(|word| word == "}").unwrap_or(0);
                labels.extend(words[place..end].iter().filter(|word| is_name(word)).cloned());
                place = end;
            }
            named.metrics.push(Selected { metric: word.clone(), labels });
        }
    }
    named
}

fn is_name(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
}

/// Names, numbers and single signs; texts and what stands in square brackets are left out.
fn words(expression: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = expression.chars().peekable();
    while let Some(first) = rest.next() {
        match first {
            '"' | '\'' | '`' => while rest.next().is_some_and(|next| next != first) {},
            '[' => while rest.next().is_some_and(|next| next != ']') {},
            _ if first.is_ascii_alphanumeric() || matches!(first, '_' | ':' | '.') => {
                let mut word = String::from(first);
                while let Some(next) =
                    rest.next_if(|next| next.is_ascii_alphanumeric() || matches!(next, '_' | ':' | '.'))
                {
                    word.push(next);
                }
                words.push(word);
            }
            _ if first.is_whitespace() => {}
            _ => words.push(first.into()),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_everything_else() {
        let named = named(
            r#"histogram_quantile(0.99, sum by (le, route) (rate(a_bucket{code=~"5..", b!="x"}[5m]))) > 1e3
               and on (instance) (c - 0 * max without (job) (d offset 5m)) or absent(up{job="nakku"} == 1)"#,
        );
        let metrics: Vec<&str> = named.metrics.iter().map(|one| one.metric.as_str()).collect();
        assert_eq!(metrics, ["a_bucket", "c", "d", "up"]);
        assert_eq!(named.metrics[0].labels, ["code", "b"]);
        assert_eq!(named.grouped, ["le", "route", "instance", "job"]);
    }
}
