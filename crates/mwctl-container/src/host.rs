//! A root file system of this machine's own programs: `/usr` and the configuration that programs need, read-only. Homes and
//! everything else that is somebody's own can't be seen.

use std::path::{Path, PathBuf};

use mwctl_zygote::protocol::{Bind, Entry, Mount, Root, Source, Upper};

/// Directories at the root that are links into `/usr` on most systems, and directories of their own on a few.
const LINKS: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// What of `/etc` programs need and nobody keeps secrets in.
const CONFIGURATION: [&str; 28] = [
    "alternatives",
    "ca-certificates",
    "crypto-policies",
    "debian_version",
    "default",
    "fonts",
    "gai.conf",
    "host.conf",
    "inputrc",
    "java",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "perl",
    "php",
    "pki",
    "profile.d",
    "protocols",
    "rpc",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
    "timezone",
];

/// Directories that programs expect, and their modes.
const FOLDERS: [(&str, u32); 7] = [
    ("tmp", 0o1777),
    ("var/tmp", 0o1777),
    ("run", 0o755),
    ("root", 0o700),
    ("home", 0o755),
    ("srv", 0o755),
    ("opt", 0o755),
];

/// The users and groups that every container knows.
pub const PASSWD: &str =
    "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
/// As [`PASSWD`].
pub const GROUP: &str = "root:x:0:\nnogroup:x:65534:\n";

/// The root, and what is mounted over it: this machine's programs, then [`usual_mounts`].
pub fn root() -> (Root, Vec<Mount>) {
    let mut mounts = vec![bind("/usr")];
    for name in LINKS {
        let path = Path::new("/").join(name);
        match std::fs::read_link(&path) {
            Ok(text) => mounts.push(Mount {
                target: path,
                entry: Entry::Link(text),
            }),
            Err(_) if path.is_dir() => mounts.push(bind(path)),
            Err(_) => {}
        }
    }
    for name in CONFIGURATION {
        let path = Path::new("/etc").join(name);
        if path.exists() {
            mounts.push(bind(path));
        }
    }
    mounts.extend(FOLDERS.map(|(name, mode)| Mount {
        target: Path::new("/").join(name),
        entry: Entry::Memory {
            size: None,
            mode,
            executable: true,
        },
    }));
    mounts.extend(usual_mounts());
    (
        Root {
            layers: Vec::new(),
            upper: Upper::Memory,
            read_only: false,
        },
        mounts,
    )
}

fn bind(path: impl Into<PathBuf>) -> Mount {
    let target = path.into();
    let directory = target.is_dir();
    let source = Source::Path(target.clone());
    Mount {
        target,
        entry: Entry::Bind(Bind {
            source,
            directory,
            read_only: true,
            below: None,
        }),
    }
}

/// What every container has: processes, devices, the kernel's objects; and what of these nobody may see or change.
pub fn usual_mounts() -> Vec<Mount> {
    const HIDDEN: [&str; 9] = [
        "/proc/acpi",
        "/proc/asound",
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/sched_debug",
        "/proc/timer_list",
        "/proc/timer_stats",
        "/sys/firmware",
    ];
    const READ_ONLY: [&str; 5] = [
        "/proc/bus",
        "/proc/fs",
        "/proc/irq",
        "/proc/sys",
        "/proc/sysrq-trigger",
    ];
    let mount = |target: &str, entry| Mount {
        target: target.into(),
        entry,
    };
    let mut mounts = vec![
        mount("/proc", Entry::Processes),
        mount(
            "/dev",
            Entry::Devices {
                shared_memory: 64 << 20,
            },
        ),
        mount("/sys", Entry::System),
    ];
    mounts.extend(HIDDEN.map(|path| mount(path, Entry::Hidden)));
    mounts.extend(READ_ONLY.map(|path| mount(path, Entry::ReadOnly)));
    mounts
}
