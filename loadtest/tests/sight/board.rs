//! A dashboard as we write it down, and the JSON that Grafana imports.

use serde_json::{Value, json};

/// The schema of Grafana 11 and 12.
const SCHEMA: u32 = 41;
/// The width of Grafana's grid.
const GRID: usize = 24;
/// What stands in our queries for the matcher of the chosen namespace.
const NAMESPACE: &str = "$n";

/// One dashboard.
pub(crate) struct Dashboard {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) about: &'static str,
    pub(crate) rows: Vec<Row>,
    /// Grafana shows the load test's phases as annotations.
    pub(crate) has_phases: bool,
}

/// Panels side by side under a heading.
pub(crate) struct Row {
    title: &'static str,
    panels: Vec<Panel>,
    by_stage: bool,
}

/// One panel.
pub(crate) struct Panel {
    kind: &'static str,
    title: &'static str,
    /// What to do when it looks wrong.
    advice: &'static str,
    unit: &'static str,
    queries: Vec<(&'static str, String)>,
    limit: Option<f64>,
    is_stacked: bool,
}

/// A row of panels.
pub(crate) fn row(title: &'static str, panels: Vec<Panel>) -> Row {
    Row { title, panels, by_stage: false }
}

/// A row that comes once for each chosen stage.
pub(crate) fn row_by_stage(title: &'static str, panels: Vec<Panel>) -> Row {
    Row { title, panels, by_stage: true }
}

fn panel(kind: &'static str, title: &'static str, unit: &'static str, advice: &'static str) -> Panel {
    Panel { kind, title, advice, unit, queries: Vec::new(), limit: None, is_stacked: false }
}

/// One number, as it is now.
pub(crate) fn stat(title: &'static str, unit: &'static str, advice: &'static str) -> Panel {
    panel("stat", title, unit, advice)
}

/// Lines over time.
pub(crate) fn lines(title: &'static str, unit: &'static str, advice: &'static str) -> Panel {
    panel("timeseries", title, unit, advice)
}

/// A row for each series.
pub(crate) fn table(title: &'static str, unit: &'static str, advice: &'static str) -> Panel {
    panel("table", title, unit, advice)
}

/// Time against a label or a bucket, in colour.
pub(crate) fn heatmap(title: &'static str, unit: &'static str, advice: &'static str) -> Panel {
    panel("heatmap", title, unit, advice)
}

impl Panel {
    /// Adds a query under a legend.
    pub(crate) fn query(mut self, legend: &'static str, expr: &str) -> Panel {
        self.queries.push((legend, expr.replace(NAMESPACE, "namespace=~\"$namespace\"")));
        self
    }

    /// Adds p50, p95 and p99 of a histogram with these matchers.
    pub(crate) fn percentiles(self, metric: &str, matchers: &str) -> Panel {
        [("p50", "0.5"), ("p95", "0.95"), ("p99", "0.99")]
            .iter()
            .fold(self, |panel, (legend, share)| panel.query(legend, &quantile(share, metric, matchers, "")))
    }

    /// Adds the p99 of a histogram by a label.
    pub(crate) fn p99_by(self, label: &'static str, legend: &'static str, metric: &str, matchers: &str) -> Panel {
        self.query(legend, &quantile("0.99", metric, matchers, &format!("{label}, ")))
    }

    /// From here on it is red: the number of an alert, and of nothing else.
    pub(crate) fn red_from(mut self, limit: f64) -> Panel {
        self.limit = Some(limit);
        self
    }

    /// One line on the other.
    pub(crate) fn stacked(mut self) -> Panel {
        self.is_stacked = true;
        self
    }

    fn json(&self, id: usize, at: Value) -> Value {
        let is_table = matches!(self.kind, "table");
        let is_now = matches!(self.kind, "table" | "stat");
        let target = |(index, (legend, expr)): (usize, &(&str, String))| {
            let letter = char::from(b'A' + u8::try_from(index).expect("few queries"));
            json!({
                "refId": letter.to_string(), "datasource": source(), "expr": expr, "legendFormat": legend,
                "instant": is_now, "range": !is_now,
                "format": if is_table { "table" } else if self.kind == "heatmap" { "heatmap" } else { "time_series" },
            })
        };
        let mut steps = vec![json!({"color": "green", "value": null})];
        steps.extend(self.limit.map(|limit| json!({"color": "red", "value": limit})));
        json!({
            "id": id, "type": self.kind, "title": self.title, "description": self.advice, "gridPos": at,
            "datasource": source(),
            "targets": self.queries.iter().enumerate().map(target).collect::<Vec<_>>(),
            "fieldConfig": {
                "defaults": {
                    "unit": self.unit, "min": 0,
                    "color": {"mode": if self.limit.is_some() { "thresholds" } else { "palette-classic" }},
                    "thresholds": {"mode": "absolute", "steps": steps},
                    "custom": self.custom(),
                },
                "overrides": if self.kind == "timeseries" { colours() } else { json!([]) },
            },
            "options": self.options(),
            "transformations": if is_table { merged() } else { json!([]) },
        })
    }

    fn custom(&self) -> Value {
        match self.kind {
            "timeseries" => json!({
                "lineWidth": 1, "fillOpacity": if self.is_stacked { 40 } else { 10 }, "showPoints": "never",
                "stacking": {"mode": if self.is_stacked { "normal" } else { "none" }, "group": "A"},
                "thresholdsStyle": {"mode": if self.limit.is_some() { "line" } else { "off" }},
            }),
            _ => json!({}),
        }
    }

    fn options(&self) -> Value {
        match self.kind {
            "timeseries" => json!({
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }),
            "stat" => json!({
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
                "colorMode": "value", "graphMode": "none", "textMode": "auto",
            }),
            "heatmap" => json!({
                "calculate": false, "color": {"mode": "scheme", "scheme": "YlOrRd", "steps": 32},
                "yAxis": {"unit": self.unit}, "cellGap": 1, "legend": {"show": true}, "tooltip": {"mode": "single"},
            }),
            _ => json!({"showHeader": true, "cellHeight": "sm"}),
        }
    }
}

impl Dashboard {
    /// What stands in `dashboards/<name>.json`.
    pub(crate) fn json(&self) -> Value {
        let mut panels = Vec::new();
        let mut y = 0;
        for row in &self.rows {
            panels.push(json!({
                "id": panels.len() + 1, "type": "row", "title": row.title, "collapsed": false, "panels": [],
                "gridPos": {"x": 0, "y": y, "w": GRID, "h": 1},
                "repeat": if row.by_stage { json!("stage") } else { Value::Null },
            }));
            y += 1;
            let is_low = row.panels.iter().all(|panel| panel.kind == "stat");
            let (width, height) = (GRID / row.panels.len(), if is_low { 4 } else { 8 });
            for (index, panel) in row.panels.iter().enumerate() {
                let at = json!({"x": index * width, "y": y, "w": width, "h": height});
                panels.push(panel.json(panels.len() + 1, at));
            }
            y += height;
        }
        let phases = json!({
            "name": "Phases", "enable": true, "iconColor": "blue",
            "datasource": {"type": "grafana", "uid": "-- Grafana --"},
            "target": {"type": "tags", "tags": ["tributary-load"], "limit": 100, "matchAny": true},
        });
        json!({
            "uid": format!("tributary-{}", self.name), "title": self.title, "description": self.about,
            "tags": ["tributary"], "schemaVersion": SCHEMA, "version": 1, "editable": false,
            "timezone": "utc", "refresh": "30s", "graphTooltip": 1, "time": {"from": "now-3h", "to": "now"},
            "annotations": {"list": if self.has_phases { json!([phases]) } else { json!([]) }},
            "links": [{
                "type": "dashboards", "title": "Tributary", "tags": ["tributary"], "asDropdown": true,
                "includeVars": true, "keepTime": true,
            }],
            "templating": {"list": variables()},
            "panels": panels,
        })
    }
}

fn quantile(share: &str, metric: &str, matchers: &str, by: &str) -> String {
    format!("histogram_quantile({share}, sum by ({by}le) (rate({metric}_bucket{{{matchers}}}[$__rate_interval])))")
}

fn source() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

fn merged() -> Value {
    json!([
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": {"Time": true}, "renameByName": {}}},
    ])
}

/// Every dashboard has the same variables in the same order.
fn variables() -> Value {
    let of = |name: &str, metric: &str, all: &str| {
        json!({
            "type": "query", "name": name, "label": name, "datasource": source(),
            "query": {"query": format!("label_values({metric}, {name})"), "refId": name},
            "definition": format!("label_values({metric}, {name})"),
            // On a change of the time range: a label that has gone should not be offered.
            "refresh": 2, "sort": 1, "multi": true, "includeAll": true, "allValue": all,
            "current": {"text": ["All"], "value": ["$__all"]},
        })
    };
    json!([
        {"type": "datasource", "name": "datasource", "label": "datasource", "query": "prometheus", "current": {}},
        // Outside of Kubernetes nothing has a namespace.
        of("namespace", "tributary_build_info", ".*"),
        of("stage", "tributary_entries_settled_total", ".+"),
        of("source", "tributary_transactions_total", ".+"),
        of("partition", "tributary_runnable_entries", ".+"),
    ])
}

/// Colours with one meaning each, on every dashboard.
fn colours() -> Value {
    let meanings = [
        ("green", "acked|accepted|completed|ok|on|repaired"),
        ("blue", "processing|queued|runnable"),
        ("yellow", "parked|limited|disabled|busy|shown|locked"),
        ("orange", "transient|server|timeout|unconfirmed|expired"),
        ("red", "dead_letter|errored|permanent|poison|refused|unknown|forged|off"),
        ("#8e8e8e", "duplicate|dropped|canceled|lost|ignored"),
    ];
    let colour = |(colour, words): (&str, &str)| {
        json!({
            "matcher": {"id": "byRegexp", "options": format!("/^({words})$/")},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
        })
    };
    meanings.into_iter().map(colour).collect()
}
