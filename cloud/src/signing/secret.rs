//! Secrets of signing accounts: named in the configuration, kept outside it, read anew whenever they are used.
//!
//! So a rotation needs no restart: write the new file, and the next call uses it. A secret's text never leaves this
//! module but towards the provider; what is printed of it is where it comes from.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::provider::ProviderError;

/// The longest wait for a secret from Vault.
const VAULT_DEADLINE: Duration = Duration::from_secs(5);

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Secret {
    /// A file that only this program can read: `file:/etc/platen/documenso.token`.
    File(PathBuf),
    /// A variable of the environment: `env:DOCUMENSO_TOKEN`.
    Env(String),
    /// A systemd credential (`LoadCredential=`): `credential:documenso`.
    Credential(String),
    /// A key of a secret in a KV version 2 store that speaks Vault's API: `vault:secret/data/platen#documenso`.
    /// Address and token are in `VAULT_ADDR` and `VAULT_TOKEN`, or a file named by `VAULT_TOKEN_FILE`.
    Vault {
        /// The path after `/v1/`.
        path: String,
        /// The key in its data.
        key: String,
    },
}

impl TryFrom<String> for Secret {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let (kind, rest) = text.split_once(':').unwrap_or(("", &text));
        let plain = |name: &str| !name.is_empty() && !name.contains(['/', '=', '\0']) && name != "..";
        match kind {
            "file" if rest.starts_with('/') => Ok(Self::File(rest.into())),
            "env" if plain(rest) => Ok(Self::Env(rest.into())),
            "credential" if plain(rest) => Ok(Self::Credential(rest.into())),
            "vault" => match rest.split_once('#') {
                Some((path, key)) if !path.is_empty() && !key.is_empty() => {
                    Ok(Self::Vault { path: path.trim_matches('/').into(), key: key.into() })
                }
                _ => Err("a Vault secret is written \"vault:<path>#<key>\"".into()),
            },
            // The text may be the secret itself: it is not repeated.
            _ => {
                Err("a secret is not written here: say \"file:/path\", \"env:NAME\", \"credential:NAME\" or \
                      \"vault:path#key\""
                    .into())
            }
        }
    }
}

impl From<Secret> for String {
    fn from(secret: Secret) -> Self {
        secret.to_string()
    }
}

impl std::fmt::Display for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::Credential(name) => write!(f, "credential:{name}"),
            Self::Vault { path, key } => write!(f, "vault:{path}#{key}"),
        }
    }
}

impl Secret {
    /// The secret's text, as it is now. A secret that is not there is the account's trouble, not the document's:
    /// nothing was sent, and the step is tried again.
    pub async fn text(&self, http: &reqwest::Client) -> Result<Zeroizing<String>, ProviderError> {
        let text = match self {
            Self::Vault { path, key } => self.read_vault(http, path, key).await?,
            _ => self.local()?,
        };
        if text.is_empty() {
            return Err(self.missing("it is empty"));
        }
        Ok(text)
    }

    /// The secret's text, where no network is needed for it.
    pub fn local(&self) -> Result<Zeroizing<String>, ProviderError> {
        let trimmed = |text: String| Zeroizing::new(Zeroizing::new(text).trim().to_owned());
        match self {
            Self::File(path) => {
                std::fs::read_to_string(path).map(trimmed).map_err(|error| self.missing(&error))
            }
            Self::Env(name) => std::env::var(name).map(trimmed).map_err(|error| self.missing(&error)),
            Self::Credential(name) => {
                let folder = std::env::var("CREDENTIALS_DIRECTORY")
                    .map_err(|_| self.missing("systemd gave this service no credentials"))?;
                let path = PathBuf::from(folder).join(name);
                std::fs::read_to_string(path).map(trimmed).map_err(|error| self.missing(&error))
            }
            Self::Vault { .. } => Err(self.missing("it is in Vault, which is asked over the network")),
        }
    }

    async fn read_vault(
        &self,
        http: &reqwest::Client,
        path: &str,
        key: &str,
    ) -> Result<Zeroizing<String>, ProviderError> {
        let address = std::env::var("VAULT_ADDR").map_err(|_| self.missing("VAULT_ADDR is not set"))?;
        let token = match std::env::var("VAULT_TOKEN_FILE") {
            Ok(file) => std::fs::read_to_string(file).map_err(|error| self.missing(&error))?,
            Err(_) => std::env::var("VAULT_TOKEN").map_err(|_| self.missing("VAULT_TOKEN is not set"))?,
        };
        vault(http, &address, token.trim(), path, key).await.map_err(|why| self.missing(&why))
    }

    fn missing(&self, why: &(impl std::fmt::Display + ?Sized)) -> ProviderError {
        ProviderError::NotTaken(format!("the secret {self} is not there: {why}"))
    }
}

/// Reads a key from a KV version 2 store.
async fn vault(
    http: &reqwest::Client,
    address: &str,
    token: &str,
    path: &str,
    key: &str,
) -> Result<Zeroizing<String>, String> {
    let url = format!("{}/v1/{path}", address.trim_end_matches('/'));
    let request = http.get(url).header("X-Vault-Token", token).timeout(VAULT_DEADLINE);
    let answer = request.send().await.map_err(|error| error.without_url().to_string())?;
    if !answer.status().is_success() {
        return Err(format!("Vault answers {}", answer.status()));
    }
    let body: serde_json::Value = answer.json().await.map_err(|_| "Vault's answer is no JSON".to_owned())?;
    let text = body["data"]["data"][key].as_str().or_else(|| body["data"][key].as_str());
    text.map(|text| Zeroizing::new(text.to_owned())).ok_or_else(|| format!("Vault has no key {key} there"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_written_into_the_configuration_is_refused_and_not_repeated() {
        for text in
            ["api_0123456789abcdef", "file:relative", "env:", "vault:path", "credential:../../etc/shadow"]
        {
            let error = Secret::try_from(text.to_owned()).expect_err(text);
            assert!(!error.contains("0123456789"), "{error}");
        }
        for text in
            ["file:/etc/platen/token", "env:TOKEN", "credential:token", "vault:secret/data/platen#token"]
        {
            assert_eq!(Secret::try_from(text.to_owned()).expect(text).to_string(), text);
        }
    }

    #[test]
    fn a_rotated_file_is_read_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        let secret = Secret::File(path.clone());
        assert!(matches!(secret.local(), Err(ProviderError::NotTaken(_))));
        for text in ["first", "second\n"] {
            std::fs::write(&path, text).expect("write");
            assert_eq!(secret.local().expect("there").as_str(), text.trim());
        }
    }

    #[tokio::test]
    async fn a_secret_is_read_from_a_store_that_speaks_vaults_api() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let answer = axum::Json(serde_json::json!({"data": {"data": {"token": "s3cret"}, "metadata": {}}}));
        let check = |headers: axum::http::HeaderMap| async move {
            (headers["x-vault-token"] == "root").then_some(answer).ok_or(axum::http::StatusCode::FORBIDDEN)
        };
        let router = axum::Router::new().route("/v1/secret/data/platen", axum::routing::get(check));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let http = reqwest::Client::new();
        let read = async |token: &str, key: &str| {
            vault(&http, &address, token, "secret/data/platen", key).await.map(|text| text.to_string())
        };
        assert_eq!(read("root", "token").await, Ok("s3cret".into()));
        assert_eq!(read("root", "other").await, Err("Vault has no key other there".into()));
        assert_eq!(read("nobody", "token").await, Err("Vault answers 403 Forbidden".into()));
    }
}
