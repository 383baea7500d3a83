//! Who reads a page, and how each is called.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::cost::{self, Cost};
use super::pages::Page;
use crate::programs::Programs;

/// The resolution that OCRmyPDF is told where an image states none that it accepts.
const ASSUMED_DPI: &str = "300";

/// A way to make a searchable PDF and a text of one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contender {
    /// Platen, started anew for each file.
    Platen,
    /// Tesseract, which neither straightens nor turns nor cleans.
    Tesseract,
    /// OCRmyPDF as it comes.
    OcrmypdfPlain,
    /// OCRmyPDF, told to do what Platen does.
    OcrmypdfFull,
}

impl Contender {
    /// All of them, in the order of the tables.
    pub const ALL: [Self; 4] = [Self::Platen, Self::Tesseract, Self::OcrmypdfPlain, Self::OcrmypdfFull];

    /// Its name in the tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Platen => "Platen, one file a call",
            Self::Tesseract => "tesseract alone",
            Self::OcrmypdfPlain => "OCRmyPDF",
            Self::OcrmypdfFull => "OCRmyPDF --deskew --rotate-pages --clean",
        }
    }

    /// Whether it is OCRmyPDF.
    pub fn is_ocrmypdf(self) -> bool {
        matches!(self, Self::OcrmypdfPlain | Self::OcrmypdfFull)
    }

    /// Reads a page into `out`, an empty folder.
    ///
    /// # Errors
    ///
    /// What the program said when it failed.
    pub fn read(self, tools: &Tools, page: &Page, out: &Path) -> Result<Cost, String> {
        let first = cost::of(&mut self.command(tools, &page.path, &page.languages, out, false));
        if first.is_err() && self.is_ocrmypdf() {
            // It refuses images without a resolution and with transparency; only the first can be helped.
            return cost::of(&mut self.command(tools, &page.path, &page.languages, out, true));
        }
        first
    }

    /// The command for one file.
    pub fn command(
        self,
        tools: &Tools,
        file: &Path,
        languages: &str,
        out: &Path,
        assume_dpi: bool,
    ) -> Command {
        match self {
            Self::Platen => tools.platen(&[file], languages, out),
            Self::Tesseract => {
                let mut command = Command::new("tesseract");
                command.arg(file).arg(out.join("page")).args(["-l", languages, "pdf", "txt"]);
                command.env("OMP_THREAD_LIMIT", "1");
                command
            }
            Self::OcrmypdfPlain | Self::OcrmypdfFull => {
                let mut command = Command::new(tools.peers.join("bin/ocrmypdf"));
                command.args(["--jobs", "1", "--quiet", "-l", languages]);
                if self == Self::OcrmypdfFull {
                    command.args(["--deskew", "--rotate-pages", "--clean"]);
                }
                if assume_dpi {
                    command.args(["--image-dpi", ASSUMED_DPI]);
                }
                command.arg("--sidecar").arg(out.join("page.txt")).arg(file).arg(out.join("page.pdf"));
                command.env("OMP_THREAD_LIMIT", "1");
                command
            }
        }
    }
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Tools {
    /// Ours.
    pub programs: Programs,
    /// The Python environment with OCRmyPDF and the skew estimators.
    pub peers: PathBuf,
}

impl Tools {
    /// Platen over files of one language, on one core.
    pub fn platen(&self, files: &[&Path], languages: &str, out: &Path) -> Command {
        let mut command = self.programs.agent();
        command.args(["process", "--jobs", "1", "--lang", languages, "--out"]).arg(out).args(files);
        command
    }

    /// Whether OCRmyPDF is installed.
    pub fn has_ocrmypdf(&self) -> bool {
        self.peers.join("bin/ocrmypdf").is_file()
    }

    /// The Python of the peers, or the system's.
    pub fn python(&self) -> PathBuf {
        let python = self.peers.join("bin/python");
        if python.is_file() { python } else { "python3".into() }
    }
}
