use super::Site;

#[tokio::test]
async fn a_page_of_another_site_reaches_nothing_and_may_read_nothing() {
    let site = Site::start().await;
    let list = "POST /api/v1/group-list HTTP/1.1\r\nAuthorization: Bearer viewer\r\n\
        Idempotency-Key: a\r\nContent-Length: 2";
    for head in [
        list,
        "GET /readyz HTTP/1.1",
        "OPTIONS /api/v1/abort HTTP/1.1",
    ] {
        let (own, said, _) = site.ask(head, b"{}").await;
        assert!(
            own != 403 && !said.to_lowercase().contains("access-control"),
            "{said}"
        );
        let foreign = format!("{head}\r\nOrigin: http://evil.example");
        let (status, said, body) = site.ask(&foreign, b"{}").await;
        assert_eq!(status, 403, "{said}");
        assert!(!said.to_lowercase().contains("access-control"), "{said}");
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error"]["code"], "E_ORIGIN");
    }
}
