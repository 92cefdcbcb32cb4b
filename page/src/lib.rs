//! Pages for people on the HTTP address: the fleet in a browser. It decides nothing: it is one more
//! client of the command table, with the rights of whoever looks, and shows views as they are published.

// A print ends the program when nobody takes it.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod action;
mod answer;
mod assets;
mod command_line;
mod desk;
mod fields;
mod form;
mod live;
mod parts;
mod screens;
mod secret;
mod session;
mod site;
mod visitor;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use answer::Refused;
use site::Site;
pub use site::{Opening, PageConfig, Transport};

/// The user under whose name this machine's people read without a token: a viewer, whom nobody can
/// be otherwise.
pub const LOCAL_READER: &str = "local-reader";

/// Routes that HTTP serves beside its own.
pub type Routes = Router;

/// The routes of the pages.
pub fn router(config: PageConfig) -> Routes {
    let site = Site::new(config);
    Router::new()
        .route("/", get(screens::fleet::home))
        .route(
            "/login",
            get(screens::login::show).post(screens::login::enter),
        )
        .route("/logout", post(screens::login::leave))
        .route("/fleet", get(screens::fleet::show))
        .route("/deployments", get(screens::deployments::show))
        .route("/deployments/{number}", get(screens::deployment::show))
        .route("/devices/{id}", get(screens::device::show))
        .route("/groups/{id}", get(screens::group::show))
        .route("/releases", get(screens::releases::show))
        .route("/new", get(screens::new::show))
        .route("/new/plan", get(screens::new::plan))
        .route("/users", get(screens::users::show))
        .route("/audit", get(screens::audit::show))
        .route("/search", get(screens::search::show))
        .route("/act/{verb}", post(action::preview))
        .route("/confirm/{verb}", post(action::confirm))
        .route("/live/fleet", get(live::fleet))
        .route("/live/deployments/{number}", get(live::deployment))
        .route("/assets/{name}", get(assets::get))
        .method_not_allowed_fallback(wrong_method)
        .with_state(site)
}

async fn wrong_method() -> Response {
    let refused = Refused::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "This address takes another method",
        "Open it from the page that leads here.",
    );
    refused.into_response()
}
