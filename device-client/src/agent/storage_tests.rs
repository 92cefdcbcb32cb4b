//! The state directory, when something of it cannot be read.

use hoist_protocol::release::ArtifactRef;

use super::*;
use crate::agent::files::SystemFiles;

fn installed(name: &str, byte: u8) -> InstalledArtifact {
    InstalledArtifact {
        name: name.parse().unwrap(),
        version: "1.0.0".into(),
        counter: 1,
        artifact: ArtifactId([byte; 16]),
        provides: Vec::new(),
        dir: PathBuf::new(),
        condition: Condition::Confirmed,
    }
}

#[test]
fn an_artifact_that_cannot_be_read_any_more_puts_everything_in_doubt_s12() {
    // bad-inputs row 58
    let dir = tempfile::tempdir().unwrap();
    let (mut storage, _) = Storage::open(Arc::new(SystemFiles), dir.path()).unwrap();
    storage.inventory.put(installed("app", 1));
    storage.inventory.put(installed("config", 2));
    let reference = ArtifactRef {
        size: 1,
        hash: [7; 32],
    };
    storage.release = Some(Arc::new(ReleaseManifest {
        name: "app".parse().unwrap(),
        version: "2.0.0".into(),
        counter: 2,
        floor: 0,
        device_types: Vec::new(),
        attributes: Vec::new(),
        artifacts: vec![reference],
    }));
    // Never fetched: nothing of it can have run.
    storage.keep(&Keep::Distrust).unwrap();
    assert!(storage.inventory.has(ArtifactId([1; 16])));
    let fetched = storage.download_dir(reference.id());
    std::fs::create_dir(&fetched).unwrap();
    std::fs::write(fetched.join("start"), b"damaged").unwrap();
    storage.keep(&Keep::Distrust).unwrap();
    let (reopened, _) = Storage::open(Arc::new(SystemFiles), dir.path()).unwrap();
    let doubt = |installed: &InstalledArtifact| installed.condition == Condition::InDoubt;
    assert_eq!(reopened.inventory.installed.len(), 2);
    assert!(reopened.inventory.installed.iter().all(doubt));
}
