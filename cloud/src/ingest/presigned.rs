//! Uploads that go to the bucket itself, by an address signed for one PUT: the bytes of a large file do not pass this
//! server twice.
//!
//! Such an upload is one of tus with a single piece, whose place is known from the beginning. Nothing of it counts until
//! the sender says that it is there (`complete`): then its length is looked at, and from there on it is as if it had come
//! here. An address that is never used, or bytes that nobody completes, go when the upload's time is over.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use platen_model::{Digest, UploadId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{limits, tus};
use crate::app::App;
use crate::auth::{Caller, Scope};
use crate::http::read::{Body, Named};
use crate::refusal::Refusal;
use crate::store::uploads::{self, Piece, Upload};

/// How long an address may be used.
const ADDRESS_TIME: Duration = Duration::from_secs(3600);

/// The routes of this module.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(begin)).routes(routes!(complete))
}

/// What will be sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Announcement {
    /// The digest of the bytes.
    sha256: Digest,
    /// Their number.
    #[schema(minimum = 1, maximum = 5_368_709_120i64)]
    bytes: u64,
    /// Their media type.
    #[schema(max_length = 100, pattern = "^[a-z0-9.+-]+/[a-z0-9.+-]+$")]
    mime: String,
}

/// Where to send it.
#[derive(Debug, Serialize, ToSchema)]
struct Presigned {
    /// The upload.
    upload_id: UploadId,
    /// Where to PUT the bytes. The address is a secret: whoever has it can send them.
    url: String,
    /// Until when.
    expires_at: Timestamp,
}

/// Begins an upload that goes to the bucket itself: answers an address for one PUT. Then call `complete`.
#[utoipa::path(post, path = "/v1/presigned-uploads", tag = "uploads", operation_id = "presign_upload",
    security(("oauth2" = ["documents:write"]), ("session" = [])), request_body = Announcement,
    responses((status = 201, description = "Send it there.", body = Presigned),
        (status = 409, description = "The blobs are in no bucket: use tus.", body = platen_model::Problem,
            content_type = "application/problem+json"),
        (status = 507, description = "As many uploads as may be are under way, or as many bytes.",
            body = platen_model::Problem, content_type = "application/problem+json")))]
async fn begin(
    State(app): State<App>,
    caller: Caller,
    Body(announced): Body<Announcement>,
) -> Result<Response, Refusal> {
    caller.must(Scope::DocumentsWrite)?;
    let tenant = caller.tenant();
    let largest = limits::of(&app, tenant).await?.part_bytes;
    if announced.bytes > largest {
        return Err(tus::too_large(announced.bytes, largest));
    }
    let Some((name, url)) = app.keep.blobs.presigned_piece(ADDRESS_TIME).await? else {
        return Err(Refusal::conflict("the blobs are in no bucket").help("upload it by tus: /v1/uploads"));
    };
    let Announcement { sha256, bytes, mime } = announced;
    let (upload_id, expires_at) = (UploadId::new(), tus::expiry(&app));
    let upload = Upload { upload_id, sha256, mime, bytes, received: 0, expires_at };
    let piece = Piece { begins: 0, bytes, name };
    let mut write = app.store.begin().await?;
    limits::must_have_room(&app, &mut write, tenant, bytes).await?;
    uploads::insert_presigned(&mut write, tenant, &upload, &piece).await?;
    write.commit().await?;
    let lasts = SignedDuration::try_from(ADDRESS_TIME).unwrap_or(SignedDuration::MAX);
    let expires_at = Timestamp::now().checked_add(lasts).unwrap_or(Timestamp::MAX);
    Ok((StatusCode::CREATED, Json(Presigned { upload_id, url, expires_at })).into_response())
}

/// Says that the bytes are in the bucket. They are read against their digest, and are a part from then on.
#[utoipa::path(post, path = "/v1/presigned-uploads/{id}/complete", tag = "uploads", operation_id = "complete_upload",
    params(("id" = inline(UploadId), Path, description = "The upload.")),
    security(("oauth2" = ["documents:write"]), ("session" = [])),
    responses((status = 204, description = "They are durable, and what they should be."),
        (status = 409, description = "They are not there, or not all.", body = platen_model::Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "They do not have the digest that was announced; nothing of them is kept.",
            body = platen_model::Problem, content_type = "application/problem+json")))]
async fn complete(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<StatusCode, Refusal> {
    caller.must(Scope::DocumentsWrite)?;
    // On a task of its own: reading a large object takes a while, and whoever asks again must find it done.
    let work = async move { tus::complete_presigned(&app, caller.tenant(), &id).await };
    tokio::spawn(work).await.map_err(Refusal::internal)??;
    Ok(StatusCode::NO_CONTENT)
}
