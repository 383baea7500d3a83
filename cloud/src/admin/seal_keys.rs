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
    KeyRing::new(config.keys.join("tenants")).with_names(config.desk.clone())
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

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::admin::migrate;
    use crate::store::audit;

    #[tokio::test]
    async fn an_imported_key_is_the_tenants_from_then_on_and_that_is_written_down() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let make = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=Office -keyout key -out certificate";
        let bundle = "pkcs12 -export -inkey key -in certificate -out seal.p12 -passout pass:x";
        for arguments in [make, bundle] {
            let made = Command::new("openssl").args(arguments.split(' ')).current_dir(folder.path()).output();
            assert!(made.expect("openssl").status.success(), "{arguments}");
        }
        std::fs::write(path("password"), "x\n").expect("write");
        let database = format!("sqlite:{}", path("cloud.db").display());
        let config = Config { database, keys: path("keys"), ..Config::default() };
        let tenant: TenantId = "office".parse().expect("a tenant");
        let (file, password) = (path("seal.p12"), Secret::File(path("password")));
        let import = || import_key(&config, &tenant, Supplied::File { file: &file, password: &password });
        let error = import().await.expect_err("no tenant yet");
        assert!(error.contains("no tenant office") && !path("keys").exists(), "{error}");
        migrate(&config, &tenant).await.expect("a tenant");
        let before = show_key(&config, &tenant).expect("made");
        assert!(before.contains("CN=office (Platen)"), "{before}");
        let after = import().await.expect("taken in");
        assert!(after.contains("CN=Office") && after.contains("former    1 certificates"), "{after}");
        assert_eq!(show_key(&config, &tenant), Ok(after));
        let store = open_store(&config).await.expect("a store");
        let audit = audit::list(&store, &tenant, None, 10).await.expect("readable");
        assert!(audit.iter().any(|entry| entry.action == "desk.key.import" && entry.subject == "CN=Office"));
    }
}
