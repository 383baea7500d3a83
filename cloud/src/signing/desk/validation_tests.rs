//! Claims about what seals need to be checked later, with an authority of our own: its lists and answers are made by
//! `openssl` and served on a loopback port, and pyHanko says whether the file alone is enough.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};

use super::tests::{desk, visit, visitor};
use super::*;
use crate::checkpoints::timestamps::tests as timestamps;
use crate::signing::desk::page::Signature;
use crate::signing::trial::{Trial, pdfsig};
use crate::webhooks::guard::Guard;

const ADA: &str = "ada@example.com";
const CONFIG: &str = "
[ca]
default_ca = office
[office]
database = index.txt
new_certs_dir = .
serial = ca.serial
crlnumber = crl.number
certificate = ca.pem
private_key = ca.key
default_md = sha256
default_days = 9
default_crl_days = 2
unique_subject = no
policy = any
[any]
commonName = supplied
[seal]
keyUsage = critical,digitalSignature,nonRepudiation
crlDistributionPoints = URI:AT/ca.crl
[tsa]
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
authorityInfoAccess = OCSP;URI:AT/ocsp
[alone]
keyUsage = critical,digitalSignature,nonRepudiation
authorityInfoAccess = OCSP;URI:AT/ocsp
[silent]
keyUsage = critical,digitalSignature,nonRepudiation
";

/// How the authority answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Fine,
    Away,
    /// With a list and an answer by somebody else.
    Lying,
}

/// An authority at work.
struct Authority {
    folder: tempfile::TempDir,
    mood: Arc<Mutex<Mood>>,
}

type Site = State<(PathBuf, Arc<Mutex<Mood>>)>;

#[track_caller]
fn openssl(folder: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).current_dir(folder).output().expect("openssl");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Authority {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mood = Arc::new(Mutex::new(Mood::Fine));
        let router = Router::new()
            .route("/ca.crl", get(list))
            .route("/ocsp", post(answer))
            .with_state((folder.path().to_owned(), Arc::clone(&mood)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = format!("http://{}", listener.local_addr().expect("bound"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let authority = Self { folder, mood };
        let files = [("ca.cnf", CONFIG.replace("AT", &at)), ("index.txt", String::new())];
        let numbers = [("ca.serial", "1000".to_owned()), ("crl.number", "01".to_owned())];
        for (name, text) in files.into_iter().chain(numbers) {
            std::fs::write(authority.path(name), text).expect("write");
        }
        for (name, subject) in [("ca", "/CN=Authority of a test"), ("liar", "/CN=Authority of a test")] {
            let (key, pem) = (format!("{name}.key"), format!("{name}.pem"));
            let make = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "9", "-subj", subject];
            openssl(authority.folder.path(), &[&make[..], &["-keyout", &key, "-out", &pem]].concat());
        }
        authority
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn be(&self, mood: Mood) {
        *self.mood.lock().expect("nobody panicked") = mood;
    }

    /// A key and its certificate of a kind, as `NAME.key` and `NAME.pem`.
    fn certify(&self, name: &str, kind: &str) {
        let (key, csr, pem) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
        let subject = format!("/CN={name} of a test");
        let make =
            ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", &subject];
        openssl(self.folder.path(), &[&make[..], &["-keyout", &key, "-out", &csr]].concat());
        let sign =
            ["ca", "-batch", "-notext", "-config", "ca.cnf", "-extensions", kind, "-in", &csr, "-out", &pem];
        openssl(self.folder.path(), &sign);
    }

    fn revoke(&self, name: &str) {
        openssl(self.folder.path(), &["ca", "-config", "ca.cnf", "-revoke", &format!("{name}.pem")]);
    }

    /// A workplace whose tenant seals with a certificate of this kind, and whose seals the authority stamps.
    async fn trial(&self, kind: &str) -> Trial {
        self.certify("seal", kind);
        self.certify("tsa", "tsa");
        let mut trial = Trial::new().await;
        let text = ["seal.pem", "ca.pem", "seal.key"];
        let text = text.map(|name| std::fs::read_to_string(self.path(name)).expect("there")).concat();
        trial.place.keys.supply(&trial.tenant, &text).expect("it is taken in");
        trial.place.timestamp_url = Some(timestamps::authority(self.folder.path().to_owned(), None).await);
        trial.place.roots = Some(self.path("ca.pem"));
        trial.place.guard = Guard::new(&["127.0.0.0/8".parse().expect("a network")]);
        trial
    }
}

/// A list of revoked certificates, by the authority or the liar.
async fn list(State((folder, mood)): Site) -> Result<Vec<u8>, StatusCode> {
    let by = by(&mood)?;
    let (key, pem) = (format!("{by}.key"), format!("{by}.pem"));
    let make = ["ca", "-gencrl", "-config", "ca.cnf", "-keyfile", &key, "-cert", &pem, "-out", "crl.pem"];
    openssl(&folder, &make);
    openssl(&folder, &["crl", "-in", "crl.pem", "-outform", "DER", "-out", "crl"]);
    Ok(std::fs::read(folder.join("crl")).expect("a list"))
}

async fn answer(State((folder, mood)): Site, asked: Bytes) -> Result<Vec<u8>, StatusCode> {
    let by = by(&mood)?;
    // Several are asked at once.
    let (query, reply) = (format!("{}.asked", Digest::of(&asked)), format!("{}.answer", Digest::of(&asked)));
    std::fs::write(folder.join(&query), &asked).expect("write");
    let (key, pem) = (format!("{by}.key"), format!("{by}.pem"));
    let make =
        ["ocsp", "-index", "index.txt", "-CA", "ca.pem", "-rsigner", &pem, "-rkey", &key, "-ndays", "1"];
    openssl(&folder, &[&make[..], &["-reqin", &query, "-respout", &reply]].concat());
    Ok(std::fs::read(folder.join(reply)).expect("an answer"))
}

fn by(mood: &Mutex<Mood>) -> Result<&'static str, StatusCode> {
    match *mood.lock().expect("nobody panicked") {
        Mood::Fine => Ok("ca"),
        Mood::Lying => Ok("liar"),
        Mood::Away => Err(StatusCode::SERVICE_UNAVAILABLE),
    }
}

/// What pyHanko says of the file's seals where it may ask nobody, trusts the authority alone, and insists on revocation.
fn pyhanko_later(pdf: &[u8], trusted: &Path) -> String {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), pdf).expect("write");
    let output = Command::new(platen_tests::servers::tool("python"))
        .args(["-c", include_str!("../pyhanko_later.py")])
        .args([file.path(), trusted])
        .output()
        .expect("python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What Ada signs: the PDF, and what the desk says of its seals.
async fn signed(trial: &Trial) -> (Vec<u8>, String) {
    let desk = desk(trial);
    let order = trial.order(&[ADA]);
    let reference = desk.create(&order).await.expect("taken");
    let ada = visit(&desk, trial, &order, 0).await;
    desk.sign(&ada, &Signature::typed("Ada"), &visitor()).await.expect("signed");
    let pdf = desk.signed_pdf(&trial.tenant, &reference).await.expect("a signed PDF");
    assert_eq!(desk.signed_pdf(&trial.tenant, &reference).await, Ok(pdf.clone()), "the same each time");
    let record = desk.record(&trial.tenant, &reference).await.expect("a record");
    let front = desk.front(&trial.tenant, order.envelope_id).await.expect("a front");
    let said = record["seals"].as_str().expect("words").to_owned();
    assert_eq!(front.seals.as_ref(), Some(&said), "the office is told the same as the evidence");
    assert!(pdfsig(&pdf).contains("Signature is Valid"));
    (pdf, said)
}

#[tokio::test(flavor = "multi_thread")]
async fn with_lists_and_answers_about_revocation_the_file_alone_is_enough_to_check_it_later() {
    let authority = Authority::start().await;
    // One list is enough for all that its issuer certified; answers are about one certificate each.
    for (kind, lists, answers) in [("seal", 1, 0), ("alone", 0, 2)] {
        let trial = authority.trial(kind).await;
        let (pdf, said) = signed(&trial).await;
        assert_eq!(said, "PAdES B-LT", "{kind}");
        let text = String::from_utf8_lossy(&pdf).into_owned();
        let count = |key: &str| {
            let list = text.split(key).nth(1).and_then(|rest| rest.split(']').next());
            list.map_or(0, |list| list.matches(" R").count())
        };
        assert_eq!((count("/CRLs["), count("/OCSPs[")), (lists, answers), "{kind}");
        let judged = pyhanko_later(&pdf, &authority.path("ca.pem"));
        assert_eq!(judged.trim(), "intact=True valid=True trusted=True stamped=True", "{kind}: {judged}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_answered_or_not_by_the_issuer_keeps_no_seal_back_and_is_said() {
    let authority = Authority::start().await;
    for (mood, reachable) in [(Mood::Away, true), (Mood::Lying, true), (Mood::Fine, false)] {
        authority.be(mood);
        let mut trial = authority.trial("seal").await;
        if !reachable {
            trial.place.guard = Guard::new(&[]);
        }
        let (pdf, said) = signed(&trial).await;
        assert!(said.starts_with("PAdES B-T, and not B-LT: "), "{mood:?}: {said}");
        assert_eq!(said.matches("nobody said whether").count(), 2, "{mood:?}: {said}");
        let text = String::from_utf8_lossy(&pdf).into_owned();
        assert!(!text.contains("/CRLs") && !text.contains("/OCSPs"), "{mood:?}");
        let judged = pyhanko_later(&pdf, &authority.path("ca.pem"));
        assert!(!judged.contains("trusted=True"), "{mood:?}: a check that cannot fail: {judged}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seal_whose_certificate_was_revoked_or_names_nobody_is_said_to_be_so() {
    let authority = Authority::start().await;
    let trial = authority.trial("seal").await;
    authority.revoke("seal");
    let (_, said) = signed(&trial).await;
    assert!(said.contains("CN=seal of a test was revoked"), "{said}");
    let trial = authority.trial("silent").await;
    authority.revoke("tsa");
    let (_, said) = signed(&trial).await;
    assert!(said.contains("CN=seal of a test names nobody who can be asked about it"), "{said}");
    assert!(said.contains("CN=tsa of a test was revoked"), "{said}");
}
