//! An operator who deploys and watches, by commands and views over MQTT.

use serde_json::{Value, json};

use super::mqtt::Client;
use super::server::Server;

/// A connected administrator who sees every view.
pub struct Operator {
    client: Client,
}

impl Operator {
    /// Connects and subscribes to every view.
    pub fn new(server: &Server) -> Self {
        let client = server.client();
        assert!(client.subscribe("hoist/view/#"));
        Self { client }
    }

    /// Its client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Deploys a release to a group; `more` are further fields. Returns the deployment.
    pub fn deploy(&self, release: &str, group: &str, more: &Value) -> u64 {
        let mut body = json!({"release": release, "group": group});
        let fields = more.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(fields);
        let reply = self.client.command_ok("deploy", &body);
        reply["deployment"].as_u64().unwrap()
    }

    /// Waits for a view of a deployment that `condition` accepts.
    pub fn view(&self, deployment: u64, condition: impl FnMut(&Value) -> bool) -> Value {
        let topic = format!("hoist/view/deployment/{deployment}");
        self.client.wait_json(&topic, condition)
    }

    /// Waits until a deployment is settled.
    pub fn settled(&self, deployment: u64) -> Value {
        self.view(deployment, |view| view["settled"] == json!(true))
    }

    /// True if the last view of a deployment says that it is settled.
    pub fn is_settled(&self, deployment: u64) -> bool {
        let last = self
            .client
            .last(&format!("hoist/view/deployment/{deployment}"));
        let view: Option<Value> = last.and_then(|view| serde_json::from_slice(&view).ok());
        view.is_some_and(|view| view["settled"] == json!(true))
    }

    /// Waits until a device says that it is at `step` of a deployment of its own.
    pub fn at_step(&self, deployment: u64, step: &str) -> Value {
        self.view(deployment, |view| view["steps"][step] == json!(1))
    }

    /// The item of `device-list` about a device in a deployment.
    pub fn record(&self, device: &str, deployment: u64) -> Value {
        let body = json!({"deployment": deployment});
        let list = self.client.command_ok("device-list", &body);
        let items = list["items"].as_array().unwrap();
        let of_device = items.iter().find(|item| item["device"] == json!(device));
        of_device.cloned().unwrap()
    }

    /// The answer of `device-show` about a device.
    pub fn device(&self, device: &str) -> Value {
        let body = json!({"device": device});
        self.client.command_ok("device-show", &body)
    }
}

/// Asserts that a deployment to one device ended, counted exactly once.
///
/// # Panics
/// When anything else than one final outcome is counted.
pub fn assert_one_outcome(view: &Value, outcome: &str) {
    for word in ["pending", "inProgress", "successful", "failed"] {
        let expected = u64::from(word == outcome);
        assert_eq!(view["counts"][word], json!(expected), "{word} of {view}");
    }
    assert_eq!(view["counts"]["members"], json!(1), "{view}");
}
