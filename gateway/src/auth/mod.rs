//! Who is asking: access tokens, passwords, and the extractors by which a route says whom it lets in.
//!
//! - `token`: access tokens (JWT, HS256)
//! - `password`: hashing with bounded concurrency
//! - `registration`: making a user
//! - `log_in`: e-mail and password
//! - `session`: whether a token's session is still open
//! - `caller`: the extractors

mod caller;
mod log_in;
mod password;
mod registration;
mod session;
mod token;

pub use self::caller::{Caller, CustomerOnly, RiderOnly, StaffOnly, bearer};
pub use self::log_in::log_in;
pub use self::password::Passwords;
pub use self::registration::{NewUser, register};
pub use self::session::{authenticate, session_ended, sessions_ended};
pub use self::token::{Claims, TokenError, Tokens};
