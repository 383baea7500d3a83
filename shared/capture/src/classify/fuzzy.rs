//! Words as a recogniser may have misread them.
//!
//! Two forgivenesses, and no more: letters and digits that look alike count as the same (the *skeleton* of a
//! word), and a word the recogniser itself was not sure of may differ by a letter or two. A word it was sure of
//! is taken as it stands, because `contact` is not a misread `contract`.

/// The confidence from which a word is taken as it stands.
const SURE: f32 = 0.9;
/// How well a word fits when only its plural ending differs.
const PLURAL: f32 = 0.95;
/// How well a word fits for each letter that differs.
const PER_LETTER: f32 = 0.85;
/// Words shorter than this must fit exactly.
const SHORTEST_FUZZY: usize = 5;
/// Words at least this long may differ by two letters.
const LONG: usize = 9;

/// Splits text into comparable words: lower case, no accents, cut at everything that is neither letter nor digit.
pub(super) fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()).map(fold)
}

/// Lower case without accents.
pub(super) fn fold(word: &str) -> String {
    let mut folded = String::with_capacity(word.len());
    for c in word.chars().flat_map(char::to_lowercase) {
        match c {
            'à'..='å' | 'ā' | 'ă' | 'ą' => folded.push('a'),
            'æ' => folded.push_str("ae"),
            'ç' | 'ć' | 'č' => folded.push('c'),
            'è'..='ë' | 'ē' | 'ę' | 'ě' => folded.push('e'),
            'ì'..='ï' | 'ı' => folded.push('i'),
            'ñ' | 'ń' => folded.push('n'),
            'ò'..='ö' | 'ø' | 'ő' => folded.push('o'),
            'œ' => folded.push_str("oe"),
            'ß' => folded.push_str("ss"),
            'ù'..='ü' | 'ů' | 'ű' => folded.push('u'),
            'ý' | 'ÿ' => folded.push('y'),
            'š' | 'ś' => folded.push('s'),
            'ž' | 'ź' | 'ż' => folded.push('z'),
            _ => folded.push(c),
        }
    }
    folded
}

/// The shape of a folded word: characters that scanners confuse are made the same.
pub(super) fn skeleton(folded: &str) -> String {
    let alike: String = folded
        .chars()
        .map(|c| match c {
            '0' => 'o',
            '1' | 'i' | 'j' => 'l',
            '5' => 's',
            '8' => 'b',
            c => c,
        })
        .collect();
    alike.replace("rn", "m").replace("vv", "w")
}

/// The shapes of a text's words.
pub(super) fn shapes(text: &str) -> Vec<String> {
    words(text).map(|word| skeleton(&word)).collect()
}

/// How well a read word fits a wanted one, both as skeletons: 1 for the same, `None` for too different.
pub(super) fn likeness(read: &str, confidence: f32, wanted: &str) -> Option<f32> {
    if read == wanted {
        return Some(1.0);
    }
    let plural = |one: &str, other: &str| one.len() >= 4 && other.strip_suffix('s') == Some(one);
    if plural(read, wanted) || plural(wanted, read) {
        return Some(PLURAL);
    }
    let length = read.len().min(wanted.len());
    let allowed = if length >= LONG { 2 } else { 1 };
    if confidence >= SURE || length < SHORTEST_FUZZY || read.len().abs_diff(wanted.len()) > allowed {
        return None;
    }
    // Measuring a distance is dear; words alike at neither end are never worth it.
    let (read_ends, wanted_ends) = (read.as_bytes(), wanted.as_bytes());
    if read_ends.first() != wanted_ends.first() && read_ends.last() != wanted_ends.last() {
        return None;
    }
    let distance = strsim::osa_distance(read, wanted);
    (distance <= allowed).then(|| PER_LETTER.powi(distance as i32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(read: &str, confidence: f32, wanted: &str, fits: bool) {
        let shape = |word: &str| skeleton(&fold(word));
        let likeness = likeness(&shape(read), confidence, &shape(wanted));
        assert_eq!(likeness.is_some(), fits, "{read} for {wanted}: {likeness:?}");
    }

    #[test]
    fn look_alikes_accents_and_plurals_are_forgiven_even_to_a_sure_recogniser() {
        check("INV0ICE", 0.99, "invoice", true);
        check("1nvoices", 0.99, "invoice", true);
        check("überweisen", 0.99, "uberweisen", true);
        check("agreernent", 0.99, "agreement", true);
    }

    #[test]
    fn letters_are_forgiven_only_where_the_recogniser_was_unsure() {
        check("contact", 0.97, "contract", false);
        check("contact", 0.5, "contract", true);
        check("lnvolce", 0.4, "invoice", true);
        check("tax", 0.1, "tab", false);
    }

    #[test]
    fn text_is_cut_at_punctuation() {
        let words: Vec<String> = words("Non-Disclosure: Größe №7").collect();
        assert_eq!(words, ["non", "disclosure", "grosse", "7"]);
    }
}
