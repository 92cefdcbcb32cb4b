//! Parts that pages are made of.

pub(crate) mod bar;
pub(crate) mod course;
pub(crate) mod deployments;
pub(crate) mod devices;
pub(crate) mod frame;
pub(crate) mod overview;
pub(crate) mod plan;
pub(crate) mod words;
