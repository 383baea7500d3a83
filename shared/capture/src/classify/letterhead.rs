//! Who issued a document: the name and the address at its head.
//!
//! A letterhead has no label. Its name is looked for among the first lines, by what names of businesses look like: a
//! legal form or a trade in it, large type, an address below; and by what they do not look like: a title, an address, a
//! telephone number, specks that were read as letters. Lines compete; where none convinces, there is no name.

use std::sync::LazyLock;

use platen_model::Field;
use regex::Regex;

use super::fields::field;
use super::fuzzy;
use super::pattern::pattern;
use super::reading::Reading;

/// Lines at the head that compete.
const LINES: usize = 12;
/// The share of the page that is its head: of till paper the lines above count, however long it is.
const DEPTH: f32 = 0.45;
/// Most lines of an address.
const ADDRESS_LINES: usize = 5;
/// A line under this is no name.
const CONVINCING: f32 = 1.0;
/// Words below this confidence are specks until something speaks for them.
const POOR: f32 = 0.45;
/// Letters a name has at least.
const LETTERS: usize = 4;

/// Legal forms, folded and without dots.
const LEGAL_FORMS: [&str; 40] = [
    "bhd",
    "sb",
    "gmbh",
    "mbh",
    "ag",
    "kg",
    "kgaa",
    "ohg",
    "gbr",
    "ug",
    "ek",
    "ev",
    "ltd",
    "limited",
    "llc",
    "llp",
    "inc",
    "incorporated",
    "corp",
    "corporation",
    "co",
    "company",
    "plc",
    "sa",
    "sas",
    "sarl",
    "eurl",
    "sl",
    "slu",
    "srl",
    "spa",
    "bv",
    "nv",
    "ab",
    "oy",
    "as",
    "pte",
    "pty",
    "enterprise",
    "enterprises",
];
/// What businesses call themselves after.
const TRADES: [&str; 58] = [
    "restaurant",
    "restoran",
    "ristorante",
    "gasthaus",
    "gasthof",
    "hotel",
    "cafe",
    "coffee",
    "kaffee",
    "bistro",
    "bar",
    "pizzeria",
    "bakery",
    "bakeries",
    "backerei",
    "boulangerie",
    "panaderia",
    "store",
    "stores",
    "shop",
    "market",
    "supermarket",
    "supermercado",
    "supermarche",
    "markt",
    "mart",
    "hypermarket",
    "minimarket",
    "pharmacy",
    "apotheke",
    "pharmacie",
    "farmacia",
    "hardware",
    "trading",
    "perniagaan",
    "syarikat",
    "kedai",
    "pasar",
    "industries",
    "services",
    "service",
    "motors",
    "motor",
    "garage",
    "station",
    "tankstelle",
    "petrol",
    "books",
    "bookstore",
    "stationery",
    "stationer",
    "electronics",
    "fashion",
    "furniture",
    "logistics",
    "group",
    "holding",
    "solutions",
];
/// Words of titles and of the lines that tills print above or below the name.
const TITLES: [&str; 34] = [
    "invoice",
    "receipt",
    "tax",
    "bill",
    "cash",
    "quittung",
    "rechnung",
    "beleg",
    "kundenbeleg",
    "kassenbon",
    "facture",
    "recu",
    "ticket",
    "factura",
    "recibo",
    "note",
    "statement",
    "order",
    "customer",
    "copy",
    "original",
    "duplicate",
    "welcome",
    "thank",
    "page",
    "date",
    "time",
    "cashier",
    "table",
    "total",
    "simplified",
    "gst",
    "vat",
    "slip",
];
/// Words of streets and places.
const STREETS: [&str; 46] = [
    "street",
    "road",
    "avenue",
    "ave",
    "lane",
    "drive",
    "blvd",
    "boulevard",
    "suite",
    "floor",
    "flr",
    "unit",
    "building",
    "level",
    "block",
    "lot",
    "jalan",
    "jln",
    "taman",
    "seksyen",
    "kampung",
    "bandar",
    "lorong",
    "mukim",
    "plaza",
    "mall",
    "strasse",
    "str",
    "weg",
    "platz",
    "gasse",
    "allee",
    "rue",
    "avenida",
    "calle",
    "via",
    "chemin",
    "place",
    "quai",
    "box",
    "selangor",
    "kuala",
    "lumpur",
    "johor",
    "city",
    "postfach",
];

static CONTACT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:tel|phone|fax|mobile|telefon|tlf|ust-?id|vat|gst|reg|roc|iban|www|http|e-?mail)\b|@|\+\d{2}|www\.|\d{3,}-\d{4,}",
    )
});
/// A registration number behind a name.
static REGISTRATION: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)\s*[(\[{][^)\]}]*\d{4,}[^)\]}]*[)\]}]?\s*$|\s*\b(?:co\.? ?)?(?:reg|roc)\b.*$")
});
static POSTAL_CODE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\b(?:[A-Z]{1,2}-)?\d{4,5}\b|\b[A-Z]{1,2}\d{1,2}[A-Z]? ?\d[A-Z]{2}\b"));

/// What one line of a name or an address looks like.
pub(super) struct Line {
    words: Vec<usize>,
    text: String,
    folded: Vec<String>,
    confidence: f32,
    size: f32,
}

impl Line {
    /// A line of these words.
    pub(super) fn of(reading: &Reading<'_>, words: Vec<usize>) -> Self {
        let texts: Vec<&str> = words.iter().map(|word| reading.words[*word].word.text.as_str()).collect();
        let text = texts.join(" ");
        let letters = |word: usize| reading.words[word].word.text.chars().count() as f32;
        let all: f32 = words.iter().map(|word| letters(*word)).sum();
        let sure: f32 = words.iter().map(|word| letters(*word) * reading.words[*word].word.confidence).sum();
        let confidence = if all > 0.0 { sure / all } else { 0.0 };
        let size = words.first().map_or(1.0, |word| reading.size(*word));
        Self { folded: fuzzy::words(&text).collect(), words, text, confidence, size }
    }

    /// Its words, as positions.
    pub(super) fn words(&self) -> &[usize] {
        &self.words
    }

    /// Its words with blanks between.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    fn has(&self, list: &[&str]) -> bool {
        self.folded.iter().any(|word| list.contains(&word.as_str()))
    }

    pub(super) fn letters(&self) -> usize {
        self.text.chars().filter(|c| c.is_alphabetic()).count()
    }

    /// A telephone number, a tax number or another way to reach somebody.
    pub(super) fn is_contact(&self) -> bool {
        CONTACT.is_match(&self.text)
    }

    /// A street, a place or a postal code.
    pub(super) fn is_address(&self) -> bool {
        let house = self.text.starts_with(|c: char| c.is_ascii_digit())
            || self.folded.first().is_some_and(|first| ["no", "lot", "unit", "po"].contains(&first.as_str()));
        let digits = self.text.chars().any(|c| c.is_ascii_digit());
        let code = POSTAL_CODE.is_match(&self.text) && !self.is_contact();
        let street = self.has(&STREETS) || self.folded.iter().any(|word| word.ends_with("strasse"));
        street || code || house && digits && self.letters() >= LETTERS
    }

    fn is_legal_form(&self) -> bool {
        !self.folded.is_empty()
            && self.folded.len() <= 3
            && self
                .folded
                .iter()
                .all(|word| LEGAL_FORMS.contains(&word.as_str()) || word == "sdn" || word.len() == 1)
            && self.has(&LEGAL_FORMS)
    }

    /// The word of a legal form of two words that was misread beside the other: its place, and what it must be.
    fn misread_form(&self) -> Option<(usize, &'static str)> {
        let words: Vec<&str> = self.text.split(' ').collect();
        words.windows(2).enumerate().find_map(|(place, pair)| {
            let folded = |text: &str| fuzzy::words(text).collect::<String>();
            let (first, second) = (folded(pair[0]), folded(pair[1]));
            let near = |read: &str, form: &str| read != form && strsim::osa_distance(read, form) == 1;
            let upper = !pair[0].contains(char::is_lowercase);
            match (first.as_str(), second.as_str()) {
                (first, "bhd") if near(first, "sdn") => Some((place, if upper { "SDN" } else { "Sdn" })),
                ("sdn", second) if near(second, "bhd") => {
                    Some((place + 1, if upper { "BHD" } else { "Bhd" }))
                }
                _ => None,
            }
        })
    }

    /// How much it looks like the name of a business.
    fn score(&self, place: usize, before: Option<&Line>, next: Option<&Line>) -> f32 {
        let characters = self.text.chars().filter(|c| !c.is_whitespace()).count().max(1);
        let share = self.letters() as f32 / characters as f32;
        let mut score = 1.5 - 0.2 * place as f32 + (self.size - 1.0).clamp(-0.5, 1.0);
        let mut add = |when: bool, weight: f32| score += if when { weight } else { 0.0 };
        let is_read = self.confidence >= POOR && self.letters() > LETTERS;
        add(is_read && (self.has(&LEGAL_FORMS) || self.misread_form().is_some()), 3.0);
        add(self.has(&TRADES), 1.5);
        add(next.is_some_and(Line::is_address), 1.0);
        add(next.is_some_and(Line::is_legal_form), 2.0);
        add(before.is_some_and(Line::is_address), -1.5);
        add(self.has(&TITLES), -2.5);
        add(self.is_address() && !self.has(&LEGAL_FORMS), -3.0);
        add(self.is_contact(), -2.5);
        add(share < 0.6, -2.0);
        add(self.letters() < LETTERS, -4.0);
        add(self.confidence < POOR, -2.0);
        add(self.text.chars().all(|c| !c.is_uppercase()), -1.5);
        score + (self.confidence - 0.7) * 2.0
    }
}

/// The lines at the head of the first page.
fn head(reading: &Reading<'_>) -> Vec<Line> {
    let lines =
        reading.lines.iter().filter(|line| line.page == 0 && reading.depth(line.words.start) <= DEPTH);
    lines.take(LINES).map(|line| Line::of(reading, line.words.clone().collect())).collect()
}

/// The line that names the issuer, with its score.
fn best(lines: &[Line]) -> Option<(usize, f32)> {
    let scored = lines.iter().enumerate().filter(|(_, line)| !line.is_legal_form()).map(|(place, line)| {
        (
            place,
            line.score(
                place,
                place.checked_sub(1).and_then(|before| lines.get(before)),
                lines.get(place + 1),
            ),
        )
    });
    scored
        .reduce(|best, next| if next.1 > best.1 { next } else { best })
        .filter(|(_, score)| *score >= CONVINCING)
}

/// The name of who issued the document.
pub(super) fn name(reading: &Reading<'_>) -> Option<Field> {
    let lines = head(reading);
    let (place, score) = best(&lines)?;
    let mut words = lines[place].words.clone();
    // A long name goes on below with its legal form.
    if let Some(next) = lines.get(place + 1).filter(|next| next.is_legal_form()) {
        words.extend(&next.words);
    }
    let mut texts: Vec<&str> = words.iter().map(|word| reading.words[*word].word.text.as_str()).collect();
    if let Some((place, form)) = lines[place].misread_form()
        && let Some(misread) = texts.get_mut(place)
    {
        *misread = form;
    }
    if let Some(end) = end_of_name(&texts) {
        texts.truncate(end);
        words.truncate(end);
    }
    // No name holds the sign of a currency: it is a letter that was misread.
    let text = texts.join(" ").replace('¥', "Y");
    let bare = REGISTRATION.replace(&text, "");
    let value = bare.trim_matches(|c: char| !c.is_alphanumeric() && !"().".contains(c)).trim();
    let value = value.trim_start_matches(['.', ')', ' ']).trim_end_matches(['(', ' ']);
    let certainty = (0.5 + score * 0.08).min(0.95);
    (!value.is_empty()).then(|| field(reading, words, value.to_owned(), certainty))
}

/// Where a name ends that is followed by its address on the same line.
fn end_of_name(texts: &[&str]) -> Option<usize> {
    let folded: Vec<String> = texts.iter().map(|text| fuzzy::words(text).collect()).collect();
    let form = folded.iter().rposition(|word| LEGAL_FORMS.contains(&word.as_str()))?;
    let rest = &folded[form + 1..];
    let is_address = rest.iter().any(|word| STREETS.contains(&word.as_str()));
    (form > 0 && is_address).then_some(form + 1)
}

/// The address below the name, its lines joined with commas.
pub(super) fn address(reading: &Reading<'_>) -> Option<Field> {
    let lines = head(reading);
    let (place, _) = best(&lines)?;
    let below: Vec<&Line> = lines[place + 1..]
        .iter()
        .skip_while(|line| !line.is_address())
        .take_while(|line| line.is_address() || !line.is_contact() && !line.has(&TITLES))
        .take(ADDRESS_LINES)
        .collect();
    // It ends where the last line of it looks like one.
    let last = below.iter().rposition(|line| line.is_address())?;
    Some(joined(reading, &below[..=last], 0.8))
}

/// The lines of an address, joined with commas.
pub(super) fn joined(reading: &Reading<'_>, lines: &[&Line], certainty: f32) -> Field {
    let trimmed =
        |line: &&Line| line.text.trim_matches(|c: char| !c.is_alphanumeric() && !".)".contains(c)).to_owned();
    let value = lines.iter().map(trimmed).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ");
    let words = lines.iter().flat_map(|line| line.words.iter().copied()).collect();
    field(reading, words, value, certainty)
}

/// Whether a postal code stands in a text.
pub(super) fn has_postal_code(text: &str) -> bool {
    POSTAL_CODE.is_match(text)
}

#[cfg(test)]
mod tests {
    use super::super::tests::page_text;
    use super::*;

    fn check(text: &str, name: Option<&str>, address: Option<&str>) {
        let text = page_text(text);
        let reading = Reading::new(&text);
        assert_eq!(super::name(&reading).map(|field| field.value).as_deref(), name);
        assert_eq!(super::address(&reading).map(|field| field.value).as_deref(), address);
    }

    #[test]
    fn the_name_stands_above_its_address_whatever_is_printed_first() {
        check(
            "TAX INVOICE\nMOONRISE BAKERY SDN BHD (88213-K)\nNo. 14, Jalan Melati 3,\n43000 Kajang\nTel: 03-8811 2233\nDate 12/03/2018\n",
            Some("MOONRISE BAKERY SDN BHD"),
            Some("No. 14, Jalan Melati 3, 43000 Kajang"),
        );
        check(
            "Gasthof Adler\nHauptstrasse 5\n79098 Freiburg\nRechnung Nr. 221\n",
            Some("Gasthof Adler"),
            Some("Hauptstrasse 5, 79098 Freiburg"),
        );
    }

    #[test]
    fn a_name_goes_on_below_with_its_legal_form() {
        check(
            "Golden Kettle Coffee House\nSdn Bhd\nUnit 3, Level 2, Lake Mall\n50480 Kuala Lumpur\n",
            Some("Golden Kettle Coffee House Sdn Bhd"),
            Some("Unit 3, Level 2, Lake Mall, 50480 Kuala Lumpur"),
        );
    }

    #[test]
    fn a_legal_form_is_put_right_and_ends_the_name() {
        check(
            "ORCHID STATIONERY SON BHD\n12, Jalan Dua\n43000 Kajang\n",
            Some("ORCHID STATIONERY SDN BHD"),
            Some("12, Jalan Dua, 43000 Kajang"),
        );
        check(
            "LANTERN COFFEE CO. LAKE MALL\n12 Harbour Street\n",
            Some("LANTERN COFFEE CO."),
            Some("12 Harbour Street"),
        );
    }

    #[test]
    fn a_word_with_blanks_in_it_is_taken_as_it_is() {
        let mut text = page_text("ORCHID\n12, Jalan Dua\n43000 Kajang\n");
        text.pages[0].words[0].text = "ORCHID STATIONERY SON BHD".into();
        let reading = Reading::new(&text);
        assert!(super::name(&reading).is_some_and(|field| field.value.starts_with("ORCHID STATIONERY")));
    }

    #[test]
    fn a_title_an_address_or_a_number_is_no_name() {
        check("RECEIPT\n12 Harbour Road\nTel 555 0192\n04/05/2020\n", None, None);
        check("", None, None);
    }
}
