//! The agent's configuration: one TOML file, then the environment, then defaults.
//!
//! A key nobody knows is refused with file and line: a misspelt `quiet_ms` that silently means its default
//! would one day cut a scan in two. Every key may be overridden by a variable named after its path,
//! `PLATEN_CLOUD__URL` for `url` in `[cloud]` (two underscores between section and key; `PLATEN_STATE` is
//! the one key without a section).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use platen_capture::{Options, Separation, ocr};
use platen_model::Failure;
use serde::{Deserialize, Serialize};

use crate::Complaint;
use crate::deliver::metered::Meter;
use crate::deliver::windows::Windows;
use crate::outbox::ledger::Priorities;

mod source;

pub use source::{After, Batch, Duplex, Events, Marker, Place, Source, Subfolder};

/// Everything that may be configured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The folder that holds the spool, the outbox and the device's identity.
    pub state: PathBuf,
    /// Classification rules; the shipped ones where absent.
    pub rules: Option<PathBuf>,
    /// The cloud.
    pub cloud: Cloud,
    /// The worker processes.
    pub workers: Workers,
    /// Page processing, and its limits.
    pub capture: Options,
    /// How scans are divided into documents, where a source says nothing else.
    pub separation: Separation,
    /// The spool.
    pub spool: Spool,
    /// Delivery.
    pub outbox: Outbox,
    /// Encryption at rest.
    pub encryption: Encryption,
    /// The hot folders.
    #[serde(rename = "source")]
    pub sources: Vec<Source>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            state: "/var/lib/platen/agent".into(),
            rules: None,
            cloud: Cloud::default(),
            workers: Workers::default(),
            capture: Options::default(),
            separation: Separation::default(),
            spool: Spool::default(),
            outbox: Outbox::default(),
            encryption: Encryption::default(),
            sources: Vec::new(),
        }
    }
}

/// Where documents go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cloud {
    /// The cloud's address, `https://platen.example.org`.
    pub url: Option<String>,
    /// The proxy, `http://user:password@proxy:3128`; `direct` for none. Where absent, that of the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// Certificates (PEM) trusted beside the system's, for a cloud or a proxy with an authority of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// How often the cloud is told how this device stands, in seconds; its pages show it, and people there can ask for a
    /// retry. 0 for never. On a metered link it is told a fifteenth as often.
    pub report_s: u64,
}

impl Default for Cloud {
    fn default() -> Self {
        Self { url: None, proxy: None, ca_file: None, report_s: 60 }
    }
}

/// The worker processes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Workers {
    /// How many at once; one per core where absent.
    pub count: Option<usize>,
}

impl Workers {
    /// The number of workers.
    pub fn number(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.count.unwrap_or_else(cores).max(1)
    }
}

/// The spool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Spool {
    /// Space that a claim must leave free on the spool's disk, in MiB. Where it would not, scans wait in their
    /// hot folders and `status` says so: a full disk would stop the captures that are already taken.
    pub min_free_mb: u64,
    /// Space that the spool may take in all, in MiB. Where it is used up, scans wait in their hot folders too.
    /// No limit where absent.
    pub max_mb: Option<u64>,
    /// Documents that may wait for the cloud. With more, scans wait in their hot folders.
    pub max_waiting: usize,
}

impl Default for Spool {
    fn default() -> Self {
        Self { min_free_mb: 512, max_mb: None, max_waiting: 50_000 }
    }
}

/// Encryption of the state folder. Without a key nothing is encrypted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Encryption {
    /// A file with the key: 32 random bytes, as they are, in hex or in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// The name of a systemd credential with the key, in place of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// Where page images and plain copies may be while a scan is worked on: a folder in memory (tmpfs). Where absent, that
    /// of systemd's `RuntimeDirectory=`, else `/dev/shm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub work: Option<PathBuf>,
}

/// Delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Outbox {
    /// How long a delivered document stays in the spool, in seconds; 0 removes it at once.
    pub keep_delivered_s: u64,
    /// Size of one upload request, in bytes.
    pub chunk_bytes: u64,
    /// Longest time that the cloud takes to answer a request, in seconds. What a request sends may take longer: a second
    /// for each 1,000 bytes.
    pub request_s: u64,
    /// Documents on their way at once.
    pub at_once: usize,
    /// The most that is sent in a second, in KiB; no limit where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandwidth_kb_s: Option<u64>,
    /// When documents are sent, in local time: `22:00-06:00`, `Mon-Fri 19:00-07:00`. Always where empty.
    pub windows: Vec<String>,
    /// Who says whether bytes are dear. While they are, originals are held back and the searchable PDF goes alone:
    /// `off` (nobody), `on` (they always are), `auto` (NetworkManager is asked for its property `Metered`).
    pub metered: Meter,
    /// A program and its arguments that is asked in NetworkManager's place: it ends with 0 where bytes are dear, with 1
    /// where they are cheap.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metered_command: Vec<String>,
    /// Network interfaces whose bytes are dear, such as `wwan*`, while the default route goes over one of them.
    pub metered_interfaces: Vec<String>,
    /// When originals are sent all the same; where none of the three above is set, the only time they are sent.
    pub originals_windows: Vec<String>,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            keep_delivered_s: 24 * 60 * 60,
            chunk_bytes: 4 << 20,
            request_s: 60,
            at_once: 4,
            bandwidth_kb_s: None,
            windows: Vec::new(),
            metered: Meter::Off,
            metered_command: Vec::new(),
            metered_interfaces: Vec::new(),
            originals_windows: Vec::new(),
        }
    }
}

impl Config {
    /// Reads a configuration file and the environment.
    ///
    /// # Errors
    ///
    /// A complaint with file and line where a key is unknown or a value does not fit.
    pub fn load(file: &Path) -> Result<Self, Complaint> {
        let text = std::fs::read_to_string(file).map_err(|error| {
            refused(format!("cannot read {}: {error}", file.display()), "name the file with --config")
        })?;
        Self::parse(&text, file, readable(std::env::vars_os())?)
    }

    /// The same from text, for a file of this name, with these variables.
    pub fn parse(
        text: &str,
        file: &Path,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Complaint> {
        // Read once by itself, so that a mistake is reported at its line in the file.
        let written: Self = toml::from_str(text).map_err(|error| {
            let line =
                error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            refused(format!("{}:{line}: {}", file.display(), error.message()), "correct that line")
        })?;
        let mut config = override_by(written, text, variables)?;
        config.check(file)?;
        if let Some(url) = &mut config.cloud.url {
            *url = url.trim_end_matches('/').to_owned();
        }
        Ok(config)
    }

    fn check(&self, file: &Path) -> Result<(), Complaint> {
        let wrong = |what: String| Err(refused(format!("{}: {what}", file.display()), "correct that value"));
        let mut names = std::collections::BTreeSet::new();
        let mut folders = std::collections::BTreeSet::new();
        if let Err(what) = self.separation.check() {
            return wrong(what);
        }
        if let Some(Err(what)) = self.cloud.url.as_deref().map(check_address) {
            return wrong(format!("cloud.url: {what}"));
        }
        for source in &self.sources {
            if let Some(Err(what)) = source.separation.as_ref().map(Separation::check) {
                return wrong(format!("source {:?}: {what}", source.name));
            }
            let name = &source.name;
            if name.is_empty() || !names.insert(name) {
                return wrong(format!("each source needs a name of its own, but {name:?} is not"));
            }
            if !folders.insert(&source.folder) {
                return wrong(format!("source {name:?} watches a folder that another source watches"));
            }
            let inside =
                |other: &&Source| other.folder != source.folder && other.folder.starts_with(&source.folder);
            if source.nested
                && let Some(other) = self.sources.iter().find(inside)
            {
                let other = &other.name;
                return wrong(format!(
                    "source {name:?} is nested, and source {other:?} watches a folder in it"
                ));
            }
            if let Err(what) = source.check() {
                return wrong(format!("source {name:?}: {what}"));
            }
        }
        for (place, languages) in self.languages() {
            if let Err(what) = ocr::check_form(languages) {
                return wrong(format!("{place}: {what}"));
            }
        }
        let encryption = &self.encryption;
        if encryption.key_file.is_some() && encryption.credential.is_some() {
            return wrong(
                "encryption.key_file and encryption.credential: one of the two holds the key".into(),
            );
        }
        if encryption.credential.as_ref().is_some_and(|name| name.is_empty() || name.contains('/')) {
            return wrong("encryption.credential is a name, not a path".into());
        }
        let outbox = &self.outbox;
        for (key, least) in [
            ("chunk_bytes", outbox.chunk_bytes),
            ("request_s", outbox.request_s),
            ("at_once", outbox.at_once as u64),
            ("bandwidth_kb_s", outbox.bandwidth_kb_s.unwrap_or(1)),
        ] {
            if least == 0 {
                return wrong(format!("outbox.{key} must be at least 1"));
            }
        }
        for (key, windows) in [("windows", &outbox.windows), ("originals_windows", &outbox.originals_windows)]
        {
            if let Err(error) = Windows::parse(windows, TimeZone::UTC) {
                return wrong(format!("outbox.{key}: {error}"));
            }
        }
        Ok(())
    }

    /// Every set of languages that some scan is read in, and where it is configured.
    pub fn languages(&self) -> Vec<(String, &str)> {
        let mut sets = vec![("capture.languages".to_owned(), self.capture.languages.as_str())];
        for source in &self.sources {
            let own = source.languages.as_deref();
            sets.extend(own.map(|set| (format!("source {:?}: languages", source.name), set)));
            let inside =
                source.subfolders.iter().filter_map(|folder| Some((folder, folder.languages.as_deref()?)));
            sets.extend(inside.map(|(folder, set)| {
                (format!("source {:?}: subfolder {}: languages", source.name, folder.path.display()), set)
            }));
        }
        sets
    }

    /// Every set of languages that scans of a source are read in.
    fn languages_of<'c>(&'c self, source: &'c Source) -> impl Iterator<Item = &'c str> {
        let own = source.languages.as_deref().unwrap_or(&self.capture.languages);
        std::iter::once(own).chain(source.subfolders.iter().filter_map(|inside| inside.languages.as_deref()))
    }

    /// Why scans of a source cannot be read: data of a language that are not installed, as far as is known now.
    pub fn lacks_language(&self, source: &Source) -> Option<Failure> {
        self.languages_of(source).find_map(|languages| ocr::require(languages).err())
    }

    /// The priorities of the sources that have one of their own.
    pub fn priorities(&self) -> Priorities {
        let own = |source: &Source| source.priority.map(|priority| (source.name.clone(), priority));
        self.sources.iter().filter_map(own).collect()
    }

    /// How the scans of a source are divided into documents.
    pub fn separation_of(&self, source: &str) -> &Separation {
        let own = self.source(source).and_then(|source| source.separation.as_ref());
        own.unwrap_or(&self.separation)
    }

    /// The file of passwords that are tried on the locked PDFs of a source.
    pub fn passwords_file_of(&self, source: &str) -> Option<&PathBuf> {
        let own = self.source(source).and_then(|source| source.passwords_file.as_ref());
        own.or(self.capture.passwords_file.as_ref())
    }

    fn source(&self, name: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.name == name)
    }

    /// The configuration in force as TOML, for `--print-config`.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("tables of plain values have a TOML form")
    }
}

/// Checks that this is the address of a cloud. Without its scheme it would only be found wrong when it is first used.
///
/// # Errors
///
/// What is wrong, with an example.
pub fn check_address(url: &str) -> Result<(), String> {
    let read = reqwest::Url::parse(url);
    if read.is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
        return Ok(());
    }
    Err(format!("{url:?} is no web address; write it with its scheme, as in \"https://platen.example.org\""))
}

fn override_by(
    written: Config,
    text: &str,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, Complaint> {
    let mut config = written;
    let mut table: toml::Table =
        toml::from_str(text).map_err(|error| refused(error.to_string(), "correct the file"))?;
    for (name, value) in variables {
        let Some(path) = key_path(&name) else { continue };
        set(&mut table, &path, &value);
        config = table.clone().try_into().map_err(|error: toml::de::Error| {
            refused(format!("environment variable {name}: {}", error.message()), "correct or unset it")
        })?;
    }
    Ok(config)
}

/// The variables that can be ours. What other programs have in theirs need not be UTF-8, and is none of our business.
fn readable(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Vec<(String, String)>, Complaint> {
    let ours = variables.into_iter().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let ours = ours.filter(|(name, _)| key_path(name).is_some());
    ours.map(|(name, value)| match value.into_string() {
        Ok(value) => Ok((name, value)),
        Err(_) => {
            let what = format!("environment variable {name}: its value is not UTF-8");
            Err(refused(what, "correct or unset it"))
        }
    })
    .collect()
}

/// The keys a variable stands for; `None` where it is none of ours.
fn key_path(variable: &str) -> Option<Vec<String>> {
    let rest = variable.strip_prefix("PLATEN_")?;
    let path: Vec<String> = rest.split("__").map(str::to_lowercase).collect();
    (path.len() > 1 || rest == "STATE").then_some(path)
}

fn set(table: &mut toml::Table, path: &[String], value: &str) {
    match path {
        [] => {}
        [key] => {
            // A value that reads as TOML is that value (a number, a truth); anything else is a string.
            let parsed = toml::from_str::<toml::Table>(&format!("v = {value}")).ok();
            let parsed = parsed.and_then(|mut table| table.remove("v"));
            table.insert(key.clone(), parsed.unwrap_or_else(|| value.into()));
        }
        [key, rest @ ..] => {
            let entry = table.entry(key.clone()).or_insert_with(|| toml::Table::new().into());
            if let toml::Value::Table(inner) = entry {
                set(inner, rest, value);
            }
        }
    }
}

fn refused(failed: String, help: &str) -> Complaint {
    Complaint::new(failed, "nothing was started and nothing was changed", help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use platen_capture::separate::Fate;

    fn parse(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::parse(text, Path::new("agent.toml"), variables).map_err(|complaint| complaint.failed)
    }

    #[test]
    fn a_mistake_is_reported_with_file_and_line() {
        let check = |text: &str, expected: &str| {
            let error = parse(text, &[]).expect_err(text);
            assert!(error.starts_with(expected), "{error:?} should start with {expected:?}");
        };
        check("state = \"x\"\nstat = \"y\"\n", "agent.toml:2: unknown field `stat`");
        check("[[source]]\nname = \"a\"\nfolder = \"b\"\nquiet = 3\n", "agent.toml:4: unknown field `quiet`");
        check("\n\n[capture]\nlanguages = 3\n", "agent.toml:4: invalid type");
        check("[capture.limits]\npages = -1\n", "agent.toml:2: invalid value");
        check("[cloud\n", "agent.toml:1: ");
    }

    #[test]
    fn languages_that_are_not_joined_by_a_plus_are_refused_when_they_are_read() {
        let source = "[[source]]\nname = \"a\"\nfolder = \"b\"\nnested = true\n";
        let check = |text: &str, named: &str| {
            let error = parse(text, &[]).expect_err(text);
            assert!(error.contains(named) && error.contains("write \"eng+deu\""), "{error}");
        };
        check("[capture]\nlanguages = \"eng,deu\"\n", "agent.toml: capture.languages:");
        check(&format!("{source}languages = \"eng deu\"\n"), "source \"a\": languages:");
        let inside = format!("{source}[[source.subfolder]]\npath = \"c\"\nlanguages = \"eng;deu\"\n");
        check(&inside, "source \"a\": subfolder c: languages:");
        parse("[capture]\nlanguages = \"eng+deu\"\n", &[]).expect("as it should be");
    }

    #[test]
    fn an_address_without_its_scheme_is_refused_when_it_is_read() {
        for wrong in
            ["platen.example.org", "platen.example.org:8443", "//platen", "ftp://platen", "https://", ""]
        {
            let error = parse(&format!("[cloud]\nurl = {wrong:?}\n"), &[]).expect_err(wrong);
            assert!(error.contains("cloud.url") && error.contains("https://platen.example.org"), "{error}");
        }
        for right in ["https://platen.example.org", "http://127.0.0.1:8080/", "https://example.org/platen"] {
            parse(&format!("[cloud]\nurl = {right:?}\n"), &[]).expect(right);
        }
    }

    #[test]
    fn the_environment_wins_over_the_file_and_is_checked_like_it() {
        let text = "[cloud]\nurl = \"http://file/\"\n";
        let config = parse(text, &[]).expect("the file alone");
        assert_eq!(config.cloud.url.as_deref(), Some("http://file"));
        let variables = [
            ("PLATEN_CLOUD__URL", "http://env"),
            ("PLATEN_STATE", "/s"),
            ("PLATEN_CAPTURE__LIMITS__PAGES", "7"),
        ];
        let config = parse(text, &variables).expect("with the environment");
        assert_eq!(config.cloud.url.as_deref(), Some("http://env"));
        assert_eq!(config.state, Path::new("/s"));
        assert_eq!(config.capture.limits.pages, 7);
        let error = parse(text, &[("PLATEN_CLOUD__URI", "x")]).expect_err("an unknown key");
        assert!(error.contains("PLATEN_CLOUD__URI"), "{error}");
        parse(text, &[("PLATEN_LOG", "debug")]).expect("not a key");
    }

    #[test]
    fn sources_are_told_apart_and_a_batch_pattern_names_its_groups() {
        let source = |name: &str, folder: &str, more: &str| {
            format!("[[source]]\nname = \"{name}\"\nfolder = \"{folder}\"\n{more}\n")
        };
        let batch = |pattern: &str| format!("batch = {{ pattern = '{pattern}', gap_ms = 5 }}");
        parse(&(source("a", "x", "") + &source("b", "y", "")), &[]).expect("two sources");
        parse(&(source("a", "x", "") + &source("a", "y", "")), &[]).expect_err("one name twice");
        parse(&(source("a", "x", "") + &source("b", "x", "")), &[]).expect_err("one folder twice");
        parse(&source("a", "x", &batch(r"(?<batch>\d+)-(?<page>\d+)")), &[]).expect("a batch");
        parse(&source("a", "x", &batch(r"(?<batch>\d+)")), &[]).expect_err("no page");
    }

    #[test]
    fn a_source_may_divide_its_scans_in_its_own_way_and_mistakes_are_named() {
        let own = "[separation]\nblank = true\n[[source]]\nname = \"a\"\nfolder = \"x\"\n[source.separation]\n\
                   every = 2\n[[source.separation.code]]\ntext = '^S(?<number>\\d+)$'\npage = \"keep\"\n\
                   [[source]]\nname = \"b\"\nfolder = \"y\"\n";
        let config = parse(own, &[]).expect("two ways");
        assert_eq!(config.separation_of("a").every, Some(2));
        assert_eq!(config.separation_of("a").codes[0].page, Fate::Keep);
        assert!(config.separation_of("b").blank && !config.separation_of("a").blank);
        let wrong = |text: &str| parse(text, &[]).expect_err("a mistake");
        let error = wrong("[[separation.code]]\ntext = '('\n");
        assert!(error.contains("separation.code.text"), "{error}");
        let error = wrong("[[separation.code]]\ntext = 'x'\nkinds = [\"aztec\"]\n");
        assert!(error.contains("aztec") && error.contains("data-matrix"), "{error}");
        assert!(wrong("[separation]\nevery = 0\n").contains("separation.every"));
    }

    #[test]
    fn a_source_may_have_passwords_of_its_own() {
        let two = "[capture]\npasswords_file = \"all\"\n[[source]]\nname = \"a\"\nfolder = \"x\"\n\
                   passwords_file = \"own\"\n[[source]]\nname = \"b\"\nfolder = \"y\"\n";
        let config = parse(two, &[]).expect("two sources");
        let of = |source: &str| config.passwords_file_of(source).map(|file| file.display().to_string());
        assert_eq!((of("a").as_deref(), of("b").as_deref()), (Some("own"), Some("all")));
    }

    #[test]
    fn a_variable_of_another_program_need_not_be_utf8_but_ours_does() {
        use std::os::unix::ffi::OsStringExt as _;
        let broken = || OsString::from_vec(b"\xff".to_vec());
        let read = |name: OsString, value| readable([(name, value), ("PLATEN_STATE".into(), "/s".into())]);
        let ours = vec![("PLATEN_STATE".to_owned(), "/s".to_owned())];
        assert_eq!(read("LC_TITLE".into(), broken()), Ok(ours.clone()));
        assert_eq!(read(broken(), "x".into()), Ok(ours));
        let error = read("PLATEN_CLOUD__URL".into(), broken()).expect_err("it would be passed over");
        assert!(error.failed.contains("PLATEN_CLOUD__URL"), "{error}");
    }

    #[test]
    fn what_is_printed_can_be_read_back() {
        let config = parse("[[source]]\nname = \"a\"\nfolder = \"b\"\n", &[]).expect("a source");
        assert_eq!(parse(&config.to_toml(), &[]), Ok(config));
    }
}
