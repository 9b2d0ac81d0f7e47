//! Who acts on the admin listener.

/// Who sent a request, in the request's extensions: the e-mail of an admin, or `token`. For the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator(pub String);

impl Operator {
    /// Whoever holds the admin token.
    pub(crate) fn token() -> Self {
        Self("token".to_owned())
    }
}
