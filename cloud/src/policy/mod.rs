//! The routing policy: which documents a person must see, and where the others go.
//!
//! A TOML file with CEL conditions (<https://cel.dev>), the first match wins. It is compiled and checked when it
//! is loaded, so that a typing error stops the start of the server and not a document at night. The decision
//! names the policy's version and digest in its event, so that it can be repeated later. What a route asks of its
//! signing account is held against what the account can do when the policy is loaded: it is refused then, and never
//! quietly made less.

use std::collections::BTreeMap;
use std::path::Path;

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::{Context, ExecutionError, Program, Value};
use jiff::SignedDuration;
use platen_model::api::Document;
use platen_model::event::Status;
use platen_model::{Digest, PolicyRef, Recipient, Verdict};
use serde::Deserialize;
use serde_json::json;

use crate::signing::Offers;
use crate::signing::placement::PlaceRule;
use crate::signing::provider::{Capabilities, SIGNERS_MAX};
use crate::store::record::Record;
use recipients::{Directory, Named};

mod recipients;

/// What a condition may ask of `document`.
const MEMBERS: [&str; 7] =
    ["document_type", "confidence", "fields", "file_name", "source", "department", "page_count"];
/// What a condition may ask of a field.
const FIELD_MEMBERS: [&str; 2] = ["value", "confidence"];
/// Most people who have to approve a document.
const APPROVALS_MAX: u32 = 5;
/// Most times an envelope is sent anew.
const RESENDS_MAX: u32 = 10;
/// Most routes in a policy.
const ROUTES: usize = 1_000;

/// The policy file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct PolicyError {
    /// File and line, or file and route.
    pub place: String,
    /// What is wrong.
    pub message: String,
}

/// A policy that was loaded, compiled and checked.
#[derive(Debug)]
pub struct Policy {
    reference: PolicyRef,
    validation: Validation,
    routes: Vec<Route>,
    directory: Directory,
}

/// A route.
#[derive(Debug)]
pub struct Route {
    /// Its name, as it appears in the event.
    pub name: String,
    /// The provider; `None` archives without a signature.
    pub provider: Option<String>,
    /// How long the signers have.
    pub expires_after: Option<SignedDuration>,
    /// Labels.
    pub tags: Vec<String>,
    /// The retention class.
    pub retention_class: Option<String>,
    /// How many people must have approved a document before it is sent.
    pub approvals: u32,
    /// How often an envelope that expired is sent anew.
    pub resend: u32,
    /// Where recipients sign.
    pub places: Vec<PlaceRule>,
    recipients: Vec<Named>,
    on_decline: Option<Named>,
    when: Program,
}

/// What must hold before a document may go on without a person.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Validation {
    minimum_confidence: f32,
    required: BTreeMap<String, Vec<String>>,
}

impl Default for Validation {
    fn default() -> Self {
        Self { minimum_confidence: 0.5, required: BTreeMap::new() }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: String,
    directory: Option<String>,
    #[serde(default)]
    validation: Validation,
    #[serde(default)]
    route: Vec<RouteText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteText {
    name: String,
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
    #[serde(default)]
    tags: Vec<String>,
    retention_class: Option<String>,
}

/// A route that matched, with what depends on the document filled in.
#[derive(Debug)]
pub struct Chosen<'p> {
    /// The route.
    pub route: &'p Route,
    /// Who signs, approves and gets a copy, by order.
    pub recipients: Vec<Recipient>,
}

impl Policy {
    /// Loads a policy file for an installation with these signing accounts.
    pub fn load(path: &Path, offers: &Offers) -> Result<Self, PolicyError> {
        let place = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| PolicyError { place: place.clone(), message: error.to_string() })?;
        Self::read(&text, &place, path.parent(), offers)
    }

    /// The policy that is used where none is configured.
    pub fn built_in() -> Self {
        Self::parse(include_str!("../../policies/default.toml"), "policies/default.toml", &Offers::new())
            .expect("the built-in policy is checked by a test")
    }

    /// Loads a policy from text; `name` stands for the file in errors. It has no directory.
    pub fn parse(text: &str, name: &str, offers: &Offers) -> Result<Self, PolicyError> {
        Self::read(text, name, None, offers)
    }

    fn read(text: &str, name: &str, folder: Option<&Path>, offers: &Offers) -> Result<Self, PolicyError> {
        let file: File = toml::from_str(text).map_err(|error| {
            let line =
                error.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            PolicyError { place: format!("{name}:{line}"), message: error.message().to_owned() }
        })?;
        let wrong = |message: &str| PolicyError { place: name.to_owned(), message: message.to_owned() };
        if file.route.is_empty() {
            return Err(wrong("a policy has at least one [[route]]"));
        }
        if file.route.len() > ROUTES {
            return Err(wrong("a policy has at most 1000 routes"));
        }
        let directory = match (&file.directory, folder) {
            (Some(path), Some(folder)) => Directory::load(&folder.join(path)).map_err(|why| wrong(&why))?,
            (Some(_), None) => return Err(wrong("`directory` needs a policy in a file")),
            (None, _) => Directory::default(),
        };
        let sha256 = Digest::of(text.as_bytes());
        let reference = PolicyRef { name: "routing".into(), version: file.version, sha256 };
        let routes = file
            .route
            .into_iter()
            .map(|route| {
                let place = format!("{name}, route {:?}", route.name);
                Route::compile(route, &directory, offers).map_err(|message| PolicyError { place, message })
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { reference, validation: file.validation, routes, directory })
    }

    /// The policy, named exactly.
    pub fn reference(&self) -> &PolicyRef {
        &self.reference
    }

    /// Why a person must see this document, each reason as a sentence; empty where nobody must.
    pub fn doubts(&self, record: &Record) -> Vec<String> {
        let document = &record.document;
        let mut doubts: Vec<String> = record
            .decision
            .iter()
            .flat_map(|decision| &decision.reasons)
            .filter(|reason| reason.is_doubt())
            .map(|reason| match reason.is_lack() {
                true => format!("Page {}: {}", u64::from(reason.page) + 1, reason.seen),
                false => reason.seen.clone(),
            })
            .collect();
        if document.document_type.is_unknown() {
            doubts.push("The rules do not know what kind of document this is.".to_owned());
        } else if document.confidence < self.validation.minimum_confidence {
            doubts.push(format!(
                "It is taken for \"{}\" with a confidence of only {:.0} %.",
                document.document_type,
                document.confidence * 100.0
            ));
        } else if doubts.is_empty()
            && record.decision.as_ref().is_some_and(|decision| decision.verdict == Verdict::Review)
        {
            doubts.push(format!(
                "The rules for \"{}\" ask for a person at a confidence of {:.0} %.",
                document.document_type,
                document.confidence * 100.0
            ));
        }
        let required = self.validation.required.get(&document.document_type.0).into_iter().flatten();
        for name in required {
            if document.fields.get(name).is_none_or(|field| field.value.trim().is_empty()) {
                doubts.push(format!("The required field \"{name}\" was not found."));
            }
        }
        doubts
    }

    /// The first route that matches. An error names the route and says why the document cannot take it.
    pub fn route(&self, document: &Document) -> Result<Chosen<'_>, PolicyError> {
        let seen = seen(document);
        for route in &self.routes {
            let wrong = |message: String| PolicyError { place: format!("route {:?}", route.name), message };
            if route.holds(&seen).map_err(wrong)? {
                let recipients = route.recipients_of(document, &self.directory).map_err(wrong)?;
                return Ok(Chosen { route, recipients });
            }
        }
        Err(PolicyError {
            place: format!("routing policy {}", self.reference.version),
            message: "no route matches this document".into(),
        })
    }
}

impl Policy {
    /// The routes, in order.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }

    /// Whether a document whose envelope ended like this is sent on its way again without a person: to the fallback of
    /// who declined, once, or anew after it expired.
    pub fn goes_on(&self, record: &Record) -> bool {
        let name = record.document.route.as_deref();
        let Some(route) = self.routes.iter().find(|route| Some(route.name.as_str()) == name) else {
            return false;
        };
        match record.document.status {
            Status::Declined => route.on_decline.is_some() && record.ends.declined_by.len() == 1,
            Status::Expired => record.ends.expired <= route.resend && record.ends.expired > 0,
            _ => false,
        }
    }

    /// The recipients with the route's fallback in the place of who declined.
    pub fn instead(
        &self,
        chosen: &Chosen<'_>,
        document: &Document,
        declined_by: &[String],
    ) -> Result<Vec<Recipient>, String> {
        let mut recipients = chosen.recipients.clone();
        let Some(fallback) = chosen.route.on_decline.as_ref().filter(|_| !declined_by.is_empty()) else {
            return Ok(recipients);
        };
        for recipient in &mut recipients {
            if declined_by.iter().any(|who| who.eq_ignore_ascii_case(&recipient.address)) {
                let other = fallback.of(recipient.order, document, &self.directory)?;
                *recipient = Recipient { role: recipient.role, order: recipient.order, ..other };
            }
        }
        Ok(recipients)
    }
}

impl Route {
    fn compile(text: RouteText, directory: &Directory, offers: &Offers) -> Result<Self, String> {
        let when = Program::compile(&text.when).map_err(|error| format!("`when`: {error}"))?;
        names_known(when.expression())?;
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
        let expires_after = text.expires_after.as_deref().map(duration).transpose()?;
        let route = Self {
            name: text.name,
            provider: text.provider,
            expires_after,
            tags: text.tags,
            retention_class: text.retention_class,
            approvals: text.approvals,
            resend: text.resend,
            places: text.place,
            recipients: text.recipients,
            on_decline: text.on_decline,
            when,
        };
        // A condition that is not about truth, or compares words with numbers, shows with any document.
        route.holds(&specimen())?;
        Ok(route)
    }

    fn holds(&self, document: &serde_json::Value) -> Result<bool, String> {
        let mut context = Context::default();
        context.add_variable("document", document).map_err(|error| error.to_string())?;
        match self.when.execute(&context) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(other) => Err(format!("`when` answers {other:?}, not true or false")),
            // The names of members are checked when the policy is loaded: what is missing is a field's value.
            Err(ExecutionError::NoSuchKey(_)) => Ok(false),
            Err(error) => Err(format!("`when`: {error}")),
        }
    }

    fn recipients_of(&self, document: &Document, directory: &Directory) -> Result<Vec<Recipient>, String> {
        (1..).zip(&self.recipients).map(|(position, named)| named.of(position, document, directory)).collect()
    }
}

/// Refuses what the account cannot do.
fn fits(text: &RouteText, can: &Capabilities) -> Result<(), String> {
    let recipients: Vec<Recipient> =
        (1..).zip(&text.recipients).map(|(position, named)| named.shape(position)).collect();
    let acting = recipients.iter().filter(|recipient| recipient.role.acts()).count();
    if acting == 0 {
        return Err("is given nobody who signs".into());
    }
    if acting > SIGNERS_MAX {
        return Err(format!("is given {acting} signers, over the limit of {SIGNERS_MAX}"));
    }
    if let Some(lack) = can.lacks(&recipients) {
        return Err(lack);
    }
    if !can.coordinates && !text.place.is_empty() {
        return Err("cannot place signatures by coordinates: the route has no use for `place`".into());
    }
    if text.expires_after.is_some() && !can.expires && !can.void {
        return Err("neither ends an envelope nor lets us withdraw it: `expires_after` cannot be kept".into());
    }
    Ok(())
}

/// Refuses names that no document has: they are typing errors.
fn names_known(expression: &IdedExpr) -> Result<(), String> {
    let all = |list: &[IdedExpr]| list.iter().try_for_each(names_known);
    match &expression.expr {
        Expr::Select(select) => {
            let (known, of) = match &select.operand.expr {
                Expr::Ident(name) if name == "document" => (&MEMBERS[..], "document"),
                Expr::Select(inner) if is_fields(&inner.operand.expr) => (&FIELD_MEMBERS[..], "a field"),
                _ => (&[][..], ""),
            };
            if !of.is_empty() && !known.contains(&select.field.as_str()) {
                return Err(format!("`when`: {of} has no `{}`; it has {}", select.field, known.join(", ")));
            }
            names_known(&select.operand)
        }
        Expr::Call(call) => {
            call.target.as_deref().map_or(Ok(()), names_known)?;
            all(&call.args)
        }
        Expr::List(list) => all(&list.elements),
        Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
            EntryExpr::MapEntry(entry) => names_known(&entry.key).and_then(|()| names_known(&entry.value)),
            EntryExpr::StructField(field) => names_known(&field.value),
        }),
        Expr::Comprehension(loop_) => {
            [&loop_.iter_range, &loop_.accu_init, &loop_.loop_cond, &loop_.loop_step, &loop_.result]
                .into_iter()
                .try_for_each(names_known)
        }
        _ => Ok(()),
    }
}

/// Whether an expression is `document.fields`.
fn is_fields(expression: &Expr) -> bool {
    matches!(expression, Expr::Select(select)
        if select.field == "fields" && matches!(&select.operand.expr, Expr::Ident(name) if name == "document"))
}

/// The document as conditions see it.
fn seen(document: &Document) -> serde_json::Value {
    let fields: serde_json::Map<_, _> = document
        .fields
        .iter()
        .map(|(name, field)| (name.clone(), json!({ "value": field.value, "confidence": field.confidence })))
        .collect();
    json!({
        "document_type": document.document_type,
        "confidence": document.confidence,
        "fields": fields,
        "file_name": document.file_name,
        "source": document.source,
        "department": document.department.as_deref().unwrap_or_default(),
        "page_count": document.page_count,
    })
}

/// Some document, for trying conditions on.
fn specimen() -> serde_json::Value {
    json!({
        "document_type": "unknown", "confidence": 0.5, "fields": {}, "file_name": "scan.tif",
        "source": "front-desk", "department": "", "page_count": 1,
    })
}

/// `30d`, `12h`, `90m` or `45s`.
fn duration(text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("`expires_after = {text:?}`: write a number and d, h, m or s, like \"30d\"");
    let split = text.len().checked_sub(1).filter(|at| text.is_char_boundary(*at)).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(split);
    let seconds = match unit {
        "d" => 86_400,
        "h" => 3_600,
        "m" => 60,
        "s" => 1,
        _ => return Err(wrong()),
    };
    let number: u32 = number.parse().map_err(|_| wrong())?;
    Ok(SignedDuration::from_secs(i64::from(number) * seconds))
}

#[cfg(test)]
mod tests;
