//! `hoist restore`: what a backup holds, in a data directory that has no store or a damaged
//! one. What is there and may be newer stays: keys, users, artifacts, specs. The server is not
//! started before `hoist recover` has learned what happened since.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use hoist_orchestrator::store::StoreError;
use hoist_orchestrator::store::sled::SledStore;
use hoist_orchestrator::store::snapshot::{self, SnapshotReader};
use hoist_protocol::code::Code;
use hoist_protocol::id::ArtifactId;

use super::{ABOUT, About, FORMAT, ROWS, unusable};
use crate::archive::{ArchiveReader, Entry};
use crate::args::Restore;
use crate::context::Context;
use crate::data_dir::DataDir;
use crate::failure::Failure;
use crate::lock::Lock;
use crate::output::{Shape, Show, column};
use crate::private_file;

const SHAPE: Shape = Shape {
    name: "dataDir",
    columns: &[
        column("DATA DIR", "/dataDir", Show::Plain),
        column("BACKUP OF", "/createdAt", Show::Plain),
        column("ROWS", "/rows", Show::Plain),
    ],
};

/// Key files that a backup may hold.
const KEYS: [&str; 5] = [
    "root.key",
    "release.key",
    "orchestrator.key",
    "token.key",
    "root.bin",
];

/// `hoist restore`
pub(crate) async fn restore(context: &Context, wish: &Restore) -> Result<u8, Failure> {
    let data_dir = DataDir::new(&context.settings.data_dir.value);
    let about = check(&wish.file)?;
    data_dir.create()?;
    let _lock = Lock::take(data_dir.root())?;
    let lost = make_room(&data_dir)?;
    same_fleet(&data_dir, &wish.file)?;
    // From here on no server starts before it was told what happened since.
    let origin = format!("the backup of {} was restored", about.created_at);
    data_dir.begin_recovery(&origin)?;
    let rows = unpack(&data_dir, &wish.file).await?;
    let item = serde_json::json!({
        "dataDir": data_dir.root(), "createdAt": about.created_at, "rows": rows,
        "movedAside": lost,
    });
    let aside = lost.map_or(String::new(), |lost| {
        format!(" (the damaged one is in {})", lost.display())
    });
    let sentence = format!(
        "{rows} rows of {} are back in {}{aside}; next, `hoist recover --data-dir {}` asks the \
         fleet what happened since, then `hoist serve`",
        about.created_at,
        data_dir.root().display(),
        data_dir.root().display()
    );
    context.print_change(&SHAPE, &item, &sentence)
}

fn open(file: &Path) -> Result<ArchiveReader<BufReader<File>>, Failure> {
    let opened = File::open(file).map_err(|error| unusable(file, &error))?;
    Ok(ArchiveReader::new(BufReader::new(opened)))
}

/// Reads a backup to its end before anything is changed.
fn check(file: &Path) -> Result<About, Failure> {
    let mut archive = open(file)?;
    let damaged = |why: &str| {
        let what = format!("{} is no whole backup: {why}", file.display());
        Failure::new(Code::File, what).help("take another one; nothing was changed")
    };
    let read = |error: io::Error| damaged(&error.to_string());
    let mut about = None;
    let mut rows = None;
    while let Some(entry) = archive.next_file().map_err(read)? {
        let mut content = archive.content(&entry);
        match entry.name.as_str() {
            ABOUT => {
                let mut text = Vec::new();
                content.read_to_end(&mut text).map_err(read)?;
                let parsed: About =
                    serde_json::from_slice(&text).map_err(|error| damaged(&error.to_string()))?;
                about = Some(parsed);
            }
            ROWS => {
                let mut reader =
                    SnapshotReader::new(content).map_err(|error| damaged(&error.to_string()))?;
                let mut count = 0_u64;
                while reader
                    .next_row()
                    .map_err(|error| damaged(&error.to_string()))?
                    .is_some()
                {
                    count += 1;
                }
                rows = Some(count);
            }
            _ => drop(io::copy(&mut content, &mut io::sink()).map_err(read)?),
        }
    }
    match (about, rows) {
        (Some(about), _) if about.format != FORMAT => {
            Err(damaged("another version wrote it").help("use that version"))
        }
        (Some(about), Some(rows)) if rows == about.rows => Ok(about),
        _ => Err(damaged("something is missing in it")),
    }
}

/// Moves a damaged store aside; a whole one is not written over.
fn make_room(data_dir: &DataDir) -> Result<Option<PathBuf>, Failure> {
    let store = data_dir.store();
    if !store.exists() {
        return Ok(None);
    }
    match SledStore::open(&store) {
        Ok(_) => {
            let what = format!("there is a whole store in {}", store.display());
            Err(Failure::new(Code::DataDir, what).help(
                "nothing was changed. To go back to the backup all the same, move that folder \
                 away first; or restore into another --data-dir",
            ))
        }
        Err(StoreError::Missing { .. } | StoreError::Damaged { .. }) => data_dir.move_store_aside(),
        Err(error) => Err(crate::store_failure::store_failure(&error, data_dir)),
    }
}

/// Keys that are there must be those of the backup: no device would obey others.
fn same_fleet(data_dir: &DataDir, file: &Path) -> Result<(), Failure> {
    let mut archive = open(file)?;
    let read = |error: io::Error| unusable(file, &error);
    while let Some(entry) = archive.next_file().map_err(read)? {
        let mut content = Vec::new();
        let own = data_dir.root().join(&entry.name);
        let is_root = entry.name == "keys/root.bin" && own.exists();
        if !is_root {
            let mut rest = archive.content(&entry);
            io::copy(&mut rest, &mut io::sink()).map_err(read)?;
            continue;
        }
        archive
            .content(&entry)
            .read_to_end(&mut content)
            .map_err(read)?;
        if std::fs::read(&own).map_err(|error| unusable(&own, &error))? != content {
            let what = format!(
                "the keys in {} are not those of the backup",
                data_dir.root().display()
            );
            return Err(Failure::new(Code::Key, what)
                .help("nothing was changed; restore into another --data-dir, or an empty one"));
        }
    }
    Ok(())
}

/// Writes what is missing; how many rows came back.
async fn unpack(data_dir: &DataDir, file: &Path) -> Result<u64, Failure> {
    let mut archive = open(file)?;
    let mut rows = 0;
    loop {
        let next = archive
            .next_file()
            .map_err(|error| unusable(file, &error))?;
        let Some(entry) = next else { return Ok(rows) };
        let place = place(data_dir, &entry);
        let content = archive.content(&entry);
        if entry.name == ROWS {
            rows = import(data_dir, content).await?;
        } else {
            put(place, content).map_err(|error| unusable(data_dir.root(), &error))?;
        }
    }
}

/// Where a file of a backup belongs; nowhere when it is none of ours.
fn place(data_dir: &DataDir, entry: &Entry) -> Option<PathBuf> {
    let root = data_dir.root();
    match entry.name.split_once('/') {
        Some(("keys", key)) if KEYS.contains(&key) => Some(root.join("keys").join(key)),
        Some(("artifacts", id)) => {
            let id: ArtifactId = id.parse().ok()?;
            Some(root.join("artifacts").join(id.to_string()))
        }
        None if super::FILES.contains(&entry.name.as_str()) => Some(root.join(&entry.name)),
        _ => None,
    }
}

/// Writes a file unless there is one, which may be newer.
fn put(place: Option<PathBuf>, mut content: impl Read) -> io::Result<()> {
    let Some(place) = place.filter(|place| !place.exists()) else {
        return io::copy(&mut content, &mut io::sink()).map(drop);
    };
    if let Some(folder) = place.parent() {
        private_file::create_dir(folder).map_err(io::Error::other)?;
    }
    hoist_orchestrator::durable_file::write_from(&place, &mut content, 0o600)
}

/// Makes the store of these rows, beside its place until it is whole.
async fn import(data_dir: &DataDir, content: impl Read + Send) -> Result<u64, Failure> {
    let new = data_dir.root().join("store.new");
    let failed =
        |error: &dyn std::error::Error| Failure::because(Code::Store, new.display(), error);
    if new.exists() {
        std::fs::remove_dir_all(&new).map_err(|error| failed(&error))?;
    }
    let store = SledStore::create(&new).map_err(|error| failed(&error))?;
    let reader = SnapshotReader::new(content).map_err(|error| failed(&error))?;
    let rows = snapshot::import(&store, reader)
        .await
        .map_err(|error| failed(&error))?;
    drop(store);
    std::fs::rename(&new, data_dir.store()).map_err(|error| failed(&error))?;
    private_file::sync_dir(data_dir.root()).map_err(|error| failed(&error))?;
    Ok(rows)
}
