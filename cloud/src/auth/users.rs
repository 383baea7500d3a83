//! People: passwords (argon2id), sessions, lockout.

use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use platen_model::Digest;
use ring::rand::{SecureRandom as _, SystemRandom};

use tokio::sync::Semaphore;

use super::{SESSION_COOKIE, random_token};
use crate::app::App;
use crate::refusal::Refusal;
use crate::store::{audit, now_ms, people};

/// Shortest password.
pub const PASSWORD_CHARACTERS: usize = 8;
/// Passwords tried at once. Each try takes 19 MiB and a processor; the others wait.
const TRIES_AT_ONCE: usize = 2;
static TRIES: Semaphore = Semaphore::const_new(TRIES_AT_ONCE);
/// A hash of nothing anybody knows: checked for unknown names, so that they take as long as known ones.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$3cJ2XOFKbRbJ9gVSV0Tn1Yl2qhsTmnZFqXnJPyCR4Cw";

/// What a login ends in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// The value of the session cookie.
    Open(String),
    /// Name or password is wrong.
    Wrong,
    /// Too many wrong passwords: nothing is tried for this long.
    Locked(Duration),
}

/// Hashes a password for storage. Takes tens of milliseconds on purpose.
pub fn hash_password(password: &str) -> Result<String, String> {
    if password.chars().count() < PASSWORD_CHARACTERS {
        return Err(format!("a password has at least {PASSWORD_CHARACTERS} characters"));
    }
    hash_secret(password)
}

/// Hashes any secret that people type, for storage: as long as a password, whatever its length.
pub fn hash_secret(secret: &str) -> Result<String, String> {
    let mut salt = [0u8; 16];
    SystemRandom::new().fill(&mut salt).map_err(|_| "the operating system gave no randomness".to_owned())?;
    let salt = SaltString::encode_b64(&salt).map_err(|error| error.to_string())?;
    let hash =
        Argon2::default().hash_password(secret.as_bytes(), &salt).map_err(|error| error.to_string())?;
    Ok(hash.to_string())
}

/// Whether a secret that somebody typed is the one of a hash; takes as long as a password, and its turn with them.
pub async fn is_secret(offered: &str, hash: &str) -> Result<bool, String> {
    let _turn = TRIES.acquire().await.map_err(|error| error.to_string())?;
    let (offered, hash) = (offered.to_owned(), hash.to_owned());
    tokio::task::spawn_blocking(move || fits(&offered, &hash)).await.map_err(|error| error.to_string())
}

/// Tries a name and a password.
///
/// A name that nobody has is locked out like any other: neither the answer nor its time tells whether it exists.
pub async fn login(app: &App, name: &str, password: &str) -> Result<Login, Refusal> {
    // PostgreSQL takes no NUL in a text, and no name has one.
    if name.contains('\0') {
        return Ok(Login::Wrong);
    }
    // Before the lock is looked at: tries that are made at once cannot all slip past it.
    let _turn = TRIES.acquire().await.map_err(Refusal::internal)?;
    let tried = Digest::of(name.as_bytes());
    let locked_until_ms = people::locked_until(&app.store, tried).await?;
    if locked_until_ms > now_ms() {
        if let Some(user) = people::user(&app.store, name).await? {
            let mut write = app.store.begin().await?;
            let (by, action) = ("somebody", "sign-in.locked");
            audit::add_seldom(&mut write, &user.tenant, by, action, &user.name, "tried while locked").await?;
            write.commit().await?;
        }
        return Ok(Login::Locked(Duration::from_millis((locked_until_ms - now_ms()).unsigned_abs())));
    }
    let user = people::user(&app.store, name).await?;
    let hash = user.as_ref().map_or_else(|| NOBODY.to_owned(), |user| user.password_hash.clone());
    let offered = password.to_owned();
    let right =
        tokio::task::spawn_blocking(move || fits(&offered, &hash)).await.map_err(Refusal::internal)?;
    let limits = &app.config.limits;
    let Some(user) = user.as_ref().filter(|user| right && user.disabled_ms == 0) else {
        let until = now_ms() + limits.lockout_seconds as i64 * 1000;
        let (user, most) = (user.as_ref(), limits.login_failures);
        let failures = people::count_failure(&app.store, user, tried, most, until).await?;
        tracing::warn!(failures, known = user.is_some(), "a wrong name or password");
        return Ok(Login::Wrong);
    };
    let token = random_token()?;
    let expires = now_ms() + limits.session_seconds as i64 * 1000;
    let is_open =
        people::open_session(&app.store, user, tried, Digest::of(token.as_bytes()), expires).await?;
    Ok(if is_open { Login::Open(token) } else { Login::Wrong })
}

/// Ends the session of a cookie's value.
pub async fn logout(app: &App, token: &str) -> Result<(), Refusal> {
    Ok(people::close_session(&app.store, Digest::of(token.as_bytes())).await?)
}

/// The `Set-Cookie` value that opens a session in a browser.
pub fn session_cookie(app: &App, token: &str) -> String {
    let secure = if app.config.is_secure() { "; Secure" } else { "" };
    let seconds = app.config.limits.session_seconds;
    format!("{SESSION_COOKIE}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
}

/// The `Set-Cookie` value that ends it.
pub fn no_session_cookie() -> String {
    format!("{SESSION_COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax")
}

fn fits(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_fits_its_own_hash_only() {
        let hash = hash_password("correct horse").expect("long enough");
        assert!(fits("correct horse", &hash));
        assert!(!fits("correct house", &hash));
        assert!(PasswordHash::new(NOBODY).is_ok(), "unknown names must cost the same work");
        hash_password("short").expect_err("too short");
    }
}
