//! Who signs, by a route: fixed addresses, fields of the document, people of a directory.

use std::collections::BTreeMap;
use std::path::Path;

use platen_model::api::Document;
use platen_model::{Recipient, Role};
use serde::Deserialize;

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
}

impl Directory {
    /// Reads a directory: a table for each person, `[legal]`, with `address` and `name`.
    pub(super) fn load(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let directory: Self =
            toml::from_str(&text).map_err(|error| format!("{}: {}", path.display(), error.message()))?;
        for (name, person) in &directory.0 {
            is_address(&person.address).map_err(|why| format!("{}: {name}: {why}", path.display()))?;
        }
        Ok(directory)
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
        match &table.person {
            Some(name) if !directory.0.contains_key(name) => Err(format!("the directory has no {name:?}")),
            _ => Ok(()),
        }
    }

    /// The same without a document: for a check of roles and order.
    pub(super) fn shape(&self, position: u32) -> Recipient {
        let table = self.table();
        let address = table.address.unwrap_or_else(|| "somebody@example.com".into());
        Recipient { address, name: table.name, role: table.role, order: table.order.unwrap_or(position) }
    }

    /// Who it is for a document.
    pub(super) fn of(
        &self,
        position: u32,
        document: &Document,
        directory: &Directory,
    ) -> Result<Recipient, String> {
        let table = self.table();
        let value = |name: &str| document.fields.get(name).map(|field| field.value.trim().to_owned());
        let person = |name: &str| {
            directory.0.get(name).ok_or_else(|| format!("the directory has no person {name:?} to sign"))
        };
        let (address, known_name) = if let Some(address) = table.address {
            (address, None)
        } else if let Some(field) = table.field {
            let found = value(&field)
                .ok_or_else(|| format!("the document has no field \"{field}\" to take a signer from"))?;
            (found, None)
        } else if let Some(name) = table.person {
            let person = person(&name)?;
            (person.address.clone(), person.name.clone())
        } else {
            let of = table.person_of.unwrap_or_default();
            let name = match of.as_str() {
                "department" => document.department.clone(),
                "source" => Some(document.source.clone()),
                field => value(field),
            };
            let name = name.filter(|name| !name.is_empty());
            let person =
                person(&name.ok_or_else(|| format!("the document has no \"{of}\" to find a person by"))?)?;
            (person.address.clone(), person.name.clone())
        };
        is_address(&address)?;
        let name = table.name_field.and_then(|field| value(&field)).or(known_name).or(table.name);
        let name = name.filter(|name| !name.is_empty());
        Ok(Recipient { address, name, role: table.role, order: table.order.unwrap_or(position) })
    }
}

/// Refuses what cannot be an address to write to; whether it is one shows when somebody answers.
pub(super) fn is_address(text: &str) -> Result<(), String> {
    let fits =
        text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains(|c| c != '.'));
    let clean = !text.contains(|c: char| c.is_whitespace() || c.is_control() || "<>,;\"".contains(c));
    if fits && clean { Ok(()) } else { Err(format!("{text:?} is not a signer's address")) }
}
