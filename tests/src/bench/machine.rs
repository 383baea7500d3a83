//! The machine, and the versions of what ran on it.

use std::process::Command;

use super::contender::Tools;

/// Lines that say where and with what the tables were made.
pub fn lines(tools: &Tools) -> Vec<String> {
    let peers = |name: &str| {
        let script = format!("import importlib.metadata as m; print(m.version('{name}'))");
        first_line(Command::new(tools.python()).args(["-c", &script]))
    };
    vec![
        format!("Date: {}", jiff::Timestamp::now().strftime("%Y-%m-%d")),
        format!("Machine: {}, {} processors, {}", processor(), processors(), memory()),
        format!("Kernel: {}", read("/proc/sys/kernel/osrelease")),
        format!("Load when it began: {}", read("/proc/loadavg").split(' ').next().unwrap_or("unknown")),
        format!("Platen: {}", first_line(tools.programs.agent().arg("--version"))),
        format!("Tesseract: {}", first_line(Command::new("tesseract").arg("--version"))),
        format!("OCRmyPDF: {}", peers("ocrmypdf")),
        format!("jdeskew: {}, deskew: {}", peers("jdeskew"), peers("deskew")),
    ]
}

fn first_line(command: &mut Command) -> String {
    let Ok(output) = command.output() else { return "not installed".into() };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match said.lines().next() {
        Some(line) if output.status.success() => line.to_owned(),
        _ => "not installed".into(),
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).map_or_else(|_| "unknown".into(), |text| text.trim().to_owned())
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn processor() -> String {
    field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".into())
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn memory() -> String {
    let total = field("/proc/meminfo", "MemTotal").unwrap_or_default();
    let kib: Option<f64> = total.split(' ').next().and_then(|number| number.parse().ok());
    kib.map_or_else(|| "unknown memory".into(), |kib| format!("{:.0} GB", kib * 1_024.0 / 1e9))
}
