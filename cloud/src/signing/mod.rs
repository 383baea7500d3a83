//! Signing: an envelope at a provider, made once and only once, followed to its end.
//!
//! [`provider`] is the one trait all providers are spoken to in; [`lifecycle`] holds the decisions, pure and
//! the same for all of them. The danger is the second envelope: a call whose outcome was lost must never be
//! repeated before the provider was asked by our key (INV-10). And a callback is only a hint: it is checked,
//! kept and answered at once, and then the provider is asked for the truth (INV-11).

pub mod courier;
pub mod desk;
pub mod hmac;
pub mod inbox;
pub mod lifecycle;
pub mod office;
pub mod provider;
pub mod sandbox;
pub mod workplace;

pub use office::{Signing, routes, run};

#[cfg(test)]
mod histories;
#[cfg(test)]
pub(crate) mod trial;
