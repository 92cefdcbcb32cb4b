//! Key commands lose nothing: no file that is there, and no deployment without a word.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use serde_json::{Value, json};

use crate::harness::eventually;
use crate::harness::operator::Operator;
use crate::harness::process::{HOIST, run};
use crate::harness::release::Release;
use crate::harness::server::Server;

fn hoist(server: &Server, args: &[&str]) -> Output {
    let data = server.data();
    run(
        HOIST,
        &[&["--data-dir", data.to_str().unwrap()], args].concat(),
    )
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn kept(output: &Output, file: &PathBuf, content: &str) {
    assert_eq!(output.status.code(), Some(1), "{}", said(output));
    assert!(said(output).contains("E_FILE"), "{}", said(output));
    assert_eq!(&fs::read_to_string(file).unwrap(), content);
}

#[test]
fn no_key_and_no_request_that_somebody_waits_for_is_replaced() {
    let server = Server::start();
    let data = server.data();
    let place = |name: &str| server.scratch().join(name);
    let root = place("root.key");
    fs::rename(data.join("keys/root.key"), &root).unwrap();
    let (root, root_text) = (root.to_str().unwrap(), fs::read_to_string(&root).unwrap());
    let newest = || hoist(&server, &["keys", "list", "-o", "json"]).stdout;
    let before = newest();
    let release = Release::write(server.scratch(), "app", "1.0.0", 1, "content");
    let app = place("app.req");
    let asked = [
        "release",
        "create",
        release.dir().to_str().unwrap(),
        "--request",
    ];
    let ask = |file: &PathBuf| hoist(&server, &[&asked[..], &[file.to_str().unwrap()]].concat());
    for _ in 0..2 {
        assert!(ask(&app).status.success(), "the same again is the same");
    }
    let app_text = fs::read_to_string(&app).unwrap();
    kept(&ask(&PathBuf::from(root)), &PathBuf::from(root), &root_text);
    fs::write(release.dir().join("payload/content"), "other").unwrap();
    kept(&ask(&app), &app, &app_text);

    let rotate = |file: &PathBuf, more: &[&str]| {
        let args = [
            "keys",
            "rotate",
            "root",
            "--request",
            file.to_str().unwrap(),
        ];
        hoist(&server, &[&args[..], more].concat())
    };
    kept(
        &rotate(&PathBuf::from(root), &[]),
        &PathBuf::from(root),
        &root_text,
    );
    kept(&rotate(&app, &["--anew"]), &app, &app_text);
    let refused = rotate(&data.join("keys/new"), &[]);
    assert!(said(&refused).contains("E_FILE"), "{}", said(&refused));
    assert!(
        !data.join("keys/root.next.bin").exists(),
        "nothing was begun"
    );
    let next = place("next.req");
    for more in [&[][..], &[], &["--anew"]] {
        let asked = rotate(&next, more);
        assert!(asked.status.success(), "{}", said(&asked));
    }
    assert_eq!(newest(), before);

    let sign = |request: &PathBuf, more: &[&str]| {
        let args = ["keys", "sign", request.to_str().unwrap(), "--key", root];
        hoist(&server, &[&args[..], more].concat())
    };
    for _ in 0..2 {
        let signed = sign(&next, &[]);
        assert!(signed.status.success(), "{}", said(&signed));
    }
    let signature = place("next.req.sig");
    let text = fs::read_to_string(&signature).unwrap();
    for out in [root, app.to_str().unwrap()] {
        let content = fs::read_to_string(out).unwrap();
        kept(&sign(&next, &["--out", out]), &PathBuf::from(out), &content);
    }
    let other = sign(&app, &["--out", signature.to_str().unwrap()]);
    kept(&other, &signature, &text);
}

#[test]
fn a_key_that_is_elsewhere_is_told_of_with_how_it_signs() {
    let server = Server::start();
    let list = || hoist(&server, &["keys", "list"]);
    assert_eq!(said(&list()), "");
    let keys = server.data().join("keys");
    fs::rename(keys.join("root.key"), server.scratch().join("root.key")).unwrap();
    let listed = list();
    assert!(listed.status.success());
    let told = said(&listed)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    for part in ["root key", "is elsewhere", "--key FILE", "--request FILE"] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    assert!(!told.contains("release key"), "{told}");
    let root = server.scratch().join("root.key");
    let args = ["keys", "rotate", "release", "--key", root.to_str().unwrap()];
    assert!(hoist(&server, &args).status.success());
    let told = said(&list())
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(told.contains("it was replaced"), "{told}");
    let told = said(&hoist(&server, &["keys", "list", "-o", "json"]));
    assert_eq!(told, "", "programs have `file`");
}

#[test]
fn a_revoked_release_key_is_warned_of_with_the_deployments_that_need_it() {
    let server = Server::start();
    for (name, group) in [("app", "eu"), ("tool", "us")] {
        let release = Release::write(server.scratch(), name, "1.0.0", 1, name);
        server.release(release.dir());
        server.hoist_ok(&["group", "create", group]);
    }
    let operator = Operator::new(&server);
    operator.deploy("app@1.0.0", "eu", &json!({}));
    let second = operator.deploy("tool@1.0.0", "us", &json!({}));
    server.hoist_ok(&["deployment", "abort", &second.to_string(), "--yes"]);
    eventually("the abort to be signed", || {
        let length = |name: &str| {
            fs::read(server.data().join(name))
                .ok()
                .map(|spec| spec.len())
        };
        (length("specs/g-us")? < length("specs/g-eu")?).then_some(())
    });
    let kept = hoist(&server, &["keys", "rotate", "release", "--dry-run"]);
    assert_eq!(said(&kept), "", "the key before it stays trusted");
    let revoke = |more: &[&str]| {
        let args = ["keys", "rotate", "release", "--revoke"];
        hoist(&server, &[&args[..], more].concat())
    };
    for more in [&["--dry-run"][..], &["-o", "json"]] {
        let revoked = revoke(more);
        assert!(revoked.status.success(), "{}", said(&revoked));
        let told = said(&revoked);
        for part in [
            "deployment 1 (app@1.0.0 to eu) is active",
            "hoist release create DIR",
            "hoist deployment abort 1",
        ] {
            assert!(told.contains(part), "{part} is not in {told}");
        }
        assert!(!told.contains("tool@1.0.0"), "{told}");
        if more.contains(&"json") {
            let item: Value = serde_json::from_slice(&revoked.stdout).unwrap();
            let one = json!({"deployment": 1, "release": "app@1.0.0", "group": "eu"});
            assert_eq!(item["refused"], json!([one]), "{item}");
        }
    }
    fs::remove_dir_all(server.data().join("specs")).unwrap();
    let told = said(&revoke(&["--dry-run"]));
    assert!(told.contains("not known here"), "{told}");
}
