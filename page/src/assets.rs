//! Style and scripts, in the binary. Their names carry a part of their hash, so that browsers keep them for
//! as long as they are the same.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hoist_protocol::id::sha256;

use crate::answer::Refused;

/// One file.
pub(crate) struct Asset {
    /// Its name, with its hash.
    pub(crate) name: String,
    kind: &'static str,
    text: &'static str,
}

fn asset(stem: &str, ending: &str, kind: &'static str, text: &'static str) -> Asset {
    let hash = data_encoding::HEXLOWER.encode(&sha256(text.as_bytes())[..6]);
    Asset {
        name: format!("{stem}-{hash}.{ending}"),
        kind,
        text,
    }
}

/// The style of all pages.
pub(crate) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    let text = include_str!("../assets/page.css");
    asset("page", "css", "text/css; charset=utf-8", text)
});

/// What moves on pages: times in the reader's zone, views as they change, plans while typing.
pub(crate) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    let text = include_str!("../assets/page.js");
    asset("page", "js", "text/javascript; charset=utf-8", text)
});

/// The sign in the browser's tab.
pub(crate) static ICON: LazyLock<Asset> = LazyLock::new(|| {
    asset(
        "icon",
        "svg",
        "image/svg+xml",
        include_str!("../assets/icon.svg"),
    )
});

/// A file by its name.
pub(crate) async fn get(Path(name): Path<String>) -> Response {
    let all: [&Asset; 3] = [&STYLE, &SCRIPT, &ICON];
    let Some(asset) = all.into_iter().find(|asset| asset.name == name) else {
        return Refused::new(StatusCode::NOT_FOUND, "There is nothing here", "").into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, asset.kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, asset.text).into_response()
}
