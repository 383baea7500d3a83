//! The sandbox: a signing provider that is simulated, deterministic and honest about it.
//!
//! The signer's address decides what happens ([`script`]): `signs@`, `declines@`, `expires@`, `slow@`, `twice@`
//! (each callback comes twice) and `silent@` (none comes). What it signs, it seals with a certificate whose
//! name says "Sandbox".

pub mod script;
