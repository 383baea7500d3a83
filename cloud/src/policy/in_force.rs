//! The policies in force: that of the site, and those of tenants that have one of their own.
//!
//! They are read together, and put in force together or not at all: a file that is not sound leaves everything as it was.

use std::collections::BTreeMap;
use std::sync::Arc;

use platen_model::TenantId;

use super::Policy;
use crate::config::Config;
use crate::signing::offers;

/// The policies in force at one moment.
#[derive(Debug)]
pub struct InForce {
    site: Arc<Policy>,
    own: BTreeMap<TenantId, Arc<Policy>>,
}

impl InForce {
    /// Reads the files that the configuration names; without one the built-in policy is the site's.
    ///
    /// # Errors
    ///
    /// Which file is not sound, and why, with the tenant where it is one's own.
    pub fn load(config: &Config) -> Result<Self, String> {
        let offers = offers(config);
        let site = match &config.routing {
            Some(path) => Policy::load(path, &offers).map_err(|error| error.to_string())?,
            None => Policy::built_in(),
        };
        let own = config.tenant_routing.iter().map(|(tenant, path)| {
            let policy = Policy::load(path, &offers);
            let policy = policy.map_err(|error| format!("the policy of tenant {tenant}: {error}"))?;
            Ok((tenant.clone(), Arc::new(policy)))
        });
        Ok(Self { site: Arc::new(site), own: own.collect::<Result<_, String>>()? })
    }

    /// The one that a tenant's documents go by.
    pub fn of(&self, tenant: &TenantId) -> &Arc<Policy> {
        self.own.get(tenant).unwrap_or(&self.site)
    }

    /// Whether a tenant has one of its own.
    pub fn has_own(&self, tenant: &TenantId) -> bool {
        self.own.contains_key(tenant)
    }

    /// All of them, each with its tenant where it is one's own.
    pub fn all(&self) -> impl Iterator<Item = (Option<&TenantId>, &Arc<Policy>)> {
        let own = self.own.iter().map(|(tenant, policy)| (Some(tenant), policy));
        std::iter::once((None, &self.site)).chain(own)
    }
}
