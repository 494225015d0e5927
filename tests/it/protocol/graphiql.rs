//! The IDE: served whole by the server, and only where a setting says so.

use rapport::http::{DemoLogin, HttpSettings};
use reqwest::header::{ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE};

use super::toy::Server;

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

fn settings() -> HttpSettings {
    let login = |label: &str, email: &str| DemoLogin {
        label: label.to_owned(),
        email: email.to_owned(),
        password: "demo".to_owned(),
        tenant: Some("acme".to_owned()),
    };
    HttpSettings {
        graphiql: true,
        first_query: Some("{\n  hello\n  customers(first: 3) {\n    nodes { id name }\n  }\n}\n".to_owned()),
        demo_logins: vec![login("Admin", "ada@acme.example"), login("</script><b>Sales", "bob@acme.example")],
        ..HttpSettings::default()
    }
}

#[tokio::test]
async fn a_browser_gets_the_page_and_all_that_it_loads() {
    let server = Server::with(settings()).await;
    for path in ["/", "/graphql", "/graphql?query=%7Bhello%7D"] {
        let response = server.client.get(server.url(path)).header(ACCEPT, BROWSER).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
        let policy = response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        assert!(policy.contains("script-src 'self';") && policy.starts_with("default-src 'none'"), "{policy}");
        let page = response.text().await.unwrap();
        assert!(!page.contains("http:") && !page.contains("https:"), "no foreign address");
        assert!(page.contains("ada@acme.example") && !page.contains("</script><b>"), "the logins, harmlessly");

        let addresses: Vec<&str> = page.split('"').filter(|text| text.starts_with("/graphiql/")).collect();
        assert_eq!(addresses.len(), 8);
        for address in addresses {
            let response = server.client.get(server.url(address)).send().await.unwrap();
            assert_eq!(response.status(), 200, "{address}");
            let expected = if address.ends_with(".js") { "text/javascript" } else { "text/css" };
            let headers = response.headers().clone();
            assert!(headers[CONTENT_TYPE].to_str().unwrap().starts_with(expected), "{address}");
            assert!(headers[CACHE_CONTROL].to_str().unwrap().contains("immutable"));
            let body = response.bytes().await.unwrap();
            let compressed = headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip");
            assert_eq!(compressed, body.starts_with(&[0x1f, 0x8b]), "{address}");
        }
    }
    let other = server.client.get(server.url("/graphiql/other/page.js")).send().await.unwrap();
    assert_eq!(other.status(), 404);
}

#[tokio::test]
async fn a_program_gets_an_answer_at_the_same_address() {
    let server = Server::with(settings()).await;
    let url = server.url("/graphql?query=%7Bhello%7D");
    let answer = server.client.get(url).send().await.unwrap().text().await.unwrap();
    assert!(answer.contains("Hello, world!"));
}

#[tokio::test]
async fn without_the_setting_there_is_no_page() {
    let server = Server::start().await;
    let get = async |path: &str| server.client.get(server.url(path)).header(ACCEPT, BROWSER).send().await.unwrap();
    assert_eq!(get("/").await.status(), 404);
    assert_eq!(get("/graphql").await.status(), 400);
    assert_eq!(get("/graphiql/x/page.js").await.status(), 404);
}
