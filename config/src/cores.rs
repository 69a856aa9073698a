//! Which cores the shards run on.
//!
//! Only numbers: which cores the machine has is passed in.

/// Cores a core number may name at most; far beyond any machine, it only stops slips of the pen.
pub const CORE_NUMBER_MAX: usize = 4095;

/// The cores chosen in `[shards] cores`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CoreSet {
    /// `"all"`: every core the process may use.
    All,
    /// These cores, in ascending order, each once; never empty.
    Listed(Vec<usize>),
}

/// Why a core list is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CoresError {
    /// The text is no core list.
    #[error(
        "expected \"all\", a list such as \"0-3,6\" or an array of core numbers from 0 to {CORE_NUMBER_MAX}"
    )]
    BadList,
    /// A core that this process cannot use.
    #[error("core {core} is not available here; available: {available}")]
    NoSuchCore {
        /// The core that was asked for.
        core: usize,
        /// The cores there are, as a list in the same syntax.
        available: String,
    },
}

impl CoreSet {
    /// Reads `"all"` or a list of numbers and ranges such as `"0-3,6"`.
    ///
    /// # Errors
    /// [`CoresError::BadList`] for anything else.
    pub fn parse(text: &str) -> Result<Self, CoresError> {
        if text.trim() == "all" {
            return Ok(Self::All);
        }
        let mut cores = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (core_number(first)?, core_number(last)?);
            if first > last {
                return Err(CoresError::BadList);
            }
            cores.extend(first..=last);
        }
        Self::from_numbers(cores)
    }

    /// Takes core numbers in any order; doubles count once.
    ///
    /// # Errors
    /// [`CoresError::BadList`] when there is none, or one over [`CORE_NUMBER_MAX`].
    pub fn from_numbers(mut cores: Vec<usize>) -> Result<Self, CoresError> {
        cores.sort_unstable();
        cores.dedup();
        match cores.last() {
            Some(&last) if last <= CORE_NUMBER_MAX => Ok(Self::Listed(cores)),
            _ => Err(CoresError::BadList),
        }
    }

    /// The cores to use, given those that the process may use.
    ///
    /// # Errors
    /// [`CoresError::NoSuchCore`] when a chosen one is not among them.
    pub fn choose(&self, available: &[usize]) -> Result<Vec<usize>, CoresError> {
        let Self::Listed(chosen) = self else {
            return Ok(available.to_vec());
        };
        match chosen.iter().find(|core| !available.contains(core)) {
            None => Ok(chosen.clone()),
            Some(&core) => Err(CoresError::NoSuchCore {
                core,
                available: list(available),
            }),
        }
    }
}

/// One number of a list, spaces around it allowed.
fn core_number(text: &str) -> Result<usize, CoresError> {
    let text = text.trim();
    // `parse` would take a sign.
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(CoresError::BadList);
    }
    match text.parse() {
        Ok(number) if number <= CORE_NUMBER_MAX => Ok(number),
        _ => Err(CoresError::BadList),
    }
}

/// The numbers joined by commas.
fn list(cores: &[usize]) -> String {
    cores
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_sorted_and_has_no_doubles() {
        assert_eq!(
            CoreSet::parse("6, 0-3,2"),
            Ok(CoreSet::Listed(vec![0, 1, 2, 3, 6]))
        );
        assert_eq!(
            CoreSet::from_numbers(vec![1, 0, 1]),
            Ok(CoreSet::Listed(vec![0, 1]))
        );
    }

    #[test]
    fn all_means_what_is_available() {
        assert_eq!(
            CoreSet::parse("all").unwrap().choose(&[2, 5]),
            Ok(vec![2, 5])
        );
    }

    #[test]
    fn chosen_cores_must_be_available() {
        let set = CoreSet::parse("0-1").unwrap();
        assert_eq!(set.choose(&[0, 1, 2]), Ok(vec![0, 1]));
        let error = set.choose(&[0, 2]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "core 1 is not available here; available: 0,2"
        );
    }

    #[test]
    fn texts_that_are_no_list_are_refused() {
        for text in [
            "", "ALL", "a", "1-", "-1", "3-1", "1,,2", "+1", "1-2-3", "0x1", "4096",
        ] {
            assert_eq!(CoreSet::parse(text), Err(CoresError::BadList), "{text:?}");
        }
        assert_eq!(CoreSet::from_numbers(Vec::new()), Err(CoresError::BadList));
    }

    #[test]
    fn the_greatest_core_number_is_a_limit() {
        assert!(CoreSet::parse("4095").is_ok());
        assert!(CoreSet::from_numbers(vec![4096]).is_err());
    }
}
