//! The Debian packages install into a fresh system, and the installed program works there.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

fn target() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    test.ancestors().nth(3).expect("target/<profile>/deps/<test>").to_owned()
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} ended with {}:\n{text}", output.status);
    text
}

/// A command run as root: directly, or through sudo.
fn as_root(program: &str) -> Command {
    if run(Command::new("id").arg("-u")).trim() == "0" {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.arg("-n").arg(program);
    command
}

/// A fresh Debian 12, made once and kept in the target folder; each test works in a copy.
fn fresh_root() -> PathBuf {
    let kept = target().join("debian-root");
    let made = kept.join("made");
    if !made.exists() {
        let making = target().join("debian-root.making");
        run(as_root("rm").arg("-rf").arg(&making).arg(&kept));
        run(as_root("debootstrap").args(["--variant=minbase", "bookworm"]).arg(&making));
        // The packages' dependencies come with them in the test, from the same sources as this machine's.
        run(as_root("chroot").arg(&making).args(["apt-get", "update", "-qq"]));
        run(as_root("touch").arg(making.join("made")));
        run(as_root("mv").arg(&making).arg(&kept));
    }
    let root = target().join("debian-root.test");
    run(as_root("rm").arg("-rf").arg(&root));
    run(as_root("cp").arg("-a").arg(&kept).arg(&root));
    root
}

/// What a command inside the root printed.
fn chroot(root: &Path, arguments: &[&str]) -> String {
    run(as_root("chroot")
        .arg(root)
        .args(["env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8"])
        .args(arguments))
}

#[test]
fn the_packages_install_into_a_fresh_debian_and_the_installed_agent_reads_a_scan() {
    let packages = target().join("packages");
    let root = fresh_root();
    for name in ["platen-agent.deb", "platen-cloud.deb"] {
        let package = packages.join(name);
        assert!(package.is_file(), "{} is not there; run: make packages", package.display());
        std::fs::copy(&package, root.join("tmp").join(name)).expect("copy");
    }
    chroot(
        &root,
        &[
            "apt-get",
            "install",
            "-y",
            "-qq",
            "--no-install-recommends",
            "/tmp/platen-agent.deb",
            "/tmp/platen-cloud.deb",
        ],
    );

    for file in ["etc/platen/agent.toml", "etc/platen/cloud.toml", "etc/platen/routing.toml"] {
        assert!(root.join(file).is_file(), "{file} is not installed");
    }
    let named = [
        "README.md",
        "docs/encryption.md",
        "docs/policies.md",
        "docs/rules.md",
        "docs/signing.md",
        "rules/common.toml",
        "rules/invoice.toml",
    ];
    for package in ["platen-agent", "platen-cloud"] {
        for file in named {
            // Kept as it is: what is compressed cannot be started from.
            let file = root.join("usr/share/doc").join(package).join(file);
            assert!(file.is_file(), "{} is named by what is installed, and is not there", file.display());
        }
    }
    for unit in ["platen-agent.service", "platen-cloud.service"] {
        let places = ["lib/systemd/system", "usr/lib/systemd/system"];
        assert!(places.iter().any(|place| root.join(place).join(unit).is_file()), "{unit} is not installed");
    }
    let owner = chroot(&root, &["stat", "-c", "%U:%a", "/var/lib/platen/agent"]);
    assert_eq!(owner.trim(), "platen:750");
    chroot(&root, &["platen-agent", "run", "--config", "/etc/platen/agent.toml", "--print-config"]);
    chroot(&root, &["platen-cloud", "serve", "--config", "/etc/platen/cloud.toml", "--print-config"]);

    let samples = platen_testdata::samples();
    let sample =
        samples.iter().find(|sample| sample.expected.document_type == "invoice").expect("an invoice");
    let scan = &sample.paths()[0];
    let name = scan.file_name().expect("a name").to_string_lossy().into_owned();
    std::fs::copy(scan, root.join("tmp").join(&name)).expect("copy");
    std::fs::create_dir(root.join("tmp/out")).expect("a folder");
    std::fs::set_permissions(root.join("tmp/out"), std::fs::Permissions::from_mode(0o777)).expect("chmod");
    // The program in /proc/self/exe is what it starts its workers from.
    chroot(&root, &["mount", "-t", "proc", "proc", "/proc"]);
    let output = as_root("chroot")
        .arg(&root)
        .args(["platen-agent", "process", "--json", "--out", "/tmp/out", &format!("/tmp/{name}")])
        .output();
    run(as_root("umount").arg(root.join("proc")));
    let output = output.expect("chroot");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "process ended with {}: {errors}", output.status);
    let record: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stdout));
    });
    assert_eq!(record["document_type"], "invoice", "{record:#}");
    let stem = scan.file_stem().expect("a stem").to_string_lossy().into_owned();
    let rules = "/usr/share/doc/platen-agent/rules";
    chroot(&root, &["platen-agent", "rules", "check", rules]);
    for kind in ["pdf", "txt", "json"] {
        assert!(
            root.join("tmp/out").join(format!("{stem}.{kind}")).is_file(),
            "{stem}.{kind} was not written"
        );
    }

    chroot(&root, &["apt-get", "remove", "-y", "-qq", "platen-agent", "platen-cloud"]);
    assert!(root.join("var/lib/platen/agent").is_dir(), "removing the package leaves what it kept");
}
