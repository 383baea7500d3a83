//! Blobs: byte strings named by their digest, in one folder. Written once, verified on every read.
//!
//! `<root>/<first two hex digits>/<digest>`. A blob gets its name only after its length and digest were checked
//! and it was fsynced, so whatever has a name is whole (INV-4); the name never gets other bytes, so writing a
//! blob twice is writing it once (INV-5). Who may see a blob is not known here: ask [`crate::store::blobs`].

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};

use platen_model::{Digest, TenantId, durable};
use uuid::Uuid;

use crate::store::blobs::{self as visibility, Visible};
use crate::store::{Store, StoreError};

/// A blob cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// No file has this name.
    #[error("blob {0} is missing")]
    Missing(Digest),
    /// The file's bytes do not have the digest in its name.
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
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The folder of all blobs.
#[derive(Clone, Debug)]
pub struct Blobs {
    root: PathBuf,
}

/// The folder behind a `file:` address.
pub fn folder_of(address: &str) -> Result<PathBuf, String> {
    let path = address.strip_prefix("file:").filter(|path| !path.is_empty());
    path.map(PathBuf::from).ok_or_else(|| format!("`blobs = {address:?}`: write \"file:/path/to/folder\""))
}

impl Blobs {
    /// Opens the folder, making it if it is not there.
    pub fn open(root: &Path) -> io::Result<Self> {
        durable::create_folder(&root.join("incoming"))?;
        Ok(Self { root: root.to_owned() })
    }

    /// Where bytes wait for their digest, on the same file system as the blobs.
    pub fn incoming(&self) -> PathBuf {
        self.root.join("incoming")
    }

    /// The file of a blob, whether it is there or not.
    pub fn path(&self, sha256: Digest) -> PathBuf {
        let name = sha256.to_string();
        self.root.join(&name[..2]).join(name)
    }

    /// Keeps bytes; they are durable once this answers.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, BlobError> {
        let waiting = self.incoming().join(Uuid::now_v7().to_string());
        let durable = durable::write(&waiting, bytes)?;
        self.settle(&waiting, durable.sha256())?;
        Ok(durable.sha256())
    }

    /// Takes over a file of the incoming folder, if its bytes have this digest. The file is gone afterwards in
    /// any case but a failing disk.
    pub fn adopt(&self, waiting: &Path, expected: Digest) -> Result<(), BlobError> {
        let file = File::open(waiting)?;
        let (found, _) = Digest::of_reader(&mut &file)?;
        if found != expected {
            durable::remove_file(waiting)?;
            return Err(BlobError::Mismatch { expected, found });
        }
        file.sync_all()?;
        self.settle(waiting, expected)
    }

    fn settle(&self, waiting: &Path, sha256: Digest) -> Result<(), BlobError> {
        let path = self.path(sha256);
        if let Some(folder) = path.parent() {
            durable::create_folder(folder)?;
        }
        // Renaming over a blob of the same name replaces bytes by the same bytes; it also heals a damaged one.
        durable::rename(waiting, &path)?;
        Ok(())
    }

    /// Opens a blob after reading all of it against its digest; the file stands at its beginning.
    pub fn open_verified(&self, sha256: Digest) -> Result<File, BlobError> {
        let mut file = File::open(self.path(sha256)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => BlobError::Missing(sha256),
            _ => BlobError::Io(error),
        })?;
        let (found, _) = Digest::of_reader(&mut file)?;
        if found != sha256 {
            return Err(BlobError::Damaged(sha256));
        }
        file.rewind()?;
        Ok(file)
    }

    /// All of a blob's bytes, verified.
    pub fn get(&self, sha256: Digest) -> Result<Vec<u8>, BlobError> {
        let mut bytes = Vec::new();
        self.open_verified(sha256)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
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
        let length = bytes.len() as u64;
        let blobs = self.blobs.clone();
        let sha256 = off_the_reactor(move || blobs.put(&bytes)).await?;
        let blob = Visible { sha256, bytes: length, mime: mime.to_owned() };
        visibility::grant(self.store.writing(), tenant, &blob).await?;
        Ok(sha256)
    }

    /// A blob's bytes, verified, if the tenant may see them; [`BlobError::Missing`] otherwise.
    pub async fn get(&self, tenant: &TenantId, sha256: Digest) -> Result<Vec<u8>, BlobError> {
        self.visible(tenant, sha256).await?;
        let blobs = self.blobs.clone();
        off_the_reactor(move || blobs.get(sha256)).await
    }

    /// A blob opened for reading, verified, with its media type and length.
    pub async fn open(&self, tenant: &TenantId, sha256: Digest) -> Result<(File, Visible), BlobError> {
        let visible = self.visible(tenant, sha256).await?;
        let blobs = self.blobs.clone();
        Ok((off_the_reactor(move || blobs.open_verified(sha256)).await?, visible))
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
