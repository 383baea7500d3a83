//! A checkpoint as it leaves the house: for whoever keeps it elsewhere, and for whoever is shown one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use platen_capture::pdf::signatures::stamp;
use platen_model::Digest;
use platen_model::keys::PublicKey;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Checkpoint, Kept};

/// A signed statement of what all of a tenant's documents were at one place of the event feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Checkpoint)]
pub struct Published {
    /// Its number, from 1.
    pub number: i64,
    /// When it was made.
    pub at: Timestamp,
    /// The last place of the event feed that it covers.
    pub position: i64,
    /// The number of documents.
    pub documents: u64,
    /// The Merkle root (RFC 6962) over the heads of their chains, `<document id>:<hash>` in the order of the ids.
    pub root: Digest,
    /// The exact text that is signed: JSON, which names the checkpoint before it by the digest of its text.
    pub statement: String,
    /// The site's key.
    pub public_key: PublicKey,
    /// Its Ed25519 signature of the text, in base64.
    pub signature: String,
    /// A time-stamp token (RFC 3161) about the text's SHA-256, in base64, where an authority gave one.
    pub time_stamp: Option<String>,
}

impl From<(Kept, Option<Vec<u8>>)> for Published {
    fn from((kept, token): (Kept, Option<Vec<u8>>)) -> Self {
        Self {
            number: kept.checkpoint.number,
            at: kept.checkpoint.at,
            position: kept.checkpoint.position,
            documents: kept.checkpoint.documents,
            root: kept.checkpoint.root,
            statement: kept.bytes,
            public_key: kept.key,
            signature: kept.signature,
            time_stamp: token.map(|token| STANDARD.encode(token)),
        }
    }
}

impl Published {
    /// What is signed, if the signature holds; whose the key is, is for the reader to know.
    ///
    /// # Errors
    ///
    /// A sentence: the signature does not hold, the text is no checkpoint, or what stands beside it is not what it says.
    pub fn statement(&self) -> Result<Checkpoint, String> {
        let signed = self.public_key.verify(self.statement.as_bytes(), &self.signature);
        signed.map_err(|_| "its signature does not hold: it was changed".to_owned())?;
        let said: Checkpoint = serde_json::from_str(&self.statement)
            .map_err(|error| format!("its statement cannot be read: {error}"))?;
        let signed = (said.number, said.at, said.position, said.documents, said.root);
        if signed != (self.number, self.at, self.position, self.documents, self.root) {
            return Err("its number, time, place, count or root is not the one that is signed".to_owned());
        }
        Ok(said)
    }

    /// When an authority says that the statement existed (`20260131120000Z`); `None` where no time-stamp came with it. Whose the authority is,
    /// is for the reader to know.
    ///
    /// # Errors
    ///
    /// A sentence: the token cannot be read, is about something else, or was changed.
    pub fn stamped_at(&self) -> Result<Option<String>, String> {
        let Some(token) = &self.time_stamp else { return Ok(None) };
        let token =
            STANDARD.decode(token).map_err(|error| format!("the time-stamp is not base64: {error}"))?;
        let stamp = stamp::read_sound(&token, Digest::of(self.statement.as_bytes()));
        Ok(Some(stamp.map_err(|error| format!("the time-stamp: {error}"))?.at))
    }
}
