//! Ids. Each is made once, written down before it is used, and never changes (INV-5).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[cfg_attr(feature = "openapi", schema(value_type = String, format = Uuid))]
        pub struct $name(Uuid);

        impl $name {
            /// A new id (UUIDv7, so ids sort by the time they were made).
            #[expect(clippy::new_without_default, reason = "a default id would be a different id each time")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// The id of a UUID that was an id before.
            pub fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID itself.
            pub fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }
    };
}

uuid_id!(
    /// One claim from a hot folder: the file, or the batch of files, taken together.
    CaptureId
);
uuid_id!(
    /// One document. A capture yields one or more.
    DocumentId
);
uuid_id!(
    /// One resumable upload (tus).
    UploadId
);
uuid_id!(
    /// One envelope at a signing provider, by our own key.
    EnvelopeId
);
uuid_id!(
    /// One enrolled device.
    DeviceId
);

impl DocumentId {
    /// When it was claimed: ids carry the time of their capture, to the millisecond.
    pub fn claimed_at(&self) -> jiff::Timestamp {
        let millis = self.0.as_bytes()[..6].iter().fold(0i64, |sum, byte| sum << 8 | i64::from(*byte));
        jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }
}

uuid_id!(
    /// One client of the API: a program of the tenant's.
    ClientId
);

impl CaptureId {
    /// The id of the `index`-th document (from 0) of this capture. Always the same for the same capture,
    /// so that a capture repeated after a crash names the same documents (INV-5).
    ///
    /// ```
    /// let capture = platen_model::CaptureId::new();
    /// assert_eq!(capture.document(0), capture.document(0));
    /// assert_ne!(capture.document(0), capture.document(1));
    /// ```
    pub fn document(&self, index: u32) -> DocumentId {
        let hash = Sha256::new().chain_update(self.0.as_bytes()).chain_update(index.to_be_bytes()).finalize();
        let mut random = [0u8; 10];
        random.copy_from_slice(&hash[..10]);
        let bytes = self.0.as_bytes();
        let millis = bytes[..6].iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
        DocumentId(Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }
}

/// A tenant: a short name of lower-case letters, digits and hyphens.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, pattern = "^[a-z0-9-]{1,63}$"))]
#[serde(transparent)]
pub struct TenantId(String);

/// The text is not a tenant's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tenant's name is 1 to 63 lower-case letters, digits and hyphens")]
pub struct BadTenantId;

impl FromStr for TenantId {
    type Err = BadTenantId;
    fn from_str(text: &str) -> Result<Self, BadTenantId> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if (1..=63).contains(&text.len()) && text.chars().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadTenantId)
        }
    }
}

impl<'de> Deserialize<'de> for TenantId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl TenantId {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The trace that runs from the hot folder to the archive: a W3C Trace Context `traceparent`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, pattern = "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"))]
#[serde(transparent)]
pub struct CorrelationId(String);

/// The text is not a `traceparent` of version 00.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a correlation id is a W3C traceparent: 00-<32 hex>-<16 hex>-<2 hex>")]
pub struct BadCorrelationId;

impl CorrelationId {
    /// The trace of a capture: its id is the trace id.
    pub fn of_capture(capture: CaptureId) -> Self {
        let parent = &Sha256::digest(capture.0.as_bytes())[..8];
        let parent: String = parent.iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("00-{}-{parent}-01", capture.0.simple()))
    }

    /// The `traceparent` header's value.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for CorrelationId {
    type Err = BadCorrelationId;
    fn from_str(text: &str) -> Result<Self, BadCorrelationId> {
        let parts: Vec<&str> = text.split('-').collect();
        let hex = |part: &str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        if lengths == [2, 32, 16, 2] && parts[0] == "00" && parts.iter().all(|part| hex(part)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadCorrelationId)
        }
    }
}

impl<'de> Deserialize<'de> for CorrelationId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn document_ids_are_uuid_v7_with_the_time_of_their_capture() {
        let capture = CaptureId::new();
        let document = capture.document(3);
        assert_eq!(document.as_uuid().get_version_num(), 7);
        assert_eq!(document.as_uuid().as_bytes()[..6], capture.as_uuid().as_bytes()[..6]);
    }

    #[test]
    fn a_capture_has_one_correlation_id_and_it_is_a_traceparent() {
        let capture = CaptureId::new();
        let trace = CorrelationId::of_capture(capture);
        assert_eq!(trace, CorrelationId::of_capture(capture));
        assert_eq!(trace.as_str().parse(), Ok(trace));
        assert_eq!("00-xyz".parse::<CorrelationId>(), Err(BadCorrelationId));
    }

    #[test]
    fn a_tenant_cannot_be_named_like_a_path() {
        for bad in ["", "../x", "A", "a b", &"a".repeat(64)] {
            assert_eq!(bad.parse::<TenantId>(), Err(BadTenantId), "{bad}");
        }
    }
}
