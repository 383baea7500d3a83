//! `examples export`: the files that `platen-agent rules fit` and `rules check` read.

use std::path::Path;

use platen_model::{Example, TenantId, durable};

use super::{storage, text};
use crate::api::examples::example;
use crate::blobs::Keep;
use crate::config::Config;
use crate::store::examples;

/// Examples read in one go.
const AT_ONCE: u32 = 100;

/// `examples export`: writes each of the tenant's examples as a file of its own, named by its document. A file that is
/// there is written anew.
pub async fn export_examples(config: &Config, tenant: &TenantId, folder: &Path) -> Result<String, String> {
    let (store, blobs) = storage(config).await?;
    let keep = Keep { blobs, store };
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    durable::create_folder(folder).map_err(failed)?;
    let (mut after, mut count) = (None, 0);
    loop {
        let found = examples::list(&keep.store, tenant, after, AT_ONCE).await.map_err(text)?;
        let Some(last) = found.last() else { break };
        after = Some(last.told.document_id);
        for sourced in found {
            let Some(example) = example(&keep, tenant, sourced).await.map_err(text)? else { continue };
            let bytes = serde_json::to_vec(&example).map_err(text)?;
            let path = folder.join(format!("{}{}", example.name, Example::FILE_ENDING));
            durable::write(&path, &bytes).map_err(failed)?;
            count += 1;
        }
    }
    Ok(format!("{count} examples are in {}", folder.display()))
}
