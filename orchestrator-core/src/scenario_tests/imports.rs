use hoist_protocol::envelope::PrivateKey;

use super::*;
use crate::api::command::{DeviceImport, IMPORT_DEVICES_MAX, ImportDevice};
use crate::reply::{ImportResult, Imported};

fn one(device: &str) -> ImportDevice {
    ImportDevice {
        device: device.into(),
        group: Some("eu".into()),
        ..ImportDevice::default()
    }
}

fn import(devices: Vec<ImportDevice>) -> DeviceImport {
    DeviceImport {
        devices,
        ..DeviceImport::default()
    }
}

fn states(answer: Answer) -> Vec<Imported> {
    match answer {
        Answer::Imported(devices) => devices.into_iter().map(|(_, _, state)| state).collect(),
        other => panic!("not imported: {other:?}"),
    }
}

fn planned(world: &mut World, mut command: DeviceImport) -> ImportResult {
    command.dry_run = true;
    match world.order(Command::DeviceImport(command)) {
        Answer::ImportPlanned(result) => result,
        other => panic!("not planned: {other:?}"),
    }
}

fn members(world: &World) -> u32 {
    let key = GroupCountKey("eu".parse().unwrap());
    world.rows.read(&key).unwrap().unwrap_or_default().members
}

#[test]
fn an_import_registers_all_its_devices_and_once_more_changes_nothing() {
    let mut world = World::with_devices(&["d1"]);
    let command = import(vec![one("d1"), one("d2"), one("d3")]);
    let first = world.order(Command::DeviceImport(command.clone()));
    assert_eq!(
        states(first),
        [Imported::Unchanged, Imported::Added, Imported::Added]
    );
    assert_eq!(members(&world), 3);
    let before = world.device_row("d2");
    let again = world.order(Command::DeviceImport(command));
    assert_eq!(states(again), [Imported::Unchanged; 3]);
    assert_eq!(world.device_row("d2"), before);
    assert_eq!(members(&world), 3);
}

#[test]
fn one_wrong_device_refuses_the_whole_import_and_a_dry_run_names_them_all() {
    let mut world = World::with_devices(&["d1"]);
    world.create_group("us");
    let mut devices = vec![one("d9"), one("a:b"), one("d8"), one("d1"), one("d9")];
    devices[2].group = Some("nowhere".into());
    devices[3].group = Some("us".into());
    let command = import(devices);
    let answer = world.order(Command::DeviceImport(command.clone()));
    let Answer::Refused(refusal) = &answer else {
        panic!("not refused: {answer:?}")
    };
    assert_eq!(refusal.code, Code::Name);
    assert_eq!(refusal.field.as_deref(), Some("devices[1].device"));
    assert!(refusal.detail.ends_with(", and 3 more of the devices"));
    assert_eq!(members(&world), 1, "nothing was registered");
    let plan = planned(&mut world, command);
    assert_eq!((plan.added, plan.unchanged, plan.skipped), (1, 0, 0));
    let faults: Vec<(u32, &str)> = plan
        .faults
        .iter()
        .map(|fault| (fault.index, fault.code.as_str()))
        .collect();
    assert_eq!(
        faults,
        [
            (1, "E_NAME"),
            (2, "E_GROUP"),
            (3, "E_DEVICE_EXISTS"),
            (4, "E_CMD")
        ]
    );
    assert_eq!(plan.faults[3].detail, "d9 is named twice");
    assert!(plan.devices.is_empty() && plan.root_sha256.is_none());
    assert_eq!(members(&world), 1);
}

#[test]
fn existing_devices_are_skipped_when_asked_for_and_stay_as_they_are() {
    let mut world = World::with_devices(&["d1"]);
    world.create_group("us");
    let mut moved = one("d1");
    moved.group = Some("us".into());
    let mut command = import(vec![moved, one("d2")]);
    command.skip_existing = true;
    let answer = world.order(Command::DeviceImport(command));
    assert_eq!(states(answer), [Imported::Skipped, Imported::Added]);
    assert_eq!(world.device_row("d1").group.as_str(), "eu");
}

#[test]
fn an_imported_key_is_pinned_and_another_is_a_fault() {
    let mut world = World::with_devices(&[]);
    let key = |seed| PrivateKey::from_seed(&[seed; 32]).public();
    let hex = |seed| -> String {
        let bytes = key(seed).0;
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let with_key = |key: String| ImportDevice {
        public_key: Some(key),
        ..one("d1")
    };
    let command = import(vec![with_key(hex(1))]);
    let answer = world.order(Command::DeviceImport(command.clone()));
    assert_eq!(states(answer), [Imported::Added]);
    assert_eq!(world.device_row("d1").public_key, Some(key(1)));
    let again = world.order(Command::DeviceImport(command));
    assert_eq!(states(again), [Imported::Unchanged]);
    let other = world.order(Command::DeviceImport(import(vec![with_key(hex(2))])));
    assert_eq!(refusal(&other), Some(Code::DeviceExists));
    // bad-inputs row 72: too short, and a key of small order, by which nothing verifies.
    for wrong in ["x".to_owned(), "0".repeat(64)] {
        let wrong = world.order(Command::DeviceImport(import(vec![with_key(wrong)])));
        assert_eq!(refusal(&wrong), Some(Code::Command));
    }
}

#[test]
fn the_largest_import_has_an_answer_that_fits_and_a_larger_one_is_refused() {
    let mut world = World::with_devices(&[]);
    let many = |count: usize| {
        let id = |n| one(&format!("{n:064}"));
        import((0..count).map(id).collect())
    };
    let answer = world.order(Command::DeviceImport(many(IMPORT_DEVICES_MAX)));
    let body = answer.into_body(|_: &DeviceId, issue| crate::reply::DeviceSecrets {
        token: format!("{issue}.{}", "x".repeat(64)),
        root_sha256: "a".repeat(64),
        root_number: 1,
    });
    let reply = crate::reply::Reply::new(&"r1".parse().unwrap(), body);
    let bytes = serde_json::to_vec(&reply).unwrap().len();
    assert!(bytes <= hoist_protocol::limit::JSON_BYTES_MAX, "{bytes}");
    let mut wrong = many(IMPORT_DEVICES_MAX);
    for device in &mut wrong.devices {
        device.group = Some("g".repeat(64));
    }
    let plan = planned(&mut world, wrong);
    assert_eq!(plan.faults.len(), IMPORT_DEVICES_MAX);
    let bytes = serde_json::to_vec(&plan).unwrap().len();
    assert!(
        bytes <= hoist_protocol::limit::JSON_BYTES_MAX - 200,
        "{bytes}"
    );
    for count in [0, IMPORT_DEVICES_MAX + 1] {
        let answer = world.order(Command::DeviceImport(many(count)));
        assert_eq!(refusal(&answer), Some(Code::Command), "{count}");
    }
}

#[test]
fn a_label_or_type_with_control_characters_is_refused_by_its_field() {
    let mut world = World::with_devices(&[]);
    let labels = |name: &str, value: &str| [(name.to_owned(), value.to_owned())].into();
    let bad = [
        (labels("site", "a\nb"), None, "labels"),
        (labels("si\u{1b}[2Jte", "a"), None, "labels"),
        (labels("site", "a"), Some("box\t1"), "type"),
        (labels("site", "a"), Some("box\u{9b}1"), "type"),
    ];
    for (labels, device_type, field) in bad {
        let device_type = device_type.map(str::to_owned);
        let add = DeviceAdd {
            device: "d1".into(),
            device_type: device_type.clone(),
            labels: BTreeMap::clone(&labels),
            ..DeviceAdd::default()
        };
        let file = import(vec![ImportDevice {
            device_type,
            labels,
            ..one("d1")
        }]);
        let commands = [
            (Command::DeviceAdd(add), field.to_owned()),
            (Command::DeviceImport(file), format!("devices[0].{field}")),
        ];
        for (command, field) in commands {
            let Answer::Refused(refused) = world.order(command) else {
                panic!("registered");
            };
            assert_eq!(refused.code, Code::Command);
            assert_eq!(refused.field, Some(field));
        }
    }
    assert_eq!(members(&world), 0);
}
