//! Why a document goes where it goes: each route with its condition taken apart, and the values each part saw.

use std::collections::BTreeMap;

use platen_model::api::Document;
use platen_model::{PageText, PolicyRef, Recipient, Violation};
use serde::Serialize;
use utoipa::ToSchema;

use super::conditions::{Answer, Facts, Part};
use super::{Policy, Route};
use crate::store::record::Record;

/// What a policy makes of a document as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Routing {
    /// The policy.
    pub policy: PolicyRef,
    /// The route it takes, where one matches.
    pub route: Option<String>,
    /// What a person has to look at, each as a sentence.
    pub doubts: Vec<String>,
    /// The rules of validation it does not keep.
    pub violations: Vec<Violation>,
    /// Each route, in order.
    pub routes: Vec<RouteExplained>,
}

/// What one route makes of a document.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct RouteExplained {
    /// Its name.
    pub route: String,
    /// Whether the document takes it.
    pub outcome: RouteOutcome,
    /// Its condition, as written.
    pub when: String,
    /// The parts of the condition that `&&` and `||` join, each with its answer.
    pub parts: Vec<PartExplained>,
    /// Why the condition cannot be asked, or why it cannot be said who signs.
    pub problem: Option<String>,
    /// The signing account; none archives without a signature.
    pub provider: Option<String>,
    /// Who would sign, approve and get a copy, where its condition holds.
    pub recipients: Vec<Recipient>,
    /// How many people must have approved a document before it is sent.
    pub approvals: u32,
}

/// Whether a document takes a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RouteOutcome {
    /// It is the first whose condition holds.
    Chosen,
    /// Its condition holds, but an earlier route was chosen.
    TooLate,
    /// Its condition does not hold.
    NoMatch,
    /// Its condition cannot be asked.
    Failed,
}

/// A part of a condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PartExplained {
    /// As written.
    pub part: String,
    /// Whether it holds.
    pub holds: bool,
    /// Why it has no answer: what it asks for is not there, or cannot be compared.
    pub problem: Option<String>,
    /// What it saw, by the names in it, in the words of CEL; `null` where there is nothing of the name.
    pub values: BTreeMap<String, Option<String>>,
}

impl From<Part> for PartExplained {
    fn from(part: Part) -> Self {
        let problem = match &part.answer {
            Ok(Answer::Missing(what)) => Some(format!("there is no `{what}`")),
            Ok(_) => None,
            Err(error) => Some(error.clone()),
        };
        Self { holds: part.answer == Ok(Answer::Yes), part: part.text, problem, values: part.values }
    }
}

impl Policy {
    /// Why a document goes where it goes.
    pub fn explain(&self, record: &Record, text: Option<&PageText>) -> Routing {
        let document = &record.document;
        let facts = Facts::of(document);
        let mut chosen: Option<&Route> = None;
        let mut routes = Vec::new();
        for route in &self.routes {
            let holds = route.holds(&facts);
            let outcome = match (&holds, chosen) {
                (Err(_), _) => RouteOutcome::Failed,
                (Ok(false), _) => RouteOutcome::NoMatch,
                (Ok(true), None) => RouteOutcome::Chosen,
                (Ok(true), Some(_)) => RouteOutcome::TooLate,
            };
            if outcome == RouteOutcome::Chosen {
                chosen = Some(route);
            }
            routes.push(self.explain_route(route, document, &facts, holds, outcome));
            // Nothing behind a condition that cannot be asked is looked at: the document stops there.
            if outcome == RouteOutcome::Failed && chosen.is_none() {
                break;
            }
        }
        let judgement = self.judge(record, text);
        Routing {
            policy: self.reference.clone(),
            route: chosen.map(|route| route.name.clone()),
            doubts: judgement.doubts,
            violations: judgement.violations,
            routes,
        }
    }

    fn explain_route(
        &self,
        route: &Route,
        document: &Document,
        facts: &Facts,
        holds: Result<bool, String>,
        outcome: RouteOutcome,
    ) -> RouteExplained {
        let (recipients, problem) = match holds {
            Err(error) => (Vec::new(), Some(error)),
            Ok(false) => (Vec::new(), None),
            Ok(true) => match route.recipients_of(document, &self.directory) {
                Ok(recipients) => (recipients, None),
                Err(unknown) => (Vec::new(), Some(unknown.message)),
            },
        };
        RouteExplained {
            route: route.name.clone(),
            outcome,
            when: route.when.text.clone(),
            parts: route.when.parts(facts).into_iter().map(PartExplained::from).collect(),
            problem,
            provider: route.provider.clone(),
            recipients,
            approvals: route.approvals,
        }
    }
}

/// For a person at a terminal.
impl std::fmt::Display for Routing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "policy {} {}, sha256 {}", self.policy.name, self.policy.version, self.policy.sha256)?;
        for doubt in &self.doubts {
            writeln!(f, "doubt: {doubt}")?;
        }
        for violation in &self.violations {
            writeln!(f, "{}: {} {}", violation.place(), violation.message, violation.remedy)?;
        }
        for route in &self.routes {
            let outcome = match route.outcome {
                RouteOutcome::Chosen => "is taken",
                RouteOutcome::TooLate => "would match, but an earlier one was taken",
                RouteOutcome::NoMatch => "does not match",
                RouteOutcome::Failed => "cannot be asked",
            };
            writeln!(f, "route {:?} {outcome}", route.route)?;
            for part in &route.parts {
                let mark = if part.holds { "yes" } else { "no " };
                writeln!(f, "  {mark} {}", part.part)?;
                for (name, value) in &part.values {
                    writeln!(f, "        {name} = {}", value.as_deref().unwrap_or("(nothing)"))?;
                }
            }
            if let Some(problem) = &route.problem {
                writeln!(f, "  {problem}")?;
            }
            if route.outcome == RouteOutcome::Chosen {
                match &route.provider {
                    Some(provider) => writeln!(f, "  at {provider}")?,
                    None => writeln!(f, "  to the archive, without a signature")?,
                }
                if route.approvals > 0 {
                    writeln!(f, "  after {} approvals", route.approvals)?;
                }
                for recipient in &route.recipients {
                    let role = serde_json::to_value(recipient.role).unwrap_or_default();
                    let role = role.as_str().unwrap_or_default();
                    writeln!(f, "  {}. {role} {}", recipient.order, recipient.address)?;
                }
            }
        }
        if self.route.is_none() {
            writeln!(f, "no route takes it: it would be quarantined")?;
        }
        Ok(())
    }
}
