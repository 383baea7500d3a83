//! What a document's page shows of other papers, through the real router: pages that were left out of it, and documents
//! that take each other's place.

use platen_model::{
    Aside, CaptureId, CorrelationId, DocumentManifest, PageText, PartRole, SetAside, SourcePage,
};
use reqwest::{Response, StatusCode};

use crate::auth::users::{self, Login};
use crate::journey_tests::{Agent, Server};
use crate::store::people;
use crate::testing::{also_on_postgres, decision, manifest, part};
use crate::{integrity, jobs};

const PASSWORD: &str = "correct horse";

/// The session of a person of a tenant.
async fn sign_in(server: &Server, tenant: &str, user: &str) -> String {
    let hash = users::hash_password(PASSWORD).expect("long enough");
    let tenant = tenant.parse().expect("a name");
    people::put_user(&server.app.store, &tenant, user, "admin", &hash).await.expect("a user");
    let Ok(Login::Open(token)) = users::login(&server.app, user, PASSWORD).await else { panic!("refused") };
    users::session_cookie(&server.app, &token).split(';').next().expect("a cookie").to_owned()
}

async fn get(server: &Server, session: &str, path: &str) -> Response {
    let request = server.client.get(format!("{}{path}", server.url)).header("cookie", session);
    request.send().await.expect("an answer")
}

/// Sends a document of this original, from whose pages some were set aside; `change` changes its manifest first.
async fn send(
    server: &Server,
    agent: &Agent,
    (original, mime): (&[u8], &str),
    aside: &[u32],
    change: impl FnOnce(&mut DocumentManifest),
) -> DocumentManifest {
    let mut text = PageText::new(Vec::new());
    let set_aside = |&page: &u32| SetAside { page: SourcePage { source: 0, page }, why: Aside::Blank };
    text.set_aside = aside.iter().map(set_aside).collect();
    let text = serde_json::to_vec(&text).expect("plain data");
    let parts: [(PartRole, &[u8], &str); 3] = [
        (PartRole::Original, original, mime),
        (PartRole::Normalized, b"%PDF-", "application/pdf"),
        (PartRole::PageText, &text, "application/json"),
    ];
    for (_, bytes, mime) in parts {
        server.upload(agent, bytes, mime).await;
    }
    let parts = parts.map(|(role, bytes, mime)| part(role, bytes, mime)).to_vec();
    let mut manifest = manifest(agent.id, decision("letter", &[]), parts);
    change(&mut manifest);
    let bytes = serde_json::to_vec(&manifest).expect("plain data");
    let answer = server.commit(agent, &bytes, &agent.key.sign(&bytes)).await;
    assert!(answer.status().is_success(), "{:?}", answer.text().await);
    manifest
}

fn sample(name: &str) -> Vec<u8> {
    let paths = platen_testdata::samples().into_iter().flat_map(|sample| sample.paths());
    let path = paths.into_iter().find(|path| path.ends_with(name)).expect("the sample is there");
    std::fs::read(path).expect("readable")
}

#[tokio::test]
async fn a_page_that_was_set_aside_can_be_looked_at_as_it_was_scanned() {
    let server = Server::start().await;
    let agent = server.enrol("default").await;
    server.enrol("other").await;
    let ada = sign_in(&server, "default", "ada").await;
    let stranger = sign_in(&server, "other", "eve").await;
    let (blank, locked) = (sample("blank.png"), sample("letter-locked.pdf"));
    let seen = send(&server, &agent, (&blank, "image/png"), &[0, 7], |_| {}).await;
    let path = |number: &str| format!("/documents/{}/aside/{number}", seen.document_id);

    let page = get(&server, &ada, &format!("/documents/{}", seen.document_id)).await.text().await;
    assert!(page.expect("a page").contains(&path("1.png")), "the page shows it");
    // Rendered, then found again.
    for _ in 0..2 {
        let answer = get(&server, &ada, &path("1.png")).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "image/png");
        assert!(answer.bytes().await.expect("a picture").starts_with(b"\x89PNG"));
    }
    // One that is not in the original after all, one that was not set aside, and what is no number.
    for missing in ["2.png", "3.png", "0.png", "x.png", "1"] {
        assert_eq!(get(&server, &ada, &path(missing)).await.status(), StatusCode::NOT_FOUND, "{missing}");
    }
    assert_eq!(get(&server, &stranger, &path("1.png")).await.status(), StatusCode::NOT_FOUND, "INV-12");

    let closed = send(&server, &agent, (&locked, "application/pdf"), &[0], |_| {}).await;
    let answer = get(&server, &ada, &format!("/documents/{}/aside/1.png", closed.document_id)).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert!(answer.text().await.expect("a page").contains("password"), "it says why");
}

#[tokio::test]
async fn a_division_that_was_undone_links_the_whole_and_its_parts() {
    let server = Server::start().await;
    let agent = server.enrol("default").await;
    let ada = sign_in(&server, "default", "ada").await;
    let scan: (&[u8], &str) = (b"the batch", "image/tiff");
    let batch = CaptureId::new();
    let part_of = |number: u32| {
        move |manifest: &mut DocumentManifest| {
            manifest.capture_id = batch;
            manifest.correlation_id = CorrelationId::of_capture(batch);
            manifest.document_id = batch.document(number);
        }
    };
    // The whole may come before its parts.
    let whole = send(&server, &agent, scan, &[], |manifest| manifest.rejoins = Some(batch)).await;
    let page = async |id: String| get(&server, &ada, &format!("/documents/{id}")).await.text().await;
    let of_whole = page(whole.document_id.to_string()).await.expect("a page");
    assert!(of_whole.contains("have not come here"), "{of_whole}");

    let parts = [
        send(&server, &agent, scan, &[], part_of(0)).await,
        send(&server, &agent, scan, &[], part_of(1)).await,
    ];
    let other = send(&server, &agent, (b"another", "image/tiff"), &[], |_| {}).await;
    let link = |manifest: &DocumentManifest| format!("<a href=\"/documents/{}\">", manifest.document_id);
    let of_whole = page(whole.document_id.to_string()).await.expect("a page");
    assert!(parts.iter().all(|part| of_whole.contains(&link(part))), "{of_whole}");
    assert!(!of_whole.contains(&link(&other)));
    for part in &parts {
        let of_part = page(part.document_id.to_string()).await.expect("a page");
        assert!(of_part.contains(&link(&whole)) && of_part.contains("id=\"replaced-by\""), "{of_part}");
    }
    let of_other = page(other.document_id.to_string()).await.expect("a page");
    assert!(!of_other.contains(&link(&whole)), "{of_other}");

    // What is known of it comes of the events: rows that were lost are made anew, and altered ones are named.
    jobs::run_until_idle(&server.app).await.expect("jobs");
    let (store, blobs) = (&server.app.store, &server.app.keep.blobs);
    assert_eq!(integrity::rebuild(store, blobs).await.expect("readable"), Ok(4));
    assert!(page(parts[0].document_id.to_string()).await.expect("a page").contains(&link(&whole)));
    let check = async || integrity::check(store, blobs, None).await.expect("readable").wrong.join("; ");
    assert_eq!(check().await, "");
    sqlx::query("UPDATE documents SET replaces = NULL").execute(store.writing()).await.expect("altered");
    assert!(check().await.contains("its row is not what its events say"));
}

also_on_postgres!(
    a_page_that_was_set_aside_can_be_looked_at_as_it_was_scanned,
    a_division_that_was_undone_links_the_whole_and_its_parts,
);
