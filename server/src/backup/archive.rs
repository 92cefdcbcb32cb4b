//! Files in one, in the format of tar (ustar), as any `tar` reads and writes it. Names are
//! ours and short; sizes beyond 8 GiB are written as GNU tar does.

use std::io::{self, Read, Write};

const BLOCK: usize = 512;
const NAME: std::ops::Range<usize> = 0..100;
const MODE: std::ops::Range<usize> = 100..108;
const SIZE: std::ops::Range<usize> = 124..136;
const TIME: std::ops::Range<usize> = 136..148;
const SUM: std::ops::Range<usize> = 148..156;
const KIND: usize = 156;
const MAGIC: std::ops::Range<usize> = 257..265;
/// The largest size that eleven octal digits say.
const OCTAL_MAX: u64 = 0o77_777_777_777;

/// Writes an archive.
pub struct ArchiveWriter<W> {
    out: W,
}

impl<W: Write> ArchiveWriter<W> {
    /// Writes there; nothing is in it so far.
    pub fn new(out: W) -> Self {
        Self { out }
    }

    /// Adds a file for its owner only.
    pub fn file(
        &mut self,
        name: &str,
        (size, unix_s): (u64, u64),
        content: impl Read,
    ) -> io::Result<()> {
        self.out.write_all(&header(name, size, unix_s)?)?;
        let copied = io::copy(&mut content.take(size), &mut self.out)?;
        if copied != size {
            let why = format!("{name} became shorter while it was read");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
        }
        self.out.write_all(&vec![0; padding(size)])
    }

    /// Writes the end.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        self.out.flush()?;
        Ok(self.out)
    }
}

fn padding(size: u64) -> usize {
    let over = usize::try_from(size % BLOCK as u64).unwrap_or_default();
    (BLOCK - over) % BLOCK
}

fn header(name: &str, size: u64, unix_s: u64) -> io::Result<[u8; BLOCK]> {
    let mut header = [0; BLOCK];
    if name.len() >= NAME.len() {
        return Err(io::Error::other(format!("the name {name} is too long")));
    }
    header[..name.len()].copy_from_slice(name.as_bytes());
    header[MODE].copy_from_slice(b"0000600\0");
    header[108..116].copy_from_slice(b"0000000\0");
    header[116..124].copy_from_slice(b"0000000\0");
    if size <= OCTAL_MAX {
        header[SIZE].copy_from_slice(format!("{size:011o}\0").as_bytes());
    } else {
        header[SIZE.start] = 0x80;
        header[SIZE.end - 8..SIZE.end].copy_from_slice(&size.to_be_bytes());
    }
    let time = unix_s.min(OCTAL_MAX);
    header[TIME].copy_from_slice(format!("{time:011o}\0").as_bytes());
    header[KIND] = b'0';
    header[MAGIC].copy_from_slice(b"ustar\x0000");
    let sum = checksum(&header);
    header[SUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(header)
}

/// The sum of all bytes, with the sum's own place as spaces.
fn checksum(header: &[u8; BLOCK]) -> u32 {
    let bytes = header.iter().enumerate();
    let bytes = bytes.map(|(place, byte)| if SUM.contains(&place) { b' ' } else { *byte });
    bytes.map(u32::from).sum()
}

/// A file in an archive; its content follows.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, as a path.
    pub name: String,
    /// Bytes.
    pub size: u64,
}

/// Reads an archive.
pub struct ArchiveReader<R> {
    from: R,
    /// Bytes of the last file that nobody has read, with what fills its block.
    left: u64,
}

impl<R: Read> ArchiveReader<R> {
    /// Reads from there, from its beginning on.
    pub fn new(from: R) -> Self {
        Self { from, left: 0 }
    }

    /// The next file. What is no file, such as a folder or a link, is passed over.
    pub fn next_file(&mut self) -> io::Result<Option<Entry>> {
        loop {
            let skipped = io::copy(&mut self.from.by_ref().take(self.left), &mut io::sink())?;
            if skipped != self.left {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let mut header = [0; BLOCK];
            self.from.read_exact(&mut header)?;
            if header.iter().all(|byte| *byte == 0) {
                return Ok(None);
            }
            let (entry, is_file) = parse(&header)?;
            self.left = entry.size + padding(entry.size) as u64;
            if is_file {
                return Ok(Some(entry));
            }
        }
    }

    /// The content of the file that was named last.
    pub fn content(&mut self, entry: &Entry) -> impl Read {
        self.left = padding(entry.size) as u64;
        self.from.by_ref().take(entry.size)
    }
}

fn parse(header: &[u8; BLOCK]) -> io::Result<(Entry, bool)> {
    let damaged = || io::Error::other("it is no archive, or damaged");
    if octal(&header[SUM]) != Some(u64::from(checksum(header))) {
        return Err(damaged());
    }
    let name = header[NAME]
        .split(|byte| *byte == 0)
        .next()
        .unwrap_or_default();
    let name = std::str::from_utf8(name).map_err(|_| damaged())?;
    let size = match header[SIZE.start] & 0x80 {
        0 => octal(&header[SIZE]).ok_or_else(damaged)?,
        _ => header[SIZE.end - 8..SIZE.end]
            .iter()
            .fold(0, |size, byte| (size << 8) | u64::from(*byte)),
    };
    if size > u64::MAX / 2 {
        return Err(damaged());
    }
    let name = name.strip_prefix("./").unwrap_or(name).to_owned();
    Ok((Entry { name, size }, matches!(header[KIND], b'0' | 0)))
}

fn octal(digits: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok()?;
    let text = text.trim_matches(|c: char| c == '\0' || c == ' ');
    u64::from_str_radix(text, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [(&str, &[u8]); 3] = [("a", b"one"), ("keys/b", b""), ("c", &[7; 513])];

    fn archive() -> Vec<u8> {
        let mut writer = ArchiveWriter::new(Vec::new());
        for (name, content) in FILES {
            writer
                .file(name, (content.len() as u64, 1), content)
                .unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn files_come_back_read_or_passed_over() {
        for read in [true, false] {
            let bytes = archive();
            let mut reader = ArchiveReader::new(bytes.as_slice());
            for (name, content) in FILES {
                let entry = reader.next_file().unwrap().unwrap();
                assert_eq!(
                    (entry.name.as_str(), entry.size),
                    (name, content.len() as u64)
                );
                if read {
                    let mut found = Vec::new();
                    reader.content(&entry).read_to_end(&mut found).unwrap();
                    assert_eq!(found, content);
                }
            }
            assert_eq!(reader.next_file().unwrap(), None);
        }
    }

    #[test]
    fn any_tar_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tar");
        std::fs::write(&path, archive()).unwrap();
        let untarred = std::process::Command::new("tar")
            .arg("-xf")
            .arg(&path)
            .arg("-C")
            .arg(dir.path())
            .status();
        assert!(untarred.unwrap().success());
        assert_eq!(std::fs::read(dir.path().join("c")).unwrap(), [7; 513]);
    }

    #[test]
    fn an_archive_that_is_cut_is_refused() {
        let bytes = archive();
        for length in [0, 1, BLOCK, BLOCK + 1, 3 * BLOCK] {
            let mut reader = ArchiveReader::new(&bytes[..length]);
            let read = || -> io::Result<()> {
                while reader.next_file()?.is_some() {}
                Ok(())
            };
            let mut read = read;
            assert!(read().is_err(), "cut at {length}");
        }
    }

    #[test]
    fn the_size_of_a_very_large_file_is_kept() {
        let size = 1 << 40;
        let (entry, _) = parse(&header("big", size, 1).unwrap()).unwrap();
        assert_eq!(entry.size, size);
    }
}
