//! The first thing a new user runs tells its whole story, with any seed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::harness::eventually;
use crate::harness::process::{Finish, HOIST, Process, installed, run};

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

/// A demo in a folder of its own, in a terminal; returns what a person sees.
fn in_terminal(dir: &Path, variables: &[(&str, &str)]) -> String {
    let mut script = Command::new("script");
    script
        .args(["-qec", &format!("{HOIST} demo --seed 1"), "/dev/null"])
        .env_remove("NO_COLOR")
        .env("TERM", "xterm")
        .env("TMPDIR", dir)
        .envs(variables.iter().copied());
    let output = script.finish();
    assert!(output.status.success(), "{}", said(&output));
    said(&output)
}

fn said(output: &Output) -> String {
    let streams = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&streams).into_owned()
}

#[test]
fn a_terminal_gets_color_unless_refused_and_its_last_picture_is_the_end_of_the_story() {
    if !installed("script") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let green = "\x1b[32m✓";
    for (variables, colored) in [
        (&[][..], true),
        (&[("NO_COLOR", "1")][..], false),
        (&[("NO_COLOR", "")][..], true),
    ] {
        let shown = in_terminal(dir.path(), variables);
        assert_eq!(shown.contains(green), colored, "{variables:?}: {shown}");
        let last = shown.rsplit("\x1b[?7l").next().unwrap();
        for (title, count) in [("successful", 24), ("in progress", 0), ("failed", 1)] {
            let of = |line: &&str| line.contains(&format!("  {title} "));
            let line = last.lines().find(of).unwrap();
            let ends = line.trim_end().ends_with(&format!(" {count}/25"));
            assert!(ends, "{title}: {line:?}");
        }
    }
}

#[test]
fn whatever_ends_the_demo_early_it_says_so_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let tmp = dir.path().join("tmp");
    fs::create_dir(&tmp).unwrap();
    for signal in ["INT", "TERM", "HUP"] {
        // Tests that were started by nohup would have it ignore the hangup, as they do.
        let mut demo = Command::new("env");
        demo.args(["--default-signal=HUP", HOIST, "demo", "--devices", "200"])
            .env("TMPDIR", &tmp);
        let mut demo = Process::spawn(&mut demo, &dir.path().join(signal));
        eventually("its devices to have keys", || {
            let folder = fs::read_dir(&tmp).unwrap().next()?.unwrap().path();
            let key = folder.join("devices/dev-001.state/device.key");
            key.exists().then_some(())
        });
        demo.signal(signal);
        assert_eq!(demo.wait().code(), Some(130), "{signal}: {}", demo.said());
        assert_eq!(fs::read_dir(&tmp).unwrap().count(), 0, "after {signal}");
    }
}

#[test]
fn a_data_directory_is_refused_because_the_demo_has_its_own() {
    let output = run(HOIST, &["demo", "--data-dir", "somewhere"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("--keep"), "{}", said(&output));
    assert!(!Path::new("somewhere").exists());
}

/// The commands that the demo proposes at its end.
fn next_commands(output: &Output) -> Vec<String> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let (_, next) = text.split_once("\nNext:\n").unwrap();
    let lines = next.lines().map(str::trim);
    let commands = lines.filter(|line| !line.starts_with('#'));
    commands.map(str::to_owned).collect()
}

#[test]
fn what_the_demo_proposes_at_its_end_works_as_printed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    symlink(root.join("examples"), path.join("examples")).unwrap();
    let settings = "mqtt = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\n";
    fs::write(path.join("settings"), settings).unwrap();
    let shell = |command: &str| {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", command])
            .current_dir(path)
            .env("HOIST_CONFIG", path.join("settings"))
            .env("TMPDIR", path);
        shell
    };
    let serve = |command: &str, data: &Path| {
        let mut shell = shell(&format!("exec {command}"));
        let server = Process::spawn(&mut shell, &path.join("server.log"));
        eventually("the server to be ready", || {
            data.join("run.json").exists().then_some(server.said())
        });
        server
    };
    let output = shell(&format!("{HOIST} demo")).finish();
    let commands = next_commands(&output);
    let [server, create, again] = &commands[..] else {
        panic!("{commands:?}");
    };
    let server = serve(server, &path.join("hoist-data"));
    let created = shell(create).finish();
    assert!(
        said(&created).starts_with("hello@1.0.0 "),
        "{}",
        said(&created)
    );
    drop(server);

    let output = shell(again).finish();
    let commands = next_commands(&output);
    let [server, status, list] = &commands[..] else {
        panic!("{commands:?}");
    };
    let data = server.rsplit(' ').next().unwrap();
    let _server = serve(server, Path::new(data));
    let status = shell(status).finish();
    assert!(said(&status).contains("24 of 25"), "{}", said(&status));
    let listed = shell(list).finish();
    assert!(said(&listed).contains("script-failed"), "{}", said(&listed));
}
