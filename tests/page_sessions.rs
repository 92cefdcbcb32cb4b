//! Sessions of the pages: who comes in, for how long, and what a form must carry.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::json;

use crate::harness::eventually;
use crate::harness::page::{Answer, ask, csrf, log_in};
use crate::harness::server::Server;

/// The token in a client file that `hoist user add` printed.
fn token(client: &str) -> String {
    let line = client.lines().find(|line| line.starts_with("token"));
    line.unwrap().split('"').nth(1).unwrap().to_owned()
}

fn page(server: &Server, path: &str, cookie: &str) -> Answer {
    ask(server, &format!("GET {path}"), &[("Cookie", cookie)], "")
}

#[test]
fn a_session_is_a_cookie_that_scripts_and_other_sites_never_see() {
    let server = Server::start();
    let token = server.admin().token;
    let answer = ask(
        &server,
        "POST /login",
        &[],
        &format!("token={token}&to=/releases"),
    );
    assert_eq!(
        (answer.status, answer.header("location").unwrap().as_str()),
        (303, "/releases")
    );
    let cookie = answer.header("set-cookie").unwrap();
    for word in [
        "hoist_session=",
        "HttpOnly",
        "SameSite=Strict",
        "Path=/",
        "Max-Age=43200",
    ] {
        assert!(cookie.contains(word), "{cookie}");
    }
    let fleet = page(&server, "/fleet", cookie.split(';').next().unwrap());
    assert_eq!(fleet.status, 200);
    assert!(
        fleet.body.contains("<strong>admin</strong>"),
        "{}",
        fleet.body
    );
    let policy = fleet.header("content-security-policy").unwrap();
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert!(!fleet.body.contains("style=") && !fleet.body.contains("onclick"));
    assert!(fleet.body.len() < 150_000);
    let elsewhere = ask(
        &server,
        "POST /login",
        &[],
        &format!("token={token}&to=//evil.example"),
    );
    assert_eq!(elsewhere.header("location").unwrap(), "/");
}

#[test]
fn without_a_session_this_machine_reads_and_changes_nothing() {
    let server = Server::start();
    let fleet = ask(&server, "GET /fleet", &[], "");
    assert_eq!(fleet.status, 200);
    assert!(fleet.body.contains("Reading on this machine") && !fleet.body.contains("/act/"));
    let acted = ask(&server, "POST /act/freeze", &[], "csrf=");
    assert_eq!(acted.status, 403, "{acted:?}");
    let proxied = ask(
        &server,
        "GET /fleet",
        &[("X-Forwarded-For", "192.0.2.1")],
        "",
    );
    assert_eq!(proxied.status, 303, "who comes by a proxy logs in");
    assert_eq!(proxied.header("location").unwrap(), "/login?to=%2Ffleet");
    for path in ["/users", "/audit"] {
        let denied = ask(&server, &format!("GET {path}"), &[], "");
        assert_eq!(denied.status, 403, "{path}");
    }
    let named = Server::start_with(&["--name", "fleet.example.com", "--no-tls"]);
    assert_eq!(ask(&named, "GET /fleet", &[], "").status, 303);
}

#[test]
fn a_wrong_token_and_a_stolen_or_ended_session_lead_to_the_login() {
    // bad-inputs row 89
    let server = Server::start();
    let wrong = ask(&server, "POST /login", &[], "token=wrong");
    assert_eq!(wrong.status, 401);
    assert!(wrong.body.contains("No user has this token"));
    assert_eq!(page(&server, "/fleet", "hoist_session=guessed").status, 303);
    let cookie = log_in(&server, &server.admin().token).unwrap();
    let twice = format!("{cookie}; hoist_session=other");
    assert_ne!(
        page(&server, "/users", &twice).status,
        200,
        "of two cookies neither counts"
    );
    let form = format!("csrf={}", csrf(&server, &cookie));
    let left = ask(&server, "POST /logout", &[("Cookie", &cookie)], &form);
    assert_eq!(left.status, 303);
    assert_eq!(page(&server, "/fleet", &cookie).status, 303);
    assert_eq!(page(&server, "/live/fleet", &cookie).status, 401);
}

#[test]
fn a_session_ends_when_its_user_is_removed_or_changed() {
    // bad-inputs row 89
    let server = Server::start();
    let made = server.hoist_ok(&["user", "add", "vera", "--role", "viewer"]);
    let cookie = log_in(&server, &token(&made)).unwrap();
    let fleet = page(&server, "/fleet", &cookie);
    assert!(fleet.body.contains("<strong>vera</strong>"));
    assert!(!fleet.body.contains("/act/"), "a viewer is offered nothing");
    let form = format!("csrf={}&back=/fleet", csrf(&server, &cookie));
    let refused = ask(&server, "POST /act/freeze", &[("Cookie", &cookie)], &form);
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("E_ROLE"), "{}", refused.body);
    server.hoist_ok(&["user", "remove", "vera", "--yes"]);
    assert_eq!(page(&server, "/fleet", &cookie).status, 303);
}

#[test]
fn a_form_is_of_its_session_small_and_done_once() {
    // bad-inputs row 90
    let server = Server::start();
    let (token, admin) = (server.admin().token, server.client());
    let (cookie, other) = (
        log_in(&server, &token).unwrap(),
        log_in(&server, &token).unwrap(),
    );
    let own = csrf(&server, &cookie);
    let send = |path: &str, body: &str| {
        ask(
            &server,
            &format!("POST {path}"),
            &[("Cookie", &cookie)],
            body,
        )
    };
    for wrong in [
        "",
        "csrf=",
        "csrf=0000",
        &format!("csrf={}", csrf(&server, &other)),
    ] {
        assert_eq!(send("/act/freeze", wrong).status, 403, "{wrong}");
        assert_eq!(send("/confirm/freeze", wrong).status, 403, "{wrong}");
    }
    let foreign = [
        ("Cookie", cookie.as_str()),
        ("Origin", "https://evil.example"),
    ];
    let refused = ask(
        &server,
        "POST /act/freeze",
        &foreign,
        &format!("csrf={own}"),
    );
    assert_eq!(refused.status, 403);
    let large = format!("csrf={own}&reason={}", "x".repeat(80_000));
    assert_eq!(send("/act/freeze", &large).status, 413);
    assert_eq!(send("/act/user-add", &format!("csrf={own}")).status, 404);
    let damaged = format!("csrf={own}&request=r1&body=nonsense");
    assert_eq!(send("/confirm/freeze", &damaged).status, 400);
    let frozen = |is: bool| {
        let fleet = admin.command_ok("group-list", &json!({}));
        assert_eq!(!fleet["items"][0]["frozen"].is_null(), is, "{fleet}");
    };
    assert_eq!(send("/act/freeze", &format!("csrf={own}")).status, 200);
    frozen(false);
    let sure = format!("csrf={own}&request=page-1&body=%7B%7D&back=/fleet");
    assert_eq!(send("/confirm/freeze", &sure).status, 303);
    frozen(true);
    admin.command_ok("unfreeze", &json!({}));
    assert_eq!(
        send("/confirm/freeze", &sure).status,
        303,
        "the same again is answered the same"
    );
    frozen(false);
}

#[test]
fn a_link_of_another_site_opens_a_page_and_its_forms_change_nothing() {
    // bad-inputs row 89
    let server = Server::start_with(&["--name", "fleet.example.com", "--no-tls"]);
    let cookie = log_in(&server, &server.admin().token).unwrap();
    let (site, mode) = (
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Mode", "navigate"),
    );
    // The browser keeps the cookie back, and asks again from a page of this server.
    let opened = ask(&server, "GET /deployments/3", &[site, mode], "");
    assert_eq!(opened.status, 200);
    assert!(
        opened.body.contains("url=/deployments/3"),
        "{}",
        opened.body
    );
    for line in [
        "GET /live/fleet",
        "POST /act/freeze",
        "POST /login",
        "GET /new/plan",
    ] {
        let refused = ask(&server, line, &[site, mode, ("Cookie", &cookie)], "");
        assert_eq!(refused.status, 403, "{line}");
    }
    let fetched = ask(&server, "GET /fleet", &[site, ("Cookie", &cookie)], "");
    assert_eq!(fetched.status, 403, "only who follows a link");
}

#[test]
fn readers_beyond_the_cap_are_sent_away_and_commands_go_on() {
    // bad-inputs row 91
    let server = Server::start();
    let begin = || {
        let mut stream = TcpStream::connect(server.http()).unwrap();
        let head = format!(
            "GET /live/fleet HTTP/1.1\r\nHost: {}\r\n\r\n",
            server.http()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    let mut readers: Vec<TcpStream> = (0..640).map(|_| begin()).collect();
    for reader in &mut readers {
        let mut first = [0; 12];
        reader.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
    }
    assert_eq!(ask(&server, "GET /live/fleet", &[], "").status, 503);
    server
        .client()
        .command_ok("group-create", &json!({"group": "eu"}));
    eventually("the page of the new group", || {
        (ask(&server, "GET /groups/eu", &[], "").status == 200).then_some(())
    });
}
