//! What a scanner's agent holds back is seen on the cloud's pages, and asked for from there. Both are the real programs.

use std::time::Duration;

use platen_model::durable;
use platen_tests::ends::ROUTING;
use platen_tests::site::Part;
use platen_tests::{Programs, Site, wait};

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
    let seen = wait::until("the quarantine on the page", DEADLINE, || {
        let mut person = person.clone();
        async move { person.page("/devices").await.ok().filter(|page| page.contains("In quarantine: 1")) }
    });
    let page = seen.await.unwrap_or_else(|error| panic!("{error}\n{}", site.last_lines("agent")));
    let entry = &site.quarantine().expect("a list")[0];
    for said in ["class", "stage"] {
        assert!(page.contains(entry[said].as_str().expect("said")), "{said}: {page}");
    }
    assert!(
        page.contains("torn &#60;b&#62;.tif") && !page.contains("torn <b>"),
        "a name is no markup: {page}"
    );
    assert!(page.contains("needs somebody") && page.contains("front-desk"), "{page}");

    let action = page.split("action=\"").find(|part| part.starts_with("/devices/")).expect("a form");
    let action = action.split('"').next().expect("an address").to_owned();
    // The first form's hidden fields say which capture.
    person.submit("/devices", &action, &[]).await.expect("asked for");
    // It is as torn as before, so it comes back; but it was tried.
    let tried = wait::until("the retry to be confirmed", DEADLINE, || {
        let mut person = person.clone();
        async move { person.page("/devices").await.ok().filter(|page| page.contains("it is tried again")) }
    });
    tried.await.unwrap_or_else(|error| panic!("{error}\n{}", site.last_lines("agent")));
    let log = site.last_lines("agent");
    assert!(log.contains("asked for by the cloud"), "{log}");
}
