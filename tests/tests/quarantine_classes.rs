//! Every class of failure with a real agent: the file is kept untouched, and its reason says class, stage, what was wrong
//! and what would help. What only the moment is to blame for is tried again by itself, and never given up.

use std::path::Path;
use std::time::Duration;

use platen_model::Digest;
use platen_testdata::samples;
use platen_tests::Programs;
use platen_tests::desk::Desk;
use platen_tests::writers::{Kind, tiff_of_pages};
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(240);

fn desk(folder: &Path, limits: &str) -> Desk {
    let inbox = folder.join("inbox");
    let config = format!(
        "[capture.limits]\n{limits}\n[[source]]\nname = \"desk\"\nfolder = {inbox:?}\nquiet_ms = 500\ngive_up_ms = 1000\n"
    );
    Desk::set_up(folder, Programs::of_this_build(), &config).expect("a desk")
}

/// Brings these files to an agent with these limits: each ends in its class, untouched, with a reason that a person can
/// use.
async fn check(limits: &str, files: &[(&str, Vec<u8>, &str, &str)]) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut desk = desk(folder.path(), limits);
    for (name, bytes, _, _) in files {
        std::fs::write(desk.inbox().join(name), bytes).expect("write");
    }
    desk.start().expect("the agent starts");
    // That the bytes are those that were written is checked there.
    let kept = desk.settled(DEADLINE).await.expect("all is taken");
    let list = desk.command(&[], &["quarantine", "list", "--json"]).expect("a list");
    let list: Vec<Value> = serde_json::from_str(&list).expect("JSON");
    for (name, bytes, class, stage) in files {
        let sha256 = Digest::of(bytes);
        let state = kept.iter().find(|one| one.sha256 == sha256).map(|one| one.state.clone());
        assert_eq!(state, Some(format!("quarantine {class}")), "{name}\n{}", desk.last_lines());
        let line = list.iter().find(|line| line["files"][0] == *name).expect("it is listed");
        assert_eq!((&line["class"], &line["stage"]), (&(*class).into(), &(*stage).into()), "{line}");
        let is_said = |key: &str| line[key].as_str().is_some_and(|words| words.len() > 10);
        assert!(is_said("message") && is_said("help"), "{line}");
        assert_eq!(line["attempts"], 1, "what the file is to blame for is not tried again: {line}");
    }
    assert_eq!(list.len(), files.len(), "{list:?}");
    let status: Value =
        serde_json::from_str(&desk.command(&[], &["status", "--json"]).expect("a status")).expect("JSON");
    for (_, _, class, _) in files {
        assert!(status["quarantined_by_class"][class].as_u64() >= Some(1), "{status}");
    }
}

fn locked() -> Vec<u8> {
    let sample = samples().into_iter().find(|sample| sample.name == "letter-locked").expect("the sample");
    std::fs::read(sample.paths().remove(0)).expect("readable")
}

/// A page of one colour whose pixels take more memory than its file.
fn vast(side: u32) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let page = image::RgbImage::from_pixel(side, side, image::Rgb([250, 250, 250]));
    page.write_to(&mut bytes, image::ImageFormat::Png).expect("memory takes it");
    bytes.into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_file_is_to_blame_for_ends_in_quarantine_with_its_class_and_a_reason() {
    let whole = Kind::Jpeg.made(1);
    let no_pages = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n\
        xref\n0 3\n0000000000 65535 f \n0000000009 00000 n \n0000000052 00000 n \ntrailer<</Size 3/Root 1 0 R>>\n\
        startxref\n99\n%%EOF\n";
    let mut corrupt = vast(64);
    // Somewhere in the middle of what is compressed.
    let middle = corrupt.len() / 2;
    corrupt[middle..middle + 8].iter_mut().for_each(|byte| *byte ^= 0x5a);
    check(
        "pages = 3",
        &[
            ("empty.pdf", Vec::new(), "empty", "inspect"),
            ("truncated.jpg", whole[..whole.len() / 2].to_vec(), "truncated", "inspect"),
            ("corrupt.png", corrupt, "corrupt", "page"),
            ("locked.pdf", locked(), "locked", "inspect"),
            ("unsupported.txt", b"a letter that is no scan".to_vec(), "unsupported", "inspect"),
            ("too-many.tif", tiff_of_pages(3, 4), "too_large", "inspect"),
            ("no-pages.pdf", no_pages.to_vec(), "no_pages", "inspect"),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_takes_more_pixels_time_or_memory_than_it_may_says_which_limit_it_met() {
    check("page_pixels = 10000", &[("large.jpg", Kind::Jpeg.made(1), "too_large", "inspect")]).await;
    check("page_seconds = 0", &[("slow.jpg", Kind::Jpeg.made(1), "timed_out", "inspect")]).await;
    check("worker_memory_mb = 700", &[("vast.png", vast(15_000), "out_of_memory", "page")]).await;
}
