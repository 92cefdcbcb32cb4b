//! `hoist backup`: everything that a server needs again, in one file, also while it runs:
//! keys, users, the rows of the store at one moment, and artifacts. What `hoist restore` and
//! the errors of a damaged store say about it is in its first file.

mod fetch;
mod restore;

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use hoist_orchestrator::durable_file;
use hoist_orchestrator::store::sled::SledStore;
use hoist_orchestrator_core::reply::API_VERSION;
use hoist_protocol::code::Code;
use hoist_server::backup::archive::ArchiveWriter;
use hoist_server::backup::contents::{self, ABOUT, ROWS, SUMS, Sum, Summing};
use hoist_server::data_dir::{DataDir, Noted};
use hoist_server::failure::{Failure, chain};
use hoist_server::lock::Lock;
use hoist_server::private_file::{self, PrivateFileError};
use hoist_server::store_failure::store_failure;
use serde::{Deserialize, Serialize};

use crate::args::Backup;
use crate::client::found;
use crate::context::Context;
use crate::output::{Shape, Show, column};

pub(crate) use restore::restore;

/// The format that this version writes. This version also reads the format before, which has no
/// list at its end.
const FORMAT: u32 = 2;

const SHAPE: Shape = Shape {
    name: "file",
    columns: &[
        column("FILE", "/file", Show::Plain),
        column("CREATED", "/createdAt", Show::Plain),
        column("ROWS", "/rows", Show::Plain),
        column("BYTES", "/bytes", Show::Plain),
    ],
};

/// The facts about a backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct About {
    api_version: String,
    format: u32,
    created_at: String,
    rows: u64,
    /// The version that wrote it.
    version: String,
}

/// `hoist backup`
pub(crate) async fn backup(context: &Context, wish: &Backup) -> Result<u8, Failure> {
    let data_dir = DataDir::new(&context.settings.data_dir.value);
    data_dir.must_be_one()?;
    if let Some(name) = contents::needed(|name| data_dir.root().join(name).is_file()) {
        let what = format!("{} is missing", data_dir.root().join(name).display());
        return Err(Failure::new(Code::Key, what)
            .help("a backup without it brings no server back: put the key back first"));
    }
    check_out(&wish.out, data_dir.root())?;
    let out = Scratch::create(&wish.out)?;
    let rows = Scratch::create(&with_suffix(&wish.out, ".rows"))?;
    let at = SystemTime::now();
    let count = snapshot(context, &data_dir, &rows.path).await?;
    let about = About {
        api_version: API_VERSION.to_owned(),
        format: FORMAT,
        created_at: humantime::format_rfc3339_seconds(at).to_string(),
        rows: count,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let unwritable = |error: io::Error| out.failure(&error);
    let files = Files {
        data_dir: data_dir.root(),
        rows: &rows.path,
        unix_s: at
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs()),
    };
    let bytes = files.write(&about, &out).map_err(unwritable)?;
    out.keep(&wish.out)?;
    let noted = Noted {
        file: std::path::absolute(&wish.out).unwrap_or_else(|_| wish.out.clone()),
        created_at: about.created_at.clone(),
        rows: count,
    };
    data_dir.note_backup(&noted);
    let item = serde_json::json!({
        "file": wish.out, "createdAt": about.created_at, "rows": count, "bytes": bytes,
    });
    let sentence = format!(
        "{} holds keys, users, {count} rows and artifacts of {}; whoever has it is the server: \
         keep it as safe as the keys",
        wish.out.display(),
        about.created_at
    );
    context.print_change(&SHAPE, &item, &sentence)
}

/// Only an older backup is replaced, and nothing of the server.
fn check_out(out: &Path, data_dir: &Path) -> Result<(), Failure> {
    let refused = |why: String| {
        let what = format!("no backup is written to --out: {why}");
        Failure::new(Code::File, what).help("name another file; nothing was changed")
    };
    private_file::check_outside(out, data_dir).map_err(|error| {
        let folder = match &error {
            PrivateFileError::Io { source, .. } => no_place(out, source),
            PrivateFileError::Exposed { .. } => None,
        };
        folder.unwrap_or_else(|| refused(chain(&error)))
    })?;
    let Ok(there) = File::open(out) else {
        return Ok(());
    };
    let mut begin = Vec::new();
    let read = there.take(ABOUT.len() as u64).read_to_end(&mut begin);
    read.map_err(|error| unusable(out, &error))?;
    match begin.is_empty() || begin == ABOUT.as_bytes() {
        true => Ok(()),
        false => Err(refused(format!("{} is no backup", out.display()))),
    }
}

/// Writes the rows of one moment: those of the running server, as the user of `--client` or of the
/// data directory, or, when none runs, of the store on disk. The file is there already when they come
/// over HTTP.
pub(super) async fn snapshot(
    context: &Context,
    data_dir: &DataDir,
    to: &Path,
) -> Result<u64, Failure> {
    match Lock::take(data_dir.root()) {
        Ok(_lock) => {
            let store = SledStore::open(&data_dir.store())
                .map_err(|error| store_failure(&error, data_dir))?;
            let out = File::create(to).map_err(|error| unusable(to, &error))?;
            let written = store.snapshot(BufWriter::new(out)).await;
            written.map_err(|error| unusable(to, &error))
        }
        Err(failure) if failure.is(Code::Locked) => {
            let own = data_dir.client();
            let is_named = context.settings.client.is_some();
            let mut file = match own.exists() && !is_named {
                true => found::read(&own)?,
                false => context.client_file()?,
            };
            // A client.toml of another server would bring that one's rows.
            file.http = data_dir.running_http().unwrap_or(file.http);
            fetch::fetch(&file, to).await
        }
        Err(failure) => Err(failure),
    }
}

fn unusable(path: &Path, error: &io::Error) -> Failure {
    Failure::because(Code::File, path.display(), error)
}

/// Why nothing can be written where a backup is to go, when it is the folder.
fn no_place(place: &Path, error: &io::Error) -> Option<Failure> {
    let folder = place.parent().filter(|it| !it.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).display();
    let (why, help) = match error.kind() {
        io::ErrorKind::NotFound => (
            format!("there is no folder {folder} for the backup"),
            format!("make it for the server's user: `install -d -m 0700 -o hoist {folder}`"),
        ),
        io::ErrorKind::PermissionDenied => (
            format!("this user may not write to {folder}"),
            "let the folder belong to the user that makes the backup".to_owned(),
        ),
        _ => return None,
    };
    Some(Failure::new(Code::File, why).help(help))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// A file that is written beside its place, for its owner only, and is gone unless it is kept.
struct Scratch {
    path: PathBuf,
}

impl Scratch {
    fn create(place: &Path) -> Result<Self, Failure> {
        let path = with_suffix(place, ".new");
        let _leftover = std::fs::remove_file(&path);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        match options.open(&path) {
            Ok(_) => Ok(Self { path }),
            Err(error) => Err(no_place(place, &error).unwrap_or_else(|| unusable(&path, &error))),
        }
    }

    fn failure(&self, error: &io::Error) -> Failure {
        unusable(&self.path, error)
    }

    /// Gives it its name, durably.
    fn keep(self, place: &Path) -> Result<(), Failure> {
        let kept = File::open(&self.path)
            .and_then(|file| file.sync_all())
            .and_then(|()| std::fs::rename(&self.path, place));
        kept.map_err(|error| unusable(place, &error))?;
        let folder = place
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        durable_file::sync_folder(folder.unwrap_or(Path::new(".")))
            .map_err(|error| unusable(place, &error))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Kept, it has another name by now.
        let _gone = std::fs::remove_file(&self.path);
    }
}

/// The files that go into a backup.
struct Files<'a> {
    data_dir: &'a Path,
    rows: &'a Path,
    unix_s: u64,
}

impl Files<'_> {
    /// Writes all of it, the rows before artifacts: whatever rows name is there then. What
    /// was written is listed at the end.
    fn write(&self, about: &About, out: &Scratch) -> io::Result<u64> {
        let file = OpenOptions::new().write(true).open(&out.path)?;
        let mut archive = ArchiveWriter::new(BufWriter::new(file));
        let text = serde_json::to_vec(about).map_err(io::Error::other)?;
        let mut sums = vec![self.put(&mut archive, ABOUT, (text.len() as u64, &text[..]))?];
        sums.push(self.add(&mut archive, ROWS, File::open(self.rows)?)?);
        for name in contents::names(self.data_dir)? {
            match File::open(self.data_dir.join(&name)) {
                // Nothing needed it, and it was swept meanwhile.
                Err(error)
                    if error.kind() == io::ErrorKind::NotFound && contents::is_artifact(&name) => {}
                file => sums.push(self.add(&mut archive, &name, file?)?),
            }
        }
        let text = serde_json::to_vec(&sums).map_err(io::Error::other)?;
        self.put(&mut archive, SUMS, (text.len() as u64, &text[..]))?;
        archive.finish()?.flush()?;
        Ok(std::fs::metadata(&out.path)?.len())
    }

    fn add<W: Write>(
        &self,
        archive: &mut ArchiveWriter<W>,
        name: &str,
        file: File,
    ) -> io::Result<Sum> {
        let size = file.metadata()?.len();
        self.put(archive, name, (size, BufReader::new(file)))
    }

    fn put<W: Write>(
        &self,
        archive: &mut ArchiveWriter<W>,
        name: &str,
        (size, content): (u64, impl Read),
    ) -> io::Result<Sum> {
        let mut content = Summing::new(content.take(size));
        archive.file(name, (size, self.unix_s), &mut content)?;
        Ok(content.sum(name))
    }
}
