//! Every token that must be refused, each next to one that differs in nothing else and is taken.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};
use sluice_domain::{Secret, Span, Timestamp};

use super::Verifier;
use crate::error::{KeyError, TokenError};
use crate::key::{Key, generate_ed25519};
use crate::principal::{Principal, Role, Scope};
use crate::signer::Signer;

const NOW: i64 = 1_795_000_000;
const SHARED: &str = "0123456789abcdef0123456789abcdef";

/// A verifier with one key of each kind, and what signs for them.
struct House {
    verifier: Verifier,
    private: Secret,
    public: String,
}

impl House {
    fn new() -> Self {
        let (private, public) = generate_ed25519().unwrap();
        let keys =
            vec![Key::ed25519("ed", &public).unwrap(), Key::hs256("hs", &Secret::new(SHARED)).unwrap()];
        Self { verifier: Verifier::new("https://issuer.test", keys).unwrap(), private, public }
    }

    fn signed_by(&self, key: &EncodingKey, algorithm: Algorithm, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).unwrap();
        format!("{message}.{signature}")
    }

    fn token(&self, header: &str, claims: &str) -> String {
        let key = EncodingKey::from_ed_pem(self.private.expose().as_bytes()).unwrap();
        self.signed_by(&key, Algorithm::EdDSA, header, claims)
    }

    fn verify(&self, token: &str) -> Result<Principal, TokenError> {
        self.verifier.verify(token, Timestamp::from_unix(NOW, 0).unwrap())
    }

    fn with_header(&self, header: &str) -> Result<Principal, TokenError> {
        self.verify(&self.token(header, &good().to_string()))
    }

    fn with_claims(&self, claims: &Value) -> Result<Principal, TokenError> {
        self.verify(&self.token(HEADER, &claims.to_string()))
    }

    fn with(&self, claim: &str, value: Value) -> Result<Principal, TokenError> {
        let mut claims = good();
        claims[claim] = value;
        self.with_claims(&claims)
    }
}

const HEADER: &str = r#"{"alg":"EdDSA","kid":"ed","typ":"JWT"}"#;

fn good() -> Value {
    json!({
        "iss": "https://issuer.test", "aud": "sluice", "sub": "user-7",
        "exp": NOW + 3600, "iat": NOW, "nbf": NOW,
        "account": "acme", "roles": ["member"], "scope": "events.write usage.read",
    })
}

#[test]
fn a_good_token_gives_account_user_roles_and_scopes() {
    let expected = Principal::new(
        Some("acme".parse().unwrap()),
        "user-7".parse().unwrap(),
        [Role::Member],
        [Scope::EventsWrite, Scope::UsageRead],
    );
    assert_eq!(House::new().with_claims(&good()), Ok(expected));
}

#[test]
fn what_a_signer_mints_is_taken_with_either_algorithm() {
    let house = House::new();
    let principal = Principal::new(
        Some("acme".parse().unwrap()),
        "admin".parse().unwrap(),
        [Role::GlobalAdmin],
        Scope::ALL,
    );
    let ed = Signer::from_ed25519_pkcs8_pem("https://issuer.test", "ed", &house.private).unwrap();
    let hs = Signer::from_hs256("https://issuer.test", "hs", &Secret::new(SHARED)).unwrap();
    for signer in [ed, hs] {
        let now = Timestamp::from_unix(NOW, 0).unwrap();
        let token = signer.mint(&principal, now, Span::from_secs(60)).unwrap();
        assert_eq!(house.verify(&token), Ok(principal.clone()));
    }
}

#[test]
fn the_algorithm_none_is_refused_with_and_without_a_signature() {
    let house = House::new();
    for alg in ["none", "None", "NONE", ""] {
        let header = format!(r#"{{"alg":"{alg}","kid":"ed"}}"#);
        assert_eq!(house.with_header(&header), Err(TokenError::AlgorithmMismatch));
        let bare = format!("{}.{}.", BASE64.encode(&header), BASE64.encode(good().to_string()));
        assert_eq!(house.verify(&bare), Err(TokenError::AlgorithmMismatch));
    }
}

#[test]
fn a_stripped_or_foreign_or_changed_signature_is_refused() {
    let house = House::new();
    let token = house.token(HEADER, &good().to_string());
    let (message, signature) = token.rsplit_once('.').unwrap();
    assert_eq!(house.verify(&format!("{message}.")), Err(TokenError::SignatureInvalid));
    assert_eq!(house.verify(message), Err(TokenError::NotCompact));
    let foreign = House::new().token(HEADER, &good().to_string());
    assert_eq!(house.verify(&foreign), Err(TokenError::SignatureInvalid));
    let mut claims = good();
    claims["roles"] = json!(["global_admin"]);
    let raised = format!("{}.{}.{signature}", BASE64.encode(HEADER), BASE64.encode(claims.to_string()));
    assert_eq!(house.verify(&raised), Err(TokenError::SignatureInvalid));
}

#[test]
fn the_public_key_used_as_a_shared_secret_is_refused() {
    let house = House::new();
    let confused = EncodingKey::from_secret(house.public.as_bytes());
    for (header, expected) in [
        (r#"{"alg":"HS256","kid":"ed"}"#, TokenError::AlgorithmMismatch),
        (r#"{"alg":"EdDSA","kid":"ed"}"#, TokenError::SignatureInvalid),
        (r#"{"alg":"HS256","kid":"hs"}"#, TokenError::SignatureInvalid),
    ] {
        let token = house.signed_by(&confused, Algorithm::HS256, header, &good().to_string());
        assert_eq!(house.verify(&token), Err(expected), "{header}");
    }
}

#[test]
fn unknown_missing_and_doubled_header_parameters_are_refused() {
    let house = House::new();
    for (header, expected) in [
        (r#"{"alg":"EdDSA","kid":"other"}"#, TokenError::KeyUnknown),
        (r#"{"alg":"EdDSA"}"#, TokenError::KeyUnknown),
        (r#"{"alg":"EdDSA","kid":7}"#, TokenError::KeyUnknown),
        (r#"{"kid":"ed"}"#, TokenError::AlgorithmMismatch),
        (r#"{"alg":"EdDSA","kid":"ed","crit":["exp"]}"#, TokenError::HeaderUnsupported("crit")),
        (r#"{"alg":"EdDSA","kid":"ed","typ":"dpop+jwt"}"#, TokenError::HeaderUnsupported("typ")),
        (r#"{"alg":"HS256","alg":"EdDSA","kid":"ed"}"#, TokenError::HeaderMalformed),
        ("[]", TokenError::HeaderMalformed),
        ("", TokenError::HeaderMalformed),
    ] {
        assert_eq!(house.with_header(header), Err(expected), "{header}");
    }
    assert!(house.with_header(r#"{"alg":"EdDSA","kid":"ed","typ":"at+jwt"}"#).is_ok());
}

#[test]
fn each_required_claim_that_is_missing_is_named() {
    let house = House::new();
    for claim in ["iss", "aud", "sub", "exp", "iat", "nbf"] {
        let mut claims = good();
        claims.as_object_mut().unwrap().remove(claim);
        assert_eq!(house.with_claims(&claims), Err(TokenError::ClaimMissing(claim)));
    }
}

#[test]
fn the_optional_claims_may_be_absent_and_then_grant_nothing() {
    let mut claims = good();
    for claim in ["account", "roles", "scope"] {
        claims.as_object_mut().unwrap().remove(claim);
    }
    let expected = Principal::new(None, "user-7".parse().unwrap(), [], []);
    assert_eq!(House::new().with_claims(&claims), Ok(expected));
}

#[test]
fn a_claim_that_occurs_twice_is_refused_even_when_both_agree() {
    let house = House::new();
    for extra in [r#""sub":"user-7""#, r#""roles":["global_admin"]"#, r#""odd":1,"odd":1"#] {
        let text = good().to_string();
        let doubled = format!("{{{extra},{}", &text[1..]);
        assert_eq!(house.verify(&house.token(HEADER, &doubled)), Err(TokenError::ClaimsMalformed));
    }
}

#[test]
fn another_issuer_or_audience_is_refused() {
    let house = House::new();
    assert_eq!(house.with("iss", json!("https://issuer.test/")), Err(TokenError::IssuerUnknown));
    assert_eq!(house.with("iss", json!(null)), Err(TokenError::IssuerUnknown));
    for bad in [json!("Sluice"), json!(["other"]), json!([]), json!(null), json!({"sluice": 1})] {
        assert_eq!(house.with("aud", bad), Err(TokenError::AudienceMismatch));
    }
    assert!(house.with("aud", json!(["other", "sluice"])).is_ok());
}

#[test]
fn times_are_judged_with_thirty_seconds_of_leeway() {
    let house = House::new();
    for claim in ["nbf", "iat"] {
        assert!(house.with(claim, json!(NOW + 30)).is_ok());
        assert_eq!(house.with(claim, json!(NOW + 31)), Err(TokenError::NotYetValid));
    }
    let old = |expires: i64| {
        let mut claims = good();
        claims["iat"] = json!(NOW - 3600);
        claims["exp"] = json!(expires);
        house.with_claims(&claims)
    };
    assert!(old(NOW - 29).is_ok());
    assert_eq!(old(NOW - 30), Err(TokenError::Expired));
}

#[test]
fn times_must_be_whole_seconds_within_the_calendar() {
    let house = House::new();
    for claim in ["exp", "iat", "nbf"] {
        for bad in [json!("1795003600"), json!(1.5), json!(-1), json!(null), json!(i64::MAX), json!(1e300)] {
            let expected = TokenError::ClaimInvalid { claim, rule: "whole seconds since 1970" };
            assert_eq!(house.with(claim, bad), Err(expected));
        }
    }
}

#[test]
fn lifetimes_end_at_a_day_and_for_internal_tokens_at_ninety() {
    let house = House::new();
    let day = 24 * 3600;
    assert!(house.with("exp", json!(NOW + day)).is_ok());
    assert_eq!(house.with("exp", json!(NOW + day + 1)), Err(TokenError::LifetimeOutOfRange));
    assert_eq!(house.with("exp", json!(NOW)), Err(TokenError::LifetimeOutOfRange));
    let internal = |lifetime: i64| {
        let mut claims = good();
        claims["scope"] = json!("internal accounts.any");
        claims["exp"] = json!(NOW + lifetime);
        house.with_claims(&claims)
    };
    assert!(internal(90 * day).is_ok());
    assert_eq!(internal(90 * day + 1), Err(TokenError::LifetimeOutOfRange));
}

#[test]
fn unknown_scopes_are_ignored_and_unknown_roles_refused() {
    let house = House::new();
    let principal = house.with("scope", json!("openid events.write events.writes  email")).unwrap();
    assert_eq!(principal.scopes().collect::<Vec<_>>(), [Scope::EventsWrite]);
    assert_eq!(house.with("roles", json!(["member", "root"])), Err(TokenError::RoleUnknown));
}

#[test]
fn claims_of_the_wrong_shape_are_refused_by_name() {
    let house = House::new();
    for (claim, bad) in [
        ("sub", json!("")),
        ("sub", json!("a b")),
        ("sub", json!(7)),
        ("account", json!(null)),
        ("account", json!("a/b")),
        ("account", json!(["acme"])),
        ("roles", json!("member")),
        ("roles", json!([1])),
        ("scope", json!(["events.write"])),
    ] {
        let refused = house.with(claim, bad.clone()).unwrap_err();
        assert!(
            matches!(refused, TokenError::ClaimInvalid { claim: named, .. } if named == claim),
            "{claim} {bad}"
        );
    }
    for bad in ["null", "[]", "7", "", "{", "{\"iss\":1}x"] {
        assert_eq!(house.verify(&house.token(HEADER, bad)), Err(TokenError::ClaimsMalformed), "{bad}");
    }
}

#[test]
fn huge_and_shapeless_tokens_are_refused() {
    let house = House::new();
    let huge = house.with("padding", json!("x".repeat(8 * 1024)));
    assert_eq!(huge, Err(TokenError::TooLong));
    for bad in ["", ".", "..", "a.b", "a.b.c.d", "!.!.!", "ä.ä.ä", "eyJ9==.e30.e30"] {
        let refused = house.verify(bad).unwrap_err();
        assert!(matches!(refused, TokenError::NotCompact | TokenError::HeaderMalformed), "{bad}");
    }
}

#[test]
fn no_refusal_repeats_the_token() {
    let house = House::new();
    let refused = house.with("roles", json!(["canary-7f3a"])).unwrap_err();
    assert!(!format!("{refused} {refused:?}").contains("canary"));
}

#[test]
fn a_verifier_needs_an_issuer_and_keys_with_ids_of_their_own() {
    let key = Key::hs256("hs", &Secret::new(SHARED)).unwrap();
    assert_eq!(Verifier::new("", vec![key.clone()]).unwrap_err(), KeyError::IssuerEmpty);
    assert_eq!(Verifier::new("i", vec![]).unwrap_err(), KeyError::NoKey);
    assert_eq!(Verifier::new("i", vec![key.clone(), key]).unwrap_err(), KeyError::KidTwice);
}

#[test]
fn a_token_that_is_known_ends_all_the_same_and_knows_no_other() {
    let house = House::new();
    let token = house.token(HEADER, &good().to_string());
    let expires = good()["exp"].as_i64().unwrap();
    let at = |seconds: i64| house.verifier.verify(&token, Timestamp::from_unix(seconds, 0).unwrap());
    let (first, second) = (at(NOW).unwrap(), at(NOW).unwrap());
    assert_eq!(first, second);
    assert_eq!(at(expires + 30).unwrap_err(), TokenError::Expired);
    assert_eq!(at(good()["iat"].as_i64().unwrap() - 31).unwrap_err(), TokenError::NotYetValid);
    assert!(at(expires + 29).is_ok());

    let (signed, signature) = token.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { "B" } else { "A" };
    let forged = format!("{signed}.{other}{}", &signature[1..]);
    assert_eq!(house.verify(&forged).unwrap_err(), TokenError::SignatureInvalid);
    let unknown = Verifier::new("https://issuer.test", vec![Key::hs256("hs", &Secret::new(SHARED)).unwrap()]);
    let refused = unknown.unwrap().verify(&token, Timestamp::from_unix(NOW, 0).unwrap());
    assert_eq!(refused.unwrap_err(), TokenError::KeyUnknown);
}
