//! Sends events to the endpoints of integrators: [`send`] makes one attempt, [`address`] says whom it may connect to,
//! [`signature`] how it is signed. When to try again is decided by the webhook's entity.

mod address;
#[cfg(test)]
mod receiver;
mod send;
mod signature;
#[cfg(test)]
mod tests;

pub use send::HttpSender;
