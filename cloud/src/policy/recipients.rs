//! Who signs, by a route: fixed addresses, fields of the document, people of a directory, who may sign up to an
//! amount.

use std::collections::BTreeMap;

use platen_model::api::Document;
use platen_model::{Recipient, Role};
use serde::Deserialize;

use super::conditions::amount;

/// A recipient as a route names it: a plain address, or a table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum Named {
    /// A signer's address.
    Address(String),
    /// Anything more.
    Table(Table),
}

/// A recipient as a table. Exactly one of `address`, `field`, `person` and `person_of` says who.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    /// The address.
    address: Option<String>,
    /// The document's field that holds the address.
    field: Option<String>,
    /// A person of the directory.
    person: Option<String>,
    /// The person of the directory whose name is the document's `department`, `source`, or a field's value.
    person_of: Option<String>,
    /// The name, where the directory does not say.
    name: Option<String>,
    /// The document's field that holds the name.
    name_field: Option<String>,
    /// The telephone number that a code goes to.
    phone: Option<String>,
    /// The document's field that holds it.
    phone_field: Option<String>,
    #[serde(default)]
    role: Role,
    /// When its turn comes; its place in the list where absent.
    order: Option<u32>,
}

/// The people a policy knows by name: `directory = "people.toml"` beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(super) struct Directory(BTreeMap<String, Person>);

/// A person.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Person {
    address: String,
    name: Option<String>,
    /// The largest amount the person signs for, with its currency: `5000.00 EUR`.
    up_to: Option<String>,
    /// The document's field that holds the amount.
    #[serde(default = "total")]
    amount: String,
    /// Who signs for larger amounts.
    above: Option<String>,
}

fn total() -> String {
    "total".into()
}

/// A recipient of whom it cannot be said who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unknown {
    /// The field that should tell.
    pub(super) field: Option<String>,
    /// What is wrong.
    pub(super) message: String,
}

impl Directory {
    /// Reads a directory: a table for each person, `[legal]`, with `address` and `name`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let directory: Self = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        for (name, person) in &directory.0 {
            person.check().map_err(|why| format!("{name}: {why}"))?;
            directory.check_above(name)?;
        }
        Ok(directory)
    }

    /// Refuses people above who are not there, and circles of them.
    fn check_above(&self, name: &str) -> Result<(), String> {
        let mut seen = vec![name];
        while let Some(above) = self.0.get(seen[seen.len() - 1]).and_then(|person| person.above.as_deref()) {
            if !self.0.contains_key(above) {
                return Err(format!("{name}: there is no {above:?} to sign for larger amounts"));
            }
            if seen.contains(&above) {
                return Err(format!("{name}: {} stand above each other in a circle", seen.join(", ")));
            }
            seen.push(above);
        }
        Ok(())
    }

    /// The person of this name, or who signs in their place for the document's amount.
    fn signing<'d>(&'d self, name: &str, document: &Document) -> Result<&'d Person, Unknown> {
        let unknown =
            |field: Option<&str>, message: String| Unknown { field: field.map(str::to_owned), message };
        let there_is_none = || unknown(None, format!("the directory has no person {name:?} to sign"));
        let mut person = self.0.get(name).ok_or_else(there_is_none)?;
        while let Some(limit) = &person.up_to {
            let (most, currency) = amount(limit).unwrap_or_default();
            let read =
                document.fields.get(&person.amount).map(|field| field.value.trim()).unwrap_or_default();
            let is = amount(read).filter(|(_, read)| *read == currency);
            let Some((is, _)) = is else {
                let message = format!(
                    "{} signs up to {limit}, and {read:?} in \"{}\" cannot be compared with that",
                    person.address, person.amount
                );
                return Err(unknown(Some(&person.amount), message));
            };
            // What is paid back is as much money as what is paid.
            if is.abs() <= most {
                break;
            }
            let above = person.above.as_deref().and_then(|above| self.0.get(above));
            person = above.ok_or_else(|| {
                let message = format!("{} signs up to {limit} only, and it is {read}", person.address);
                unknown(Some(&person.amount), message)
            })?;
        }
        Ok(person)
    }
}

impl Person {
    fn check(&self) -> Result<(), String> {
        is_address(&self.address)?;
        match (&self.up_to, &self.above) {
            (Some(limit), _) if amount(limit).is_none_or(|(_, currency)| currency.is_none()) => {
                Err(format!("`up_to = {limit:?}`: write an amount with its currency, like \"5000.00 EUR\""))
            }
            (None, Some(_)) => Err("`above` needs `up_to`".into()),
            _ => Ok(()),
        }
    }
}

impl Named {
    fn table(&self) -> Table {
        match self {
            Self::Address(address) => Table { address: Some(address.clone()), ..Table::default() },
            Self::Table(table) => table.clone(),
        }
    }

    /// What is wrong with it, whatever the document.
    pub(super) fn check(&self, directory: &Directory) -> Result<(), String> {
        let table = self.table();
        let said = [&table.address, &table.field, &table.person, &table.person_of];
        if said.iter().filter(|said| said.is_some()).count() != 1 {
            return Err("a recipient has one of `address`, `field`, `person` and `person_of`".into());
        }
        if table.order == Some(0) {
            return Err("`order` counts from 1".into());
        }
        if let Some(address) = &table.address {
            is_address(address)?;
        }
        if let Some(phone) = &table.phone {
            telephone(phone)?;
        }
        match &table.person {
            Some(name) if !directory.0.contains_key(name) => Err(format!("the directory has no {name:?}")),
            _ => Ok(()),
        }
    }

    /// The same without a document: for a check of roles and order.
    pub(super) fn shape(&self, position: u32) -> Recipient {
        let table = self.table();
        let address = table.address.unwrap_or_else(|| "somebody@example.com".into());
        // Somebody's, so that an account without codes by telephone is found out.
        let phone = table.phone.or(table.phone_field).map(|_| "+10000000".to_owned());
        Recipient {
            address,
            name: table.name,
            phone,
            role: table.role,
            order: table.order.unwrap_or(position),
        }
    }

    /// Who it is for a document.
    pub(super) fn of(
        &self,
        position: u32,
        document: &Document,
        directory: &Directory,
    ) -> Result<Recipient, Unknown> {
        let table = self.table();
        let value = |name: &str| {
            let value = document.fields.get(name).map(|field| field.value.trim().to_owned());
            value.filter(|value| !value.is_empty())
        };
        let unknown = |field: &str, message: String| Unknown { field: Some(field.to_owned()), message };
        let (address, known_name) = if let Some(address) = table.address {
            (address, None)
        } else if let Some(field) = &table.field {
            let lacks = || format!("the document has no field \"{field}\" to take a signer from");
            let found = value(field).ok_or_else(|| unknown(field, lacks()))?;
            is_address(&found).map_err(|message| unknown(field, message))?;
            (found, None)
        } else if let Some(name) = table.person {
            let person = directory.signing(&name, document)?;
            (person.address.clone(), person.name.clone())
        } else {
            let of = table.person_of.unwrap_or_default();
            let (name, field) = match of.as_str() {
                "department" => (document.department.clone(), None),
                "source" => (Some(document.source.clone()), None),
                field => (value(field), Some(field.to_owned())),
            };
            let lacks = || format!("the document has no \"{of}\" to find a person by");
            let name = name.filter(|name| !name.is_empty());
            let name = name.ok_or_else(|| Unknown { field: field.clone(), message: lacks() })?;
            let person = directory.signing(&name, document);
            let person = person.map_err(|unknown| Unknown { field: unknown.field.or(field), ..unknown })?;
            (person.address.clone(), person.name.clone())
        };
        let name = table.name_field.and_then(|field| value(&field)).or(known_name).or(table.name);
        let name = name.filter(|name| !name.is_empty());
        let phone = match &table.phone_field {
            Some(field) => {
                let found = value(field).or(table.phone);
                let lacks =
                    || format!("the document has no field \"{field}\" to take a telephone number from");
                let found = found.ok_or_else(|| unknown(field, lacks()))?;
                Some(telephone(&found).map_err(|message| unknown(field, message))?)
            }
            None => table
                .phone
                .as_deref()
                .map(telephone)
                .transpose()
                .map_err(|message| unknown("phone", message))?,
        };
        Ok(Recipient { address, name, phone, role: table.role, order: table.order.unwrap_or(position) })
    }
}

/// A telephone number as it is dialled from anywhere (E.164), however it is written; an error says what it is not.
pub fn telephone(text: &str) -> Result<String, String> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace() && !"-/().".contains(*c)).collect();
    let number = digits.strip_prefix('+').unwrap_or_default();
    let fits = (7..=15).contains(&number.len()) && number.chars().all(|c| c.is_ascii_digit());
    if fits && !number.starts_with('0') {
        return Ok(digits);
    }
    Err(format!("{text:?} is not a telephone number with its country, like \"+49 30 1234567\""))
}

/// Refuses what cannot be an address to write to; whether it is one shows when somebody answers.
pub fn is_address(text: &str) -> Result<(), String> {
    let fits =
        text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains(|c| c != '.'));
    let clean = !text.contains(|c: char| c.is_whitespace() || c.is_control() || "<>,;\"".contains(c));
    if fits && clean { Ok(()) } else { Err(format!("{text:?} is not a signer's address")) }
}
