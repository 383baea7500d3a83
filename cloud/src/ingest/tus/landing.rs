//! Where the bytes of an upload wait until all are there and they become a blob.
//!
//! **On one node** ([`Engine::Sqlite`]) in a file of the incoming folder: bytes are appended and fsynced, then the offset
//! is recorded. What the file holds beyond the recorded offset was never acknowledged and is cut off before the next byte
//! is written. Of a long body without a checksum that is done every few megabytes, so that a process that dies loses no more
//! than that. A file that holds less than the recorded offset (or is gone, after a crash while the upload became a
//! blob) sends the upload back to its beginning.
//!
//! **On several nodes** ([`Engine::Postgres`]) in pieces, kept where the blobs are, so that a client whose node dies goes
//! on at any other. A piece is stored first and then recorded together with the offset behind it, where the offset is
//! still the one the request began at: two nodes that are sent bytes of one upload cannot both move it. A piece that
//! nobody recorded is garbage ([`sweep_pieces`]).
//!
//! Bytes that came with a checksum are recorded only when all of them are compared, or the line was cut.

use std::collections::BTreeMap;
use std::io::{Seek as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::StatusCode;
use futures_util::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use platen_capture::decode;
use platen_model::{TenantId, UploadId, crash, durable};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};
use uuid::Uuid;

use super::turn::Turn;
use super::{elsewhere, find};
use crate::app::App;
use crate::blobs::{BlobError, off_the_reactor};
use crate::jobs::capture::FOLDER_PREFIX;
use crate::refusal::Refusal;
use crate::store::blobs::{self as visibility, Visible};
use crate::store::uploads::{self, Piece, Upload};
use crate::store::{Engine, now_ms};

/// The status of a failed checksum, by the checksum extension.
const CHECKSUM_MISMATCH: u16 = 460;
/// The longest pause of a body whose client has come back with another request.
const LAST_BYTES_TIME: Duration = Duration::from_millis(100);
/// The largest piece, in bytes: what is lost at most when a node dies.
const PIECE_BYTES: usize = 8 << 20;
/// Pieces that are looked for at once.
const LOOKED_FOR_AT_ONCE: usize = 16;
/// How long the row of an upload that became a blob is kept, in seconds: a client whose answer was lost asks again.
const FINISHED_SECONDS: i64 = 3_600;
/// How long a piece that nobody recorded is kept, in seconds: longer than any request writes to one.
const STRAY_SECONDS: i64 = 24 * 3600;
/// Bytes of a file that say what it is.
pub(in crate::ingest) const HEAD_BYTES: usize = 2_048;

/// Begins an upload without bytes.
pub(super) async fn begin(app: &App, upload: &Upload) -> Result<(), Refusal> {
    if app.store.engine() == Engine::Sqlite {
        let path = file_of(app, upload.upload_id);
        off_the_reactor(move || Ok(durable::write(&path, b"")?)).await?;
    }
    Ok(())
}

/// Takes a body in behind the recorded offset, and records how far it came: `upload` says so afterwards. Answers why it
/// ended early, where it did; one that is too long is refused.
pub(super) async fn take(
    app: &App,
    tenant: &TenantId,
    upload: &mut Upload,
    turn: &Turn,
    body: Body,
    checksum: Option<[u8; 32]>,
) -> Result<Option<String>, Refusal> {
    let mut incoming = Incoming::of(app, upload, turn, body);
    match app.store.engine() {
        Engine::Sqlite => to_file(app, tenant, upload, &mut incoming, checksum).await?,
        Engine::Postgres => to_pieces(app, tenant, upload, &mut incoming, checksum).await?,
    }
    Ok(incoming.cut)
}

/// A body that is being read.
struct Incoming<'t> {
    stream: BodyDataStream,
    turn: &'t Turn,
    pause: Duration,
    room: u64,
    hasher: Sha256,
    bytes: u64,
    cut: Option<String>,
}

impl<'t> Incoming<'t> {
    fn of(app: &App, upload: &Upload, turn: &'t Turn, body: Body) -> Self {
        let pause = Duration::from_secs(app.config.limits.request_seconds);
        let room = upload.bytes - upload.received;
        let (stream, hasher) = (body.into_data_stream(), Sha256::new());
        Self { stream, turn, pause, room, hasher, bytes: 0, cut: None }
    }

    /// The next bytes; `None` at the end, whole or cut. A body that pauses for longer than `limits.request_seconds`, or
    /// whose client has come back with another request, counts as cut off.
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        let asked = &self.turn.holder.asked;
        let chunk = loop {
            tokio::select! {
                biased;
                chunk = tokio::time::timeout(self.pause, self.stream.next()) => break chunk,
                () = asked.cancelled(), if self.pause > LAST_BYTES_TIME => {
                    // What lies in the connection already is kept; no more will come of it.
                    self.pause = LAST_BYTES_TIME;
                }
            }
        };
        match chunk {
            Err(_) if asked.is_cancelled() => {
                self.cut = Some("the client has come back with another request".into());
            }
            Err(_) => {
                let seconds = self.pause.as_secs();
                self.cut = Some(format!("nothing came for {seconds} s (limits.request_seconds)"));
            }
            Ok(None) => {}
            Ok(Some(Err(error))) => self.cut = Some(error.to_string()),
            Ok(Some(Ok(chunk))) => {
                self.bytes += chunk.len() as u64;
                if self.bytes > self.room {
                    let detail = "more bytes came than were announced";
                    return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
                        .help("ask for the offset with HEAD and send the rest"));
                }
                self.hasher.update(&chunk);
                return Ok(Some(chunk));
            }
        }
        Ok(None)
    }

    /// Whether what came may be kept. Half a chunk cannot be compared with the checksum of a whole one.
    fn holds(&self, checksum: Option<[u8; 32]>) -> Result<(), Refusal> {
        let Some(promised) = checksum.filter(|_| self.cut.is_none()) else { return Ok(()) };
        if self.hasher.clone().finalize()[..] == promised {
            return Ok(());
        }
        let status = StatusCode::from_u16(CHECKSUM_MISMATCH).unwrap_or(StatusCode::BAD_REQUEST);
        let detail = "the bytes do not have the checksum they came with";
        Err(Refusal::new(status, "checksum-mismatch", detail)
            .safe("the bytes before them are kept; none of these are")
            .help("send them again from the same offset"))
    }
}

async fn to_file(
    app: &App,
    tenant: &TenantId,
    upload: &mut Upload,
    incoming: &mut Incoming<'_>,
    checksum: Option<[u8; 32]>,
) -> Result<(), Refusal> {
    let path = file_of(app, upload.upload_id);
    let mut options = tokio::fs::File::options();
    options.write(true);
    let mut file = options.open(&path).await.map_err(Refusal::internal)?;
    file.set_len(upload.received).await.map_err(Refusal::internal)?;
    file.seek(std::io::SeekFrom::Start(upload.received)).await.map_err(Refusal::internal)?;
    let mut unrecorded = 0;
    loop {
        let chunk = incoming.next().await?;
        let ended = chunk.is_none();
        let chunk = chunk.unwrap_or_default();
        file.write_all(&chunk).await.map_err(Refusal::internal)?;
        unrecorded += chunk.len() as u64;
        if ended || checksum.is_none() && unrecorded >= PIECE_BYTES as u64 {
            file.flush().await.map_err(Refusal::internal)?;
            file.sync_all().await.map_err(Refusal::internal)?;
            crash::point("bytes are written");
            if ended {
                incoming.holds(checksum)?;
            }
            record(app, tenant, upload, unrecorded, &[]).await?;
            unrecorded = 0;
        }
        if ended {
            return Ok(());
        }
    }
}

async fn to_pieces(
    app: &App,
    tenant: &TenantId,
    upload: &mut Upload,
    incoming: &mut Incoming<'_>,
    checksum: Option<[u8; 32]>,
) -> Result<(), Refusal> {
    let mut stored = Stored::default();
    let outcome = pieces_of(app, tenant, upload, incoming, checksum, &mut stored).await;
    if outcome.is_err() {
        remove_unrecorded(app, &stored.pieces).await;
    }
    outcome
}

/// Removes pieces that nobody recorded. Where this fails, the sweep finds them.
async fn remove_unrecorded(app: &App, pieces: &[Piece]) {
    for piece in pieces {
        let _ = app.keep.blobs.remove_piece(&piece.name).await;
    }
}

/// Pieces that are stored and not yet recorded, and where they end.
#[derive(Default)]
struct Stored {
    pieces: Vec<Piece>,
    bytes: u64,
}

async fn pieces_of(
    app: &App,
    tenant: &TenantId,
    upload: &mut Upload,
    incoming: &mut Incoming<'_>,
    checksum: Option<[u8; 32]>,
    stored: &mut Stored,
) -> Result<(), Refusal> {
    let mut held = Vec::new();
    loop {
        let chunk = incoming.next().await?;
        let ended = chunk.is_none();
        held.extend_from_slice(&chunk.unwrap_or_default());
        if !held.is_empty() && (ended || held.len() >= PIECE_BYTES) {
            let bytes = held.len() as u64;
            let name = app.keep.blobs.put_piece(std::mem::take(&mut held)).await?;
            stored.pieces.push(Piece { begins: upload.received + stored.bytes, bytes, name });
            stored.bytes += bytes;
            crash::point("bytes are written");
        }
        if ended {
            incoming.holds(checksum)?;
        }
        if !stored.pieces.is_empty() && (ended || checksum.is_none()) {
            let Stored { pieces, bytes } = std::mem::take(stored);
            record(app, tenant, upload, bytes, &pieces).await?;
        }
        if ended {
            return Ok(());
        }
    }
}

/// Records that so many more bytes are durable, if nobody else has moved the offset. Where the database answers with an
/// error they may be recorded all the same, only the answer to the commit was lost: the pieces stay, for the sweep to tell.
async fn record(
    app: &App,
    tenant: &TenantId,
    upload: &mut Upload,
    bytes: u64,
    pieces: &[Piece],
) -> Result<(), Refusal> {
    let before = upload.received;
    let after = Upload { received: before + bytes, ..upload.clone() };
    if !uploads::advance(&app.store, tenant, &after, before, pieces).await? {
        // Another node was sent them as well, and was first.
        remove_unrecorded(app, pieces).await;
        let now = find(app, tenant, &upload.upload_id.to_string()).await?;
        return Err(elsewhere(before, now.received));
    }
    upload.received = after.received;
    Ok(())
}

/// All bytes are there: if they are the promised ones they become a blob, if not the upload is gone.
///
/// After a crash between any two lines [`settle`] finds the bytes, and this is repeated, or neither bytes nor a blob of
/// the tenant's, and the upload begins anew.
pub(super) async fn complete(app: &App, tenant: &TenantId, upload: &Upload) -> Result<(), Refusal> {
    let pieces = uploads::pieces(&app.store, tenant, upload.upload_id).await?;
    let (waiting, _assembled) = if app.store.engine() == Engine::Sqlite && pieces.is_empty() {
        (file_of(app, upload.upload_id), None)
    } else {
        let assembled = assemble(app, pieces).await?;
        (assembled.0.clone(), Some(assembled))
    };
    let mime = sniffed(&waiting, upload.mime.clone()).await?;
    let blob = Visible { sha256: upload.sha256, bytes: upload.bytes, mime };
    let adopted = app.keep.adopt(tenant, &waiting, &blob).await;
    if let Err(BlobError::Mismatch { expected, found }) = adopted {
        forget(app, tenant, upload.upload_id).await?;
        let errors = BTreeMap::from([("sha256".to_owned(), format!("announced {expected}, came {found}"))]);
        return Err(Refusal::invalid("the bytes do not have the digest that was announced", errors)
            .safe("nothing of this upload is kept; no other upload is touched")
            .help("upload the part again from its beginning"));
    }
    adopted?;
    crash::point("a part is a blob");
    drop_pieces(app, tenant, upload.upload_id).await?;
    let ends_ms = now_ms() + FINISHED_SECONDS * 1_000;
    Ok(uploads::finished(&app.store, tenant, upload.upload_id, ends_ms).await?)
}

/// A file that was put together, removed with this unless it became a blob.
struct Assembled(PathBuf);

impl Drop for Assembled {
    fn drop(&mut self) {
        // What is left over after a crash goes at a later start.
        let _ = durable::remove_file(&self.0);
    }
}

/// Puts the pieces together in a file of the incoming folder.
async fn assemble(app: &App, pieces: Vec<Piece>) -> Result<Assembled, Refusal> {
    let assembled = Assembled(app.keep.blobs.incoming().join(format!("assembled-{}", Uuid::now_v7())));
    let to = assembled.0.clone();
    let mut file = off_the_reactor(move || Ok(std::fs::File::create_new(to)?)).await?;
    for piece in pieces {
        let mut bytes = app.keep.blobs.get_piece(&piece.name).await?;
        file = off_the_reactor(move || {
            file.seek(std::io::SeekFrom::Start(piece.begins))?;
            Ok(file)
        })
        .await?;
        while let Some(chunk) = bytes.try_next().await.map_err(BlobError::from)? {
            file = off_the_reactor(move || {
                file.write_all(&chunk)?;
                Ok(file)
            })
            .await?;
        }
    }
    Ok(assembled)
}

/// The media type of what waits, by its bytes: what claims to be a picture or a PDF is believed only where it is one,
/// because browsers show those.
async fn sniffed(waiting: &std::path::Path, claimed: String) -> Result<String, Refusal> {
    if !claimed.starts_with("image/") && claimed != "application/pdf" {
        return Ok(claimed);
    }
    let head = head_of(waiting).await?;
    Ok(decode::kind_of(&head).map_or_else(|_| "application/octet-stream".into(), |kind| kind.mime().into()))
}

/// The first bytes of a file.
pub(in crate::ingest) async fn head_of(path: &std::path::Path) -> Result<Vec<u8>, Refusal> {
    let path = path.to_owned();
    let head = off_the_reactor(move || {
        let mut head = Vec::new();
        let file = std::fs::File::open(path)?;
        std::io::Read::read_to_end(&mut std::io::Read::take(file, HEAD_BYTES as u64), &mut head)?;
        Ok(head)
    });
    Ok(head.await?)
}

/// Forgets an upload and what came of it.
pub(super) async fn forget(app: &App, tenant: &TenantId, upload: UploadId) -> Result<(), Refusal> {
    drop_pieces(app, tenant, upload).await?;
    let path = file_of(app, upload);
    off_the_reactor(move || Ok(durable::remove_file(&path)?)).await?;
    Ok(uploads::remove(&app.store, tenant, upload).await?)
}

async fn drop_pieces(app: &App, tenant: &TenantId, upload: UploadId) -> Result<(), Refusal> {
    let pieces = uploads::pieces(&app.store, tenant, upload).await?;
    if pieces.is_empty() {
        return Ok(());
    }
    // The rows first: a piece without a row is swept, a row without its piece would stand in an upload's way.
    uploads::remove_pieces(&app.store, tenant, upload).await?;
    for piece in pieces {
        app.keep.blobs.remove_piece(&piece.name).await?;
    }
    Ok(())
}

/// Brings an upload's row and its bytes together again where a crash parted them. Call it with the [`Turn`].
pub(super) async fn settle(app: &App, tenant: &TenantId, upload: &mut Upload) -> Result<(), Refusal> {
    let whole = upload.received == upload.bytes;
    if whole && visibility::visible(app.store.reading(), tenant, upload.sha256).await?.is_some() {
        return Ok(());
    }
    let pieces = uploads::pieces(&app.store, tenant, upload.upload_id).await?;
    let held = match app.store.engine() {
        Engine::Sqlite if pieces.is_empty() => {
            match tokio::fs::metadata(file_of(app, upload.upload_id)).await {
                Ok(file) => Some(file.len()),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                Err(error) => return Err(Refusal::internal(error)),
            }
        }
        _ if are_there(app, &pieces, upload.received).await? => {
            Some(pieces.iter().map(|piece| piece.bytes).sum())
        }
        _ => None,
    };
    if held.is_none_or(|held| held < upload.received) {
        tracing::warn!(upload = %upload.upload_id, "the bytes of an upload are gone; it begins anew");
        drop_pieces(app, tenant, upload.upload_id).await?;
        begin(app, upload).await?;
        let anew = Upload { received: 0, ..upload.clone() };
        uploads::advance(&app.store, tenant, &anew, upload.received, &[]).await?;
        *upload = find(app, tenant, &upload.upload_id.to_string()).await?;
    } else if whole {
        // A crash between the last byte and the blob: finish now what was not finished then.
        complete(app, tenant, upload).await?;
    }
    Ok(())
}

/// Whether all pieces are where they should be that hold the first so many bytes.
async fn are_there(app: &App, pieces: &[Piece], received: u64) -> Result<bool, BlobError> {
    for some in pieces.chunks(LOOKED_FOR_AT_ONCE) {
        let mut looks = Vec::new();
        for piece in some {
            looks.push(app.keep.blobs.piece_bytes(&piece.name));
        }
        let found = futures_util::future::try_join_all(looks).await?;
        for (piece, bytes) in some.iter().zip(found) {
            // The place of an upload that goes to the bucket itself is recorded before its bytes are there.
            if piece.begins < received && bytes != Some(piece.bytes) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Removes pieces that nobody recorded: a node died between storing one and saying so. A chore.
pub async fn sweep_pieces(app: &App) -> Result<u64, Refusal> {
    let before = Timestamp::now().as_second() - STRAY_SECONDS;
    let mut removed = 0;
    let mut pieces = app.keep.blobs.list_pieces();
    while let Some((name, written_at)) = pieces.try_next().await? {
        if written_at.as_second() < before && !uploads::is_piece(&app.store, &name).await? {
            app.keep.blobs.remove_piece(&name).await?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Removes what earlier processes left in the incoming folder: files that no upload is waiting for, and folders of
/// captures. Only for a server process at its start, while nobody writes there; where nodes may share the folder, only what
/// is older than a day.
pub async fn clear_incoming(app: &App) -> Result<(), Refusal> {
    let waited_for = uploads::all(&app.store).await?;
    let folder = app.keep.blobs.incoming();
    let alone = app.store.engine() == Engine::Sqlite;
    let removed = off_the_reactor(move || {
        let mut removed = 0u32;
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            let upload = name.parse::<UploadId>().ok();
            if upload.is_some_and(|upload| waited_for.contains(&upload)) {
                continue;
            }
            let age = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
            if !alone && age < Duration::from_secs(STRAY_SECONDS.unsigned_abs()) {
                continue;
            }
            if name.starts_with(FOLDER_PREFIX) {
                durable::remove_folder(&entry.path())?;
            } else {
                durable::remove_file(&entry.path())?;
            }
            removed += 1;
        }
        Ok(removed)
    });
    let removed = removed.await?;
    if removed > 0 {
        tracing::info!(removed, "half-written files of an earlier process were removed");
    }
    Ok(())
}

fn file_of(app: &App, upload: UploadId) -> PathBuf {
    app.keep.blobs.incoming().join(upload.to_string())
}
