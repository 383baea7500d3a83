//! The means to check a PDF's signatures in years to come: a document security store (`/DSS`, ISO 32000-2, 12.8.4.3).
//!
//! [`add_validation`] appends an incremental update that holds the certificates of all signatures and of the
//! authorities whose time-stamps they carry, so that chains can be built when nobody serves them any more; and with them
//! whatever answers about revocation it is given and that hold ([`signatures::revocation`]). Who can be asked for those is
//! what [`revocation_questions`] says. What is missing of them is said, and makes nothing fail: the signatures stay what
//! they are.

use std::collections::BTreeSet;
use std::fs::File;

use jiff::Timestamp;
use lopdf::{Dictionary, Document, Object, Stream};
use platen_model::{Failure, FailureClass};

use super::revision::Revision;
use super::seal::{failed, open, read};
use super::signatures;
use super::signatures::revocation::{Question, Web};

/// Who can be asked whether the certificates of a PDF's signatures were revoked. `roots` are those that are trusted, as
/// PEM: they are asked about by nobody.
///
/// # Errors
///
/// As of [`add_validation`].
pub fn revocation_questions(source: &File, roots: &str) -> Result<Vec<Question>, Failure> {
    let original = read(source)?;
    let document = open(&original)?;
    Ok(web(&document, &original, roots)?.questions())
}

/// The PDF with the means to check its signatures behind it, and what is missing of them, a sentence each. The bytes
/// given are its unchanged beginning. `answers` is what was answered about revocation: lists and answers as DER, one
/// after the other, held against the time `at`.
///
/// # Errors
///
/// As of [`super::prepare_seal`]; and [`FailureClass::Unsupported`] where no signature brings a certificate.
pub fn add_validation(
    source: &File,
    answers: &File,
    roots: &str,
    at: Timestamp,
) -> Result<(Vec<u8>, Vec<String>), Failure> {
    let (original, answers) = (read(source)?, read(answers)?);
    let document = open(&original)?;
    let settled = web(&document, &original, roots)?.settle(&answers, at);
    let mut revision = Revision::new(original, &document);
    let mut dictionary = Dictionary::new();
    dictionary.set("Type", "DSS");
    for (key, objects) in [
        ("Certs", settled.certificates),
        ("CRLs", settled.lists.into_iter().collect()),
        ("OCSPs", settled.answers.into_iter().collect()),
    ] {
        let mut list = Vec::new();
        for object in objects {
            let id = revision.new_id();
            revision.write(id, &Object::Stream(Stream::new(Dictionary::new(), object)))?;
            list.push(Object::Reference(id));
        }
        if !list.is_empty() {
            dictionary.set(key, list);
        }
    }
    let store = revision.new_id();
    revision.write(store, &Object::Dictionary(dictionary))?;
    let broken = |error: lopdf::Error| failed(FailureClass::Corrupt, format!("the PDF is broken: {error}"));
    let root = document.trailer.get(b"Root").and_then(Object::as_reference).map_err(broken)?;
    let mut catalog = document.get_dictionary(root).map_err(broken)?.clone();
    catalog.set("DSS", store);
    revision.write(root, &Object::Dictionary(catalog))?;
    Ok((revision.finish()?, settled.lacking))
}

fn web(document: &Document, bytes: &[u8], roots: &str) -> Result<Web, Failure> {
    let certificates: BTreeSet<Vec<u8>> = signatures::certificates(document, bytes);
    if certificates.is_empty() {
        return Err(failed(FailureClass::Unsupported, "no signature brings a certificate".into()));
    }
    Ok(Web::new(certificates, roots))
}
