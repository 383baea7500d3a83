//! What supervisor and worker say to each other.
//!
//! A message is a 4-byte big-endian length, sent together with its file descriptors (`SCM_RIGHTS`), then
//! that many bytes of JSON. Both sides are always the same build of the same program, so there is no version.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use platen_model::{Digest, Failure, PageRecord, SignatureFinding};
use rustix::io::retry_on_intr;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Inspection;
use crate::decode::Ending;
use crate::inspection::PageImage;
use crate::options::{Effort, Limits, Options, PdfA};
use crate::passwords::Passwords;
use crate::pdf::signatures::revocation::Question;
use crate::pdf::{Place, SealRoom};
use crate::worker::sandbox::Sandbox;

/// The longest message. A page of 20,000 words is about 2 MiB.
const MESSAGE_BYTES_MAX: u32 = 64 << 20;
/// The most descriptors with one message.
const FILES_MAX: usize = 3;

/// What a worker is asked. The files that go with each are named in order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Request {
    /// Find out what a file is. Files: input.
    Inspect {
        /// The limits to hold it to.
        limits: Limits,
        /// What to try where it is locked.
        passwords: Passwords,
    },
    /// Find out whether a file that may still be written ends as its format demands. Files: input.
    Ending {
        /// The limits to hold it to.
        limits: Limits,
    },
    /// Finish one page. Files: input, image (written).
    Page {
        /// The page, from 0.
        page: u32,
        /// What was chosen.
        options: Options,
        /// How much is done with it.
        effort: Effort,
        /// What opens the input where it is locked.
        passwords: Passwords,
    },
    /// Show one page as a picture, for it cannot be bound as it came. Files: input, image (written).
    Picture {
        /// The page, from 0.
        page: u32,
        /// How it is turned clockwise, by quarters.
        turned_deg: u32,
        /// What was chosen.
        options: Options,
        /// What opens the input where it is locked.
        passwords: Passwords,
    },
    /// Make a page that says something in letters, to stand where a page is missing. Files: image (written).
    Notice {
        /// What it says: a heading, then paragraphs.
        lines: Vec<String>,
    },
    /// Begin a PDF. Files: PDF (written from now until it is finished).
    BindBegin {
        /// What the PDF says of itself.
        info: BindInfo,
    },
    /// Add a page to it. Files: the page's image.
    BindPage {
        /// The image's measures.
        image: PageImage,
        /// The page's words.
        record: Box<PageRecord>,
    },
    /// Add a page of an incoming PDF to it as it is. Files: the incoming PDF.
    BindKept {
        /// The incoming PDF among the inputs, from 0.
        source: u32,
        /// Its page, from 0.
        page: u32,
        /// What was found on it.
        record: Box<PageRecord>,
        /// The limits to hold it to.
        limits: Limits,
        /// What opens it where it is locked.
        passwords: Passwords,
    },
    /// Write the end of it. Files: none.
    BindFinish,
    /// Show a page of a PDF. Files: PDF, PNG (written).
    Render {
        /// The page, from 0.
        page: u32,
        /// The width of the picture in pixels.
        width_px: u32,
    },
    /// Show a page of a scan as it came in, of any format. Files: input, PNG (written).
    RenderScan {
        /// The page, from 0.
        page: u32,
        /// The greatest width of the picture in pixels.
        width_px: u32,
        /// The limits to hold it to.
        limits: Limits,
    },
    /// Say what the sandbox holds. Files: none.
    Sandbox,
    /// Make room for a signature in a PDF. Files: PDF, PDF (written).
    PrepareSeal {
        /// What the signature says.
        seal: SealInfo,
    },
    /// Say who can be asked whether the certificates of a PDF's signatures were revoked. Files: PDF.
    RevocationQuestions {
        /// The certificates that are trusted, as PEM.
        roots: String,
    },
    /// Add the means to check a PDF's signatures later. Files: PDF, PDF (written), what was answered about revocation.
    AddValidation {
        /// The certificates that are trusted, as PEM.
        roots: String,
        /// The time that answers are held against.
        at: jiff::Timestamp,
    },
    /// Look at the signatures of a PDF that came back from signing. Files: the PDF, what was sent.
    CheckSignatures {
        /// The certificates that are trusted, as PEM.
        roots: String,
        /// The time they are held against.
        at: jiff::Timestamp,
        /// Whether the PDF has to begin with what was sent.
        incremental: bool,
    },
}

/// What a PDF says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindInfo {
    /// Title, shown by viewers: the file's name.
    pub title: String,
    /// The standard it claims.
    pub pdfa: PdfA,
    /// Tesseract languages it was read in, for `/Lang`.
    pub languages: String,
    /// It is a copy of a digitally signed document, and says so.
    pub copy_of_signed: bool,
    /// Digests of the inputs: its document id is made of them, so that the same input gives the same bytes.
    pub sources: Vec<Digest>,
}

/// What a signature in a PDF says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SealInfo {
    /// The signer, shown in the visible signature.
    pub name: String,
    /// Why it was signed.
    pub reason: String,
    /// When, as the visible signature and `/M` show it.
    pub at: jiff::Timestamp,
    /// Lines of the visible signature.
    pub lines: Vec<String>,
    /// The page it stands on, from 0.
    pub page: u32,
    /// Where on it.
    pub place: Place,
    /// The signature as it was drawn, where it was: lines of points, in thousandths of the drawing's width and height
    /// from its top left corner. It stands above the lines of text.
    #[serde(default)]
    pub strokes: Vec<Vec<[u16; 2]>>,
    /// What else the signer filled in: texts and ticks at places of their own.
    #[serde(default)]
    pub entries: Vec<Entry>,
    /// Room for the CMS signature, in bytes before hexadecimal coding. Whoever has the key knows it, and sets it.
    pub room_bytes: u32,
}

/// Something a signer filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The text; `None` is a tick.
    pub text: Option<String>,
    /// The page it stands on, from 0.
    pub page: u32,
    /// Where on it.
    pub place: Place,
}

/// What a worker answers when all went well.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum Reply {
    /// To [`Request::Inspect`].
    Inspected(Inspection),
    /// To [`Request::Ending`].
    Ends(Ending),
    /// To [`Request::Page`], [`Request::Picture`] and [`Request::Notice`].
    Page {
        /// What was found on it.
        record: Box<PageRecord>,
        /// The image's measures.
        image: PageImage,
    },
    /// To [`Request::BindBegin`] and [`Request::BindPage`].
    Noted,
    /// To [`Request::BindFinish`]: the length of the PDF.
    Bound {
        /// Bytes written.
        bytes: u64,
        /// The standard that it claims.
        pdfa: PdfA,
        /// Why it does not claim the one that was asked for, a sentence each.
        breaches: Vec<String>,
    },
    /// To [`Request::Render`].
    Rendered {
        /// Pages in the PDF.
        pages: u32,
    },
    /// To [`Request::RenderScan`].
    Shown,
    /// To [`Request::RevocationQuestions`].
    Questions(Vec<Question>),
    /// To [`Request::AddValidation`].
    Added {
        /// What is missing, a sentence each.
        lacking: Vec<String>,
    },
    /// To [`Request::Sandbox`].
    Held(Sandbox),
    /// To [`Request::PrepareSeal`].
    Prepared(SealRoom),
    /// To [`Request::CheckSignatures`].
    Checked(Box<SignatureFinding>),
}

/// An answer: a reply or a failure.
pub type Answer = Result<Reply, Failure>;

/// Asks a worker and waits for its answer until a moment, however the worker spreads its bytes over the time.
/// `None` when it has closed the socket.
///
/// # Errors
///
/// [`io::ErrorKind::TimedOut`] where the moment has passed; else what is wrong with the socket or the answer.
pub fn ask(
    stream: &mut UnixStream,
    request: &Request,
    files: &[BorrowedFd<'_>],
    until: Instant,
) -> io::Result<Option<Answer>> {
    let left = || {
        let left = until.saturating_duration_since(Instant::now());
        // A time limit of zero would mean none.
        (!left.is_zero()).then_some(left).ok_or(io::ErrorKind::TimedOut)
    };
    let talk = |stream: &mut UnixStream| {
        stream.set_write_timeout(Some(left()?))?;
        send(stream, request, files)?;
        stream.set_read_timeout(Some(left()?))?;
        let Some((length, _)) = receive_length(stream)? else { return Ok(None) };
        let mut body = vec![0u8; length];
        let mut filled = 0;
        while filled < length {
            // Set anew before each read: the kernel's limit is for one read, and ours for the whole answer.
            stream.set_read_timeout(Some(left()?))?;
            match stream.read(&mut body[filled..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
        }
        Ok(Some(serde_json::from_slice(&body)?))
    };
    let outcome: io::Result<Option<Answer>> = talk(stream);
    let passed = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock || left().is_err();
    outcome.map_err(|error| if passed(&error) { io::ErrorKind::TimedOut.into() } else { error })
}

/// Sends a message with its files.
pub fn send(stream: &mut UnixStream, message: &impl Serialize, files: &[BorrowedFd<'_>]) -> io::Result<()> {
    let body = serde_json::to_vec(message)?;
    let length = u32::try_from(body.len()).ok().filter(|length| *length <= MESSAGE_BYTES_MAX);
    let length = length.ok_or_else(|| io::Error::other("message too long"))?.to_be_bytes();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() && !control.push(SendAncillaryMessage::ScmRights(files)) {
        return Err(io::Error::other("too many files for one message"));
    }
    // Four bytes always fit an empty socket buffer; a stream socket may still take fewer, which we treat as broken.
    // A signal handler elsewhere in this process interrupts a call with a time limit even under `SA_RESTART`.
    let sent =
        retry_on_intr(|| sendmsg(&*stream, &[IoSlice::new(&length)], &mut control, SendFlags::NOSIGNAL))?;
    if sent != length.len() {
        return Err(io::ErrorKind::WriteZero.into());
    }
    stream.write_all(&body)
}

/// Receives a message with its files; `None` when the other side has closed the socket.
pub fn receive<T: DeserializeOwned>(stream: &mut UnixStream) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let Some((length, files)) = receive_length(stream)? else { return Ok(None) };
    let mut body = vec![0u8; length];
    stream.read_exact(&mut body)?;
    Ok(Some((serde_json::from_slice(&body)?, files)))
}

/// The length of the message that follows, and the files that came with it.
fn receive_length(stream: &UnixStream) -> io::Result<Option<(usize, Vec<OwnedFd>)>> {
    let mut length = [0u8; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::WAITALL;
    let received =
        retry_on_intr(|| recvmsg(stream, &mut [IoSliceMut::new(&mut length)], &mut control, flags))?;
    match received.bytes {
        0 => return Ok(None),
        4 => {}
        _ => return Err(io::ErrorKind::UnexpectedEof.into()),
    }
    let mut files = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            files.extend(rights);
        }
    }
    let length = u32::from_be_bytes(length);
    if length > MESSAGE_BYTES_MAX {
        return Err(io::Error::other("message too long"));
    }
    Ok(Some((length as usize, files)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, SeekFrom};
    use std::os::fd::AsFd;

    #[test]
    fn a_message_arrives_with_its_files() {
        let (mut here, mut there) = UnixStream::pair().expect("a socket pair");
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"scan").expect("write");
        send(&mut here, &Request::BindFinish, &[file.as_fd()]).expect("send");
        send(
            &mut here,
            &Request::Inspect { limits: Limits::default(), passwords: Passwords::default() },
            &[],
        )
        .expect("send");
        drop(here);

        let (request, mut files) = receive::<Request>(&mut there).expect("receive").expect("a message");
        assert!(matches!(request, Request::BindFinish));
        let mut file = std::fs::File::from(files.remove(0));
        file.seek(SeekFrom::Start(0)).expect("seek");
        let mut text = String::new();
        file.read_to_string(&mut text).expect("read");
        assert_eq!(text, "scan");

        let (request, files) = receive::<Request>(&mut there).expect("receive").expect("a message");
        assert!(matches!(request, Request::Inspect { .. }) && files.is_empty());
        assert!(receive::<Request>(&mut there).expect("closed").is_none());
    }
}
