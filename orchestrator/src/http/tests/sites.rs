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

#[tokio::test]
async fn a_page_whose_own_name_leads_here_reaches_nothing() {
    let site = Site::start().await;
    let list = "POST /api/v1/group-list HTTP/1.1\r\nAuthorization: Bearer viewer\r\n\
        Idempotency-Key: a\r\nContent-Length: 2";
    let port = site.address.port();
    for head in [list, "GET /readyz HTTP/1.1", "GET /artifacts/ab HTTP/1.1"] {
        for own in [
            "localhost".to_owned(),
            format!("127.0.0.1:{port}"),
            "[::1]".to_owned(),
            "fleet.example.com".to_owned(),
        ] {
            let (status, said, _) = site.ask_at(&own, head, b"{}").await;
            assert!(status != 421, "{own}: {said}");
        }
        let foreign = format!("evil.example:{port}");
        let (status, said, body) = site.ask_at(&foreign, head, b"{}").await;
        assert_eq!(status, 421, "{said}");
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["error"]["code"], "E_ORIGIN");
        assert!(body["error"]["hint"].as_str().unwrap().contains("--name"));
    }
    let absolute = "GET http://evil.example/readyz HTTP/1.1";
    assert_eq!(site.ask(absolute, b"").await.0, 421);
}

#[tokio::test]
async fn a_link_of_another_site_opens_only_what_anybody_may_have() {
    let site = Site::start().await;
    let link = "HTTP/1.1\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode:";
    for path in ["/livez", "/readyz", "/artifacts/ab"] {
        let (opened, said, _) = site.ask(&format!("GET {path} {link} navigate"), b"").await;
        assert!(opened != 403, "{said}");
        for other in [
            format!("GET {path} {link} no-cors"),
            format!("GET {path} {link} navigate\r\nOrigin: http://evil.example"),
            format!("POST {path} {link} navigate"),
        ] {
            assert_eq!(site.ask(&other, b"").await.0, 403, "{other}");
        }
    }
    let backup = format!("GET /backup/rows {link} navigate");
    assert_eq!(site.ask(&backup, b"").await.0, 403);
}
