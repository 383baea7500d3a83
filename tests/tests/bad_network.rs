//! A 40 MB document over lines that nobody would want, and how much is sent in vain.
//!
//! The kernels these tests run on have no netem, so the line is a proxy ([`platen_tests::link`]). Three of the
//! four evils of a bad line stand together in one test: 56 kbit/s, two seconds on the way in each direction, and
//! three packets in ten lost. Cuts every five seconds stand in another: with two seconds on the way, asking for
//! the offset takes four, so that nothing that asks before it sends could ever get a byte across. Times of the
//! first line are 600 times as short as a real one's; cuts of the second come by bytes, which no time changes.

use std::time::Duration;

use platen_tests::ends::ROUTING;
use platen_tests::site::Part;
use platen_tests::{Link, Programs, Site, Weather, wait};

/// Bytes a second of a modem.
const MODEM: u64 = 56_000 / 8;
/// How much faster than a real line's the test's clock is.
const FASTER: u32 = 600;
const DOCUMENT_BYTES: usize = 40_000_000;
const DEADLINE: Duration = Duration::from_secs(400);

/// A TIFF (6.0, uncompressed) of one small white page and many bytes that no page uses: costly to send, cheap to read.
fn large_scan() -> Vec<u8> {
    const SIDE: u32 = 100;
    let filler = DOCUMENT_BYTES as u32 / 2 * 2;
    let directory = 8 + SIDE * SIDE + filler;
    let mut bytes = Vec::from(*b"II*\0");
    bytes.extend(directory.to_le_bytes());
    bytes.resize(8 + (SIDE * SIDE) as usize, 255);
    let mut state = 1u64;
    while bytes.len() < directory as usize {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend((state >> 32).to_le_bytes());
    }
    bytes.truncate(directory as usize);
    let entries: [(u16, u16, u32); 8] = [
        (256, 4, SIDE),
        (257, 4, SIDE),
        (258, 3, 8),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (278, 4, SIDE),
        (279, 4, SIDE * SIDE),
    ];
    bytes.extend((entries.len() as u16).to_le_bytes());
    for (tag, kind, value) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(1u32.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend([0; 4]);
    bytes
}

async fn check_gets_through(weather: Weather) -> Link {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("site");
    let mut site = Site::found(&root, Programs::of_this_build(), 0, ROUTING).await.expect("a site");
    let link = Link::to(site.cloud_address(), weather).await.expect("a line");
    let (old, new) = (site.url().to_owned(), link.url());
    site.kill(Part::Cloud);
    let behind =
        |text: String| text.replace(&format!("public_url = \"{old}\""), &format!("public_url = \"{new}\""));
    site.configure(Part::Cloud, behind).expect("configured");
    let through = |text: String| format!("{text}[cloud]\nurl = \"{new}\"\n");
    site.configure(Part::Agent, through).expect("configured");
    site.start(Part::Cloud).expect("it starts again");
    site.wait_until_ready().await.expect("it is ready");
    let person = site.person().await.expect("the clerk signs in");

    let scan = large_scan();
    std::fs::write(site.inbox().join("plan.tif"), &scan).expect("a scan");
    site.start(Part::Agent).expect("the agent starts");
    let arrived = wait::until("the document to arrive", DEADLINE, || async {
        person.documents().await.ok().filter(|documents| !documents.is_empty())
    })
    .await;
    let documents = arrived.unwrap_or_else(|error| {
        panic!("{error}; {} of {} bytes sent\n{}", link.bytes_up(), scan.len(), site.last_lines("agent"))
    });
    assert_eq!(documents.len(), 1);
    let original = person.content(documents[0].document_id, "original").await.expect("the original is kept");
    assert!(original == scan, "it arrived as it was");
    let (sent, needed) = (link.bytes_up(), scan.len() as u64);
    println!(
        "{needed} bytes needed, {sent} sent: {} % more; {} cuts",
        (sent - needed) * 100 / needed,
        link.cuts()
    );
    assert!(sent * 100 < needed * 115, "{sent} bytes were sent for {needed}");
    link
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_megabytes_get_through_a_modem_that_loses_three_packets_in_ten() {
    let retransmission = Duration::from_secs(1) / FASTER;
    let weather = Weather {
        bytes_per_s: Some(MODEM * u64::from(FASTER)),
        delay: Duration::from_secs(2) / FASTER,
        lost_one_in: Some(3),
        retransmission,
        cut_every_bytes: None,
    };
    check_gets_through(weather).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_megabytes_get_through_a_modem_whose_line_is_cut_every_five_seconds() {
    let weather = Weather {
        bytes_per_s: Some(MODEM * u64::from(FASTER)),
        cut_every_bytes: Some(MODEM * 5),
        ..Weather::default()
    };
    let link = check_gets_through(weather).await;
    assert!(link.cuts() > 1_000, "the line was cut {} times", link.cuts());
}
