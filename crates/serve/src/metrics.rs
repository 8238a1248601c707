//! What the service counts, as Prometheus reads it.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::time::Duration;

/// Media type of [`Metrics::text`].
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of latencies, in seconds.
const SECONDS: [f64; 12] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// Upper bounds of batches, in pictures.
const PICTURES: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

/// A label: its name and value.
type Label<T> = [(&'static str, T); 1];

/// Counters, gauges and histograms.
pub struct Metrics {
    registry: Registry,
    requests: Family<[(&'static str, String); 2], Counter>,
    latency: Histogram,
    /// Pictures in each batch that the model described.
    pub batches: Histogram,
    /// Pictures that wait for their captions.
    pub waiting: Gauge,
    pictures: Family<Label<&'static str>, Counter>,
}

/// What came of a picture.
#[derive(Clone, Copy)]
pub enum Outcome {
    /// The model described it.
    Described,
    /// Its captions were in the cache.
    Cached,
    /// It could not be read.
    Refused,
}

impl Metrics {
    pub fn new() -> Metrics {
        let mut metrics = Metrics {
            registry: Registry::default(),
            requests: Family::default(),
            latency: Histogram::new(SECONDS),
            batches: Histogram::new(PICTURES),
            waiting: Gauge::default(),
            pictures: Family::default(),
        };
        let registry = &mut metrics.registry;
        let requests = "Requests by route and status; 499: the client went away";
        registry.register("attend_requests", requests, metrics.requests.clone());
        let latency = "Seconds from a request's head to its answer";
        registry.register("attend_request_seconds", latency, metrics.latency.clone());
        let batches = "Pictures in a batch";
        registry.register("attend_batch_pictures", batches, metrics.batches.clone());
        let waiting = "Pictures that wait for their captions";
        registry.register("attend_waiting_pictures", waiting, metrics.waiting.clone());
        let pictures =
            "Pictures by outcome: described, cached (answered without the model), refused";
        registry.register("attend_pictures", pictures, metrics.pictures.clone());
        metrics
    }

    /// Counts a request that was answered with this status after this time. `route` is the
    /// path's pattern: paths are the clients' to choose, and without end.
    pub fn request(&self, route: &str, status: u16, time: Duration) {
        let labels = [("route", route.to_owned()), ("status", status.to_string())];
        self.requests.get_or_create(&labels).inc();
        self.latency.observe(time.as_secs_f64());
    }

    /// Counts a picture.
    pub fn picture(&self, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Described => "described",
            Outcome::Cached => "cached",
            Outcome::Refused => "refused",
        };
        self.pictures.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// All of them as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string doesn't fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
