//! Uploads artifacts over HTTP: the only thing the command line does not do over MQTT.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hoist_device_client::agent::bundle::PackedArtifact;
use hoist_net::exchange::{Content, Server, StatusCode, content};
use hoist_protocol::code::Code;
use hoist_server::client_file::ClientFile;
use hoist_server::failure::Failure;
use tokio::sync::Notify;

/// Longest answer read: enough for a sentence.
const ANSWER_BYTES_MAX: usize = 4 * 1024;
/// The time that a server may take to say that it wants the content (100 Continue). A server that
/// refuses has answered by then, and one behind an old proxy never says it.
const WELCOME_PATIENCE: Duration = Duration::from_secs(2);

/// Uploads one artifact; one that is there already is no failure.
///
/// # Errors
/// `E_HTTP` when the server cannot be reached or refuses, `E_AUTH` or `E_ROLE` when the
/// token may not, `E_FILE` when a file changed meanwhile.
pub(crate) async fn upload(file: &ClientFile, artifact: &PackedArtifact) -> Result<(), Failure> {
    let (mut pieces, content) = content(artifact.reference.size);
    let artifact = artifact.clone();
    let path = format!("/artifacts/{}", artifact.id());
    let welcome = Arc::new(Notify::new());
    let mut sent = pin!(send(file, &path, content, Arc::clone(&welcome)));
    tokio::select! {
        // There already, or refused: nothing needs to be sent.
        answer = &mut sent => return answer?.judge(file),
        () = welcome.notified() => {}
        () = tokio::time::sleep(WELCOME_PATIENCE) => {}
    }
    let reading = tokio::task::spawn_blocking(move || artifact.write_to(&mut pieces));
    let answer = sent.await;
    match reading.await {
        // What could not be read explains why the upload broke off.
        Ok(Err(error)) if !is_broken_pipe(&error) => Err(Failure::because(
            Code::File,
            "cannot read the release",
            &error,
        )),
        _ => answer?.judge(file),
    }
}

fn is_broken_pipe(error: &dyn std::error::Error) -> bool {
    error
        .source()
        .and_then(|source| source.downcast_ref::<io::Error>())
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

struct Answer {
    status: StatusCode,
    text: String,
}

impl Answer {
    fn judge(&self, file: &ClientFile) -> Result<(), Failure> {
        let user = &file.user;
        Err(match self.status {
            status if status.is_success() => return Ok(()),
            StatusCode::UNAUTHORIZED => Failure::new(
                Code::Auth,
                format!("the server does not accept the token of {user}"),
            )
            .help("use the client.toml of this server"),
            StatusCode::FORBIDDEN => {
                Failure::new(Code::Role, format!("user {user} may not upload artifacts"))
                    .help("ask an admin for the role deployer")
            }
            status => self.refusal().unwrap_or_else(|| {
                let what = format!("the upload was refused with {status}: {}", self.text);
                Failure::new(Code::Http, what)
            }),
        })
    }

    /// The server's own words about it; nothing that anything between here and there says.
    fn refusal(&self) -> Option<Failure> {
        let said: serde_json::Value = serde_json::from_str(&self.text).ok()?;
        let field = |name: &str| said["error"][name].as_str().filter(|text| !text.is_empty());
        let code = field("code")?;
        let why = field("detail").or(field("title"))?;
        let failure = Failure::answered(code, format!("the upload was refused: {why}"));
        let known = Code::parse(code).map(Code::hint);
        Some(match field("hint").or(known) {
            Some(hint) => failure.help(hint),
            None => failure,
        })
    }
}

async fn send(
    file: &ClientFile,
    path: &str,
    content: Content,
    welcome: Arc<Notify>,
) -> Result<Answer, Failure> {
    let trust = file.trust()?;
    let put = async {
        let server = Server::new(&file.http, &trust, &file.token)?;
        server.put(path, content, welcome).await
    };
    let answer = put.await.map_err(|error| {
        Failure::new(
            error.code().unwrap_or(Code::Http),
            format!("cannot upload to {}: {error}", file.http),
        )
        .help("is the server running? its address is `http` in client.toml")
    })?;
    let status = answer.status();
    let text = answer.small(ANSWER_BYTES_MAX).await;
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    Ok(Answer { status, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, text: &str) -> Failure {
        let file = ClientFile {
            mqtt: "mqtt://m".to_owned(),
            device_mqtt: None,
            http: "http://h".to_owned(),
            namespace: hoist_protocol::id::Namespace::default(),
            user: "admin".parse().unwrap(),
            token: "secret".to_owned(),
            ca: None,
            ca_file: None,
        };
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            text: text.to_owned(),
        };
        answer.judge(&file).unwrap_err()
    }

    #[test]
    fn a_refusal_of_the_server_is_told_under_its_code_with_what_to_do() {
        let text = r#"{"apiVersion":"hoist/v1","ok":false,"error":
            {"code":"E_SPACE","title":"3 MiB are left","hint":""}}"#;
        let failure = judged(507, text);
        assert_eq!(
            failure.to_string(),
            format!(
                "error[E_SPACE]: the upload was refused: 3 MiB are left\nhelp: {}",
                Code::Space.hint()
            )
        );
        let hinted = judged(
            408,
            &text.replace(r#""hint":"""#, r#""hint":"send it again""#),
        );
        assert_eq!(hinted.help.as_deref(), Some("send it again"));
        let between = judged(502, "<html>bad gateway</html>");
        assert!(between.is(Code::Http), "{between}");
        assert!(
            between.to_string().contains("502 Bad Gateway: <html>"),
            "{between}"
        );
    }
}
