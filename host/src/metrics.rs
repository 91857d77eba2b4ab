//! Everything that the server counts, in the text format of Prometheus.
//! Knows the format and the names; counts nothing itself.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use stagepost_extmgr::{AnswerKind, FaultKind, MetricValue, PluginFigures, StageFigures};

use crate::admin::queue::LaneStatus;
use crate::admin::{DeliveryStatus, Status};

/// The text of all metrics.
pub(crate) fn text(status: &Status, plugins: &[PluginFigures]) -> String {
    let mut text = Text::default();
    server(&mut text, status);
    calls(&mut text, plugins);
    for plugin in plugins {
        own(&mut text, plugin);
    }
    text.0
}

fn server(text: &mut Text, status: &Status) {
    text.family("stagepost_info", "gauge", "The server's version.");
    text.sample("stagepost_info", &[("version", &status.version)], "1");
    let mut single = |name: &str, kind: &str, help: &str, value: u64| {
        text.family(name, kind, help);
        text.sample(name, &[], &value.to_string());
    };
    let sessions = status.sessions;
    single("stagepost_uptime_seconds", "gauge", "Seconds since the start.", status.uptime_s);
    single("stagepost_sessions_open", "gauge", "Sessions that are open.", sessions.open);
    single("stagepost_sessions_total", "counter", "Sessions begun.", sessions.total);
    let mut by = |name: &str, help: &str, label: &str, values: &[(&str, u64)]| {
        text.family(name, "counter", help);
        for (value, count) in values {
            text.sample(name, &[(label, value)], &count.to_string());
        }
    };
    by(
        "stagepost_sessions_refused_total",
        "Clients answered 421 when they connected, by the limit of sessions that was reached.",
        "limit",
        &[
            ("all", sessions.refused_in_all),
            ("address", sessions.refused_by_address),
            ("network", sessions.refused_by_network),
        ],
    );
    by(
        "stagepost_sessions_expired_total",
        "Sessions ended since the client was silent or sent too slowly.",
        "why",
        &[("silent", sessions.silent), ("slow", sessions.slow)],
    );
    let logins = status.logins;
    by(
        "stagepost_logins_total",
        "Logins, by how they have ended.",
        "result",
        &[
            ("accepted", logins.accepted),
            ("refused", logins.refused),
            ("barred", logins.barred),
            ("unavailable", logins.unavailable),
        ],
    );
    deliveries(text, &status.delivery);
    let mut single = |name: &str, kind: &str, help: &str, value: u64| {
        text.family(name, kind, help);
        text.sample(name, &[], &value.to_string());
    };
    // A queue that can't be read has no figures, rather than wrong ones.
    let Some(queue) = status.queue else { return };
    single("stagepost_queue_messages", "gauge", "Messages in the queue.", queue.messages);
    single("stagepost_queue_octets", "gauge", "Octets of the messages.", queue.octets);
    single("stagepost_queue_queued", "gauge", "Deliveries to do.", queue.queued);
    single("stagepost_queue_held", "gauge", "Deliveries that are held.", queue.held);
    let accepting = u64::from(queue.accepting);
    single("stagepost_queue_accepting", "gauge", "1 while messages are accepted.", accepting);
}

/// How deliveries to other servers fare; those of lanes that the configuration names each by itself.
fn deliveries(text: &mut Text, status: &DeliveryStatus) {
    let name = "stagepost_deliveries_total";
    text.family(name, "counter", "Deliveries to other servers, by how the servers stood.");
    let standings = [
        ("well", status.well),
        ("busy", status.busy),
        ("down", status.down),
        ("put_off", status.put_off),
    ];
    for (standing, count) in standings {
        text.sample(name, &[("standing", standing)], &count.to_string());
    }
    let name = "stagepost_deliveries_in_doubt_total";
    let help = "Attempts that ended before the reply to the end of the message: it may come twice.";
    text.family(name, "counter", help);
    text.sample(name, &[], &status.in_doubt.to_string());
    let name = "stagepost_lanes_failing";
    text.family(name, "gauge", "Lanes whose servers can't be reached.");
    text.sample(name, &[], &status.failing.to_string());
    type Value = fn(&LaneStatus) -> u32;
    let gauges: [(&str, &str, Value); 3] = [
        ("stagepost_lane_running", "Deliveries that are being made.", |lane| lane.running),
        ("stagepost_lane_allowed", "Deliveries that may be made at once.", |lane| lane.allowed),
        ("stagepost_lane_failing", "1 while its servers can't be reached.", |lane| {
            lane.failing.into()
        }),
    ];
    for (name, help, value) in gauges.into_iter().filter(|_| !status.lanes.is_empty()) {
        text.family(name, "gauge", help);
        for lane in &status.lanes {
            text.sample(name, &[("lane", &lane.lane)], &value(lane).to_string());
        }
    }
}

/// What plug-ins were called for, and what became of it.
fn calls(text: &mut Text, plugins: &[PluginFigures]) {
    let stages =
        || plugins.iter().flat_map(|plugin| plugin.stages.iter().map(move |stage| (plugin, stage)));
    let name = "stagepost_plugin_calls_total";
    text.family(name, "counter", "Calls of plug-ins that were answered, by answer.");
    for (plugin, stage) in stages() {
        for (kind, count) in AnswerKind::ALL.into_iter().zip(stage.answers) {
            // Every kind of answer would be many lines of 0; continue is there from the start.
            if count > 0 || kind == AnswerKind::Continue {
                let labels = with(stage_labels(plugin, stage), ("answer", kind.name()));
                text.sample(name, &labels, &count.to_string());
            }
        }
    }
    let name = "stagepost_plugin_faults_total";
    text.family(name, "counter", "Faults of plug-ins, by kind.");
    for (plugin, stage) in stages() {
        for (kind, count) in FaultKind::ALL.into_iter().zip(stage.faults) {
            if count > 0 {
                let labels = with(stage_labels(plugin, stage), ("kind", kind.name()));
                text.sample(name, &labels, &count.to_string());
            }
        }
    }
    let name = "stagepost_plugin_call_seconds";
    let help = "How long calls took: of calls in line one in 64, of those on a pool all, with their wait for a thread.";
    text.family(name, "histogram", help);
    for (plugin, stage) in stages().filter(|(_, stage)| stage.latency.count() > 0) {
        let latency = &stage.latency;
        let bounds = latency.doublings().map(|(ns, below)| (seconds(ns), below));
        let labels = stage_labels(plugin, stage);
        text.histogram(name, &labels, bounds, latency.count(), latency.sum().as_secs_f64());
    }
}

fn seconds(ns: u64) -> f64 {
    Duration::from_nanos(ns).as_secs_f64()
}

type Labels<'a> = Vec<(&'a str, &'a str)>;

fn stage_labels<'a>(plugin: &'a PluginFigures, stage: &StageFigures) -> Labels<'a> {
    vec![("plugin", &plugin.name), ("event", stage.event.name()), ("stage", stage.stage.name())]
}

fn with<'a>(mut labels: Labels<'a>, further: (&'a str, &'a str)) -> Labels<'a> {
    labels.push(further);
    labels
}

/// What a plug-in counts itself.
fn own(text: &mut Text, plugin: &PluginFigures) {
    // In the order of their names: as scrapes go on, nothing changes its place.
    let sorted: BTreeMap<_, _> =
        plugin.metrics.iter().map(|metric| (plugin.metric_name(metric), metric)).collect();
    for (name, metric) in sorted {
        match &metric.value {
            MetricValue::Counter(value) => {
                let name = format!("{name}_total");
                text.family(&name, "counter", &metric.help);
                text.sample(&name, &[], &value.to_string());
            }
            MetricValue::Gauge(value) => {
                text.family(&name, "gauge", &metric.help);
                text.sample(&name, &[], &value.to_string());
            }
            MetricValue::Histogram { bounds, counts, sum } => {
                text.family(&name, "histogram", &metric.help);
                let mut below = 0;
                let sums = counts.iter().map(|count| {
                    below += count;
                    below
                });
                let bounds = bounds.iter().copied().zip(sums);
                text.histogram(&name, &[], bounds, counts.iter().sum(), *sum);
            }
        }
    }
}

/// Text in the format, version 0.0.4.
#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: &str) {
        self.line(format_args!("{name}"));
        for (place, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let opening = if place == 0 { '{' } else { ',' };
            self.line(format_args!("{opening}{label}=\"{text}\""));
        }
        let closing = if labels.is_empty() { "" } else { "}" };
        self.line(format_args!("{closing} {value}\n"));
    }

    /// Bounds come with how many values are not above them; `count` is of all values.
    fn histogram(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        bounds: impl Iterator<Item = (f64, u64)>,
        count: u64,
        sum: f64,
    ) {
        let bucket = format!("{name}_bucket");
        for (bound, below) in bounds {
            let bound = bound.to_string();
            let labels = with(labels.to_vec(), ("le", &bound));
            self.sample(&bucket, &labels, &below.to_string());
        }
        let count = count.to_string();
        self.sample(&bucket, &with(labels.to_vec(), ("le", "+Inf")), &count);
        self.sample(&format!("{name}_sum"), labels, &sum.to_string());
        self.sample(&format!("{name}_count"), labels, &count);
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        // A String takes every text.
        let _ = self.0.write_fmt(text);
    }
}

#[cfg(test)]
mod tests {
    use stagepost_extmgr::MetricFigures;

    use super::*;

    #[test]
    fn names_labels_and_help_are_escaped() {
        let mut text = Text::default();
        text.family("a", "gauge", "back\\slash");
        text.sample("a", &[("l", "q\"b\\n\n")], "1");
        text.sample("a", &[], "2");
        let wanted = "# HELP a back\\\\slash\n# TYPE a gauge\na{l=\"q\\\"b\\\\n\\n\"} 1\na 2\n";
        assert_eq!(text.0, wanted);
    }

    #[test]
    fn a_plug_ins_own_metrics_bear_its_name() {
        let metric = |name: &str, value| MetricFigures {
            name: name.to_owned(),
            help: "help".to_owned(),
            value,
        };
        let histogram =
            MetricValue::Histogram { bounds: vec![0.5, 1.0], counts: vec![1, 2, 3], sum: 7.5 };
        let plugin = PluginFigures {
            name: "my-filter".into(),
            stages: Vec::new(),
            metrics: vec![
                metric("z", MetricValue::Counter(7)),
                metric("wait", histogram),
                metric("depth", MetricValue::Gauge(-3)),
            ],
        };
        let mut text = Text::default();
        own(&mut text, &plugin);
        let wanted = "\
# HELP plugin_my_filter_depth help
# TYPE plugin_my_filter_depth gauge
plugin_my_filter_depth -3
# HELP plugin_my_filter_wait help
# TYPE plugin_my_filter_wait histogram
plugin_my_filter_wait_bucket{le=\"0.5\"} 1
plugin_my_filter_wait_bucket{le=\"1\"} 3
plugin_my_filter_wait_bucket{le=\"+Inf\"} 6
plugin_my_filter_wait_sum 7.5
plugin_my_filter_wait_count 6
# HELP plugin_my_filter_z_total help
# TYPE plugin_my_filter_z_total counter
plugin_my_filter_z_total 7
";
        assert_eq!(text.0, wanted);
    }
}
