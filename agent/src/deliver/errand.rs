//! A request that is no delivery: under the same token, beside the outbox. It opens no circuit and is not tried again;
//! whoever sends it comes back by himself.

use jiff::Timestamp;

use super::journey::Tools;
use super::trouble::{Trouble, of_another};
use super::wire::{Answer, Method, Request, Wire};

/// Requests that one errand takes at most: a token, one more where the clock is wrong, and each once more.
const REQUESTS_MAX: u32 = 5;

/// Puts JSON to a path of the cloud.
///
/// # Errors
///
/// Where no answer of the cloud came, or it does not let this device in.
pub async fn put(tools: &Tools, wire: &Wire, path: &str, body: Vec<u8>) -> Result<Answer, Trouble> {
    for _ in 0..REQUESTS_MAX {
        let now = Timestamp::now();
        let token = tools.token(now);
        let request = match &token {
            None => tools.token_request(now),
            Some(token) => Request {
                method: Method::Put,
                url: format!("{}{path}", tools.badge.url),
                headers: vec![
                    ("content-type", "application/json".to_owned()),
                    ("authorization", format!("Bearer {token}")),
                ],
                body: body.clone(),
            },
        };
        let answer = wire.exchange(request).await?;
        if let Some(another) = of_another(&answer) {
            return Err(Trouble::Link(another));
        }
        match token {
            None => tools.token_answered(&answer, Timestamp::now())?,
            Some(token) if answer.status == 401 => tools.forget_token(&token),
            Some(_) => return Ok(answer),
        }
    }
    Err(Trouble::Access("the cloud does not accept the tokens it gives".into()))
}
