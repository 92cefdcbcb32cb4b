//! The settings as they are shown.

use std::path::PathBuf;
use std::time::Duration;

use hoist_protocol::id::Namespace;

use super::{Origin, Setting, Settings};
use crate::output::Format;

impl Settings {
    /// Every setting as name, value and origin, in the order of the file's keys.
    pub(crate) fn rows(&self) -> Vec<(&'static str, String, String)> {
        fn row<T>(
            name: &'static str,
            setting: Option<&Setting<T>>,
            show: impl Fn(&T) -> String,
        ) -> (&'static str, String, String) {
            match setting {
                Some(setting) => (name, show(&setting.value), setting.origin.to_string()),
                None => (name, "-".to_owned(), Origin::Default.to_string()),
            }
        }
        let shown = |path: &PathBuf| path.display().to_string();
        let time = |time: &Duration| humantime::format_duration(*time).to_string();
        vec![
            row("data_dir", Some(&self.data_dir), shown),
            row("client", self.client.as_ref(), shown),
            row("broker", self.broker.as_ref(), String::clone),
            row("device_broker", self.device_broker.as_ref(), String::clone),
            row("accept_risk", self.accept_risk.as_ref(), |codes| {
                codes.join(", ")
            }),
            row("broker_user", self.broker_user.as_ref(), String::clone),
            row("broker_token_file", self.broker_token_file.as_ref(), shown),
            row("broker_ca", self.broker_ca.as_ref(), shown),
            row("token_file", self.token_file.as_ref(), shown),
            row("output", Some(&self.output), Format::to_string),
            row("log", Some(&self.log), String::clone),
            row("mqtt", Some(&self.mqtt), String::clone),
            row("http", Some(&self.http), String::clone),
            row("listen", self.doors.listen.as_ref(), String::clone),
            row("name", self.doors.name.as_ref(), String::clone),
            row("tls_cert", self.doors.tls_cert.as_ref(), shown),
            row("tls_key", self.doors.tls_key.as_ref(), shown),
            row("client_ca", self.doors.client_ca.as_ref(), shown),
            row("tls_min", self.doors.tls_min.as_ref(), String::clone),
            row("no_tls", Some(&self.doors.no_tls), bool::to_string),
            row("namespace", Some(&self.namespace), Namespace::to_string),
            row("grace", Some(&self.grace), time),
            row("settle", Some(&self.settle), time),
            row(
                "space_reserve_mib",
                Some(&self.space_reserve_mib),
                u64::to_string,
            ),
            row(
                "upload_quota_mib",
                Some(&self.upload_quota_mib),
                u64::to_string,
            ),
            row(
                "keep_unused_artifacts",
                self.keep_unused_artifacts.as_ref(),
                time,
            ),
            row(
                "keep_ended_deployments",
                self.keep_ended_deployments.as_ref(),
                time,
            ),
            row(
                "keep_silent_devices",
                self.keep_silent_devices.as_ref(),
                time,
            ),
        ]
    }
}
