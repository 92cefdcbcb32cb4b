//! Everybody can use the pages: by keyboard, by ear, on a phone, in the dark.

use serde_json::{Value, json};

use crate::harness::operator::Operator;
use crate::harness::page::Visit;
use crate::harness::release::Release;
use crate::harness::server::Server;
use crate::harness::sim::Sim;

/// The faults of the page at hand, each as a sentence.
const FAULTS: &str = include_str!("page/faults.js");

/// A server with something on each of its pages.
fn furnished() -> (Server, Sim) {
    let server = Server::start();
    let sim = Sim::start(&server, 25);
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let operator = Operator::new(&server);
    let client = operator.client();
    client.wait_json("hoist/view/group/sim", |view| view["online"] == json!(25));
    client.command_ok(
        "device-add",
        &json!({"device": "held-1", "labels": {"site": "eu"}}),
    );
    client.command_ok("device-hold", &json!({"device": "held-1"}));
    let phases = json!([{"devices": 20}, {"devices": 25, "approvals": 1}]);
    operator.deploy("app@1.0.0", "sim", &json!({"rollout": {"phases": phases}}));
    operator.view(1, |view| {
        view["phase"]["state"] == json!("waiting-approval") || !view["paused"].is_null()
    });
    (server, sim)
}

#[test]
fn every_page_has_names_landmarks_contrast_and_fits_its_window() {
    let (server, _sim) = furnished();
    let Some(visit) = Visit::logged_in(&server, &server.admin().token) else {
        return;
    };
    let paths = [
        "/fleet",
        "/deployments",
        "/deployments/1",
        "/devices/held-1",
        "/devices/sim-00001",
        "/groups/sim",
        "/releases?release=app@1.0.0",
        "/new?release=app@1.0.0&group=sim&phases=10%25,50",
        "/users",
        "/audit",
        "/search?q=nobody",
        "/devices/nobody",
        "/login",
    ];
    let mut faults: Vec<String> = Vec::new();
    for (size, scheme) in [
        ((1280, 800), "light"),
        ((390, 844), "dark"),
        ((390, 844), "light"),
        ((1280, 800), "dark"),
    ] {
        visit.browser.look(size, scheme);
        for path in paths {
            visit.open(path);
            let found = visit.browser.run(FAULTS, &json!([]));
            let found = found.as_array().cloned().unwrap_or_else(|| vec![found]);
            let told = |fault: Value| format!("{path} {size:?} {scheme}: {fault}");
            faults.extend(found.into_iter().map(told));
            if path == "/login" {
                visit.browser.write("#token", &server.admin().token);
                visit.browser.click("form button.primary");
                visit.browser.wait_text("h1", |text| text == "Fleet");
            }
        }
    }
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

#[test]
fn the_keyboard_reaches_the_content_first() {
    let server = Server::start();
    let Some(visit) = Visit::logged_in(&server, &server.admin().token) else {
        return;
    };
    visit.open("/fleet");
    visit.browser.write("body", "\u{e004}");
    let focused = visit
        .browser
        .run("return document.activeElement.innerText", &json!([]));
    assert_eq!(focused, json!("Skip to the content"));
}
