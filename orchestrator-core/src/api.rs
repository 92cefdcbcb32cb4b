//! Commands of people: their JSON, the role each needs, and what each does, once per request.

pub(crate) mod body;
pub mod command;
pub(crate) mod commands;
pub mod json;
mod json_words;
pub(crate) mod lookup;
pub(crate) mod object;
pub(crate) mod public_key;
pub(crate) mod remembered;
pub mod request;
pub mod response;
