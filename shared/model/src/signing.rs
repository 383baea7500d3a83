//! Who signs, in which role and order, and where on the page: the same words in policies, events, the API and
//! towards every provider.

use serde::{Deserialize, Deserializer, Serialize};

/// What a recipient of an envelope does with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = RecipientRole))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Signs.
    #[default]
    Signer,
    /// Agrees before others sign, without a signature of its own.
    Approver,
    /// Gets a copy of what was signed, and does nothing.
    Cc,
}

impl Role {
    /// Whether the envelope waits for such a recipient.
    pub fn acts(self) -> bool {
        self != Self::Cc
    }
}

/// One recipient of an envelope.
///
/// Read from JSON or TOML it may also be a plain address: that is a signer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Recipient {
    /// The e-mail address.
    pub address: String,
    /// The name, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The telephone number that a code goes to (E.164, `+493012345678`), where one is asked for by telephone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// What it does.
    #[serde(default)]
    pub role: Role,
    /// When its turn comes, from 1: those of one number are asked together, after all of lower numbers.
    pub order: u32,
}

impl Recipient {
    /// A signer whose turn comes at `order`.
    pub fn signer(address: impl Into<String>, order: u32) -> Self {
        Self { address: address.into(), name: None, phone: None, role: Role::Signer, order }
    }

    /// The name to call it by: its own, or what stands before the `@`.
    pub fn display_name(&self) -> &str {
        self.name.as_deref().unwrap_or_else(|| self.address.split('@').next().unwrap_or(&self.address))
    }
}

impl<'de> Deserialize<'de> for Recipient {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Whole {
            address: String,
            name: Option<String>,
            phone: Option<String>,
            #[serde(default)]
            role: Role,
            order: u32,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Address(String),
            Whole(Whole),
        }
        Ok(match Form::deserialize(deserializer)? {
            Form::Address(address) => Self::signer(address, 1),
            Form::Whole(whole) => {
                let Whole { address, name, phone, role, order } = whole;
                Self { address, name, phone, role, order }
            }
        })
    }
}

/// What a person fills in at a place on a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum BlankKind {
    /// The signature.
    #[default]
    Signature,
    /// Initials.
    Initials,
    /// The day of the signature.
    Date,
    /// The recipient's name.
    Name,
    /// A line of text.
    Text,
    /// A box to tick.
    Checkbox,
}

/// A place to fill in, in points (1/72 inch) from the top left corner of the page as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Blank {
    /// Which of the envelope's recipients fills it in, counted from 0.
    pub recipient: u32,
    /// With what.
    pub kind: BlankKind,
    /// The page, counted from 0.
    pub page: u32,
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width.
    pub w: f32,
    /// Height.
    pub h: f32,
    /// How the place was found, as a sentence for people.
    pub why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_address_is_a_signer() {
        let read: Vec<Recipient> =
            serde_json::from_str(r#"["a@b.c",{"address":"d@e.f","role":"approver","order":2}]"#)
                .expect("fits");
        assert_eq!(read[0], Recipient::signer("a@b.c", 1));
        assert_eq!((read[1].role, read[1].order, read[1].display_name()), (Role::Approver, 2, "d"));
        let again: Vec<Recipient> =
            serde_json::from_value(serde_json::to_value(&read).expect("plain data")).expect("our own JSON");
        assert_eq!(again, read);
    }
}
