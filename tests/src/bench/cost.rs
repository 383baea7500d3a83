//! What a command cost, with everything it started.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use wait4::Wait4 as _;

/// How often the memory of running processes is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The cost of a command.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Seconds by the clock.
    pub wall_s: f64,
    /// Seconds of processor time, user and system, of the process and all that it waited for.
    pub cpu_s: f64,
    /// The most memory that its largest process held, in MB.
    pub peak_mb: f64,
}

/// The most memory that a process and those it started held, in MB.
#[derive(Clone, Copy, Debug, Default)]
pub struct Peaks {
    /// The process itself.
    pub own_mb: f64,
    /// The largest of those that it started.
    pub children_mb: f64,
}

/// Runs a command to its end.
///
/// # Errors
///
/// When it cannot be started or does not succeed, with the last of what it said.
pub fn of(command: &mut Command) -> Result<Cost, String> {
    watched(command, |_| {}).map(|(cost, _)| cost)
}

/// The same, looking at the memory of the process and its children while they run.
///
/// # Errors
///
/// As [`of`].
pub fn with_peaks(command: &mut Command) -> Result<(Cost, Peaks), String> {
    watched(command, |id| {
        let mut peaks = Peaks::default();
        let process = format!("/proc/{id}");
        // What was seen last of a process that ends is its highest: the kernel's mark never falls.
        while let Some(own_mb) = high_water_mb(&process) {
            peaks.own_mb = peaks.own_mb.max(own_mb);
            for child in children(&process) {
                let held = high_water_mb(&format!("/proc/{child}")).unwrap_or(0.0);
                peaks.children_mb = peaks.children_mb.max(held);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        peaks
    })
}

fn watched<T: Send>(command: &mut Command, watch: impl FnOnce(u32) -> T + Send) -> Result<(Cost, T), String> {
    let said = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
    let errors = said.reopen().map_err(|error| error.to_string())?;
    let program = command.get_program().to_string_lossy().into_owned();
    let begun = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors)
        .spawn()
        .map_err(|error| format!("{program}: {error}"))?;
    let id = child.id();
    let (used, watched) = std::thread::scope(|scope| {
        let watching = scope.spawn(move || watch(id));
        let used = reaped(&mut child);
        (used, watching.join())
    });
    let wall_s = begun.elapsed().as_secs_f64();
    let used = used.map_err(|error| format!("{program}: {error}"))?;
    let watched = watched.map_err(|_| format!("{program}: its memory could not be watched"))?;
    if !used.status.success() {
        let said = std::fs::read_to_string(said.path()).unwrap_or_default();
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        return Err(format!("{program} ended with {}: {last}", used.status));
    }
    let cpu_s = (used.rusage.utime + used.rusage.stime).as_secs_f64();
    Ok((Cost { wall_s, cpu_s, peak_mb: used.rusage.maxrss as f64 / 1e6 }, watched))
}

fn reaped(child: &mut Child) -> std::io::Result<wait4::ResUse> {
    child.wait4()
}

/// `VmHWM` of a process: `None` when it has ended.
pub(super) fn high_water_mb(process: &str) -> Option<f64> {
    let status = std::fs::read_to_string(Path::new(process).join("status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kib| kib * 1_024.0 / 1e6)
}

fn children(process: &str) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir(Path::new(process).join("task")) else { return Vec::new() };
    let lists =
        threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_child_of_a_command_burns_is_counted_and_its_failure_is_told() {
        let busy = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        let nested = format!("sh -c '{busy}'; true");
        let cost = of(Command::new("sh").args(["-c", &nested])).expect("a shell runs");
        assert!(cost.cpu_s > 0.01 && cost.cpu_s <= cost.wall_s * 1.5 + 0.05, "{cost:?}");
        let failed = of(Command::new("sh").args(["-c", "echo no ink >&2; exit 3"])).expect_err("it fails");
        assert!(failed.contains("no ink"), "{failed}");
    }

    #[test]
    fn the_memory_of_a_process_and_of_its_child_are_told_apart() {
        // The child holds what `head` gives `tail`, which must keep it all to find its last line.
        let script = "head -c 60000000 /dev/zero | tail -n 1 | wc -c";
        let (_, peaks) = with_peaks(Command::new("sh").args(["-c", script])).expect("a shell runs");
        assert!(peaks.children_mb > 40.0 && peaks.own_mb < 30.0, "{peaks:?}");
    }
}
