//! What a caller may do. Tokens carry scopes; a person's role stands for some of them.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::Role;

/// One thing a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Send documents and parts.
    DocumentsWrite,
    /// Read documents, their content and events.
    DocumentsRead,
    /// Correct, approve, reject, hold, retry.
    Review,
    /// Make, withdraw and recall envelopes.
    Signatures,
    /// Set where events are sent.
    Webhooks,
    /// Devices, clients, the audit.
    Admin,
    /// The site's figures. Only the server's administrator can give it.
    Metrics,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::DocumentsWrite,
        Self::DocumentsRead,
        Self::Review,
        Self::Signatures,
        Self::Webhooks,
        Self::Admin,
        Self::Metrics,
    ];

    /// Its word in tokens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DocumentsWrite => "documents:write",
            Self::DocumentsRead => "documents:read",
            Self::Review => "review",
            Self::Signatures => "signatures",
            Self::Webhooks => "webhooks",
            Self::Admin => "admin",
            Self::Metrics => "metrics",
        }
    }

    /// What it allows, for people.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::DocumentsWrite => "send documents and their parts",
            Self::DocumentsRead => "read documents, their content and events",
            Self::Review => "correct, approve, reject, hold and retry documents",
            Self::Signatures => "read, withdraw and recall envelopes",
            Self::Webhooks => "set where events are sent, and replay deliveries",
            Self::Admin => "manage devices and clients, read the audit",
            Self::Metrics => "read the site's figures",
        }
    }
}

impl FromStr for Scope {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::as_str).join(", ");
        let found = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        found.ok_or_else(|| format!("no scope is called {text:?}; there are {}", known()))
    }
}

/// A set of scopes; as text, words separated by blanks (RFC 6749, 3.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// What a device may do: send documents and see that they are there.
    pub fn of_device() -> Self {
        Self([Scope::DocumentsWrite, Scope::DocumentsRead].into())
    }

    /// What a role stands for.
    pub fn of_role(role: Role) -> Self {
        let mut scopes = BTreeSet::from([Scope::DocumentsRead]);
        if role >= Role::Reviewer {
            scopes.extend([Scope::Review, Scope::Signatures]);
        }
        if role >= Role::Admin {
            scopes.extend([Scope::DocumentsWrite, Scope::Webhooks, Scope::Admin]);
        }
        Self(scopes)
    }

    /// Whether this scope is among them.
    pub fn has(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all of these are among `others`.
    pub fn are_within(&self, others: &Self) -> bool {
        self.0.is_subset(&others.0)
    }

    /// The words, in order.
    pub fn words(&self) -> Vec<String> {
        self.0.iter().map(|scope| scope.as_str().to_owned()).collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl FromStr for Scopes {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        text.split_whitespace().map(str::parse).collect::<Result<BTreeSet<Scope>, _>>().map(Self)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_read_back_and_unknown_ones_are_refused() {
        let all: Scopes = Scope::ALL.into_iter().collect();
        assert_eq!(all.to_string().parse(), Ok(all.clone()));
        assert!("documents:read root".parse::<Scopes>().is_err());
        assert!(Scopes::of_device().are_within(&all) && !all.are_within(&Scopes::of_device()));
    }

    #[test]
    fn no_role_stands_for_the_figures_of_the_whole_site() {
        assert!(!Scopes::of_role(Role::Admin).has(Scope::Metrics));
        assert!(!Scopes::of_role(Role::Viewer).has(Scope::Review));
    }
}
