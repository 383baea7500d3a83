//! Reading: Tesseract through leptess' bindings.
//!
//! Owns the recognisers, one for each set of languages, made when first needed and kept: loading language
//! data costs more than reading a page. A page goes in as a gray picture in memory and comes out as words,
//! in one pass of Tesseract's result iterator. Nothing here opens a file but Tesseract itself, which reads
//! its language data; a language that is not installed is a [`Failure`] that names the package to install.
//!
//! The danger is in [`tesseract`], [`leptonica`] and `shortage`, which talk to C libraries, and in three modules whose functions
//! stand in for some of theirs, which take time and change no word: `line_pictures`, `ambiguities` and `threads`.

mod ambiguities;
pub mod leptonica;
mod line_pictures;
mod shortage;
pub mod tesseract;
mod threads;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use image::GrayImage;
use platen_model::{Failure, FailureClass, Rect, Stage, Word};
use rustix::process::{Resource, getrlimit};

use crate::worker::sandbox::language_data_folders;
use tesseract::{GivenUp, Recogniser};
pub use tesseract::{Layout, Turn};

/// The language set that holds Tesseract's orientation model.
const ORIENTATION_DATA: &str = "osd";

/// Has our functions stand in for some of the libraries'. They do by being there.
fn stand_in() {
    line_pictures::stand_in();
    ambiguities::stand_in();
    threads::stand_in();
}

/// Recognisers by language set, made once and reused.
#[derive(Debug, Default)]
pub struct Engines {
    by_languages: HashMap<String, Recogniser>,
}

impl Engines {
    /// Reads a page. `dpi` is the resolution of `page` where it is known for certain; boxes come in its pixels.
    ///
    /// # Errors
    ///
    /// A language that is not installed, memory that is not there, or a fault inside Tesseract.
    pub fn read(
        &mut self,
        page: &GrayImage,
        dpi: Option<u32>,
        layout: Layout,
        languages: &str,
    ) -> Result<Vec<Word>, Failure> {
        let recogniser = self.recogniser(languages)?;
        recogniser.expect(layout);
        recogniser.show(page, dpi);
        recogniser.recognise().map_err(given_up)
    }

    /// Reads part of the page that was read last, line by line.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_region(&mut self, region: Rect, languages: &str) -> Result<Vec<Word>, Failure> {
        let recogniser = self.recogniser(languages)?;
        recogniser.expect(Layout::Lines);
        recogniser.look_at(region);
        recogniser.recognise().map_err(given_up)
    }

    /// Asks Tesseract which way up a page is. `None` where it cannot say, or where the orientation model is
    /// not installed: it only ever settles what the page's own measure left open.
    pub fn orientation(&mut self, page: &GrayImage, dpi: u32) -> Option<Turn> {
        let recogniser = self.recogniser(ORIENTATION_DATA).ok()?;
        recogniser.show(page, Some(dpi));
        recogniser.orientation()
    }

    fn recogniser(&mut self, languages: &str) -> Result<&mut Recogniser, Failure> {
        if !self.by_languages.contains_key(languages) {
            let folder = data_folder(languages, &language_data_folders())?;
            let recogniser = Recogniser::new(&folder, languages).map_err(internal)?;
            self.by_languages.insert(languages.to_owned(), recogniser);
        }
        self.by_languages
            .get_mut(languages)
            .ok_or_else(|| internal("the recogniser is gone after it was made".into()))
    }
}

/// Checks that the data of these languages are installed, without loading them.
///
/// # Errors
///
/// A language that is not installed, with the package to install.
pub fn require(languages: &str) -> Result<(), Failure> {
    data_folder(languages, &language_data_folders()).map(drop)
}

/// The first of `folders` that holds the data of all `languages`.
fn data_folder(languages: &str, folders: &[PathBuf]) -> Result<PathBuf, Failure> {
    let holds = |folder: &Path, language: &str| folder.join(format!("{language}.traineddata")).is_file();
    check_form(languages).map_err(|what| Failure::new(FailureClass::NoLanguage, Stage::Page, what))?;
    let names: Vec<&str> = languages.split('+').collect();
    if let Some(folder) = folders.iter().find(|folder| names.iter().all(|name| holds(folder, name))) {
        return Ok(folder.clone());
    }
    let missing: Vec<&str> =
        names.into_iter().filter(|name| !folders.iter().any(|folder| holds(folder, name))).collect();
    let message = match missing.as_slice() {
        [] => format!("the data of the languages `{languages}` lie in different folders; put them into one"),
        missing => {
            let packages: Vec<String> = missing.iter().map(|name| debian_package(name)).collect();
            format!(
                "no Tesseract data for the language `{}`; install the package {}",
                missing.join("`, `"),
                packages.join(" ")
            )
        }
    };
    Err(Failure::new(FailureClass::NoLanguage, Stage::Page, message))
}

/// Checks that these are names of languages joined by `+`, whether they are installed or not.
///
/// # Errors
///
/// What is wrong, and how it could be meant.
pub fn check_form(languages: &str) -> Result<(), String> {
    let is_name = |name: &str| {
        let is_one = |part: &str| {
            !part.is_empty() && part.chars().all(|one| one.is_ascii_alphanumeric() || "_-".contains(one))
        };
        is_one(name.strip_prefix("script/").unwrap_or(name))
    };
    if languages.split('+').all(is_name) {
        return Ok(());
    }
    let names = languages.split(|one: char| !one.is_ascii_alphanumeric() && !"_-/".contains(one));
    let names: Vec<&str> = names.filter(|name| is_name(name)).collect();
    let meant = if names.is_empty() { "eng+deu".to_owned() } else { names.join("+") };
    Err(format!("{languages:?} are no languages joined by `+`; write \"{meant}\""))
}

/// The name of the script that these data are for, where they are not for a language: `Cyrillic` as Debian installs them,
/// `script/Cyrillic` as Tesseract's authors lay them out.
pub(crate) fn script(data: &str) -> Option<&str> {
    let name = data.strip_prefix("script/").unwrap_or(data);
    name.starts_with(|first: char| first.is_ascii_uppercase()).then_some(name)
}

/// Debian names its packages after the language, with hyphens: `chi_sim` is in `tesseract-ocr-chi-sim`. Those of scripts
/// have the script's code (ISO 15924).
fn debian_package(data: &str) -> String {
    const CODES: &str = "Arabic=arab Armenian=armn Bengali=beng Canadian_Aboriginal=cans Cherokee=cher Cyrillic=cyrl \
        Devanagari=deva Ethiopic=ethi Fraktur=frak Georgian=geor Greek=grek Gujarati=gujr Gurmukhi=guru \
        Hangul=hang HanS=hans HanT=hant Hebrew=hebr Japanese=jpan Kannada=knda Khmer=khmr Lao=laoo \
        Latin=latn Malayalam=mlym Myanmar=mymr Oriya=orya Sinhala=sinh Syriac=syrc Tamil=taml Telugu=telu \
        Thaana=thaa Thai=thai Tibetan=tibt Vietnamese=viet";
    let name = script(data).and_then(|script| {
        let (upright, ending) = match script.strip_suffix("_vert") {
            Some(upright) => (upright, "-vert"),
            None => (script, ""),
        };
        let mut codes = CODES.split(' ').filter_map(|pair| pair.split_once('='));
        let (_, code) = codes.find(|(name, _)| *name == upright)?;
        Some(format!("script-{code}{ending}"))
    });
    format!("tesseract-ocr-{}", name.unwrap_or_else(|| data.to_lowercase().replace('_', "-")))
}

/// A page that Tesseract gave up on.
fn given_up(why: GivenUp) -> Failure {
    let of_memory = |message: String| Failure::new(FailureClass::OutOfMemory, Stage::Page, message);
    match (why, getrlimit(Resource::As).current) {
        (GivenUp::ForMemory, Some(limit)) => {
            of_memory(format!("passed the limit of {} MiB (capture.limits.worker_memory_mb)", limit >> 20))
        }
        (GivenUp::ForMemory, None) => of_memory("found no memory left on the machine".into()).passing(),
        (GivenUp::ForNoReason, _) => internal("Tesseract gave up on the page".into()),
    }
}

fn internal(message: String) -> Failure {
    Failure::new(FailureClass::Internal, Stage::Page, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_language_names_its_package() {
        let failure = data_folder("eng+chi_sim", &["/nowhere".into()]).expect_err("nothing is there");
        assert!(failure.message.contains("`eng`, `chi_sim`"), "{failure}");
        assert!(failure.message.contains("tesseract-ocr-eng tesseract-ocr-chi-sim"), "{failure}");
    }

    #[test]
    fn languages_that_are_not_joined_by_a_plus_are_said_to_be_wrong_and_not_to_be_missing() {
        for (wrong, meant) in [
            ("eng,deu", "eng+deu"),
            ("eng, deu", "eng+deu"),
            ("eng+", "eng"),
            ("../eng", "eng+deu"),
            ("", "eng+deu"),
        ] {
            let what = check_form(wrong).expect_err(wrong);
            assert!(what.contains(&format!("write \"{meant}\"")), "{what}");
            let failure = data_folder(wrong, &language_data_folders()).expect_err(wrong);
            assert_eq!((failure.class, failure.message), (FailureClass::NoLanguage, what));
        }
        for right in ["eng", "eng+deu", "chi_sim_vert", "script/Cyrillic+osd", "deu-frak"] {
            assert_eq!(check_form(right), Ok(()), "{right}");
        }
    }

    #[test]
    fn a_missing_script_names_its_package() {
        for (data, package) in [
            ("script/Cyrillic", "tesseract-ocr-script-cyrl"),
            ("Cyrillic", "tesseract-ocr-script-cyrl"),
            ("Japanese_vert", "tesseract-ocr-script-jpan-vert"),
            ("deu", "tesseract-ocr-deu"),
        ] {
            assert_eq!(debian_package(data), package);
        }
    }

    #[test]
    fn an_empty_language_is_not_looked_for_as_a_file() {
        assert!(data_folder("", &language_data_folders()).is_err());
        assert!(data_folder("eng+", &language_data_folders()).is_err());
    }

    #[test]
    fn tesseract_calls_the_functions_that_stand_in_for_a_library_s() {
        use std::sync::atomic::Ordering;
        let mut page = GrayImage::from_pixel(600, 200, image::Luma([255]));
        for letter in 0..20 {
            imageproc::drawing::draw_hollow_rect_mut(
                &mut page,
                imageproc::rect::Rect::at(40 + letter * 24, 90).of_size(14, 20),
                image::Luma([0]),
            );
        }
        let count = || {
            [&line_pictures::KEPT, &ambiguities::LANGUAGES, &threads::CALLS]
                .map(|calls| calls.load(Ordering::Relaxed))
        };
        let before = count();
        Engines::default().read(&page, Some(150), Layout::Lines, "eng").expect("English is installed");
        let after = count();
        assert!(before.iter().zip(&after).all(|(before, after)| after > before), "{before:?}, {after:?}");
    }

    #[test]
    fn an_engine_is_made_once_for_each_set_of_languages() {
        let mut engines = Engines::default();
        let page = GrayImage::from_pixel(300, 200, image::Luma([255]));
        let languages = ["eng", "eng+deu", "eng", "eng+deu", "eng"];
        for languages in languages {
            engines.read(&page, Some(150), Layout::Page, languages).expect("they are installed");
            let _ = engines.orientation(&page, 150);
        }
        let mut made: Vec<&str> = engines.by_languages.keys().map(String::as_str).collect();
        made.sort_unstable();
        assert_eq!(made, ["eng", "eng+deu", ORIENTATION_DATA]);
    }

    #[test]
    fn a_white_page_holds_no_words_and_says_nothing_of_its_orientation() {
        let mut engines = Engines::default();
        let page = GrayImage::from_pixel(600, 800, image::Luma([255]));
        assert_eq!(engines.read(&page, Some(150), Layout::Page, "eng").expect("English is installed"), []);
        assert!(engines.orientation(&page, 150).is_none());
    }
}
