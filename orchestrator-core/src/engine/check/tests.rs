use hoist_protocol::codec::encode;

use super::*;
use crate::model::key::{
    AuditHeadKey, AuditKey, CounterKey, DeviceKey, EventHeadKey, EventKey, GroupCountKey,
    InstanceKey, MemberKey, Prefix, RowKey,
};

/// Rows of a small fleet, as the rules write them.
fn rows() -> Vec<(Key, Vec<u8>)> {
    crate::scenario_tests::rows_of_a_fleet()
        .scan(&Key(Vec::new()))
        .map(|(key, bytes)| (key.clone(), bytes.to_vec()))
        .collect()
}

fn checked(rows: &[(Key, Vec<u8>)]) -> (Extent, Vec<String>) {
    let mut check = Check::default();
    for (key, bytes) in rows {
        check.row(key, bytes);
    }
    let (extent, findings) = check.finish();
    let found = findings.listed.iter();
    let said = found.map(|finding| format!("{}: {}", finding.about, finding.what));
    (extent, said.collect())
}

/// The findings when the row under this key is changed.
fn after(key: &impl RowKey, change: impl FnOnce(&mut Vec<(Key, Vec<u8>)>, usize)) -> String {
    let mut rows = rows();
    let key = key.key();
    let place = rows.iter().position(|(of, _)| *of == key).unwrap();
    change(&mut rows, place);
    checked(&rows).1.join("\n")
}

#[test]
fn what_the_rules_wrote_fits_together() {
    let (extent, found) = checked(&rows());
    assert_eq!(found, Vec::<String>::new());
    assert_eq!((extent.devices, extent.deployments), (3, 2));
    assert!(extent.records > 0 && extent.releases > 0 && extent.groups > 1);
}

#[test]
fn an_event_that_is_gone_is_noticed() {
    let remove = |rows: &mut Vec<(Key, Vec<u8>)>, place: usize| drop(rows.remove(place));
    let last = rows().iter().filter(|(key, _)| key.0[0] == 39).count();
    assert!(last > 2);
    for number in [1, 2, u64::try_from(last).unwrap()] {
        let found = after(&EventKey(number), remove);
        assert!(found.contains("the history goes from 1 to "), "{found}");
    }
    assert!(after(&EventHeadKey, remove).contains("from 0 to 0"));
}

#[test]
fn an_audit_trail_that_was_changed_is_noticed_at_the_item() {
    let remove = |rows: &mut Vec<(Key, Vec<u8>)>, place: usize| drop(rows.remove(place));
    let change = |rows: &mut Vec<(Key, Vec<u8>)>, place: usize| rows[place].1[4] ^= 1;
    let missing = "audit item 2: it is missing, or not the last";
    assert!(after(&AuditKey(2), remove).contains(missing));
    let changed = "audit item 2: it does not follow the item before it";
    assert!(after(&AuditKey(2), change).contains(changed));
    let last = rows().iter().filter(|(key, _)| key.0[0] == 29).count();
    let last = AuditKey(u64::try_from(last).unwrap());
    assert!(after(&last, remove).contains("it is missing, or not the last"));
    assert!(after(&AuditHeadKey, remove).contains("the trail ends at 0"));
    // In whatever order the rows are read.
    let mut turned = rows();
    turned.reverse();
    assert_eq!(checked(&turned).1, Vec::<String>::new());
}

#[test]
fn every_row_that_is_lost_or_damaged_is_noticed_where_others_tell_of_it() {
    let device = || DeviceKey("d1".parse().unwrap());
    let group: GroupId = "eu".parse().unwrap();
    let member = MemberKey(group.clone(), "d1".parse().unwrap());
    let remove = |rows: &mut Vec<(Key, Vec<u8>)>, place: usize| drop(rows.remove(place));
    assert!(after(&device(), remove).contains("d1 is among its members and is not in it"));
    assert!(after(&member, remove).contains("it is not among the members of eu"));
    let count = GroupCountKey(group);
    assert!(after(&count, remove).contains("0 devices are counted, 3 are in it"));
    assert!(after(&InstanceKey::MAIN, remove).contains("the highest number given is 0"));
    let deployment = crate::model::key::DeploymentKey(DeploymentId(2));
    let lost = after(&deployment, remove);
    assert!(
        lost.contains("it lists deployment 2, which is not so"),
        "{lost}"
    );
    assert!(
        lost.contains("it has records or counters and is not there"),
        "{lost}"
    );
    let torn = |rows: &mut Vec<(Key, Vec<u8>)>, place: usize| {
        rows[place].1.pop();
    };
    assert!(after(&device(), torn).contains("device d1: it cannot be read"));
}

#[test]
fn counters_that_are_not_a_recount_and_rows_of_unknown_kinds_are_found() {
    let mut rows = rows();
    let prefix = Prefix::Counters(DeploymentId(2)).bytes();
    let counter = rows
        .iter()
        .position(|(key, _)| key.0.starts_with(&prefix.0));
    let place = counter.unwrap();
    rows[place].1 = encode(&CounterRow::default());
    rows.push((Key(vec![200, 1]), vec![1]));
    let found = checked(&rows).1.join("\n");
    assert!(
        found.contains("its counters are not what its records come to"),
        "{found}"
    );
    assert!(
        found.contains("of a kind that this version does not know"),
        "{found}"
    );
    let shard = hoist_protocol::id::Shard(0);
    assert!(CounterKey(DeploymentId(2), shard).key() > prefix);
}
