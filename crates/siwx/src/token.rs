//! Session tokens: what a server hands out after one sign-in, so that later calls cost no signature.

use crate::keys::{Purpose, SEAL, SessionKeys, hex, random};
use crate::store::Scope;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;
use tollway_core::AccountId;

/// The header, both ways.
pub const SESSION_TOKEN: &str = "session-token";
/// Longest token read, in characters.
const LONGEST: usize = 1024;
/// The form of what follows.
const VERSION: u8 = 1;

/// Room for the bytes of any token.
pub(crate) struct Room([u8; LONGEST / 4 * 3]);

impl Room {
    pub(crate) fn new() -> Self {
        Self([0; _])
    }
}

/// What a token says. On the wire it is opaque: base64url of the fields and their seal.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SessionToken<'a> {
    /// Its name, for revoking it.
    pub(crate) id: String,
    /// Text of an [`AccountId`].
    pub(crate) account: &'a str,
    /// Text of a [`Scope`].
    pub(crate) scope: &'a str,
    /// Unix seconds.
    pub(crate) issued_at: u64,
    pub(crate) until: u64,
}

impl fmt::Debug for SessionToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionToken").field("account", &self.account).finish_non_exhaustive()
    }
}

impl<'a> SessionToken<'a> {
    /// Seals a token of this origin.
    ///
    /// # Errors
    /// The operating system gives no random bytes, or a field is too long.
    pub(crate) fn seal(
        keys: &SessionKeys,
        origin: &str,
        account: &AccountId,
        scope: &Scope,
        issued_at: u64,
        until: u64,
    ) -> Result<String, String> {
        let account = account.to_string();
        let length = |text: &str| match u16::try_from(text.len()) {
            Ok(length) => Ok(length.to_be_bytes()),
            Err(_) => Err(format!("a text of {} bytes is too long for a token", text.len())),
        };
        let mut bytes = Vec::with_capacity(192);
        bytes.push(VERSION);
        bytes.extend(random::<16>()?);
        bytes.extend(issued_at.to_be_bytes());
        bytes.extend(until.to_be_bytes());
        bytes.extend(length(&account)?);
        bytes.extend(account.as_bytes());
        bytes.extend(length(scope.as_str())?);
        bytes.extend(scope.as_str().as_bytes());
        let seal = keys.seal(Purpose::Token, &[origin.as_bytes(), &bytes]);
        bytes.extend(seal);
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads a token of this origin that has not ended; `None` for any other text. The seal is looked at before
    /// anything else is.
    pub(crate) fn open(keys: &SessionKeys, origin: &str, text: &str, now: u64, room: &'a mut Room) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut room.0).ok()?;
        let (fields, seal) = room.0.get(..length)?.split_last_chunk::<SEAL>()?;
        if !keys.is_sealed(Purpose::Token, &[origin.as_bytes(), fields], seal) {
            return None;
        }
        let ([VERSION], fields) = fields.split_first_chunk::<1>()? else { return None };
        let (id, fields) = fields.split_first_chunk::<16>()?;
        let (issued_at, fields) = fields.split_first_chunk::<8>()?;
        let (until, fields) = fields.split_first_chunk::<8>()?;
        let (account, fields) = text_of(fields)?;
        let (scope, []) = text_of(fields)? else { return None };
        let token = Self {
            id: hex(id),
            account,
            scope,
            issued_at: u64::from_be_bytes(*issued_at),
            until: u64::from_be_bytes(*until),
        };
        (now < token.until).then_some(token)
    }
}

/// A text with its length before it.
fn text_of(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let (text, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tollway_core::Secret;

    const ORIGIN: &str = "https://api.example.com";

    fn keys(letter: &str) -> SessionKeys {
        SessionKeys::new(&[Secret::new(letter.repeat(40))]).unwrap()
    }

    fn alice() -> AccountId {
        "eip155:8453:0x70997970C51812dc3A010C7d01b50e0d17dc79C8".parse().unwrap()
    }

    fn opened(letter: &str, origin: &str, text: &str, now: u64) -> Option<(AccountId, Scope, [u64; 2], usize)> {
        let mut room = Room::new();
        let token = SessionToken::open(&keys(letter), origin, text, now, &mut room)?;
        let (account, scope) = (token.account.parse().unwrap(), Scope::from_stored(token.scope));
        Some((account, scope, [token.issued_at, token.until], token.id.len()))
    }

    fn sealed() -> String {
        SessionToken::seal(&keys("k"), ORIGIN, &alice(), &Scope::route(ORIGIN, "GET /report"), 100, 1000).unwrap()
    }

    #[test]
    fn a_token_says_what_was_sealed() {
        let said = (alice(), Scope::route(ORIGIN, "GET /report"), [100, 1000], 32);
        assert_eq!(opened("k", ORIGIN, &sealed(), 999), Some(said));
        assert_ne!(sealed(), sealed(), "each has a name of its own");
    }

    #[test]
    fn another_origin_another_key_and_another_time_do_not_open_it() {
        let text = sealed();
        assert_eq!(opened("k", ORIGIN, &text, 1000), None, "it has ended");
        assert_eq!(opened("l", ORIGIN, &text, 200), None);
        for origin in ["https://api.example.com.evil", "http://api.example.com", ""] {
            assert_eq!(opened("k", origin, &text, 200), None, "{origin}");
        }
    }

    #[test]
    fn no_character_can_be_changed() {
        let text = sealed();
        for at in 0..text.len() {
            for other in ["A", "z", "-"] {
                let mut forged = text.clone();
                forged.replace_range(at..=at, other);
                let opened = opened("k", ORIGIN, &forged, 200);
                assert!(forged == text || opened.is_none(), "character {at}");
            }
        }
        assert_eq!(opened("k", ORIGIN, &format!("{text}="), 200), None);
    }

    #[test]
    fn a_token_fits_a_header() {
        assert!(sealed().len() < 300, "{}", sealed().len());
        let long = Scope::tier(ORIGIN, &"t".repeat(70_000));
        assert!(SessionToken::seal(&keys("k"), ORIGIN, &alice(), &long, 1, 2).is_err());
    }

    proptest! {
        #[test]
        fn no_text_opens(text in "[A-Za-z0-9_-]{0,300}|.{0,100}") {
            prop_assert_eq!(opened("k", ORIGIN, &text, 0), None);
        }

        /// Bytes that are properly sealed and make no sense.
        #[test]
        fn sealed_nonsense_does_not_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let seal = keys("k").seal(Purpose::Token, &[ORIGIN.as_bytes(), &bytes]);
            bytes.extend(seal);
            let _ = opened("k", ORIGIN, &URL_SAFE_NO_PAD.encode(bytes), 0);
        }
    }
}
