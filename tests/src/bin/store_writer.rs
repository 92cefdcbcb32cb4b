//! Writes numbered rows into a store, and says of each when it is durable: the program that a
//! test lets the disk of fail, or kills. It does what the server does when the store fails: it
//! reads again, and only then decides.
//!
//! `store_writer FOLDER ROWS [TRIES]`

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use hoist_orchestrator::store::sled::SledStore;
use hoist_orchestrator::store::{Change, Expected, Store, StoreError};

/// Rows are written over, as a server's are.
const KEYS: u64 = 5;
const PAUSE: Duration = Duration::from_millis(30);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, folder, rows, rest @ ..] = arguments.as_slice() else {
        eprintln!("store_writer FOLDER ROWS [TRIES]");
        return ExitCode::from(2);
    };
    let rows: u64 = rows.parse().expect("a number of rows");
    let tries: u32 = rest
        .first()
        .map_or(8, |text| text.parse().expect("a number"));
    let store = match SledStore::open(Path::new(folder)) {
        Ok(store) => store,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(4);
        }
    };
    for row in 1..=rows {
        let mut failed = 0;
        while let Err(error) = write(&store, row).await {
            eprintln!("row {row}: {error}");
            failed += 1;
            if failed == tries {
                return ExitCode::from(3);
            }
            // As the server does, so that the disk is not asked without a pause.
            tokio::time::sleep(PAUSE).await;
        }
        println!("{row}");
        std::io::stdout().flush().expect("somebody reads");
    }
    ExitCode::SUCCESS
}

/// What is there already is no news: it is answered without a write.
async fn write(store: &SledStore, row: u64) -> Result<(), StoreError> {
    let key = (row % KEYS).to_string().into_bytes();
    let found = store.load(vec![key.clone()]).await?.pop().flatten();
    let value = row.to_string().into_bytes();
    if found.as_ref().is_some_and(|found| found.value == value) {
        return Ok(());
    }
    let expected = found.map_or(Expected::Absent, |found| {
        Expected::Generation(found.generation)
    });
    let value = Some(value);
    let change = Change {
        key,
        expected,
        value,
    };
    match store.commit(vec![change]).await {
        Ok(()) => Ok(()),
        Err(hoist_orchestrator::store::CommitError::Store(error)) => Err(error),
        Err(conflict) => panic!("nobody else writes: {conflict}"),
    }
}
