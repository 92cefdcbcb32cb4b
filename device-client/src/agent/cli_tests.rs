use super::*;

#[test]
fn a_state_directory_that_cannot_execute_is_no_right_configuration() {
    let host = HostConfig::local().unwrap();
    assert_eq!(check(&host, |_| false), USAGE);
    assert_eq!(check(&host, |_| true), OK);
}

#[test]
fn an_agent_with_no_process_before_it_is_warned_of_what_scripts_leave_behind() {
    assert!(alone(1).unwrap().contains("docker run --init"));
    assert_eq!(alone(2), None);
}

#[test]
fn no_line_of_help_is_wider_than_a_terminal() {
    let wide = HELP.lines().find(|line| line.chars().count() > 80);
    assert_eq!(wide, None);
}

fn parse_line(line: &str) -> Result<Parsed, String> {
    parse(line.split_whitespace().map(str::to_owned))
}

#[test]
fn arguments_are_read_in_any_order_and_typos_are_refused() {
    let config = Some(PathBuf::from("a.toml"));
    for line in [
        "apply x.hoist --config a.toml",
        "--config=a.toml apply x.hoist",
    ] {
        let verb = Verb::Apply("x.hoist".into());
        assert_eq!(parse_line(line), Ok(Parsed::Do(verb, config.clone())));
    }
    for line in ["apply --help", "apply -h", "apply x --help", "status -h"] {
        assert_eq!(parse_line(line), Ok(Parsed::Help), "{line}");
    }
    let enroll = |text: TextSource, device: Option<&str>| {
        let verb = Verb::Enroll(text, device.map(str::to_owned));
        Ok(Parsed::Do(verb, None))
    };
    let text = || TextSource::Argument("hoist-enroll:AQ".into());
    assert_eq!(parse_line("enroll hoist-enroll:AQ"), enroll(text(), None));
    let named = "--device d1 enroll hoist-enroll:AQ";
    assert_eq!(parse_line(named), enroll(text(), Some("d1")));
    assert_eq!(parse_line("status"), Ok(Parsed::Do(Verb::Status, None)));
    for line in [
        "apply",
        "enroll",
        "enroll --device d1",
        "enroll --file",
        "enroll --file a hoist-enroll:AQ",
        "enroll - --file a",
        "status --file a",
        "status --device d1",
        "apply --config a",
        "status run",
        "--conf a",
        "apply a b",
    ] {
        assert!(parse_line(line).is_err(), "{line}");
    }
}

#[test]
fn a_claims_secret_comes_by_a_file_or_by_standard_input_where_nobody_sees_it() {
    let from = |line: &str| match parse_line(line) {
        Ok(Parsed::Do(Verb::Enroll(text, _), _)) => text,
        other => panic!("{line}: {other:?}"),
    };
    for line in ["enroll -", "enroll - --device d1", "enroll --file -"] {
        assert_eq!(from(line), TextSource::Input, "{line}");
    }
    for line in ["enroll --file a.txt", "--file a.txt enroll --device d1"] {
        assert_eq!(from(line), TextSource::File("a.txt".into()), "{line}");
    }
    let refused = parse_line("enroll").unwrap_err();
    assert!(refused.contains("--file FILE"), "{refused}");
}
