//! Routes: a condition, who signs, and what is done for it.

use jiff::SignedDuration;
use platen_model::Recipient;
use platen_model::api::Document;
use serde::Deserialize;

use super::conditions::{Answer, Condition, Facts};
use super::recipients::{Directory, Named, Unknown};
use crate::signing::Offers;
use crate::signing::placement::PlaceRule;
use crate::signing::provider::{Capabilities, SIGNERS_MAX};

/// Most people who have to approve a document.
const APPROVALS_MAX: u32 = 5;
/// Recipients are reminded no more often than so many seconds, and no less.
const REMIND_S_MIN: u32 = 3_600;
const REMIND_S_MAX: u32 = 366 * 86_400;
/// Most times an envelope is sent anew.
const RESENDS_MAX: u32 = 10;

/// A route.
#[derive(Debug)]
pub struct Route {
    /// Its name, as it appears in the event.
    pub name: String,
    /// The provider; `None` archives without a signature.
    pub provider: Option<String>,
    /// How long the signers have.
    pub expires_after: Option<SignedDuration>,
    /// How often they are reminded, in seconds.
    pub remind_every_s: Option<u32>,
    /// Labels.
    pub tags: Vec<String>,
    /// The retention class.
    pub retention_class: Option<String>,
    /// How many people must have approved a document before it is sent.
    pub approvals: u32,
    /// How often an envelope that expired after it was sent is sent anew.
    pub resend: u32,
    /// Where recipients sign.
    pub places: Vec<PlaceRule>,
    pub(super) on_decline: Option<Named>,
    pub(super) when: Condition,
    recipients: Vec<Named>,
}

/// What `[[route]]` says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteText {
    pub(super) name: String,
    when: String,
    provider: Option<String>,
    #[serde(default, alias = "signers")]
    recipients: Vec<Named>,
    on_decline: Option<Named>,
    #[serde(default)]
    approvals: u32,
    #[serde(default)]
    resend: u32,
    #[serde(default)]
    place: Vec<PlaceRule>,
    expires_after: Option<String>,
    remind_every: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    retention_class: Option<String>,
}

impl Route {
    pub(super) fn compile(text: RouteText, directory: &Directory, offers: &Offers) -> Result<Self, String> {
        let when = Condition::compile(&text.when).map_err(|error| format!("`when`: {error}"))?;
        match (&text.provider, text.recipients.is_empty()) {
            (Some(_), true) => return Err("a route with a provider needs `signers` or `recipients`".into()),
            (None, false) => return Err("a route without a provider archives: it has no `signers`".into()),
            _ => {}
        }
        for recipient in text.recipients.iter().chain(&text.on_decline) {
            recipient.check(directory)?;
        }
        for place in &text.place {
            place.check(text.recipients.len())?;
        }
        if text.approvals > APPROVALS_MAX || text.resend > RESENDS_MAX {
            return Err(format!("`approvals` is at most {APPROVALS_MAX}, `resend` at most {RESENDS_MAX}"));
        }
        if let Some(provider) = &text.provider {
            let known = || offers.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let can = offers
                .get(provider)
                .ok_or_else(|| format!("there is no provider {provider:?}; there are {}", known()))?;
            fits(&text, can).map_err(|lack| format!("{provider:?} {lack}"))?;
        }
        let expires_after =
            text.expires_after.as_deref().map(|span| duration("expires_after", span)).transpose()?;
        let remind_every_s = text.remind_every.as_deref().map(remind_every).transpose()?;
        Ok(Self {
            name: text.name,
            provider: text.provider,
            expires_after,
            remind_every_s,
            tags: text.tags,
            retention_class: text.retention_class,
            approvals: text.approvals,
            resend: text.resend,
            places: text.place,
            recipients: text.recipients,
            on_decline: text.on_decline,
            when,
        })
    }

    /// Whether the condition holds. What is missing holds for nothing.
    pub(super) fn holds(&self, facts: &Facts) -> Result<bool, String> {
        let answer = self.when.answer(facts).map_err(|error| format!("`when`: {error}"))?;
        Ok(answer == Answer::Yes)
    }

    /// Who signs, approves and gets a copy; an error says of whom it cannot be told.
    pub(super) fn recipients_of(
        &self,
        document: &Document,
        directory: &Directory,
    ) -> Result<Vec<Recipient>, Unknown> {
        (1..).zip(&self.recipients).map(|(position, named)| named.of(position, document, directory)).collect()
    }
}

/// Refuses what the account cannot do.
fn fits(text: &RouteText, can: &Capabilities) -> Result<(), String> {
    let recipients: Vec<Recipient> =
        (1..).zip(&text.recipients).map(|(position, named)| named.shape(position)).collect();
    if text.remind_every.is_some() && !can.remind {
        return Err("cannot remind its recipients: the route has no use for `remind_every`".into());
    }
    can_serve(can, &recipients, !text.place.is_empty(), text.expires_after.is_some())
}

/// Refuses what an account cannot do for these recipients, with places to sign or an end of time where they are named.
pub fn can_serve(
    can: &Capabilities,
    recipients: &[Recipient],
    has_places: bool,
    has_end: bool,
) -> Result<(), String> {
    let acting = recipients.iter().filter(|recipient| recipient.role.acts()).count();
    if acting == 0 {
        return Err("is given nobody who signs".into());
    }
    if acting > SIGNERS_MAX {
        return Err(format!("is given {acting} signers, over the limit of {SIGNERS_MAX}"));
    }
    if let Some(lack) = can.lacks(recipients) {
        return Err(lack);
    }
    if !can.coordinates && has_places {
        return Err("cannot place signatures by coordinates: the route has no use for `place`".into());
    }
    if has_end && !can.expires && !can.void {
        return Err("neither ends an envelope nor lets us withdraw it: `expires_after` cannot be kept".into());
    }
    Ok(())
}

fn remind_every(text: &str) -> Result<u32, String> {
    let wrong = || format!("`remind_every = {text:?}`: it is from {REMIND_S_MIN} seconds to a year");
    let seconds = u32::try_from(duration("remind_every", text)?.as_secs()).map_err(|_| wrong())?;
    (REMIND_S_MIN..=REMIND_S_MAX).contains(&seconds).then_some(seconds).ok_or_else(wrong)
}

fn duration(key: &str, text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("`{key} = {text:?}`: write a number and d, h, m or s, like \"30d\"");
    span(text).ok_or_else(wrong)
}

/// `30d`, `12h`, `90m` or `45s`.
pub fn span(text: &str) -> Option<SignedDuration> {
    let split = text.len().checked_sub(1).filter(|at| text.is_char_boundary(*at))?;
    let (number, unit) = text.split_at(split);
    let seconds = match unit {
        "d" => 86_400,
        "h" => 3_600,
        "m" => 60,
        "s" => 1,
        _ => return None,
    };
    let number: u32 = number.parse().ok()?;
    Some(SignedDuration::from_secs(i64::from(number) * seconds))
}
