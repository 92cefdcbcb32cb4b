use super::*;

/// The variables Hoist reads: a closed list.
const VARIABLES: [&str; 7] = [
    "HOIST_DATA_DIR",
    "HOIST_CLIENT",
    "HOIST_CONFIG",
    "HOIST_BROKER",
    "HOIST_TOKEN_FILE",
    "HOIST_OUTPUT",
    "HOIST_LOG",
];

fn none(_: &str) -> Option<OsString> {
    None
}

fn file(text: &str) -> (tempfile::TempDir, Global) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hoist.toml");
    std::fs::write(&path, text).unwrap();
    let global = Global {
        config: Some(path),
        ..Global::default()
    };
    (dir, global)
}

#[test]
fn a_flag_beats_a_variable_beats_the_file_beats_the_default() {
    let (_dir, mut global) = file("data_dir = \"from-file\"\nlog = \"debug\"\n");
    let variable = |name: &str| (name == "HOIST_DATA_DIR").then(|| "from-variable".into());
    let resolve = |global: &Global, variables: Variables<'_>| {
        Settings::resolve(global, &Serve::default(), variables)
            .unwrap()
            .data_dir
    };
    assert_eq!(
        resolve(&Global::default(), &none).value,
        PathBuf::from("./hoist-data")
    );
    assert_eq!(resolve(&global, &none).value, PathBuf::from("from-file"));
    let chosen = resolve(&global, &variable);
    assert_eq!(chosen.value, PathBuf::from("from-variable"));
    assert_eq!(chosen.origin, Origin::Variable("HOIST_DATA_DIR"));
    global.data_dir = Some("from-flag".into());
    assert_eq!(
        resolve(&global, &variable).origin,
        Origin::Flag("--data-dir")
    );
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_what_was_meant() {
    // bad-inputs row 70
    let (_dir, global) = file("log = \"info\"\nnamspace = \"x\"\n");
    let failure = Settings::resolve(&global, &Serve::default(), &none).unwrap_err();
    assert_eq!(failure.code, "E_CONFIG");
    assert!(failure.what.contains("hoist.toml:2:"), "{failure}");
    assert_eq!(failure.help.as_deref(), Some("did you mean namespace?"));
}

#[test]
fn a_bad_unit_is_refused_with_its_line() {
    // bad-inputs row 70
    let (_dir, global) = file("\n\ngrace = \"60 parsecs\"\n");
    let failure = Settings::resolve(&global, &Serve::default(), &none).unwrap_err();
    assert!(failure.what.contains("hoist.toml:3:"), "{failure}");
    assert_eq!(crate::exit::of(&failure), crate::exit::USAGE);
}

#[test]
fn a_log_level_that_does_not_exist_is_refused_wherever_it_is_set() {
    let (_dir, global) = file("\nlog = \"frob\"\n");
    let failure = Settings::resolve(&global, &Serve::default(), &none).unwrap_err();
    assert!(failure.what.contains("hoist.toml:2:"), "{failure}");
    let variable = |name: &str| (name == "HOIST_LOG").then(|| "frob".into());
    let of_variable = Settings::resolve(&Global::default(), &Serve::default(), &variable);
    let failure = of_variable.unwrap_err();
    assert_eq!(crate::exit::of(&failure), crate::exit::USAGE);
    assert!(
        failure
            .what
            .contains("variable HOIST_LOG: log level \"frob\""),
        "{failure}"
    );
    assert!(failure.what.contains("debug"), "{failure}");
}

#[test]
fn every_setting_is_shown_with_its_origin() {
    let settings = Settings::resolve(&Global::default(), &Serve::default(), &none).unwrap();
    let rows = settings.rows();
    let names: Vec<&str> = rows.iter().map(|(name, ..)| *name).collect();
    assert_eq!(names, FILE_KEYS);
    assert!(rows.iter().all(|(.., origin)| origin == "default"));
}

#[test]
fn only_the_listed_variables_are_read() {
    let read = std::cell::RefCell::new(Vec::new());
    let spy = |name: &str| {
        read.borrow_mut().push(name.to_owned());
        None
    };
    Settings::resolve(&Global::default(), &Serve::default(), &spy).unwrap();
    assert!(
        read.borrow()
            .iter()
            .all(|name| VARIABLES.contains(&name.as_str()))
    );
}
