//! Where an order goes, and on what terms the store brings it there.

use nakku_actors::location::command::Terms;
use nakku_actors::location::directory::Serviceability;
use nakku_actors::position::Position;
use nakku_actors::user::{self, User};
use nakku_cluster::{Key, Ref, Timestamp};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::super::super::location;
use super::Checkout;
use crate::edge::Edge;
use crate::problem::{Code, Problem};
use crate::trace::RequestContext;

/// Where an order is brought.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum AddressChoice {
    /// In one line, by which no zone is found: the store's base terms hold.
    Line(String),
    /// In one line, with where that is.
    Place(AddressPlace),
}

/// An address and where it is. Then fee, least amount and promise are those of the zone that it lies in.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddressPlace {
    /// In one line.
    #[schema(example = "12 Hill Road, Bandra West, Mumbai 400050")]
    pub line: String,
    /// Latitude in degrees; a longitude goes with it.
    #[serde(default)]
    #[schema(example = 19.0544)]
    pub lat: Option<f64>,
    /// Longitude in degrees.
    #[serde(default)]
    #[schema(example = 72.8267)]
    pub lng: Option<f64>,
}

/// Where to, and where that is, if it is known.
pub(super) async fn address(
    edge: &Edge,
    context: &RequestContext,
    user: &Key,
    body: &Checkout,
) -> Result<(String, Option<Position>), Problem> {
    match &body.address {
        Some(AddressChoice::Line(line)) => return Ok((line.clone(), None)),
        Some(AddressChoice::Place(AddressPlace { line, lat, lng })) => {
            return Ok((line.clone(), location::optional_position(*lat, *lng)?));
        }
        None => {}
    }
    let answered = edge.cluster.ask(&Ref::<User>::new(user.clone()), &user::Command::Get, context.ask()).await?;
    let profile = match answered.reply {
        user::Reply::Profile(profile) => profile,
        other => return Err(Problem::unexpected(&other)),
    };
    let mut saved = profile.addresses.into_iter();
    let (_, address) = match &body.address_id {
        Some(wanted) => saved
            .find(|(id, _)| id == wanted)
            .ok_or_else(|| Problem::new(Code::NotFound, "there is no such address").field("address_id"))?,
        None => saved
            .next()
            .ok_or_else(|| Problem::new(Code::MissingField, "address is needed, for none is saved").field("address"))?,
    };
    Ok((address.to_string(), address.position))
}

/// On what terms the store brings goods there now. A store of which nobody has said where it is asks nothing.
pub(super) async fn terms(
    edge: &Edge,
    context: &RequestContext,
    store: &Key,
    position: Option<Position>,
) -> Result<Terms, Problem> {
    let outcome = match position {
        Some(position) => location::served(edge, context, position, Some(store.clone())).await?,
        None => location::standing(edge, context, store.clone()).await?,
    };
    match outcome {
        Serviceability::Served { terms, .. } => Ok(terms),
        Serviceability::Undescribed => Ok(Terms::default()),
        Serviceability::Outside { other } => {
            let problem = Problem::new(Code::AddressNotServed, "the address lies outside the zones of the store");
            let problem = problem.member("store", store.as_str());
            Err(match other {
                Some(other) => problem.member("other_store", other.as_str()),
                None => problem,
            })
        }
        Serviceability::Closed { opens_at, .. } => Err(closed("the store is closed".into(), store, opens_at)),
        Serviceability::Paused { reason, until, .. } => {
            let detail = match reason.as_str() {
                "" => "the store takes no orders for a while".into(),
                reason => format!("the store takes no orders for a while: {reason}"),
            };
            Err(closed(detail, store, until))
        }
    }
}

fn closed(detail: String, store: &Key, opens_at: Option<Timestamp>) -> Problem {
    let problem = Problem::new(Code::StoreClosed, detail).member("store", store.as_str());
    match opens_at {
        Some(at) => problem.member("opens_at_ms", at.0),
        None => problem,
    }
}

pub(super) fn below_minimum(goods_minor: i64, minimum_minor: i64) -> Problem {
    let lacking_minor = minimum_minor - goods_minor;
    Problem::new(Code::BelowMinimum, format!("goods for {lacking_minor} more are needed"))
        .member("minimum_minor", minimum_minor)
        .member("lacking_minor", lacking_minor)
}

/// A text is a line, an object a place; what is wrong within either is told as such.
impl<'de> Deserialize<'de> for AddressChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Choice;
        impl<'de> Visitor<'de> for Choice {
            type Value = AddressChoice;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a line, or an object with line, lat and lng")
            }

            fn visit_str<E>(self, line: &str) -> Result<AddressChoice, E> {
                Ok(AddressChoice::Line(line.to_owned()))
            }

            fn visit_map<M: MapAccess<'de>>(self, place: M) -> Result<AddressChoice, M::Error> {
                AddressPlace::deserialize(MapAccessDeserializer::new(place)).map(AddressChoice::Place)
            }
        }
        deserializer.deserialize_any(Choice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_line_or_a_place() {
        let read = |address: &str| {
            let text = format!(r#"{{"payment":{{"method":"cash"}},"address":{address}}}"#);
            crate::extract::parse::<Checkout>(text.as_bytes())
        };
        assert!(matches!(read(r#""x""#).unwrap().address, Some(AddressChoice::Line(line)) if line == "x"));
        let place = read(r#"{"line":"x","lat":12.5,"lng":77.5}"#).unwrap().address;
        assert!(matches!(place, Some(AddressChoice::Place(AddressPlace { lat: Some(12.5), .. }))), "{place:?}");
        assert!(read("null").unwrap().address.is_none());
        for (address, code, field) in [
            ("7", Code::WrongType, "address"),
            (r#"{"lat":12.5}"#, Code::MissingField, "address"),
            (r#"{"line":"x","lat":"12.5"}"#, Code::WrongType, "address.lat"),
            (r#"{"line":"x","height":1}"#, Code::UnknownField, "address.height"),
        ] {
            let refused = read(address).unwrap_err();
            assert_eq!((refused.code, &refused.members.unwrap()["field"]), (code, &field.into()), "{address}");
        }
    }
}
