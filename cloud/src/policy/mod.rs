//! Policies: which documents a person must see, what must hold before one is signed, and where the others go.
//!
//! A TOML file with CEL conditions (<https://cel.dev>); of its routes the first match wins. It is compiled and checked
//! when it is loaded, so that a typing error stops the start of the server and not a document at night. Every decision
//! names the policy's version and digest in its event, and every version that was in force is kept
//! ([`crate::store::policies`]), so that it can be repeated later. What a route asks of its signing account is held against
//! what the account can do when the policy is loaded: it is refused then, and never quietly made less.
//!
//! [`Policy::judge`] says whether a person is asked, [`Policy::route`] where a document goes, [`Policy::explain`] why, and
//! [`dry_run::compare`] what another policy would change. All of them are pure.

use std::path::Path;

use platen_model::api::Document;
use platen_model::event::Status;
use platen_model::{Digest, PageText, PolicyRef, Recipient, Verdict, Violation};
use serde::Deserialize;

use crate::auth::Scopes;
use crate::signing::Offers;
use crate::store::record::Record;
use conditions::Facts;
use recipients::Directory;
use routes::RouteText;
use validation::{Validation, ValidationText};

mod conditions;
pub mod dry_run;
pub mod explain;
pub mod in_force;
mod recipients;
mod routes;
mod validation;

pub use conditions::amount;
pub use recipients::{is_address, telephone};
pub use routes::{Route, can_serve, span};

/// Most routes in a policy.
const ROUTES: usize = 1_000;
/// The most envelopes of a document that expire one after the other before they are sent, each made anew without a person.
const UNSENT_MAX: u32 = 3;

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
    source: Source,
    validation: Validation,
    routes: Vec<Route>,
    directory: Directory,
}

/// The texts a policy is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The policy file.
    pub policy: String,
    /// The directory of people, where the policy names one.
    pub directory: Option<String>,
}

impl Source {
    /// The digest that names the policy: of the policy file's bytes, followed by the directory's where there is one.
    pub fn sha256(&self) -> Digest {
        let directory = self.directory.as_deref().unwrap_or_default();
        Digest::of(format!("{}{directory}", self.policy).as_bytes())
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: String,
    directory: Option<String>,
    #[serde(default)]
    validation: ValidationText,
    #[serde(default)]
    route: Vec<RouteText>,
}

/// A route that matched, with what depends on the document filled in.
#[derive(Debug)]
pub struct Chosen<'p> {
    /// The route.
    pub route: &'p Route,
    /// Who signs, approves and gets a copy, by order.
    pub recipients: Vec<Recipient>,
}

/// What speaks against letting a document go on without a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// What a person has to look at, each as a sentence.
    pub doubts: Vec<String>,
    /// The rules it does not keep.
    pub violations: Vec<Violation>,
}

impl Judgement {
    /// Whether nobody has to see it.
    pub fn is_clear(&self) -> bool {
        self.doubts.is_empty() && self.violations.is_empty()
    }

    /// All reasons, each as a sentence.
    pub fn reasons(&self) -> Vec<String> {
        let violations = self.violations.iter().map(|violation| violation.message.clone());
        self.doubts.iter().cloned().chain(violations).collect()
    }
}

impl Policy {
    /// Loads a policy file for an installation with these signing accounts.
    pub fn load(path: &Path, offers: &Offers) -> Result<Self, PolicyError> {
        let place = path.display().to_string();
        let wrong = |message: String| PolicyError { place: place.clone(), message };
        let policy = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let file = parse_file(&policy, &place)?;
        let directory = match (&file.directory, path.parent()) {
            (Some(beside), Some(folder)) => {
                let path = folder.join(beside);
                let text = std::fs::read_to_string(&path);
                Some(text.map_err(|error| wrong(format!("{}: {error}", path.display())))?)
            }
            _ => None,
        };
        Self::compile(file, Source { policy, directory }, &place, offers)
    }

    /// The policy that is used where none is configured.
    pub fn built_in() -> Self {
        Self::parse(include_str!("../../policies/default.toml"), "policies/default.toml", &Offers::new())
            .expect("the built-in policy is checked by a test")
    }

    /// Loads a policy from text; `name` stands for the file in errors. It has no directory.
    pub fn parse(text: &str, name: &str, offers: &Offers) -> Result<Self, PolicyError> {
        Self::of_source(Source { policy: text.to_owned(), directory: None }, name, offers)
    }

    /// Loads a policy from the texts of its files; `name` stands for the file in errors.
    pub fn of_source(source: Source, name: &str, offers: &Offers) -> Result<Self, PolicyError> {
        Self::compile(parse_file(&source.policy, name)?, source, name, offers)
    }

    fn compile(file: File, source: Source, name: &str, offers: &Offers) -> Result<Self, PolicyError> {
        let wrong = |message: String| PolicyError { place: name.to_owned(), message };
        if file.route.is_empty() {
            return Err(wrong("a policy has at least one [[route]]".into()));
        }
        if file.route.len() > ROUTES {
            return Err(wrong(format!("a policy has at most {ROUTES} routes")));
        }
        let directory = match (&file.directory, &source.directory) {
            (Some(path), Some(text)) => {
                Directory::parse(text).map_err(|why| wrong(format!("{path}: {why}")))?
            }
            (Some(_), None) => return Err(wrong("it names a `directory`, whose text is not here".into())),
            (None, _) => Directory::default(),
        };
        let validation = Validation::compile(file.validation)
            .map_err(|message| PolicyError { place: format!("{name}, validation"), message })?;
        let reference = PolicyRef { name: "routing".into(), version: file.version, sha256: source.sha256() };
        let routes = file
            .route
            .into_iter()
            .map(|route| {
                let place = format!("{name}, route {:?}", route.name);
                Route::compile(route, &directory, offers).map_err(|message| PolicyError { place, message })
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { reference, source, validation, routes, directory })
    }

    /// The policy, named exactly.
    pub fn reference(&self) -> &PolicyRef {
        &self.reference
    }

    /// The texts it was made of.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The routes, in order.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }

    /// Whether somebody with these scopes may let a document go on that does not keep the rules of validation.
    pub fn may_override(&self, scopes: &Scopes) -> bool {
        self.validation.may_override(scopes)
    }

    /// What speaks against letting this document go on without a person.
    pub fn judge(&self, record: &Record, text: Option<&PageText>) -> Judgement {
        Judgement { doubts: self.doubts(record, text), violations: self.violations(&record.document, text) }
    }

    /// What a person has to look at.
    fn doubts(&self, record: &Record, text: Option<&PageText>) -> Vec<String> {
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
        let unsure = self.validation.unsure_fields(document).into_iter().map(|(name, field, least)| {
            let percent = |share: f32| format!("{:.0} %", share * 100.0);
            let (is, least) = (percent(field.confidence), percent(least));
            format!(
                "\"{name}\" was read as \"{}\" with a confidence of {is}; {least} is asked for.",
                field.value
            )
        });
        doubts.extend(unsure);
        let least = self.validation.minimum_confidence(&document.document_type.0);
        if document.document_type.is_unknown() {
            doubts.push(match text.is_some_and(PageText::is_blank) {
                true => "There is nothing on its pages: they are blank.".to_owned(),
                false => "The rules do not know what kind of document this is.".to_owned(),
            });
        } else if document.confidence < least {
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
        doubts
    }

    /// The rules a document does not keep as it is now. Without its page text nothing is said about its words.
    pub fn violations(&self, document: &Document, text: Option<&PageText>) -> Vec<Violation> {
        let facts = Facts::of(document);
        let mut found = self.validation.violations(document, &facts, text);
        // Of a document that no route takes nobody can say who should sign it: that is for the route's step to say.
        if let Ok(Some(route)) = self.matching(&facts)
            && let Err(unknown) = route.recipients_of(document, &self.directory)
        {
            found.push(Violation {
                field: unknown.field,
                rule: Violation::SIGNERS.into(),
                message: format!(
                    "By the route \"{}\" it cannot be said who signs: {}.",
                    route.name, unknown.message
                ),
                remedy: "Correct the field that names them, the document's type, or the policy's directory."
                    .into(),
            });
        }
        found
    }

    fn matching(&self, facts: &Facts) -> Result<Option<&Route>, PolicyError> {
        for route in &self.routes {
            let wrong = |message: String| PolicyError { place: format!("route {:?}", route.name), message };
            if route.holds(facts).map_err(wrong)? {
                return Ok(Some(route));
            }
        }
        Ok(None)
    }

    /// The first route that matches. An error names the route and says why the document cannot take it.
    pub fn route(&self, document: &Document) -> Result<Chosen<'_>, PolicyError> {
        let route = self.matching(&Facts::of(document))?.ok_or_else(|| PolicyError {
            place: format!("routing policy {}", self.reference.version),
            message: "no route matches this document".into(),
        })?;
        let recipients = route.recipients_of(document, &self.directory).map_err(|unknown| PolicyError {
            place: format!("route {:?}", route.name),
            message: unknown.message,
        })?;
        Ok(Chosen { route, recipients })
    }
}

fn parse_file(text: &str, name: &str) -> Result<File, PolicyError> {
    toml::from_str(text).map_err(|error| {
        let line =
            error.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        PolicyError { place: format!("{name}:{line}"), message: error.message().to_owned() }
    })
}

impl Policy {
    /// Whether a document whose envelope ended like this is sent on its way again without a person: to the fallback of
    /// who declined, once, or anew after it expired. One that expired before anybody was asked, for its route was paused or
    /// its provider away, is sent anew whatever its route says, and does not count there.
    pub fn goes_on(&self, record: &Record) -> bool {
        let name = record.document.route.as_deref();
        let Some(route) = self.routes.iter().find(|route| Some(route.name.as_str()) == name) else {
            return false;
        };
        match record.document.status {
            Status::Declined => route.on_decline.is_some() && record.ends.declined_by.len() == 1,
            Status::Expired if record.ends.unsent > 0 => record.ends.unsent <= UNSENT_MAX,
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
                let other = fallback.of(recipient.order, document, &self.directory);
                let other = other.map_err(|unknown| unknown.message)?;
                *recipient = Recipient { role: recipient.role, order: recipient.order, ..other };
            }
        }
        Ok(recipients)
    }
}

#[cfg(test)]
mod tests;
