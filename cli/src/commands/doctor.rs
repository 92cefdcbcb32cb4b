//! `hoist doctor`: tries what must be impossible at a broker, and says what it found, what that means
//! and what to do.

use hoist_net::endpoint::{Endpoint, Scheme};
use hoist_net::tls::{Pem, Trust};
use hoist_orchestrator_core::reply::API_VERSION;
use hoist_protocol::code::Code;
use hoist_server::broker::{EMBEDDED, SERVICE_USER};
use hoist_server::client_file::ClientFile;
use hoist_server::data_dir::DataDir;
use hoist_server::doctor::{Check, Form, Found, Login, Report, Subject, examine};
use hoist_server::failure::{Failure, of_tls};
use hoist_server::logins::canaries;
use serde_json::{Value, json};

use super::serve::broker::{read_ca, read_token};
use crate::args::Doctor;
use crate::context::{Context, print};
use crate::exit;
use crate::output::text::wrapped;
use crate::output::{self, Format, Shape, printable};

const SHAPE: Shape = Shape {
    name: "broker",
    columns: &[],
};

/// `hoist doctor`
pub(crate) async fn doctor(context: &Context, wish: &Doctor) -> Result<u8, Failure> {
    let subject = subject(context, wish)?;
    let report = examine(&subject).await?;
    match context.format() {
        Format::Table | Format::Wide => print(&told(&subject, &report))?,
        format => print(&output::one(format, &SHAPE, &item(&subject, &report)))?,
    }
    Ok(match report.is_ok() {
        true => exit::OK,
        false => exit::ERROR,
    })
}

/// The broker of the client file, or the one that is named.
fn subject(context: &Context, wish: &Doctor) -> Result<Subject, Failure> {
    let named = wish.broker.as_deref();
    let file = match context.client_file() {
        Ok(file) => Some(file),
        // A broker can be looked at where there is no server yet.
        Err(failure) if named.is_some() && failure.is(Code::Config) => None,
        Err(failure) => return Err(failure),
    };
    let of_file = file.as_ref().map(|file| file.mqtt.as_str());
    let broker = endpoint(
        named
            .filter(|at| *at != EMBEDDED)
            .or(of_file)
            .unwrap_or_default(),
    )?;
    let of_file = file.as_ref().and_then(|file| file.device_mqtt.as_deref());
    let devices = match wish.device_broker.as_deref() {
        Some(devices) => endpoint(devices)?,
        // The one of the file belongs to the broker of the file.
        None if named.is_none() => of_file.map_or_else(|| Ok(broker.clone()), endpoint)?,
        None => broker.clone(),
    };
    let namespace = file.as_ref().map(|file| file.namespace.clone());
    let namespace = namespace.unwrap_or_else(|| context.settings.namespace.value.clone());
    let data_dir = DataDir::new(&context.settings.data_dir.value);
    let canaries = match data_dir.keys().is_dir() {
        true => canaries(&data_dir, &namespace)?,
        false => None,
    };
    let orchestrator = wish
        .orchestrator_token
        .as_deref()
        .map(read_token)
        .transpose()?;
    Ok(Subject {
        broker,
        devices,
        trust: trust(wish, file.as_ref())?,
        namespace,
        canaries,
        user: file.map(|file| Login {
            user: file.user.to_string(),
            token: file.token,
        }),
        orchestrator: orchestrator.map(|token| Login {
            user: orchestrator_user(context),
            token,
        }),
        restart: wish.restart.clone(),
        form: Form::Whole,
    })
}

fn orchestrator_user(context: &Context) -> String {
    let set = context.settings.broker_user.as_ref();
    set.map_or_else(|| SERVICE_USER.to_owned(), |set| set.value.clone())
}

fn endpoint(text: &str) -> Result<Endpoint, Failure> {
    Endpoint::parse_as(Scheme::Mqtt, text).map_err(|error| {
        Failure::because(Code::Config, format!("{text:?} is no broker"), &error)
            .help("write `--broker mqtts://HOST:PORT`, with --broker-ca")
    })
}

/// The certificates that are believed: those of the named CA, or of the client file.
fn trust(wish: &Doctor, file: Option<&ClientFile>) -> Result<Trust, Failure> {
    match (&wish.broker_ca, file) {
        (Some(ca), _) => {
            let text = read_ca(ca)?;
            let (name, text) = ("--broker-ca", text.as_bytes());
            Trust::pinned(Pem { name, text }).map_err(|error| of_tls(&error))
        }
        (None, Some(file)) => file.trust(),
        (None, None) => Ok(Trust::default()),
    }
}

/// All of it as JSON.
fn item(subject: &Subject, report: &Report) -> Value {
    let checks: Vec<Value> = report.checks.iter().map(check).collect();
    json!({
        "apiVersion": API_VERSION, "kind": "doctor", "broker": subject.broker.to_string(),
        "checks": checks, "ok": report.is_ok(), "cutOff": report.cut_off,
        "leftBehind": report.is_left_behind,
    })
}

fn check(check: &Check) -> Value {
    let (ok, found) = match &check.found {
        Found::Well => (Value::Bool(true), "as it must be"),
        Found::Open(why) => (Value::Bool(false), why.as_str()),
        Found::Untried(why) => (Value::Null, why.as_str()),
    };
    json!({
        "id": check.id, "ok": ok, "severity": check.severity.word(), "found": found,
        "code": check.code.as_str(), "means": check.code.meaning(), "fix": check.code.hint(),
    })
}

/// All of it for people: what is open first.
fn told(subject: &Subject, report: &Report) -> String {
    let mut text = String::new();
    for (check, why) in report.open() {
        let begin = format!("{:<8} {}: ", check.severity.word(), check.id);
        text += &wrapped(&begin, &printable(why));
        text += &wrapped("    means ", check.code.meaning());
        let fix = format!("{} ({})", check.code.hint(), check.code.as_str());
        text += &wrapped("    fix ", &fix);
    }
    let named = |is: fn(&Found) -> bool| {
        let found = report.checks.iter().filter(|check| is(&check.found));
        found.map(|check| check.id).collect::<Vec<_>>().join(", ")
    };
    let well = named(|found| *found == Found::Well);
    if !well.is_empty() {
        text += &wrapped("ok ", &well);
    }
    for reason in reasons(report) {
        let of_reason = |check: &&Check| check.found == Found::Untried(reason.clone());
        let ids = report.checks.iter().filter(of_reason).map(|check| check.id);
        let ids: Vec<_> = ids.collect();
        text += &wrapped("not tried ", &format!("{}: {reason}", ids.join(", ")));
    }
    if report.is_left_behind {
        let left = "messages of this examination stay at the broker; run `hoist doctor` again to clear them";
        text += &wrapped("warning  left-behind: ", left);
    }
    text + &format!("{}: {}\n", subject.broker, verdict(report))
}

fn verdict(report: &Report) -> &'static str {
    match (report.is_ok(), &report.cut_off) {
        (true, _) => "nothing serious is open",
        (false, Some(_)) if report.serious().next().is_none() => "was not examined to the end",
        (false, _) => "is not safe to work with as it is",
    }
}

/// Why something was not tried, each reason once.
fn reasons(report: &Report) -> Vec<String> {
    let mut reasons = Vec::new();
    for check in &report.checks {
        if let Found::Untried(why) = &check.found
            && !reasons.contains(why)
        {
            reasons.push(why.clone());
        }
    }
    reasons
}
