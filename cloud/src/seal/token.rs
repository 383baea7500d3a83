//! A seal key that never leaves its token: signed with through PKCS#11.
//!
//! It is named by its address (RFC 7512): `pkcs11:token=office;object=seal?module-path=/usr/lib/…/libsofthsm2.so&
//! pin-source=file:/etc/platen/token.pin`. The PIN is read at every use, from wherever secrets are. A module is loaded
//! and initialised once for the process; each signature has a session of its own, so that a token that was pulled out
//! and put back is found again. What comes back is not believed: the caller holds it against the certificate. The danger is
//! the PIN: a token counts wrong ones and locks itself, so one that was refused rests.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, ObjectClass};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use der::asn1::UintRef;
use der::{Encode as _, Sequence};
use platen_model::Digest;

use super::algorithm::Kind;
use crate::signing::secret::Secret;

/// How the address of a key in a token begins.
pub(super) const SCHEME: &str = "pkcs11:";

/// The modules of this process, by their files: one may not be initialised twice.
static MODULES: LazyLock<Mutex<HashMap<PathBuf, Pkcs11>>> = LazyLock::new(Mutex::default);

/// How long a PIN that its token refused is not tried again.
const PIN_RESTS: Duration = Duration::from_secs(3600);

/// The PINs that were refused last, by module and token. Held during a login: of several signatures at once one tries.
static REFUSED: LazyLock<Mutex<HashMap<(PathBuf, String), RefusedPin>>> = LazyLock::new(Mutex::default);

/// A PIN that its token refused.
struct RefusedPin {
    sha256: Digest,
    at: Instant,
}

impl RefusedPin {
    fn new(pin: &str, at: Instant) -> Self {
        Self { sha256: Digest::of(pin.as_bytes()), at }
    }

    /// Whether this PIN is that one, and rests. Another is tried at once.
    fn rests(&self, pin: &str, now: Instant) -> bool {
        self.sha256 == Digest::of(pin.as_bytes()) && now.duration_since(self.at) < PIN_RESTS
    }
}

/// A key in a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TokenKey {
    module: PathBuf,
    token: String,
    object: String,
    pin: Option<Secret>,
}

/// `ECDSA-Sig-Value` (RFC 3279, 2.2.3); tokens give the two numbers side by side.
#[derive(Sequence)]
struct EcdsaSignature<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

impl TokenKey {
    /// The key at an address; an error says what is wrong with it. The token is not asked.
    pub(super) fn at(address: &str) -> Result<Self, String> {
        let address = address.trim();
        let rest =
            address.strip_prefix(SCHEME).ok_or("the address of a key in a token begins with pkcs11:")?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut key = Self { module: PathBuf::new(), token: String::new(), object: String::new(), pin: None };
        for (name, value) in attributes(&path.replace(';', "&"))?.into_iter().chain(attributes(query)?) {
            match name.as_str() {
                "token" => key.token = value,
                "object" => key.object = value,
                "type" if value == "private" => {}
                "module-path" => key.module = value.into(),
                "pin-source" => key.pin = Some(Secret::try_from(value)?),
                "pin-value" => return Err("a PIN is not written here: name its `pin-source`".into()),
                _ => return Err(format!("the address of a key in a token has no `{name}` here")),
            }
        }
        if key.token.is_empty() || key.object.is_empty() || !key.module.is_absolute() {
            return Err(
                "the address of a key in a token names `token`, `object` and an absolute `module-path`"
                    .into(),
            );
        }
        Ok(key)
    }

    /// The signature of `bytes`; an error says why there is none.
    pub(super) fn sign(&self, kind: Kind, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let session = self.session()?;
        let failed = |error: Error| format!("the token {:?}: {error}", self.token);
        let template =
            [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Label(self.object.clone().into_bytes())];
        let found = session.find_objects(&template).map_err(failed)?;
        let [key] = found[..] else {
            return Err(format!(
                "the token {:?} has {} private keys called {:?}, not one",
                self.token,
                found.len(),
                self.object
            ));
        };
        match kind {
            Kind::Rsa => session.sign(&Mechanism::Sha256RsaPkcs, key, bytes).map_err(failed),
            Kind::P256 | Kind::P384 => {
                let raw = session.sign(&Mechanism::Ecdsa, key, &kind.digest(&[bytes])).map_err(failed)?;
                let (r, s) = raw.split_at(raw.len() / 2);
                let numbers = UintRef::new(r).and_then(|r| Ok(EcdsaSignature { r, s: UintRef::new(s)? }));
                let coded = numbers.and_then(|signature| signature.to_der());
                coded.map_err(|error| format!("the token's signature cannot be read: {error}"))
            }
        }
    }

    fn session(&self) -> Result<Session, String> {
        let module = self.module()?;
        let failed = |error: Error| format!("{}: {error}", self.module.display());
        for slot in module.get_slots_with_token().map_err(failed)? {
            // One that cannot be asked is another one, or is said to be missing.
            let Ok(info) = module.get_token_info(slot) else { continue };
            if info.label().trim_end() != self.token {
                continue;
            }
            let session = module.open_ro_session(slot).map_err(failed)?;
            if let Some(pin) = &self.pin {
                let pin = pin.local().map_err(|error| error.to_string())?;
                self.log_in(&session, &pin)?;
            }
            return Ok(session);
        }
        Err(format!("{} shows no token called {:?}", self.module.display(), self.token))
    }

    fn log_in(&self, session: &Session, pin: &str) -> Result<(), String> {
        let place = (self.module.clone(), self.token.clone());
        let mut refused = REFUSED.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.get(&place).is_some_and(|before| before.rests(pin, Instant::now())) {
            return Err(format!(
                "the token {:?} refused this PIN: it is not tried again until there is another, or an hour has passed",
                self.token
            ));
        }
        match session.login(UserType::User, Some(&AuthPin::from(pin))) {
            Ok(()) => {
                refused.remove(&place);
                Ok(())
            }
            // Another session of this process is at work: all share who is logged in.
            Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
            Err(error) => {
                if is_refusal(&error) {
                    refused.insert(place, RefusedPin::new(pin, Instant::now()));
                }
                Err(format!("the token {:?}: {error}", self.token))
            }
        }
    }

    fn module(&self) -> Result<Pkcs11, String> {
        let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = modules.get(&self.module) {
            return Ok(module.clone());
        }
        let failed = |error: Error| format!("{}: {error}", self.module.display());
        let module = Pkcs11::new(&self.module).map_err(failed)?;
        let arguments = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
        match module.initialize(arguments) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(failed(error)),
        }
        modules.insert(self.module.clone(), module.clone());
        Ok(module)
    }
}

/// Whether a token says that a PIN is wrong.
fn is_refusal(error: &Error) -> bool {
    use RvError::{PinIncorrect, PinInvalid, PinLenRange, PinLocked};
    matches!(error, Error::Pkcs11(PinIncorrect | PinInvalid | PinLenRange | PinLocked, _))
}

/// Names and values, with what is written as `%20` as it is meant. A plus is a plus (RFC 7512, 2.3).
fn attributes(text: &str) -> Result<Vec<(String, String)>, String> {
    serde_urlencoded::from_str(&text.replace('+', "%2B"))
        .map_err(|error| format!("the address of a key in a token: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_that_was_refused_rests_for_an_hour_and_another_is_tried_at_once() {
        let now = Instant::now();
        let refused = RefusedPin::new("0000", now);
        let minute = Duration::from_secs(60);
        assert!(refused.rests("0000", now) && refused.rests("0000", now + 59 * minute));
        assert!(!refused.rests("4711", now));
        assert!(!refused.rests("0000", now + 60 * minute));
    }

    #[test]
    fn an_address_names_module_token_object_and_where_the_pin_is() {
        let address = "pkcs11:token=front%20office;object=seal+1;type=private?module-path=/usr/lib/p11.so\
                       &pin-source=file:/etc/platen/token.pin";
        let key = TokenKey::at(address).expect("an address");
        assert_eq!((key.token.as_str(), key.object.as_str()), ("front office", "seal+1"));
        assert_eq!(key.module, PathBuf::from("/usr/lib/p11.so"));
        assert_eq!(key.pin.map(String::from).as_deref(), Some("file:/etc/platen/token.pin"));
        for wrong in [
            "",
            "pkcs11:",
            "pkcs11:token=a;object=b",
            "pkcs11:token=a;object=b?module-path=p11.so",
            "pkcs11:object=b?module-path=/p11.so",
            "pkcs11:token=a;object=b?module-path=/p11.so&pin-value=1234",
            "pkcs11:token=a;object=b?module-path=/p11.so&pin-source=1234",
            "pkcs11:token=a;object=b;serial=1?module-path=/p11.so",
        ] {
            let error = TokenKey::at(wrong).expect_err(wrong);
            assert!(!error.contains("1234"), "{error}");
        }
    }
}
