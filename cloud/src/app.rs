//! What every handler and every job works with, put together once at the start.

use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock};

use platen_capture::classify::RuleSet;
use platen_capture::worker::{Pool, Program};
use platen_model::keys::SigningKey;
use platen_model::{PolicyRef, TenantId, durable};
use tokio::sync::{Notify, Semaphore};

use crate::blobs::{Blobs, Keep};
use crate::config::Config;
use crate::http::contract::Contract;
use crate::http::metrics::Metrics;
use crate::keys::{ReceiptKey, SiteKeys};
use crate::policy::Policy;
use crate::policy::in_force::InForce;
use crate::signing::Signing;
use crate::store::{Address, Store, StoreError, policies};
use crate::webhooks::Webhooks;

/// Files that may wait to be looked at, for each worker.
const LOOKS_PER_WORKER: usize = 4;

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
    /// Turns of files that are looked at before they are taken in: each keeps a thread waiting for a worker.
    pub looks: Arc<Semaphore>,
    /// What documents are classified by that are captured here.
    pub rules: Arc<RuleSet>,
    /// What receipts are signed with.
    pub receipt_key: ReceiptKey,
    /// The key checkpoints are signed with.
    pub checkpoint_key: SigningKey,
    policies: RwLock<Arc<InForce>>,
    /// The signing providers and what they work with.
    pub signing: Signing,
    /// The name of this process among the nodes on one database; new at each start.
    pub node: String,
    /// Told whenever a job may be due.
    pub wake: Notify,
    /// What requests are held against.
    pub contract: Contract,
    /// What outgoing webhooks are sent with.
    pub webhooks: Webhooks,
    /// What is counted.
    pub metrics: Metrics,
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
        let limits = config.capture.limits.clone();
        let pool = Pool::new(Program::this(&limits), config.workers, limits);
        Self::open_with(config, pool).await
    }

    /// Like [`App::open`], with these workers.
    pub async fn open_with(config: Config, pool: Pool) -> Result<Self, String> {
        let store = open_store(&config).await?;
        let blobs = open_blobs(&config)?;
        // Nodes that start together over one folder of keys make each key once: the others read it.
        let mut making = store.begin().await.map_err(|error| error.to_string())?;
        making.hold("keys of the site").await.map_err(|error| error.to_string())?;
        let keys = SiteKeys::open(&config.keys)?;
        drop(making);
        let in_force = InForce::load(&config)?;
        note(&store, &in_force).await?;
        let rules = match &config.rules {
            Some(folder) => {
                RuleSet::load(folder).map_err(|error| format!("{}: {error}", folder.display()))?
            }
            None => RuleSet::shipped(),
        };
        let keep = Keep { blobs, store: store.clone() };
        let pool = Arc::new(pool);
        let webhooks = Webhooks::open(keys.webhooks.to_pkcs8(), &config.webhook_networks())?;
        let signing = Signing::open(&config, &keep, &pool)?;
        let (node, wake) = (node_name(), Notify::new());
        Ok(Self(Arc::new(Parts {
            config,
            store,
            keep,
            looks: Arc::new(Semaphore::new(LOOKS_PER_WORKER * pool.size())),
            pool,
            rules: Arc::new(rules),
            receipt_key: keys.receipt,
            checkpoint_key: keys.checkpoint,
            policies: RwLock::new(Arc::new(in_force)),
            signing,
            node,
            wake,
            contract: Contract::default(),
            metrics: Metrics::default(),
            webhooks,
        })))
    }
}

impl App {
    /// The policies in force.
    pub fn policies(&self) -> Arc<InForce> {
        Arc::clone(&self.policies.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The policy that a tenant's documents go by. A decision takes it once, and makes all of itself with it.
    pub fn policy(&self, tenant: &TenantId) -> Arc<Policy> {
        Arc::clone(self.policies().of(tenant))
    }

    /// Puts the policy files as they are now in force; answers them where any is another. Where one is not sound, nothing
    /// changes.
    pub async fn renew_policies(&self) -> Result<Option<Arc<InForce>>, String> {
        let renewed = Arc::new(InForce::load(&self.config)?);
        let references = |in_force: &InForce| -> Vec<PolicyRef> {
            in_force.all().map(|(_, policy)| policy.reference().clone()).collect()
        };
        if references(&renewed) == references(&self.policies()) {
            return Ok(None);
        }
        note(&self.store, &renewed).await?;
        *self.policies.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&renewed);
        Ok(Some(renewed))
    }
}

/// Notes which policies are put in force.
async fn note(store: &Store, in_force: &InForce) -> Result<(), String> {
    for (tenant, policy) in in_force.all() {
        policies::note(store, tenant, policy).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Host, process and a random part, so that a lease tells people where its job is.
fn node_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let random = uuid::Uuid::now_v7().simple().to_string();
    format!("{}-{}-{}", host.trim(), std::process::id(), &random[24..])
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

/// Opens the blobs' folder or bucket.
pub fn open_blobs(config: &Config) -> Result<Blobs, String> {
    let address = config.blobs.parse()?;
    Blobs::open(&address, &config.scratch).map_err(|error| format!("{}: {error}", config.blobs))
}
