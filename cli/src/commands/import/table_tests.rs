use super::*;

fn ids(table: &Table) -> Vec<(u64, &str)> {
    assert_eq!(table.faults, []);
    let rows = table.rows.iter();
    rows.map(|row| (row.line, row.device.device.as_str()))
        .collect()
}

fn faults(content: &str) -> Vec<(u64, String)> {
    let faults = read(content.as_bytes()).faults.into_iter();
    faults.map(|fault| (fault.line, fault.what)).collect()
}

#[test]
fn what_a_spreadsheet_writes_is_read() {
    let table = read(
        b"\xef\xbb\xbfid;type;group;public_key\r\npump-01;pump;site-a;\r\n\"pump-02\";\"pump\";\"site-a\";\r\npump-04;;site-b;\r\n",
    );
    assert_eq!(
        ids(&table),
        [(2, "pump-01"), (3, "pump-02"), (4, "pump-04")]
    );
    let last = &table.rows[2].device;
    assert_eq!(
        (last.device_type.as_deref(), last.group.as_deref()),
        (None, Some("site-b"))
    );
}

#[test]
fn columns_stand_in_any_order_and_only_the_id_is_needed() {
    let table = read(b"GROUP, id ,labels\nsite-a, d1 ,site=north row=3\n,d2,\n");
    assert_eq!(ids(&table), [(2, "d1"), (3, "d2")]);
    let labels = &table.rows[0].device.labels;
    assert_eq!(labels.len(), 2);
    assert_eq!(labels["row"], "3");
    assert_eq!(table.rows[1].device.group, None);
    assert_eq!(ids(&read(b"id\nd1\n")), [(2, "d1")]);
}

#[test]
fn the_line_of_every_fault_is_named_whatever_ends_the_lines() {
    let file = "id,type,group,public_key\n00:11:22,pump,site-a,\n\nd2,pump,site-a\nd3,,,zz\nd4,,,\nd4,,,\n,,,\n";
    for file in [file.to_owned(), file.replace('\n', "\r\n")] {
        let faults = faults(&file);
        let lines: Vec<u64> = faults.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 4, 5, 7, 8], "{faults:?}");
        assert!(faults[0].1.contains("00:11:22") && faults[0].1.contains(':'));
        assert_eq!(faults[1].1, "the line has 3 fields, the header 4");
        assert_eq!(
            faults[2].1,
            "the public_key is not an Ed25519 public key, 64 hex digits"
        );
        assert_eq!(faults[3].1, "d4 is on line 6 too");
        assert_eq!(faults[4].1, "there is no id");
    }
}

#[test]
fn one_key_for_two_devices_is_refused() {
    let key = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29";
    let upper = key.to_ascii_uppercase();
    let file = format!("id,public_key\nd1,{key}\nd2,{upper}\n");
    let expected = (3, "line 2 has this public_key too".to_owned());
    assert_eq!(faults(&file), [expected]);
}

#[test]
fn a_file_that_is_no_fleet_is_refused_with_what_it_should_be() {
    for (file, what) in [
        (
            "",
            "the file is empty; it begins with id,type,group,public_key",
        ),
        (
            "type,group\na,b\n",
            "there is no column id; the file begins with id,type,group,public_key",
        ),
        (
            "id,groop\nd1,a\n",
            "\"groop\" is no column; the columns are id, type, group, public_key, labels, did you mean group?",
        ),
        ("id,id\nd1,d1\n", "the column id is there twice"),
        ("id,type\n", "no device follows the header"),
    ] {
        assert_eq!(faults(file), [(1, what.to_owned())], "{file}");
    }
}

#[test]
fn an_open_quote_and_foreign_bytes_are_named() {
    assert_eq!(
        faults("id,type\n\"d1,pump\nd2,pump\n"),
        [(
            2,
            "id goes on over the end of the line; is a quote not closed?".to_owned()
        )]
    );
    for cut_off in [
        "id,type\nd1,\"pump",
        "id,type\nd1,\"pump\n",
        "id,type\r\nd1,\"pump\r\n",
    ] {
        let open = "type goes on over the end of the line; is a quote not closed?";
        assert_eq!(faults(cut_off), [(2, open.to_owned())], "{cut_off:?}");
    }
    let table = read(b"id,type\nd1,p\xfcmp\nd2,pump\n");
    assert_eq!(table.faults.len(), 1);
    assert_eq!(table.faults[0].line, 2);
    assert!(table.faults[0].what.contains("UTF-8"));
    assert_eq!(table.rows.len(), 1);
}

#[test]
fn a_label_that_is_there_twice_and_a_key_that_is_none_are_named() {
    // bad-inputs row 72
    let none = "0".repeat(64);
    assert_eq!(
        faults(&format!(
            "id,labels,public_key\nd1,a=1 b=2 a=3,\nd2,,{none}\n"
        )),
        [
            (2, "the label \"a\" is there twice".to_owned()),
            (
                3,
                "the public_key is not an Ed25519 public key, 64 hex digits".to_owned()
            )
        ]
    );
}

#[test]
fn an_id_that_stands_twice_is_named_also_where_its_first_line_is_wrong() {
    let faults = faults("id,public_key\nd1,zz\nd1,\n,zz\n");
    let lines: Vec<u64> = faults.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [2, 3, 4], "{faults:?}");
    assert_eq!(faults[1].1, "d1 is on line 2 too");
}
