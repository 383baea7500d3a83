//! Pictures of pages: rendered once by a worker, kept as blobs, found again by PDF or scan, page and width.

use std::io::{Read as _, Seek as _};
use std::os::fd::AsFd as _;
use std::sync::Arc;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use platen_capture::options::Limits;
use platen_capture::worker::protocol::{Reply, Request};
use platen_model::{Digest, Failure, FailureClass, TenantId};

use crate::app::App;
use crate::refusal::Refusal;
use crate::store::{Store, StoreError, now_ms};

/// The width of a picture in pixels: sharp on the screens that show it, small enough to send.
const WIDTH_PX: u32 = 1_240;
/// How long a picture is kept, in milliseconds.
const KEPT_MS: i64 = 30 * 24 * 3_600 * 1_000;

/// The answer to `.../pages/{n}.png` of a PDF with so many pages, counted from 1.
pub async fn answer(
    app: &App,
    tenant: &TenantId,
    pdf: Digest,
    pages: u32,
    name: &str,
) -> Result<Response, Refusal> {
    let number = name.strip_suffix(".png").and_then(|number| number.parse::<u32>().ok());
    let page = number.and_then(|number| number.checked_sub(1)).filter(|page| *page < pages);
    let page = page.ok_or_else(|| Refusal::not_found(format!("page {name}")))?;
    answer_with(app, tenant, pdf, page, Request::Render { page, width_px: WIDTH_PX }).await
}

/// A page (from 0) of an original as it was scanned.
pub async fn answer_scan(app: &App, tenant: &TenantId, scan: Digest, page: u32) -> Result<Response, Refusal> {
    let limits = Limits::default();
    answer_with(app, tenant, scan, page, Request::RenderScan { page, width_px: WIDTH_PX, limits }).await
}

async fn answer_with(
    app: &App,
    tenant: &TenantId,
    source: Digest,
    page: u32,
    request: Request,
) -> Result<Response, Refusal> {
    let sha256 = match find(app, tenant, source, page).await? {
        Some(sha256) => sha256,
        None => render(app, tenant, source, page, request).await?,
    };
    let bytes = app.keep.get(tenant, sha256).await?;
    let headers =
        [(header::CONTENT_TYPE, "image/png"), (header::CACHE_CONTROL, "private, max-age=3600, immutable")];
    Ok((headers, bytes).into_response())
}

/// `pdf_sha256` is an original's where the page was shown from it.
async fn find(app: &App, tenant: &TenantId, pdf: Digest, page: u32) -> Result<Option<Digest>, Refusal> {
    let row: Option<(String,)> = sqlx::query_as(
        "SELECT png_sha256 FROM page_pictures
         WHERE tenant_id = $1 AND pdf_sha256 = $2 AND page = $3 AND width_px = $4",
    )
    .bind(tenant.as_str())
    .bind(pdf.to_string())
    .bind(i64::from(page))
    .bind(i64::from(WIDTH_PX))
    .fetch_optional(app.store.reading())
    .await?;
    row.map(|(sha256,)| sha256.parse().map_err(Refusal::internal)).transpose()
}

async fn render(
    app: &App,
    tenant: &TenantId,
    pdf: Digest,
    page: u32,
    request: Request,
) -> Result<Digest, Refusal> {
    let (source, _) = app.keep.open(tenant, pdf).await?;
    let workers = Arc::clone(&app.pool);
    let png = tokio::task::spawn_blocking(move || {
        let mut target = tempfile::tempfile().map_err(Refusal::internal)?;
        match workers.call(&request, &[source.as_fd(), target.as_fd()]) {
            Ok(Reply::Rendered { .. } | Reply::Shown) => {}
            Ok(other) => {
                return Err(Refusal::internal(format!("the worker answered something else: {other:?}")));
            }
            Err(failure) => return Err(no_picture(&failure)),
        }
        let mut png = Vec::new();
        target.rewind().map_err(Refusal::internal)?;
        target.read_to_end(&mut png).map_err(Refusal::internal)?;
        Ok(png)
    });
    let png = png.await.map_err(Refusal::internal)??;
    let sha256 = app.keep.put(tenant, png, "image/png").await?;
    sqlx::query(
        "INSERT INTO page_pictures (tenant_id, pdf_sha256, page, width_px, png_sha256, made_ms)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
    )
    .bind(tenant.as_str())
    .bind(pdf.to_string())
    .bind(i64::from(page))
    .bind(i64::from(WIDTH_PX))
    .bind(sha256.to_string())
    .bind(now_ms())
    .execute(app.store.writing())
    .await?;
    Ok(sha256)
}

/// Forgets pictures that were made long ago: they are rendered again when somebody wants to see them. From now on their bytes
/// are garbage. A chore; answers how many.
pub(crate) async fn forget(store: &Store) -> Result<u64, StoreError> {
    let (mut forgotten, before) = (0, now_ms() - KEPT_MS);
    loop {
        let mut write = store.begin().await?;
        sqlx::query(LET_GO).bind(before).bind(now_ms()).execute(&mut *write).await?;
        let done = sqlx::query(FORGET).bind(before).execute(&mut *write).await?;
        write.commit().await?;
        if done.rows_affected() == 0 {
            return Ok(forgotten);
        }
        forgotten += done.rows_affected();
    }
}

pub(crate) const FORGET: &str = "DELETE FROM page_pictures WHERE png_sha256 IN (
     SELECT png_sha256 FROM page_pictures WHERE made_ms < $1 ORDER BY made_ms LIMIT 100)";
/// The delay of garbage runs from here, not from when the picture was made.
pub(crate) const LET_GO: &str = "UPDATE blobs SET created_ms = $2 WHERE sha256 IN (
     SELECT png_sha256 FROM page_pictures WHERE made_ms < $1 ORDER BY made_ms LIMIT 100)";

/// A page that its file does not let us show is no fault of the server.
fn no_picture(failure: &Failure) -> Refusal {
    match failure.class {
        FailureClass::Internal | FailureClass::TimedOut | FailureClass::OutOfMemory => {
            Refusal::internal(failure)
        }
        _ => Refusal::not_found(format!("picture: {failure}")),
    }
}
