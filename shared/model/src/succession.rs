//! Keys that follow on each other, so that a key may be renewed although devices know only the one of their enrolment.
//!
//! Each key signs the one after it. Whoever knows any of them and is given the links finds the way to the last, and nobody
//! can add a link without one of the keys.

use serde::{Deserialize, Serialize};

use crate::keys::{PublicKey, SigningKey};

/// One link: a key, and the key before it that says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Succession {
    /// The key before.
    pub before: PublicKey,
    /// The key that stands in its place from now on.
    pub key: PublicKey,
    /// Base64 Ed25519 signature by the key before over [`Succession::statement`].
    pub signature: String,
}

impl Succession {
    /// A link from a key to the one after it.
    pub fn new(before: &SigningKey, key: PublicKey) -> Self {
        let signature = before.sign(Self::statement(&before.public(), &key).as_bytes());
        Self { before: before.public(), key, signature }
    }

    /// What is signed. It is no JSON, so that it can be taken for nothing else that a key signs.
    pub fn statement(before: &PublicKey, key: &PublicKey) -> String {
        format!("platen: the key after {} is {}\n", before.0, key.0)
    }

    /// The key that stands in the place of `known` by these links, in their order; `known` itself where none follows on it.
    pub fn last<'k>(known: &'k PublicKey, links: &'k [Self]) -> &'k PublicKey {
        links.iter().fold(known, |last, link| {
            let statement = Self::statement(&link.before, &link.key);
            let holds = link.before == *last && last.verify(statement.as_bytes(), &link.signature).is_ok();
            if holds { &link.key } else { last }
        })
    }

    /// Those of many links that lead to this key, in their order. A link to a key that was never used leads nowhere.
    pub fn leading_to(links: &[Self], key: &PublicKey) -> Vec<Self> {
        let mut key = key;
        let mut way = Vec::new();
        for link in links.iter().rev() {
            if link.key == *key {
                key = &link.before;
                way.push(link.clone());
            }
        }
        way.reverse();
        way
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> [SigningKey; 4] {
        std::array::from_fn(|_| SigningKey::generate().expect("randomness"))
    }

    #[test]
    fn whoever_knows_any_key_finds_the_last() {
        let [one, two, three, strange] = keys();
        let links = [Succession::new(&one, two.public()), Succession::new(&two, three.public())];
        for known in [&one, &two, &three] {
            assert_eq!(*Succession::last(&known.public(), &links), three.public());
        }
        assert_eq!(*Succession::last(&strange.public(), &links), strange.public());
        assert_eq!(*Succession::last(&one.public(), &links[1..]), one.public(), "a link is missing");
    }

    #[test]
    fn nobody_adds_a_link_without_a_key() {
        let [one, two, strange, _] = keys();
        let forged = Succession { before: one.public(), ..Succession::new(&strange, two.public()) };
        let bent = Succession { key: strange.public(), ..Succession::new(&one, two.public()) };
        for link in [forged, bent] {
            assert_eq!(*Succession::last(&one.public(), &[link]), one.public());
        }
    }

    #[test]
    fn links_to_keys_that_were_never_used_are_left_out() {
        let [one, lost, two, three] = keys();
        let links = [
            Succession::new(&one, lost.public()),
            Succession::new(&one, two.public()),
            Succession::new(&two, three.public()),
        ];
        assert_eq!(Succession::leading_to(&links, &three.public()), links[1..]);
        assert_eq!(Succession::leading_to(&links, &one.public()), []);
    }
}
