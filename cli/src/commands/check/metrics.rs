//! The metrics of a server, read from their text.

/// One series.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    name: String,
    labels: Vec<(String, String)>,
    pub(super) value: f64,
}

impl Series {
    /// The value of a label; empty when it has none.
    pub(super) fn label(&self, name: &str) -> &str {
        let found = self.labels.iter().find(|(label, _)| label == name);
        found.map_or("", |(_, value)| value)
    }

    fn read(line: &str) -> Option<Self> {
        let (series, value) = line.rsplit_once(' ')?;
        let value = value.parse().ok()?;
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}')?),
            None => (series, ""),
        };
        // No value of ours has a quotation mark in it.
        let mut parts = labels.split('"');
        let mut read = Vec::new();
        while let (Some(label), Some(value)) = (parts.next(), parts.next()) {
            let label = label.trim_matches([',', '=', ' ']);
            read.push((label.to_owned(), value.to_owned()));
        }
        Some(Self {
            name: name.to_owned(),
            labels: read,
            value,
        })
    }
}

/// All series of a server.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Metrics(Vec<Series>);

impl Metrics {
    /// Reads the text; a line that is none of ours says nothing.
    pub(super) fn read(text: &str) -> Self {
        let lines = text.lines().filter(|line| line.starts_with("hoist_"));
        Self(lines.filter_map(Series::read).collect())
    }

    /// Every series of a name.
    pub(super) fn all<'m>(&'m self, name: &'m str) -> impl Iterator<Item = &'m Series> + 'm {
        self.0.iter().filter(move |series| series.name == name)
    }

    /// The only value of a name.
    pub(super) fn one(&self, name: &str) -> Option<f64> {
        self.all(name).next().map(|series| series.value)
    }

    /// The sum of the values of a name with this label.
    pub(super) fn sum(&self, name: &str, (label, is): (&str, &str)) -> f64 {
        let such = self.all(name).filter(|series| series.label(label) == is);
        such.map(|series| series.value).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_read_with_its_labels_and_what_is_none_says_nothing() {
        let metrics = Metrics::read(
            "# HELP hoist_ready x\nhoist_ready 1\nhoist_devices{group=\"(others)\",presence=\"online\"} 7\n\
             hoist_devices{group=\"eu\",presence=\"online\"} 2.5\nother 3\nhoist_odd{ 3\nhoist_odd x\n",
        );
        assert_eq!(metrics.one("hoist_ready"), Some(1.0));
        assert_eq!(metrics.sum("hoist_devices", ("presence", "online")), 9.5);
        let groups = metrics.all("hoist_devices").map(|it| it.label("group"));
        assert_eq!(groups.collect::<Vec<_>>(), ["(others)", "eu"]);
        assert_eq!(metrics.one("hoist_odd"), None);
    }
}
