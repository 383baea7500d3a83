//! The contract against a real server, as Schemathesis calls it: what is allowed, what is forbidden, and calls that follow on
//! each other.

use crate::auth::{Scope, Scopes, clients};
use crate::contract_tests::token;
use crate::journey_tests::Server;
use crate::store::people;
use crate::testing::tenant;

/// `schemathesis/bin/schemathesis` in the folder of the build that this test is part of.
fn schemathesis() -> std::path::PathBuf {
    let test = std::env::current_exe().expect("a test is a program");
    let found =
        test.ancestors().map(|folder| folder.join("schemathesis/bin/schemathesis")).find(|p| p.exists());
    found.expect("Schemathesis is a need of the tests: packaging/build-deps.sh --test installs it")
}

/// Runs Schemathesis against a server, with more of a configuration and these arguments.
async fn hold_against_the_contract(server: &Server, more: &str, arguments: &[&str]) {
    let all = token(server, "default", Scope::ALL.into_iter().collect()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("schemathesis.toml");
    std::fs::write(&config, format!("{}{more}", include_str!("schemathesis.toml"))).expect("written");
    let mut command = tokio::process::Command::new(schemathesis());
    command
        .arg("--config-file")
        .arg(&config)
        .args(["run", &format!("{}/openapi.json", server.url), "--checks", "all"])
        .args(["--header", &format!("Authorization: Bearer {all}")])
        .args(arguments)
        .args(["--seed", "1", "--continue-on-failure", "--no-color"])
        .env("SCHEMATHESIS_HOOKS", concat!(env!("CARGO_MANIFEST_DIR"), "/src/schemathesis.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(folder.path())
        .kill_on_drop(true);
    let output = command.output().await.expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Calls every operation with what the contract allows and with what it forbids, and holds each answer against it.
#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing_with_all_its_checks() {
    let server = Server::start().await;
    // One worker: in Python 3.11 two threads that parse at once can fail (CPython issue 106905).
    let arguments = ["--phases", "examples,coverage,fuzzing", "--max-examples", "8", "--workers", "1"];
    hold_against_the_contract(&server, "", &arguments).await;
}

/// The same on a site where the things are that are asked for, and with calls that follow on each other.
#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing_on_a_site_with_documents_where_calls_follow_on_each_other() {
    let server = Server::start().await;
    let agent = server.enrol("default").await;
    let mut ids = Vec::new();
    for verdict in [platen_model::Verdict::Review, platen_model::Verdict::Auto] {
        let mut manifest = server.prepare(&agent, "nda").await;
        manifest.decision.verdict = verdict;
        let bytes = serde_json::to_vec(&manifest).expect("plain data");
        server.commit(&agent, &bytes, &agent.key.sign(&bytes)).await;
        ids.push(manifest.document_id.to_string());
    }
    crate::jobs::run_until_idle(&server.app).await.expect("jobs");
    let upload = server.begin_upload(&agent, b"begun", "text/plain").await;
    let client = clients::add_by_hand(&server.app, &tenant(), "ours", &Scopes::of_device(), None).await;
    let hash = crate::auth::users::hash_password("correct horse").expect("a hash");
    for name in ["clerk", "chief"] {
        people::put_user(&server.app.store, &tenant(), name, "admin", &hash).await.expect("a user");
    }
    let things = [
        ("documents", "id", ids[0].clone()),
        ("devices", "id", agent.id.to_string()),
        ("clients", "id", client.expect("a client").0.to_string()),
        ("users", "name", "clerk".to_owned()),
        ("uploads", "id", upload.rsplit('/').next().unwrap_or_default().to_owned()),
    ];
    let mut more = String::new();
    for (thing, name, id) in things {
        more += &format!(
            "\n[[operations]]\ninclude-path-regex = '^/v1/{thing}/\\{{{name}\\}}'\n\
             parameters = {{ \"path.{name}\" = \"{id}\" }}\n"
        );
    }
    let arguments = ["--phases", "coverage,fuzzing,stateful", "--max-examples", "6", "--workers", "1"];
    hold_against_the_contract(&server, &more, &arguments).await;
}
