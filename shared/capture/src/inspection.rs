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
    /// It is encrypted. What we make of it is not.
    pub encrypted: bool,
    /// It asked for a password, and one of those that were supplied opened it.
    #[serde(default)]
    pub unlocked: bool,
    /// Its table of objects was broken and had to be rebuilt, in memory; the file is as it came.
    #[serde(default)]
    pub repaired: bool,
    /// What it holds beside its pages.
    #[serde(default)]
    pub features: Vec<Feature>,
}

impl Inspection {
    /// A file of so many pages about which there is nothing more to say.
    pub fn plain(kind: Kind, pages: u32) -> Self {
        Self {
            kind,
            pages,
            digitally_signed: false,
            encrypted: false,
            unlocked: false,
            repaired: false,
            features: Vec::new(),
        }
    }

    /// What a person should know of the file, a sentence each.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if self.digitally_signed {
            remarks.push(
                "It is digitally signed: its bytes are kept as they came, and the searchable PDF beside it is an \
                 unsigned copy."
                    .to_owned(),
            );
        }
        if self.unlocked {
            remarks.push("It was opened with a password; the searchable PDF has none.".to_owned());
        } else if self.encrypted {
            remarks.push("Its author restricted its use; the searchable PDF does not say so.".to_owned());
        }
        if self.repaired {
            remarks.push(
                "Its table of objects was broken and was rebuilt for reading; the original is as it came."
                    .to_owned(),
            );
        }
        remarks.extend(self.features.iter().map(Feature::remark));
        remarks
    }
}

/// What a file may hold beside its pages, or lack of them. None of it goes into the searchable PDF; the original keeps
/// it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "feature", rename_all = "snake_case")]
pub enum Feature {
    /// A form in XFA.
    Xfa {
        /// Its pages are drawn by a script when it is opened; what a PDF viewer shows in their place is a request to
        /// use another one.
        dynamic: bool,
    },
    /// A form to be filled in.
    Form,
    /// A form with fields that are filled in and do not look so, for a viewer was to draw what stands in them.
    UnseenEntries {
        /// How many fields.
        count: u32,
    },
    /// A collection of files with a cover sheet.
    Portfolio,
    /// Attached files.
    Attachments {
        /// How many.
        count: u32,
    },
    /// Scripts. None was run.
    Scripts,
    /// It says that it has more pages than there are.
    FewerPages {
        /// How many it says.
        declared: u64,
        /// How many there are, with those that cannot be read.
        found: u32,
    },
    /// Small copies of pages, for programs that show many at once.
    Thumbnails {
        /// How many.
        count: u32,
    },
    /// Further pictures behind the first, as animations have them and cameras with two lenses.
    Pictures {
        /// How many, with the first.
        count: u32,
    },
}

impl Feature {
    /// Whether what the file is about may not be on its pages, so that a person has to look at the original.
    pub fn holds_content(&self) -> bool {
        matches!(
            self,
            Self::Xfa { dynamic: true }
                | Self::UnseenEntries { .. }
                | Self::Portfolio
                | Self::FewerPages { .. }
                | Self::Pictures { .. }
        )
    }

    /// What a person should know of it.
    pub fn remark(&self) -> String {
        match self {
            Self::Xfa { dynamic: true } => {
                "It is a dynamic XFA form: its pages exist only in a program that draws \
                them, and what is shown here stands in their place."
                    .to_owned()
            }
            Self::Xfa { dynamic: false } => {
                "It is an XFA form; what its PDF pages show is kept, the form itself is in the original."
                    .to_owned()
            }
            Self::Form => {
                "It is a form; what is filled in is kept as it looks, the fields are in the original."
                    .to_owned()
            }
            Self::UnseenEntries { count: 1 } => {
                "A field of its form is filled in but has no look of its own: what stands in it is not shown here, \
                and is only in the original."
                    .to_owned()
            }
            Self::UnseenEntries { count } => format!(
                "{count} fields of its form are filled in but have no look of their own: what stands in them is not \
                 shown here, and is only in the original."
            ),
            Self::Portfolio => {
                "It is a portfolio: its files are attached to what is shown here, and are only in the \
                original."
                    .to_owned()
            }
            Self::Attachments { count: 1 } => {
                "A file is attached to it; it is only in the original.".to_owned()
            }
            Self::Attachments { count } => {
                format!("{count} files are attached to it; they are only in the original.")
            }
            Self::Scripts => "It holds scripts; none was run, and they are only in the original.".to_owned(),
            Self::FewerPages { declared, found } => {
                format!("It says that it has {declared} pages, but only {found} are in it: some may be lost.")
            }
            Self::Pictures { count } => {
                format!("It holds {count} pictures, and only the first is shown here; the original has all of them.")
            }
            Self::Thumbnails { count: 1 } => {
                "It holds a small copy of a page, which is no page of its own and was left out.".to_owned()
            }
            Self::Thumbnails { count } => format!(
                "It holds {count} small copies of its pages, which are no pages of their own and were left out."
            ),
        }
    }
}

/// How the samples of a [`PageImage`] are coded; each is a PDF filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageCodec {
    /// A JPEG file (`DCTDecode`), gray or RGB by `components`.
    Jpeg,
    /// CCITT group 4 (ITU-T T.6), black is 1 in the coded data, most significant bit first.
    CcittG4,
    /// JBIG2 (ITU-T T.88) in segments without a file header; those that several pictures share come first.
    Jbig2,
    /// zlib-compressed samples (`FlateDecode`), 8 bits a component, rows without padding.
    Flate,
}

/// A finished page's image as it goes into the PDF. The bytes travel beside this in a file of their own: those of the
/// image, then those of what lies over it.
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
    /// How many of them are segments of JBIG2 that stand before the image's own, in an object of their own.
    #[serde(default)]
    pub shared_bytes: u64,
    /// Sharp strokes that lie over it, where it is the coarse part of a page in layers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strokes: Option<Box<Strokes>>,
}

/// Strokes over a coarse picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strokes {
    /// Where they are: the black dots of a picture of one bit.
    pub mask: PageImage,
    /// Their one colour (red, green, blue), where they have one.
    pub colour: Option<[u8; 3]>,
    /// A picture of their colours, where they have many.
    pub colours: Option<PageImage>,
}

impl PageImage {
    /// An image that is all of its page.
    pub fn plain(
        codec: ImageCodec,
        (width, height): (u32, u32),
        components: u8,
        bits: u8,
        bytes: u64,
    ) -> Self {
        Self { codec, width, height, components, bits, bytes, shared_bytes: 0, strokes: None }
    }

    /// That of a page which stands in the PDF as it came: there is none.
    pub fn none(size: (u32, u32)) -> Self {
        Self::plain(ImageCodec::Flate, size, 1, 8, 0)
    }

    /// The bytes of the image and of all that lies over it.
    pub fn all_bytes(&self) -> u64 {
        let over = self.strokes.as_ref().map_or(0, |strokes| {
            strokes.mask.bytes + strokes.colours.as_ref().map_or(0, |colours| colours.bytes)
        });
        self.bytes + over
    }
}
