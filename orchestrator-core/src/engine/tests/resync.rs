//! After a broker that forgot, every group is asked for a resync, whatever happens meanwhile.

use super::*;

#[test]
fn after_a_broker_that_forgot_everything_every_group_is_asked_for_a_resync() {
    // W6
    let mut rig = Rig::listening();
    let key = GroupKey("eu".parse().unwrap());
    let mut txn = Txn::default();
    txn.load(key.key(), None);
    let active = vec![DeploymentId(1)];
    txn.put(
        &key,
        &GroupRow {
            active,
            ..GroupRow::new(0)
        },
    );
    rig.rows.commit(&txn.writes());
    let resync = |rig: &Rig| rig.rows.read(&key).unwrap().unwrap().resync;
    let before = resync(&rig);
    rig.happens(Event::Disconnected);
    rig.happens(Event::Connected(Session::Resumed));
    rig.happens(Event::Subscribed);
    rig.run();
    assert_eq!(
        resync(&rig),
        before,
        "a broker that has kept all is believed"
    );
    // The connection to a broker that forgot ends before anything can be heard on it, and to the
    // next one the broker says that it knows the session.
    rig.happens(Event::Disconnected);
    rig.happens(Event::Connected(Session::Fresh));
    rig.happens(Event::Disconnected);
    rig.happens(Event::Connected(Session::Resumed));
    rig.happens(Event::Subscribed);
    rig.run();
    assert_ne!(resync(&rig), before);
}

#[test]
fn a_resync_that_a_crash_prevented_is_asked_for_by_the_next_run() {
    // W6, W8
    let mut rig = Rig::listening();
    rig.run();
    rig.happens(Event::Disconnected);
    rig.happens(Event::Connected(Session::Fresh));
    rig.run();
    let instance = |rig: &Rig| rig.rows.read(&InstanceKey::MAIN).unwrap().unwrap();
    assert!(instance(&rig).is_doubtful());
    let reserved = Generation(instance(&rig).generations_ms);
    rig.engine = Engine::new(Plain::default(), settings(), &instance(&rig), reserved);
    // The broker keeps the session that it made for the run before.
    rig.happens(Event::Connected(Session::Resumed));
    rig.happens(Event::Subscribed);
    rig.run();
    assert!(!instance(&rig).is_doubtful());
}
