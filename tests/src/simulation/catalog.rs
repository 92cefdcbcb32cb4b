//! The releases of a model: what they install and what their scripts look like.

use std::sync::Arc;

use fastrand::Rng;
use hoist_device_client::machine::{ArtifactPlan, ScriptPlan};
use hoist_orchestrator_core::model::release::VerifiedRelease;
use hoist_protocol::codec::encode;
use hoist_protocol::id::{Name, ReleaseId, sha256};
use hoist_protocol::release::{ArtifactRef, ReleaseManifest};
use hoist_protocol::spec::DEPLOYMENT_SPECS_MAX;
use hoist_protocol::status::ScriptKind;

/// Device type that some releases require.
pub const SPECIAL: &str = "special";

/// A release.
#[derive(Debug, Clone)]
pub struct Release {
    /// `name@version`
    pub text: String,
    /// Its id.
    pub id: ReleaseId,
    /// As its adding is decided.
    pub verified: VerifiedRelease,
    /// The plans of its artifacts, which the machine must know.
    pub plans: Arc<[ArtifactPlan]>,
}

impl Release {
    /// A release of these artifacts.
    pub fn new(text: &str, artifacts: &[&str], plans: Vec<ArtifactPlan>, special: bool) -> Self {
        let (name, version) = text.split_once('@').unwrap_or((text, "1"));
        let reference = |artifact: &&str| ArtifactRef {
            size: 1,
            hash: sha256(format!("{artifact} {version}").as_bytes()),
        };
        let manifest = ReleaseManifest {
            name: name.parse().expect("a valid name"),
            version: version.to_owned(),
            counter: version.parse().unwrap_or(1),
            floor: 0,
            device_types: if special {
                vec![SPECIAL.to_owned()]
            } else {
                Vec::new()
            },
            attributes: Vec::new(),
            artifacts: artifacts.iter().map(reference).collect(),
        };
        let sealed = encode(&manifest);
        let names = artifacts.iter().map(|artifact| artifact.parse::<Name>());
        Self {
            text: text.to_owned(),
            id: ReleaseId::of(&sealed),
            verified: VerifiedRelease {
                sealed,
                artifacts: names.map(|name| name.expect("a valid name")).collect(),
                manifest,
            },
            plans: Arc::from(plans),
        }
    }

    /// True if only devices of the type [`SPECIAL`] may have the release.
    pub fn is_special(&self) -> bool {
        !self.verified.manifest.device_types.is_empty()
    }
}

/// Every release of a model, by place.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// The releases.
    pub releases: Vec<Release>,
}

/// Names of artifacts, and of the releases that hold only one.
const NAMES: [&str; 3] = ["app", "config", "model"];

/// Names of artifacts where there are many.
const MANY: [&str; DEPLOYMENT_SPECS_MAX] = [
    "app", "config", "model", "maps", "fonts", "rules", "voice", "modem",
];

impl Catalog {
    /// Releases for a seed: two versions of each artifact alone, and one of two together.
    pub fn generate(rng: &mut Rng) -> Self {
        let mut releases = Vec::new();
        for name in NAMES {
            for version in 1..=2 {
                let text = format!("{name}@{version}");
                let special = rng.u8(..) < 20;
                releases.push(Release::new(&text, &[name], vec![any_plan(rng)], special));
            }
        }
        let both = vec![any_plan(rng), any_plan(rng)];
        releases.push(Release::new("both@1", &NAMES[..2], both, false));
        Self { releases }
    }

    /// One version of as many artifacts as a spec can list deployments of, and two of the
    /// last of them.
    pub fn many(rng: &mut Rng) -> Self {
        let mut releases = Vec::new();
        for name in MANY {
            let special = rng.u8(..) < 20;
            let text = format!("{name}@1");
            releases.push(Release::new(&text, &[name], vec![any_plan(rng)], special));
        }
        let last = MANY[MANY.len() - 1];
        let plans = vec![any_plan(rng)];
        releases.push(Release::new(&format!("{last}@2"), &[last], plans, false));
        Self { releases }
    }

    /// The place of a release.
    pub fn place(&self, id: ReleaseId) -> Option<u8> {
        let place = self.releases.iter().position(|release| release.id == id)?;
        u8::try_from(place).ok()
    }

    /// The release at a place.
    pub fn at(&self, place: u8) -> &Release {
        &self.releases[usize::from(place)]
    }
}

/// An artifact with only the scripts that every artifact has.
pub fn plain_plan() -> ArtifactPlan {
    plan(&[ScriptKind::Install, ScriptKind::Rollback], 1, false)
}

/// An artifact with these scripts.
pub fn plan(kinds: &[ScriptKind], attempts: u8, reboot: bool) -> ArtifactPlan {
    let mut scripts = [None; 5];
    for kind in kinds {
        let idempotent = matches!(kind, ScriptKind::Verify | ScriptKind::Rollback);
        // So that every install of an attempt can be told to be the only one.
        let attempts = if *kind == ScriptKind::Install {
            1
        } else {
            attempts
        };
        scripts[*kind as usize] = Some(ScriptPlan {
            attempts,
            idempotent,
        });
    }
    ArtifactPlan { scripts, reboot }
}

fn any_plan(rng: &mut Rng) -> ArtifactPlan {
    use ScriptKind::{Install, PostInstall, PreInstall, Rollback, Verify};
    let kinds: &[ScriptKind] = match rng.u8(0..4) {
        0 => &[Install, Rollback],
        1 => &[PreInstall, Install, PostInstall, Verify, Rollback],
        _ => &[Install, Verify, Rollback],
    };
    plan(kinds, rng.u8(1..=2), rng.u8(0..100) < 20)
}
