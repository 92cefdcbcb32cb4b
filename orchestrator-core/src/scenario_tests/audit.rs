//! The audit trail tells once of each command that changed something or was refused to, and of no
//! other one; and of what changed without a command.

use super::*;
use crate::api::command::{AuditList, UserAdd};
use crate::model::error::Rejection;
use crate::model::key::{AuditHeadKey, AuditKey, RowKey};
use crate::model::row::{AuditChain, AuditHeadRow, AuditRow, Deed};
use crate::reply::{AuditItem, ListResult};
use crate::rules::audit::REFUSALS_MS;

mod beside;

/// Verb, target and result of each item, of a trail that is whole.
fn told(world: &World) -> Vec<(String, String, &'static str)> {
    let mut chain = AuditChain::default();
    let mut told = Vec::new();
    for (_, bytes) in world.rows.scan(&Prefix::Audit.bytes()) {
        let item: AuditRow = hoist_protocol::codec::decode(bytes).unwrap();
        assert!(chain.take(&item), "{item:?}");
        assert_eq!((item.user, item.from.as_str()), (alice(), "192.0.2.7"));
        let result = item.result.map_or("ok", Code::as_str);
        told.push((item.verb, item.target, result));
    }
    let head = world.rows.read(&AuditHeadKey).unwrap().unwrap_or_default();
    assert_eq!((head.number, head.hash), (chain.items, chain.hash));
    told
}

/// The items since there were so many.
fn since(world: &World, before: usize) -> Vec<(String, String, &'static str)> {
    told(world).split_off(before)
}

fn item(verb: &str, target: &str, result: &'static str) -> (String, String, &'static str) {
    (verb.to_owned(), target.to_owned(), result)
}

#[test]
fn each_change_is_told_with_its_names_and_each_refusal_with_its_code() {
    let mut world = World::with_devices(&["d1"]);
    let expected = [
        item("group-create", "eu", "ok"),
        item("release-add", "fw@1.0.0", "ok"),
        item("device-add", "d1 eu", "ok"),
    ];
    assert_eq!(told(&world), expected);
    let id = world.deploy("fw@1.0.0");
    world.say("d1", failed(1, id));
    world.retry(id, Some(&["d1"]));
    world.abort(id);
    world.hold("d1", true);
    world.hold("d1", false);
    world.create_group("us");
    world.move_to("d1", "us");
    world.move_to("d1", "nowhere");
    world.order(Command::Deploy(deploy("fw@9.9.9")));
    world.remove("d1");
    let expected = [
        item("deploy", "fw@1.0.0 eu", "ok"),
        item("retry", "1 d1", "ok"),
        item("abort", "1", "ok"),
        item("device-hold", "d1 held", "ok"),
        item("device-hold", "d1 lifted", "ok"),
        item("group-create", "us", "ok"),
        item("device-move", "d1 us", "ok"),
        item("device-move", "d1 nowhere", "E_GROUP"),
        item("deploy", "fw@9.9.9 eu", "E_RELEASE"),
        item("device-remove", "d1", "ok"),
    ];
    assert_eq!(since(&world, 3), expected);
}

#[test]
fn a_repeat_a_question_and_a_dry_run_are_not_told() {
    let mut world = World::with_devices(&["d1"]);
    let input = world.input(Command::Deploy(deploy("fw@1.0.0")));
    world.send(input.clone());
    let before = told(&world).len();
    world.send(input.clone());
    world.send(input);
    for dry in ["fw@1.0.0", "fw@9.9.9"] {
        world.order(Command::Deploy(Deploy {
            dry_run: true,
            ..deploy(dry)
        }));
    }
    let mut dry = world.input(Command::Deploy(Deploy {
        dry_run: true,
        ..deploy("fw@1.0.0")
    }));
    dry.role = Some(Role::Viewer);
    world.send(dry);
    let list = world.input(Command::GroupList(GroupList::default()));
    let _a_query = world.decide(Input::Command(Box::new(list)));
    assert_eq!(told(&world).len(), before);
}

#[test]
fn refusals_that_nobody_remembers_are_told_once_a_second() {
    let mut world = World::with_devices(&[]);
    let before = told(&world).len();
    let refuse = |world: &mut World| {
        let mut input = world.input(Command::Deploy(deploy("fw@1.0.0")));
        input.role = Some(Role::Viewer);
        assert_eq!(refusal(&world.send(input)), Some(Code::Role));
    };
    for _ in 0..1_000 {
        refuse(&mut world);
    }
    assert_eq!(
        since(&world, before),
        [item("deploy", "fw@1.0.0 eu", "E_ROLE")]
    );
    world.pass(REFUSALS_MS - 1);
    refuse(&mut world);
    assert_eq!(since(&world, before).len(), 1);
    world.pass(1);
    refuse(&mut world);
    assert_eq!(since(&world, before).len(), 2);
    // A clock that is set back holds nothing up.
    world.now.unix_ms -= 1_000_000;
    refuse(&mut world);
    assert_eq!(since(&world, before).len(), 3);
    // What is carried out meanwhile is told all the same.
    world.create_group("us");
    world.create_group("asia");
    assert_eq!(since(&world, before).len(), 5);
}

#[test]
fn a_command_that_cannot_be_read_is_told_by_its_verb_and_a_verb_that_nobody_has_is_not() {
    let mut world = World::with_devices(&[]);
    let before = told(&world).len();
    let malformed = |world: &mut World, verb: &str| {
        let mut input = world.input(Command::GroupList(GroupList::default()));
        input.command = Err(Rejection::new(Code::Command, "a field is missing"));
        input.verb = verb.to_owned();
        world.send(input);
        world.pass(REFUSALS_MS);
    };
    for verb in ["dance", "group-list", "deploy", "deployment-abort"] {
        malformed(&mut world, verb);
    }
    let expected = [item("deploy", "", "E_CMD"), item("abort", "", "E_CMD")];
    assert_eq!(since(&world, before), expected);
}

#[test]
fn what_is_done_about_a_user_is_told_when_it_is_done() {
    let mut world = World::with_devices(&[]);
    let before = told(&world).len();
    let add = UserAdd {
        user: "vera".into(),
        role: Role::Viewer,
        groups: Vec::new(),
        token_sha256: "22".repeat(32),
        dry_run: false,
    };
    let input = world.input(Command::UserAdd(add));
    let decision = world.decide(Input::Command(Box::new(input)));
    assert_eq!(told(&world).len(), before, "nothing is done yet");
    let Some(Response::ManageUser {
        deed, body_hash, ..
    }) = decision.response
    else {
        panic!("the adapter keeps the users")
    };
    let answer = Answer::UserManaged(crate::reply::UserResult {
        user: "vera".into(),
    });
    world.tell(Input::UserManaged {
        deed: Box::new(deed),
        body_hash,
        answer: Box::new(answer),
    });
    let rows = world.rows.scan(&Prefix::Audit.bytes());
    let secret = "22".repeat(8).into_bytes();
    for (_, bytes) in rows {
        assert!(!bytes.windows(secret.len()).any(|part| part == secret));
    }
    assert_eq!(
        since(&world, before),
        [item("user-add", "vera viewer", "ok")]
    );
}

#[test]
fn a_trail_whose_end_is_lost_is_not_written_over() {
    let mut world = World::with_devices(&[]);
    let item = world.rows.read(&AuditKey(1)).unwrap().unwrap();
    let lost = crate::model::txn::Write {
        key: AuditHeadKey.key(),
        expected: None,
        bytes: None,
    };
    world.rows.commit(&[lost]);
    let input = world.input(Command::GroupCreate(GroupCreate {
        group: "us".into(),
        selector: None,
        dry_run: false,
    }));
    let refused = world
        .rows
        .decide(&Input::Command(Box::new(input)), world.now);
    assert!(matches!(refused, Err(Undecided::Damaged(_))), "{refused:?}");
    assert_eq!(world.rows.read(&AuditKey(1)).unwrap(), Some(item));
    assert_eq!(
        world.rows.read(&AuditHeadKey).unwrap(),
        None::<AuditHeadRow>
    );
}

fn page(world: &World, list: AuditList) -> ListResult<AuditItem> {
    match world.answer(&Command::AuditList(list)) {
        ResultBody::Audit(page) => page,
        other => panic!("not an audit trail: {other:?}"),
    }
}

#[test]
fn the_trail_is_listed_oldest_first_page_by_page_and_by_user_and_time() {
    let mut world = World::with_devices(&[]);
    world.pass(60_000);
    let later = crate::model::time::format_time(world.now.unix_ms);
    for number in 0..300 {
        world.create_group(&format!("g{number}"));
    }
    let deed = |user: &str| Deed {
        user: user.parse().unwrap(),
        request: "r1".parse().unwrap(),
        from: "mqtt".into(),
        verb: "user-remove".into(),
        target: "vera".into(),
    };
    let answer = Answer::UserManaged(crate::reply::UserResult {
        user: "vera".into(),
    });
    world.tell(Input::UserManaged {
        deed: Box::new(deed("bob")),
        body_hash: [0; 32],
        answer: Box::new(answer),
    });
    let all = |list: AuditList| {
        let (mut items, mut after) = (Vec::new(), None);
        loop {
            let page = page(
                &world,
                AuditList {
                    after,
                    ..list.clone()
                },
            );
            let size: usize = page.items.iter().map(|it| format!("{it:?}").len()).sum();
            assert!(size < 16_384 && !page.items.is_empty());
            items.extend(page.items);
            after = page.next;
            if after.is_none() {
                return items;
            }
        }
    };
    let whole = all(AuditList::default());
    assert_eq!(whole.len(), 303);
    let mut chain = AuditChain::default();
    assert!(whole.iter().all(|item| chain.take(&item.row().unwrap())));
    let since = AuditList {
        since: Some(later),
        ..AuditList::default()
    };
    assert_eq!(all(since.clone()), whole[2..]);
    let of_bob = AuditList {
        user: Some("bob".into()),
        ..since
    };
    assert_eq!(all(of_bob), whole[302..]);
    let short = AuditList {
        limit: Some(7),
        ..AuditList::default()
    };
    assert_eq!(page(&world, short.clone()).items.len(), 7);
    assert_eq!(all(short), whole);
}

#[test]
fn only_an_administrator_of_all_groups_reads_the_trail() {
    let mut world = World::with_devices(&[]);
    let mut input = world.input(Command::AuditList(AuditList::default()));
    input.role = Some(Role::Deployer);
    assert_eq!(refusal(&world.send(input.clone())), Some(Code::Role));
    input.role = Some(Role::Admin);
    input.groups = vec!["eu".parse().unwrap()];
    assert_eq!(refusal(&world.send(input.clone())), Some(Code::Role));
    input.groups.clear();
    let decision = world.decide(Input::Command(Box::new(input)));
    assert!(matches!(decision.response, Some(Response::Query { .. })));
}
