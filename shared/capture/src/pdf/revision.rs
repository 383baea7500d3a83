//! An incremental update: new objects behind a PDF whose bytes stay as they are (ISO 32000-1, 7.5.6).
//!
//! The cross-reference section is of the kind the PDF has, for a reader need not follow a chain that mixes
//! them. Nothing before the end of the original is ever written: earlier signatures cover it.

use std::collections::BTreeMap;

use lopdf::xref::XrefType;
use lopdf::{Dictionary, Document, Object, ObjectId, Writer};
use platen_model::Failure;

use super::seal::failed;
use platen_model::FailureClass;

/// An update being written.
pub(super) struct Revision<'d> {
    document: &'d Document,
    bytes: Vec<u8>,
    next: u32,
    /// Offset and generation of each object written, by its number.
    written: BTreeMap<u32, (u64, u16)>,
}

impl<'d> Revision<'d> {
    /// Begins an update of `document`, which was read from `original`.
    pub(super) fn new(original: Vec<u8>, document: &'d Document) -> Self {
        let mut bytes = original;
        if !bytes.ends_with(b"\n") {
            bytes.push(b'\n');
        }
        let size = document.trailer.get(b"Size").and_then(Object::as_i64).unwrap_or(0);
        let size = u32::try_from(size).unwrap_or(0);
        let next = size.max(document.max_id + 1).max(document.reference_table.size);
        Self { document, bytes, next, written: BTreeMap::new() }
    }

    /// The id of an object that does not exist yet.
    pub(super) fn new_id(&mut self) -> ObjectId {
        let id = (self.next, 0);
        self.next += 1;
        id
    }

    /// Writes an object, new or in place of an older one.
    pub(super) fn write(&mut self, id: ObjectId, object: &Object) -> Result<(), Failure> {
        let mut body = Vec::new();
        Writer::write_object(&mut body, object)
            .map_err(|error| failed(FailureClass::Internal, format!("cannot write an object: {error}")))?;
        self.write_raw(id, &body);
        Ok(())
    }

    /// Writes an object from its bytes, and answers where they begin in the file.
    pub(super) fn write_raw(&mut self, id: ObjectId, body: &[u8]) -> usize {
        self.written.insert(id.0, (self.bytes.len() as u64, id.1));
        self.bytes.extend(format!("{} {} obj\n", id.0, id.1).bytes());
        let start = self.bytes.len();
        self.bytes.extend(body);
        self.bytes.extend(b"\nendobj\n");
        start
    }

    /// Ends the update and answers the whole file.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, Failure> {
        let mut trailer = Dictionary::new();
        for key in [b"Root".as_slice(), b"Info", b"ID"] {
            if let Ok(value) = self.document.trailer.get(key) {
                trailer.set(key, value.clone());
            }
        }
        trailer.set("Prev", self.document.xref_start as i64);
        let start = self.bytes.len();
        match self.document.reference_table.cross_reference_type {
            XrefType::CrossReferenceTable => {
                trailer.set("Size", i64::from(self.next));
                self.write_table(&trailer)?;
            }
            XrefType::CrossReferenceStream => self.write_stream(trailer)?,
        }
        self.bytes.extend(format!("startxref\n{start}\n%%EOF\n").bytes());
        Ok(self.bytes)
    }

    fn write_table(&mut self, trailer: &Dictionary) -> Result<(), Failure> {
        let mut table = String::from("xref\n");
        for (first, entries) in runs(&self.written) {
            table.push_str(&format!("{first} {}\n", entries.len()));
            for (offset, generation) in entries {
                // Entries are of twenty bytes, so an offset has ten digits at most.
                if offset > 9_999_999_999 {
                    return Err(failed(FailureClass::TooLarge, "the PDF is over 10 GB".into()));
                }
                table.push_str(&format!("{offset:010} {generation:05} n \n"));
            }
        }
        self.bytes.extend(table.bytes());
        self.bytes.extend(b"trailer\n");
        Writer::write_object(&mut self.bytes, &Object::Dictionary(trailer.clone()))
            .map_err(|error| failed(FailureClass::Internal, format!("cannot write the trailer: {error}")))?;
        self.bytes.push(b'\n');
        Ok(())
    }

    fn write_stream(&mut self, mut dictionary: Dictionary) -> Result<(), Failure> {
        let id = self.new_id();
        self.written.insert(id.0, (self.bytes.len() as u64, id.1));
        let mut index = Vec::new();
        let mut entries = Vec::new();
        for (first, run) in runs(&self.written) {
            index.extend([Object::from(i64::from(first)), Object::from(run.len() as i64)]);
            for (offset, generation) in run {
                entries.push(1);
                entries.extend(offset.to_be_bytes());
                entries.extend(generation.to_be_bytes());
            }
        }
        dictionary.set("Type", "XRef");
        dictionary.set("Size", i64::from(self.next));
        dictionary.set("W", vec![Object::from(1), Object::from(8), Object::from(2)]);
        dictionary.set("Index", index);
        self.write(id, &Object::Stream(lopdf::Stream::new(dictionary, entries)))
    }
}

/// Objects with consecutive numbers, together with the first number.
fn runs(written: &BTreeMap<u32, (u64, u16)>) -> Vec<(u32, Vec<(u64, u16)>)> {
    let mut runs: Vec<(u32, Vec<(u64, u16)>)> = Vec::new();
    for (&number, &entry) in written {
        match runs.last_mut() {
            Some((first, run)) if *first + run.len() as u32 == number => run.push(entry),
            _ => runs.push((number, vec![entry])),
        }
    }
    runs
}
