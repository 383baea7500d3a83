//! The command line as it is typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use platen_agent::sheet::Sheet;
use platen_capture::export::Format;
use platen_capture::pdf::Paper;
use platen_capture::separate::{CodeRule, Fate, Patch};
use platen_capture::{Clean, Options, PdfA, Profile, Separation};
use platen_model::{CaptureId, DocumentId};

/// Watches scanner hot folders and delivers every scan, once and unaltered.
#[derive(Debug, Parser)]
#[command(name = "platen-agent", version)]
pub(crate) struct CommandLine {
    /// The configuration file; `process` and `rules` need none.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Watch, capture and deliver until told to stop.
    Run {
        /// Print the configuration in force and end.
        #[arg(long)]
        print_config: bool,
    },
    /// Turn files into searchable PDFs, text and records, here and now.
    Process(ProcessArguments),
    /// Parse documents for a supervisor, in a sandbox. Not for people.
    #[command(hide = true)]
    Worker {
        /// Address space, in MiB.
        #[arg(long)]
        memory_mb: u64,
    },
    /// Show sources, outbox, link and what is stuck.
    Status {
        /// As one JSON object.
        #[arg(long)]
        json: bool,
        /// Again every second, until interrupted.
        #[arg(long)]
        watch: bool,
    },
    /// Show and retry what is not yet the cloud's.
    #[command(subcommand)]
    Outbox(OutboxCommand),
    /// Show, retry or discard what could not be carried on.
    #[command(subcommand)]
    Quarantine(QuarantineCommand),
    /// Check classification rules, and try them on scans.
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Try every operation the agent will need, and print the fix where one fails.
    Doctor {
        /// As one JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Make a sheet to print and put before a document: it separates, and says what the document is.
    Sheet(SheetArguments),
    /// Turn a one-time code into this device's identity.
    Enroll {
        /// The cloud's address.
        #[arg(long)]
        url: String,
        /// The code.
        #[arg(long)]
        code: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ProcessArguments {
    /// Where results go.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) out: PathBuf,
    /// Workers at once; by default one per core.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: Option<u16>,
    /// Print one JSON object per document on standard output.
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the text in these formats too.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "FORMAT,...")]
    pub(crate) export: Vec<ExportChoice>,
    #[command(flatten)]
    pub(crate) choices: Choices,
    #[command(flatten)]
    pub(crate) dividing: Dividing,
    /// The scans.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct SheetArguments {
    /// The document's type, as the classification rules name it.
    #[arg(long = "type", value_name = "TYPE")]
    document_type: Option<String>,
    /// The department it belongs to.
    #[arg(long)]
    department: Option<String>,
    /// A field of the document. May be given again.
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
    field: Vec<(String, String)>,
    /// The patch code along the edges.
    #[arg(long, value_enum, default_value = "t")]
    patch: PatchChoice,
    /// The paper.
    #[arg(long, value_enum, default_value = "a4")]
    paper: PaperChoice,
    /// The PDF to write.
    #[arg(value_name = "OUT.pdf")]
    out: PathBuf,
}

impl SheetArguments {
    /// The sheet asked for.
    pub(crate) fn sheet(self) -> Sheet {
        let named = |name: &str, value: Option<String>| value.map(|value| (name.to_owned(), value));
        let values = named("type", self.document_type)
            .into_iter()
            .chain(named("department", self.department))
            .chain(self.field)
            .collect();
        let patch = match self.patch {
            PatchChoice::T => Patch::T,
            PatchChoice::P2 => Patch::P2,
            PatchChoice::P3 => Patch::P3,
        };
        let paper = match self.paper {
            PaperChoice::A4 => Paper::A4,
            PaperChoice::Letter => Paper::Letter,
        };
        Sheet { values, patch, paper, out: self.out }
    }
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as name=value")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PatchChoice {
    T,
    #[value(name = "2")]
    P2,
    #[value(name = "3")]
    P3,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PaperChoice {
    A4,
    Letter,
}

/// What may be chosen about page processing.
#[derive(Debug, Args)]
pub(crate) struct Choices {
    /// Tesseract languages, for example eng+deu.
    #[arg(long)]
    lang: Option<String>,
    /// The archival standard.
    #[arg(long, value_enum)]
    pdfa: Option<PdfaChoice>,
    /// How page images are stored.
    #[arg(long, value_enum)]
    profile: Option<ProfileChoice>,
    /// What is cleaned of borders, punch holes, specks, shadows and what shines through from the back.
    #[arg(long, value_enum)]
    clean: Option<CleanChoice>,
    /// A file of passwords to try on locked PDFs, one a line.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Keep blank pages in the PDF instead of setting them aside.
    #[arg(long)]
    keep_blank: bool,
}

impl Choices {
    /// The options with these choices made.
    pub(crate) fn over(self, mut options: Options) -> Options {
        if let Some(languages) = self.lang {
            options.languages = languages;
        }
        match self.pdfa {
            Some(PdfaChoice::A2b) => options.pdfa = PdfA::A2b,
            Some(PdfaChoice::A1b) => options.pdfa = PdfA::A1b,
            Some(PdfaChoice::Off) => options.pdfa = PdfA::Off,
            None => {}
        }
        match self.profile {
            Some(ProfileChoice::Exact) => options.profile = Profile::Exact,
            Some(ProfileChoice::Compact) => options.profile = Profile::Compact,
            None => {}
        }
        match self.clean {
            Some(CleanChoice::Off) => options.clean = Clean::Off,
            Some(CleanChoice::Reading) => options.clean = Clean::Reading,
            Some(CleanChoice::Shown) => options.clean = Clean::Shown,
            None => {}
        }
        if self.password_file.is_some() {
            options.passwords_file = self.password_file;
        }
        options.keep_blank_pages |= self.keep_blank;
        options
    }
}

/// A further format of the text.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ExportChoice {
    /// FILE.hocr: XHTML with boxes.
    Hocr,
    /// FILE.alto.xml: ALTO 4.
    Alto,
}

impl ExportChoice {
    /// The format.
    pub(crate) fn format(self) -> Format {
        match self {
            Self::Hocr => Format::Hocr,
            Self::Alto => Format::Alto,
        }
    }
}

/// How inputs are divided into documents.
#[derive(Debug, Args)]
pub(crate) struct Dividing {
    /// What begins a document: sheets with patch codes or printed by `platen-agent sheet`, blank pages, or nothing.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WAY,...")]
    separate: Vec<SeparateChoice>,
    /// Make a document of every N pages, as they were scanned.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    every: Option<u32>,
    /// Bar and matrix codes whose text matches begin a document; named groups, as in `^ID(?<number>.+)`, become its
    /// fields, `type` and `department` its type and department. May be given again.
    #[arg(long, value_name = "REGEX")]
    separator: Vec<String>,
    /// Keep the pages that begin documents as their first pages.
    #[arg(long)]
    keep_sheets: bool,
    /// The number of separators there are: with another number found, all documents go to a person.
    #[arg(long, value_name = "N")]
    expect: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SeparateChoice {
    Sheets,
    Blank,
    Off,
}

impl Dividing {
    /// The separation with these choices made.
    pub(crate) fn over(self, mut separation: Separation) -> Result<Separation, String> {
        let off = self.separate.contains(&SeparateChoice::Off);
        if off && (self.separate.len() > 1 || self.every.is_some() || !self.separator.is_empty()) {
            return Err("--separate off leaves nothing that could separate".into());
        }
        if off {
            return Ok(Separation::off());
        }
        if !self.separate.is_empty() {
            separation.blank = self.separate.contains(&SeparateChoice::Blank);
            if !self.separate.contains(&SeparateChoice::Sheets) {
                (separation.sheets, separation.patch) = (false, Vec::new());
            }
        }
        separation.every = self.every.or(separation.every);
        separation.expected = self.expect.or(separation.expected);
        let page = if self.keep_sheets { Fate::Keep } else { separation.page };
        separation.page = page;
        separation.codes.extend(self.separator.into_iter().map(|text| CodeRule {
            text,
            kinds: Vec::new(),
            page,
        }));
        separation.check().map(|()| separation)
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PdfaChoice {
    #[value(name = "2b")]
    A2b,
    #[value(name = "1b")]
    A1b,
    Off,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProfileChoice {
    /// As faithful as the scan.
    Exact,
    /// Sharp text over a coarse picture, for who pays by the megabyte.
    Compact,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CleanChoice {
    /// Nothing.
    Off,
    /// The copy that is read; the image stays as it was scanned.
    Reading,
    /// The image too.
    Shown,
}

#[derive(Debug, Subcommand)]
pub(crate) enum OutboxCommand {
    /// List documents in the order of delivery.
    List {
        /// As one JSON array.
        #[arg(long)]
        json: bool,
        /// The most that are listed.
        #[arg(long, value_name = "N", default_value_t = 1_000)]
        limit: usize,
    },
    /// Print a document's manifest.
    Show {
        /// The document.
        id: DocumentId,
    },
    /// Try documents now.
    Retry {
        #[command(flatten)]
        which: Which<DocumentId>,
    },
    /// Send the originals that wait for a cheap link now, whatever their bytes cost.
    Originals,
    /// Copy a document with its originals into a folder.
    Export {
        /// The document.
        id: DocumentId,
        /// The folder.
        dir: PathBuf,
    },
    /// Undo a division: capture the whole batch of a document again, as one document, which goes to a person.
    Rejoin {
        /// Any of the batch's documents.
        id: DocumentId,
    },
    /// Have blank pages back that were set aside: capture the scan of a document again with them, as one document,
    /// which goes to a person.
    Restore {
        /// The document.
        id: DocumentId,
    },
    /// Read every document in the spool and compare it with its manifest.
    Verify,
}

#[derive(Debug, Subcommand)]
pub(crate) enum QuarantineCommand {
    /// List what is in quarantine, oldest first.
    List {
        /// As one JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Show one.
    Show {
        /// The capture.
        id: CaptureId,
    },
    /// Give captures another chance.
    Retry {
        #[command(flatten)]
        which: Which<CaptureId>,
    },
    /// Throw one away. There is no way back.
    Discard {
        /// The capture.
        id: CaptureId,
    },
}

/// One, or all.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Which<Id: std::str::FromStr + Clone + Send + Sync + 'static>
where
    Id::Err: std::error::Error + Send + Sync + 'static,
{
    /// Only this one.
    pub(crate) id: Option<Id>,
    /// All of them.
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// Check rules, name the types they know, and judge them on examples.
    Check {
        /// A file, taken with the shipped rules in place of that for the same type; or a folder, taken alone. Without
        /// it: the shipped rules.
        #[arg(value_name = "FILE")]
        rules: Option<PathBuf>,
        /// A folder of examples. Deciding one of them wrongly without a person is an error.
        #[arg(long, value_name = "DIR")]
        examples: Option<PathBuf>,
    },
    /// Fit to examples what the rules' confidences mean. The fit is first tried: made on one half, judged on the other.
    Fit {
        /// A folder of examples.
        #[arg(value_name = "DIR")]
        examples: PathBuf,
        /// A file or a folder of rules, as for `check`.
        #[arg(long, value_name = "FILE")]
        rules: Option<PathBuf>,
        /// The folder of rules that takes the fit, as its calibration.toml; without it the fit is only shown.
        #[arg(long, value_name = "DIR")]
        write: Option<PathBuf>,
    },
    /// Make examples of scans: each of their documents, with what you say it is.
    Example {
        /// The scans.
        #[arg(required = true, value_name = "SCAN")]
        scans: Vec<PathBuf>,
        /// What they are; `unknown` where the rules know no such type.
        #[arg(long = "type", value_name = "TYPE")]
        document_type: String,
        /// A value that must be read, in its normal form, such as total=12.50.
        #[arg(long = "field", value_name = "NAME=VALUE")]
        fields: Vec<String>,
        /// The folder of examples.
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        #[command(flatten)]
        choices: Choices,
    },
    /// Show which rules speak on scans, what they see, where, and what it counts.
    Test {
        /// A file, taken with the shipped rules in place of that for the same type; or a folder, taken alone.
        #[arg(value_name = "FILE")]
        rules: PathBuf,
        /// The scans.
        #[arg(long, required = true, num_args = 1.., value_name = "SCAN")]
        on: Vec<PathBuf>,
        #[command(flatten)]
        choices: Choices,
    },
}
