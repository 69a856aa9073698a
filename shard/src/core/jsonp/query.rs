//! The parameters of a query, as they stand in a URL.

/// A target cut into what a parameter search needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Params<'t> {
    /// The target up to the question mark.
    path: &'t str,
    /// Name and value of each parameter as written, and whether it was taken.
    params: Vec<Param<'t>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Param<'t> {
    whole: &'t str,
    name: Vec<u8>,
    value: &'t str,
    is_taken: bool,
}

impl<'t> Params<'t> {
    /// Of a target; `None` if it has no query.
    pub(super) fn of(target: &'t str) -> Option<Self> {
        let (path, query) = target.split_once('?')?;
        let params = query.split('&').map(|whole| {
            let (name, value) = whole.split_once('=').unwrap_or((whole, ""));
            Param {
                whole,
                name: percent_decoded(name),
                value,
                is_taken: false,
            }
        });
        Some(Self {
            path,
            params: params.collect(),
        })
    }

    /// Whether there is a parameter of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.params.iter().any(|p| p.name == name.as_bytes())
    }

    /// Takes all parameters of this name out: the decoded value of the first.
    pub(super) fn take(&mut self, name: &str) -> Option<Vec<u8>> {
        let mut first = None;
        for param in &mut self.params {
            if param.name == name.as_bytes() {
                param.is_taken = true;
                first = first.or(Some(param.value));
            }
        }
        first.map(percent_decoded)
    }

    /// The target without what was taken; the rest as it was written.
    pub(super) fn target(&self) -> String {
        let mut target = self.path.to_owned();
        let mut separator = '?';
        for param in self.params.iter().filter(|param| !param.is_taken) {
            target.push(separator);
            target.push_str(param.whole);
            separator = '&';
        }
        target
    }
}

/// `text` with its percent-encoded bytes decoded. A percent sign without two digits stays, and so
/// does a plus sign (Pushpin does so).
fn percent_decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        if let ([high, low, after @ ..], b'%') = (behind, first)
            && let (Some(high), Some(low)) = (hex_digit(*high), hex_digit(*low))
        {
            out.push(high << 4 | low);
            rest = after;
        } else {
            out.push(*first);
            rest = behind;
        }
    }
    out
}

const fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taken_parameters_leave_the_rest_as_written() {
        for (target, expected) in [
            ("/?cb=f", "/"),
            ("/?cb=f&q=%20+%2b;x&z", "/?q=%20+%2b;x&z"),
            ("/?a&cb=f&b=&cb=g", "/?a&b="),
            ("/?&cb=f", "/?"),
            ("/?c%62=f&cbx=1", "/?cbx=1"),
            ("/cb=f?x?y", "/cb=f?x?y"),
        ] {
            let mut params = Params::of(target).unwrap();
            params.take("cb");
            assert_eq!(params.target(), expected, "{target}");
        }
        assert_eq!(Params::of("/cb=f"), None);
    }

    #[test]
    fn the_first_of_several_counts_and_is_decoded() {
        let mut params = Params::of("/?a=%41%2bc+d%zz%4&a=x&b").unwrap();
        assert!(params.has("a") && params.has("b") && !params.has("c"));
        assert_eq!(params.take("a"), Some(b"A+c+d%zz%4".to_vec()));
        assert_eq!(params.take("b"), Some(Vec::new()));
        assert_eq!(params.take("c"), None);
    }
}
