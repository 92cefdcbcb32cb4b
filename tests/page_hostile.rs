//! Whatever devices, operators and links say, stays text on the pages: nothing of it runs.

use serde_json::{Value, json};

use crate::harness::mqtt::Client;
use crate::harness::page::Visit;
use crate::harness::release::Release;
use crate::harness::server::Server;

/// Texts that would run, or hide, where they are not taken as text.
const PAYLOADS: [&str; 10] = [
    "<script>window.ran=1</script>",
    "<img src=x onerror=window.ran=1>",
    "\"><svg onload=window.ran=1>",
    "' autofocus onfocus=window.ran=1 x='",
    "</textarea></title><script>window.ran=1</script>",
    "javascript:window.ran=1",
    "{{constructor.constructor('window.ran=1')()}}",
    "<iframe srcdoc='<script>parent.ran=1</script>'>",
    "\u{1b}]8;;javascript:window.ran=1\u{7}x\u{1b}[2J",
    "\u{202e}\u{200b}<a href=javascript:window.ran=1>\u{feff}x",
];

/// Asserts that nothing ran on a page, and that it shows a part of the payload where it should.
fn looked_at(visit: &Visit, path: &str, shows: Option<&str>) {
    visit.open(path);
    let browser = &visit.browser;
    let ran = browser.run("return window.ran === undefined", &json!([]));
    assert_eq!(ran, json!(true), "{path}");
    let inserted = "return document.querySelectorAll('main script, iframe, main img, [onerror], [onload], \
                    [onfocus], a[href^=\"javascript\"]').length";
    assert_eq!(browser.run(inserted, &json!([])), json!(0), "{path}");
    if let Some(text) = shows {
        let main = browser.text("main");
        assert!(
            main.contains(text),
            "{path} does not show {text:?}:\n{main}"
        );
    }
    let hidden =
        "return /[\\u202a-\\u202e\\u200b\\ufeff\\u001b\\u0007]/.test(document.body.textContent)";
    assert_eq!(
        browser.run(hidden, &json!([])),
        json!(false),
        "{path} hides something"
    );
}

/// The part of a payload that is shown as it is.
fn plain(payload: &str) -> &str {
    let hidden = |c: char| c.is_control() || ['\u{202e}', '\u{200b}', '\u{feff}'].contains(&c);
    let parts = payload.split(hidden);
    parts.max_by_key(|part| part.len()).unwrap_or_default()
}

fn encoded(text: &str) -> String {
    let of = |byte: u8| format!("%{byte:02x}");
    text.bytes().map(of).collect()
}

#[test]
fn texts_of_operators_and_links_stay_texts() {
    // bad-inputs row 92
    let server = Server::start();
    let Some(visit) = Visit::logged_in(&server, &server.admin().token) else {
        return;
    };
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    server.release(release.dir());
    let mut pairs = 0;
    for (n, payload) in PAYLOADS.iter().enumerate() {
        // A connection hears a bounded number of replies.
        let client = server.client();
        for (path, text) in set(&client, n, payload) {
            looked_at(&visit, &path, text.as_deref());
            pairs += 1;
        }
        let payload = encoded(payload);
        for path in [
            format!("/search?q={payload}"),
            format!("/fleet?selector={payload}&status={payload}"),
            format!("/new?release={payload}&group={payload}&phases={payload}"),
            format!("/audit?user={payload}"),
            format!("/releases?release={payload}"),
            format!("/devices/{payload}"),
        ] {
            looked_at(&visit, &path, None);
            pairs += 1;
        }
    }
    for payload in PAYLOADS {
        looked_at(&visit, &format!("/login?to={}", encoded(payload)), None);
        pairs += 1;
    }
    assert!(pairs >= 40, "only {pairs} pairs");
    println!("{pairs} pairs of payload and field, none ran");
}

/// Sets a payload wherever an operator can; the pages that show it, and the text to be seen there.
fn set(client: &Client, n: usize, payload: &str) -> Vec<(String, Option<String>)> {
    let (device, group) = (format!("d-{n}"), format!("g-{n}"));
    let shown = Some(plain(payload).to_owned());
    client.command_ok("group-create", &json!({"group": group}));
    client.command_ok("device-add", &json!({"device": device, "group": group}));
    let mut pages = Vec::new();
    let mut say = |verb: &str, body: Value, path: String| {
        let reply = client.command(verb, &body);
        let is_set = reply["ok"] == json!(true);
        pages.push((path, shown.clone().filter(|_| is_set)));
    };
    let at_device = format!("/devices/{device}");
    say(
        "device-label",
        json!({"device": device, "set": {"note": payload}}),
        at_device.clone(),
    );
    say(
        "device-label",
        json!({"device": device, "set": {payload: "value"}}),
        at_device.clone(),
    );
    let deployed = json!({"release": "app@1.0.0", "group": group});
    let number = client.command_ok("deploy", &deployed)["deployment"].clone();
    let at_deployment = format!("/deployments/{number}");
    say(
        "pause",
        json!({"deployment": number, "reason": payload}),
        at_deployment.clone(),
    );
    say(
        "abort",
        json!({"deployment": number, "reason": payload}),
        at_deployment,
    );
    say(
        "device-revoke",
        json!({"device": device, "reason": payload}),
        at_device,
    );
    pages
}

#[test]
fn the_output_of_scripts_stays_text() {
    // bad-inputs row 92
    let server = Server::start();
    let Some(visit) = Visit::logged_in(&server, &server.admin().token) else {
        return;
    };
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    let said: Vec<String> = PAYLOADS
        .iter()
        .map(|text| format!("printf '%s\\n' {}", quoted(text)))
        .collect();
    release.script("verify", &format!("{}\nexit 7", said.join("\n")));
    server.release(release.dir());
    let config = server.add_device("dev-01", &[]);
    let _agent = server.agent(&config);
    let client = server.client();
    assert!(client.subscribe("hoist/view/#"));
    client.command_ok(
        "deploy",
        &json!({"release": "app@1.0.0", "group": "unassigned", "attempts": 1}),
    );
    client.wait_json("hoist/view/deployment/1", |view| {
        view["counts"]["failed"] == json!(1)
    });
    looked_at(
        &visit,
        "/devices/dev-01",
        Some("<a href=javascript:window.ran=1>"),
    );
    let output = visit.browser.text(".output");
    assert!(output.contains("<script>window.ran=1</script>"), "{output}");
    looked_at(&visit, "/deployments/1", Some("script failed"));
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
