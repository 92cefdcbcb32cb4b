use clap::CommandFactory;

use super::*;

fn parse(line: &str) -> Cli {
    Cli::try_parse_from(line.split(' ')).unwrap()
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn global_flags_stand_before_or_behind_the_command() {
    for line in [
        "hoist --data-dir d --client c release list -o json",
        "hoist release list --client c --data-dir d --output json",
    ] {
        let cli = parse(line);
        assert_eq!(cli.global.data_dir, Some(PathBuf::from("d")));
        assert_eq!(cli.global.client, Some(PathBuf::from("c")));
        assert_eq!(cli.global.output, Some(Format::Json));
    }
}

#[test]
fn watching_is_the_default_of_status() {
    let watch = |line| match parse(line).command {
        Command::Status(status) => status.watch,
        _ => unreachable!(),
    };
    assert!(watch("hoist status 1"));
    assert!(watch("hoist status 1 --watch --timeout 5s"));
    assert!(!watch("hoist status 1 --watch=false"));
}

#[test]
fn wrong_usage_is_refused_before_anything_happens() {
    for line in [
        "hoist",
        "hoist deploy a@1",
        "hoist deploy a@1 --group eu --limit 0",
        "hoist deploy a@1 --group eu --complete-when never",
        "hoist device move d",
        "hoist sim --devices 0",
        "hoist sim --devices 5 --loss 101%",
        "hoist release create d --no-upload",
        "hoist device add d --label novalue",
        "hoist user add bob --role king",
        "hoist pause 1",
    ] {
        let error = Cli::try_parse_from(line.split(' ')).unwrap_err();
        assert!(error.use_stderr(), "{line}");
    }
}

#[test]
fn whoever_names_no_number_of_a_deployment_is_told_where_the_numbers_are() {
    for line in [
        "hoist status x",
        "hoist status 1.5",
        "hoist status -1",
        "hoist deployment show hello@1.0.0",
        "hoist deployment retry x",
        "hoist deployment abort 99999999999",
        "hoist device why d --deployment x",
        "hoist device list --deployment x",
    ] {
        let error = Cli::try_parse_from(line.split(' '))
            .unwrap_err()
            .to_string();
        let named =
            error.contains("hoist deployment list") || error.contains("unexpected argument");
        assert!(named && !error.contains("digit"), "{line}: {error}");
    }
}

#[test]
fn no_line_of_help_is_wider_than_a_terminal() {
    fn check(command: &mut clap::Command, path: &str) {
        let path = format!("{path} {}", command.get_name());
        // Where there is no terminal, as here, clap would take a hundred columns.
        let mut narrow = command.clone();
        for text in [narrow.render_help(), narrow.render_long_help()] {
            for line in text.to_string().lines() {
                assert!(line.chars().count() <= 80, "{path}: {line}");
            }
        }
        for below in command.get_subcommands_mut() {
            check(below, &path);
        }
    }
    let mut command = Cli::command();
    command.build();
    check(&mut command, "");
}
