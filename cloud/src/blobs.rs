//! Blobs: byte strings named by their digest, in a folder or an S3 bucket. Written once, verified on every write
//! and read.
//!
//! `<root>/<first two hex digits>/<digest>`. A blob gets its name only after its digest was checked and its bytes
//! are durable (in a folder: file and folder fsynced), so whatever has a name is whole (INV-4); the name never
//! gets other bytes, so writing a blob twice is writing it once (INV-5). Who may see a blob is not known here:
//! ask [`crate::store::blobs`]. What nobody refers to any more is removed by [`garbage`].

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::Method;
use futures_util::TryStreamExt as _;
use futures_util::stream::BoxStream;
use jiff::Timestamp;
use object_store::aws::{AmazonS3Builder, Checksum};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Name;
use object_store::signer::Signer;
use object_store::{GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt as _, WriteMultipart};
use platen_model::{Digest, PageText, PartRole, TenantId, durable};
use sha2::{Digest as _, Sha256};

use crate::store::blobs::{self as visibility, Visible};
use crate::store::record::Record;
use crate::store::{Store, StoreError};

pub mod garbage;

/// The size of the pieces in which a large blob goes to S3, in bytes.
const PIECE: usize = 8 << 20;
/// Pieces under way at once.
const PIECES_AT_ONCE: usize = 4;
/// The folder of bytes that are not a blob yet.
const PIECES: &str = "pieces";
/// How often a blob is written again because it was removed as garbage at the same moment.
const REPETITIONS: usize = 3;

/// A blob cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// Nothing has this name.
    #[error("blob {0} is missing")]
    Missing(Digest),
    /// The stored bytes do not have the digest that is their name.
    #[error("blob {0} is damaged: its bytes have another digest")]
    Damaged(Digest),
    /// The bytes offered do not have the digest they should.
    #[error("the bytes have the digest {found}, not {expected}")]
    Mismatch {
        /// The digest that was promised.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// The disk failed.
    #[error("blob folder: {0}")]
    Io(#[from] io::Error),
    /// The folder or the bucket failed.
    #[error("blob storage: {0}")]
    Storage(#[from] object_store::Error),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where the blobs are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `file:/path/to/folder`
    Folder(PathBuf),
    /// `s3://bucket/prefix`
    Bucket {
        /// The bucket.
        name: String,
        /// What the names of all objects begin with; may be empty.
        prefix: String,
    },
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("file:").filter(|path| !path.is_empty()) {
            return Ok(Self::Folder(path.into()));
        }
        if let Some(rest) = text.strip_prefix("s3://").filter(|rest| !rest.is_empty()) {
            let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            return Ok(Self::Bucket { name: name.into(), prefix: prefix.into() });
        }
        Err(format!("`blobs = {text:?}`: write \"file:/path/to/folder\" or \"s3://bucket/prefix\""))
    }
}

/// All blobs. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Blobs {
    objects: Arc<dyn ObjectStore>,
    prefix: Name,
    /// The folder, where it is one: files are taken over by renaming.
    folder: Option<PathBuf>,
    /// What signs addresses, where it is a bucket.
    signer: Option<Arc<dyn Signer>>,
    incoming: PathBuf,
}

/// A stored blob as the storage lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its digest.
    pub sha256: Digest,
    /// Its length in bytes.
    pub bytes: u64,
    /// When it was written last.
    pub written_at: Timestamp,
}

impl Blobs {
    /// Opens the storage. `scratch` is a local folder for what is not a blob yet; a folder of blobs has its own.
    ///
    /// For a bucket, key, region and endpoint come from the environment that all S3 programs know:
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT`, `AWS_ALLOW_HTTP`.
    pub fn open(address: &Address, scratch: &Path) -> Result<Self, BlobError> {
        match address {
            Address::Folder(root) => {
                let incoming = root.join("incoming");
                durable::create_folder(&incoming)?;
                durable::create_folder(&root.join(PIECES))?;
                // All at once: a folder that appears together with its first blob would have to be synced by
                // everyone who finds it, not only by its maker.
                for first in 0..=u8::MAX {
                    durable::create_folder(&root.join(format!("{first:02x}")))?;
                }
                let root = root.canonicalize()?;
                let objects = LocalFileSystem::new_with_prefix(&root)?.with_fsync(true);
                let prefix = Name::default();
                Ok(Self { objects: Arc::new(objects), prefix, folder: Some(root), signer: None, incoming })
            }
            Address::Bucket { name, prefix } => {
                durable::create_folder(scratch)?;
                // What speaks to the bucket asks for it. Whoever is first sets it for the process; it is the same
                // everywhere.
                let _ = rustls::crypto::ring::default_provider().install_default();
                // The bucket compares what it gets with a digest of ours, piece by piece.
                let builder = AmazonS3Builder::from_env().with_checksum_algorithm(Checksum::SHA256);
                let objects = Arc::new(builder.with_bucket_name(name).build()?);
                let prefix = Name::parse(prefix).map_err(object_store::Error::from)?;
                let signer: Option<Arc<dyn Signer>> = Some(Arc::clone(&objects) as Arc<dyn Signer>);
                Ok(Self { objects, prefix, folder: None, signer, incoming: scratch.to_owned() })
            }
        }
    }

    /// Where bytes wait for their digest on this machine.
    pub fn incoming(&self) -> PathBuf {
        self.incoming.clone()
    }

    /// Whether the storage answers.
    pub async fn is_ready(&self) -> bool {
        self.incoming.is_dir() && self.look(Digest::of(b"")).await.is_ok()
    }

    fn name(&self, sha256: Digest) -> Name {
        let name = sha256.to_string();
        self.prefix.clone().join(&name[..2]).join(name.as_str())
    }

    /// Keeps bytes; they are durable once this answers.
    pub async fn put(&self, bytes: Vec<u8>) -> Result<Digest, BlobError> {
        let (sha256, bytes) = off_the_reactor(move || Ok((Digest::of(&bytes), bytes))).await?;
        self.objects.put(&self.name(sha256), bytes.into()).await?;
        Ok(sha256)
    }

    /// Takes over a file of the incoming folder, if its bytes have this digest. The file is gone afterwards in
    /// any case but a failing disk or storage.
    pub async fn adopt(&self, waiting: &Path, expected: Digest) -> Result<(), BlobError> {
        let (path, folder) = (waiting.to_owned(), self.folder.clone());
        let file = off_the_reactor(move || {
            let mut file = File::open(&path)?;
            let (found, _) = Digest::of_reader(&mut file)?;
            if found != expected {
                durable::remove_file(&path)?;
                return Err(BlobError::Mismatch { expected, found });
            }
            let Some(folder) = folder else {
                file.rewind()?;
                return Ok(Some(file));
            };
            file.sync_all()?;
            let name = expected.to_string();
            // Renaming over a blob of the same name replaces bytes by the same bytes; it also heals a damaged one.
            durable::rename(&path, &folder.join(&name[..2]).join(name))?;
            Ok(None)
        });
        if let Some(file) = file.await? {
            self.send(file, expected).await?;
            let path = waiting.to_owned();
            off_the_reactor(move || Ok(durable::remove_file(&path)?)).await?;
        }
        Ok(())
    }

    /// Sends a file to the bucket in pieces, digesting what is sent: the object is there only if that is right.
    async fn send(&self, file: File, expected: Digest) -> Result<(), BlobError> {
        let name = self.name(expected);
        let mut upload = WriteMultipart::new_with_chunk_size(self.objects.put_multipart(&name).await?, PIECE);
        match put_pieces(file, &mut upload).await {
            Ok(found) if found == expected => {
                upload.finish().await?;
                Ok(())
            }
            // Whatever went wrong: pieces of an upload that nobody ends would lie in the bucket for ever, unseen.
            other => {
                let aborted = upload.abort().await;
                let found = other?;
                aborted?;
                Err(BlobError::Mismatch { expected, found })
            }
        }
    }

    /// Opens a blob after reading all of it against its digest; the file stands at its beginning.
    pub async fn open_verified(&self, sha256: Digest) -> Result<File, BlobError> {
        let found = self.objects.get(&self.name(sha256)).await.map_err(|error| missing(sha256, error))?;
        let file = match found.payload {
            GetResultPayload::File(file, _) => file,
            GetResultPayload::Stream(stream) => self.fetch(stream).await?,
        };
        off_the_reactor(move || {
            let mut file = file;
            let (found, _) = Digest::of_reader(&mut file)?;
            if found != sha256 {
                return Err(BlobError::Damaged(sha256));
            }
            file.rewind()?;
            Ok(file)
        })
        .await
    }

    /// Writes a stream to a file without a name.
    async fn fetch(
        &self,
        mut stream: BoxStream<'static, object_store::Result<Bytes>>,
    ) -> Result<File, BlobError> {
        let folder = self.incoming.clone();
        let mut file = off_the_reactor(move || Ok(tempfile::tempfile_in(folder)?)).await?;
        while let Some(piece) = stream.try_next().await? {
            file = off_the_reactor(move || {
                file.write_all(&piece)?;
                Ok(file)
            })
            .await?;
        }
        off_the_reactor(move || {
            file.rewind()?;
            Ok(file)
        })
        .await
    }

    /// All of a blob's bytes, verified.
    pub async fn get(&self, sha256: Digest) -> Result<Vec<u8>, BlobError> {
        let found = self.objects.get(&self.name(sha256)).await.map_err(|error| missing(sha256, error))?;
        let bytes = found.bytes().await?;
        off_the_reactor(move || {
            if Digest::of(&bytes) != sha256 {
                return Err(BlobError::Damaged(sha256));
            }
            Ok(bytes.into())
        })
        .await
    }

    /// What the storage knows of a blob without reading it; `None` where there is none.
    pub async fn look(&self, sha256: Digest) -> Result<Option<Listed>, BlobError> {
        match self.objects.head(&self.name(sha256)).await {
            Ok(meta) => Ok(listed(&meta)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Everything that is stored, in no order.
    pub fn list(&self) -> BoxStream<'static, Result<Listed, BlobError>> {
        let prefix = (!self.prefix.as_ref().is_empty()).then_some(&self.prefix);
        let listed = self.objects.list(prefix).try_filter_map(async |meta| Ok(listed(&meta)));
        Box::pin(listed.map_err(BlobError::from))
    }

    /// Keeps bytes that are not a blob yet where every node reaches them, and answers their name.
    pub async fn put_piece(&self, bytes: Vec<u8>) -> Result<String, BlobError> {
        let name = uuid::Uuid::now_v7().to_string();
        self.objects.put(&self.piece(&name), bytes.into()).await?;
        Ok(name)
    }

    /// The name of a new piece, and an address to which it may be PUT; `None` where the blobs are in no bucket.
    pub async fn presigned_piece(&self, lasts: Duration) -> Result<Option<(String, String)>, BlobError> {
        let Some(signer) = &self.signer else { return Ok(None) };
        let name = uuid::Uuid::now_v7().to_string();
        let url = signer.signed_url(Method::PUT, &self.piece(&name), lasts).await?;
        Ok(Some((name, url.to_string())))
    }

    /// The length of a piece; `None` where it is not there.
    pub async fn piece_bytes(&self, name: &str) -> Result<Option<u64>, BlobError> {
        match self.objects.head(&self.piece(name)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The bytes of a piece.
    pub async fn get_piece(
        &self,
        name: &str,
    ) -> Result<BoxStream<'static, object_store::Result<Bytes>>, BlobError> {
        Ok(self.objects.get(&self.piece(name)).await?.into_stream())
    }

    /// Removes a piece; one that is gone already is no error.
    pub async fn remove_piece(&self, name: &str) -> Result<(), BlobError> {
        match self.objects.delete(&self.piece(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// All pieces and when they were written, in no order.
    pub fn list_pieces(&self) -> BoxStream<'static, Result<(String, Timestamp), BlobError>> {
        let folder = self.prefix.clone().join(PIECES);
        let listed = self.objects.list(Some(&folder)).try_filter_map(async |meta| {
            let written_at = Timestamp::from_millisecond(meta.last_modified.timestamp_millis()).ok();
            Ok(meta.location.filename().map(str::to_owned).zip(written_at))
        });
        Box::pin(listed.map_err(BlobError::from))
    }

    fn piece(&self, name: &str) -> Name {
        self.prefix.clone().join(PIECES).join(name)
    }

    /// Removes a blob. Only for [`garbage`], and for tests of what is missed.
    pub(crate) async fn remove(&self, sha256: Digest) -> Result<(), BlobError> {
        match self.objects.delete(&self.name(sha256)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Gives a file to an upload piece by piece; answers the digest of what was given.
async fn put_pieces(file: File, upload: &mut WriteMultipart) -> Result<Digest, BlobError> {
    let mut reader = file;
    let mut sent = Sha256::new();
    loop {
        let (piece, rest) = off_the_reactor(move || {
            let mut piece = Vec::new();
            (&mut reader).take(PIECE as u64).read_to_end(&mut piece)?;
            Ok((piece, reader))
        })
        .await?;
        reader = rest;
        if piece.is_empty() {
            return Ok(Digest::from_bytes(sent.finalize().into()));
        }
        sent.update(&piece);
        upload.wait_for_capacity(PIECES_AT_ONCE).await?;
        upload.put(piece.into());
    }
}

fn missing(sha256: Digest, error: object_store::Error) -> BlobError {
    match error {
        object_store::Error::NotFound { .. } => BlobError::Missing(sha256),
        error => error.into(),
    }
}

/// `None` for what is no blob: something half-written, or put there by others.
fn listed(meta: &ObjectMeta) -> Option<Listed> {
    let sha256 = meta.location.filename()?.parse().ok()?;
    let written_at = Timestamp::from_millisecond(meta.last_modified.timestamp_millis()).ok()?;
    Some(Listed { sha256, bytes: meta.size, written_at })
}

/// Blobs as one tenant at a time sees them (INV-12): what modules that are not about storage should use.
#[derive(Clone, Debug)]
pub struct Keep {
    /// The bytes.
    pub blobs: Blobs,
    /// Who may see them.
    pub store: Store,
}

impl Keep {
    /// Keeps bytes for a tenant; durable and visible once this answers.
    pub async fn put(&self, tenant: &TenantId, bytes: Vec<u8>, mime: &str) -> Result<Digest, BlobError> {
        let blob = Visible { sha256: Digest::of(&bytes), bytes: bytes.len() as u64, mime: mime.to_owned() };
        for _ in 0..REPETITIONS {
            self.blobs.put(bytes.clone()).await?;
            if self.grant(tenant, &blob).await? {
                return Ok(blob.sha256);
            }
        }
        Err(BlobError::Missing(blob.sha256))
    }

    /// Takes over a file of the incoming folder for a tenant, if its bytes have this digest.
    pub async fn adopt(&self, tenant: &TenantId, waiting: &Path, blob: &Visible) -> Result<(), BlobError> {
        self.blobs.adopt(waiting, blob.sha256).await?;
        if self.grant(tenant, blob).await? { Ok(()) } else { Err(BlobError::Missing(blob.sha256)) }
    }

    /// Makes a stored blob visible. `false`, and nothing visible, where it was removed as garbage between being stored and
    /// this. It is looked for while its name is held, as garbage is removed: what is visible is there.
    async fn grant(&self, tenant: &TenantId, blob: &Visible) -> Result<bool, BlobError> {
        let mut write = self.store.begin().await?;
        write.hold(blob.sha256).await?;
        if self.blobs.look(blob.sha256).await?.is_none() {
            return Ok(false);
        }
        visibility::grant(&mut *write, tenant, blob).await?;
        write.commit().await.map_err(StoreError::from)?;
        Ok(true)
    }

    /// The page text of a document of the tenant; `None` where it has none. One that cannot be read is damaged.
    pub async fn page_text(&self, tenant: &TenantId, record: &Record) -> Result<Option<PageText>, BlobError> {
        let Some(part) = record.part(PartRole::PageText) else { return Ok(None) };
        let (bytes, sha256) = (self.get(tenant, part.sha256).await?, part.sha256);
        off_the_reactor(move || {
            serde_json::from_slice(&bytes).map(Some).map_err(|_| BlobError::Damaged(sha256))
        })
        .await
    }

    /// A blob's bytes, verified, if the tenant may see them; [`BlobError::Missing`] otherwise.
    pub async fn get(&self, tenant: &TenantId, sha256: Digest) -> Result<Vec<u8>, BlobError> {
        self.visible(tenant, sha256).await?;
        self.blobs.get(sha256).await
    }

    /// A blob opened for reading, verified, with its media type and length.
    pub async fn open(&self, tenant: &TenantId, sha256: Digest) -> Result<(File, Visible), BlobError> {
        let visible = self.visible(tenant, sha256).await?;
        Ok((self.blobs.open_verified(sha256).await?, visible))
    }

    async fn visible(&self, tenant: &TenantId, sha256: Digest) -> Result<Visible, BlobError> {
        visibility::visible(self.store.reading(), tenant, sha256).await?.ok_or(BlobError::Missing(sha256))
    }
}

/// Runs file work where it may block.
pub(crate) async fn off_the_reactor<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(BlobError::Io(io::Error::other(error))),
    }
}

#[cfg(test)]
mod tests;
