//! What gateways share, within one of them: for a single gateway, and for a gateway that is out of reach of
//! the others. Everything is bounded.
//!
//! - `limits`, `sessions`, `pages`, `positions`: one trait each

mod limits;
mod pages;
mod positions;
mod sessions;

pub use self::limits::LimitsInProcess;
pub use self::pages::PagesInProcess;
pub use self::positions::PositionsInProcess;
pub use self::sessions::SessionsInProcess;
