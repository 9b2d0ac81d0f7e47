//! The closed set of problem codes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What can go wrong, as far as a client is told. Codes are never reused; new ones may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is described in its entry, where documents take it from")]
pub enum Code {
    BrokenJson,
    UnknownField,
    MissingField,
    WrongType,
    InvalidValue,
    UnsupportedMediaType,
    BodyTooLarge,
    RequestTimeout,
    RouteNotFound,
    MethodNotAllowed,
    NotFound,
    IdempotencyKeyMissing,
    IdempotencyKeyInvalid,
    IdempotencyKeyReused,
    TokenMissing,
    TokenInvalid,
    TokenExpired,
    TokenRevoked,
    RefreshTokenInvalid,
    WrongCredentials,
    Forbidden,
    EmailTaken,
    RegistrationPending,
    AlreadyExists,
    LimitReached,
    ProductUnknown,
    StoreUnknown,
    CartEmpty,
    CartChanged,
    CartSealed,
    CartOtherStore,
    AddressNotServed,
    StoreClosed,
    BelowMinimum,
    InsufficientStock,
    PaymentDeclined,
    PaymentMethodUnavailable,
    PriceChanged,
    OrderCancelled,
    OrderUnderWay,
    WrongState,
    RateLimited,
    Overloaded,
    Unavailable,
    TimedOut,
    Expired,
    Quarantined,
    Internal,
}

/// What is the same for every problem with a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The code as it is written.
    pub slug: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// In a few words.
    pub title: &'static str,
    /// What a client should do about it.
    pub advice: &'static str,
}

impl Code {
    /// All of them, in the order in which they are documented.
    pub const ALL: &[Self] = &[
        Self::BrokenJson,
        Self::UnknownField,
        Self::MissingField,
        Self::WrongType,
        Self::InvalidValue,
        Self::UnsupportedMediaType,
        Self::BodyTooLarge,
        Self::RequestTimeout,
        Self::RouteNotFound,
        Self::MethodNotAllowed,
        Self::NotFound,
        Self::IdempotencyKeyMissing,
        Self::IdempotencyKeyInvalid,
        Self::IdempotencyKeyReused,
        Self::TokenMissing,
        Self::TokenInvalid,
        Self::TokenExpired,
        Self::TokenRevoked,
        Self::RefreshTokenInvalid,
        Self::WrongCredentials,
        Self::Forbidden,
        Self::EmailTaken,
        Self::RegistrationPending,
        Self::AlreadyExists,
        Self::LimitReached,
        Self::ProductUnknown,
        Self::StoreUnknown,
        Self::CartEmpty,
        Self::CartChanged,
        Self::CartSealed,
        Self::CartOtherStore,
        Self::AddressNotServed,
        Self::StoreClosed,
        Self::BelowMinimum,
        Self::InsufficientStock,
        Self::PaymentDeclined,
        Self::PaymentMethodUnavailable,
        Self::PriceChanged,
        Self::OrderCancelled,
        Self::OrderUnderWay,
        Self::WrongState,
        Self::RateLimited,
        Self::Overloaded,
        Self::Unavailable,
        Self::TimedOut,
        Self::Expired,
        Self::Quarantined,
        Self::Internal,
    ];

    /// What is the same for every problem with this code.
    pub const fn entry(self) -> Entry {
        let (slug, status, title, advice) = match self {
            Self::BrokenJson => {
                ("broken_json", 400, "The body is not JSON", "Send one JSON document in UTF-8 and nothing after it.")
            }
            Self::UnknownField => (
                "unknown_field",
                422,
                "A field or parameter is unknown",
                "Leave it out, or look for its right name in /docs.",
            ),
            Self::MissingField => {
                ("missing_field", 422, "A field is missing", "Add the field that `field` or `detail` names.")
            }
            Self::WrongType => (
                "wrong_type",
                422,
                "A field has another type",
                "Look up the field's type in /docs; numbers are not written as texts.",
            ),
            Self::InvalidValue => (
                "invalid_value",
                422,
                "A value is out of range or malformed",
                "Correct the value that `field` or `detail` names.",
            ),
            Self::UnsupportedMediaType => (
                "unsupported_media_type",
                415,
                "The body is not declared as JSON",
                "Send the header `Content-Type: application/json`.",
            ),
            Self::BodyTooLarge => {
                ("body_too_large", 413, "The body is too large", "Send less; `limit_bytes` is the most.")
            }
            Self::RequestTimeout => (
                "request_timeout",
                408,
                "The body did not arrive in time",
                "Send the request again over a better connection.",
            ),
            Self::RouteNotFound => ("route_not_found", 404, "There is no such route", "Look the route up in /docs."),
            Self::MethodNotAllowed => {
                ("method_not_allowed", 405, "The route has no such method", "Use a method that `Allow` names.")
            }
            Self::NotFound => {
                ("not_found", 404, "There is no such thing, or it is not yours", "Check the id; ask for the list.")
            }
            Self::IdempotencyKeyMissing => (
                "idempotency_key_missing",
                400,
                "The header Idempotency-Key is missing",
                "Draw a random key for each order and repeat it with every retry of the same order.",
            ),
            Self::IdempotencyKeyInvalid => (
                "idempotency_key_invalid",
                400,
                "The Idempotency-Key is malformed",
                "Use 1 to 64 visible ASCII characters.",
            ),
            Self::IdempotencyKeyReused => (
                "idempotency_key_reused",
                409,
                "The Idempotency-Key was used with another body",
                "Draw a new key for a new order, or repeat the first body exactly.",
            ),
            Self::TokenMissing => (
                "token_missing",
                401,
                "The access token is missing",
                "Log in and send the header `Authorization: Bearer <access token>`.",
            ),
            Self::TokenInvalid => {
                ("token_invalid", 401, "The access token is not valid", "Log in again for a new one.")
            }
            Self::TokenExpired => (
                "token_expired",
                401,
                "The access token has expired",
                "Exchange the refresh token at /api/v1/auth/refresh for a new one.",
            ),
            Self::TokenRevoked => (
                "token_revoked",
                401,
                "The access token's session has ended",
                "Log in again; exchanging the refresh token does not help.",
            ),
            Self::RefreshTokenInvalid => (
                "refresh_token_invalid",
                401,
                "The refresh token is not valid",
                "It has expired, was used before, or its session has ended: log in again.",
            ),
            Self::WrongCredentials => {
                ("wrong_credentials", 401, "E-mail or password is wrong", "Check both; no more is said on purpose.")
            }
            Self::Forbidden => {
                ("forbidden", 403, "The role does not allow this", "Log in as a user with one of the `roles`.")
            }
            Self::EmailTaken => {
                ("email_taken", 409, "The e-mail belongs to another user", "Log in, or register with another e-mail.")
            }
            Self::RegistrationPending => (
                "registration_pending",
                409,
                "Another registration with this e-mail is under way",
                "Try again after the time in `Retry-After`.",
            ),
            Self::AlreadyExists => {
                ("already_exists", 409, "Something else has this name", "Choose another, or change the one there is.")
            }
            Self::LimitReached => ("limit_reached", 409, "There are as many as there may be", "Remove one first."),
            Self::ProductUnknown => {
                ("product_unknown", 404, "The product is not in the catalogue", "Ask for /api/v1/products.")
            }
            Self::StoreUnknown => ("store_unknown", 404, "There is no such store", "Ask for /api/v1/stores."),
            Self::CartEmpty => ("cart_empty", 409, "The cart is empty", "Put something in before checking out."),
            Self::CartChanged => (
                "cart_changed",
                409,
                "The cart changed while the order was placed",
                "Look at the cart again and check out with a new Idempotency-Key.",
            ),
            Self::CartSealed => (
                "cart_sealed",
                409,
                "An order is being made from the cart",
                "Wait until that order is confirmed or cancelled.",
            ),
            Self::CartOtherStore => (
                "cart_other_store",
                409,
                "The cart holds goods of another store",
                "Check out or empty the cart first; an order comes from one store.",
            ),
            Self::AddressNotServed => (
                "address_not_served",
                409,
                "The store does not bring goods to this address",
                "Ask /api/v1/serviceability who does; `other_store` names one, if there is one.",
            ),
            Self::StoreClosed => (
                "store_closed",
                409,
                "The store takes no orders now",
                "Try again from `opens_at_ms` on, if it is there; the cart stays as it is.",
            ),
            Self::BelowMinimum => (
                "below_minimum",
                409,
                "The goods cost too little to be delivered there",
                "Add goods for `lacking_minor`; `minimum_minor` is the least for this address.",
            ),
            Self::InsufficientStock => (
                "insufficient_stock",
                409,
                "Some lines can't be had",
                "Order at most what `lines` says is left; nothing has been reserved or charged.",
            ),
            Self::PaymentDeclined => (
                "payment_declined",
                402,
                "The card was declined",
                "Pay with another card or in cash, with a new Idempotency-Key; nothing has been charged.",
            ),
            Self::PaymentMethodUnavailable => {
                ("payment_method_unavailable", 409, "The payment method is not on offer here", "Choose another method.")
            }
            Self::PriceChanged => (
                "price_changed",
                409,
                "The total is no longer what was expected",
                "Show the new total and check out again with a new Idempotency-Key.",
            ),
            Self::OrderCancelled => (
                "order_cancelled",
                409,
                "The order was cancelled",
                "Nothing is reserved or charged; check out again with a new Idempotency-Key.",
            ),
            Self::OrderUnderWay => (
                "order_under_way",
                409,
                "An order is under way",
                "Wait until `order` is delivered, or cancel it; then ask again.",
            ),
            Self::WrongState => {
                ("wrong_state", 409, "Not possible at this stage", "Read the thing again; `detail` says where it is.")
            }
            Self::RateLimited => (
                "rate_limited",
                429,
                "Requests come faster than is allowed",
                "Wait for the time in `Retry-After`; `policy` names the limit.",
            ),
            Self::Overloaded => {
                ("overloaded", 503, "Too much is going on", "Try again after the time in `Retry-After`.")
            }
            Self::Unavailable => (
                "unavailable",
                503,
                "Something that this rests on is away",
                "Try again after the time in `Retry-After`; nothing has changed.",
            ),
            Self::TimedOut => (
                "timed_out",
                503,
                "There was no answer in time",
                "It may or may not have happened: repeat with the same Idempotency-Key, or read first.",
            ),
            Self::Expired => {
                ("expired", 409, "The command came after its time", "Nothing has happened; send a new one.")
            }
            Self::Quarantined => (
                "quarantined",
                500,
                "This one has been set aside after repeated failures",
                "An operator has to look at it; others are not affected.",
            ),
            Self::Internal => {
                ("internal", 500, "A mistake of the server", "Report it with the X-Request-Id of the answer.")
            }
        };
        Entry { slug, status, title, advice }
    }
}
