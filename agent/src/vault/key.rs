//! The key: 32 random bytes, as they are, in hex or in base64.

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hkdf::{HKDF_SHA256, Prk, Salt};

use crate::config::Encryption;

/// Bytes of a key.
pub(super) const KEY_BYTES: usize = 32;
/// Bytes of a key's name.
pub(super) const NAME_BYTES: usize = 8;
/// The largest file that is looked at as a key.
const FILE_BYTES_MAX: usize = 1_024;
/// Where systemd lays a service's credentials.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// What files and records are encrypted with: a key of its own for each, and a name that gives neither away.
pub struct Key {
    pub(super) files: [u8; KEY_BYTES],
    pub(super) records: [u8; KEY_BYTES],
    pub(super) id: [u8; NAME_BYTES],
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.name())
    }
}

impl Key {
    /// The keys that follow from these bytes (HKDF-SHA-256, RFC 5869).
    pub fn from_bytes(bytes: &[u8; KEY_BYTES]) -> Self {
        let root = Salt::new(HKDF_SHA256, b"platen encryption at rest, 1").extract(bytes);
        let name: [u8; KEY_BYTES] = expand(&root, b"name");
        let mut id = [0; NAME_BYTES];
        id.copy_from_slice(&name[..NAME_BYTES]);
        Self { files: expand(&root, b"files"), records: expand(&root, b"records"), id }
    }

    /// A key from the text or bytes of a file.
    ///
    /// # Errors
    ///
    /// A sentence where they are none.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let found = <[u8; KEY_BYTES]>::try_from(bytes).ok().or_else(|| {
            let text = std::str::from_utf8(bytes).ok()?.trim();
            from_hex(text).or_else(|| STANDARD.decode(text).ok())?.try_into().ok()
        });
        let found = found.ok_or("is no key: 32 bytes, 64 hex digits or 44 characters of base64 are")?;
        Ok(Self::from_bytes(&found))
    }

    /// A name to tell keys apart by.
    pub fn name(&self) -> String {
        self.id.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn expand(root: &Prk, use_of_it: &[u8]) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    let info = [use_of_it];
    let filled = root.expand(&info, HKDF_SHA256).and_then(|output| output.fill(&mut key));
    filled.expect("a key is as long as one block");
    key
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || text.len() != 2 * KEY_BYTES {
        return None;
    }
    (0..KEY_BYTES).map(|index| u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()).collect()
}

/// The configured key; `None` where none is configured. The error is a sentence.
pub(super) fn of(encryption: &Encryption) -> Result<Option<Key>, String> {
    let path = match (&encryption.key_file, &encryption.credential) {
        (Some(file), _) => file.clone(),
        (None, Some(credential)) => {
            let folder = std::env::var_os(CREDENTIALS).map(PathBuf::from).ok_or(format!(
                "encryption.credential is set, but {CREDENTIALS} is not: is this started by systemd?"
            ))?;
            folder.join(credential)
        }
        (None, None) => return Ok(None),
    };
    read(&path).map(Some).map_err(|error| format!("the key {} {error}", path.display()))
}

fn read(path: &Path) -> Result<Key, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() > FILE_BYTES_MAX { Err("is far too long for a key".into()) } else { Key::parse(&bytes) }
}
