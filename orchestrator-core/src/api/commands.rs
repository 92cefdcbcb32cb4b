//! One file for each verb that changes something; those that read are in one.

pub(crate) mod abort;
pub(crate) mod approve;
pub(crate) mod deploy;
pub(crate) mod device_add;
pub(crate) mod device_approve;
pub(crate) mod device_hold;
pub(crate) mod device_import;
pub(crate) mod device_label;
pub(crate) mod device_move;
pub(crate) mod device_remove;
pub(crate) mod device_revoke;
pub(crate) mod device_token_rotate;
pub(crate) mod enroll_create;
pub(crate) mod enroll_revoke;
pub(crate) mod freeze;
pub(crate) mod group_create;
pub(crate) mod group_remove;
pub(crate) mod pause;
pub(crate) mod policy_put;
pub(crate) mod reading;
pub(crate) mod release_add;
pub(crate) mod release_remove;
pub(crate) mod retry;
pub(crate) mod user_add;
pub(crate) mod user_remove;
