use super::*;

const KEYS: [&str; 8] = [
    "device", "broker", "count", "flag", "list", "pairs", "tables", "items",
];

fn refusal<T>(
    text: &str,
    ask: impl FnOnce(&mut Table<'_>) -> Result<T, TomlError>,
) -> (usize, String) {
    let error = read(Path::new("a.toml"), text, &KEYS, ask).err().unwrap();
    (error.line, error.detail)
}

#[test]
fn an_unknown_key_names_its_line_and_the_closest_known_key() {
    // bad-inputs row 70
    let text = "device = \"d1\"\n\nbrokr = \"x\"\n";
    let error = read(Path::new("a.toml"), text, &KEYS, |_| Ok(())).unwrap_err();
    assert_eq!(error.line, 3);
    assert_eq!(error.hint.as_deref(), Some("broker"));
    assert!(
        error
            .to_string()
            .starts_with("a.toml:3: unknown field `brokr`")
    );
}

#[test]
fn every_kind_of_value_is_read_as_it_was_written() {
    let text = "device = 'a\\b'\ncount = 1_000\nflag = true\nlist = [\"x\", \"y\"]\n\
                pairs = { k = \"v\" }\nitems = [[\"a\", \"1\"]]\n[tables.one]\ncount = 0xff\n";
    read(Path::new("a.toml"), text, &KEYS, |table| {
        assert_eq!(table.string("device")?.as_deref(), Some("a\\b"));
        assert_eq!(table.string("broker")?, None);
        assert_eq!(table.number("count", 1_000)?, Some(1_000));
        assert!(table.flag("flag")?);
        assert_eq!(table.strings("list")?.unwrap(), ["x", "y"]);
        assert_eq!(table.pairs("pairs")?, [("k".to_owned(), "v".to_owned())]);
        assert_eq!(table.pair_list("items")?, [("a".into(), "1".into())]);
        let mut tables = table.tables("tables", &["count"])?;
        let (name, one) = &mut tables[0];
        assert_eq!(name, "one");
        assert_eq!(one.number("count", 255)?, Some(255));
        Ok(())
    })
    .unwrap();
}

#[test]
fn what_does_not_fit_is_refused_with_its_line() {
    // bad-inputs row 70
    let number = |table: &mut Table<'_>| table.number("count", 255);
    assert_eq!(
        refusal("\ncount = 256", number),
        (2, "count is not a number from 0 to 255".into())
    );
    for value in ["-1", "1.5", "\"1\"", "[1]", "2026-01-01"] {
        assert_eq!(refusal(&format!("count = {value}"), number).0, 1, "{value}");
    }
    let list = |table: &mut Table<'_>| table.strings("list");
    assert_eq!(refusal("\nlist = [\"a\", 1]", list).0, 2);
    let items = |table: &mut Table<'_>| table.pair_list("items");
    assert_eq!(refusal("items = [[\"a\"]]", items).0, 1);
    let tables = |table: &mut Table<'_>| table.tables("tables", &["count"]).map(|_| ());
    assert_eq!(
        refusal("[tables.one]\ncoun = 1", tables),
        (2, "unknown field `coun`".into())
    );
    let device = |table: &mut Table<'_>| table.required("device");
    assert_eq!(refusal("flag = true", device).1, "missing field `device`");
    assert_eq!(refusal("device = \"a\"\ndevice = \"b\"", device).0, 2);
    assert_eq!(refusal("\n\ndevice = ", device).0, 3);
}

#[test]
fn a_quoted_text_is_read_back() {
    for text in [
        "",
        "plain",
        "a\"b\\c",
        "line\nend\t\u{7f}",
        "größe \u{1f600}",
    ] {
        let file = format!("device = {}", quoted(text));
        let back = read(Path::new("a.toml"), &file, &KEYS, |t| t.required("device"));
        assert_eq!(back.unwrap(), text);
    }
}

#[test]
fn the_line_of_a_key_is_found_for_values_that_do_not_fit() {
    assert_eq!(line_of_key("a = 1\nkeep_alive = \"x\"\n", "keep_alive"), 2);
}
