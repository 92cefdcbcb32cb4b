use std::fs;

use super::*;

#[test]
fn a_script_is_started_by_its_first_line_and_a_program_by_itself() {
    for (bytes, interpreter) in [
        (&b"#!/bin/sh\nexit 0\n"[..], "/bin/sh"),
        (b"#! /usr/bin/env python3\n", "/usr/bin/env"),
        (b"#!/bin/sh", "/bin/sh"),
        // A carriage return further on is the script's own affair.
        (b"#!/bin/sh -e\nprintf 'a\r\n'\r\n", "/bin/sh"),
    ] {
        let expected = Start::Interpreter(interpreter.into());
        assert_eq!(read_start(bytes), Ok(expected));
    }
    assert_eq!(read_start(b"\x7fELF\x02\x01"), Ok(Start::Itself));
}

#[test]
fn what_no_system_could_start_is_named_with_the_fix() {
    // bad-inputs row 84
    let long = format!("#!/bin/sh {}\n", "x".repeat(START_BYTES));
    for (bytes, what, fix) in [
        (&b""[..], "is empty", "remove"),
        (b"\xef\xbb\xbf#!/bin/sh\n", "byte order mark", "sed -i"),
        (b"\xff\xfe#\0!\0", "UTF-16", "UTF-8"),
        (b"#!/bin/sh\r\nexit 0\r\n", "\"/bin/sh\\r\"", "s/\\r$//"),
        (b"#!/bin/sh\r", "CRLF", "sed -i"),
        (b"exit 0\n", "neither", "#!/bin/sh"),
        (b"#!\n", "neither", "#!/bin/sh"),
        (b"#!sh\n", "\"sh\"", "/bin/sh"),
        (long.as_bytes(), "more than 255 bytes", "shorten"),
    ] {
        let no_start = read_start(bytes).unwrap_err();
        assert!(no_start.to_string().contains(what), "{no_start}");
        let fixed = no_start.fix(Path::new("scripts/install"));
        assert!(fixed.contains(fix), "{fixed}");
    }
}

#[test]
fn a_missing_interpreter_is_named_and_not_the_script() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("install");
    let not_found = io::Error::from(io::ErrorKind::NotFound);
    let why = |text: &[u8]| {
        fs::write(&program, text).unwrap();
        why_not_started("scripts/install", &program, &not_found)
    };
    let text = why(b"#!/nowhere/bash\n");
    assert!(
        text.starts_with("interpreter /nowhere/bash of scripts/install not found"),
        "{text}"
    );
    assert!(why(b"#!/bin/sh\r\n").contains("CRLF"));
    assert!(why(b"\x7fELF").contains("loader"));
    fs::remove_file(&program).unwrap();
    let text = why_not_started("scripts/install", &program, &not_found);
    assert!(text.starts_with("cannot start scripts/install: "), "{text}");
}

#[test]
fn a_folder_that_is_not_there_yet_is_judged_by_the_one_above() {
    let dir = tempfile::tempdir().unwrap();
    let judge = |path: &Path| judge_nearest(path, |there| Ok(!there.starts_with(dir.path())));
    assert!(!judge(dir.path()));
    assert!(!judge(&dir.path().join("a/b")));
    assert!(judge(dir.path().parent().unwrap()));
    assert!(judge_nearest(dir.path(), |_| Err(
        io::ErrorKind::Unsupported.into()
    )));
    assert!(can_execute_below(dir.path()));
}
