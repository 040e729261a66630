//! What is checked of a proof before its signature, in the order of the specification ("Server validation").

use crate::codes;
use crate::nonce::Nonces;
use crate::origin::Origin;
use crate::time;
use crate::wire::Proof;
use tollway_core::{ErrorCode, Rejected};

/// Seconds that clocks may be apart.
pub(crate) const SKEW: u64 = 30;
/// Seconds a challenge may be old, whatever it says itself.
pub(crate) const OLDEST: u64 = 300;

/// Checks domain, URI, times and nonce. Gives the Unix second from which on the nonce would be believed by nobody.
///
/// # Errors
/// The code of the first check that failed.
pub(crate) fn check(proof: &Proof, origin: &Origin, nonces: &dyn Nonces, now: u64) -> Result<u64, Rejected> {
    let info = &proof.info;
    let rule = |holds: bool, code: ErrorCode| if holds { Ok(()) } else { Err(Rejected::new(code)) };
    rule(origin.is_domain(&info.domain), codes::DOMAIN_MISMATCH)?;
    rule(origin.has(&info.uri), codes::URI_MISMATCH)?;
    let issued_at = time::read(&info.issued_at).ok_or(Rejected::new(codes::ISSUED_AT))?;
    let mut until = issued_at.saturating_add(OLDEST + SKEW + 1);
    rule(now < until, codes::ISSUED_AT_TOO_OLD)?;
    rule(issued_at <= now.saturating_add(SKEW), codes::ISSUED_AT_IN_FUTURE)?;
    if let Some(text) = &info.expiration_time {
        let expires = time::read(text).ok_or(Rejected::new(codes::EXPIRATION_TIME))?;
        until = until.min(expires.saturating_add(SKEW));
        rule(now < until, codes::EXPIRED)?;
    }
    if let Some(text) = &info.not_before {
        let begins = time::read(text).ok_or(Rejected::new(codes::NOT_BEFORE))?;
        rule(begins <= now.saturating_add(SKEW), codes::NOT_YET_VALID)?;
    }
    rule(nonces.is_issued(info), codes::NONCE)?;
    Ok(until)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollway_core::SignInInfo;

    const NOW: u64 = 1_750_000_000;

    /// Believes any nonce but `forged`.
    #[derive(Debug)]
    struct Any;

    impl Nonces for Any {
        fn issue(&self, _: &mut SignInInfo) -> Result<(), String> {
            Ok(())
        }
        fn is_issued(&self, challenge: &SignInInfo) -> bool {
            challenge.nonce != "forged"
        }
    }

    fn info() -> SignInInfo {
        let mut info = SignInInfo::default();
        info.domain = "api.example.com".into();
        info.uri = "https://api.example.com/data".into();
        info.version = "1".into();
        info.nonce = "issued".into();
        info.issued_at = at(NOW);
        info
    }

    fn at(seconds: u64) -> String {
        time::write(seconds * 1000)
    }

    fn checked(change: impl FnOnce(&mut SignInInfo)) -> Result<u64, String> {
        let mut info = info();
        change(&mut info);
        let proof = Proof::new(info, "fake:x", "fake", "alice", String::new());
        let origin = Origin::parse("https://api.example.com").unwrap();
        check(&proof, &origin, &Any, NOW).map_err(|why| why.code.to_string())
    }

    fn code(change: impl FnOnce(&mut SignInInfo)) -> String {
        checked(change).unwrap_err()
    }

    #[test]
    fn origins_from_configuration_are_compared_parsed_not_by_prefix() {
        for domain in ["api.example.com.evil", "evil.test", "api.example.com:8443", ""] {
            assert_eq!(code(|info| info.domain = domain.into()), "invalid_siwx_domain_mismatch", "{domain}");
        }
        for uri in ["https://api.example.com.evil/data", "http://api.example.com/data", "/data"] {
            assert_eq!(code(|info| info.uri = uri.into()), "invalid_siwx_uri_mismatch", "{uri}");
        }
        assert!(checked(|info| info.uri = "https://api.example.com/other".into()).is_ok());
    }

    #[test]
    fn clocks_may_be_thirty_seconds_apart_and_no_more() {
        assert!(checked(|info| info.issued_at = at(NOW + 30)).is_ok());
        assert_eq!(code(|info| info.issued_at = at(NOW + 31)), "invalid_siwx_issued_at_in_future");
        assert!(checked(|info| info.issued_at = at(NOW - 330)).is_ok());
        assert_eq!(code(|info| info.issued_at = at(NOW - 331)), "invalid_siwx_issued_at_too_old");
        assert!(checked(|info| info.expiration_time = Some(at(NOW - 29))).is_ok());
        assert_eq!(code(|info| info.expiration_time = Some(at(NOW - 30))), "invalid_siwx_expired");
        assert!(checked(|info| info.not_before = Some(at(NOW + 30))).is_ok());
        assert_eq!(code(|info| info.not_before = Some(at(NOW + 31))), "invalid_siwx_not_yet_valid");
    }

    #[test]
    fn times_that_are_none() {
        assert_eq!(code(|info| info.issued_at = "now".into()), "invalid_siwx_issued_at");
        assert_eq!(code(|info| info.expiration_time = Some("later".into())), "invalid_siwx_expiration_time");
        assert_eq!(code(|info| info.not_before = Some(String::new())), "invalid_siwx_not_before");
    }

    #[test]
    fn a_nonce_is_remembered_for_as_long_as_it_could_be_believed() {
        assert_eq!(checked(|_| {}), Ok(NOW + 331));
        assert_eq!(checked(|info| info.expiration_time = Some(at(NOW + 60))), Ok(NOW + 90));
        assert_eq!(code(|info| info.nonce = "forged".into()), "invalid_siwx_nonce");
    }

    #[test]
    fn the_first_check_that_fails_names_the_code() {
        let all_wrong = |info: &mut SignInInfo| {
            info.uri = "https://evil.test".into();
            info.issued_at = "never".into();
            info.nonce = "forged".into();
        };
        assert_eq!(code(all_wrong), "invalid_siwx_uri_mismatch");
    }
}
