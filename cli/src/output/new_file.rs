//! Files that a command is told to write: nothing that is there is lost by it, be it a key or a file
//! that somebody waits for.

use std::path::Path;

use hoist_protocol::code::Code;
use hoist_server::failure::Failure;
use hoist_server::private_file;

/// A file that is to be written.
#[derive(Clone, Copy)]
pub(crate) struct NewFile<'a> {
    /// The flag that names it.
    pub(crate) flag: &'static str,
    /// Its place.
    pub(crate) path: &'a Path,
    /// The data directory, whose files are never replaced by name.
    pub(crate) data_dir: &'a Path,
}

impl NewFile<'_> {
    /// Ok if it can be written and nothing is there, or something that may be replaced.
    ///
    /// # Errors
    /// `E_FILE`.
    pub(crate) fn check(&self, may_replace: impl FnOnce(&str) -> bool) -> Result<(), Failure> {
        let checked = private_file::check_outside(self.path, self.data_dir);
        checked.map_err(|error| {
            Failure::because(Code::File, self.flag, &error)
                .help("name another file; nothing was changed")
        })?;
        if self.path.symlink_metadata().is_err() {
            return Ok(());
        }
        match private_file::read_named(self.path) {
            Ok(old) if may_replace(&old) => Ok(()),
            _ => {
                let what = format!("{} is there and holds something else", self.path.display());
                let flag = self.flag;
                Err(Failure::new(Code::File, what).help(format!(
                    "nothing was changed; name another file with {flag}, or move this one away"
                )))
            }
        }
    }

    /// Writes it for its owner alone, unless something else is there.
    ///
    /// # Errors
    /// `E_FILE`.
    pub(crate) fn write(&self, text: &str) -> Result<(), Failure> {
        self.check(|old| old == text)?;
        self.replace(text)
    }

    /// Writes it for its owner alone, in the place of what was checked.
    ///
    /// # Errors
    /// `E_FILE`.
    pub(crate) fn replace(&self, text: &str) -> Result<(), Failure> {
        private_file::write(self.path, text.as_bytes()).map_err(|error| {
            Failure::because(Code::File, self.flag, &error).help("name another file")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_replaced_by_nothing_but_itself() {
        let dir = tempfile::tempdir().unwrap();
        let (data, path) = (dir.path().join("data"), dir.path().join("file"));
        std::fs::create_dir(&data).unwrap();
        let file = NewFile {
            flag: "--out",
            path: &path,
            data_dir: &data,
        };
        file.write("one").unwrap();
        file.write("one").unwrap();
        let refused = file.write("two").unwrap_err();
        assert!(refused.is(Code::File), "{refused}");
        assert!(refused.help.is_some_and(|help| help.contains("--out")));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one");
        let among = data.join("new");
        let among = NewFile {
            path: &among,
            ..file
        };
        assert!(among.write("one").is_err());
    }
}
