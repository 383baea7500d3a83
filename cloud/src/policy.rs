//! The routing policy: which documents a person must see, and where the others go.
//!
//! A TOML file with CEL conditions (<https://cel.dev>), the first match wins. It is compiled and checked when it
//! is loaded, so that a typing error stops the start of the server and not a document at night. The decision
//! names the policy's version and digest in its event, so that it can be repeated later.

use std::collections::BTreeMap;
use std::path::Path;

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::{Context, ExecutionError, Program, Value};
use jiff::SignedDuration;
use platen_model::api::Document;
use platen_model::{Digest, PolicyRef, Verdict};
use serde::Deserialize;
use serde_json::json;

use crate::signing::PROVIDERS;
use crate::signing::provider::SIGNERS_MAX;
use crate::store::record::Record;

/// What a condition may ask of `document`.
const MEMBERS: [&str; 7] =
    ["document_type", "confidence", "fields", "file_name", "source", "department", "page_count"];
/// What a condition may ask of a field.
const FIELD_MEMBERS: [&str; 2] = ["value", "confidence"];
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
    signers: Vec<Signer>,
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
    #[serde(default)]
    signers: Vec<Signer>,
    expires_after: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    retention_class: Option<String>,
}

/// A signer's address, or the field that holds it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Signer {
    Address(String),
    Field { field: String },
}

/// A route that matched, with what depends on the document filled in.
#[derive(Debug)]
pub struct Chosen<'p> {
    /// The route.
    pub route: &'p Route,
    /// The signers' addresses, in order.
    pub signers: Vec<String>,
}

impl Policy {
    /// Loads a policy file.
    pub fn load(path: &Path) -> Result<Self, PolicyError> {
        let place = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| PolicyError { place: place.clone(), message: error.to_string() })?;
        Self::parse(&text, &place)
    }

    /// The policy that is used where none is configured.
    pub fn built_in() -> Self {
        Self::parse(include_str!("../policies/default.toml"), "policies/default.toml")
            .expect("the built-in policy is checked by a test")
    }

    /// Loads a policy from text; `name` stands for the file in errors.
    pub fn parse(text: &str, name: &str) -> Result<Self, PolicyError> {
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
        let sha256 = Digest::of(text.as_bytes());
        let reference = PolicyRef { name: "routing".into(), version: file.version, sha256 };
        let routes = file
            .route
            .into_iter()
            .map(|route| {
                let place = format!("{name}, route {:?}", route.name);
                Route::compile(route).map_err(|message| PolicyError { place, message })
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { reference, validation: file.validation, routes })
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
                let signers = route.signers_of(document).map_err(wrong)?;
                return Ok(Chosen { route, signers });
            }
        }
        Err(PolicyError {
            place: format!("routing policy {}", self.reference.version),
            message: "no route matches this document".into(),
        })
    }
}

impl Route {
    fn compile(text: RouteText) -> Result<Self, String> {
        let when = Program::compile(&text.when).map_err(|error| format!("`when`: {error}"))?;
        names_known(when.expression())?;
        match (&text.provider, text.signers.is_empty()) {
            (Some(_), true) => return Err("a route with a provider needs `signers`".into()),
            (None, false) => return Err("a route without a provider archives: it has no `signers`".into()),
            _ => {}
        }
        if let Some(provider) = text.provider.as_deref().filter(|name| !PROVIDERS.contains(name)) {
            return Err(format!("there is no provider {provider:?}; there are {}", PROVIDERS.join(", ")));
        }
        if text.signers.len() > SIGNERS_MAX {
            return Err(format!("{} signers are over the limit of {SIGNERS_MAX}", text.signers.len()));
        }
        for signer in &text.signers {
            if let Signer::Address(address) = signer {
                is_address(address)?;
            }
        }
        let expires_after = text.expires_after.as_deref().map(duration).transpose()?;
        let route = Self {
            name: text.name,
            provider: text.provider,
            expires_after,
            tags: text.tags,
            retention_class: text.retention_class,
            signers: text.signers,
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

    fn signers_of(&self, document: &Document) -> Result<Vec<String>, String> {
        let one = |signer: &Signer| match signer {
            Signer::Address(address) => Ok(address.clone()),
            Signer::Field { field } => {
                let value = document.fields.get(field).map(|field| field.value.trim().to_owned());
                let value = value
                    .ok_or_else(|| format!("the document has no field \"{field}\" to take a signer from"))?;
                is_address(&value).map(|()| value)
            }
        };
        self.signers.iter().map(one).collect()
    }
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

/// Refuses what cannot be an address to write to; whether it is one shows when somebody answers.
fn is_address(text: &str) -> Result<(), String> {
    let fits =
        text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains(|c| c != '.'));
    let clean = !text.contains(|c: char| c.is_whitespace() || c.is_control() || "<>,;\"".contains(c));
    if fits && clean { Ok(()) } else { Err(format!("{text:?} is not a signer's address")) }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
