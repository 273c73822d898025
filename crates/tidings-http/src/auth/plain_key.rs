use std::fmt;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};

/// One key.
#[derive(Clone)]
pub(super) struct PlainKey {
    decoding: DecodingKey,
    validation: Validation,
}

impl PlainKey {
    pub(super) fn new(decoding: DecodingKey, algorithms: Vec<Algorithm>) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.algorithms = algorithms;
        // We check its times ourselves: `null` counts as absent.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.required_spec_claims.clear();
        // The hub has no name that could be in the audience.
        validation.validate_aud = false;
        Self { decoding, validation }
    }

    pub(super) fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }

    pub(super) fn validation(&self) -> &Validation {
        &self.validation
    }
}

impl fmt::Debug for PlainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainKey")
            .field("algorithms", &self.validation.algorithms)
            .finish_non_exhaustive()
    }
}
