//! Connectors: thin translators between our few questions and the HTTP APIs of providers.
//!
//! Each knows its provider's words, units and signatures, and nothing else: when to call and what follows is
//! [`super::lifecycle`]'s, limits and rests are [`super::gate`]'s. What an API answers about recipients, statuses and
//! reasons is turned into one of our states here, never copied. A connector never says that nothing happened unless
//! that is certain ([`line`]).

use std::sync::Arc;
use std::time::Duration;

use platen_model::TenantId;
use serde::{Deserialize, Serialize};

use super::provider::{Capabilities, Card, EnvelopeState, Provider, ProviderError};
use super::secret::Secret;

mod documenso;
mod docuseal;
mod docusign;
mod dropbox_sign;
mod esignly;
mod foxit;
mod hook;
mod line;

/// The providers there are connectors for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// <https://documenso.com>, in the cloud or one's own.
    Documenso,
    /// <https://www.docuseal.com>: the cloud or the Pro edition.
    Docuseal,
    /// DocuSign eSignature, REST v2.1.
    Docusign,
    /// Dropbox Sign (HelloSign), v3.
    DropboxSign,
    /// Foxit eSign (eSign Genie).
    Foxit,
    /// eSignly. Unconfirmed in most of its details.
    Esignly,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Documenso => "documenso",
            Self::Docuseal => "docuseal",
            Self::Docusign => "docusign",
            Self::DropboxSign => "dropbox_sign",
            Self::Foxit => "foxit",
            Self::Esignly => "esignly",
        }
    }
}

/// An account at a provider, as configured: `[[signing]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountConfig {
    /// The provider.
    pub provider: Kind,
    /// A name for the account; policies say `provider = "documenso/legal"`.
    pub account: String,
    /// The tenant whose account it is.
    #[serde(default = "default_tenant")]
    pub tenant: TenantId,
    /// The API's address, without a slash at the end, where it is not the provider's usual one.
    #[serde(default)]
    pub url: Option<String>,
    /// The API's key: token, key, or client secret.
    #[serde(default)]
    pub token: Option<Secret>,
    /// What callbacks are proved with; several while one replaces another.
    #[serde(default)]
    pub webhook_secrets: Vec<Secret>,
    /// The most calls in a minute; the provider's own limit where absent.
    #[serde(default)]
    pub calls_a_minute: Option<u32>,
    /// DocuSign: the integration key. Foxit: the client id.
    #[serde(default)]
    pub client_id: Option<String>,
    /// DocuSign: the user in whose name envelopes are sent.
    #[serde(default)]
    pub user_id: Option<String>,
    /// DocuSign: the account's id.
    #[serde(default)]
    pub account_id: Option<String>,
    /// DocuSign: the RSA key of the integration, as PEM.
    #[serde(default)]
    pub private_key: Option<Secret>,
    /// Documents of this account are tests without legal weight.
    #[serde(default)]
    pub test_mode: bool,
    /// Foxit: where callbacks carry their signature: `header:<name>` or `query:<name>`.
    #[serde(default)]
    pub signature_carrier: Option<String>,
}

fn default_tenant() -> TenantId {
    "default".parse().expect("a tenant's name")
}

impl AccountConfig {
    /// Its name in policies and addresses of callbacks.
    pub fn name(&self) -> String {
        format!("{}/{}", self.provider.word(), self.account)
    }

    /// What it can do.
    pub fn capabilities(&self) -> Capabilities {
        let can = match self.provider {
            Kind::Documenso => documenso::CAN,
            Kind::Docuseal => docuseal::CAN,
            Kind::Docusign => docusign::CAN,
            Kind::DropboxSign => dropbox_sign::can(self.test_mode),
            Kind::Foxit => foxit::CAN,
            Kind::Esignly => esignly::CAN,
        };
        Capabilities { calls_a_minute: self.calls_a_minute.unwrap_or(can.calls_a_minute), ..can }
    }

    /// What is missing or does not fit together.
    pub fn check(&self) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("[[signing]] {}: {what}", self.name()));
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if self.account.is_empty() || self.account.len() > 64 || !self.account.chars().all(word) {
            return wrong("`account` is a word of a-z, 0-9, - and _");
        }
        if let Some(url) = &self.url {
            let plain_on_this_machine = ["http://127.0.0.1:", "http://localhost:", "http://[::1]:"]
                .iter()
                .any(|start| url.starts_with(start));
            if url.ends_with('/') || !(url.starts_with("https://") || plain_on_this_machine) {
                return wrong("`url` is an https address without a slash at the end");
            }
        }
        if self.webhook_secrets.iter().any(|secret| matches!(secret, Secret::Vault { .. })) {
            return wrong(
                "`webhook_secrets` cannot be in Vault: a callback is answered without a call elsewhere. Let Vault's \
                 agent write a file, and name that",
            );
        }
        match self.provider {
            Kind::Docusign => {
                if self.client_id.is_none() || self.user_id.is_none() || self.account_id.is_none() {
                    return wrong("`client_id` (integration key), `user_id` and `account_id` are needed");
                }
                if self.private_key.is_none() {
                    return wrong("`private_key` is needed");
                }
            }
            Kind::Foxit if self.client_id.is_none() => return wrong("`client_id` is needed"),
            Kind::Foxit if self.carrier().is_err() => {
                return wrong("`signature_carrier` is \"header:<name>\" or \"query:<name>\"");
            }
            _ => {}
        }
        if self.provider != Kind::Docusign && self.token.is_none() {
            return wrong("`token` is needed");
        }
        Ok(())
    }

    /// Where Foxit's callbacks carry their signature.
    fn carrier(&self) -> Result<foxit::Carrier, ()> {
        match self.signature_carrier.as_deref().and_then(|text| text.split_once(':')) {
            None if self.signature_carrier.is_none() => {
                Ok(foxit::Carrier::Header("x-foxit-signature".into()))
            }
            Some(("header", name)) if !name.is_empty() => Ok(foxit::Carrier::Header(name.to_lowercase())),
            Some(("query", name)) if !name.is_empty() => Ok(foxit::Carrier::Query(name.into())),
            _ => Err(()),
        }
    }
}

/// What every connector has.
#[derive(Debug)]
struct Base {
    http: reqwest::Client,
    card: Card,
    url: String,
    config: AccountConfig,
}

impl Base {
    fn new(http: &reqwest::Client, config: &AccountConfig, usual_url: &str) -> Self {
        let url = config.url.clone().unwrap_or_else(|| usual_url.to_owned());
        let (tenant, can) = (Some(config.tenant.clone()), config.capabilities());
        let card = Card { name: config.name().into(), tenant, can };
        Self { http: http.clone(), card, url, config: config.clone() }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    async fn token(&self) -> Result<zeroize::Zeroizing<String>, ProviderError> {
        match &self.config.token {
            Some(token) => token.text(&self.http).await,
            None => Err(ProviderError::NotTaken("the account has no `token`".into())),
        }
    }

    /// The secrets callbacks may be proved with. Those that cannot be read are left out, and said.
    fn webhook_secrets(&self) -> Vec<zeroize::Zeroizing<String>> {
        let read = |secret: &Secret| {
            secret
                .local()
                .map_err(|error| tracing::error!(account = &*self.card.name, %error, "no callbacks"))
                .ok()
        };
        self.config.webhook_secrets.iter().filter_map(read).filter(|secret| !secret.is_empty()).collect()
    }
}

/// What a withdrawal means that was refused for this reason: one that has ended cannot be withdrawn, and its state says how
/// it did; one that is open or a draft was not withdrawn.
async fn unless_ended(
    reason: String,
    state: impl Future<Output = Result<EnvelopeState, ProviderError>>,
) -> Result<(), ProviderError> {
    match state.await? {
        EnvelopeState::Open { .. } | EnvelopeState::Draft => Err(ProviderError::Refused(reason)),
        _ => Ok(()),
    }
}

/// The connectors of the configured accounts.
pub fn open(accounts: &[AccountConfig]) -> Result<Vec<Arc<dyn Provider>>, String> {
    let http = line::client()?;
    let connector = |config: &AccountConfig| -> Arc<dyn Provider> {
        match config.provider {
            Kind::Documenso => Arc::new(documenso::Documenso::new(&http, config)),
            Kind::Docuseal => Arc::new(docuseal::Docuseal::new(&http, config)),
            Kind::Docusign => Arc::new(docusign::Docusign::new(&http, config)),
            Kind::DropboxSign => Arc::new(dropbox_sign::DropboxSign::new(&http, config)),
            Kind::Foxit => Arc::new(foxit::Foxit::new(&http, config)),
            Kind::Esignly => Arc::new(esignly::Esignly::new(&http, config)),
        }
    };
    Ok(accounts.iter().map(connector).collect())
}

/// Calls of ordinary length.
const CALL_DEADLINE: Duration = Duration::from_secs(30);
/// How long a call that was given up may still take effect.
const SETTLES_WITHIN: Duration = Duration::from_secs(120);

#[cfg(test)]
pub(super) mod fakes;
#[cfg(test)]
mod published;
#[cfg(test)]
mod tests;
