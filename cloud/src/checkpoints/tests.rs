//! Checkpoints over HTTP, and what others can check of them by themselves.

use platen_model::{Digest, DocumentId};
use serde_json::{Value, json};

use super::proofs::InclusionProof;
use crate::auth::{Scope, Scopes};
use crate::contract_tests::token;
use crate::jobs;
use crate::journey_tests::Server;
use crate::testing::tenant;

#[tokio::test]
async fn a_tenant_has_its_checkpoints_page_by_page_and_can_check_them_by_itself() {
    let server = Server::start().await;
    let agent = server.enrol("default").await;
    server.enrol("other").await;
    let (app, key) = (&server.app, server.app.checkpoint_key.public());
    for kind in ["nda", "invoice"] {
        let manifest = server.prepare(&agent, kind).await;
        let bytes = serde_json::to_vec(&manifest).expect("plain data");
        let answer = server.commit(&agent, &bytes, &agent.key.sign(&bytes)).await;
        assert_eq!(answer.status(), 202);
        crate::checkpoints::make(&app.store, &tenant(), &app.checkpoint_key)
            .await
            .expect("made")
            .expect("new");
    }
    let read: Scopes = [Scope::DocumentsRead].into_iter().collect();
    let (own, stranger) =
        (token(&server, "default", read.clone()).await, token(&server, "other", read).await);
    let get = async |token: &str, query: &str| {
        let url = format!("{}/v1/checkpoints{query}", server.url);
        let answer = server.client.get(url).bearer_auth(token).send().await.expect("an answer");
        answer.json::<Value>().await.expect("JSON")
    };
    let first = get(&own, "?limit=1").await;
    let second = get(&own, &format!("?limit=1&after={}", first["next"].as_str().expect("more"))).await;
    assert!(second["next"].is_null(), "{second}");
    let mut before: Option<Digest> = None;
    for (number, page) in (1..).zip([&first, &second]) {
        let [item] = &page["items"].as_array().expect("a list")[..] else { panic!("{page}") };
        let statement = item["statement"].as_str().expect("a text");
        key.verify(statement.as_bytes(), item["signature"].as_str().expect("a text")).expect("the site's");
        let said: Value = serde_json::from_str(statement).expect("JSON");
        assert_eq!((&said["number"], &said["documents"]), (&json!(number), &json!(number)), "{said}");
        assert_eq!(said["previous"], json!(before), "{said}");
        before = Some(Digest::of(statement.as_bytes()));
    }
    assert_eq!(get(&stranger, "").await["items"], json!([]), "INV-12");
}

#[tokio::test]
async fn a_document_is_proved_to_be_in_a_checkpoint_to_whoever_knows_only_that() {
    let server = Server::start().await;
    let agent = server.enrol("default").await;
    server.enrol("other").await;
    let app = &server.app;
    let checkpoint = async || {
        let made = crate::checkpoints::make(&app.store, &tenant(), &app.checkpoint_key).await;
        made.expect("made").expect("new").checkpoint
    };
    let commit = async |kind: &str| {
        let manifest = server.prepare(&agent, kind).await;
        let bytes = serde_json::to_vec(&manifest).expect("plain data");
        let answer = server.commit(&agent, &bytes, &agent.key.sign(&bytes)).await;
        assert_eq!(answer.status(), 202);
        manifest.document_id
    };
    let read: Scopes = [Scope::DocumentsRead].into_iter().collect();
    let (own, stranger) =
        (token(&server, "default", read.clone()).await, token(&server, "other", read).await);
    let get = async |token: &str, document: DocumentId, query: &str| {
        let url = format!("{}/v1/documents/{document}/inclusion-proof{query}", server.url);
        let answer = server.client.get(url).bearer_auth(token).send().await.expect("an answer");
        (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"))
    };
    let first = commit("nda").await;
    assert_eq!(get(&own, first, "").await.0, 404, "no checkpoint was made");
    let one = checkpoint().await;
    let mut documents = vec![first];
    for _ in 0..4 {
        documents.push(commit("invoice").await);
    }
    let two = checkpoint().await;
    // What comes after a checkpoint changes nothing of what it proves.
    jobs::run_until_idle(app).await.expect("jobs");
    let late = commit("nda").await;
    for &document in &documents {
        let (status, answer) = get(&own, document, "").await;
        assert_eq!(status, 200, "{answer}");
        let proof: InclusionProof = serde_json::from_value(answer).expect("a proof");
        assert_eq!(proof.statement().expect("it holds"), two);
        let other = documents.iter().find(|other| **other != document).expect("there are several");
        let of_other = InclusionProof { document_id: *other, ..proof.clone() };
        of_other.statement().expect_err("of another document");
        let of_other = InclusionProof { hash: Digest::of(b"another chain"), ..proof.clone() };
        of_other.statement().expect_err("of another chain");
        let mut forged = proof.clone();
        forged.checkpoint.statement = forged.checkpoint.statement.replace("default", "DEFAULT");
        forged.statement().expect_err("of another statement");
        let mut renamed = proof.clone();
        renamed.checkpoint.number += 4;
        renamed.statement().expect_err("beside another number");
        assert_eq!(get(&stranger, document, "").await.0, 404, "INV-12");
    }
    let (_, answer) = get(&own, first, "?checkpoint=1").await;
    let proof: InclusionProof = serde_json::from_value(answer).expect("a proof");
    assert_eq!((proof.statement().expect("it holds"), proof.path.tree_size), (one, 1));
    for (document, query) in [(late, ""), (documents[1], "?checkpoint=1"), (first, "?checkpoint=99")] {
        let (status, answer) = get(&own, document, query).await;
        assert_eq!(status, 404, "{query}: {answer}");
    }
    for query in ["?checkpoint=0", "?checkpoint=x", "?of=1"] {
        let (status, answer) = get(&own, first, query).await;
        assert!([400, 422].contains(&status), "{query}: {answer}");
    }
}
