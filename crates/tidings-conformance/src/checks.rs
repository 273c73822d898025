//! The checks, a file for each part of the protocol. Each file begins with its table.

mod authorization;
mod presence;
mod publication;
mod replay;
mod subscription;

use crate::check::Check;
use crate::dialect::Dialect;

/// All checks, in the order in which they are reported.
pub(crate) fn all() -> impl Iterator<Item = &'static Check> {
    [
        publication::CHECKS,
        subscription::CHECKS,
        authorization::CHECKS,
        replay::CHECKS,
        presence::CHECKS,
    ]
    .into_iter()
    .flatten()
}

const ZERO: Dialect = Dialect::Zero;
const ONE: Dialect = Dialect::One;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_check_has_a_name_of_its_own_and_both_dialects_have_many() {
        let names: BTreeSet<_> = all().map(|check| check.name).collect();
        assert_eq!(names.len(), all().count());
        for dialect in Dialect::ALL {
            assert!(all().filter(|check| check.is_of(dialect)).count() >= 35, "{dialect}");
        }
    }
}
