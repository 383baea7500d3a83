//! The commands about policies. None of them writes anything.

use std::path::Path;
use std::sync::Arc;

use platen_model::{DocumentId, Recipient, TenantId};

use super::{storage, text};
use crate::blobs::Keep;
use crate::config::Config;
use crate::policy::Policy;
use crate::policy::dry_run::{self, Counts, Within};
use crate::policy::in_force::InForce;
use crate::signing::offers;
use crate::store::documents;

/// `policy check`.
pub fn check_policy(config: &Config, path: &Path) -> Result<String, String> {
    let policy = Policy::load(path, &offers(config)).map_err(text)?;
    let reference = policy.reference();
    Ok(format!("{}: version {}, sha256 {}: sound", path.display(), reference.version, reference.sha256))
}

/// `policy test`: where a document, as the API shows it, would go.
pub fn test_policy(config: &Config, path: &Path, document: &Path) -> Result<String, String> {
    let policy = Policy::load(path, &offers(config)).map_err(text)?;
    let bytes = std::fs::read(document).map_err(|error| format!("{}: {error}", document.display()))?;
    let shown = serde_json::from_slice(&bytes).map_err(|error| format!("{}: {error}", document.display()))?;
    let chosen = policy.route(&shown).map_err(text)?;
    let provider = chosen.route.provider.as_deref().unwrap_or("none: archived without a signature");
    let line = |recipient: &Recipient| {
        let role = serde_json::to_value(recipient.role).unwrap_or_default();
        let role = role.as_str().unwrap_or_default().to_owned();
        format!("\n{}. {role} {}", recipient.order, recipient.address)
    };
    let recipients: String = chosen.recipients.iter().map(line).collect();
    let violations = policy.violations(&shown, None);
    let violations: String = violations
        .iter()
        .map(|violation| format!("\n{}: {}", violation.place(), violation.message))
        .collect();
    Ok(format!("route: {}\nprovider: {provider}\nrecipients:{recipients}{violations}", chosen.route.name))
}

/// `policy explain`: why a document goes where it goes, by the policy file as it is now.
pub async fn explain(config: &Config, tenant: &TenantId, document: DocumentId) -> Result<String, String> {
    let in_force = InForce::load(config)?;
    let policy = in_force.of(tenant);
    let (store, blobs) = storage(config).await?;
    let keep = Keep { blobs, store };
    let record = documents::find(keep.store.reading(), tenant, document).await.map_err(text)?;
    let record = record.ok_or_else(|| format!("{tenant} has no document {document}"))?;
    let read = keep.page_text(tenant, &record).await.map_err(text)?;
    Ok(policy.explain(&record, read.as_ref()).to_string())
}

/// `policy dry-run`: what a policy file would change, compared with the one that is configured. Prints so many of the
/// changes.
pub async fn dry_run(
    config: &Config,
    tenant: &TenantId,
    path: &Path,
    since: Option<&str>,
    shown: usize,
) -> Result<String, String> {
    let before = Arc::clone(InForce::load(config)?.of(tenant));
    let after = Arc::new(Policy::load(path, &offers(config)).map_err(text)?);
    let since = since.map(dry_run::since).transpose()?;
    let (store, blobs) = storage(config).await?;
    let keep = Keep { blobs, store };
    let (mut counts, mut lines) = (Counts::default(), Vec::new());
    let mut within = Within { since, after: None, limit: dry_run::DOCUMENTS };
    loop {
        let found = dry_run::run(&keep, tenant, (&before, &after), within).await.map_err(text)?;
        counts.add_all(&found.counts);
        let room = shown.saturating_sub(lines.len());
        lines.extend(found.items.iter().take(room).map(ToString::to_string));
        match found.next {
            Some(next) => within.after = Some(next.parse().map_err(text)?),
            None => break,
        }
    }
    lines.push(counts.to_string());
    Ok(lines.join("\n"))
}
