//! Claims about what is found of signed PDFs that come back, with PDFs that pyHanko signed.

use std::path::Path;
use std::process::Command;

use platen_model::{SignatureClock, SignatureCoverage, SignatureVerdict as V};

use super::*;
use crate::signing::trial::one_page_pdf;

/// A folder of keys and PDFs, and who looks at them.
struct Bench {
    folder: tempfile::TempDir,
    examiner: Examiner,
    tenant: TenantId,
}

/// What pyHanko is asked to do, as in the head of its script.
fn make(what: &str, folder: &Path, arguments: &[&str]) {
    let output = Command::new(platen_tests::servers::tool("python"))
        .args(["-c", include_str!("pyhanko_make.py"), what])
        .arg(folder)
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("python");
    assert!(output.status.success(), "{what} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Bench {
    /// With keys, the PDF `sent.pdf`, and an examiner who trusts the root.
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        make("keys", folder.path(), &[]);
        std::fs::write(folder.path().join("sent.pdf"), one_page_pdf()).expect("write");
        let keys = Arc::new(KeyRing::new(folder.path().join("keys")));
        let roots = Some(folder.path().join("root.pem"));
        let examiner = Examiner::new(Arc::new(Pool::in_process(1)), keys, roots).expect("a root");
        Self { folder, examiner, tenant: "office".parse().expect("a tenant") }
    }

    fn make(&self, what: &str, arguments: &[&str]) {
        make(what, self.folder.path(), arguments);
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join(name)).expect("a file")
    }

    async fn found(&self, returned: Vec<u8>, incremental: bool) -> SignatureFinding {
        let now = Timestamp::now();
        let found = self.examiner.examine(&self.tenant, returned, self.bytes("sent.pdf"), incremental, now);
        found.await.expect("a finding")
    }

    #[track_caller]
    fn check(finding: &SignatureFinding, verdict: V, says: &str) {
        let words = finding.in_words().join("\n");
        assert_eq!(finding.verdict, verdict, "{words}");
        assert!(words.contains(says), "{says:?} is not in: {words}");
    }
}

#[tokio::test]
async fn a_signature_is_valid_where_its_chain_leads_to_a_trusted_root_and_integrity_only_where_not() {
    let bench = Bench::new();
    bench.make("sign", &["sent.pdf", "ada.pdf", "ada"]);
    bench.make("sign", &["sent.pdf", "stranger.pdf", "stranger"]);
    bench.make("sign", &["sent.pdf", "expired.pdf", "expired"]);
    bench.make("sign", &["sent.pdf", "server.pdf", "server"]);
    let finding = bench.found(bench.bytes("ada.pdf"), true).await;
    Bench::check(&finding, V::Valid, "Signature of Ada Lovelace");
    let [signature] = &finding.signatures[..] else { panic!("{finding:?}") };
    assert_eq!(signature.coverage, SignatureCoverage::WholeFile);
    assert!(signature.anchor.as_ref().is_some_and(|pem| pem.contains("BEGIN CERTIFICATE")), "{signature:?}");
    assert_eq!(signature.chain, "the chain ends at CN=Root of a test");
    let age = finding.checked_at.duration_since(signature.signed_at.expect("a time"));
    assert!(age.as_secs().abs() < 120, "{finding:?}");
    for (who, says) in
        [("stranger", "none that is trusted"), ("expired", "not valid"), ("server", "none that")]
    {
        let finding = bench.found(bench.bytes(&format!("{who}.pdf")), true).await;
        Bench::check(&finding, V::ChainUnknown, says);
    }
    let nobody = Arc::new(KeyRing::new(bench.folder.path().join("keys")));
    let nobody = Examiner::new(Arc::new(Pool::in_process(1)), nobody, None).expect("no file is needed");
    let (ada, sent) = (bench.bytes("ada.pdf"), bench.bytes("sent.pdf"));
    let finding = nobody.examine(&bench.tenant, ada, sent, false, Timestamp::now()).await.expect("a finding");
    Bench::check(&finding, V::ChainUnknown, "none that is trusted");
}

#[tokio::test]
async fn one_changed_byte_anywhere_under_a_signature_breaks_it() {
    let bench = Bench::new();
    bench.make("sign", &["sent.pdf", "ada.pdf", "ada"]);
    let signed = bench.bytes("ada.pdf");
    let gap = signed.windows(10).position(|part| part == b"/Contents ").expect("a signature") + 10;
    let gap_end = gap + signed[gap..].iter().position(|byte| *byte == b'>').expect("its end");
    let positions = (0..gap).step_by(3).chain(gap_end + 1..signed.len());
    for at in positions {
        let mut changed = signed.clone();
        changed[at] ^= 1;
        let finding = bench.found(changed, false).await;
        assert_eq!(finding.verdict, V::Broken, "byte {at}: {finding:?}");
    }
    // In the signature itself: whatever is said of it, it is not called valid for what it was not.
    let mut padded = signed.clone();
    padded[gap_end - 1] = b'1';
    Bench::check(&bench.found(padded, false).await, V::Broken, "behind a signature");
}

#[tokio::test]
async fn what_is_added_after_the_last_signature_breaks_the_pdf_but_for_the_means_to_check_it() {
    let bench = Bench::new();
    bench.make("sign", &["sent.pdf", "ada.pdf", "ada"]);
    for (what, says) in [
        ("page", "had 1 pages when it was signed, and has 2 now"),
        ("text", "what the pages show was changed"),
        ("note", "changed after its last signature"),
    ] {
        let name = format!("{what}.pdf");
        bench.make(what, &["ada.pdf", &name]);
        let finding = bench.found(bench.bytes(&name), true).await;
        Bench::check(&finding, V::Broken, says);
        assert!(finding.begins_with_sent, "{what}");
    }
    // A second signature over the change vouches for a note, and never for a page.
    for (what, verdict, says) in
        [("note", V::Valid, "Signature of Bob"), ("page", V::Broken, "had 1 pages when it was signed")]
    {
        bench.make("sign", &[&format!("{what}.pdf"), "again.pdf", "bob"]);
        Bench::check(&bench.found(bench.bytes("again.pdf"), true).await, verdict, says);
    }
    bench.make("dss", &["ada.pdf", "dss.pdf"]);
    let finding = bench.found(bench.bytes("dss.pdf"), true).await;
    Bench::check(&finding, V::Valid, "Ada");
    assert_eq!(finding.signatures[0].coverage, SignatureCoverage::Revision);
    // Where the first one forbids any change, a further signature is one.
    bench.make("sign", &["sent.pdf", "final.pdf", "ada", "final"]);
    Bench::check(&bench.found(bench.bytes("final.pdf"), true).await, V::Valid, "Ada");
}

#[tokio::test]
async fn signatures_on_one_another_each_hold_whatever_their_keys() {
    let bench = Bench::new();
    bench.make("sign", &["sent.pdf", "one.pdf", "ada", "stamped"]);
    bench.make("sign", &["one.pdf", "two.pdf", "bob"]);
    bench.make("sign", &["two.pdf", "three.pdf", "carol"]);
    let finding = bench.found(bench.bytes("three.pdf"), true).await;
    Bench::check(&finding, V::Valid, "Signature of Carol");
    let seen: Vec<_> =
        finding.signatures.iter().map(|it| (it.signer.as_str(), it.coverage, it.clock)).collect();
    assert_eq!(
        seen,
        [
            ("Ada Lovelace", SignatureCoverage::Revision, SignatureClock::Stamped),
            ("Bob", SignatureCoverage::Revision, SignatureClock::Claimed),
            ("Carol", SignatureCoverage::WholeFile, SignatureClock::Claimed),
        ]
    );
}

#[tokio::test]
async fn a_provider_that_writes_the_pdf_anew_is_said_to_and_one_that_only_adds_must_not() {
    let bench = Bench::new();
    bench.make("anew", &["sent.pdf", "anew.pdf"]);
    bench.make("sign", &["anew.pdf", "signed.pdf", "ada"]);
    let signed = bench.bytes("signed.pdf");
    Bench::check(&bench.found(signed.clone(), false).await, V::Valid, "wrote the PDF anew");
    Bench::check(&bench.found(signed, true).await, V::Broken, "does not begin with the bytes");
    let stamped = bench.bytes("anew.pdf");
    Bench::check(&bench.found(stamped.clone(), false).await, V::NoSignature, "wrote the PDF anew");
    Bench::check(&bench.found(stamped, true).await, V::Broken, "there is no seal");
    Bench::check(&bench.found(b"%PDF-1.7 and no more".to_vec(), false).await, V::Broken, "cannot be read");
}

#[tokio::test]
async fn a_finding_is_the_same_when_only_the_certificates_it_names_are_trusted() {
    let bench = Bench::new();
    bench.make("sign", &["sent.pdf", "one.pdf", "ada", "stamped"]);
    bench.make("sign", &["one.pdf", "two.pdf", "stranger"]);
    let first = bench.found(bench.bytes("two.pdf"), true).await;
    Bench::check(&first, V::ChainUnknown, "Stranger");
    let file = |name: &str| File::open(bench.folder.path().join(name)).expect("a file");
    let anchors = first.anchors().concat();
    let again =
        find(&Pool::in_process(1), &file("two.pdf"), &file("sent.pdf"), &anchors, first.checked_at, true);
    let again = again.expect("a finding");
    assert!(again.is_as(&first), "{again:?}\n{first:?}");
    let other = find(&Pool::in_process(1), &file("two.pdf"), &file("sent.pdf"), "", first.checked_at, true);
    assert!(!other.expect("a finding").is_as(&first), "without the root it is another");
}

#[test]
fn a_file_of_roots_without_a_certificate_is_refused_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("roots.pem");
    std::fs::write(&path, "nothing").expect("write");
    for roots in [path, folder.path().join("absent.pem")] {
        let keys = Arc::new(KeyRing::new(folder.path().join("keys")));
        let error =
            Examiner::new(Arc::new(Pool::in_process(1)), keys, Some(roots)).expect_err("must be refused");
        assert!(error.contains("signature_roots"), "{error}");
    }
}
