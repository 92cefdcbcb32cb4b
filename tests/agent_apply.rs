//! `hoist-agent apply`: the same machine, journal and scripts, without a server and
//! without a network.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::harness::process::{AGENT, Finish, Process};
use crate::harness::release::{Release, runs};
use crate::harness::server::Server;
use crate::harness::{eventually, write_private};

const HELLO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/hello");

/// A machine with nothing but the agent and what somebody brought to it.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn agent(&self, args: &[&str]) -> Output {
        Command::new(AGENT)
            .args(args)
            .current_dir(self.0.path())
            .env_remove("HOIST_CONFIG")
            .stdin(Stdio::null())
            .finish()
    }

    /// Applies a release; its exit code and everything it said.
    fn apply(&self, release: &Path, more: &[&str]) -> (i32, String) {
        let args = [&["apply", release.to_str().unwrap()], more].concat();
        said(&self.agent(&args))
    }

    fn content(&self, file: &str) -> String {
        let path = self.path("local.state/work").join(file);
        fs::read_to_string(path).unwrap_or_default()
    }
}

fn said(output: &Output) -> (i32, String) {
    let said = [&output.stdout[..], &output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(said).unwrap(),
    )
}

#[test]
fn a_directory_is_installed_and_one_that_fails_leaves_what_was_there() {
    let machine = Machine::new();
    let (code, said) = machine.apply(Path::new(HELLO), &[]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("hello@1.0.0 installed"), "{said}");
    assert!(machine.content("hello/greeting.txt").contains("1.0.0"));
    let (code, said) = machine.apply(Path::new(HELLO), &[]);
    assert_eq!((code, said.contains("already")), (0, true), "{said}");

    let bad = Release::write(machine.0.path(), "hello", "1.1.0", 2, "other");
    bad.script("install", "echo other > greeting.txt.new; mv greeting.txt greeting.txt.old; mv greeting.txt.new greeting.txt");
    bad.script("verify", "echo no such greeting; exit 4");
    bad.script("rollback", "mv greeting.txt.old greeting.txt");
    let (code, said) = machine.apply(bad.dir(), &[]);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("error[E_SCRIPT]"), "{said}");
    assert!(said.contains("verify ended with exit code 4"), "{said}");
    assert!(said.contains("| no such greeting"), "{said}");
    assert!(machine.content("hello/greeting.txt").contains("1.0.0"));

    let (code, said) = said_status(&machine);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("installed hello 1.0.0 counter 1"), "{said}");
}

fn said_status(machine: &Machine) -> (i32, String) {
    said(&machine.agent(&["status"]))
}

#[test]
fn a_way_back_that_fails_is_an_error_and_what_it_left_is_not_taken_for_installed() {
    // bad-inputs row 57
    let machine = Machine::new();
    let good = Release::write(machine.0.path(), "app", "1.0.0", 1, "good");
    assert_eq!(machine.apply(good.dir(), &[]).0, 0);
    let bad = Release::write(machine.0.path(), "app", "1.1.0", 2, "bad");
    bad.script("verify", "exit 1");
    bad.script("rollback", "exit 1");
    let (code, said) = machine.apply(bad.dir(), &[]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("error[E_ROLLBACK_FAILED]"), "{said}");
    assert!(said_status(&machine).1.contains("in doubt"));
    // The same release as before repairs it: it is not "already there".
    let (code, said) = machine.apply(good.dir(), &[]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(machine.content("app/content"), "good");
    assert!(!said_status(&machine).1.contains("in doubt"));
}

#[test]
fn what_is_no_release_or_does_not_fit_changes_nothing() {
    // bad-inputs rows 53 and 54
    let machine = Machine::new();
    let (code, said) = machine.apply(&machine.path("nothing"), &[]);
    let named = said.contains("error[E_RELEASE]") && said.contains("No such file");
    assert_eq!((code, named), (1, true), "{said}");
    let other = Release::write(machine.0.path(), "app", "1.0.0", 5, "x");
    other.setting("device_types = [\"another\"]");
    let (code, said) = machine.apply(other.dir(), &[]);
    assert_eq!((code, said.contains("E_HW")), (3, true), "{said}");
    let newer = Release::write(machine.0.path(), "app", "1.1.0", 5, "x");
    assert_eq!(machine.apply(newer.dir(), &[]).0, 0);
    let older = Release::write(machine.0.path(), "app", "0.9.0", 4, "x");
    let (code, said) = machine.apply(older.dir(), &[]);
    assert_eq!((code, said.contains("E_ROLLBACK")), (3, true), "{said}");
    let needs = Release::write(machine.0.path(), "ui", "1.0.0", 1, "x");
    needs.setting("depends = { app = \">=2\" }");
    let (code, said) = machine.apply(needs.dir(), &[]);
    assert_eq!((code, said.contains("E_DEPENDS")), (3, true), "{said}");
    assert_eq!(machine.content("ui/scripts.log"), "");
}

#[test]
fn a_hold_file_and_a_running_agent_come_first() {
    // bad-inputs row 63, for the agent
    let machine = Machine::new();
    fs::create_dir(machine.path("local.state")).unwrap();
    fs::write(machine.path("local.state/hold"), "").unwrap();
    let (code, said) = machine.apply(Path::new(HELLO), &[]);
    assert_eq!((code, said.contains("error[E_HELD]")), (1, true), "{said}");

    let server = Server::start();
    let config = server.add_device("dev-01", &[]);
    let _agent = server.agent(&config);
    let ready = config.with_extension("state").join("run.json");
    eventually("the agent to run", || ready.exists().then_some(()));
    let config = config.to_str().unwrap();
    let (code, said) = machine.apply(Path::new(HELLO), &["--config", config]);
    assert_eq!(
        (code, said.contains("error[E_LOCKED]")),
        (1, true),
        "{said}"
    );
}

/// A packed release, and the configuration of a device that never met its server.
fn packed(server: &Server, name: &str) -> (PathBuf, String) {
    let release = Release::write(server.scratch(), name, "1.0.0", 1, "content");
    let file = server.scratch().join(format!("{name}.hoist"));
    let data = server.data();
    let create = ["release", "create", release.dir().to_str().unwrap()];
    let out = ["--out", file.to_str().unwrap(), "--no-upload"];
    let data_dir = ["--data-dir", data.to_str().unwrap()];
    server.hoist_ok(&[&data_dir[..], &create, &out].concat());
    let config = server.add_device(name, &[]);
    (file, config.to_str().unwrap().to_owned())
}

#[test]
fn a_hoist_file_must_be_signed_by_the_release_key_of_the_pinned_root() {
    // bad-inputs rows 22 and 47
    let mut server = Server::start();
    let (file, config) = packed(&server, "app");
    // Both that it needs are named, with where they come from.
    let machine = Machine::new();
    let (code, unpinned) = machine.apply(&file, &[]);
    assert_eq!(code, 1, "{unpinned}");
    for told in ["error[E_ROOT]", "--config", "`hoist device add`"] {
        assert!(unpinned.contains(told), "{unpinned}");
    }
    let (code, said) = run_apply(&file, &config);
    assert_eq!((code, said.contains("error[E_ROOT]")), (1, true), "{said}");
    for said in [said, unpinned] {
        let found = "root.bin, from keys/ of the server's data directory";
        assert!(said.contains(found), "{said}");
    }

    let root = server.scratch().join("root.bin");
    fs::copy(server.data().join("keys/root.bin"), &root).unwrap();
    server.kill();
    let whole = fs::read(&file).unwrap();
    for (position, code) in [(40, "E_"), (whole.len() - 1, "E_HASH")] {
        let mut tampered = whole.clone();
        tampered[position] ^= 1;
        fs::write(&file, tampered).unwrap();
        let (exit, said) = run_apply(&file, &config);
        assert!(exit == 1 || exit == 3, "{said}");
        assert!(said.contains(&format!("error[{code}")), "{said}");
    }
    fs::write(&file, &whole).unwrap();
    let (code, said) = run_apply(&file, &config);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("app@1.0.0 installed"), "{said}");

    let other = Server::start();
    let (foreign, _) = packed(&other, "other");
    let beside = server.scratch().join("foreign.hoist");
    fs::copy(foreign, &beside).unwrap();
    let (code, said) = run_apply(&beside, &config);
    assert_eq!((code, said.contains("error[E_SIG]")), (1, true), "{said}");
}

fn run_apply(file: &Path, config: &str) -> (i32, String) {
    let args = ["apply", file.to_str().unwrap(), "--config", config];
    said(&Command::new(AGENT).args(args).finish())
}

#[test]
fn a_kill_in_the_middle_is_rolled_back_by_the_next_start_before_anything_else() {
    // bad-inputs row 59
    let machine = Machine::new();
    let trace = machine.path("trace");
    let begun = machine.path("begun");
    let release = Release::write(machine.0.path(), "app", "1.0.0", 1, "new").traced(&trace);
    release.script(
        "install",
        &format!(
            "echo half > content\n[ -e {0} ] || {{ : > {0}; sleep 600; }}\n\
             cp \"$HOIST_PAYLOAD_DIR/content\" content",
            begun.display()
        ),
    );
    let config = machine.path("agent.toml");
    let dir = release.dir().to_str().unwrap();
    let text = format!(
        "device = \"dev-01\"\nbroker = \"mqtt://127.0.0.1:1\"\ntoken = \"t\"\nroot_sha256 = \"{}\"\n",
        "ab".repeat(32)
    );
    write_private(&config, text);
    let args = ["apply", dir, "--config", config.to_str().unwrap()];
    let mut first = Process::start(AGENT, &args, &machine.path("log"));
    eventually("install to run", || begun.exists().then_some(()));
    first.kill();

    let (code, said) = said(&machine.agent(&args));
    assert_eq!(code, 0, "{said}");
    let kinds: Vec<String> = runs(&trace).into_iter().map(|run| run.kind).collect();
    let again = ["pre-install", "install", "verify"];
    let expected = [&["pre-install", "install", "rollback"][..], &again].concat();
    assert_eq!(kinds, expected);
    let content = machine.path("dev-01.state/work/app/content");
    assert_eq!(fs::read_to_string(content).unwrap(), "new");
}

#[test]
fn a_reboot_is_followed_by_verify_when_it_is_applied_again() {
    // bad-inputs row 61
    let machine = Machine::new();
    let trace = machine.path("trace");
    let release = Release::write(machine.0.path(), "app", "1.0.0", 1, "new").traced(&trace);
    release.setting("reboot = true");
    let (boot, asked) = (machine.path("boot"), machine.path("asked"));
    fs::write(&boot, "one").unwrap();
    let config = machine.path("agent.toml");
    let text = format!(
        "device = \"dev-01\"\nbroker = \"mqtt://127.0.0.1:1\"\ntoken = \"t\"\nroot_sha256 = \"{}\"\n\
         boot_id_file = {boot:?}\nreboot_command = [\"touch\", {asked:?}]\n",
        "ab".repeat(32)
    );
    write_private(&config, text);
    let dir = release.dir().to_str().unwrap();
    let args = ["apply", dir, "--config", config.to_str().unwrap()];
    let mut first = Process::start(AGENT, &args, &machine.path("log"));
    eventually("the reboot to be asked for", || {
        asked.exists().then_some(())
    });
    first.kill();
    fs::write(&boot, "two").unwrap();
    let (code, said) = said(&machine.agent(&args));
    assert_eq!(code, 0, "{said}");
    let verify: Vec<_> = runs(&trace)
        .into_iter()
        .filter(|run| run.kind == "verify")
        .map(|run| run.boot)
        .collect();
    // What was unfinished is finished first; then it is there already, and proves it.
    assert_eq!(verify, ["update", "normal"]);
}

#[test]
fn files_arrive_with_their_mode_and_scripts_find_a_home_and_what_they_say_is_logged() {
    let machine = Machine::new();
    let release = Release::write(machine.0.path(), "app", "1.0.0", 1, "x");
    let payload = release.dir().join("payload/content");
    fs::set_permissions(payload, fs::Permissions::from_mode(0o640)).unwrap();
    release.script(
        "install",
        "stat -c %a \"$HOIST_PAYLOAD_DIR/content\" > mode; echo \"$HOME\" > home\n\
         cp \"$HOIST_PAYLOAD_DIR/content\" content; echo all is well",
    );
    let (code, said) = machine.apply(release.dir(), &[]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(machine.content("app/mode").trim(), "640");
    let home = machine.path("local.state/work").canonicalize().unwrap();
    assert_eq!(
        PathBuf::from(machine.content("app/home").trim())
            .canonicalize()
            .unwrap(),
        home
    );
    assert!(said.contains("all is well"), "{said}");
}
