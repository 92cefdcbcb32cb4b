//! The space that is left where the server's files are.

use std::io;
use std::path::Path;

/// A number of bytes for people, in its largest unit.
pub(crate) fn amount(bytes: u64) -> String {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    let tenths = |unit: u64| {
        let tenths = u128::from(bytes) * 10 / u128::from(unit);
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    match bytes {
        0..KIB => format!("{bytes} bytes"),
        KIB..MIB => format!("{} KiB", tenths(KIB)),
        MIB.. => format!("{} MiB", tenths(MIB)),
    }
}

/// Bytes that this process can still write to the file system of a folder that exists.
///
/// # Errors
/// Those of the file system.
pub(crate) fn left(folder: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(folder)?;
    if found.f_blocks == 0 {
        // It keeps no account.
        return Ok(u64::MAX);
    }
    let privileged = rustix::process::geteuid().is_root();
    let blocks = if privileged {
        found.f_bfree
    } else {
        found.f_bavail
    };
    Ok(blocks.saturating_mul(found.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_said_in_its_largest_unit() {
        for (bytes, said) in [
            (0, "0 bytes"),
            (1_023, "1023 bytes"),
            (1_536, "1.5 KiB"),
            (64 << 20, "64.0 MiB"),
            (21_474_836_480, "20480.0 MiB"),
        ] {
            assert_eq!(amount(bytes), said);
        }
        assert!(amount(u64::MAX).ends_with(" MiB"));
    }
}
