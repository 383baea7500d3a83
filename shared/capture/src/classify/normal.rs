//! Whether a value is in the normal form that fields are read into. A value a person typed may not be.

use super::identifiers::{self, Found};
use super::tax_ids;

fn is_all(value: &str, found: Option<Found>) -> bool {
    found.is_some_and(|(_, normal, _)| normal == value)
}

/// Whether this is an account number without blanks, of its country's length and with a right check sum.
pub fn is_iban(value: &str) -> bool {
    is_all(value, identifiers::iban(value))
}

/// Whether this is a value-added tax number with its country, without blanks and with a right check sum.
pub fn is_vat_id(value: &str) -> bool {
    is_all(value, tax_ids::vat_id(value))
}

/// Whether this is a tax number of a country, without blanks and with a right check sum where it has one.
pub fn is_tax_id(value: &str) -> bool {
    is_all(value, tax_ids::tax_id(value))
}

/// Whether this is a telephone number with its country, as `+442079460958`.
pub fn is_phone(value: &str) -> bool {
    is_all(value, identifiers::phone(value, None))
}

/// Whether this is an e-mail address in lower case.
pub fn is_email(value: &str) -> bool {
    is_all(value, identifiers::email(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_normal_form_itself_is_one() {
        let check = |is: fn(&str) -> bool, value: &str, expected: bool| {
            assert_eq!(is(value), expected, "{value}");
        };
        check(is_iban, "DE02120300000000202051", true);
        check(is_iban, "DE02 1203 0000 0000 2020 51", false);
        check(is_iban, "DE02120300000000202052", false);
        check(is_iban, "see DE02120300000000202051", false);
        check(is_vat_id, "DE136695976", true);
        check(is_vat_id, "DE136695977", false);
        check(is_vat_id, "ATU13585627", true);
        check(is_tax_id, "04-2103594", true);
        check(is_tax_id, "552 008 443", false);
        check(is_phone, "+442079460958", true);
        check(is_phone, "+44 20 7946 0958", false);
        check(is_phone, "020 7946 0958", false);
        check(is_email, "ada@example.com", true);
        check(is_email, "Ada@Example.com", false);
        check(is_email, "ada@example.com and others", false);
        check(is_email, "", false);
    }
}
