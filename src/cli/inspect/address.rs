//! Paths of the admin API from words that people typed.

use reqwest::Url;

use crate::cli::outcome::Wrong;

/// `/admin/v1/` and the steps, with what is asked for behind them; whatever stands in them is escaped.
///
/// # Errors
/// Never for words of a sane length.
pub fn path(steps: &[&str], query: &[(&str, Option<String>)]) -> Result<String, Wrong> {
    // Only a carrier for the rules of escaping; nothing of it but path and query is used.
    let mut url = Url::parse("http://node/admin/v1").map_err(Wrong::failed)?;
    if let Ok(mut path) = url.path_segments_mut() {
        path.extend(steps);
    }
    for (name, value) in query {
        if let Some(value) = value {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    Ok(match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_escaped() {
        let query = [("reveal", Some("ticket 7 & more".to_owned())), ("version", None)];
        let found = path(&["entities", "cart.cart", "a/b ?"], &query).expect("a path");
        assert_eq!(found, "/admin/v1/entities/cart.cart/a%2Fb%20%3F?reveal=ticket+7+%26+more");
        assert_eq!(path(&["nodes"], &[]).expect("a path"), "/admin/v1/nodes");
    }
}
