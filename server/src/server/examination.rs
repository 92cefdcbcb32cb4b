//! A broker that somebody else runs is examined before the server says that it is ready.

use hoist_broker_config::credentials::TokenKey;
use hoist_orchestrator::mqtt::MqttLogin;
use hoist_protocol::code::Code;

use super::ServerConfig;
use crate::broker::BrokerConfig;
use crate::client_file::ClientFile;
use crate::data_dir::DataDir;
use crate::doctor::{Check, Form, Login, Report, Severity, Subject, examine};
use crate::failure::Failure;

/// What is examined, and what may be open.
pub(super) struct Examination {
    subject: Subject,
    accepted: Vec<Code>,
}

impl Examination {
    /// Of the broker of a server, unless it is its own.
    pub(super) fn of(
        config: &ServerConfig,
        login: &MqttLogin,
        token_key: &[u8; 32],
        data_dir: &DataDir,
    ) -> Option<Self> {
        let BrokerConfig::External(external) = &config.broker else {
            return None;
        };
        let key = TokenKey::new(*token_key);
        let namespace = config.namespace.clone();
        let token = |device: &_, issue| key.device_token(&namespace, device, issue);
        let user = ClientFile::read(&data_dir.client()).ok();
        Some(Self {
            subject: Subject {
                broker: login.broker.clone(),
                devices: external
                    .devices
                    .clone()
                    .unwrap_or_else(|| login.broker.clone()),
                trust: external.trust.clone(),
                canaries: Login::canaries(token),
                user: user.map(|file| Login {
                    user: file.user.to_string(),
                    token: file.token,
                }),
                orchestrator: Some(Login {
                    user: login.user.clone(),
                    token: login.token.clone().unwrap_or_default(),
                }),
                restart: None,
                form: Form::Quick,
                namespace,
            },
            accepted: config.accepted_risks.clone(),
        })
    }

    /// Ok if nothing serious is open that nobody has accepted. A broker that is away by now is
    /// waited for, as ever.
    ///
    /// # Errors
    /// `E_BROKER_UNSAFE`.
    pub(super) async fn pass(&self) -> Result<(), Failure> {
        let untried = Code::BrokerUntried.as_str();
        let report = match examine(&self.subject).await {
            Ok(report) => report,
            Err(failure) => {
                let why = failure.what;
                tracing::warn!(code = untried, why, "the broker was not examined");
                return Ok(());
            }
        };
        if let Some(why) = &report.cut_off {
            tracing::warn!(
                code = untried,
                why,
                "the broker was not examined to the end"
            );
        }
        if report.is_left_behind {
            tracing::warn!(
                "messages of the examination stay at the broker: `hoist doctor` clears them"
            );
        }
        for (check, why) in report.open() {
            let code = check.code.as_str();
            match check.severity {
                Severity::Serious => tracing::warn!(code, why, "open at the broker"),
                Severity::Warning => tracing::info!(code, why, "open at the broker"),
            }
        }
        match self.refused(&report) {
            refused if refused.is_empty() => Ok(()),
            refused => Err(self.unsafe_broker(&report, &refused)),
        }
    }

    fn refused(&self, report: &Report) -> Vec<Code> {
        let mut refused = Vec::new();
        for (check, _) in report.open() {
            let is_serious = check.severity == Severity::Serious;
            let is_known = self.accepted.contains(&check.code) || refused.contains(&check.code);
            if is_serious && !is_known {
                refused.push(check.code);
            }
        }
        refused
    }

    fn unsafe_broker(&self, report: &Report, refused: &[Code]) -> Failure {
        let serious = |check: &Check| check.severity == Severity::Serious;
        let open = report
            .open()
            .filter(|(check, _)| serious(check) && refused.contains(&check.code));
        let why: Vec<_> = open.map(|(_, why)| why).collect();
        let what = format!(
            "the server does not work with the broker at {}: {}",
            self.subject.broker,
            why.join("; ")
        );
        let risk = |code: &Code| format!("--accept-risk {}", code.as_str());
        let risks: Vec<_> = refused.iter().map(risk).collect();
        Failure::new(Code::BrokerUnsafe, what).help(format!(
            "`hoist doctor` says all that is open and what to do, `hoist broker render` writes what the broker needs; to take the risk: {}",
            risks.join(" ")
        ))
    }
}
