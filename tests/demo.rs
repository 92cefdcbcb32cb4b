//! The first thing a new user runs tells its whole story, with any seed.

use serde_json::{Value, json};

use crate::harness::process::{HOIST, run};

fn demo(seed: &str) -> Value {
    let output = run(HOIST, &["demo", "--json", "--seed", seed]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success(),
        "seed {seed}: {}\n{said}",
        output.status
    );
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "one line of JSON");
    let demo: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(demo["ok"], json!(true), "{demo}");
    demo
}

#[test]
fn the_demo_ends_as_told_with_different_seeds() {
    let (first, second) = (demo("1"), demo("2"));
    for demo in [&first, &second] {
        let counts =
            json!({"members": 25, "pending": 0, "inProgress": 0, "successful": 24, "failed": 1});
        assert_eq!(demo["counts"], counts, "{demo}");
        assert_eq!(demo["settled"], json!(true), "{demo}");
        assert!(demo["retried"].as_u64().unwrap() >= 1, "{demo}");
        assert_eq!(demo["rolledBack"], json!(1), "{demo}");
        let failure = &demo["failures"][0];
        assert_eq!(failure["reason"], json!("script-failed"), "{demo}");
        assert_eq!(failure["script"], json!("verify"), "{demo}");
        assert_eq!(failure["exit"], json!(1), "{demo}");
        assert_eq!(failure["rollback"], json!("ok"), "{demo}");
        assert!(
            demo["controlBytesPerDevice"].as_u64().unwrap() > 0,
            "{demo}"
        );
    }
    assert_ne!(
        first["failures"][0]["device"], second["failures"][0]["device"],
        "the seed decides"
    );
}
