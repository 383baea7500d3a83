//! The approval payload of a document, as it is now or as it was after an event.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use platen_model::approval::{
    APPROVAL_VERSION, ApprovalDigests, ApprovalField, ApprovalMetadata, ApprovalRoute, Approver, Initiator,
};
use platen_model::event::{Actor, Event, EventBody};
use platen_model::{Approval, DocumentId, PartRole, TenantId};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::documents::find;
use crate::app::App;
use crate::auth::{Caller, Scope};
use crate::http::read::Named;
use crate::integrity;
use crate::policy::amount;
use crate::refusal::Refusal;
use crate::store::StoreError;
use crate::store::record::Record;

/// The fields an amount is taken from, the first that holds one.
const AMOUNTS: [&str; 2] = ["total", "amount"];

/// The routes of this module.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(payload))
}

/// The canonical approval payload of a document as it is now: what webhooks carry, by the schema
/// `docs/schemas/approval-1.json`.
#[utoipa::path(get, path = "/v1/documents/{id}/payload", tag = "documents", operation_id = "approval_payload",
    params(("id" = DocumentId, Path, description = "The document.")),
    security(("oauth2" = ["documents:read"]), ("session" = [])),
    responses((status = 200, description = "The payload.", body = Approval)))]
async fn payload(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Json<Approval>, Refusal> {
    caller.must(Scope::DocumentsRead)?;
    let document = find(&app, caller.tenant(), &id).await?.document.document_id;
    let found = of_document(&app, caller.tenant(), document, None).await?;
    found.map(Json).ok_or_else(|| Refusal::internal(format!("document {document} has no events")))
}

/// The JSON Schema of the payload (2020-12), made from its part of the contract.
pub fn schema() -> Value {
    let contract = crate::http::openapi();
    let all = &contract["components"]["schemas"];
    let (mut names, mut definitions) = (vec!["Approval".to_owned()], serde_json::Map::new());
    while let Some(name) = names.pop() {
        if definitions.contains_key(&name) {
            continue;
        }
        let mut schema = all[&name].clone();
        localise(&mut schema, &mut names);
        definitions.insert(name, schema);
    }
    let mut schema = definitions.remove("Approval").unwrap_or_default();
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["$id"] = json!(format!("urn:platen:schema:approval:{APPROVAL_VERSION}"));
    schema["title"] = json!("Approval payload");
    schema["properties"]["version"] =
        json!({ "const": APPROVAL_VERSION, "description": "The version of this form." });
    schema["$defs"] = Value::Object(definitions);
    schema
}

/// Makes references into the contract references into the schema itself, and collects what they name.
fn localise(schema: &mut Value, names: &mut Vec<String>) {
    match schema {
        Value::Object(map) => {
            // OpenAPI's own; JSON Schema tells variants apart by what they say.
            map.retain(|name, value| name != "discriminator" || value["propertyName"].is_null());
            if let Some(Value::String(reference)) = map.get_mut("$ref")
                && let Some(name) = reference.strip_prefix("#/components/schemas/").map(str::to_owned)
            {
                *reference = format!("#/$defs/{name}");
                names.push(name);
            }
            map.values_mut().for_each(|value| localise(value, names));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| localise(value, names)),
        _ => {}
    }
}

/// The payload of a document after an event of its chain; after its last where none is named.
pub async fn of_document(
    app: &App,
    tenant: &TenantId,
    document: DocumentId,
    sequence: Option<u64>,
) -> Result<Option<Approval>, StoreError> {
    let steps = integrity::history(&app.store, &app.keep.blobs, tenant, document).await?;
    let end = sequence.map_or(steps.len(), |sequence| usize::try_from(sequence).unwrap_or(usize::MAX));
    let steps = &steps[..end.min(steps.len())];
    Ok(steps.last().map(|(_, record)| approval(record, steps.iter().map(|(event, _)| event))))
}

/// The payload of a document and its events so far.
fn approval<'e>(record: &Record, events: impl Iterator<Item = &'e Event>) -> Approval {
    let document = &record.document;
    let (mut actor, mut policy) = (Actor::System, None);
    for event in events {
        match &event.body {
            EventBody::Received { .. } => actor = event.actor.clone(),
            EventBody::Routed { policy: by, .. } => policy = Some(by.clone()),
            _ => {}
        }
    }
    let value = |name: &&str| Some(document.fields.get(*name)?.value.trim());
    let amount = AMOUNTS.iter().filter_map(value).find_map(|text| Some((text, amount(text)?.1)));
    let done: BTreeSet<&str> = record.signed_by.iter().map(String::as_str).collect();
    let all_done = record.signed_sha256.is_some();
    let digests =
        |role: PartRole| record.parts.iter().filter(move |part| part.role == role).map(|part| part.sha256);
    Approval {
        version: APPROVAL_VERSION,
        document_id: document.document_id,
        tenant_id: document.tenant_id.clone(),
        document_type: document.document_type.clone(),
        confidence: document.confidence,
        status: document.status,
        sequence: document.version,
        initiator: Initiator { actor, source: document.source.clone() },
        approvers: record
            .recipients
            .iter()
            .map(|recipient| Approver {
                address: recipient.address.clone(),
                name: recipient.name.clone(),
                role: recipient.role,
                order: recipient.order,
                done: recipient.role.acts() && (all_done || done.contains(recipient.address.as_str())),
            })
            .collect(),
        metadata: ApprovalMetadata {
            file_name: document.file_name.clone(),
            department: document.department.clone(),
            page_count: document.page_count,
            received_at: document.created_at,
            amount: amount.map(|(text, _)| text.split(' ').next().unwrap_or_default().to_owned()),
            currency: amount.and_then(|(_, currency)| currency).map(str::to_owned),
        },
        fields: document
            .fields
            .iter()
            .map(|(name, field)| {
                let field = ApprovalField { value: field.value.clone(), confidence: field.confidence };
                (name.clone(), field)
            })
            .collect(),
        violations: document.violations.clone(),
        reviewed_by: record.approved_by.clone(),
        route: document.route.clone().zip(policy).map(|(name, policy)| ApprovalRoute {
            name,
            policy,
            provider: record.provider.clone(),
            tags: document.policy_tags.clone(),
            retention_class: document.retention_class.clone(),
            expires_at: record.expires_at,
        }),
        envelope_id: document.envelope_id,
        digests: ApprovalDigests {
            originals: digests(PartRole::Original).collect(),
            normalized: digests(PartRole::Normalized).next(),
            signed: record.signed_sha256,
            evidence: record.evidence_sha256,
        },
        correlation_id: document.correlation_id.clone(),
    }
}
