//! Writers as scanners, servers and people are: each brings a file into a folder in a rhythm of its own.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use platen_model::{Digest, durable};

/// A rhythm by its name.
pub struct Rhythm {
    /// What it is like.
    pub name: &'static str,
    /// The kind of file it brings.
    pub kind: Kind,
    write: fn(&Path, &[u8]) -> io::Result<()>,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A picture in a format that nobody appends to.
    Jpeg,
    /// Pages in a format that grows.
    Tiff,
    /// The same, with its table at the end.
    Pdf,
}

/// Every rhythm.
pub const RHYTHMS: &[Rhythm] = &[
    Rhythm { name: "at-once", kind: Kind::Pdf, write: |path, bytes| std::fs::write(path, bytes) },
    Rhythm { name: "bursts", kind: Kind::Jpeg, write: |path, bytes| in_parts(path, bytes, 20, ms(60)) },
    Rhythm {
        name: "pauses-of-two-seconds",
        kind: Kind::Pdf,
        write: |path, bytes| in_parts(path, bytes, 4, ms(2_000)),
    },
    Rhythm {
        name: "pause-of-thirty-seconds",
        kind: Kind::Pdf,
        write: |path, bytes| in_parts(path, bytes, 2, ms(30_000)),
    },
    Rhythm {
        name: "hidden-then-renamed",
        kind: Kind::Tiff,
        write: |path, bytes| by_rename(path, ".", ".tmp", bytes),
    },
    Rhythm {
        name: "part-then-renamed",
        kind: Kind::Jpeg,
        write: |path, bytes| by_rename(path, "", ".filepart", bytes),
    },
    Rhythm {
        name: "tilde-then-renamed",
        kind: Kind::Pdf,
        write: |path, bytes| by_rename(path, "~", "", bytes),
    },
    Rhythm { name: "moved-in-whole", kind: Kind::Tiff, write: moved_in },
    Rhythm { name: "truncated-and-rewritten", kind: Kind::Pdf, write: truncated_and_rewritten },
    Rhythm { name: "allocated-then-filled", kind: Kind::Jpeg, write: allocated_then_filled },
    Rhythm { name: "opened-for-each-part", kind: Kind::Jpeg, write: opened_for_each_part },
    Rhythm { name: "page-by-page", kind: Kind::Tiff, write: page_by_page },
    Rhythm { name: "name-long-before-bytes", kind: Kind::Pdf, write: name_long_before_bytes },
    Rhythm {
        name: "clock-in-1971",
        kind: Kind::Pdf,
        write: |path, bytes| with_clock_at(path, bytes, 40_000_000),
    },
    Rhythm {
        name: "clock-in-2038",
        kind: Kind::Tiff,
        write: |path, bytes| with_clock_at(path, bytes, 2_150_000_000),
    },
];

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// The rhythm itself: what is tested is that a writer pauses.
fn pause(time: Duration) {
    std::thread::sleep(time);
}

impl Rhythm {
    /// Brings a file of this rhythm's kind, made from a seed, into a folder. Answers its name and digest.
    ///
    /// # Errors
    ///
    /// Where it cannot be written.
    pub fn bring(&self, folder: &Path, seed: u32) -> io::Result<(String, Digest)> {
        let bytes = self.kind.made(seed);
        let name = format!("{}.{}", self.name, self.kind.extension());
        (self.write)(&folder.join(&name), &bytes)?;
        Ok((name, Digest::of(&bytes)))
    }
}

fn in_parts(path: &Path, bytes: &[u8], parts: usize, between: Duration) -> io::Result<()> {
    let mut file = File::create(path)?;
    for (index, part) in bytes.chunks(bytes.len().div_ceil(parts)).enumerate() {
        if index > 0 {
            pause(between);
        }
        file.write_all(part)?;
    }
    Ok(())
}

fn by_rename(path: &Path, before: &str, after: &str, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!("{before}{name}{after}"));
    in_parts(&temporary, bytes, 3, ms(700))?;
    durable::rename(&temporary, path)
}

fn moved_in(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Beside the hot folder, and so on its file system.
    let folder = path.parent().and_then(Path::parent).ok_or(io::ErrorKind::NotFound)?;
    let outside: PathBuf = folder.join(format!("outside-{}", Digest::of(bytes)));
    std::fs::write(&outside, bytes)?;
    durable::rename(&outside, path)
}

fn truncated_and_rewritten(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(&bytes[..bytes.len() * 2 / 3])?;
    pause(ms(1_500));
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    pause(ms(1_500));
    file.write_all(bytes)
}

/// As file servers and Windows copy: the length is there from the beginning.
fn allocated_then_filled(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.set_len(bytes.len() as u64)?;
    for part in bytes.chunks(bytes.len().div_ceil(4)) {
        pause(ms(1_500));
        file.write_all(part)?;
    }
    Ok(())
}

fn opened_for_each_part(path: &Path, bytes: &[u8]) -> io::Result<()> {
    for part in bytes.chunks(bytes.len().div_ceil(4)) {
        OpenOptions::new().create(true).append(true).open(path)?.write_all(part)?;
        pause(ms(1_200));
    }
    Ok(())
}

/// A whole TIFF of one page first, to which pages are appended: complete after each of them.
fn page_by_page(path: &Path, bytes: &[u8]) -> io::Result<()> {
    for page in 1..=TIFF_PAGES {
        let whole = tiff_of_pages(seed_of_tiff(bytes), page);
        let mut file = OpenOptions::new().create(true).write(true).truncate(false).open(path)?;
        file.write_all(&whole)?;
        drop(file);
        if page < TIFF_PAGES {
            pause(ms(1_500));
        }
    }
    Ok(())
}

fn name_long_before_bytes(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    pause(ms(5_000));
    file.write_all(bytes)
}

fn with_clock_at(path: &Path, bytes: &[u8], second: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    let clock = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
    for part in bytes.chunks(bytes.len().div_ceil(3)) {
        file.write_all(part)?;
        file.set_modified(clock)?;
        pause(ms(900));
    }
    Ok(())
}

impl Kind {
    /// The ending of its names.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Tiff => "tif",
            Self::Pdf => "pdf",
        }
    }

    /// A small file of this kind that no other seed gives.
    pub fn made(self, seed: u32) -> Vec<u8> {
        match self {
            Self::Jpeg => jpeg(seed),
            Self::Tiff => tiff_of_pages(seed, TIFF_PAGES),
            Self::Pdf => pdf(seed),
        }
    }
}

fn jpeg(seed: u32) -> Vec<u8> {
    let dot = |x: u32, y: u32| image::Luma([(x * 3 + y * 5 + seed * 7) as u8 | 0x80]);
    let picture = image::GrayImage::from_fn(160, 120, dot);
    let mut bytes = io::Cursor::new(Vec::new());
    let coded = picture.write_to(&mut bytes, image::ImageFormat::Jpeg);
    coded.map(|()| bytes.into_inner()).unwrap_or_default()
}

fn pdf(seed: u32) -> Vec<u8> {
    let mut bytes = format!("%PDF-1.4\n% scan {seed}\n").into_bytes();
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 144 96] >>".to_owned(),
        // So that there is something to pause in.
        format!("({})", "x".repeat(4_000)),
    ];
    let mut places = Vec::new();
    for (number, object) in (1..).zip(&objects) {
        places.push(bytes.len());
        bytes.extend(format!("{number} 0 obj\n{object}\nendobj\n").bytes());
    }
    let start = bytes.len();
    bytes.extend(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).bytes());
    places.iter().for_each(|place| bytes.extend(format!("{place:010} 00000 n \n").bytes()));
    let trailer =
        format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n", objects.len() + 1);
    bytes.extend(trailer.bytes());
    bytes
}

/// Pages of the TIFFs.
const TIFF_PAGES: u32 = 3;
/// Pixels along a page's sides.
const SIDE: u32 = 96;
/// The bytes of one page: its samples, and a directory of ten entries behind them.
const PAGE_BYTES: u32 = SIDE * SIDE + 2 + 10 * 12 + 4;

/// An uncompressed TIFF. One of more pages begins with the bytes of one of fewer, but for the place of the next.
/// A TIFF of so many pages, whole after each.
pub fn tiff_of_pages(seed: u32, pages: u32) -> Vec<u8> {
    let mut bytes = b"II\x2a\0".to_vec();
    bytes.extend((8 + SIDE * SIDE).to_le_bytes());
    for page in 0..pages {
        let begin = 8 + page * PAGE_BYTES;
        // The first samples are the seed: no two files are alike.
        let mut samples = vec![230u8; (SIDE * SIDE) as usize];
        samples[..4].copy_from_slice(&seed.to_be_bytes());
        bytes.extend(samples);
        let entries: [(u16, u32); 10] = [
            (256, SIDE),
            (257, SIDE),
            (258, 8),
            (259, 1),
            (262, 1),
            (273, begin),
            (277, 1),
            (278, SIDE),
            (279, SIDE * SIDE),
            (296, 2),
        ];
        bytes.extend(10u16.to_le_bytes());
        for (tag, value) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(4u16.to_le_bytes());
            bytes.extend(1u32.to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        let next = if page + 1 < pages { begin + PAGE_BYTES + SIDE * SIDE } else { 0 };
        bytes.extend(next.to_le_bytes());
    }
    bytes
}

fn seed_of_tiff(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use platen_capture::Limits;
    use platen_capture::decode::Ending;

    #[test]
    fn the_files_are_whole_and_no_two_are_alike() {
        for (kind, pages) in [(Kind::Jpeg, 1), (Kind::Tiff, TIFF_PAGES), (Kind::Pdf, 1)] {
            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(&kind.made(7)).expect("write");
            let limits = Limits::default();
            let ending = Ending::of(file.try_clone().expect("a file"), &limits).expect("readable");
            assert!(matches!(ending, Ending::Properly { .. }), "{kind:?}: {ending:?}");
            let mut document = platen_capture::decode::Document::open(file, &limits).expect("it opens");
            assert_eq!(document.inspect(&limits).expect("it is looked at").pages, pages, "{kind:?}");
            assert_ne!(kind.made(7), kind.made(8), "{kind:?}");
        }
    }
}
