//! What devices and operators say in these tests.

use super::*;

pub(super) fn alice() -> UserId {
    "alice".parse().unwrap()
}

pub(super) fn verified(name: &str, version: &str, artifacts: &[&str]) -> VerifiedRelease {
    let refs = artifacts.iter().map(|artifact| ArtifactRef {
        size: 10,
        hash: sha256(format!("{artifact}{version}").as_bytes()),
    });
    VerifiedRelease {
        sealed: vec![1, 2, 3],
        manifest: ReleaseManifest {
            name: name.parse().unwrap(),
            version: version.into(),
            counter: 1,
            floor: 0,
            device_types: Vec::new(),
            attributes: Vec::new(),
            artifacts: refs.collect(),
        },
        artifacts: artifacts.iter().map(|a| a.parse().unwrap()).collect(),
    }
}

pub(super) fn deploy(release: &str) -> Deploy {
    Deploy {
        release: release.into(),
        group: Some("eu".into()),
        ..Deploy::default()
    }
}

impl World {
    pub(super) fn heard(&mut self, device: &str, state: PresenceState, session: u64) {
        self.hears(device, (state, session), Delivered::Live);
    }

    pub(super) fn hears(
        &mut self,
        device: &str,
        (state, session): (PresenceState, u64),
        delivered: Delivered,
    ) -> Effects {
        self.tell(Input::Presence {
            device: device.parse().unwrap(),
            presence: Presence {
                state,
                session: SessionCounter(session),
            },
            delivered,
        })
    }
}

pub(super) fn working(seq: u64, id: DeploymentId, step: Step) -> DeviceStatus {
    DeviceStatus {
        seq: Seq(seq),
        ended: 0,
        running: Some(Progress {
            deployment: id,
            round: Round(0),
            attempt: Attempt(1),
            step,
        }),
        outcomes: Vec::new(),
    }
}

pub(super) fn done(seq: u64, id: DeploymentId) -> DeviceStatus {
    ended(seq, id, FinalResult::Successful(Success::Installed))
}

pub(super) fn failed(seq: u64, id: DeploymentId) -> DeviceStatus {
    let failure = Failure {
        reason: Reason::ScriptFailed,
        artifact: Some(0),
        script: Some(ScriptFailure {
            kind: ScriptKind::Verify,
            exit: ScriptExit::Code(1),
        }),
        rollback: Rollback::Succeeded,
        output: b"no such sensor".to_vec(),
    };
    ended(seq, id, FinalResult::Failed(failure))
}

pub(super) fn ended(seq: u64, id: DeploymentId, result: FinalResult) -> DeviceStatus {
    DeviceStatus {
        seq: Seq(seq),
        ended: 1,
        running: None,
        outcomes: vec![Outcome {
            deployment: id,
            round: Round(0),
            attempt: Attempt(1),
            result,
        }],
    }
}

pub(super) fn refusal(answer: &Answer) -> Option<Code> {
    match answer {
        Answer::Refused(rejection) => Some(rejection.code),
        _ => None,
    }
}

pub(super) fn rejects(effects: &[Effect], wanted: Code) -> bool {
    effects
        .iter()
        .any(|effect| matches!(effect, Effect::Rejected { code, .. } if *code == wanted))
}

impl World {
    /// A device as a deployment sees it.
    pub(super) fn item(&self, id: DeploymentId, device: &str) -> DeviceItem {
        let list = DeviceList {
            deployment: Some(id.0),
            ..DeviceList::default()
        };
        let ResultBody::Devices(page) = self.answer(&Command::DeviceList(list)) else {
            panic!("not a device list")
        };
        let mut items = page.items.into_iter();
        items.find(|item| item.device == device).unwrap()
    }
}
