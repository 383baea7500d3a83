//! The parties of an agreement, where its first sentences name them.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::pattern::pattern;

/// Longest name of a party in characters.
const NAME_LENGTH: usize = 80;

static BETWEEN: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let pairs = [
        r"\b(?:by and )?between\b:? +(.{3,400}?) +and\b +(.{3,200})",
        r"\bzwischen\b:? +(.{3,400}?) +und\b +(.{3,200})",
        r"\bentre\b:? +(.{3,400}?) +(?:et|y)\b +(.{3,200})",
    ];
    pairs.iter().map(|text| pattern(&format!("(?i){text}"))).collect()
});
/// Words that stand for the parties before they are named, and name nobody.
static ROLES: LazyLock<Regex> = LazyLock::new(|| {
    let roles = [
        "(?:the )?(?:undersigned|following|contracting)? ?(?:parties|party)\\b.*",
        "(?:the )?undersigned\\b.*",
        "(?:den|die|der)? ?(?:unterzeichne(?:r|te)n?|parteien|vertragsparteien|vertragspartner)\\b.*",
        "(?:les )?(?:soussign[ée]e?s|parties)\\b.*",
        "(?:los |las )?(?:abajo firmantes|partes)\\b.*",
    ];
    pattern(&format!("(?i)^(?:{})$", roles.join("|")))
});
/// Most places where parties may begin that are looked at.
const PLACES: usize = 16;
/// Endings of company names that may follow a comma.
const COMPANY_ENDINGS: [&str; 12] =
    ["inc", "llc", "ltd", "gmbh", "corp", "co", "l.p", "lp", "s.a", "ag", "n.a", "plc"];

/// A party's name and its bytes in the text.
type Named = (Range<usize>, String);

/// The two parties named in a text, each with its bytes: by the first "between" that has a name on both sides.
pub(super) fn find(text: &str) -> Option<[Named; 2]> {
    let mut found: Vec<(usize, [Named; 2])> = Vec::new();
    for pattern in &*BETWEEN {
        let mut from = 0;
        for _ in 0..PLACES {
            let Some(groups) = pattern.captures_at(text, from) else { break };
            let (Some(whole), Some(first), Some(second)) = (groups.get(0), groups.get(1), groups.get(2))
            else {
                break;
            };
            let names = name(first.as_str(), first.start()).zip(name(second.as_str(), second.start()));
            if let Some((first, second)) = names {
                found.push((whole.start(), [first, second]));
                break;
            }
            // The next one may begin inside of this one: "between the parties: between A and B".
            from = first.start();
        }
    }
    found.into_iter().min_by_key(|(start, _)| *start).map(|(_, names)| names)
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
        && name.chars().filter(|c| c.is_alphabetic()).count() >= 3
        && !ROLES.is_match(name);
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
    fn the_first_pair_of_names_is_taken_and_not_the_first_pair_of_words() {
        let parties = Some(["Nordwind GmbH", "Brightwater Ltd."]);
        check(
            "the space between lines and margins. This agreement between Nordwind GmbH and Brightwater Ltd., made",
            parties,
        );
        check(
            "Agreement between The Parties and others. It is made between Nordwind GmbH and Brightwater Ltd., today",
            parties,
        );
        check("ENTRE LES SOUSSIGNÉS : entre Nordwind GmbH et Brightwater Ltd., il est convenu", parties);
        check("CONTRAT ENTRE LES SOUSSIGNÉS et les autres", None);
        check("Vertrag zwischen den Parteien und zwischen Nordwind GmbH und Brightwater Ltd., über", parties);
        check("betweenness of Nordwind GmbH and Brightwater Ltd.", None);
        check("between Anders Holm and Andrea Lund, Oslo", Some(["Anders Holm", "Andrea Lund"]));
    }

    #[test]
    fn a_distance_between_two_things_names_no_parties() {
        check("the space between the wall and the floor", None);
    }
}
