//! The text that sets a device up holds a secret: it can be given without anybody seeing it.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::enroll::{said, server, text};
use crate::harness::process::{AGENT, Process, run};
use crate::harness::{eventually, write_private};

/// True if it stands in the arguments of any program of this machine.
fn is_seen(secret: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let arguments = processes.filter_map(|one| std::fs::read(one.path().join("cmdline")).ok());
    let mut arguments = arguments.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    arguments.any(|words| words.contains(secret))
}

#[test]
fn a_device_waits_for_approval_by_a_text_that_no_list_of_programs_shows() {
    let server = server();
    let text = text(&server, &["--approve", "--uses", "2"]);
    let secret = text.split_at(text.len() / 2).1;
    let file = server.scratch().join("text");
    write_private(&file, format!("{text}\n"));
    let config = server.scratch().join("pump-1.toml");
    let [file, config] = [&file, &config].map(|path| path.to_str().unwrap());
    let args = [
        "enroll", "--file", file, "--device", "pump-1", "--config", config,
    ];
    let log = server.scratch().join("enroll.log");
    let mut waiting = Process::start(AGENT, &args, &log);
    eventually("the device to wait", || {
        waiting.said().contains("E_PENDING").then_some(())
    });
    assert!(!is_seen(secret));
    let says = waiting.said();
    let fingerprint = says
        .trim_end()
        .rsplit([' ', '`'])
        .find(|word| word.len() == 32);
    let fingerprint = fingerprint.unwrap();
    server.hoist_ok(&["device", "approve", "pump-1", "--fingerprint", fingerprint]);
    assert!(waiting.wait().success());

    // As an argument it is seen, as long as the program runs.
    let config = server.scratch().join("pump-2.toml");
    let config = config.to_str().unwrap();
    let args = ["enroll", &text, "--device", "pump-2", "--config", config];
    let _waiting = Process::start(AGENT, &args, &log.with_extension("2"));
    eventually("the text to be seen", || is_seen(secret).then_some(()));
}

#[test]
fn a_text_comes_by_standard_input_and_a_file_that_others_can_read_is_warned_of() {
    let server = server();
    let text = text(&server, &["--uses", "2"]);
    let config = |device: &str| -> PathBuf { server.scratch().join(format!("{device}.toml")) };
    let mut command = Command::new(AGENT);
    command.args(["enroll", "-", "--device", "pump-1", "--config"]);
    command.arg(config("pump-1")).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // It stays open: a line is enough.
    writeln!(input, "{text}").unwrap();
    assert!(child.wait().unwrap().success());
    drop(input);

    let file = server.scratch().join("text");
    std::fs::write(&file, &text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (file, second) = (file.to_str().unwrap(), config("pump-2"));
    let args = ["enroll", "--file", file, "--device", "pump-2", "--config"];
    let enrolled = run(AGENT, &[&args[..], &[second.to_str().unwrap()]].concat());
    assert!(enrolled.status.success(), "{}", said(&enrolled));
    let warned = said(&enrolled);
    assert!(
        warned.contains("E_EXPOSED") && warned.contains("chmod 600"),
        "{warned}"
    );
    assert!(second.exists() && config("pump-1").exists());

    let nothing = run(AGENT, &["enroll", "--file", "/nowhere/text"]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(
        said(&nothing).contains("/nowhere/text"),
        "{}",
        said(&nothing)
    );
}
