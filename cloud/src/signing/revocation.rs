//! Answers about revocation, fetched for what seals need to be checked later.
//!
//! A worker says whom to ask ([`Question`]) and afterwards what of the answers holds; here they are only fetched, each in
//! its time and no larger than its limit. The addresses come out of certificates, so they are as little to be trusted as
//! a tenant's webhook: the same [`Guard`] keeps them from what only we can reach, though HTTP is theirs to name, for the
//! answers are signed. Whoever does not answer is left out, and the worker says what is missing.

use std::collections::BTreeMap;
use std::time::Duration;

use der::{Reader as _, SliceReader};
use futures_util::future::join_all;
use platen_capture::pdf::signatures::revocation::Question;
use reqwest::{Client, Method, RequestBuilder, Url};

use crate::webhooks::guard::Guard;

/// The longest time one may take to answer.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// The longest time all of them may take together: within that of one call to the desk.
const ALL_TIME: Duration = Duration::from_secs(25);
/// The largest list of revoked certificates that is read, in bytes.
const LIST_BYTES: usize = 8 << 20;
/// The largest answer about one certificate that is read, in bytes.
const ANSWER_BYTES: usize = 64 << 10;
/// The most certificates that are asked about.
const QUESTIONS_MAX: usize = 16;

/// What was answered, DER after DER.
pub(super) async fn fetch(guard: &Guard, questions: &[Question]) -> Result<Vec<u8>, String> {
    // Whoever is first sets it for the process; it is the same everywhere.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(ANSWER_TIME)
        .dns_resolver(guard.clone())
        .build()
        .map_err(|error| error.to_string())?;
    // One list speaks of many certificates, and is fetched once.
    let mut asked: BTreeMap<(&str, &[u8]), Asked<'_>> = BTreeMap::new();
    for question in questions.iter().take(QUESTIONS_MAX) {
        let lists = question.lists.iter().map(|url| Asked { url, request: None });
        let request = Some(question.request.as_slice()).filter(|request| !request.is_empty());
        let alone = question.responders.iter().filter_map(|url| Some(Asked { url, request: Some(request?) }));
        asked.extend(lists.chain(alone).map(|asked| ((asked.url, asked.request.unwrap_or_default()), asked)));
    }
    let answers = asked.values().map(|asked| async {
        let answer = tokio::time::timeout(ALL_TIME, asked.answer(&client, guard)).await;
        let answer = answer.unwrap_or_else(|_| Err("no answer in time".into()));
        if let Err(why) = &answer {
            tracing::warn!(url = asked.url, why, "no answer about revocation");
        }
        answer.unwrap_or_default()
    });
    Ok(join_all(answers).await.concat())
}

/// Somebody who is asked: for a list, or by a request.
struct Asked<'a> {
    url: &'a str,
    request: Option<&'a [u8]>,
}

impl Asked<'_> {
    async fn answer(&self, client: &Client, guard: &Guard) -> Result<Vec<u8>, String> {
        let url: Url = self.url.parse().map_err(|_| "it is no address")?;
        if let Some(refusal) = guard.refuses_host(&url) {
            return Err(refusal);
        }
        let (request, limit): (RequestBuilder, usize) = match self.request {
            None => (client.request(Method::GET, url), LIST_BYTES),
            Some(asked) => {
                let request = client.request(Method::POST, url).body(asked.to_vec());
                (request.header("content-type", "application/ocsp-request"), ANSWER_BYTES)
            }
        };
        let sent = request.send().await.and_then(reqwest::Response::error_for_status);
        let mut answer = sent.map_err(|error| error.without_url().to_string())?;
        let mut bytes = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(|error| error.without_url().to_string())? {
            bytes.extend_from_slice(&part);
            if bytes.len() > limit {
                return Err(format!("its answer is over the limit of {limit} bytes"));
            }
        }
        // One that is not whole would spoil those that stand behind it.
        let whole = SliceReader::new(&bytes).and_then(|mut reader| reader.tlv_bytes()).map(<[u8]>::len);
        if whole.ok() == Some(bytes.len()) { Ok(bytes) } else { Err("its answer is no DER".into()) }
    }
}
