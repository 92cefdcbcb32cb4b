//! `hoist restore`: what a backup holds, in a data directory that has no store or a damaged
//! one. What is there and may be newer stays: keys, users, artifacts, specs. The server is not
//! started before `hoist recover` has learned what happened since.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use hoist_orchestrator::store::Fault;
use hoist_orchestrator::store::sled::SledStore;
use hoist_orchestrator::store::snapshot::{self, SnapshotError, SnapshotReader};
use hoist_protocol::code::Code;
use hoist_server::backup::archive::ArchiveReader;
use hoist_server::backup::contents::{self, ABOUT, ROWS, SUMS, Sum, Summing};
use hoist_server::data_dir::DataDir;
use hoist_server::failure::{Failure, chain};
use hoist_server::lock::Lock;
use hoist_server::private_file;

use super::{About, FORMAT, unusable};
use crate::args::Restore;
use crate::context::Context;
use crate::output::{Shape, Show, column};

const SHAPE: Shape = Shape {
    name: "dataDir",
    columns: &[
        column("DATA DIR", "/dataDir", Show::Plain),
        column("BACKUP OF", "/createdAt", Show::Plain),
        column("ROWS", "/rows", Show::Plain),
    ],
};

/// `hoist restore`
pub(crate) async fn restore(context: &Context, wish: &Restore) -> Result<u8, Failure> {
    let data_dir = DataDir::new(&context.settings.data_dir.value);
    let Checked { about, keys } = check(&wish.file)?;
    data_dir.create()?;
    let _lock = Lock::take(data_dir.root())?;
    same_fleet(&data_dir, &keys)?;
    refuse_whole(&data_dir)?;
    // From here on no server starts before it was told what happened since, and before all of
    // this is done: its name is the last that the store gets.
    let origin = format!("the backup of {} was restored", about.created_at);
    data_dir.begin_restore(&origin)?;
    let unfinished = |failure: Failure| {
        let help = "nothing that was there is lost; repeat it when that is mended";
        failure.help(help)
    };
    let rows = unpack(&data_dir, &wish.file).await.map_err(unfinished)?;
    let lost = data_dir.end_restore().map_err(unfinished)?;
    let item = serde_json::json!({
        "dataDir": data_dir.root(), "createdAt": about.created_at, "rows": rows,
        "movedAside": lost,
    });
    let aside = lost.map_or(String::new(), |lost| {
        format!(" (the damaged one is in {})", lost.display())
    });
    let sentence = format!(
        "{rows} rows of {} are back in {}{aside}; next, `hoist recover --data-dir {}` asks the \
         fleet what happened since, then `hoist serve`: both with the flags by which the server was \
         started, where its addresses are not in a settings file",
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

/// The content of a backup that was read to its end.
struct Checked {
    about: About,
    /// By name.
    keys: BTreeMap<String, Vec<u8>>,
}

/// Reads a backup to its end before anything is changed.
fn check(file: &Path) -> Result<Checked, Failure> {
    let damaged = |why: &str| {
        let what = format!("{} is no whole backup: {why}", file.display());
        Failure::new(Code::File, what).help("take another one; nothing was changed")
    };
    let contents = Contents::read(&mut open(file)?);
    let contents = contents.map_err(|error| damaged(&chain(&*error)))?;
    let Some(about) = contents.about else {
        return Err(damaged("it does not say what it is of"));
    };
    if !(1..=FORMAT).contains(&about.format) {
        return Err(damaged("another version wrote it").help("use that version"));
    }
    if contents.rows != Some(about.rows) {
        return Err(damaged("rows are missing in it"));
    }
    let listed = match contents.listed {
        None if about.format == 1 => contents.found.clone(),
        listed => listed.unwrap_or_default(),
    };
    if listed != contents.found {
        let differs = contents.found.iter().find(|sum| !listed.contains(sum));
        let missing = || listed.iter().find(|sum| !contents.found.contains(sum));
        let name = differs
            .or_else(missing)
            .map_or("one", |sum| sum.name.as_str());
        return Err(damaged(&format!(
            "of its files, {name} is missing or not as it was"
        )));
    }
    if let Some(name) = contents::needed(|name| contents.keys.contains_key(name)) {
        return Err(damaged(&format!("without {name} no server starts")));
    }
    let keys = contents.keys;
    Ok(Checked { about, keys })
}

/// The content of the file, proven or not.
#[derive(Default)]
struct Contents {
    about: Option<About>,
    rows: Option<u64>,
    keys: BTreeMap<String, Vec<u8>>,
    /// The sums of the files that are there.
    found: Vec<Sum>,
    /// The sums of the files that the backup says are there.
    listed: Option<Vec<Sum>>,
}

impl Contents {
    fn read(archive: &mut ArchiveReader<impl Read>) -> Result<Self, Box<dyn Error>> {
        let mut contents = Self::default();
        while let Some(entry) = archive.next_file()? {
            let mut content = Summing::new(archive.content(&entry));
            let mut text = Vec::new();
            match entry.name.as_str() {
                ROWS => contents.rows = Some(count(&mut content)?),
                ABOUT => {
                    content.read_to_end(&mut text)?;
                    contents.about = Some(serde_json::from_slice(&text)?);
                }
                SUMS => {
                    content.read_to_end(&mut text)?;
                    contents.listed = Some(serde_json::from_slice(&text)?);
                    continue;
                }
                name if contents::is_key(name) => {
                    content.read_to_end(&mut text)?;
                    contents.keys.insert(name.to_owned(), text);
                }
                _ => {}
            }
            io::copy(&mut content, &mut io::sink())?;
            contents.found.push(content.sum(&entry.name));
        }
        Ok(contents)
    }
}

fn count(content: impl Read) -> Result<u64, SnapshotError> {
    let mut reader = SnapshotReader::new(content)?;
    let mut count = 0;
    while reader.next_row()?.is_some() {
        count += 1;
    }
    Ok(count)
}

/// A whole store is not written over.
fn refuse_whole(data_dir: &DataDir) -> Result<(), Failure> {
    let store = data_dir.store();
    match SledStore::open(&store) {
        Ok(_) => {
            let what = format!("there is a whole store in {}", store.display());
            Err(Failure::new(Code::DataDir, what).help(
                "nothing was changed. To go back to the backup all the same, move that folder \
                 away first; or restore into another --data-dir",
            ))
        }
        Err(error) if matches!(error.fault(), Fault::Missing | Fault::Damaged) => Ok(()),
        Err(error) => Err(hoist_server::store_failure::store_failure(&error, data_dir)),
    }
}

/// Keys that are there must be those of the backup: no device would obey others.
fn same_fleet(data_dir: &DataDir, keys: &BTreeMap<String, Vec<u8>>) -> Result<(), Failure> {
    for (name, content) in keys {
        let own = data_dir.root().join(name);
        if !own.exists() {
            continue;
        }
        if std::fs::read(&own).map_err(|error| unusable(&own, &error))? != *content {
            let what = format!("{} is not that of the backup", own.display());
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
        let place = contents::place(&entry.name).map(|place| data_dir.root().join(place));
        let content = archive.content(&entry);
        if entry.name == ROWS {
            rows = import(&data_dir.store_new(), content).await?;
        } else {
            put(place, content).map_err(|error| unusable(data_dir.root(), &error))?;
        }
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

/// Makes the store of these rows, beside its place until everything else is there.
async fn import(new: &Path, content: impl Read + Send) -> Result<u64, Failure> {
    let failed =
        |error: &dyn std::error::Error| Failure::because(Code::Store, new.display(), error);
    let store = SledStore::create(new).map_err(|error| failed(&error))?;
    let reader = SnapshotReader::new(content).map_err(|error| failed(&error))?;
    let rows = snapshot::import(&store, reader).await;
    rows.map_err(|error| failed(&error))
}
