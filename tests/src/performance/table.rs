//! A table of figures with their aims, beside those of a real cluster in the same run. It measures nothing and writes nowhere.

use std::fmt::Write as _;

use super::Samples;

/// Rows in the order in which they were added.
#[derive(Debug, Default)]
pub struct Table(Vec<Row>);

#[derive(Debug)]
struct Row {
    what: &'static str,
    samples: Samples,
    aim: f64,
    real: Option<Samples>,
}

impl Table {
    /// Adds what ours takes. The aim is the most that p50 should be, in milliseconds; not a number where there is none.
    pub fn add(&mut self, what: &'static str, samples: Samples, aim: f64) {
        self.0.push(Row {
            what,
            samples,
            aim,
            real: None,
        });
    }

    /// Adds what the real one takes for the same.
    ///
    /// # Panics
    /// When ours wasn't added.
    pub fn reference(&mut self, what: &str, samples: Samples) {
        let row = self.0.iter_mut().find(|row| row.what == what);
        row.expect("it was measured").real = Some(samples);
    }

    /// As Markdown.
    pub fn text(&self) -> String {
        let mut text =
            "| what | p50 | p95 | aim for p50 | real, p50 | real, p95 | real ÷ ours, p50 |\n\
             |---|---|---|---|---|---|---|\n"
                .to_owned();
        let number = |value: f64, decimals: usize| {
            if value.is_nan() {
                "–".to_owned()
            } else {
                format!("{value:.decimals$}")
            }
        };
        for row in &self.0 {
            let real = |percent| {
                let real = row.real.as_ref();
                real.map_or(f64::NAN, |real| real.percentile(percent))
            };
            let aim = if row.aim.is_nan() {
                "–".to_owned()
            } else {
                // Aims are round, those that are made of a reference aside.
                number(row.aim, 3)
                    .trim_end_matches('0')
                    .trim_end_matches('.')
                    .to_owned()
            };
            let ours = |percent| row.samples.percentile(percent);
            // Writing to a string can't fail.
            writeln!(
                text,
                "| {} | {} | {} | {aim} | {} | {} | {} |",
                row.what,
                number(ours(50), 3),
                number(ours(95), 3),
                number(real(50), 3),
                number(real(95), 3),
                number(real(50) / ours(50), 1),
            )
            .unwrap_or_default();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn samples(micros: u64) -> Samples {
        let mut samples = Samples::default();
        samples.take(Duration::from_micros(micros));
        samples
    }

    #[test]
    fn what_has_no_aim_or_no_reference_has_a_dash() {
        let mut table = Table::default();
        table.add("one", samples(500), 10.0);
        table.add("two", samples(1000), f64::NAN);
        table.reference("one", samples(2000));
        let text = table.text();
        let rows: Vec<_> = text.lines().skip(2).collect();
        assert_eq!(
            rows,
            [
                "| one | 0.500 | 0.500 | 10 | 2.000 | 2.000 | 4.0 |",
                "| two | 1.000 | 1.000 | – | – | – | – |"
            ]
        );
    }
}
