//! Claims about supplied keys: files and tokens by other programs, seals by us, verdicts by poppler and pyHanko.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Output;
use std::sync::Arc;

use jiff::Timestamp;
use platen_capture::pdf::Place;
use platen_capture::worker::pool::Pool;
use platen_capture::worker::protocol::SealInfo;
use platen_model::TenantId;

use super::*;
use crate::seal::{KeyRing, Kind, SealError, TenantKeys, seal_pdf};
use crate::signing::trial::{one_page_pdf, pdfsig, pyhanko};

const PASSWORD: &str = "correct horse";
/// Where Debian puts the token in software.
const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
/// The variable that tells where tokens in software are.
const TOKENS: &str = "SOFTHSM2_CONF";

/// A folder with an authority of its own, keys it certified, and a ring of ours.
struct Office {
    folder: tempfile::TempDir,
    ring: KeyRing,
    tenant: TenantId,
}

impl Office {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let ring = KeyRing::new(folder.path().join("keys"));
        let office = Self { folder, ring, tenant: "office".parse().expect("a tenant") };
        let subject = ["-subj", "/CN=Authority of a test", "-days", "9"];
        office.openssl(
            &[
                &["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem"][..],
                &subject,
            ]
            .concat(),
        );
        office
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder.path());
        command.output().unwrap_or_else(|error| panic!("{program} is a need of these tests: {error}"))
    }

    #[track_caller]
    fn openssl(&self, arguments: &[&str]) {
        let output = self.run("openssl", arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// A key in `seal.key`, and in `seal.pem` its certificate by the authority, valid for so many days.
    fn certify(&self, key: &[&str], days: &str) {
        self.openssl(&[&["genpkey", "-out", "seal.key"][..], key].concat());
        self.openssl(&["req", "-new", "-key", "seal.key", "-subj", "/CN=Seal of a test", "-out", "seal.csr"]);
        std::fs::write(self.path("use.cnf"), "keyUsage=critical,digitalSignature,nonRepudiation\n")
            .expect("write");
        let by =
            ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "use.cnf", "-days", days];
        self.openssl(&[&["x509", "-req", "-in", "seal.csr", "-out", "seal.pem"][..], &by].concat());
    }

    /// `seal.p12` of that key, coded with these options.
    fn bundle(&self, options: &[&str]) -> PathBuf {
        let password = format!("pass:{PASSWORD}");
        let of = ["pkcs12", "-export", "-inkey", "seal.key", "-in", "seal.pem", "-certfile", "ca.pem"];
        self.openssl(&[&of[..], &["-out", "seal.p12", "-passout", &password], options].concat());
        self.path("seal.p12")
    }

    /// A token of this name with that key in it, as `seal`; answers its address.
    fn token(&self, name: &str) -> String {
        for arguments in [
            &["--init-token", "--free", "--label", name, "--so-pin", "12345678", "--pin", "4711"][..],
            &["--import", "seal.key", "--token", name, "--label", "seal", "--id", "01", "--pin", "4711"],
        ] {
            let output = self.run("softhsm2-util", arguments);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let (pin, token) = (self.path("pin"), name.replace(' ', "%20"));
        std::fs::write(&pin, "4711\n").expect("write");
        format!("pkcs11:token={token};object=seal?module-path={MODULE}&pin-source=file:{}", pin.display())
    }

    fn certificates(&self) -> String {
        ["seal.pem", "ca.pem"].map(|name| std::fs::read_to_string(self.path(name)).expect("there")).concat()
    }

    fn supply(&self, text: &str) -> Arc<TenantKeys> {
        self.ring.supply(&self.tenant, text).expect("it is taken in")
    }

    fn sealed(&self, keys: &TenantKeys) -> Result<Vec<u8>, SealError> {
        let seal = SealInfo {
            name: "Ada".into(),
            reason: "a test".into(),
            at: Timestamp::now(),
            lines: vec!["Signed by Ada".into()],
            page: 0,
            place: Place::thousandths([94, 20, 400, 45]),
            strokes: Vec::new(),
            entries: Vec::new(),
            room_bytes: 0,
        };
        seal_pdf(&Pool::in_process(1), &keys.seal, &one_page_pdf(), seal, None)
    }

    /// A seal by these keys is valid to poppler, and trusted by pyHanko who knows only the authority.
    #[track_caller]
    fn check(&self, keys: &TenantKeys, kind: Kind) {
        assert_eq!(keys.seal.kind(), kind);
        assert_eq!(keys.seal.chain().len(), 2, "its own and the authority's");
        let sealed = self.sealed(keys).expect("sealed");
        let said = pdfsig(&sealed);
        assert!(said.contains("Signature is Valid") && said.contains("Total document signed"), "{said}");
        assert!(said.contains("Signer Certificate Common Name: Seal of a test"), "{said}");
        let authority = std::fs::read_to_string(self.path("ca.pem")).expect("there");
        let said = pyhanko(&sealed, &authority);
        assert!(said.starts_with("intact=True valid=True trusted=True coverage=ENTIRE_FILE"), "{said}");
    }
}

const P_256: [&str; 4] = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
const P_384: [&str; 4] = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"];
const RSA: [&str; 4] = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"];

#[test]
fn a_seal_by_a_key_from_a_pkcs12_file_is_valid_to_poppler_and_pyhanko_whatever_its_kind_and_coding() {
    for (key, kind, coding) in [
        (P_256, Kind::P256, &["-keypbe", "AES-256-CBC", "-certpbe", "AES-256-CBC"][..]),
        (P_384, Kind::P384, &[]),
        (RSA, Kind::Rsa, &["-legacy"]),
    ] {
        let office = Office::new();
        office.certify(&key, "9");
        let text = from_pkcs12(&office.bundle(coding), PASSWORD).expect("it opens");
        office.check(&office.supply(&text), kind);
    }
}

/// Makes a claim where there are tokens in software: SoftHSM reads where they are from the environment, so in a process
/// of its own.
fn with_tokens(test: &str, claim: impl FnOnce()) {
    if std::env::var_os(TOKENS).is_some() {
        return claim();
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (tokens, conf) = (folder.path().join("tokens"), folder.path().join("softhsm2.conf"));
    std::fs::create_dir(&tokens).expect("a folder");
    let text = format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display());
    std::fs::write(&conf, text).expect("write");
    let this = std::env::current_exe().expect("this program");
    let output = Command::new(this)
        .args([&format!("seal::supplied::tests::{test}"), "--exact", "--nocapture"])
        .env(TOKENS, &conf)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{complained}");
}

#[test]
fn a_seal_by_a_key_in_a_token_is_valid_to_poppler_and_pyhanko_and_the_key_is_in_no_file_of_ours() {
    with_tokens(
        "a_seal_by_a_key_in_a_token_is_valid_to_poppler_and_pyhanko_and_the_key_is_in_no_file_of_ours",
        || {
            let offices = [(P_256, "front office", Kind::P256), (RSA, "back office", Kind::Rsa)].map(
                |(key, name, kind)| {
                    let office = Office::new();
                    office.certify(&key, "9");
                    let text = from_token(&office.token(name), &office.certificates()).expect("an address");
                    (office, text, kind)
                },
            );
            for (office, text, kind) in &offices {
                let keys = office.supply(text);
                office.check(&keys, *kind);
                let kept = std::fs::read_to_string(office.path("keys/office/seal.pem")).expect("there");
                assert!(
                    kept.contains("pkcs11:token=") && !kept.contains("PRIVATE KEY") && !kept.contains("4711")
                );
                // Read at every use.
                std::fs::write(office.path("pin"), "0000").expect("write");
                let error = office.sealed(&keys).expect_err("the wrong PIN");
                assert!(matches!(&error, SealError::Token(why) if why.contains("office")), "{error}");
                let error = office.sealed(&keys).expect_err("nor is it tried again");
                assert!(error.to_string().contains("refused this PIN"), "a token counts: {error}");
                std::fs::write(office.path("pin"), "4711").expect("write");
                office.sealed(&keys).expect("and it goes on");
            }
            // The certificate of one with the key of the other.
            let [(front, ..), (back, back_text, _)] = &offices;
            let address = &back_text[back_text.find("pkcs11:").expect("an address")..];
            let text = from_token(address, &front.certificates()).expect("an address");
            back.ring.supply(&back.tenant, &text).expect_err("it does not sign for that certificate");
            let absent = back_text.replace("object=seal", "object=other");
            let error = back.ring.supply(&back.tenant, &absent).expect_err("no such key");
            assert!(error.to_string().contains("0 private keys called"), "{error}");
        },
    );
}

#[test]
fn the_certificate_before_a_supplied_one_stays_known_and_a_running_ring_sees_the_new_key() {
    let office = Office::new();
    let made = office.ring.of(&office.tenant).expect("made");
    office.certify(&P_256, "9");
    let text = from_pkcs12(&office.bundle(&[]), PASSWORD).expect("it opens");
    let other = KeyRing::new(office.path("keys"));
    other.supply(&office.tenant, &text).expect("by another process");
    let now = office.ring.of(&office.tenant).expect("read again");
    assert_ne!(now.seal.certificate(), made.seal.certificate());
    assert_eq!(now.former, [made.seal.certificate_pem()]);
    assert!(now.seal_certificates().contains(made.seal.certificate_pem()));
    let restarted = KeyRing::new(office.path("keys")).of(&office.tenant).expect("read");
    assert_eq!((restarted.seal.certificate(), &restarted.former), (now.seal.certificate(), &now.former));
    // The same once more is no former one of itself.
    assert_eq!(office.supply(&text).former.len(), 1);
    for name in ["keys/office/seal.pem", "keys/office/former"] {
        let path = office.path(name);
        let path = if path.is_dir() {
            std::fs::read_dir(path).expect("a folder").next().expect("one").expect("it").path()
        } else {
            path
        };
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
}

#[test]
fn what_is_no_key_for_seals_is_refused_and_changes_nothing() {
    let office = Office::new();
    let made = office.ring.of(&office.tenant).expect("made");
    office.certify(&P_256, "9");
    let bundle = office.bundle(&[]);
    let wrong = from_pkcs12(&bundle, "wrong").expect_err("the password");
    assert!(wrong.contains("cannot be opened"), "{wrong}");
    assert!(from_pkcs12(&office.path("seal.pem"), PASSWORD).is_err(), "no PKCS#12");
    // A key, and the certificate of another.
    std::fs::copy(office.path("seal.key"), office.path("other.key")).expect("a copy");
    office.certify(&P_256, "9");
    let key = std::fs::read_to_string(office.path("other.key")).expect("there");
    let certificate = std::fs::read_to_string(office.path("seal.pem")).expect("there");
    let error = office.ring.supply(&office.tenant, &format!("{certificate}{key}")).expect_err("another key");
    assert!(error.to_string().contains("for another key"), "{error}");
    for (key, why) in [
        (["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"], "another kind"),
        (["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"], "private key"),
    ] {
        office.certify(&key, "9");
        let error = from_pkcs12(&office.bundle(&[]), PASSWORD).expect_err("not for seals");
        assert!(error.contains(why), "{error}");
    }
    office.certify(&P_256, "0");
    let text = from_pkcs12(&office.bundle(&[]), PASSWORD).expect("it opens");
    let error = office.ring.supply(&office.tenant, &text).expect_err("over");
    assert!(matches!(error, SealError::NotValid { .. }), "{error}");
    let now = office.ring.of(&office.tenant).expect("as before");
    assert_eq!(now.seal.certificate(), made.seal.certificate());
    assert!(now.former.is_empty());
    office.sealed(&now).expect("it still seals");
}
