//! How much goes to the same servers at a time, from the file as written: for all mail, and where a route says otherwise.
//! Knows no server.

use toml::Spanned;

use super::Resolver;
use crate::config::error::ConfigError;
use crate::config::file::{self, Concurrency, PerMinute};
use crate::config::number::Count;
use crate::config::settings::Pace;

/// The smallest rate, where only the greatest is written: such a part of that.
const RATE_PART: u32 = 10;

/// The fields of a section that says something of it.
pub(super) struct PaceFields<'f> {
    at_once_max: Option<&'f Spanned<Concurrency>>,
    at_once_min: Option<&'f Spanned<Concurrency>>,
    per_minute_max: Option<&'f Spanned<PerMinute>>,
    per_minute_min: Option<&'f Spanned<PerMinute>>,
}

impl<'f> PaceFields<'f> {
    /// Those of `[delivery]`.
    pub(super) fn of_all(written: &'f file::Delivery) -> Self {
        Self {
            at_once_max: written.per_destination.as_ref(),
            at_once_min: written.per_destination_min.as_ref(),
            per_minute_max: written.rate_per_minute.as_ref(),
            per_minute_min: written.rate_per_minute_min.as_ref(),
        }
    }

    /// Those of a route.
    pub(super) fn of(written: &'f file::Route) -> Self {
        Self {
            at_once_max: written.per_destination.as_ref(),
            at_once_min: written.per_destination_min.as_ref(),
            per_minute_max: written.rate_per_minute.as_ref(),
            per_minute_min: written.rate_per_minute_min.as_ref(),
        }
    }
}

impl Resolver<'_> {
    /// What is written, and the default where nothing is.
    pub(super) fn pace(
        &self,
        written: &PaceFields<'_>,
        default: Pace,
        concurrency: u32,
    ) -> Result<Pace, ConfigError> {
        let at_once_max = match written.at_once_max {
            Some(most) => self.ordered(most, Count::get, concurrency, "concurrency")?,
            None => default.at_once_max.min(concurrency),
        };
        let at_once_min = match written.at_once_min {
            Some(least) => self.ordered(least, Count::get, at_once_max, "per_destination")?,
            None => default.at_once_min.min(at_once_max),
        };
        let written_max = written.per_minute_max.map(|most| most.get_ref().get());
        let per_minute_max = written_max.or(default.per_minute_max);
        let per_minute_min = match (written.per_minute_min, per_minute_max) {
            (Some(least), Some(most)) => {
                Some(self.ordered(least, Count::get, most, "rate_per_minute")?)
            }
            (Some(least), None) => {
                let remedy = "add rate_per_minute = ..., or remove the line";
                let problem = "there is no greatest rate to fall from";
                return Err(self.document.fault(least.span(), problem, remedy));
            }
            (None, Some(most)) if written_max.is_some() => Some(most.div_ceil(RATE_PART)),
            (None, _) => default.per_minute_min,
        };
        Ok(Pace { at_once_max, at_once_min, per_minute_max, per_minute_min })
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Pace, from_text};

    fn paces(all: &str, route: &str) -> Result<(Pace, Pace), String> {
        let text = format!(
            "hostname = \"a.test\"\nlisten = [{{ name = \"l\", address = \"127.0.0.1:0\" }}]\n\
             [delivery]\n{all}\n[[route]]\ndomain = \"b.test\"\nnext_hop = \"mx\"\n{route}\n"
        );
        let settings = from_text(&text).map_err(|error| error.to_string())?;
        Ok((settings.delivery.pace, settings.routes[0].pace))
    }

    fn pace(at_once: (u32, u32), per_minute: Option<(u32, u32)>) -> Pace {
        Pace {
            at_once_max: at_once.1,
            at_once_min: at_once.0,
            per_minute_max: per_minute.map(|it| it.1),
            per_minute_min: per_minute.map(|it| it.0),
        }
    }

    #[test]
    fn a_route_has_what_it_says_and_else_what_holds_for_all() {
        let cases = [
            ("", "", pace((1, 20), None), pace((1, 20), None)),
            ("concurrency = 4", "", pace((1, 4), None), pace((1, 4), None)),
            (
                "per_destination = 8\nper_destination_min = 2",
                "per_destination = 1",
                pace((2, 8), None),
                pace((1, 1), None),
            ),
            ("", "per_destination_min = 20", pace((1, 20), None), pace((20, 20), None)),
            (
                "rate_per_minute = 60",
                "",
                pace((1, 20), Some((6, 60))),
                pace((1, 20), Some((6, 60))),
            ),
            (
                "rate_per_minute = 60\nrate_per_minute_min = 1",
                "rate_per_minute = 5",
                pace((1, 20), Some((1, 60))),
                pace((1, 20), Some((1, 5))),
            ),
        ];
        for (all, route, wanted_all, wanted) in cases {
            assert_eq!(paces(all, route), Ok((wanted_all, wanted)), "{all} {route}");
        }
    }

    #[test]
    fn what_does_not_fit_together_is_told_at_its_place() {
        let cases = [
            ("concurrency = 9\nper_destination = 10", "", "delivery.per_destination: 10 is more"),
            ("", "per_destination = 101", "route[0].per_destination: 101 is more than concurrency"),
            ("", "per_destination_min = 21", "route[0].per_destination_min: 21 is more"),
            ("rate_per_minute_min = 1", "", "delivery.rate_per_minute_min: there is no greatest"),
            (
                "",
                "rate_per_minute = 2\nrate_per_minute_min = 3",
                "rate_per_minute_min: 3 is more than rate_per_minute, 2",
            ),
            ("", "rate_per_minute = 0", "rate_per_minute: 0 is out of bounds"),
        ];
        for (all, route, wanted) in cases {
            let error = paces(all, route).unwrap_err();
            assert!(error.contains(wanted), "{all} {route}: {error}");
        }
    }
}
