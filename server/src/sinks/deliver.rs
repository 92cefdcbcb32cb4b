//! One attempt to tell a sink of one event.

use std::process::Stdio;
use std::time::SystemTime;

use bytes::Bytes;
use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use hoist_net::endpoint::Endpoint;
use hoist_net::exchange;
use hoist_net::tls::Trust;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::{Secret, Sink, Target};

/// Bytes of an answer that are read, so that its connection ends well.
const ANSWER_BYTES_MAX: usize = 4_096;

/// An event on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its id.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// The CloudEvent.
    pub body: String,
}

/// An event that nothing has happened for.
#[must_use]
pub fn test_event(source: &str, now: SystemTime) -> Delivery {
    let since = now.duration_since(SystemTime::UNIX_EPOCH);
    let (id, kind) = (
        format!("test-{}", since.unwrap_or_default().as_millis()),
        "test",
    );
    let time = humantime::format_rfc3339_millis(now).to_string();
    let body = json!({
        "specversion": "1.0", "id": id, "source": source, "type": kind, "time": time,
        "datacontenttype": "application/json", "data": Value::Object(serde_json::Map::new()),
    });
    Delivery {
        id,
        kind: kind.to_owned(),
        body: body.to_string(),
    }
}

/// Tries once.
///
/// # Errors
/// Why it was not taken, for people.
pub async fn deliver(sink: &Sink, delivery: &Delivery) -> Result<(), String> {
    // What it needs is read anew each time: a secret may have been replaced.
    let target = sink.target().map_err(|failure| failure.what)?;
    let attempt = async {
        match target {
            Target::Webhook {
                endpoint,
                trust,
                secret,
            } => post((&endpoint, &trust), &secret, delivery).await,
            Target::Exec(command) => run(&command, delivery).await,
        }
    };
    let tried = tokio::time::timeout(sink.timeout(), attempt).await;
    tried.unwrap_or_else(|_| Err(format!("nothing came of it within {:?}", sink.timeout())))
}

/// Signs as Standard Webhooks describes it: id, time and body, so that none of them is replaced.
fn signature(secret: &Secret, (id, at_s): (&str, u64), body: &str) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret.0).ok()?;
    mac.update(format!("{id}.{at_s}.{body}").as_bytes());
    Some(format!(
        "v1,{}",
        BASE64.encode(&mac.finalize().into_bytes())
    ))
}

async fn post(
    (endpoint, trust): (&Endpoint, &Trust),
    secret: &Secret,
    delivery: &Delivery,
) -> Result<(), String> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let at_s = now.unwrap_or_default().as_secs();
    let signed = signature(secret, (&delivery.id, at_s), &delivery.body);
    let signed = signed.ok_or("the secret cannot be used")?;
    let headers = [
        ("content-type", "application/cloudevents+json".to_owned()),
        (
            "user-agent",
            concat!("hoist/", env!("CARGO_PKG_VERSION")).to_owned(),
        ),
        ("webhook-id", delivery.id.clone()),
        ("webhook-timestamp", at_s.to_string()),
        ("webhook-signature", signed),
    ];
    let body = Bytes::from(delivery.body.clone());
    let answer = exchange::post((endpoint, trust), &headers, body).await;
    let answer = answer.map_err(|error| error.to_string())?;
    let status = answer.status();
    let _said = answer.small(ANSWER_BYTES_MAX).await;
    match status.is_success() {
        true => Ok(()),
        false => Err(format!("it answers {status}")),
    }
}

/// The processes of a program, which end with it.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0.take() {
            let _gone = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Runs a program with the event on its standard input. Nobody reads its output, and nothing of the
/// server's environment goes to it but where programs are.
async fn run(command: &[String], delivery: &Delivery) -> Result<(), String> {
    let (program, arguments) = command.split_first().ok_or("there is no program")?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("HOIST_EVENT_ID", &delivery.id)
        .env("HOIST_EVENT_KIND", &delivery.kind)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    let child = command.spawn();
    let mut child = child.map_err(|error| format!("cannot run {program}: {error}"))?;
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    let group = Group(id.and_then(Pid::from_raw));
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not want to know need not read it.
        let _unread = stdin.write_all(delivery.body.as_bytes()).await;
    }
    let ended = child.wait().await;
    drop(group);
    match ended {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{program} ended with {status}")),
        Err(error) => Err(format!("{program} cannot be waited for: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_standard_webhooks() {
        // The example of the specification.
        let secret = BASE64.decode(b"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = r#"{"test": 2432232314}"#;
        let id = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330);
        assert_eq!(
            signature(&Secret(secret), id, body).unwrap(),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }
}
