//! A workplace for tests: a real database, real workers in this process, real keys, blobs in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use platen_capture::worker::pool::Pool;
use platen_model::{Digest, DocumentId, EnvelopeId, Recipient, TenantId};

use super::courier::LedgerError;
use super::provider::Order;
use super::workplace::{Shelf, Workplace};
use crate::seal::KeyRing;
use crate::testing::{Base, database};
use crate::webhooks::guard::Guard;

/// Blobs in memory, apart for each tenant.
#[derive(Debug, Default)]
pub(crate) struct MemoryShelf(Mutex<BTreeMap<(TenantId, Digest), Vec<u8>>>);

impl Shelf for MemoryShelf {
    fn put<'a>(&'a self, tenant: &'a TenantId, bytes: Vec<u8>) -> BoxFuture<'a, Result<Digest, LedgerError>> {
        Box::pin(async move {
            let sha256 = Digest::of(&bytes);
            let mut blobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            blobs.insert((tenant.clone(), sha256), bytes);
            Ok(sha256)
        })
    }

    fn get<'a>(
        &'a self,
        tenant: &'a TenantId,
        sha256: Digest,
    ) -> BoxFuture<'a, Result<Vec<u8>, LedgerError>> {
        Box::pin(async move {
            let blobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            blobs
                .get(&(tenant.clone(), sha256))
                .cloned()
                .ok_or_else(|| LedgerError::Broken(format!("no blob {sha256}")))
        })
    }
}

/// A workplace and the folder its keys are in.
pub(crate) struct Trial {
    pub(crate) place: Workplace,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) tenant: TenantId,
    _base: Base,
}

impl Trial {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let base = database(folder.path());
        let store = base.open().await;
        let place = Workplace {
            database: store.writing().clone(),
            shelf: Arc::new(MemoryShelf::default()),
            workers: Arc::new(Pool::in_process(2)),
            keys: Arc::new(KeyRing::new(folder.path().join("keys"))),
            timestamp_url: None,
            roots: None,
            guard: Guard::new(&[]),
            public_url: "http://office.example".into(),
        };
        Self { place, folder, tenant: "office".parse().expect("a tenant"), _base: base }
    }

    /// An order for these signers, over a real one-page PDF.
    pub(crate) fn order(&self, signers: &[&str]) -> Order {
        let pdf = one_page_pdf();
        Order {
            envelope_id: EnvelopeId::new(),
            tenant_id: self.tenant.clone(),
            document_id: DocumentId::new(),
            title: "nda.tif".into(),
            pdf_sha256: Digest::of(&pdf),
            pdf,
            recipients: (1..).zip(signers).map(|(order, signer)| Recipient::signer(*signer, order)).collect(),
            blanks: Vec::new(),
            pages: Vec::new(),
            expires_at: Timestamp::now() + SignedDuration::from_hours(1),
        }
    }
}

/// The smallest PDF with a page.
pub(crate) fn one_page_pdf() -> Vec<u8> {
    let mut pdf = b"%PDF-1.7\n".to_vec();
    let objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Count 1/Kids[3 0 R]>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<<>>>>",
    ];
    let mut offsets = Vec::new();
    for (number, object) in (1..).zip(objects) {
        offsets.push(pdf.len());
        pdf.extend(format!("{number} 0 obj{object}\nendobj\n").bytes());
    }
    let xref = pdf.len();
    pdf.extend(b"xref\n0 4\n0000000000 65535 f \n");
    for offset in offsets {
        pdf.extend(format!("{offset:010} 00000 n \n").bytes());
    }
    let id = "<00112233445566778899aabbccddeeff>";
    pdf.extend(format!("trailer<</Size 4/Root 1 0 R/ID[{id}{id}]>>\nstartxref\n{xref}\n%%EOF\n").bytes());
    pdf
}

/// What pyHanko says of each signature in a file, a line each, where only this certificate is trusted.
pub(crate) fn pyhanko(pdf: &[u8], certificate_pem: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("signed.pdf"), pdf).expect("write");
    std::fs::write(path("trusted.pem"), certificate_pem).expect("write");
    let output = std::process::Command::new(platen_tests::servers::tool("python"))
        .args(["-c", include_str!("pyhanko.py")])
        .args([path("signed.pdf"), path("trusted.pem")])
        .output()
        .expect("python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What poppler's `pdfsig` says of a file.
pub(crate) fn pdfsig(pdf: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), pdf).expect("write");
    let output = std::process::Command::new("pdfsig").arg("-nocert").arg(file.path()).output();
    let output = output.expect("pdfsig is a build need: install poppler-utils");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
