//! The means to check a PDF's signatures in years to come: a document security store (`/DSS`, ISO 32000-2, 12.8.4.3).
//!
//! [`add_validation`] appends an incremental update that holds the certificates of all signatures and of the
//! authorities whose time-stamps they carry, so that chains can be built when nobody serves them any more. Answers
//! about revocation are not among them: they would have to be fetched.

use std::collections::BTreeSet;
use std::fs::File;

use lopdf::{Dictionary, Object, Stream};
use platen_model::{Failure, FailureClass};

use super::revision::Revision;
use super::seal::{failed, open, read};
use super::signatures;

/// The PDF with the means to check its signatures behind it. The bytes given are its unchanged beginning.
///
/// # Errors
///
/// As of [`super::prepare_seal`]; and [`FailureClass::Unsupported`] where no signature brings a certificate.
pub fn add_validation(source: &File) -> Result<Vec<u8>, Failure> {
    let original = read(source)?;
    let document = open(&original)?;
    let certificates: BTreeSet<Vec<u8>> = signatures::certificates(&document, &original);
    if certificates.is_empty() {
        return Err(failed(FailureClass::Unsupported, "no signature brings a certificate".into()));
    }
    let mut revision = Revision::new(original, &document);
    let mut list = Vec::new();
    for certificate in certificates {
        let id = revision.new_id();
        revision.write(id, &Object::Stream(Stream::new(Dictionary::new(), certificate)))?;
        list.push(Object::Reference(id));
    }
    let store = revision.new_id();
    let mut dictionary = Dictionary::new();
    dictionary.set("Type", "DSS");
    dictionary.set("Certs", list);
    revision.write(store, &Object::Dictionary(dictionary))?;
    let broken = |error: lopdf::Error| failed(FailureClass::Corrupt, format!("the PDF is broken: {error}"));
    let root = document.trailer.get(b"Root").and_then(Object::as_reference).map_err(broken)?;
    let mut catalog = document.get_dictionary(root).map_err(broken)?.clone();
    catalog.set("DSS", store);
    revision.write(root, &Object::Dictionary(catalog))?;
    revision.finish()
}
