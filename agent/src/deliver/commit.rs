//! The manifest: what commits a document, and the receipt that answers it.

use platen_model::manifest::{SIGNATURE_HEADER, SignedReceipt};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode};
use serde::Deserialize;

use super::courier::Courier;
use super::trouble::Trouble;
use crate::spool::{Receipted, SpooledDocument};

/// The media type of a manifest.
pub const MANIFEST_TYPE: &str = "application/vnd.platen.manifest+json";

/// What matters of the answer.
#[derive(Deserialize)]
struct Accepted {
    receipt: SignedReceipt,
}

/// Posts the manifest's exact bytes, checks the receipt and keeps it.
pub(super) async fn commit(courier: &Courier, document: &SpooledDocument) -> Result<Receipted, Trouble> {
    let url = format!("{}/v1/documents", courier.url);
    let signature = format!("{} {}", courier.device, courier.key.sign(&document.manifest_bytes));
    let response = courier
        .send(Method::POST, &url, &document.manifest.correlation_id, |request| {
            request
                .header(CONTENT_TYPE, MANIFEST_TYPE)
                .header(SIGNATURE_HEADER, signature)
                .header("Idempotency-Key", document.manifest.document_id.to_string())
                .body(document.manifest_bytes.clone())
        })
        .await?;
    if !matches!(response.status(), StatusCode::OK | StatusCode::ACCEPTED) {
        return Err(Trouble::of_answer("committing the document", response).await);
    }
    let accepted: Accepted = response.json().await.map_err(|error| Trouble::of_request(&error))?;
    document.accept(&accepted.receipt, &courier.receipt_key).map_err(|error| {
        Trouble::Person(format!("the cloud's receipt is not accepted, the document is kept: {error}"))
    })
}
