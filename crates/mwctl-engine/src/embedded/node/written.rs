//! Whether what containers write to their own root can lie on disk. In memory it counts as theirs, and soon meets their limit.

use std::path::Path;

use mwctl_container::{Lack, Runtime};

/// The kinds of file systems that the kernel, or the programs behind them, don't let an overlay write to: overlays themselves (a home
/// within a container), and those of other machines.
const UNFIT: [u64; 7] = [
    0x794c_7630, // overlay
    0x6969,      // nfs
    0xff53_4d42, // cifs
    0xfe53_4d42, // smb2
    0x6573_5546, // fuse
    0x0102_1997, // 9p
    0xf15f,      // ecryptfs
];

/// Whether the folder can take it, and whoever we are can take it away again.
pub(super) fn may_lie_in(folder: &Path, runtime: &Runtime) -> bool {
    let Ok(system) = rustix::fs::statfs(folder) else {
        return false;
    };
    let one_user = runtime
        .lacks()
        .iter()
        .any(|lack| matches!(lack, Lack::Users { .. }));
    decide(
        u64::try_from(system.f_type).unwrap_or_default(),
        rustix::process::geteuid().is_root(),
        one_user,
    )
}

/// Files of other users than oneself are removed by root alone.
fn decide(system: u64, root: bool, one_user: bool) -> bool {
    !UNFIT.contains(&system) && (root || one_user)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXT4: u64 = 0xef53;

    #[test]
    fn it_lies_on_disk_where_it_can_be_written_and_removed() {
        assert!(decide(EXT4, true, false));
        assert!(decide(EXT4, false, true));
        assert!(!decide(EXT4, false, false));
        assert!(!decide(0x794c_7630, true, false));
    }
}
