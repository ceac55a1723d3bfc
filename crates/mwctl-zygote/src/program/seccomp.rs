//! The filter of system calls that container runtimes lay over every program unless told otherwise.
//!
//! Theirs lists what is allowed. This one lists what isn't, and gives every call that is newer than the list the answer of a
//! kernel that doesn't know it: the same result, from a program that is a tenth as long and costs each call less. A capability
//! that a container was given opens the calls that are of no use without it.

use std::collections::BTreeMap;

use libc::{c_long, sock_filter};
use mwctl_zygote::protocol::Step;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use super::error::{At, Outcome, failure};
use super::system;

/// The newest call that the lists below were written with: `file_setattr`, Linux 6.17.
const NEWEST: u32 = 469;
/// Calls that `libc` has no name for yet.
const LISTMOUNT: c_long = 458;
const STATMOUNT: c_long = 457;
const OPEN_TREE_ATTR: c_long = 467;

/// Refused whatever the capabilities: they concern the machine, or have a history of holes.
const NEVER: &[c_long] = &[
    libc::SYS_add_key,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_move_pages,
    libc::SYS_nfsservctl,
    libc::SYS_request_key,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_userfaultfd,
    LISTMOUNT,
    STATMOUNT,
];

#[cfg(target_arch = "x86_64")]
const NEVER_HERE: &[c_long] = &[
    libc::SYS__sysctl,
    libc::SYS_sysfs,
    libc::SYS_uselib,
    libc::SYS_ustat,
    libc::SYS_ioperm,
    libc::SYS_iopl,
];
#[cfg(not(target_arch = "x86_64"))]
const NEVER_HERE: &[c_long] = &[];

/// Calls by the capability that opens them: its number in `capabilities(7)`.
const BY_CAPABILITY: &[(u32, &[c_long])] = &[
    (2, &[libc::SYS_open_by_handle_at]),
    (
        16,
        &[
            libc::SYS_delete_module,
            libc::SYS_init_module,
            libc::SYS_finit_module,
        ],
    ),
    (
        19,
        &[
            libc::SYS_kcmp,
            libc::SYS_pidfd_getfd,
            libc::SYS_process_madvise,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
        ],
    ),
    (20, &[libc::SYS_acct]),
    (
        21,
        &[
            libc::SYS_fsconfig,
            libc::SYS_fsmount,
            libc::SYS_fsopen,
            libc::SYS_fspick,
            libc::SYS_lookup_dcookie,
            libc::SYS_mount,
            libc::SYS_mount_setattr,
            libc::SYS_move_mount,
            libc::SYS_open_tree,
            libc::SYS_pivot_root,
            libc::SYS_quotactl,
            libc::SYS_quotactl_fd,
            libc::SYS_setdomainname,
            libc::SYS_sethostname,
            libc::SYS_setns,
            libc::SYS_umount2,
            libc::SYS_unshare,
            OPEN_TREE_ATTR,
        ],
    ),
    (22, &[libc::SYS_reboot]),
    (
        23,
        &[
            libc::SYS_mbind,
            libc::SYS_migrate_pages,
            libc::SYS_set_mempolicy,
            libc::SYS_set_mempolicy_home_node,
        ],
    ),
    (26, &[libc::SYS_vhangup]),
    (38, &[libc::SYS_perf_event_open]),
    (39, &[libc::SYS_bpf]),
];

const SYS_ADMIN: u32 = 21;

/// The flags of `clone(2)` that make namespaces.
const NAMESPACES: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWCGROUP) as u64;

/// The filters, built once.
pub(crate) struct Filters {
    usual: BpfProgram,
    unknown: Vec<sock_filter>,
}

impl Filters {
    pub(crate) fn new() -> Outcome<Self> {
        Ok(Self {
            usual: build(USUAL)?,
            unknown: answer_unknown(),
        })
    }

    /// Lays the filter for a process with these capabilities over it.
    pub(crate) fn apply(&self, capabilities: u64) -> Outcome<()> {
        let built;
        let refused = if opens_something(capabilities) {
            built = build(capabilities)?;
            &built
        } else {
            &self.usual
        };
        let refused: Vec<sock_filter> = refused.iter().map(copy).collect();
        system::filter(&refused).at(Step::Privileges, "seccomp")?;
        // The last one laid over is asked first, and of two errors the first answer counts.
        system::filter(&self.unknown).at(Step::Privileges, "seccomp")
    }
}

/// No capability that would open anything.
const USUAL: u64 = 0;

fn opens_something(capabilities: u64) -> bool {
    BY_CAPABILITY
        .iter()
        .any(|(number, _)| capabilities & (1 << number) != 0)
}

fn copy(instruction: &seccompiler::sock_filter) -> sock_filter {
    sock_filter {
        code: instruction.code,
        jt: instruction.jt,
        jf: instruction.jf,
        k: instruction.k,
    }
}

fn build(capabilities: u64) -> Outcome<BpfProgram> {
    let wrong = |_| failure(Step::Privileges, "seccomp", None);
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for call in NEVER.iter().chain(NEVER_HERE) {
        rules.insert(*call, Vec::new());
    }
    for (number, calls) in BY_CAPABILITY {
        if capabilities & (1 << number) == 0 {
            rules.extend(calls.iter().map(|call| (*call, Vec::new())));
        }
    }
    if capabilities & (1 << SYS_ADMIN) == 0 {
        rules.insert(libc::SYS_clone, namespaces().map_err(wrong)?);
    }
    let architecture = TargetArch::try_from(std::env::consts::ARCH).map_err(wrong)?;
    let refused = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let filter =
        SeccompFilter::new(rules, SeccompAction::Allow, refused, architecture).map_err(wrong)?;
    filter.try_into().map_err(wrong)
}

/// A `clone(2)` with any flag that makes a namespace: one rule for each.
fn namespaces() -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let flags = (0..u64::BITS)
        .map(|bit| 1_u64 << bit)
        .filter(|flag| NAMESPACES & flag != 0);
    flags
        .map(|flag| {
            let operator = SeccompCmpOp::MaskedEq(flag);
            SeccompRule::new(vec![SeccompCondition::new(
                0,
                SeccompCmpArgLen::Qword,
                operator,
                flag,
            )?])
        })
        .collect()
}

/// `clone3(2)`, whose flags a filter can't see, and what is newer than the lists: as if the kernel didn't know them. The C
/// library then takes `clone(2)`.
fn answer_unknown() -> Vec<sock_filter> {
    let statement = |code: u32, k: u32| sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    };
    let jump = |code: u32, k: u32, jt: u8, jf: u8| sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    let refuse = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned();
    vec![
        // The number of the call is the first field of `struct seccomp_data`.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
        jump(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            libc::SYS_clone3 as u32,
            1,
            0,
        ),
        jump(libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K, NEWEST, 0, 1),
        statement(libc::BPF_RET | libc::BPF_K, refuse),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_is_built_for_every_set_of_capabilities() {
        let usual = build(USUAL).unwrap();
        assert!(usual.len() > 50, "{}", usual.len());
        assert!(build(u64::MAX).unwrap().len() < usual.len());
    }

    #[test]
    fn the_usual_capabilities_open_nothing() {
        assert!(!opens_something(0x0000_0000_a804_25fb));
        assert!(opens_something(1 << SYS_ADMIN));
    }
}
