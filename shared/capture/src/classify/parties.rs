//! The parties of an agreement, where its first sentences name them.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// Longest name of a party in characters.
const NAME_LENGTH: usize = 80;

static BETWEEN: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let pairs = [
        r"\b(?:by and )?between:? +(.{3,400}?) +and +(.{3,200})",
        r"\bzwischen:? +(.{3,400}?) +und +(.{3,200})",
        r"\bentre:? +(.{3,400}?) +(?:et|y) +(.{3,200})",
    ];
    let compiled = pairs.iter().map(|text| Regex::new(&format!("(?i){text}")).expect("a constant pattern"));
    compiled.collect()
});
/// Endings of company names that may follow a comma.
const COMPANY_ENDINGS: [&str; 12] =
    ["inc", "llc", "ltd", "gmbh", "corp", "co", "l.p", "lp", "s.a", "ag", "n.a", "plc"];

/// The two parties named in a text, each with its bytes.
pub(super) fn find(text: &str) -> Option<[(Range<usize>, String); 2]> {
    let groups = BETWEEN
        .iter()
        .filter_map(|pattern| pattern.captures(text))
        .min_by_key(|groups| groups.get(0).map_or(usize::MAX, |whole| whole.start()))?;
    let (first, second) = (groups.get(1)?, groups.get(2)?);
    Some([name(first.as_str(), first.start())?, name(second.as_str(), second.start())?])
}

/// Cuts a name off at what follows it: a bracket, an address after a comma, the end of the sentence.
fn name(text: &str, start: usize) -> Option<(Range<usize>, String)> {
    let mut end = text.len();
    for (place, sign) in text.char_indices() {
        let rest = &text[place + sign.len_utf8()..];
        let stops = match sign {
            '(' | ';' | '“' | '"' | ':' => true,
            ',' => {
                let next = rest.trim_start().to_lowercase();
                !COMPANY_ENDINGS.iter().any(|ending| {
                    next.strip_prefix(ending).is_some_and(|after| !after.starts_with(char::is_alphanumeric))
                })
            }
            '.' => {
                let word = text[..place].rsplit([' ', ',']).next().unwrap_or_default();
                let abbreviation = word.chars().count() <= 1 || is_company_ending(word);
                rest.starts_with(' ') && !abbreviation
                    // "Ltd. The" ends a sentence all the same.
                    || is_company_ending(word) && rest.trim_start().starts_with(char::is_uppercase)
            }
            _ => false,
        };
        if stops {
            end = if sign == '.'
                && is_company_ending(text[..place].rsplit([' ', ',']).next().unwrap_or_default())
            {
                place + 1
            } else {
                place
            };
            break;
        }
    }
    let name = text[..end].trim();
    let fits = name.chars().count() <= NAME_LENGTH
        && name.chars().next().is_some_and(|c| c.is_uppercase() || c.is_ascii_digit())
        && name.chars().filter(|c| c.is_alphabetic()).count() >= 3;
    fits.then(|| (start..start + end, name.to_owned()))
}

fn is_company_ending(word: &str) -> bool {
    COMPANY_ENDINGS.contains(&word.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, parties: Option<[&str; 2]>) {
        let found = find(text).map(|both| both.map(|(_, name)| name));
        assert_eq!(found, parties.map(|both| both.map(str::to_owned)), "{text}");
    }

    #[test]
    fn parties_end_before_their_address_and_their_role() {
        check(
            "entered into by and between Nordwind Systems GmbH, Hafenstrasse 12, Germany, and Brightwater Analytics \
             Ltd., 4 Quay Lane, Bristol.",
            Some(["Nordwind Systems GmbH", "Brightwater Analytics Ltd."]),
        );
        check(
            "made between Helix Orchard Labs, Inc. (the \"Disclosing Party\") and Marta Kowalska Consulting (the",
            Some(["Helix Orchard Labs, Inc.", "Marta Kowalska Consulting"]),
        );
        check("Vertrag zwischen Anna Muster und der", None);
    }

    #[test]
    fn a_distance_between_two_things_names_no_parties() {
        check("the space between the wall and the floor", None);
    }
}
