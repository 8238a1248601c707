//! What is answered to those who ask well.

use crate::service::{Answer, Service, picture};
use serde_json::{Value, json};

fn captions(answer: &Answer) -> Vec<String> {
    let caption = |image: &Value| image["caption"].as_str().unwrap().to_owned();
    answer.ok()["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(caption)
        .collect()
}

#[test]
fn a_picture_is_described_alike_however_it_is_sent() {
    let service = Service::start(&["--cache", "0"]);
    let pictures: Vec<Vec<u8>> = (0..5).map(|n| picture(n, 30 + 9 * n, 40)).collect();
    let alone: Vec<String> = pictures
        .iter()
        .map(|picture| {
            service.caption("", picture).ok()["caption"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert!(
        alone.iter().any(|caption| *caption != alone[0]),
        "{alone:?}"
    );
    let parts: Vec<(&str, &[u8])> = pictures
        .iter()
        .map(|picture| ("file", &picture[..]))
        .collect();
    assert_eq!(captions(&service.form(&[], &parts)), alone);
    use base64::Engine;
    let encode = |picture: &Vec<u8>| base64::engine::general_purpose::STANDARD.encode(picture);
    let images: Vec<String> = pictures.iter().map(encode).collect();
    let body = json!({ "images": images }).to_string();
    let json = service.send(
        "POST /v1/caption",
        &["Content-Type: application/json"],
        body.as_bytes(),
    );
    assert_eq!(captions(&json), alone);
}

#[test]
fn options_change_captions_wherever_they_stand() {
    let service = Service::start(&[]);
    let one = picture(1, 40, 30);
    let short = service.caption("max_length=2", &one).ok();
    assert_eq!(short["words"].as_array().unwrap().len(), 2);
    assert!(short.get("alphas").is_none());
    let form = service.form(&[], &[("options", br#"{"max_length": 2}"#), ("f", &one)]);
    assert_eq!(form.ok()["images"][0], short);
    let long = service.caption("max_length=6&alphas", &one).ok();
    assert_eq!(long["grid"], json!([6, 8]));
    let attention = long["alphas"].as_array().unwrap();
    assert_eq!(attention.len(), long["words"].as_array().unwrap().len());
    for cells in attention {
        let shares = cells.as_array().unwrap().iter();
        let shares: Vec<f64> = shares.map(|share| share.as_f64().unwrap()).collect();
        let sum: f64 = shares.iter().sum();
        assert!(shares.len() == 48 && (sum - 1.0).abs() < 1e-4, "{sum}");
    }
    assert_ne!(long["caption"], short["caption"]);
}

#[test]
fn alternatives_are_other_captions_of_lower_scores() {
    let service = Service::start(&[]);
    let one = picture(1, 40, 30);
    let found = service.caption("beam=4&n_best=3&max_length=4", &one).ok();
    let alternatives = found["alternatives"].as_array().unwrap();
    assert_eq!(alternatives.len(), 2);
    let score = |caption: &Value| caption["score"].as_f64().unwrap();
    assert!(score(&found) >= score(&alternatives[0]));
    assert_ne!(found["caption"], alternatives[0]["caption"]);
    let sampled = |seed| {
        service
            .caption(&format!("samples=3&n_best=3&seed={seed}"), &one)
            .ok()
    };
    assert_eq!(sampled(1), sampled(1));
    assert_ne!(sampled(1), sampled(2));
    let begun = service.caption("prefix=dog%20runs", &one).ok();
    assert_eq!(begun["words"][1], "runs");
    service
        .caption("prefix=zeppelin", &one)
        .refused(422, "prefix: the model's vocabulary lacks");
    service
        .caption("forbid=dog&forbid=zeppelin", &one)
        .refused(422, "forbid: ");
    let without = service.caption("forbid=a&forbid=dog", &one).ok();
    assert!(!without["words"].as_array().unwrap().contains(&json!("a")));
}

#[test]
fn answers_are_what_the_document_says() {
    let service = Service::start(&[]);
    let mut document = service.get("/openapi.json").ok();
    let valid = |name: &str, answer: &Value| {
        let reference = format!("#/components/schemas/{name}");
        let schema = json!({ "$ref": reference, "components": document["components"] });
        let validator = jsonschema::validator_for(&schema).unwrap();
        let wrong: Vec<String> = validator
            .iter_errors(answer)
            .map(|e| e.to_string())
            .collect();
        assert!(wrong.is_empty(), "{name}: {wrong:?}");
    };
    let one = picture(1, 40, 30);
    valid("Captions", &service.caption("alphas=true", &one).ok());
    let list = service.form(&[], &[("a", &one), ("b", b"no picture")]).ok();
    valid("List", &list);
    assert_eq!(list["images"][1]["status"], 415);
    valid("Problem", &service.caption("", b"no picture").json());
    valid("Options", &service.get("/v1/model").ok()["options"]);
    // Every path is there.
    for path in document["paths"].as_object_mut().unwrap().keys() {
        assert!([200, 405].contains(&service.get(path).status), "{path}");
    }
}

#[test]
fn of_several_pictures_each_is_answered_as_soon_as_it_is_described() {
    let service = Service::start(&[]);
    let (one, two) = (picture(1, 40, 30), picture(2, 40, 30));
    let lines = service.form(
        &["Accept: application/x-ndjson"],
        &[("a", &one), ("b", b"no picture"), ("c", &two)],
    );
    assert_eq!(lines.header("Content-Type"), Some("application/x-ndjson"));
    let mut lines: Vec<Value> = (lines.text().lines())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    lines.sort_by_key(|line| line["index"].as_u64());
    assert_eq!(lines.len(), 3);
    assert_eq!(
        lines[0]["caption"],
        service.caption("", &one).ok()["caption"]
    );
    assert_eq!(lines[1]["status"], 415);
    assert_eq!(lines[2]["index"], 2);
}

#[test]
fn an_equal_picture_is_answered_from_the_cache_unless_it_is_searched_otherwise() {
    let service = Service::start(&[]);
    let one = picture(1, 40, 30);
    let first = service.caption("beam=3", &one).ok();
    assert_eq!(service.caption("beam=3", &one).ok(), first);
    // the same search, seen in more detail
    assert_eq!(
        service.caption("alphas", &one).ok()["caption"],
        first["caption"]
    );
    let cached = r#"attend_pictures_total{outcome="cached"}"#;
    assert_eq!(service.metric(cached), 2.0);
    service.caption("beam=2", &one).ok();
    service.caption("", &picture(2, 40, 30)).ok();
    assert_eq!(service.metric(cached), 2.0);
    assert_eq!(
        service.metric(r#"attend_pictures_total{outcome="described"}"#),
        3.0
    );
}

#[test]
fn what_is_counted_is_what_was_asked() {
    let service = Service::start(&[]);
    service.caption("", &picture(1, 40, 30)).ok();
    service.caption("", b"no picture").refused(415, "");
    service
        .get("/secrets/of/a/client")
        .refused(404, "nothing here");
    let requests = |route: &str, status: u16| {
        service.metric(&format!(
            "attend_requests_total{{route=\"{route}\",status=\"{status}\"}}"
        ))
    };
    assert_eq!(requests("/v1/caption", 200), 1.0);
    assert_eq!(requests("/v1/caption", 415), 1.0);
    assert_eq!(requests("other", 404), 1.0);
    assert_eq!(service.metric("attend_batch_pictures_sum"), 1.0);
    assert_eq!(service.metric("attend_waiting_pictures"), 0.0);
    assert!(service.get("/metrics").text().ends_with("# EOF\n"));
}

#[test]
fn the_page_brings_all_that_it_needs_and_its_policy_forbids_the_rest() {
    let service = Service::start(&[]);
    let page = service.get("/");
    let policy = page.header("Content-Security-Policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'"));
    assert!(!policy.contains("unsafe"));
    for path in ["/", "/page.css", "/page.js", "/icon.svg"] {
        let file = service.get(path);
        assert_eq!(file.status, 200, "{path}");
        let text = file.text().replace("http://www.w3.org/2000/svg", "");
        assert!(
            !text.contains("http:") && !text.contains("https:"),
            "{path}"
        );
        for inline in ["<style", " style=", " onclick=", "<script>"] {
            assert!(!text.contains(inline), "{path}: {inline}");
        }
    }
}
