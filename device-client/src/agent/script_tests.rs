//! The script zoo (bad-inputs row 56).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;

fn call(dir: &Path, body: &str) -> ScriptCall {
    let program = dir.join("script");
    fs::write(&program, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    ScriptCall {
        name: "scripts/install".to_owned(),
        program,
        cwd: dir.to_path_buf(),
        env: vec![("HOIST_DEVICE".to_owned(), "dev-01".to_owned())],
        timeout: Duration::from_secs(20),
        grace: Duration::from_secs(5),
    }
}

async fn run_body(body: &str) -> ScriptResult {
    let dir = tempfile::tempdir().unwrap();
    run(&call(dir.path(), body)).await
}

#[tokio::test]
async fn a_script_gets_its_variables_and_nothing_of_our_environment() {
    let result = run_body("env | cut -d= -f1 | sort; echo \"$HOIST_DEVICE\"").await;
    assert_eq!(result.exit, ScriptExit::Code(0));
    let log = String::from_utf8(result.log).unwrap();
    assert!(log.contains("dev-01"), "{log}");
    for name in ["CARGO", "HOME", "USER"] {
        assert!(!log.lines().any(|line| line == name), "{log}");
    }
}

#[tokio::test]
async fn exit_codes_and_signals_are_told_apart() {
    let later = run_body("exit 75").await;
    assert_eq!(
        (later.exit, later.left),
        (ScriptExit::Code(75), Left::default())
    );
    assert_eq!(run_body("exit 255").await.exit, ScriptExit::Code(255));
    assert_eq!(run_body("kill -9 $$").await.exit, ScriptExit::Signal(9));
}

#[tokio::test]
async fn both_streams_are_captured_in_order() {
    let result = run_body("echo one; echo two >&2; echo three").await;
    assert_eq!(result.log, b"one\ntwo\nthree\n");
    assert_eq!(result.tail, b"one\ntwo\nthree");
}

#[tokio::test]
async fn a_script_that_hangs_and_ignores_term_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut call = call(dir.path(), "trap '' TERM; while :; do sleep 1; done");
    call.timeout = Duration::from_millis(200);
    call.grace = Duration::from_millis(200);
    let begun = Instant::now();
    assert_eq!(run(&call).await.exit, ScriptExit::Timeout);
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn term_lets_a_script_clean_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut call = call(
        dir.path(),
        "trap 'echo cleaned; exit 1' TERM; while :; do sleep 0.05; done",
    );
    call.timeout = Duration::from_millis(300);
    let result = run(&call).await;
    assert_eq!(result.exit, ScriptExit::Timeout);
    // The shell itself says "Terminated" of its child first.
    assert!(result.tail.ends_with(b"cleaned"));
}

const KILLED: Left = Left {
    killed: true,
    living: false,
};

#[tokio::test]
async fn a_child_left_in_the_background_neither_delays_the_end_nor_survives() {
    let dir = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let result = run(&call(dir.path(), "sleep 600 & echo $!")).await;
    assert_eq!((result.exit, result.left), (ScriptExit::Code(0), KILLED));
    assert!(begun.elapsed() < Duration::from_secs(10));
    let child = String::from_utf8(result.tail).unwrap();
    assert!(is_gone(&child).await, "process {child} still runs");
}

/// Killed, even when nobody has reaped it yet.
async fn is_gone(pid: &str) -> bool {
    let stat = format!("/proc/{pid}/stat");
    for _ in 0..200 {
        match fs::read_to_string(&stat) {
            Ok(stat) if !stat.contains(") Z") => sleep(Duration::from_millis(10)).await,
            _ => return true,
        }
    }
    false
}

#[tokio::test]
async fn a_daemon_outside_the_group_that_keeps_the_output_open_does_not_hang_us() {
    let begun = Instant::now();
    let result = run_body("setsid sleep 15 & echo done").await;
    assert_eq!(result.exit, ScriptExit::Code(0));
    // It may be killed before it has a session of its own.
    assert_ne!(result.left, Left::default());
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn what_was_killed_and_what_lives_on_are_both_told() {
    let body = "setsid sh -c '> there; exec sleep 15' & sleep 600 &\n\
                while [ ! -e there ]; do sleep 0.02; done";
    let result = run_body(body).await;
    let both = Left {
        living: true,
        ..KILLED
    };
    assert_eq!((result.exit, result.left), (ScriptExit::Code(0), both));
}

#[tokio::test]
async fn endless_output_is_bounded_and_its_end_is_kept() {
    let result = run_body("head -c 3000000 /dev/zero | tr '\\0' x; echo; echo last").await;
    assert_eq!(result.exit, ScriptExit::Code(0));
    assert_eq!(result.log.len(), LOG_BYTES_MAX);
    assert!(result.tail.len() <= OUTPUT_BYTES_MAX);
    assert!(result.tail.ends_with(b"last"));
}

#[tokio::test]
async fn a_script_that_cannot_start_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut call = call(dir.path(), "exit 0");
    fs::write(&call.program, "#!/no/such/interpreter\n").unwrap();
    let result = run(&call).await;
    assert_eq!(result.exit, ScriptExit::NotStarted);
    let said = String::from_utf8(result.tail).unwrap();
    let expected = "interpreter /no/such/interpreter of scripts/install not found";
    assert!(said.starts_with(expected), "{said}");
    call.program = dir.path().join("missing");
    let result = run(&call).await;
    assert_eq!(result.exit, ScriptExit::NotStarted);
    assert!(!result.tail.is_empty());
}

#[test]
fn a_tail_never_begins_inside_a_character() {
    let mut log = Log::default();
    log.push("é".repeat(200).as_bytes());
    log.push(b"x");
    let tail = log.tail();
    assert!(tail.len() <= OUTPUT_BYTES_MAX);
    assert!(std::str::from_utf8(&tail).is_ok());
}
