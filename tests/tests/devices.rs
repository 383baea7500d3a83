//! What a scanner's agent holds back is seen on the cloud's pages, and asked for from there. Both are the real programs.

use std::time::Duration;

use platen_model::{crash, durable};
use platen_testdata::samples;
use platen_tests::ends::ROUTING;
use platen_tests::site::Part;
use platen_tests::{Programs, Site, wait};
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_quarantine_beside_the_scanner_is_seen_and_retried_from_the_clouds_pages() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("site");
    let mut site = Site::found(&root, Programs::of_this_build(), 0, ROUTING).await.expect("a site");
    site.configure(Part::Agent, |text| format!("{text}[cloud]\nreport_s = 1\n")).expect("configured");
    let mut person = site.person().await.expect("the clerk signs in");
    let page = person.page("/devices").await.expect("a page");
    assert!(page.contains("never heard of"), "{page}");

    durable::write(&site.inbox().join("torn <b>.tif"), b"II*\0\x08\0\0\0nothing")
        .expect("a file that is none");
    site.start(Part::Agent).expect("it starts");
    let seen = |count: usize| {
        let (clerk, heading) = (person.clone(), format!("In quarantine: {count}"));
        wait::until("the quarantine on the page", DEADLINE, move || {
            let (mut person, heading) = (clerk.clone(), heading.clone());
            async move { person.page("/devices").await.ok().filter(|page| page.contains(&heading)) }
        })
    };
    let page = seen(1).await.unwrap_or_else(|error| panic!("{error}\n{}", site.last_lines("agent")));
    let entry = &site.quarantine().expect("a list")[0];
    for said in ["class", "stage"] {
        assert!(page.contains(entry[said].as_str().expect("said")), "{said}: {page}");
    }
    assert!(
        page.contains("torn &#60;b&#62;.tif") && !page.contains("torn <b>"),
        "a name is no markup: {page}"
    );
    assert!(page.contains("needs somebody") && page.contains("front-desk"), "{page}");

    // The same bytes would fail again: what helps is another file.
    let form = |page: &str| page.split("action=\"").any(|part| part.starts_with("/devices/"));
    assert!(!form(&page) && page.contains("quarantine discard"), "{page}");

    let locked = samples().into_iter().find(|sample| sample.name == "letter-locked").expect("the sample");
    site.scan(&locked.paths()[0]).expect("scanned");
    let page = seen(2).await.unwrap_or_else(|error| panic!("{error}\n{}", site.last_lines("agent")));
    let action = page.split("action=\"").find(|part| part.starts_with("/devices/")).expect("a form");
    let action = action.split('"').next().expect("an address").to_owned();
    // The first form's hidden fields say which capture.
    person.submit("/devices", &action, &[]).await.expect("asked for");
    // It is as locked as before, so it comes back; but it was tried.
    let tried = wait::until("the retry to be confirmed", DEADLINE, || {
        let mut person = person.clone();
        async move { person.page("/devices").await.ok().filter(|page| page.contains("it is tried again")) }
    });
    tried.await.unwrap_or_else(|error| panic!("{error}\n{}", site.last_lines("agent")));
    let log = site.last_lines("agent");
    assert!(log.contains("asked for by the cloud"), "{log}");
}

/// What a program of the site printed, whether all was well or not.
fn doctor(site: &Site) -> String {
    let config = site.root().join("agent.toml");
    let output = Programs::of_this_build().agent().args(["doctor", "--config"]).arg(config).output();
    String::from_utf8_lossy(&output.expect("it starts").stdout).into_owned()
}

/// How it stands. Asks for nothing that an agent which is just starting would be in the way of.
fn status(site: &Site) -> Value {
    let status = site.agent_command(&["status", "--json"]).expect("a status");
    serde_json::from_str(&status).expect("JSON")
}

fn outbox(site: &Site) -> Vec<Value> {
    let list = site.agent_command(&["outbox", "list", "--json"]).expect("a list");
    serde_json::from_str(&list).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn inv5_what_waits_when_a_device_is_enrolled_anew_arrives_under_its_new_name_and_one_shut_out_is_told()
{
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("site");
    let mut site = Site::found(&root, Programs::of_this_build(), 0, ROUTING).await.expect("a site");
    // As with a mistyped address: what is scanned waits.
    let nowhere = "[cloud]\nurl = \"http://127.0.0.1:1\"\n";
    site.configure(Part::Agent, |text| format!("{text}{nowhere}")).expect("configured");
    let samples = samples();
    let letter = samples.iter().find(|sample| sample.name == "letter-marlow").expect("the sample");
    site.scan(&letter.paths()[0]).expect("scanned");
    site.start_with(Part::Agent, &[(crash::VARIABLE, crash::AGENT_ENROLLED_ANEW[0])]).expect("it starts");
    let waits = wait::until("a document to wait", DEADLINE, || {
        let status = status(&site);
        async move { (status["running"] == true && status["outbox"]["waiting"] == 1).then_some(()) }
    });
    waits.await.unwrap_or_else(|error| panic!("{error}\n{}", site.last_lines("agent")));
    let waiting = outbox(&site);
    let id = waiting[0]["document_id"].as_str().expect("an id").to_owned();
    let manifest = |site: &Site| -> Value {
        let shown = site.agent_command(&["outbox", "show", &id]).expect("a manifest");
        serde_json::from_str(&shown).expect("JSON")
    };
    let before = manifest(&site);
    let list = site.agent_command(&["outbox", "list"]).expect("a list");
    assert!(list.contains("letter-marlow") && list.contains("from front-desk"), "{list}");

    site.configure(Part::Agent, |text| text.replace(nowhere, "")).expect("configured");
    let code = site.cloud_command(&["device", "code"]).expect("a code");
    let code = code.lines().last().unwrap_or_default().trim().to_owned();
    let said = site.agent_command(&["enroll", "--url", site.url(), "--code", &code]).expect("enrolled");
    assert!(said.contains("documents that wait: 1") && said.contains("begins anew"), "{said}");

    // The agent that runs finds out by itself, and dies when the document has its new manifest.
    let ended = site.ended(Part::Agent, DEADLINE).await;
    assert!(ended.is_some_and(|status| !status.success()), "{}", site.last_lines("agent"));
    site.start(Part::Agent).expect("it starts");
    let arrives = wait::until("the document to arrive", DEADLINE, || {
        let status = status(&site);
        async move { (status["running"] == true && status["outbox"]["delivered"] == 1).then_some(()) }
    });
    arrives.await.unwrap_or_else(|error| panic!("{error}\n{}", site.last_lines("agent")));
    assert_eq!(outbox(&site)[0]["document_id"], id.as_str());
    let after = manifest(&site);
    let device = after["device_id"].as_str().expect("a device").to_owned();
    assert!(said.contains(&device), "{device}: {said}");
    assert_ne!(before["device_id"], after["device_id"]);
    assert_eq!(before["parts"], after["parts"]);

    assert!(doctor(&site).contains("ok    access to the cloud"), "{}", doctor(&site));
    site.cloud_command(&["device", "revoke", &device]).expect("revoked");
    let told = doctor(&site);
    assert!(told.contains("FAIL  access to the cloud") && told.contains("revoked"), "{told}");
    site.stop(Part::Agent).expect("it ends well");
}
