//! Kinds by shorter names: `cart` for `cart.cart`, `inbox` for `notification.inbox`.

use nakku_actors::Options;

use crate::cli::outcome::Wrong;

/// All kinds that this version knows.
pub fn all() -> Vec<String> {
    let services = nakku_actors::services_with(Options { webhooks: true });
    let kinds = services.iter().flat_map(|service| service.types.iter().map(|one| one.kind().to_string()));
    kinds.collect()
}

/// The kind that is meant. One that is written in full is taken as it is, so that kinds of a newer version can be
/// named too.
///
/// # Errors
/// When none or several begin so.
pub fn named(text: &str) -> Result<String, Wrong> {
    let all = all();
    if all.iter().any(|kind| kind == text) {
        return Ok(text.to_owned());
    }
    let entity = |kind: &str| kind.split('.').nth(1).unwrap_or_default().to_owned();
    let exact: Vec<&String> = all.iter().filter(|kind| entity(kind) == text).collect();
    let begin: Vec<&String> =
        all.iter().filter(|kind| kind.starts_with(text) || entity(kind).starts_with(text)).collect();
    let found = if exact.is_empty() { begin } else { exact };
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] if text.split('.').filter(|part| !part.is_empty()).count() == 2 => Ok(text.to_owned()),
        [] => Err(Wrong::Usage(format!("no kind is called {text:?}; there are {}", all.join(", ")))),
        several => {
            let names: Vec<&str> = several.iter().map(|kind| kind.as_str()).collect();
            Err(Wrong::Usage(format!("{text:?} may be {}; write it in full", names.join(" or "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unique_beginning_will_do() {
        for (text, kind) in [
            ("cart", "cart.cart"),
            ("order.order", "order.order"),
            ("inbox", "notification.inbox"),
            ("stock", "inventory.stock"),
            ("pay", "payment.payment"),
            // One name is the beginning of others, and means itself.
            ("webhook", "notification.webhook"),
            ("newer.kind", "newer.kind"),
        ] {
            assert_eq!(named(text).expect(text), kind);
        }
        let wrong = named("rider").expect_err("there are two");
        let told = "\"rider\" may be delivery.rider or location.rider; write it in full";
        assert!(matches!(wrong, Wrong::Usage(message) if message == told));
        assert!(matches!(named("frog"), Err(Wrong::Usage(message)) if message.contains("cart.cart")));
    }
}
