//! A key that somebody supplies for a tenant's seals: taken in once, from a PKCS#12 file or a token.
//!
//! A PKCS#12 file is opened by the `openssl` program, on a pipe, when it is taken in: its many codings, the old ones
//! among them, are no part of this program, and nothing of it is needed afterwards. What is kept is certificates and
//! key as in [`super::key`]. The certificate is the one that goes with the key, followed by those it leads to.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use x509_cert::Certificate;
use zeroize::Zeroizing;

use super::key::{SealKey, pem_of};

const KEY_BEGINS: &str = "-----BEGIN PRIVATE KEY-----";
const KEY_ENDS: &str = "-----END PRIVATE KEY-----";

/// The text of the key file for a PKCS#12 file with this password.
///
/// # Errors
///
/// Why it cannot be opened, or holds no key and certificate that go together, as a sentence.
pub fn from_pkcs12(file: &Path, password: &str) -> Result<Zeroizing<String>, String> {
    // RC2 and the like, which old programs write, are asked for apart; without need nobody asks for them.
    let opened =
        open(file, password, &[]).or_else(|error| open(file, password, &["-legacy"]).map_err(|_| error))?;
    let key = opened.find(KEY_BEGINS).and_then(|from| {
        let length = opened[from..].find(KEY_ENDS)? + KEY_ENDS.len();
        Some(&opened[from..from + length])
    });
    let key = key.ok_or_else(|| format!("{} holds no private key", file.display()))?;
    if opened.matches(KEY_BEGINS).count() > 1 {
        return Err(format!("{} holds several private keys: supply the one for seals alone", file.display()));
    }
    let all = certificates(&opened)?;
    for own in &all {
        let chain = chain_of(own, &all)?;
        let text = Zeroizing::new(format!("{chain}{key}\n"));
        if SealKey::from_text(&text).is_ok() {
            return Ok(text);
        }
    }
    let first = all.first().map(pem_of).transpose().map_err(|error| error.to_string())?.unwrap_or_default();
    // Of the one certificate there usually is, what is wrong with it can be said.
    let text = Zeroizing::new(format!("{first}{key}\n"));
    Err(SealKey::from_text(&text).err().unwrap_or_else(|| "no certificate goes with the key".into()))
}

/// The text of the key file for a key in a token, and its certificates as PEM: its own first.
///
/// # Errors
///
/// What is wrong with address or certificates, as a sentence.
pub fn from_token(address: &str, certificates_pem: &str) -> Result<Zeroizing<String>, String> {
    let all = certificates(certificates_pem)?;
    let own = all.first().ok_or("there is no certificate")?;
    let text = Zeroizing::new(SealKey::text_of_token(&chain_of(own, &all)?, address));
    SealKey::from_text(&text).map(|_| text)
}

/// What `openssl` reads in the file, as PEM.
fn open(file: &Path, password: &str, options: &[&str]) -> Result<Zeroizing<String>, String> {
    let failed = |error: std::io::Error| format!("cannot run openssl, which opens PKCS#12 files: {error}");
    let mut program = Command::new("openssl")
        .args(["pkcs12", "-nodes", "-passin", "stdin", "-in"])
        .arg(file)
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut input) = program.stdin.take() {
        // One that ends before it reads says why itself.
        let _ = writeln!(input, "{password}");
    }
    let output = program.wait_with_output().map_err(failed)?;
    let text = Zeroizing::new(output.stdout);
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let first = said.lines().next().unwrap_or_default();
        return Err(format!("{} cannot be opened: {first}", file.display()));
    }
    let text = std::str::from_utf8(&text).map_err(|error| format!("openssl: {error}"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// The certificates in a text, whatever stands between them.
fn certificates(text: &str) -> Result<Vec<Certificate>, String> {
    const BEGINS: &str = "-----BEGIN CERTIFICATE-----";
    const ENDS: &str = "-----END CERTIFICATE-----";
    let blocks = text.split(BEGINS).skip(1).filter_map(|rest| rest.split_once(ENDS));
    let pem: String = blocks.map(|(body, _)| format!("{BEGINS}{body}{ENDS}\n")).collect();
    if pem.is_empty() {
        return Ok(Vec::new());
    }
    Certificate::load_pem_chain(pem.as_bytes()).map_err(|error| format!("a certificate: {error}"))
}

/// A certificate and those it leads to, as PEM.
fn chain_of(own: &Certificate, all: &[Certificate]) -> Result<String, String> {
    let mut chain = vec![own];
    while let Some(last) = chain.last() {
        let issuer = &last.tbs_certificate.issuer;
        let next = all.iter().find(|next| next.tbs_certificate.subject == *issuer && !chain.contains(next));
        match next {
            Some(next) => chain.push(next),
            None => break,
        }
    }
    let pem = chain.into_iter().map(pem_of).collect::<der::Result<String>>();
    pem.map_err(|error| error.to_string())
}

#[cfg(test)]
#[path = "supplied_tests.rs"]
mod tests;
