//! The commands about the key of a tenant's seal.

use std::path::Path;

use platen_model::TenantId;

use super::{note, text};
use crate::app::open_store;
use crate::config::Config;
use crate::seal::{KeyRing, TenantKeys, supplied};
use crate::signing::secret::Secret;
use crate::store::people;

/// Where a supplied key is.
#[derive(Clone, Debug)]
pub enum Supplied<'a> {
    /// In a PKCS#12 file, which this secret opens.
    File {
        /// The file.
        file: &'a Path,
        /// What opens it.
        password: &'a Secret,
    },
    /// In a token.
    Token {
        /// Its `pkcs11:` address.
        address: &'a str,
        /// Its certificates as PEM, its own first.
        certificates: &'a Path,
    },
}

/// `desk key import`: lets the tenant's seals be made with a supplied key from now on.
pub async fn import_key(config: &Config, tenant: &TenantId, from: Supplied<'_>) -> Result<String, String> {
    let key = match from {
        Supplied::File { file, password } => {
            let password = password.local().map_err(text)?;
            supplied::from_pkcs12(file, &password)?
        }
        Supplied::Token { address, certificates } => {
            let pem = std::fs::read_to_string(certificates);
            let pem = pem.map_err(|error| format!("{}: {error}", certificates.display()))?;
            supplied::from_token(address, &pem)?
        }
    };
    let store = open_store(config).await?;
    if !people::tenants(&store).await.map_err(text)?.contains(tenant) {
        return Err(format!("there is no tenant {tenant}"));
    }
    let keys = ring(config).supply(tenant, &key).map_err(text)?;
    let subject = keys.seal.certificate().tbs_certificate.subject.to_string();
    note(&store, tenant, "desk.key.import", &subject, &format!("{:?}", keys.seal.kind())).await?;
    Ok(shown(&keys))
}

/// `desk key show`: the certificate of the tenant's seal, and how long it is valid.
pub fn show_key(config: &Config, tenant: &TenantId) -> Result<String, String> {
    ring(config).of(tenant).map(|keys| shown(&keys)).map_err(text)
}

fn ring(config: &Config) -> KeyRing {
    KeyRing::new(config.keys.join("tenants"))
}

fn shown(keys: &TenantKeys) -> String {
    let certificate = &keys.seal.certificate().tbs_certificate;
    let (from, to) = keys.seal.validity();
    format!(
        "seal      {}\nissued by {}\nkey       {:?}\nvalid     {from} to {to}\nformer    {} certificates\n{}",
        certificate.subject,
        certificate.issuer,
        keys.seal.kind(),
        keys.former.len(),
        keys.seal.certificate_pem()
    )
}
