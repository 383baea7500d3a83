//! How samples become the bytes of a PDF filter.
//!
//! [`jbig2`] and [`ccitt`] lose nothing and are for black and white; [`jpeg`] loses what nobody sees, by measure;
//! [`layers`] takes a page apart into sharp text and a coarse rest. What is used for which page is decided in
//! [`raster::encode`](crate::raster::encode).

pub(crate) mod ccitt;
pub(crate) mod jbig2;
pub(crate) mod jpeg;
pub(crate) mod layers;
