//! Check sums of tax numbers, as the countries publish them. All take the number without its country and without signs;
//! what has another form is wrong.

/// The digits of a number; a letter ends it with `None`.
fn digits(number: &str) -> Option<Vec<u32>> {
    number.chars().map(|c| c.to_digit(10)).collect()
}

/// The sum of digits times weights, which pair from the left; what is left over of either is not counted.
fn weighted(digits: &[u32], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum()
}

/// The digits of a number of exactly this length, and the rule about them.
fn holds(number: &str, length: usize, rule: impl Fn(&[u32]) -> bool) -> bool {
    digits(number).is_some_and(|digits| digits.len() == length && rule(&digits))
}

fn value(number: &str) -> Option<u64> {
    number.parse().ok()
}

/// ISO/IEC 7812: every other digit doubled.
pub(super) fn luhn(number: &str) -> bool {
    let Some(digits) = digits(number) else { return false };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match place % 2 {
            0 => *digit,
            _ => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    sum.is_multiple_of(10) && sum > 0
}

/// ISO 7064 MOD 11,10.
pub(super) fn iso_7064_mod_11_10(number: &str) -> bool {
    let Some(digits) = digits(number) else { return false };
    let Some((check, body)) = digits.split_last() else { return false };
    let product = body.iter().fold(10, |product, digit| {
        let sum = match (digit + product) % 10 {
            0 => 10,
            sum => sum,
        };
        sum * 2 % 11
    });
    (11 - product) % 10 == *check
}

pub(super) fn austrian(number: &str) -> bool {
    number.strip_prefix('U').is_some_and(|number| {
        holds(number, 8, |digits| {
            let sum: u32 = digits[..7]
                .iter()
                .enumerate()
                .map(|(place, digit)| match place % 2 {
                    0 => *digit,
                    _ => digit * 2 / 10 + digit * 2 % 10,
                })
                .sum();
            (10 - (sum + 4) % 10) % 10 == digits[7]
        })
    })
}

pub(super) fn belgian(number: &str) -> bool {
    let padded = format!("{number:0>10}");
    let halves = padded.split_at_checked(8).and_then(|(body, check)| value(body).zip(value(check)));
    padded.len() == 10
        && padded.starts_with(['0', '1'])
        && halves.is_some_and(|(body, check)| 97 - body % 97 == check)
}

pub(super) fn bulgarian(number: &str) -> bool {
    let company = |digits: &[u32]| {
        let check = match weighted(&digits[..8], &[1, 2, 3, 4, 5, 6, 7, 8]) % 11 {
            10 => weighted(&digits[..8], &[3, 4, 5, 6, 7, 8, 9, 10]) % 11 % 10,
            check => check,
        };
        check == digits[8]
    };
    let other = |digits: &[u32]| {
        let (body, check) = (&digits[..9], digits[9]);
        let person = weighted(body, &[2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11 % 10;
        let foreigner = weighted(body, &[21, 19, 17, 13, 11, 9, 7, 3, 1]) % 10;
        let rest = 11 - weighted(body, &[4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
        person == check || foreigner == check || rest % 11 == check && rest != 10
    };
    holds(number, 9, company) || holds(number, 10, other)
}

pub(super) fn cypriot(number: &str) -> bool {
    const ODD: [u32; 10] = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21];
    let Some((body, check)) = number.split_at_checked(8) else { return false };
    holds(body, 8, |digits| {
        let sum: u32 = digits
            .iter()
            .enumerate()
            .map(|(place, digit)| if place % 2 == 0 { ODD[*digit as usize] } else { *digit })
            .sum();
        char::from_u32(u32::from(b'A') + sum % 26).is_some_and(|letter| check == letter.to_string())
    })
}

pub(super) fn czech(number: &str) -> bool {
    let company = |digits: &[u32]| {
        let check = (11 - weighted(&digits[..7], &[8, 7, 6, 5, 4, 3, 2]) % 11) % 10;
        digits[0] != 9 && check == digits[7]
    };
    // Numbers of people are their birth numbers: of those before 1954 only the date can be looked at.
    let is_birth = |digits: &[u32]| {
        let month = (digits[2] * 10 + digits[3]) % 50;
        let day = digits[4] * 10 + digits[5];
        (1..=12).contains(&(month % 20)) && (1..=31).contains(&day)
    };
    let modern = |digits: &[u32]| {
        let body = value(&number[..9]).unwrap_or(0);
        is_birth(digits) && u64::from(digits[9]) == body % 11 % 10
    };
    holds(number, 8, company) || holds(number, 9, is_birth) || holds(number, 10, modern)
}

pub(super) fn german(number: &str) -> bool {
    number.len() == 9 && !number.starts_with('0') && iso_7064_mod_11_10(number)
}

/// The German number of a person: MOD 11,10, and among its first ten digits one stands twice or thrice.
pub(super) fn german_person(number: &str) -> bool {
    let is_formed = |digits: &[u32]| {
        let times = |digit: u32| digits[..10].iter().filter(|other| **other == digit).count();
        let repeated: Vec<usize> = (0..10).map(times).filter(|times| *times > 1).collect();
        repeated.len() == 1 && repeated[0] <= 3
    };
    holds(number, 11, is_formed) && iso_7064_mod_11_10(number)
}

pub(super) fn danish(number: &str) -> bool {
    holds(number, 8, |digits| {
        digits[0] != 0 && weighted(digits, &[2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
    })
}

pub(super) fn estonian(number: &str) -> bool {
    holds(number, 9, |digits| weighted(digits, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10))
}

pub(super) fn greek(number: &str) -> bool {
    holds(number, 9, |digits| weighted(digits, &[256, 128, 64, 32, 16, 8, 4, 2]) % 11 % 10 == digits[8])
}

/// NIF, NIE and CIF.
pub(super) fn spanish(number: &str) -> bool {
    const LETTERS: &[u8] = b"TRWAGMYFPDXBNJZSQVHLCKE";
    const CHECK_LETTERS: &[u8] = b"JABCDEFGHI";
    let bytes = number.as_bytes();
    if bytes.len() != 9 || !number.is_ascii() {
        return false;
    }
    let (first, body, last) = (bytes[0], &number[1..8], bytes[8]);
    let letter_of = |digits: &str| value(digits).map(|value| LETTERS[(value % 23) as usize]);
    match first {
        b'0'..=b'9' => letter_of(&number[..8]) == Some(last),
        b'X' | b'Y' | b'Z' => letter_of(&format!("{}{body}", first - b'X')) == Some(last),
        b'K' | b'L' | b'M' => letter_of(body) == Some(last),
        b'A'..=b'H' | b'J' | b'N' | b'P'..=b'S' | b'U' | b'V' | b'W' => holds(body, 7, |digits| {
            let sum: u32 = digits
                .iter()
                .enumerate()
                .map(|(place, digit)| match place % 2 {
                    0 => digit * 2 / 10 + digit * 2 % 10,
                    _ => *digit,
                })
                .sum();
            let check = (10 - sum % 10) % 10;
            let (as_letter, as_digit) = (CHECK_LETTERS[check as usize], b'0' + check as u8);
            match first {
                b'N' | b'P' | b'Q' | b'R' | b'S' | b'W' => last == as_letter,
                b'A' | b'B' | b'E' | b'H' => last == as_digit,
                _ => last == as_letter || last == as_digit,
            }
        }),
        _ => false,
    }
}

pub(super) fn finnish(number: &str) -> bool {
    holds(number, 8, |digits| weighted(digits, &[7, 9, 10, 5, 8, 4, 2, 1]).is_multiple_of(11))
}

/// A key of two characters before the company's number; the key of digits is 12 + 3 times that number, modulo 97.
pub(super) fn french(number: &str) -> bool {
    let Some((key, company)) = number.split_at_checked(2) else { return false };
    let Some(siren) = value(company).filter(|_| company.len() == 9 && !key.contains(['I', 'O'])) else {
        return false;
    };
    match value(key) {
        Some(key) => (12 + 3 * (siren % 97)) % 97 == key && (luhn(company) || company.starts_with("000")),
        None => luhn(company),
    }
}

/// The number of a French establishment; those of the post add up to a multiple of five.
pub(super) fn siret(number: &str) -> bool {
    const POST: &str = "356000000";
    let sum = || digits(number).map_or(1, |digits| digits.iter().sum());
    number.len() == 14 && (luhn(number) && luhn(&number[..9]) || number.starts_with(POST) && sum() % 5 == 0)
}

/// The old and the new form, of nine digits or with three of a branch; government departments and health authorities.
pub(super) fn british(number: &str) -> bool {
    let office = |prefix: &str, numbers: std::ops::RangeInclusive<u64>| {
        number.strip_prefix(prefix).and_then(value).is_some_and(|number| numbers.contains(&number))
    };
    let is_right = |digits: &[u32]| {
        let sum = weighted(&digits[..7], &[8, 7, 6, 5, 4, 3, 2]) + digits[7] * 10 + digits[8];
        digits[..9].iter().any(|digit| *digit > 0)
            && (sum.is_multiple_of(97) || (sum + 55).is_multiple_of(97))
    };
    office("GD", 0..=499)
        || office("HA", 500..=999)
        || holds(number, 9, is_right)
        || holds(number, 12, is_right)
}

/// The unique taxpayer reference: its first digit is the check.
pub(super) fn british_taxpayer(number: &str) -> bool {
    const CHECKS: [u32; 11] = [2, 1, 9, 8, 7, 6, 5, 4, 3, 2, 1];
    holds(number, 10, |digits| {
        CHECKS[(weighted(&digits[1..], &[6, 7, 8, 9, 10, 5, 4, 3, 2]) % 11) as usize] == digits[0]
    })
}

pub(super) fn hungarian(number: &str) -> bool {
    holds(number, 8, |digits| weighted(digits, &[9, 7, 3, 1, 9, 7, 3, 1]).is_multiple_of(10))
}

/// The new form, with one or two letters at the end, and the old one with a letter in the second place.
pub(super) fn irish(number: &str) -> bool {
    let letter_of = |body: &str, kind: u32| {
        let digits = digits(body)?;
        let sum = weighted(&digits, &[8, 7, 6, 5, 4, 3, 2]) + 9 * kind;
        b"WABCDEFGHIJKLMNOPQRSTUV".get((sum % 23) as usize).copied()
    };
    let bytes = number.as_bytes();
    if !(8..=9).contains(&bytes.len()) || !number.is_ascii() {
        return false;
    }
    let kind = match bytes.get(8) {
        None | Some(b'W') => 0,
        Some(letter @ b'A'..=b'I') => u32::from(letter - b'A') + 1,
        Some(_) => return false,
    };
    let body = if bytes[1].is_ascii_digit() {
        number[..7].to_owned()
    } else {
        format!("0{}{}", &number[2..7], &number[..1])
    };
    letter_of(&body, kind) == Some(bytes[7])
}

pub(super) fn italian(number: &str) -> bool {
    number.len() == 11 && !number.starts_with("0000000") && luhn(number)
}

pub(super) fn lithuanian(number: &str) -> bool {
    let is_right = |digits: &[u32]| {
        let Some((check, body)) = digits.split_last() else { return false };
        let sum =
            |shift: u32| -> u32 { (shift..).zip(body).map(|(place, digit)| digit * (1 + place % 9)).sum() };
        let found = match sum(0) % 11 {
            10 => sum(2) % 11 % 10,
            found => found,
        };
        // The digit before the check says that it is a number for this tax.
        body.last() == Some(&1) && found == *check
    };
    holds(number, 9, is_right) || holds(number, 12, is_right)
}

pub(super) fn luxembourgish(number: &str) -> bool {
    let parts = number.split_at_checked(6).and_then(|(body, check)| value(body).zip(value(check)));
    number.len() == 8 && parts.is_some_and(|(body, check)| body > 0 && body % 89 == check)
}

pub(super) fn latvian(number: &str) -> bool {
    holds(number, 11, |digits| match digits[0] {
        4.. => weighted(digits, &[9, 1, 4, 8, 3, 10, 2, 5, 7, 6, 1]) % 11 == 3,
        _ => (1 + weighted(&digits[..10], &[10, 5, 8, 4, 2, 1, 6, 3, 7, 9])) % 11 % 10 == digits[10],
    })
}

pub(super) fn maltese(number: &str) -> bool {
    holds(number, 8, |digits| {
        digits[0] != 0 && weighted(digits, &[3, 4, 6, 7, 8, 9, 10, 1]).is_multiple_of(37)
    })
}

/// Of a company the ninth digit is the check; of a person (since 2020) all of it, with its country, modulo 97.
pub(super) fn dutch(number: &str) -> bool {
    let company = number.split_once('B').is_some_and(|(body, _)| {
        holds(body, 9, |digits| {
            let sum = weighted(&digits[..8], &[9, 8, 7, 6, 5, 4, 3, 2]);
            sum > 0 && sum % 11 == digits[8]
        })
    });
    company || mod_97(&format!("NL{number}")) == Some(1)
}

/// ISO 7064 MOD 97-10 of digits and capital letters.
pub(in crate::classify) fn mod_97(number: &str) -> Option<u32> {
    number.chars().try_fold(0u32, |rest, c| {
        let value = c.to_digit(36).filter(|_| !c.is_lowercase())?;
        Some((rest * if value > 9 { 100 } else { 10 } + value) % 97)
    })
}

pub(super) fn norwegian(number: &str) -> bool {
    holds(number, 9, |digits| {
        let check = (11 - weighted(&digits[..8], &[3, 2, 7, 6, 5, 4, 3, 2]) % 11) % 11;
        digits[0] > 0 && check == digits[8]
    })
}

pub(super) fn polish(number: &str) -> bool {
    holds(number, 10, |digits| {
        weighted(&digits[..9], &[6, 5, 7, 2, 3, 4, 5, 6, 7]) % 11 == digits[9]
            && digits.iter().any(|it| *it > 0)
    })
}

pub(super) fn portuguese(number: &str) -> bool {
    holds(number, 9, |digits| {
        let check = 11 - weighted(&digits[..8], &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
        digits[0] != 0 && digits[8] == if check > 9 { 0 } else { check }
    })
}

pub(super) fn romanian(number: &str) -> bool {
    let padded = format!("{number:0>10}");
    !number.starts_with('0')
        && holds(&padded, 10, |digits| {
            weighted(&digits[..9], &[7, 5, 3, 2, 1, 7, 5, 3, 2]) * 10 % 11 % 10 == digits[9]
        })
}

pub(super) fn slovak(number: &str) -> bool {
    let third = |digits: &[u32]| digits[0] != 0 && [2, 3, 4, 7, 8, 9].contains(&digits[2]);
    holds(number, 10, third) && value(number).is_some_and(|value| value.is_multiple_of(11))
}

pub(super) fn slovenian(number: &str) -> bool {
    holds(number, 8, |digits| {
        let check = 11 - weighted(&digits[..7], &[8, 7, 6, 5, 4, 3, 2]) % 11;
        digits[0] != 0 && check != 11 && check % 10 == digits[7]
    })
}

pub(super) fn swedish(number: &str) -> bool {
    let parts = number.split_at_checked(10);
    parts.is_some_and(|(body, branch)| luhn(body) && value(branch).is_some_and(|branch| branch > 0))
}

pub(super) fn swiss(number: &str) -> bool {
    holds(number, 9, |digits| {
        let check = (11 - weighted(&digits[..8], &[5, 4, 3, 2, 7, 6, 5, 4]) % 11) % 11;
        check == digits[8]
    })
}
