//! What a worker gives up before it reads its first request.
//!
//! In this order: new privileges, memory beyond its limit and core dumps; the file system but for reading
//! Tesseract's language data (Landlock); sockets, new programs, new processes and meddling with others (seccomp). Files it works
//! on come as open descriptors, so it never opens one. Where the kernel has no Landlock the rest still
//! holds, and [`enter`] says so.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use landlock::{
    ABI, Access as _, AccessFs, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetStatus, path_beneath_rules,
};
use rustix::process::{Resource, Rlimit, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use serde::{Deserialize, Serialize};

/// The longest file that a worker may write: no PDF can be longer ([`pdf`](crate::pdf)), and a PDF goes to its file as it is
/// made, so that it may be longer than a worker's memory. Without a limit a worker in hostile hands could fill the disk
/// through the one file it may write.
pub const WRITTEN_BYTES: u64 = 10_000_000_000;

/// What holds once the sandbox is entered; nothing does by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// The kernel enforces that no file but the language data can be opened.
    pub files: bool,
    /// The kernel refuses sockets, new programs, new processes and meddling with others.
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
    setrlimit(Resource::Fsize, Rlimit { current: Some(WRITTEN_BYTES), maximum: Some(WRITTEN_BYTES) })?;
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
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_pidfd_send_signal,
    libc::SYS_setpriority,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_setattr,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setscheduler,
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

/// Calls that make a process where they do not make a thread: one that outlives its worker would escape the
/// deadline and the memory limit. A thread is allowed, since libraries may want one.
const REFUSED_PROCESSES: &[libc::c_long] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
];

/// Refused unless the first argument is one of ours: `tgkill` is how a process aborts itself, `prlimit64` how it reads its
/// own limits.
fn refused_to_others() -> io::Result<Vec<(libc::c_long, Vec<SeccompRule>)>> {
    let unless = |ours: u64| {
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, ours)
            .and_then(|condition| SeccompRule::new(vec![condition]))
            .map_err(io::Error::other)
    };
    Ok(vec![
        (libc::SYS_tgkill, vec![unless(std::process::id().into())?]),
        (libc::SYS_prlimit64, vec![unless(0)?]),
    ])
}

fn give_up_system_calls() -> io::Result<bool> {
    let everything = |call: &libc::c_long| (*call, Vec::new());
    let refused = REFUSED.iter().map(everything).chain(refused_to_others()?).collect();
    let thread = u64::from(libc::CLONE_THREAD.unsigned_abs());
    let no_thread = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(thread), 0)
        .and_then(|condition| SeccompRule::new(vec![condition]))
        .map_err(io::Error::other)?;
    let processes = REFUSED_PROCESSES.iter().map(everything).chain([(libc::SYS_clone, vec![no_thread])]);
    Ok(refuse(refused, libc::EPERM)?
        && refuse(processes.collect(), libc::EAGAIN)?
        // Its arguments lie in memory, where no filter sees them; the C library falls back to `clone`.
        && refuse([(libc::SYS_clone3, Vec::new())].into(), libc::ENOSYS)?)
}

/// Lets these calls fail with this error from now on; `false` where the kernel was built without seccomp.
fn refuse(calls: BTreeMap<libc::c_long, Vec<SeccompRule>>, errno: libc::c_int) -> io::Result<bool> {
    let Ok(architecture) = std::env::consts::ARCH.try_into() else { return Ok(false) };
    let refusal = SeccompAction::Errno(errno.unsigned_abs());
    let filter =
        SeccompFilter::new(calls, SeccompAction::Allow, refusal, architecture).map_err(io::Error::other)?;
    let program: BpfProgram = filter.try_into().map_err(io::Error::other)?;
    // Sets no_new_privs first. `EINVAL` means a kernel built without filters, `ENOSYS` one without seccomp.
    match seccompiler::apply_filter(&program) {
        Ok(()) => Ok(true),
        Err(seccompiler::Error::Seccomp(error) | seccompiler::Error::Prctl(error))
            if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS)) =>
        {
            Ok(false)
        }
        Err(error) => Err(io::Error::other(error)),
    }
}
