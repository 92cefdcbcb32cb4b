//! Commands that only read, and run again on every repeat.

use hoist_protocol::access::Role;
use hoist_protocol::id::{DeploymentId, UserId};

use crate::api::body::Body;
use crate::model::now::Now;
use crate::query::body::{
    AuditList, DeploymentHistory, DeploymentList, DeploymentShow, DeviceList, DeviceShow,
    DeviceWhy, EnrollList, EnrollWaiting, EventList, GroupList, PassList, PolicyList, PolicyShow,
    ReleaseList, ReleaseShow, UserList,
};
use crate::query::{self, Queried, Reader};
use crate::reply::ResultBody;

impl Body for DeploymentList {
    const WORD: &'static str = Self::VERB;
    const ROLE: Role = Role::Viewer;

    fn answer(&self, reader: &mut Reader, _: &UserId, _: Now) -> Queried<ResultBody> {
        Ok(query::deployment_list(reader, self)?.map(ResultBody::Deployments))
    }
}

impl Body for DeploymentShow {
    const WORD: &'static str = "deployment-show";
    const ROLE: Role = Role::Viewer;

    fn answer(&self, reader: &mut Reader, _: &UserId, _: Now) -> Queried<ResultBody> {
        let shown = query::deployment_show(reader, DeploymentId(self.deployment))?;
        Ok(shown.map(|detail| ResultBody::Deployment(Box::new(detail))))
    }
}

impl Body for DeploymentHistory {
    const WORD: &'static str = Self::VERB;
    const ROLE: Role = Role::Viewer;

    fn answer(&self, reader: &mut Reader, _: &UserId, _: Now) -> Queried<ResultBody> {
        Ok(query::deployment_history(reader, self)?.map(ResultBody::History))
    }
}

impl Body for DeviceList {
    const WORD: &'static str = Self::VERB;
    const ROLE: Role = Role::Viewer;

    fn answer(&self, reader: &mut Reader, _: &UserId, now: Now) -> Queried<ResultBody> {
        Ok(query::device_list(reader, self, now)?.map(ResultBody::Devices))
    }
}

impl Body for DeviceShow {
    const WORD: &'static str = "device-show";
    const ROLE: Role = Role::Viewer;

    fn answer(&self, reader: &mut Reader, _: &UserId, now: Now) -> Queried<ResultBody> {
        let shown = query::device_show(reader, &self.device, now)?;
        Ok(shown.map(|detail| ResultBody::DeviceDetail(Box::new(detail))))
    }
}

impl Body for DeviceWhy {
    const WORD: &'static str = "device-why";
    const ROLE: Role = Role::Viewer;

    fn answer(&self, reader: &mut Reader, _: &UserId, now: Now) -> Queried<ResultBody> {
        let why = query::device_why(reader, self, now)?;
        Ok(why.map(|why| ResultBody::DeviceWhy(Box::new(why))))
    }
}

impl Body for GroupList {
    const WORD: &'static str = Self::VERB;
    const ROLE: Role = Role::Viewer;

    fn answer(&self, reader: &mut Reader, _: &UserId, _: Now) -> Queried<ResultBody> {
        Ok(query::group_list(reader, self)?.map(ResultBody::Groups))
    }
}

impl Body for PassList {
    const WORD: &'static str = "pass-list";
    const ROLE: Role = Role::Viewer;

    fn answer(&self, reader: &mut Reader, _: &UserId, _: Now) -> Queried<ResultBody> {
        Ok(query::pass_list(reader)?.map(ResultBody::Passes))
    }
}

impl Body for PolicyList {
    const WORD: &'static str = Self::VERB;
    const ROLE: Role = Role::Viewer;

    fn answer(&self, reader: &mut Reader, _: &UserId, _: Now) -> Queried<ResultBody> {
        Ok(query::policy_list(reader, self)?.map(ResultBody::Policies))
    }
}

impl Body for PolicyShow {
    const WORD: &'static str = "policy-show";
    const ROLE: Role = Role::Viewer;

    fn answer(&self, reader: &mut Reader, _: &UserId, _: Now) -> Queried<ResultBody> {
        let shown = query::policy_show(reader, self)?;
        Ok(shown.map(|policy| ResultBody::Policy(Box::new(policy))))
    }
}

impl Body for EnrollList {
    const WORD: &'static str = Self::VERB;
    const ROLE: Role = Role::Admin;

    fn answer(&self, reader: &mut Reader, _: &UserId, _: Now) -> Queried<ResultBody> {
        Ok(query::enroll_list(reader, self)?.map(ResultBody::Claims))
    }
}

impl Body for EnrollWaiting {
    const WORD: &'static str = Self::VERB;
    const ROLE: Role = Role::Admin;

    fn answer(&self, reader: &mut Reader, _: &UserId, _: Now) -> Queried<ResultBody> {
        Ok(query::enroll_waiting(reader, self)?.map(ResultBody::Waiting))
    }
}

impl Body for ReleaseList {
    const WORD: &'static str = Self::VERB;
    const ROLE: Role = Role::Viewer;

    fn answer(&self, reader: &mut Reader, _: &UserId, _: Now) -> Queried<ResultBody> {
        Ok(query::release_list(reader, self)?.map(ResultBody::Releases))
    }
}

impl Body for ReleaseShow {
    const WORD: &'static str = "release-show";
    const ROLE: Role = Role::Viewer;

    fn release_mut(&mut self) -> Option<&mut String> {
        Some(&mut self.release)
    }

    fn answer(&self, reader: &mut Reader, _: &UserId, _: Now) -> Queried<ResultBody> {
        query::release_show(reader, &self.release)
    }
}

impl Body for UserList {
    const WORD: &'static str = "user-list";
    const ROLE: Role = Role::Admin;
    const IS_MANAGED: bool = true;
}

impl Body for EventList {
    const WORD: &'static str = Self::VERB;
    const ROLE: Role = Role::Viewer;

    fn answer(&self, reader: &mut Reader, _: &UserId, _: Now) -> Queried<ResultBody> {
        Ok(query::event_list(reader, self)?.map(ResultBody::Events))
    }
}

impl Body for AuditList {
    const WORD: &'static str = Self::VERB;
    const ROLE: Role = Role::Admin;
    const OF_ALL_GROUPS: bool = true;

    fn answer(&self, reader: &mut Reader, _: &UserId, _: Now) -> Queried<ResultBody> {
        Ok(query::audit_list(reader, self)?.map(ResultBody::Audit))
    }
}
