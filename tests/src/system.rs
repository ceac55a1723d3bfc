//! A little root filesystem of this machine's own programs, for builds that need no network.

#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a test fails where it can't go on"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Programs of this machine that a small system has.
const PROGRAMS: [&str; 9] = [
    "bash", "sh", "cat", "chmod", "id", "ls", "mkdir", "rm", "sleep",
];

/// Writes a root filesystem with a few of this machine's programs, and what they are linked with.
pub fn write_system(path: &Path) {
    write_system_with(path, &[]);
}

/// The same with more files.
pub fn write_system_with(path: &Path, more: &[(&str, &str)]) {
    let file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    let mut archive = tar::Builder::new(file);
    let mut files: BTreeSet<PathBuf> = BTreeSet::new();
    for name in PROGRAMS {
        let program = ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(name));
        let program = program.into_iter().find(|it| it.exists()).unwrap();
        #[expect(
            clippy::disallowed_methods,
            reason = "only it knows what a program is linked with"
        )]
        let output = Command::new("ldd").arg(&program).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let paths = text.split_whitespace().filter(|word| word.starts_with('/'));
        files.extend(paths.map(PathBuf::from));
        append(
            &mut archive,
            &Path::new("/bin").join(name),
            &std::fs::read(program).unwrap(),
        );
    }
    for file in files {
        append(&mut archive, &file, &std::fs::read(&file).unwrap());
    }
    append(
        &mut archive,
        Path::new("/etc/passwd"),
        b"root:x:0:0::/root:/bin/sh\n",
    );
    append(&mut archive, Path::new("/etc/group"), b"root:x:0:\n");
    for (path, content) in more {
        append(&mut archive, Path::new(path), content.as_bytes());
    }
    archive.finish().unwrap();
}

fn append(archive: &mut tar::Builder<impl std::io::Write>, path: &Path, content: &[u8]) {
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o755);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(content.len() as u64);
    let name = path.strip_prefix("/").unwrap();
    archive.append_data(&mut header, name, content).unwrap();
}
