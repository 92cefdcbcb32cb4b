//! Filters of topics are values of one type; their text is made in `protocol` alone.

use crate::harness::sources::sources;

/// The first levels of topics.
const FIRST: [&str; 14] = [
    "g", "d", "r", "k", "s", "p", "i", "e", "b", "n", "cmd", "reply", "view", "event",
];

/// A text of a filter that is written out in a line of code.
fn written_out(line: &str) -> Option<&str> {
    let texts = line.split('"').skip(1).step_by(2);
    let is_filter = |text: &&str| {
        let mut levels = text.split('/').skip_while(|level| *level == "hoist");
        let first = levels.next().unwrap_or_default();
        FIRST.contains(&first) && levels.any(|level| matches!(level, "+" | "#"))
    };
    texts.into_iter().find(is_filter)
}

#[test]
fn no_filter_is_written_out_outside_of_the_protocol() {
    for text in ["g/+", "hoist/view/#", "cmd/{user}/+/+"] {
        assert!(written_out(&format!("let it = {text:?};")).is_some());
    }
    let files = sources();
    let mut found = Vec::new();
    for file in files
        .iter()
        .filter(|file| !file.path.starts_with("protocol/"))
    {
        let code = file.text.lines().enumerate();
        let code = code.filter(|(_, line)| !line.trim_start().starts_with("//"));
        let places = code.filter_map(|(number, line)| {
            let text = written_out(line)?;
            Some(format!("{}:{}: {text}", file.path, number + 1))
        });
        found.extend(places);
    }
    assert_eq!(found, Vec::<String>::new());
}
