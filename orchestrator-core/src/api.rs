//! Commands of people: their JSON, the role each needs, and what each does, once per request.

pub mod command;
pub(crate) mod request;
