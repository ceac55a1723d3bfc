//! Whether a file is an archive, by what is in it: docker unpacks what `ADD` names whatever it is called.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _};
use std::path::Path;

use crate::oci::Packing;

/// How files begin that are packed in a way that isn't read here.
const OTHERS: [&[u8]; 2] = [b"BZh", b"\xfd7zXZ\0"];

/// Whether a file is an archive, or is packed so that it may be one.
pub(super) fn is_archive(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut start = Vec::new();
    Read::by_ref(&mut file).take(6).read_to_end(&mut start)?;
    if OTHERS.iter().any(|other| start.starts_with(other)) {
        return Ok(true);
    }
    file.rewind()?;
    let plain = Packing::guess(&start).open(BufReader::new(file))?;
    let mut archive = tar::Archive::new(plain);
    // What isn't one has no first entry, or one whose sum is wrong.
    Ok(archive
        .entries()?
        .raw(true)
        .next()
        .is_some_and(|it| it.is_ok()))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn archives_are_known_by_what_is_in_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let is = |content: &[u8]| {
            std::fs::write(&file, content).unwrap();
            is_archive(&file).unwrap()
        };
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        archive.append_data(&mut header, "a", io::empty()).unwrap();
        let archive = archive.into_inner().unwrap();
        let gzip = |content: &[u8]| {
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packed.write_all(content).unwrap();
            packed.finish().unwrap()
        };
        assert!(is(&archive) && is(&gzip(&archive)));
        assert!(is(&zstd::encode_all(&*archive, 1).unwrap()));
        assert!(is(b"BZh91AY") && is(b"\xfd7zXZ\0\0"));
        assert!(!is(b"") && !is(b"text") && !is(&[0; 2048]) && !is(&gzip(b"text")));
        assert!(!is(&[b'x'; 2048]));
    }
}
