//! What hot folders cost with the real agent: from the last byte of a file to its durable claim, ten thousand files at
//! once, and ten thousand that rest.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use super::contender::Tools;
use super::report::{Report, figure};
use super::targets::Targets;
use crate::desk::{Desk, files_in};

/// Files whose claims are timed, one after the other.
const TIMED: u32 = 100;
/// Files at once, and files that rest.
const MANY: u32 = 10_000;
/// In a quick run.
const QUICK_MANY: u32 = 500;
/// How long the resting agent is watched.
const REST: Duration = Duration::from_secs(60);
/// The longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(1_800);

/// Measures all of it and writes the tables.
///
/// # Errors
///
/// When a part fails, as a sentence.
pub fn measure(
    tools: &Tools,
    quick: bool,
    scratch: &Path,
    report: &mut Report,
    targets: &mut Targets,
) -> Result<(), String> {
    let many = if quick { QUICK_MANY } else { MANY };
    report.section("Hot folders");
    report.paragraph(
        "`platen-agent run` over one folder on a local disk. A claim is durable when the file has left its folder: that comes \
         last. Files at once are small texts, of which no page is read; those that rest were taken and left (`after = \
         \"leave\"`).",
    );
    let (median, p99) = latency(tools, scratch)?;
    let mut rows = vec![
        vec!["last byte to durable claim, median".into(), format!("{} ms", figure(Some(median), 0))],
        vec!["last byte to durable claim, p99".into(), format!("{} ms", figure(Some(p99), 0))],
    ];
    let (seconds, _) = at_once(tools, scratch, many, "remove")?;
    let rate = f64::from(many) / seconds;
    rows.push(vec![format!("{many} files at once, all claimed"), format!("{} s", figure(Some(seconds), 1))]);
    rows.push(vec!["files claimed a second".into(), figure(Some(rate), 0)]);
    let (_, resting) = at_once(tools, scratch, many, "leave")?;
    if let Some((percent, memory_mb)) = resting {
        rows.push(vec![
            format!("processor while {many} files rest"),
            format!("{} % of a core", figure(Some(percent), 2)),
        ]);
        rows.push(vec!["memory of the agent then".into(), format!("{} MiB", figure(Some(memory_mb), 0))]);
        targets.at_most(&format!("processor while {many} files rest"), Some(percent), 1.0, " % of a core");
    }
    report.table(&["", "measured"], &rows);
    Ok(())
}

fn desk(tools: &Tools, folder: &Path, source: &str) -> Result<Desk, String> {
    let inbox = folder.join("inbox");
    let config =
        format!("[spool]\nmin_free_mb = 64\n[[source]]\nname = \"desk\"\nfolder = {inbox:?}\n{source}\n");
    Desk::set_up(folder, tools.programs.clone(), &config)
}

/// Brings one file after the other, and waits until each is taken. Answers median and 99th percentile in milliseconds.
fn latency(tools: &Tools, scratch: &Path) -> Result<(f64, f64), String> {
    let folder = tempfile::tempdir_in(scratch).map_err(|error| error.to_string())?;
    let mut desk = desk(tools, folder.path(), "")?;
    desk.start()?;
    let mut times = Vec::new();
    for number in 0..TIMED + 10 {
        let path = desk.inbox().join(format!("scan-{number:04}.png"));
        let mut file = std::fs::File::create(&path).map_err(|error| error.to_string())?;
        file.write_all(&picture(number)?).map_err(|error| error.to_string())?;
        drop(file);
        let begun = Instant::now();
        while path.exists() {
            if begun.elapsed() > PATIENCE {
                return Err(format!(
                    "{} is not taken: {}\n{}",
                    path.display(),
                    desk.source(),
                    desk.last_lines()
                ));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        // Of the first ones the habits of the writer are learned.
        if number >= 10 {
            times.push(begun.elapsed().as_secs_f64() * 1_000.0);
        }
    }
    times.sort_by(f64::total_cmp);
    Ok((times[times.len() / 2], times[times.len() * 99 / 100]))
}

/// A small page of its own.
fn picture(number: u32) -> Result<Vec<u8>, String> {
    let picture =
        image::GrayImage::from_fn(200, 120, |x, y| image::Luma([255 - u8::from(x + y * 200 == number)]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png).map_err(|error| error.to_string())?;
    Ok(bytes.into_inner())
}

/// Puts many files into the folder of a running agent, and waits until all are claimed. Answers in how many seconds; for
/// files that stay, also what it costs in percent of a core while they rest, and its memory in MiB.
fn at_once(
    tools: &Tools,
    scratch: &Path,
    many: u32,
    after: &str,
) -> Result<(f64, Option<(f64, f64)>), String> {
    eprintln!("{many} files at once, after = {after}");
    let folder = tempfile::tempdir_in(scratch).map_err(|error| error.to_string())?;
    let mut desk = desk(tools, folder.path(), &format!("quiet_ms = 500\nafter = \"{after}\""))?;
    for number in 0..many {
        let path = desk.inbox().join(format!("{number:05}.txt"));
        std::fs::write(path, format!("letter {number}")).map_err(|error| error.to_string())?;
    }
    let begun = Instant::now();
    desk.start()?;
    let patient = |begun: Instant, what: &str| {
        if begun.elapsed() > PATIENCE {
            return Err(format!("{what}: {}\n{}", desk.source(), desk.last_lines()));
        }
        std::thread::sleep(Duration::from_millis(100));
        Ok(())
    };
    let is_claimed = || match after {
        "remove" => files_in(&desk.inbox()).is_empty(),
        _ => desk.source()["taken_today"].as_u64() == Some(many.into()),
    };
    while !is_claimed() {
        patient(begun, "not all files are claimed")?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    if after != "leave" {
        return Ok((seconds, None));
    }
    // Until nothing is worked on any more.
    let captures = desk.state().join("spool/captures");
    while std::fs::read_dir(&captures).is_ok_and(|mut entries| entries.next().is_some()) {
        patient(begun, "captures are still worked on")?;
    }
    std::thread::sleep(Duration::from_secs(5));
    let (before, _) = desk.cost().ok_or("the agent has ended")?;
    std::thread::sleep(REST);
    let (later, memory_mb) = desk.cost().ok_or("the agent has ended")?;
    Ok((seconds, Some((100.0 * (later - before) / REST.as_secs_f64(), memory_mb))))
}
