//! What users are told, in English and Hindi.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use minijinja::{Environment, UndefinedBehavior};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Template {
    /// After registration.
    Welcome,
    /// An order will be brought.
    OrderConfirmed,
    /// An order won't be brought.
    OrderCancelled,
    /// An order was brought.
    OrderDelivered,
    /// A card was declined.
    PaymentFailed,
    /// Money goes back.
    PaymentRefunded,
    /// A rider has taken an order on.
    RiderAssigned,
    /// An order has left the store.
    OutForDelivery,
}

/// In which language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Hindi.
    Hi,
}

/// A text ready to be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Text {
    /// One line.
    pub subject: String,
    /// A few lines.
    pub body: String,
}

impl Template {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Welcome,
        Self::OrderConfirmed,
        Self::OrderCancelled,
        Self::OrderDelivered,
        Self::PaymentFailed,
        Self::PaymentRefunded,
        Self::RiderAssigned,
        Self::OutForDelivery,
    ];

    /// Whether it is worth an e-mail; the others are news for the app.
    pub fn is_mailed(self) -> bool {
        !matches!(self, Self::RiderAssigned | Self::OutForDelivery)
    }

    /// As in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Welcome => "welcome",
            Self::OrderConfirmed => "order_confirmed",
            Self::OrderCancelled => "order_cancelled",
            Self::OrderDelivered => "order_delivered",
            Self::PaymentFailed => "payment_failed",
            Self::PaymentRefunded => "payment_refunded",
            Self::RiderAssigned => "rider_assigned",
            Self::OutForDelivery => "out_for_delivery",
        }
    }

    /// Its text with these values. A value that is missing leaves its place empty.
    pub fn text(self, language: Language, values: &BTreeMap<String, String>) -> Text {
        let render = |part: &str| {
            let template = TEXTS.get_template(&format!("{language}/{}/{part}", self.name()));
            template.and_then(|template| template.render(values)).unwrap_or_else(|error| {
                tracing::error!(template = self.name(), %error, "a text could not be made");
                self.name().to_owned()
            })
        };
        Text { subject: render("subject"), body: render("body") }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::En => "en",
            Self::Hi => "hi",
        })
    }
}

impl FromStr for Language {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "en" => Ok(Self::En),
            "hi" => Ok(Self::Hi),
            other => Err(format!("{other:?} is no language that there are texts in; there are en and hi")),
        }
    }
}

/// Every text, as `language/template/part`.
static TEXTS: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Lenient);
    for (language, source) in [("en", include_str!("texts/en.txt")), ("hi", include_str!("texts/hi.txt"))] {
        for block in source.split("\n---\n") {
            let mut lines = block.trim().splitn(3, '\n');
            let (name, subject, body) = (lines.next(), lines.next(), lines.next());
            for (part, text) in [("subject", subject), ("body", body)] {
                let name = format!("{language}/{}/{part}", name.unwrap_or_default());
                let text = text.unwrap_or_default().trim().to_owned();
                environment.add_template_owned(name, text).expect("the texts of this program are templates");
            }
        }
    }
    environment
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_there_in_both_languages_and_uses_its_values() {
        let values: BTreeMap<String, String> =
            [("order", "o-1"), ("amount", "120.50"), ("minutes", "12"), ("name", "Asha"), ("reason", "customer")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into();
        for language in [Language::En, Language::Hi] {
            for template in Template::ALL {
                let text = template.text(language, &values);
                assert!(text.subject.len() > 5 && text.body.len() > 20, "{language} {template:?}: {text:?}");
                assert_ne!(text.subject, template.name());
                let tells = template == Template::Welcome || text.body.contains("o-1");
                assert!(tells, "{language} {template:?}: {text:?}");
                let is_devanagari = text.body.chars().any(|letter| ('\u{900}'..='\u{97f}').contains(&letter));
                assert_eq!(is_devanagari, language == Language::Hi);
                // Nothing is left to be filled in.
                assert!(!text.body.contains("{{") && !text.body.contains("{%"));
            }
        }
        assert_eq!(serde_json::to_value(Template::ALL[1]).unwrap(), Template::ALL[1].name());
    }
}
