//! An operator in a real browser runs a rollout from its first plan to the explanation of its failures.

use serde_json::{Value, json};

use crate::harness::operator::Operator;
use crate::harness::page::Visit;
use crate::harness::release::Release;
use crate::harness::server::Server;
use crate::harness::sim::Sim;

fn released(server: &Server) {
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
}

#[test]
fn an_operator_deploys_watches_and_explains_a_failure_without_a_reload() {
    let server = Server::start();
    let Some(visit) = Visit::logged_in(&server, &server.admin().token) else {
        return;
    };
    let browser = &visit.browser;
    assert!(browser.text(".empty").contains("No device is registered"));
    visit.mark();
    let sim = Sim::start(&server, 25);
    browser.wait_text(".tiles .online strong", |text| text == "25");
    assert!(visit.is_marked(), "the fleet came online without a reload");
    released(&server);

    visit.open("/new");
    browser.write("#release", "app@1.0.0");
    browser.write("#group", "sim");
    let plan = browser.wait_text("#plan", |text| text.contains("Would start"));
    assert!(
        plan.contains("25") && plan.contains("hoist deploy app@1.0.0 --group sim"),
        "{plan}"
    );
    browser.click("form button.primary");
    browser.wait_text("h1", |text| text == "Deploy?");
    browser.click("form.confirm button.primary");
    browser.wait_text("h1", |text| text.starts_with("#1 app@1.0.0"));
    assert_eq!(visit.path(), "/deployments/1");
    assert!(browser.text(".notice").contains("Done"));
    visit.mark();
    browser.wait_text("#part", |text| text.contains("settled"));
    assert!(visit.is_marked(), "the bar moved without a reload");

    let operator = Operator::new(&server);
    let view = operator.settled(1);
    let failed = view["counts"]["failed"].as_u64().unwrap();
    assert!(failed > 0, "{view}");
    let reason = view["failures"][0]["reason"]
        .as_str()
        .unwrap()
        .replace('-', " ");
    assert!(
        browser
            .text(".legend")
            .contains(&format!("{failed} failed"))
    );
    browser.click(".failures a");
    browser.wait_text("#devices + form + .wide", |text| text.contains(&reason));
    browser.click(".wide tbody th a");
    browser.wait_text("h2", |text| text.starts_with("Newest deployment"));
    assert!(
        browser.text("main").contains(&reason),
        "{}",
        browser.text("main")
    );
    assert!(!browser.text(".reason").is_empty());
    let truth = sim.truth();
    assert_eq!(truth["counts"]["failed"], json!(failed), "{truth}");
}

#[test]
fn an_operator_approves_a_phase_pauses_and_aborts() {
    let server = Server::start();
    let Some(visit) = Visit::logged_in(&server, &server.admin().token) else {
        return;
    };
    let browser = &visit.browser;
    let _sim = Sim::start(&server, 25);
    released(&server);
    let operator = Operator::new(&server);
    operator
        .client()
        .wait_json("hoist/view/group/sim", |view| view["online"] == json!(25));
    let phases = json!([{"devices": 5, "approvals": 1}, {"devices": 25, "approvals": 1}]);
    operator.deploy("app@1.0.0", "sim", &json!({"rollout": {"phases": phases}}));
    visit.open("/deployments/1");
    browser.wait_text("#part", |text| text.contains("waiting approval"));
    confirm(&visit, "approve", "opens once enough of them have approved");
    visit.mark();
    browser.wait_text(".phases p", |text| text.contains("Phase 2 of 2"));
    browser.wait_text("#part", |text| text.contains("waiting approval"));
    assert!(visit.is_marked());

    browser.write("#pause-reason", "lunch");
    confirm(&visit, "pause", "Nobody starts deployment #1 any more");
    browser.wait_text(".strip", |text| {
        text.contains("lunch") && text.contains("admin")
    });
    confirm(&visit, "resume", "goes on");
    browser.write("#abort-reason", "seen enough");
    confirm(
        &visit,
        "abort",
        "20 devices that have not started never will",
    );
    browser.wait_text("#part", |text| text.contains("aborted"));
    assert!(browser.text("main").contains("seen enough"));
    assert!(
        browser.all("#actions form").is_empty(),
        "nothing can be done any more"
    );
    let view: Value = operator.view(1, |view| view["state"] == json!("aborted"));
    assert_eq!(view["counts"]["pending"], json!(20), "{view}");
}

/// Begins an action, reads what it means, and confirms it.
fn confirm(visit: &Visit, verb: &str, means: &str) {
    let browser = &visit.browser;
    browser.click(&format!("form[action='/act/{verb}'] button"));
    let said = browser.wait_text(".means", |text| !text.is_empty());
    assert!(said.contains(means), "{said}");
    assert!(
        browser
            .text(".command")
            .contains(&format!("hoist deployment {verb} 1"))
    );
    browser.click("form.confirm button");
    browser.wait_text(".notice", |text| text.contains("Done"));
}

#[test]
fn everything_with_a_name_is_found() {
    let server = Server::start();
    let Some(visit) = Visit::logged_in(&server, &server.admin().token) else {
        return;
    };
    released(&server);
    server.add_device("pump-1", &[]);
    server.hoist_ok(&["group", "create", "europe"]);
    server.hoist_ok(&["deploy", "app@1.0.0", "--group", "europe"]);
    for (name, path) in [
        ("pump-1", "/devices/pump-1"),
        ("euro", "/groups/europe"),
        ("#1", "/deployments/1"),
        ("app@1.0.0", "/releases?release=app%401.0.0"),
    ] {
        visit.open("/fleet");
        visit.browser.write("#q", name);
        visit.browser.click("form.search button");
        visit
            .browser
            .wait(path, || (visit.path() == path).then_some(()));
    }
    visit.open("/search?q=nobody");
    assert!(visit.browser.text("main").contains("Nothing is called"));
}
