//! A PDF that goes to its file as it is written.
//!
//! An object leaves memory once the next one begins and some are held; what stays is where each stands, sixteen bytes of
//! it, for the table at the end. So a PDF of any number of pages takes the memory of its largest page. Objects are
//! written as `pdf-writer` writes them.
//!
//! A write that fails is said at the end of the page or of the file, as a buffered writer does: nothing more is written
//! behind it, and the file must be given up.

use std::fmt;
use std::io::{self, Write};

use pdf_writer::{Chunk, Ref};
use platen_model::{Failure, FailureClass, Stage};
use rustix::process::{Resource, getrlimit};

/// Finished objects are written to the file from so many bytes on.
const HELD_BYTES: usize = 1 << 20;
/// What a table of objects can say of a place has ten digits (ISO 32000-1, 7.5.4).
const PLACE_MAX: u64 = 9_999_999_999;
/// The number of an entry for an object that never was, in the list of free ones.
const FREE_GENERATION: u16 = 65_535;

/// The file being written.
pub(super) struct Output {
    target: Box<dyn Write + Send>,
    /// Objects that are not in the file yet.
    held: Chunk,
    /// The bytes before them.
    written: u64,
    /// Where each object stands.
    places: Vec<(Ref, u64)>,
    /// More bytes than this may not be written; beyond it the system would end the process.
    bytes_max: u64,
    failed: Option<io::Error>,
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("written", &self.written).field("objects", &self.places.len()).finish()
    }
}

/// What the end of the file names.
pub(super) struct Trailer {
    pub(super) root: Ref,
    pub(super) info: Ref,
    /// Both halves are equal in a file that was never changed.
    pub(super) id: [u8; 16],
}

impl Output {
    /// Begins a PDF of version 1.7, or of 1.4.
    pub(super) fn begin(target: impl Write + Send + 'static, is_1_4: bool) -> Self {
        let mut output = Self {
            target: Box::new(target),
            held: Chunk::new(),
            written: 0,
            places: Vec::new(),
            bytes_max: getrlimit(Resource::Fsize).current.unwrap_or(u64::MAX),
            failed: None,
        };
        let version = if is_1_4 { b"%PDF-1.4\n" } else { b"%PDF-1.7\n" };
        output.write(version);
        // Four bytes above 127 say that it is no text (ISO 32000-1, 7.5.2).
        output.write(b"%\x80\x80\x80\x80\n\n");
        output
    }

    /// Where the object of this number is to be written: it, and no other.
    pub(super) fn object(&mut self, id: Ref) -> &mut Chunk {
        if self.held.len() >= HELD_BYTES {
            self.let_go();
        }
        self.places.push((id, self.written + self.held.len() as u64));
        &mut self.held
    }

    /// Writes what is held to the file.
    ///
    /// # Errors
    ///
    /// Where this or an earlier write failed.
    pub(super) fn settle(&mut self) -> Result<(), Failure> {
        self.let_go();
        match &self.failed {
            None => Ok(()),
            Some(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                let message = format!("the PDF is over the {} bytes that a worker may write", self.bytes_max);
                Err(Failure::new(FailureClass::TooLarge, Stage::Bind, message))
            }
            Some(error) => Err(Failure::of_io(Stage::Bind, "cannot write the PDF", error)),
        }
    }

    fn let_go(&mut self) {
        let held = std::mem::replace(&mut self.held, Chunk::new());
        let begun = &self.places[self.places.len().saturating_sub(held.refs().len())..];
        debug_assert!(begun.iter().map(|(id, _)| *id).eq(held.refs()), "each object is begun by itself");
        self.write(held.as_bytes());
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.failed.is_none() && self.written + bytes.len() as u64 > self.bytes_max {
            self.failed = Some(io::ErrorKind::FileTooLarge.into());
        }
        if self.failed.is_none() {
            self.failed = self.target.write_all(bytes).err();
        }
        self.written += bytes.len() as u64;
    }

    /// Writes the table of objects and the trailer, and answers the length of the file in bytes.
    ///
    /// # Errors
    ///
    /// Where a write failed, or the file is longer than its table can say.
    pub(super) fn finish(mut self, trailer: &Trailer) -> Result<u64, Failure> {
        self.settle()?;
        let table = self.written;
        if table > PLACE_MAX {
            return Err(Failure::new(FailureClass::TooLarge, Stage::Bind, "the PDF is over 10 GB"));
        }
        self.places.sort_unstable();
        let size = 1 + self.places.last().map_or(0, |(id, _)| id.get());
        let mut end = format!("xref\n0 {size}\n");
        let mut places = self.places.iter().peekable();
        for number in 0..size {
            match places.next_if(|(id, _)| id.get() == number) {
                Some((_, place)) => end.push_str(&format!("{place:010} 00000 n\r\n")),
                // Free for ever: such an entry may lead to the first one (ISO 32000-1, 7.5.4).
                None => end.push_str(&format!("0000000000 {FREE_GENERATION:05} f\r\n")),
            }
        }
        let id: String = trailer.id.iter().map(|byte| format!("{byte:02X}")).collect();
        end.push_str(&format!(
            "trailer\n<<\n  /Size {size}\n  /Root {} 0 R\n  /Info {} 0 R\n  /ID [<{id}> <{id}>]\n>>\n\
             startxref\n{table}\n%%EOF",
            trailer.root.get(),
            trailer.info.get()
        ));
        self.write(end.as_bytes());
        self.settle()?;
        self.target.flush().map_err(|error| Failure::of_io(Stage::Bind, "cannot write the PDF", &error))?;
        Ok(self.written)
    }
}
