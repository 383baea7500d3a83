//! A signer invited by the built-in provider, played over HTTP: opens the letter, follows the link, signs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::person::{hidden_fields, http_client};

/// Someone who signs whatever arrives in the mail folder, once.
#[derive(Debug)]
pub struct Signer {
    mail: PathBuf,
    http: reqwest::Client,
    answered: BTreeSet<String>,
}

impl Signer {
    /// A signer who reads this mail folder.
    pub fn reading(mail: &Path) -> Result<Self, String> {
        Ok(Self { mail: mail.to_owned(), http: http_client()?, answered: BTreeSet::new() })
    }

    /// Signs what is new; answers how many were signed. A link that cannot be reached now is tried next time.
    pub async fn sign_what_arrived(&mut self) -> usize {
        let mut signed = 0;
        for link in self.links() {
            if !self.answered.contains(&link) && self.sign(&link).await.is_ok() {
                self.answered.insert(link);
                signed += 1;
            }
        }
        signed
    }

    /// The signing links in all letters.
    pub fn links(&self) -> Vec<String> {
        let Ok(letters) = std::fs::read_dir(&self.mail) else { return Vec::new() };
        let letters = letters.filter_map(Result::ok).map(|entry| entry.path());
        let letters = letters.filter(|path| path.extension().is_some_and(|kind| kind == "eml"));
        let mut links: Vec<String> = letters
            .filter_map(|path| std::fs::read_to_string(path).ok())
            .flat_map(|text| {
                let words = text
                    .split_whitespace()
                    .filter(|word| word.starts_with("http") && word.contains("/sign/"));
                words.map(str::to_owned).collect::<Vec<_>>()
            })
            .collect();
        links.sort();
        links.dedup();
        links
    }

    async fn sign(&self, link: &str) -> Result<(), String> {
        let page = self.http.get(link).send().await.map_err(|error| error.to_string())?;
        let page = page.text().await.map_err(|error| error.to_string())?;
        let mut form = hidden_fields(&page);
        form.push(("name".into(), "Ada Signer".into()));
        form.push(("consent".into(), "yes".into()));
        let answer = self.http.post(link).form(&form).send().await.map_err(|error| error.to_string())?;
        let status = answer.status();
        if status.is_success() || status.is_redirection() { Ok(()) } else { Err(format!("{link}: {status}")) }
    }
}
