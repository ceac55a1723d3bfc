//! Root filesystems to import.

use std::path::Path;

pub(crate) use mwctl_tests::system::{write_system, write_system_with};

/// Writes a root filesystem whose files all have one content, different for each number.
pub(crate) fn write(path: &Path, number: u64, files: usize) {
    let file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    let mut archive = tar::Builder::new(file);
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    let content = format!("{number}\n").repeat(800);
    header.set_size(content.len() as u64);
    archive
        .append_data(&mut header, "etc/passwd", content.as_bytes())
        .unwrap();
    for index in 0..files {
        let name = format!("srv/{}/{index}", index % 17);
        archive
            .append_data(&mut header, name, content.as_bytes())
            .unwrap();
    }
    archive.finish().unwrap();
}
