//! Writes numbered rows into a store, and says of each when it is durable: the program that a
//! test lets the disk of fail, or kills. It does what the server does when the store fails: it
//! answers from what is durable, and reads again before it decides.
//!
//! `store_writer FOLDER ROWS [TRIES [BYTES [KEYS [FIRST]]]]`: a row has at least so many
//! bytes; those before the first are there already.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use hoist_orchestrator::store::sled::SledStore;
use hoist_orchestrator::store::{Change, CommitError, Expected, Store};

/// Rows are written over, as a server's are.
const KEYS: &str = "5";
const PAUSE: Duration = Duration::from_millis(30);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, folder, rows, rest @ ..] = arguments.as_slice() else {
        eprintln!("store_writer FOLDER ROWS [TRIES [BYTES [KEYS [FIRST]]]]");
        return ExitCode::from(2);
    };
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let given = |place: usize, or: &str| number(rest.get(place).map_or(or, String::as_str));
    let (rows, tries) = (number(rows), given(0, "8"));
    let rows_are = Rows {
        bytes: usize::try_from(given(1, "0")).expect("a length"),
        keys: given(2, KEYS),
    };
    let folder = Path::new(folder);
    let opened = match folder.join("FORMAT").exists() {
        true => SledStore::open(folder),
        false => SledStore::create(folder),
    };
    let store = match opened {
        Ok(store) => store,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(4);
        }
    };
    for row in given(3, "1")..=rows {
        let mut failed = 0;
        while let Err(error) = write(&store, row, &rows_are).await {
            eprintln!("row {row}: {error}");
            check(&store, row, &rows_are).await;
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

struct Rows {
    bytes: usize,
    keys: u64,
}

/// After a failure, what can be read is what was said to be durable; or the row that failed,
/// once the disk was read anew.
async fn check(store: &SledStore, failed: u64, Rows { keys, .. }: &Rows) {
    for newest in (1..failed)
        .rev()
        .take(usize::try_from(*keys).expect("a few"))
    {
        let key = (newest % keys).to_string().into_bytes();
        let Ok(mut found) = store.load(vec![key]).await else {
            continue;
        };
        let found = found.pop().flatten().expect("durable");
        let found = String::from_utf8(found.value).expect("digits");
        let found: u64 = found.trim().parse().expect("digits");
        let again = newest % keys == failed % keys && found == failed;
        assert!(found == newest || again, "{newest} is {found}");
    }
    let Ok(page) = store.scan(Vec::new(), None, 100).await else {
        return;
    };
    let rows = u64::try_from(page.items.len()).expect("a few");
    assert!(rows >= (failed - 1).min(*keys).min(100), "{rows} rows");
}

/// Writes one row. A row that is there already is no news: it is answered without a write.
async fn write(
    store: &SledStore,
    row: u64,
    Rows { bytes, keys }: &Rows,
) -> Result<(), CommitError> {
    let key = (row % keys).to_string().into_bytes();
    let found = store.load(vec![key.clone()]).await?.pop().flatten();
    let value = format!("{row:bytes$}").into_bytes();
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
    // A conflict is with the very row, which was durable although its write had failed.
    store.commit(vec![change]).await
}
