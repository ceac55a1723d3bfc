//! Files with holes: runs of zeros take no space on the disk.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};

/// A filesystem's usual block; a shorter run of zeros is no hole.
const BLOCK: usize = 4096;

/// Copies all bytes; blocks of zeros become holes. Gives the number of bytes.
pub(super) fn copy(from: &mut impl Read, to: &mut File) -> io::Result<u64> {
    let mut buffer = vec![0; 64 * BLOCK];
    let mut total: u64 = 0;
    let mut ends_in_hole = false;
    loop {
        let filled = fill(from, &mut buffer)?;
        if filled == 0 {
            break;
        }
        total += filled as u64;
        let mut data = &buffer[..filled];
        while !data.is_empty() {
            let zero = data.chunks(BLOCK).take_while(|block| is_zero(block));
            let hole: usize = zero.map(<[u8]>::len).sum();
            if hole > 0 {
                to.seek(SeekFrom::Current(hole as i64))?;
                data = &data[hole..];
                ends_in_hole = true;
                continue;
            }
            let full = data.chunks(BLOCK).take_while(|block| !is_zero(block));
            let full: usize = full.map(<[u8]>::len).sum();
            to.write_all(&data[..full])?;
            data = &data[full..];
            ends_in_hole = false;
        }
    }
    if ends_in_hole {
        to.set_len(total)?;
    }
    Ok(total)
}

fn is_zero(block: &[u8]) -> bool {
    // A short rest is written: it takes a block anyway.
    block.len() == BLOCK && block.iter().all(|byte| *byte == 0)
}

fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
