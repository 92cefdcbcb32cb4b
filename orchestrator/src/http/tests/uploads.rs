//! Limits of uploads, and files that were damaged.

use hoist_protocol::bundle::Layout;

use super::*;

/// Where an artifact's content begins.
fn content_at(file: &[u8]) -> usize {
    let layout = Layout::read(file).unwrap();
    usize::try_from(layout.segments_offset).unwrap()
}

#[tokio::test]
async fn garbage_is_refused_at_its_first_segment_and_another_length_before_any() {
    let site = Site::with(slow::impatient()).await;
    let (id, file) = artifact();
    let start = content_at(&file);
    let mut bad = file[..start + 8].to_vec();
    bad[start] ^= 1;
    // The rest is never sent: it is waited for until it is late.
    assert_eq!(site.put("deployer", id, &bad, file.len()).await, 422);
    let length = site.put("deployer", id, &file[..start], file.len() + 1);
    assert_eq!(length.await, 400);
    site.wait_for_files(0).await;
    assert_eq!(site.put("deployer", id, &file, file.len()).await, 201);
}

#[tokio::test]
async fn what_is_the_stores_is_left_to_it() {
    let site = Site::limited(UploadLimits {
        reserve_bytes: u64::MAX,
        ..UploadLimits::default()
    })
    .await;
    let (id, file) = artifact();
    assert_eq!(site.put("deployer", id, &file, file.len()).await, 507);
    site.wait_for_files(0).await;
}

#[tokio::test]
async fn what_no_release_names_is_held_against_its_uploader() {
    let (id, file) = artifact();
    let site = Site::limited(UploadLimits {
        quota_bytes: file.len() as u64,
        ..UploadLimits::default()
    })
    .await;
    assert_eq!(site.put("deployer", id, &file, file.len()).await, 201);
    std::fs::remove_file(site.artifacts.path(id)).unwrap();
    assert_eq!(site.put("deployer", id, &file, file.len()).await, 507);
    site.artifacts.claim(id, "app@1.0.0");
    assert_eq!(site.put("deployer", id, &file, file.len()).await, 201);
}

#[tokio::test]
async fn a_damaged_file_is_noticed_when_it_is_served_and_repaired_by_an_upload() {
    let site = Site::start().await;
    let (id, file) = artifact();
    assert_eq!(site.put("deployer", id, &file, file.len()).await, 201);
    site.artifacts.claim(id, "app@1.0.0");
    let path = site.artifacts.path(id);
    let get = format!("GET /artifacts/{id} HTTP/1.1");
    assert_eq!(site.ask(&get, b"").await.0, 200);

    let mut bad = file.clone();
    *bad.last_mut().unwrap() ^= 1;
    for damage in [Some(bad), Some(file[..file.len() - 1].to_vec()), None] {
        match damage {
            Some(bytes) => std::fs::write(&path, bytes).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        assert_eq!(site.ask(&get, b"").await.0, 503);
        assert!(!site.artifacts.contains(id) && site.artifacts.is_damaged(id));
        let problem = site.health.problems().remove(0);
        assert_eq!(problem.about, format!("artifact {id}"));
        assert!(problem.detail.starts_with("app@1.0.0 "), "{problem:?}");

        assert_eq!(site.put("deployer", id, &file, file.len()).await, 201);
        assert_eq!(site.ask(&get, b"").await.2, file);
        assert_eq!(site.health.problems(), []);
    }
}

#[tokio::test]
async fn only_deployers_upload() {
    let site = Site::start().await;
    let (id, file) = artifact();
    assert_eq!(site.put("nobody", id, &file, file.len()).await, 401);
    assert_eq!(site.put("viewer", id, &file, file.len()).await, 403);
    assert_eq!(site.files(), 0);
}
