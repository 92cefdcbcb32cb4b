//! A plan says, before anything starts, who would refuse a release and why; an operator who
//! means it goes down all the same, or installs again what is there.

use hoist_protocol::admission::hash32;
use hoist_protocol::id::{DeploymentId, DeviceId};
use serde_json::{Value, json};

use crate::harness::eventually;
use crate::harness::release::Release;
use crate::harness::server::Server;

const GROUP: &str = "unassigned";

fn plan(server: &Server, args: &[&str]) -> Value {
    let all = [&["-o", "json"], args, &["--group", GROUP]].concat();
    serde_json::from_str(&server.hoist_ok(&all)).unwrap()
}

fn installed(server: &Server) -> Value {
    let shown = server.hoist_ok(&["device", "show", "dev-01", "-o", "json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    shown["installed"]["app"].clone()
}

#[test]
fn a_plan_counts_who_would_refuse_a_downgrade_and_intent_carries_it_out() {
    // bad-inputs row 54
    let server = Server::start();
    let release = |version: &str, counter| {
        let release = Release::write(server.scratch(), "app", version, counter, version);
        server.release(release.dir());
        release
    };
    release("1.1.0", 2);
    release("1.0.0", 1);
    server.add_device("dev-02", &[]);
    let _agent = server.agent(&server.add_device("dev-01", &[]));
    server.hoist_ok(&["deploy", "app@1.1.0", "--group", GROUP]);
    eventually("the newer release to be installed", || {
        (installed(&server) == json!("1.1.0")).then_some(())
    });
    let refused = json!([{"reason": "downgrade", "count": 1}]);
    for ask in [&["plan"][..], &["deploy", "--dry-run"]] {
        let plan = plan(&server, &[ask, &["app@1.0.0"]].concat());
        assert_eq!(plan["wouldRefuse"], refused, "{plan}");
        assert_eq!(plan["online"], json!(0), "{plan}");
        assert_eq!(plan["whenConnected"], json!(1), "{plan}");
    }
    let told = server.hoist_ok(&["plan", "app@1.0.0", "--group", GROUP]);
    assert_eq!(
        told,
        "app@1.0.0 to unassigned: 0 online start now, 1 when it connects, 1 refuses it\n    \
         (downgrade 1)\n  \
         members     2\n  \
         downgrade   --allow-downgrade goes down to the floor of a device\n  \
         supersedes  1 (app@1.1.0)\n  \
         time        24h for each device, 3 attempts\n\
         nothing was changed\n"
    );
    let there = server.hoist_ok(&["plan", "app@1.1.0", "--group", GROUP]);
    assert_eq!(
        there,
        "app@1.1.0 to unassigned: there already as deployment 1; deploying it again\n    \
         changes nothing\nwatch:  hoist status 1\nnothing was changed\n"
    );
    let down = ["app@1.0.0", "--allow-downgrade"];
    let allowed = plan(&server, &[&["plan"], &down[..]].concat());
    assert_eq!(allowed["wouldRefuse"], json!([]), "{allowed}");
    assert_eq!(allowed["online"], json!(1), "{allowed}");
    assert_eq!(allowed["allowDowngrade"], json!(true), "{allowed}");
    server.hoist_ok(&[&["deploy"], &down[..], &["--group", GROUP]].concat());
    eventually("the older release to be installed", || {
        (installed(&server) == json!("1.0.0")).then_some(())
    });
}

#[test]
fn a_plan_knows_types_attributes_and_dependencies_of_the_members() {
    let server = Server::start();
    let pump = Release::write(server.scratch(), "pump", "1.0.0", 1, "x");
    pump.setting("device_types = [\"pump\"]");
    server.release(pump.dir());
    let board = Release::write(server.scratch(), "board", "1.0.0", 1, "x");
    board.setting("requires = { board = \"revB\" }");
    server.release(board.dir());
    let needs = Release::write(server.scratch(), "needs", "1.0.0", 1, "x");
    needs.setting("depends = { bootloader = \">=2\" }");
    server.release(needs.dir());
    let fits = Release::write(server.scratch(), "fits", "1.0.0", 1, "x");
    server.release(fits.dir());
    let _agent = server.agent(&server.add_device("dev-01", &["--type", "valve"]));
    eventually("the device to say what it is", || {
        let fit = plan(&server, &["plan", "fits@1.0.0"]);
        let known = plan(&server, &["plan", "needs@1.0.0"]);
        (fit["online"] == json!(1) && known["online"] == json!(0)).then_some(())
    });
    for (release, reason) in [
        ("pump@1.0.0", "incompatible"),
        ("board@1.0.0", "incompatible"),
        ("needs@1.0.0", "missing-dependency"),
    ] {
        let plan = plan(&server, &["plan", release]);
        let refused = json!([{"reason": reason, "count": 1}]);
        assert_eq!(plan["wouldRefuse"], refused, "{release}: {plan}");
    }
}

#[test]
fn what_is_there_already_is_installed_again_when_asked_for() {
    // S12
    let server = Server::start();
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let _agent = server.agent(&server.add_device("dev-01", &[]));
    let deploy = |more: &[&str], deployment: &str| {
        let args = [&["deploy", "app@1.0.0", "--group", GROUP], more].concat();
        server.hoist_ok(&args);
        server.hoist_ok(&["status", deployment, "--timeout", "60s"]);
        let why = ["device", "why", "dev-01", "--deployment", deployment];
        let why = server.hoist_ok(&[&why[..], &["-o", "json"]].concat());
        let why: Value = serde_json::from_str(&why).unwrap();
        why["deployments"][0]["why"].clone()
    };
    assert_eq!(deploy(&[], "1"), json!("successful"));
    assert_eq!(deploy(&["--attempts", "2"], "2"), json!("already-there"));
    assert_eq!(deploy(&["--reinstall"], "3"), json!("successful"));
}

#[test]
fn a_plan_of_a_limit_says_who_of_those_that_it_lets_start_is_online() {
    // S10
    let server = Server::start();
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    for device in ["dev-02", "dev-03", "dev-04"] {
        server.add_device(device, &[]);
    }
    let _agent = server.agent(&server.add_device("dev-01", &[]));
    eventually("the device to be online", || {
        (plan(&server, &["plan", "app@1.0.0"])["online"] == json!(1)).then_some(())
    });
    let place = |device: &str| {
        let device: DeviceId = device.parse().unwrap();
        hash32(DeploymentId(1), &device)
    };
    let own = place("dev-01");
    let before = ["dev-02", "dev-03", "dev-04"]
        .iter()
        .filter(|device| place(device) < own)
        .count();
    for limit in 1..4 {
        let online = u32::from(before < limit);
        let text = limit.to_string();
        let planned = plan(&server, &["plan", "app@1.0.0", "--limit", &text]);
        assert_eq!(planned["online"], json!(online), "{planned}");
        let later = u32::try_from(limit).unwrap() - online;
        assert_eq!(planned["whenConnected"], json!(later), "{planned}");
        let args = ["plan", "app@1.0.0", "--group", GROUP, "--limit", &text];
        let told = server.hoist_ok(&args);
        assert!(
            told.contains(&format!("  limit       {limit} of 4 members, ")),
            "{told}"
        );
    }
}

#[test]
fn a_plan_for_as_many_groups_as_a_deployment_may_name_is_told_whole() {
    let server = Server::start();
    let name = "a".repeat(40);
    for (version, counter) in [("1.0.0", 1), ("1.1.0", 2)] {
        let release = Release::write(server.scratch(), &name, version, counter, version);
        server.release(release.dir());
    }
    let (first, second) = (format!("{name}@1.0.0"), format!("{name}@1.1.0"));
    let groups: Vec<String> = (0..32).map(|n| format!("{}-{n}", "g".repeat(60))).collect();
    for group in &groups {
        server.hoist_ok(&["group", "create", group]);
    }
    let named = groups.join(",");
    let wish = [first.as_str(), "--groups", &named];
    for ask in [&["plan"][..], &["deploy", "--dry-run"]] {
        let told = server.hoist_ok(&[ask, &wish].concat());
        for group in &groups {
            assert!(told.contains(&format!("{first} to {group}:")), "{told}");
        }
    }
    let told = server.hoist_ok(&[&["deploy"], &wish[..]].concat());
    assert_eq!(told.matches("active: 0 members").count(), 32, "{told}");
    // Whoever asks for all at once is told what to do.
    let client = server.client();
    let reply = client.command("plan", &json!({"release": second, "groups": groups}));
    assert_eq!(reply["error"]["code"], json!("E_SIZE"), "{reply}");
    assert_eq!(
        reply["error"]["hint"],
        json!("ask for fewer groups at once")
    );
}
