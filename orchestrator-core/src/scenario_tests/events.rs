//! Events are numbered and kept in the commit of what they tell, and forgotten by count and age.

use super::*;
use crate::api::command::EventList;
use crate::engine::decide::decide;
use crate::model::effect::Event;
use crate::model::key::{EventHeadKey, EventKey, Prefix, RowKey};
use crate::model::row::{EventHeadRow, EventRow};
use crate::model::txn::Write;
use crate::reply::{EventItem, ListResult, ResultBody};
use crate::rules::event_history::{EVENTS_MAX, EVENTS_MS};

fn problem(number: u64) -> Input {
    Input::Happened(Box::new(Event::ServerDegraded {
        about: format!("thing {number}"),
        code: "E_SPACE".into(),
        detail: "full".into(),
        over: false,
    }))
}

fn head(world: &World) -> EventHeadRow {
    world.rows.read(&EventHeadKey).unwrap().unwrap()
}

fn page(world: &World, list: EventList) -> ListResult<EventItem> {
    match world.answer(&Command::EventList(list)) {
        ResultBody::Events(page) => page,
        other => panic!("no events: {other:?}"),
    }
}

/// Writes a row that no decision has made.
fn put<K: RowKey>(world: &mut World, key: &K, row: &K::Row) {
    let key = key.key();
    let stored = world.rows.stored(std::slice::from_ref(&key));
    world.rows.commit(&[Write {
        expected: stored[0].as_ref().map(|stored| stored.generation),
        bytes: Some(hoist_protocol::codec::encode(row)),
        key,
    }]);
}

/// The kinds of all events in the history.
fn kinds(world: &World) -> Vec<String> {
    let rows = world.rows.scan(&Prefix::Events.bytes());
    let kind = |(_, bytes): (&Key, &[u8])| {
        let row: EventRow = hoist_protocol::codec::decode(bytes).unwrap();
        row.kind
    };
    rows.into_iter().map(kind).collect()
}

#[test]
fn an_event_is_kept_with_its_group_in_the_decision_that_tells_it() {
    let mut world = World::with_devices(&["d1"]);
    let decision = world.decide(problem(1));
    assert_eq!(decision.kept.len(), 1);
    let kept = decision.kept[0];
    assert_eq!(kept.id.number, head(&world).number);
    let all = page(&world, EventList::default());
    let last = all.items.last().unwrap();
    assert_eq!(
        (last.id.clone(), last.kind.as_str()),
        (kept.id.to_string(), "server-degraded")
    );
    assert_eq!(last.data["about"], "thing 1");
    let added = all.items.iter().find(|item| item.kind == "device-added");
    assert_eq!(added.unwrap().data["group"], "eu");
    let behind = EventList {
        after_event: Some(all.items[0].id.clone()),
        ..EventList::default()
    };
    assert_eq!(page(&world, behind).items, all.items[1..]);
    let of_kind = EventList {
        kind: Some("server-degraded".into()),
        ..EventList::default()
    };
    assert_eq!(page(&world, of_kind).items.len(), 1);
    let of_another = EventList {
        after_event: Some("1-999".into()),
        ..EventList::default()
    };
    assert_eq!(page(&world, of_another).items, all.items, "another store's");
}

#[test]
fn the_history_is_bounded_by_count_and_by_age() {
    let mut world = World::with_devices(&[]);
    let _first = world.decide(problem(0));
    let before = head(&world);
    // As after very many: nobody waits for ten thousand decisions.
    let number = before.number + EVENTS_MAX;
    let row = world.rows.read(&EventKey(before.number)).unwrap().unwrap();
    put(&mut world, &EventKey(number), &row);
    put(
        &mut world,
        &EventHeadKey,
        &EventHeadRow { number, ..before },
    );
    let _more = world.decide(problem(1));
    let after = head(&world);
    assert_eq!((after.number, after.first), (number + 1, before.first + 2));
    assert_eq!(world.rows.read(&EventKey(before.first)).unwrap(), None);

    let mut world = World::with_devices(&[]);
    for number in 0..3 {
        let _kept = world.decide(problem(number));
    }
    let first = head(&world).first;
    world.pass(EVENTS_MS + 1);
    let _more = world.decide(problem(3));
    assert_eq!(head(&world).first, first + 2);
    let kept = kinds(&world).len() as u64;
    assert_eq!(kept, head(&world).number - head(&world).first + 1);
}

#[test]
fn many_events_of_a_batch_are_kept_with_few_looks_at_the_store() {
    let world = World::with_devices(&[]);
    let (mut txn, mut loads) = (Txn::default(), 0);
    for number in 0..200 {
        while let Err(undecided) = decide(&mut txn, &problem(number), world.now) {
            let Undecided::Missing(keys) = undecided else {
                panic!("{undecided}");
            };
            world.rows.load(&mut txn, keys);
            loads += 1;
        }
    }
    assert!(loads <= 12, "{loads}");
}
