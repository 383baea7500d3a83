//! The contract as other people's programs use it: a client that openapi-python-client makes of it, against a real server.

use serde_json::{Value, json};

use crate::policy_tests::{Site, check_payload};

/// The Python of the place where openapi-python-client is installed, in the folder of the build that this test is part of.
fn python() -> std::path::PathBuf {
    let test = std::env::current_exe().expect("a test is a program");
    let found =
        test.ancestors().map(|folder| folder.join("client-generator/bin/python")).find(|p| p.exists());
    found.expect("a generator of clients is a need of the tests: packaging/build-deps.sh --test installs it")
}

/// Runs Python with these arguments; answers what it prints.
async fn run(arguments: &[&std::ffi::OsStr], folder: &std::path::Path) -> String {
    let mut command = tokio::process::Command::new(python());
    command.args(arguments).current_dir(folder).env("PYTHONDONTWRITEBYTECODE", "1").kill_on_drop(true);
    let output = command.output().await.expect("it starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    out.into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_made_of_the_contract_reads_documents_events_and_payloads_and_reviews() {
    let site = Site::start().await;
    let fields = [("total", "120.50 EUR"), ("approver", "a@example.com")];
    let signed = site.send("invoice", &fields).await;
    let waiting = site.send("invoice", &[("total", "many")]).await;

    let folder = tempfile::tempdir().expect("a folder");
    let contract = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    std::fs::write(folder.path().join("generator.yml"), "post_hooks: []\n").expect("written");
    let made = ["-m", "openapi_python_client", "generate", "--path", contract, "--meta", "none", "--config"];
    let made: Vec<_> = made
        .into_iter()
        .chain(["generator.yml", "--output-path", "platen_client"])
        .map(AsRef::as_ref)
        .collect();
    let told = run(&made, folder.path()).await;
    assert!(!told.contains("Unable to process schema"), "a type is left out: {told}");

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/generated_client.py");
    std::fs::copy(script, folder.path().join("use.py")).expect("copied");
    let id = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let asked = ["use.py".to_owned(), site.server.url.clone(), site.admin.clone(), id(&signed), id(&waiting)];
    let asked: Vec<_> = asked.iter().map(AsRef::as_ref).collect();
    let read: Value = serde_json::from_str(&run(&asked, folder.path()).await).expect("JSON");

    // What the client's types hold is what the server says, nothing lost on the way.
    let payload = site.get(&format!("{signed}/payload")).await;
    check_payload(&read["payload"]);
    assert_eq!(plain(&read["payload"]), plain(&payload));
    assert_eq!((&read["amount"], &read["approver"]), (&json!("120.50"), &json!("a@example.com")));
    assert_eq!(read["documents"].as_array().map(Vec::len), Some(2));
    let events = site.get(&format!("{signed}/events")).await;
    assert_eq!(plain(&read["events"]), plain(&events["items"]));
    let names: Vec<String> = events["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|event| event["event"].as_str())
        .map(|name| {
            format!("ShownEvent{}", name.replace('_', " ").split(' ').map(capital).collect::<String>())
        })
        .collect();
    assert_eq!(read["types"], json!(names), "each event has the type of its name");
    assert_eq!(read["unknown"], json!({ "status": 404, "type": "Problem" }));
    assert_eq!(site.get(&waiting).await["status"], "rejected");
}

/// A value with its times written in one way: Python writes `+00:00` for `Z`. What is null may as well be absent.
fn plain(value: &Value) -> Value {
    match value {
        Value::String(text) => match text.parse::<jiff::Timestamp>() {
            Ok(at) => json!(at.to_string()),
            Err(_) => value.clone(),
        },
        Value::Array(all) => all.iter().map(plain).collect(),
        Value::Object(all) => {
            let there = all.iter().filter(|(_, value)| !value.is_null());
            Value::Object(there.map(|(name, value)| (name.clone(), plain(value))).collect())
        }
        other => other.clone(),
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}
