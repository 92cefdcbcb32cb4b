use super::*;

#[test]
fn an_address_has_a_host_a_port_and_a_path() {
    let parts = |url| {
        let address = Address::parse(url).unwrap();
        let path = address.endpoint().path().to_owned();
        (address.host().to_owned(), address.port(), path)
    };
    let is = |host: &str, port, path: &str| (host.to_owned(), port, path.to_owned());
    assert_eq!(parts("http://a.b"), is("a.b", 80, "/"));
    assert_eq!(parts("HTTP://a:8/x/y?z#w"), is("a", 8, "/x/y?z"));
    assert_eq!(parts("http://a?x"), is("a", 80, "/?x"));
    assert_eq!(parts("http://[::1]:81/"), is("::1", 81, "/"));
    assert_eq!(parts("http://[::1]"), is("::1", 80, "/"));
    assert_eq!(parts("http://a/x@y"), is("a", 80, "/x@y"));
}

#[test]
fn what_is_no_address_is_refused_for_its_reason() {
    for url in [
        "a.b/x",
        "ftp://a/",
        "http://",
        "http:///x",
        "http://a:b/",
        "http://a:70000/",
        "http://a/x y",
        "http://a/\r\nx: y",
    ] {
        assert_eq!(Address::parse(url), Err(UrlError::Other), "{url}");
    }
    let is_encrypted = |url| Address::parse(url).map(|address| address.is_encrypted());
    let https = match cfg!(feature = "tls") {
        true => Ok(true),
        false => Err(UrlError::Https),
    };
    assert_eq!(is_encrypted("https://a/"), https);
    assert_eq!(is_encrypted("http://a/"), Ok(false));
    for url in [
        "http://user:hunter2@a/",
        "https://hunter2@a",
        "ftp://hunter2@a/",
    ] {
        let error = Address::parse(url).unwrap_err();
        assert_eq!(error, UrlError::Password);
        assert!(!error.to_string().contains("hunter2"));
    }
}

#[test]
fn an_address_is_shown_without_what_may_be_a_secret() {
    let address = Address::parse("http://files:81/secret-path/x?signature=secret").unwrap();
    assert_eq!(address.to_string(), "files:81");
}

#[test]
fn a_location_is_relative_to_where_it_was_said() {
    let from = Address::parse("http://files:81/a/b/c?d=e").unwrap();
    for (location, to) in [
        ("http://other/x", "http://other/x"),
        ("//other/x", "http://other/x"),
        ("/x", "http://files:81/x"),
        ("x", "http://files:81/a/b/x"),
        ("./x/y?z=1/../2", "http://files:81/a/b/x/y?z=1/../2"),
        ("../x", "http://files:81/a/x"),
        ("../../../x", "http://files:81/x"),
        ("..", "http://files:81/a/"),
        ("?f=g", "http://files:81/a/b/c?f=g"),
        ("/x/./y/../z", "http://files:81/x/z"),
        ("x:y/z", ""),
        ("ftp://files/x", ""),
        ("", ""),
    ] {
        let joined = from.join(location);
        assert_eq!(joined.ok(), Address::parse(to).ok(), "{location}");
    }
    assert_eq!(from.join("http://u:p@files/x"), Err(UrlError::Password));
    assert_eq!(from.join("//u@files/x"), Err(UrlError::Password));
    let encrypted = Address::parse("https://files/x");
    assert_eq!(from.join("https://files/x"), encrypted);
}

fn proxies(variables: &[(&str, &str)]) -> Result<Proxies, ProxyError> {
    Proxies::from_variables(|name| {
        let mut variables = variables.iter();
        let found = variables.find(|(variable, _)| *variable == name);
        found.map(|(_, text)| (*text).to_owned())
    })
}

#[test]
fn a_proxy_is_asked_for_every_host_but_this_one_and_those_excepted() {
    let proxies = proxies(&[
        ("http_proxy", "http://proxy:3128/"),
        ("no_proxy", "files.example.com, .lan,10.0.0.7 *.io,half:81"),
    ])
    .unwrap();
    let is_asked = |url: &str| {
        let proxy = proxies.on_the_way_to(&Address::parse(url).unwrap());
        proxy.map(ToString::to_string)
    };
    let proxy = Some("proxy:3128".to_owned());
    for url in [
        "http://example.com/",
        "http://otherfiles.example.com/",
        "http://10.0.0.70/",
        "http://half/",
    ] {
        assert_eq!(is_asked(url), proxy, "{url}");
    }
    for url in [
        "http://localhost:81/",
        "http://127.0.0.1/",
        "http://127.9.9.9/",
        "http://[::1]:81/",
        "http://files.example.com/",
        "http://a.FILES.example.com:81/",
        "http://x.lan/",
        "http://10.0.0.7/",
        "http://x.io/",
        "http://half:81/",
    ] {
        assert_eq!(is_asked(url), None, "{url}");
    }
}

#[test]
fn variables_of_a_proxy_are_honored_or_refused_by_name() {
    let of = |variables: &[(&str, &str)]| {
        let told = |error: ProxyError| format!("{error} {:?}", std::error::Error::source(&error));
        let proxies = proxies(variables).map_err(told)?;
        Ok::<_, String>(proxies.http.map(|proxy| proxy.to_string()))
    };
    assert_eq!(of(&[]), Ok(None));
    assert_eq!(of(&[("http_proxy", " ")]), Ok(None));
    let proxy = Ok(Some("proxy:3128".to_owned()));
    assert_eq!(of(&[("http_proxy", "proxy:3128")]), proxy);
    assert_eq!(of(&[("HTTP_PROXY", "http://proxy:3128")]), proxy);
    let both = [
        ("http_proxy", "proxy:3128"),
        ("https_proxy", "http://other:1"),
    ];
    assert_eq!(of(&both), proxy);
    let not_used = [("all_proxy", "socks5://s:1"), ("no_proxy", "*")];
    assert_eq!(of(&not_used), Ok(None));
    for variable in ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        let error = of(&[(variable, "http://proxy:1")]).unwrap_err();
        assert!(
            error.contains(variable) && error.contains("http_proxy"),
            "{error}"
        );
    }
    for bad in [
        "http://u:hunter2@proxy:1",
        "u:hunter2@proxy:1",
        "socks5://proxy",
        "http://",
    ] {
        let error = of(&[("http_proxy", bad)]).unwrap_err();
        assert!(
            error.contains("http_proxy") && !error.contains("hunter2"),
            "{error}"
        );
    }
}
