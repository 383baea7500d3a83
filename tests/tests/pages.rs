//! The pages, in a real browser: what a clerk and a signer do with them.

use std::path::PathBuf;
use std::time::Duration;

use platen_model::event::Status;
use platen_tests::ends::{Procession, ROUTING};
use platen_tests::site::{PASSWORD, Part, USER};
use platen_tests::{Browser, Person, Programs, Signer, Site, wait};

const DEADLINE: Duration = Duration::from_secs(180);

struct Office {
    site: Site,
    person: Person,
    procession: Procession,
    browser: Browser,
    _folder: tempfile::TempDir,
}

/// An office with these samples in it, each come as far as it goes without a person.
async fn office(samples: &[&str], resting: &[Status]) -> Office {
    let folder = tempfile::tempdir().expect("a folder");
    let mut site = Site::found(&folder.path().join("site"), Programs::of_this_build(), 0, ROUTING)
        .await
        .expect("a site");
    site.start(Part::Agent).expect("the agent starts");
    let person = site.person().await.expect("the clerk signs in");
    let samples =
        platen_testdata::samples().into_iter().filter(|sample| samples.contains(&sample.name.as_str()));
    let mut procession = Procession::scan(&site, samples.collect()).expect("samples are scanned");
    let start = std::time::Instant::now();
    loop {
        procession.look(&site, &person).await;
        let rest = |document: &platen_model::api::Document| resting.contains(&document.status);
        if procession.followed.iter().all(|followed| followed.documents.first().is_some_and(rest)) {
            break;
        }
        assert!(start.elapsed() < DEADLINE, "{}\n{}", procession.laggards(), site.last_lines("agent"));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let browser = Browser::start().await.expect("a browser");
    Office { site, person, procession, browser, _folder: folder }
}

impl Office {
    async fn sign_in(&self) {
        let browser = &self.browser;
        browser.open(&format!("{}/documents", self.site.url())).await.expect("the list");
        let title = browser.text("h1").await.expect("a heading");
        assert_eq!(title, "Sign in", "nothing is shown before signing in");
        browser.type_into("input[name=username]", USER).await.expect("user");
        browser.type_into("input[name=password]", PASSWORD).await.expect("password");
        browser.click("button[type=submit]").await.expect("sign in");
        // A click only begins the way to the next page.
        let shown = wait::until("the list of documents", DEADLINE, || async {
            let heading = browser.evaluate("document.querySelector('h1')?.innerText").await.ok()?;
            (heading == "Documents").then_some(())
        });
        shown.await.expect("signing in leads to the list");
    }

    /// Waits until the only document is in this state.
    async fn becomes(&mut self, status: Status) {
        let person = self.person.clone();
        let what = format!("the document to be {status}");
        let reached = wait::until(&what, DEADLINE, || async {
            let documents = person.documents().await.ok()?;
            documents.iter().all(|document| document.status == status).then_some(())
        });
        reached.await.unwrap_or_else(|error| panic!("{error}\n{}", self.site.last_lines("cloud")));
    }
}

/// Waits until the first page is there as a picture one can read.
async fn page_is_shown(browser: &Browser) {
    let width = wait::until("the page's picture", DEADLINE, || async {
        let width = browser.evaluate("document.querySelector('figure img').naturalWidth").await.ok()?;
        width.as_u64().filter(|&width| width > 300)
    });
    width.await.expect("the page is shown as a picture");
}

/// Keeps a picture of the window where a person can look at it after the test.
async fn picture(browser: &Browser, name: &str) {
    let test = std::env::current_exe().expect("a test has a path");
    let folder: PathBuf = test.ancestors().nth(3).expect("target/<profile>/deps/<test>").join("screenshots");
    std::fs::create_dir_all(&folder).expect("a folder");
    browser.screenshot(&folder.join(format!("{name}.png"))).await.expect("a picture");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clerk_signs_in_sees_the_doubtful_page_corrects_its_type_and_lets_it_go_on() {
    let mut office = office(&["note-faint"], &[Status::InReview]).await;
    office.sign_in().await;
    let list = office.browser.text("main").await.expect("the list");
    assert!(list.contains("note-faint.jpg"), "{list}");
    picture(&office.browser, "documents").await;

    let document = office.procession.followed[0].documents[0].document_id;
    let url = format!("{}/documents/{document}", office.site.url());
    office.browser.open(&url).await.expect("the document");
    let width = wait::until("the page's picture", DEADLINE, || async {
        let width =
            office.browser.evaluate("document.querySelector('figure img').naturalWidth").await.ok()?;
        width.as_u64().filter(|&width| width > 300)
    });
    width.await.expect("the page is shown as a picture");
    let page = office.browser.text("main").await.expect("the page");
    for part in ["Review", "Fields", "Why this type", "History", "Files"] {
        assert!(page.contains(part), "{part} is missing in:\n{page}");
    }
    picture(&office.browser, "review").await;

    let choose = "(() => { const s = document.querySelector('select[name=document_type]'); s.value = 'memo'; return s.value; })()";
    assert_eq!(office.browser.evaluate(choose).await.expect("a choice of types"), "memo");
    office.browser.type_into("textarea[name=comment]", "a note to the file").await.expect("a comment");
    office.browser.click("button[value=approve]").await.expect("approve");
    // Nobody lets a type go on whose fields they have not seen.
    let shown = "document.querySelector('input[name=shown_type]')?.value ?? ''";
    let seen = wait::until("the page with the fields of a memo", DEADLINE, || async {
        let shown = office.browser.evaluate(shown).await.ok()?;
        (shown == "memo").then_some(())
    });
    seen.await.expect("the page is shown again");
    let kept = office.browser.evaluate("document.querySelector('textarea[name=comment]').value").await;
    assert_eq!(kept.expect("the comment"), "a note to the file", "what was typed stays");
    picture(&office.browser, "review-again").await;
    office.browser.click("button[value=approve]").await.expect("approve");
    office.becomes(Status::Archived).await;

    let documents = office.person.documents().await.expect("documents");
    assert_eq!(documents[0].document_type.0, "memo");
    assert_eq!(documents[0].reviewer_status, "approved");
    office.browser.open(&url).await.expect("the document");
    let page = office.browser.text("main").await.expect("the page");
    assert!(page.contains("a note to the file"), "the history names the clerk's words:\n{page}");
    picture(&office.browser, "archived").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signer_opens_the_link_reads_the_page_and_signs() {
    let mut office = office(&["nda-nordwind"], &[Status::Sent]).await;
    let signer = Signer::reading(&office.site.mail()).expect("a signer");
    let link = wait::until("the letter", DEADLINE, || async { signer.links().first().cloned() }).await;
    let link = link.expect("a letter with a link");
    office.browser.open(&link).await.expect("the signing page");
    let page = office.browser.text("body").await.expect("the page");
    assert!(page.contains("nda-nordwind.tif"), "{page}");
    page_is_shown(&office.browser).await;
    picture(&office.browser, "sign").await;
    office.browser.type_into("input[name=name]", "Amelia Hart").await.expect("a name");
    office.browser.click("input[name=consent]").await.expect("consent");
    office.browser.click("button.primary").await.expect("sign");
    office.becomes(Status::Archived).await;
    picture(&office.browser, "signed").await;

    let document = office.person.documents().await.expect("documents")[0].document_id;
    let signed = office.person.content(document, "signed").await.expect("the signed PDF");
    let path = office.site.root().join("signed.pdf");
    std::fs::write(&path, signed).expect("write");
    let output = std::process::Command::new("pdfsig").arg("-nocert").arg(&path).output().expect("pdfsig");
    let verdict = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(verdict.contains("Signature is Valid"), "{verdict}");
}

/// A printed form as a program makes it, filled in with these values.
fn parking_permit(name: &str, mark: &str, fee: &str) -> Vec<u8> {
    let lines = [
        (60, 760, "APPLICATION FOR A PARKING PERMIT".to_owned()),
        (60, 735, "City of Harlow, Department of Traffic".to_owned()),
        (60, 680, "Family name of the applicant:".to_owned()),
        (320, 680, name.to_owned()),
        (60, 650, "Registration mark of the vehicle:".to_owned()),
        (320, 650, mark.to_owned()),
        (60, 620, "Permit wanted for the northern quarter until further notice".to_owned()),
        (60, 590, "Fee paid at the counter in cash:".to_owned()),
        (320, 590, fee.to_owned()),
        (60, 540, "The statements above are complete and true.".to_owned()),
        (60, 515, "Changes must be told to the department at once.".to_owned()),
    ];
    let text: String =
        lines.iter().map(|(x, y, text)| format!("BT /F 12 Tf {x} {y} Td ({text}) Tj ET\n")).collect();
    let objects = [
        "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
        "<</Type/Pages/Kids[3 0 R]/Count 1>>".to_owned(),
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 5 0 R/Resources<</Font<</F 4 0 R>>>>>>"
            .to_owned(),
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>".to_owned(),
        format!("<</Length {}>>stream\n{text}endstream", text.len()),
    ];
    let (mut file, mut places) = (String::from("%PDF-1.4\n"), Vec::new());
    for (number, object) in (1..).zip(&objects) {
        places.push(file.len());
        file += &format!("{number} 0 obj{object}endobj\n");
    }
    let start = file.len();
    file += &format!("xref\n0 {}\n0000000000 65535 f \n", places.len() + 1);
    for place in &places {
        file += &format!("{place:010} 00000 n \n");
    }
    file += &format!("trailer<</Size {}/Root 1 0 R>>startxref\n{start}\n%%EOF\n", places.len() + 1);
    file.into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_is_shown_on_one_copy_of_a_form_is_read_on_the_next() {
    let office = office(&[], &[]).await;
    office.sign_in().await;
    let arrives = async |name: &str, bytes: Vec<u8>| {
        std::fs::write(office.site.inbox().join(name), bytes).expect("scanned");
        let arrived = wait::until("the document", DEADLINE, || async {
            let documents = office.person.documents().await.ok()?;
            documents
                .into_iter()
                .find(|document| document.file_name == name && document.status == Status::InReview)
        });
        arrived.await.unwrap_or_else(|error| {
            panic!("{error}\n{}\n{}", office.site.last_lines("agent"), office.site.last_lines("cloud"))
        })
    };
    let browser = &office.browser;
    let first = arrives("first.pdf", parking_permit("Okafor", "HK-4471-B", "45.00 EUR")).await;
    assert!(!first.fields.contains_key("mark"), "no rule knows of it");

    browser
        .open(&format!("{}/documents/{}", office.site.url(), first.document_id))
        .await
        .expect("the document");
    page_is_shown(browser).await;
    browser.click("a[href$='/teach/1']").await.expect("teach a field");
    let shown = wait::until("the words", DEADLINE, || async {
        let count = browser.evaluate("document.querySelectorAll('.teach input').length").await.ok()?;
        count.as_u64().filter(|&count| count > 40)
    });
    shown.await.expect("the words of the page");
    browser.type_into("input[name=field]", "mark").await.expect("a name");
    let choose = "(() => { const s = document.querySelector('select[name=kind]'); s.value = 'identifier'; return s.value; })()";
    assert_eq!(browser.evaluate(choose).await.expect("a choice of kinds"), "identifier");
    browser.click(".teach input[aria-label='HK-4471-B']").await.expect("the word");
    picture(browser, "teach").await;
    browser.click("button.primary").await.expect("teach it");
    let said = wait::until("the word that it was taught", DEADLINE, || async {
        browser.text("p[role=status]").await.ok()
    });
    let said = said.await.expect("a message");
    assert!(said.contains("Mark was taught"), "{said}");
    let documents = office.person.documents().await.expect("documents");
    assert_eq!(documents[0].fields["mark"].value, "HK-4471-B", "it is read on the copy itself");
    picture(browser, "taught").await;

    let second = arrives("second.pdf", parking_permit("Lindqvist", "BX-90-112", "120.50 EUR")).await;
    assert_eq!(second.fields["mark"].value, "BX-90-112");
    let events = office.person.events(second.document_id).await.expect("events");
    let recognised =
        events.iter().find(|event| event["event"] == "form_recognised").expect("an event of its own");
    assert_eq!(recognised["forms"][0]["name"], "first.pdf");
    browser
        .open(&format!("{}/documents/{}", office.site.url(), second.document_id))
        .await
        .expect("the document");
    page_is_shown(browser).await;
    let page = browser.text("main").await.expect("the page");
    assert!(page.contains("Known as a copy of “first.pdf”"), "{page}");
    picture(browser, "read").await;

    browser.open(&format!("{}/forms", office.site.url())).await.expect("the forms");
    let list = browser.text("main").await.expect("the list");
    assert!(list.contains("first.pdf") && list.contains("Mark"), "{list}");
    picture(browser, "forms").await;
    browser.click("main form button.danger").await.expect("forget it");
    let gone = wait::until("the empty list", DEADLINE, || async {
        browser.text("main").await.ok().filter(|list| list.contains("No field was taught yet"))
    });
    gone.await.expect("it is forgotten");
    let third = arrives("third.pdf", parking_permit("Moreau", "QQ-1-7", "9.00 EUR")).await;
    assert!(!third.fields.contains_key("mark"), "nothing is read there any more");
}
