//! What a worker gives up before it reads its first request.
//!
//! In this order: new privileges, memory beyond its limit and core dumps; the file system but for reading
//! Tesseract's language data (Landlock); sockets, new programs and other processes (seccomp). Files it works
//! on come as open descriptors, so it never opens one. Where the kernel has no Landlock the rest still
//! holds, and [`enter`] says so.

use std::io;
use std::path::PathBuf;

use landlock::{
    ABI, Access as _, AccessFs, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetStatus, path_beneath_rules,
};
use rustix::process::{Resource, Rlimit, setrlimit};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use serde::{Deserialize, Serialize};

/// What holds once the sandbox is entered; nothing does by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// The kernel enforces that no file but the language data can be opened.
    pub files: bool,
    /// The kernel refuses sockets, new programs and meddling with other processes.
    pub system_calls: bool,
}

/// Where Tesseract's language data may be, in the order it is looked for.
pub fn language_data_folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        std::env::var_os("TESSDATA_PREFIX").map(PathBuf::from).into_iter().collect();
    folders.push("/usr/share/tesseract-ocr/5/tessdata".into());
    folders.push("/usr/share/tesseract-ocr/4.00/tessdata".into());
    folders.push("/usr/share/tessdata".into());
    folders
}

/// Enters the sandbox. There is no way back for this process.
///
/// # Errors
///
/// Where the kernel knows a restriction but refuses it. A kernel that does not know one is no error.
pub fn enter(memory_mb: u64) -> io::Result<Sandbox> {
    let bytes = memory_mb.saturating_mul(1 << 20);
    setrlimit(Resource::As, Rlimit { current: Some(bytes), maximum: Some(bytes) })?;
    // Results are made in memory before they are written, so none is larger. Without this a worker in hostile
    // hands could fill the disk through the one file it may write.
    setrlimit(Resource::Fsize, Rlimit { current: Some(bytes), maximum: Some(bytes) })?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    let files = give_up_files().map_err(io::Error::other)?;
    let system_calls = give_up_system_calls()?;
    Ok(Sandbox { files, system_calls })
}

fn give_up_files() -> Result<bool, landlock::RulesetError> {
    let abi = ABI::V5;
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .create()?
        .add_rules(path_beneath_rules(language_data_folders(), AccessFs::from_read(abi)))?
        .restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

/// The system calls no page of paper needs. They fail with `EPERM`: libraries handle that better than a kill.
const REFUSED: &[libc::c_long] = &[
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_kill,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_io_uring_setup,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_open_by_handle_at,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_kexec_load,
    libc::SYS_userfaultfd,
];

fn give_up_system_calls() -> io::Result<bool> {
    let Ok(architecture) = std::env::consts::ARCH.try_into() else { return Ok(false) };
    let rules = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    let refusal = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter =
        SeccompFilter::new(rules, SeccompAction::Allow, refusal, architecture).map_err(io::Error::other)?;
    let program: BpfProgram = filter.try_into().map_err(io::Error::other)?;
    // Sets no_new_privs first; `EINVAL` means a kernel built without seccomp.
    match seccompiler::apply_filter(&program) {
        Ok(()) => Ok(true),
        Err(seccompiler::Error::Seccomp(error) | seccompiler::Error::Prctl(error))
            if error.raw_os_error() == Some(libc::EINVAL) =>
        {
            Ok(false)
        }
        Err(error) => Err(io::Error::other(error)),
    }
}
