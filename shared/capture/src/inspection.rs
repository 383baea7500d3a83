//! What a file is, found out before any page of it is processed.

use serde::{Deserialize, Serialize};

/// The format, sniffed from the bytes and never believed from a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// TIFF 6.0 or BigTIFF.
    Tiff,
    /// JPEG (ITU-T T.81).
    Jpeg,
    /// PNG.
    Png,
    /// WebP.
    Webp,
    /// Windows bitmap.
    Bmp,
    /// GIF.
    Gif,
    /// JPEG 2000 (ITU-T T.800), in a file or as a bare codestream.
    Jpeg2000,
    /// PDF (ISO 32000).
    Pdf,
}

impl Kind {
    /// The media type.
    pub fn mime(self) -> &'static str {
        match self {
            Self::Tiff => "image/tiff",
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::Bmp => "image/bmp",
            Self::Gif => "image/gif",
            Self::Jpeg2000 => "image/jp2",
            Self::Pdf => "application/pdf",
        }
    }
}

/// What was found out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    /// The format.
    pub kind: Kind,
    /// Number of pages; at least one.
    pub pages: u32,
    /// It carries a digital signature: its bytes are kept as they are, what we make stands beside them (INV-8).
    pub digitally_signed: bool,
    /// It is encrypted but opens without a password.
    pub encrypted: bool,
}

/// How the samples of a [`PageImage`] are coded; each is a PDF filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageCodec {
    /// A JPEG file (`DCTDecode`), gray or RGB by `components`.
    Jpeg,
    /// CCITT group 4 (ITU-T T.6), black is 1 in the coded data, most significant bit first.
    CcittG4,
    /// zlib-compressed samples (`FlateDecode`), 8 bits a component, rows without padding.
    Flate,
}

/// A finished page's image as it goes into the PDF. The bytes travel beside this in a file of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageImage {
    /// The coding.
    pub codec: ImageCodec,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Colour components: 1 (gray or bitonal) or 3 (RGB).
    pub components: u8,
    /// Bits of a component: 1 or 8.
    pub bits: u8,
    /// Number of coded bytes.
    pub bytes: u64,
}
