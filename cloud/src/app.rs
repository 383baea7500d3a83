//! What every handler and every job works with, put together once at the start.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use platen_capture::Limits as CaptureLimits;
use platen_capture::worker::{Pool, Program};
use platen_model::durable;
use platen_model::keys::SigningKey;
use tokio::sync::Notify;

use crate::blobs::{self, Blobs, Keep};
use crate::config::Config;
use crate::policy::Policy;
use crate::signing::Signing;
use crate::store::{Address, Store, StoreError};

/// The shared state. Cloning shares it.
#[derive(Clone, Debug)]
pub struct App(Arc<Parts>);

/// The parts of [`App`].
#[derive(Debug)]
pub struct Parts {
    /// The configuration.
    pub config: Config,
    /// The database.
    pub store: Store,
    /// The blobs, as tenants see them.
    pub keep: Keep,
    /// The worker processes: the only place where document bytes are parsed (INV-7).
    pub pool: Arc<Pool>,
    /// The key receipts are signed with.
    pub receipt_key: SigningKey,
    /// The routing policy.
    pub policy: Policy,
    /// The signing providers and what they work with.
    pub signing: Signing,
    /// Told whenever a job may be due.
    pub wake: Notify,
}

impl Deref for App {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl App {
    /// Opens database, blobs, keys and policy, and brings the schema up to date. Each failure says what failed.
    pub async fn open(config: Config) -> Result<Self, String> {
        let limits = CaptureLimits::default();
        let pool = Pool::new(Program::this(&limits), config.workers, limits);
        Self::open_with(config, pool).await
    }

    /// Like [`App::open`], with these workers.
    pub async fn open_with(config: Config, pool: Pool) -> Result<Self, String> {
        let store = open_store(&config).await?;
        let folder = blobs::folder_of(&config.blobs)?;
        let blobs = Blobs::open(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let receipt_key = receipt_key(&config.keys)?;
        let policy = match &config.routing {
            Some(path) => Policy::load(path).map_err(|error| error.to_string())?,
            None => Policy::built_in(),
        };
        let keep = Keep { blobs, store: store.clone() };
        let pool = Arc::new(pool);
        let signing = Signing::open(&config, &keep, &pool)?;
        let wake = Notify::new();
        Ok(Self(Arc::new(Parts { config, store, keep, pool, receipt_key, policy, signing, wake })))
    }
}

/// Opens the database and brings its schema up to date.
pub async fn open_store(config: &Config) -> Result<Store, String> {
    let address: Address = config.database.parse().map_err(|error: StoreError| error.to_string())?;
    if let Address::File(path) = &address
        && let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty())
    {
        durable::create_folder(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let failed = |error: StoreError| format!("{address}: {error}");
    let store = Store::open(&address).await.map_err(failed)?;
    store.migrate().await.map_err(failed)?;
    Ok(store)
}

/// The key receipts are signed with: made at the first start, kept for ever.
///
/// A device knows only this key from its enrolment on; losing it means that no receipt is believed any more.
fn receipt_key(folder: &Path) -> Result<SigningKey, String> {
    let path = folder.join("receipt.pk8");
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    match std::fs::read(&path) {
        Ok(bytes) => SigningKey::from_pkcs8(&bytes).map_err(|error| failed(&error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            durable::create_folder(folder).map_err(|error| failed(&error))?;
            let key = SigningKey::generate().map_err(|error| failed(&error))?;
            durable::write_private(&path, key.to_pkcs8()).map_err(|error| failed(&error))?;
            Ok(key)
        }
        Err(error) => Err(failed(&error)),
    }
}
