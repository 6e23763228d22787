//! Where log lines go: to stderr, as text or as JSON. Standard output is for what was asked for.

use std::io::IsTerminal as _;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// How log lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people: one line each, in colours on a terminal.
    #[default]
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// How much is logged. `RUST_LOG` says it in detail and goes before this.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Verbosity(pub(crate) u8);

impl Verbosity {
    /// The filter in `RUST_LOG`'s language.
    fn filter(self) -> &'static str {
        match self.0 {
            // librdkafka reports each connection that comes or goes: of use to those who ask.
            0 => "info,librdkafka=warn",
            1 => "info,django_kafka_rs=debug",
            2 => "debug",
            _ => "trace",
        }
    }
}

/// Sends log lines to stderr from now on. A subscriber that the program has set already stays.
pub(crate) fn install(format: LogFormat, verbosity: Verbosity) {
    let from_variable = std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty());
    let filter = from_variable.as_deref().unwrap_or_else(|| verbosity.filter());
    let is_terminal = std::io::stderr().is_terminal();
    match format {
        LogFormat::Text => {
            let lines = tracing_subscriber::fmt()
                .with_env_filter(EnvFilter::new(filter))
                .with_ansi(is_terminal)
                .with_target(false)
                .with_writer(Stderr);
            let _ = lines.try_init();
        }
        LogFormat::Json => {
            let lines = tracing_subscriber::fmt().json().with_env_filter(EnvFilter::new(filter)).with_writer(Stderr);
            let _ = lines.try_init();
        }
    }
}

/// Standard error, with the progress bar out of the way while a line is written.
struct Stderr;

impl<'w> MakeWriter<'w> for Stderr {
    type Writer = Line;

    fn make_writer(&'w self) -> Line {
        Line(Vec::new())
    }
}

/// One log line, written as a whole when it is complete.
struct Line(Vec<u8>);

impl std::io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        crate::cli::progress::suspended(|| {
            // Nobody is left to tell where stderr is closed.
            let _ = std::io::Write::write_all(&mut std::io::stderr().lock(), &self.0);
        });
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::EnvFilter;

    use super::Verbosity;

    #[test]
    fn every_verbosity_is_a_filter() {
        for level in 0..5 {
            assert!(EnvFilter::try_new(Verbosity(level).filter()).is_ok());
        }
    }
}
