//! The command line.

use std::path::PathBuf;

use lexopt::prelude::*;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
bench [NAME...] [--json FILE]   measure what begins with NAME (codec, hub/own, ...), or everything
bench --list [NAME...]          only the names
bench --instructions NAME       instructions per operation, counted by valgrind
bench NAME --calls N            call what is measured exactly N times, untimed: for profilers
";

/// What was asked for.
#[derive(Debug, Default)]
pub(crate) struct Args {
    /// Beginnings of names; none means everything.
    pub(crate) names: Vec<String>,
    /// Where the figures go for machines.
    pub(crate) json: Option<PathBuf>,
    /// Call this often and measure nothing.
    pub(crate) calls: Option<u64>,
    /// Count instructions instead of time.
    pub(crate) instructions: bool,
    /// Only list names.
    pub(crate) is_list: bool,
    /// Only explain.
    pub(crate) help: bool,
}

/// Reads the command line.
///
/// # Errors
/// An unknown option, or a value that is missing or no number.
pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<Args, lexopt::Error> {
    let mut args = Args::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Value(name) => args.names.push(name.string()?),
            Long("json") => args.json = Some(parser.value()?.into()),
            Long("calls") => args.calls = Some(parser.value()?.parse()?),
            Long("instructions") => args.instructions = true,
            Long("list") => args.is_list = true,
            Long("help") | Short('h') => args.help = true,
            Long(_) | Short(_) => return Err(arg.unexpected()),
        }
    }
    Ok(args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_options_may_be_mixed() {
        let words = [
            "bench", "codec", "--json", "out.json", "hub", "--calls", "7",
        ];
        let args = parse(lexopt::Parser::from_iter(words)).unwrap();
        assert_eq!(args.names, ["codec", "hub"]);
        assert_eq!(args.json, Some(PathBuf::from("out.json")));
        assert_eq!(args.calls, Some(7));
    }

    #[test]
    fn an_unknown_option_is_an_error() {
        assert!(parse(lexopt::Parser::from_iter(["bench", "--fast"])).is_err());
    }
}
