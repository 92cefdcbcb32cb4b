//! One space of names for devices and users, and what the audit trail tells of commands about users.

use serde_json::{Value, json};

use super::rig::Rig;

fn user(name: &str) -> Value {
    json!({"user": name, "role": "viewer", "tokenSha256": "00".repeat(32)})
}

#[tokio::test]
async fn a_device_and_a_user_never_have_one_name() {
    // bad-inputs row 71
    let mut rig = Rig::start().await;
    rig.done("r1", "device-add", &json!({"device": "pump"}))
        .await;
    for (request, name) in [("r2", "pump"), ("r3", "hoist-canary-1")] {
        let added = rig.command(request, "user-add", &user(name)).await;
        assert_eq!(added["error"]["code"], "E_NAME", "{added}");
        assert_eq!(added["error"]["field"], "user", "{added}");
    }
    rig.done("r4", "user-add", &user("paula")).await;
    for (request, verb, body) in [
        ("r5", "device-add", json!({"device": "vera"})),
        (
            "r6",
            "device-import",
            json!({"devices": [{"device": "valve"}, {"device": "vera"}]}),
        ),
    ] {
        let added = rig.command(request, verb, &body).await;
        assert_eq!(added["error"]["code"], "E_NAME", "{added}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_reused_request_about_a_user_is_told_in_the_audit_trail() {
    let mut rig = Rig::start().await;
    rig.done("r1", "user-add", &user("paula")).await;
    let reused = rig.command("r1", "user-add", &user("pablo")).await;
    assert_eq!(reused["error"]["code"], "E_REQUEST_REUSED", "{reused}");
    let trail = rig.done("r2", "audit-list", &json!({})).await;
    let told: Vec<(&str, &str)> = trail["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| {
            (
                item["target"].as_str().unwrap(),
                item["result"].as_str().unwrap(),
            )
        })
        .collect();
    assert!(
        told.contains(&("pablo viewer", "E_REQUEST_REUSED")),
        "{trail}"
    );
    rig.stop().await;
}
