//! Octets that nobody is to read by accident: shown by no `Debug`, compared in constant time, wiped when they go.
//! Knows not what they are for.

use std::fmt;
use std::sync::Arc;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A password, or something that has one in it. Clones share it.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<Vec<u8>>>);

impl Secret {
    /// Takes octets that are kept nowhere else.
    pub fn new(octets: Vec<u8>) -> Self {
        Self(Arc::new(Zeroizing::new(octets)))
    }

    /// The octets, for whoever is to look at them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}

impl Eq for Secret {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_compared_and_not_shown() {
        let secret = Secret::new(b"pencil".to_vec());
        assert_eq!(format!("{secret:?}"), "Secret");
        assert!(secret == Secret::new(b"pencil".to_vec()) && secret != Secret::new(b"p".to_vec()));
        assert_eq!(secret.expose(), b"pencil");
    }
}
