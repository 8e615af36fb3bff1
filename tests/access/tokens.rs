//! Every token that must open nothing, sent with every RPC to every listener: 0 accepted. Each is a good one but for one thing.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};
use sluice_auth::generate_ed25519;
use sluice_runtime::Clock;
use sluice_tests::Backend;
use tonic::Code;

use super::accounts::{Account, Asked, MINE};
use super::callers::{ISSUER, KID, Mint};
use super::door::Listener;
use super::house::House;
use super::rows::{Row, rows};
use sluice_testkit::Receiver;

const DAY: i64 = 24 * 3_600;

/// Makes tokens out of whatever.
struct Forge<'a> {
    mint: &'a Mint,
    now: i64,
}

impl Forge<'_> {
    fn header() -> Value {
        json!({ "alg": "EdDSA", "kid": KID, "typ": "JWT" })
    }

    /// The claims of somebody who may do everything.
    fn claims(&self) -> Value {
        json!({
            "iss": ISSUER, "aud": "sluice", "sub": "ada",
            "iat": self.now, "nbf": self.now, "exp": self.now + 600,
            "account": MINE, "roles": ["member", "global_admin"],
            "scope": "events.write entitlements.write usage.read executions.read internal",
        })
    }

    /// The same for whoever serves every account.
    fn claims_of_all(&self) -> Value {
        let mut claims = self.claims();
        claims["scope"] = json!("internal accounts.any");
        claims.as_object_mut().unwrap().remove("account");
        claims
    }

    /// Header and claims, signed by the house's own key.
    fn signed(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
        format!("{message}.{}", self.mint.sign(&message))
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        self.signed(&header.to_string(), &claims.to_string())
    }

    fn with_claim(&self, claim: &str, value: Value) -> String {
        let mut claims = self.claims();
        claims[claim] = value;
        self.token(&Self::header(), &claims)
    }

    fn without_claim(&self, claim: &str) -> String {
        let mut claims = self.claims();
        claims.as_object_mut().unwrap().remove(claim);
        self.token(&Self::header(), &claims)
    }

    fn with_header(&self, parameter: &str, value: Value) -> String {
        let mut header = Self::header();
        header[parameter] = value;
        self.token(&header, &self.claims())
    }

    /// A claim twice, the wrong one first or last.
    fn doubled(&self, extra: &str, first: bool) -> String {
        let claims = self.claims().to_string();
        let inner = &claims[1..claims.len() - 1];
        let claims = if first { format!("{{{extra},{inner}}}") } else { format!("{{{inner},{extra}}}") };
        self.signed(&Self::header().to_string(), &claims)
    }

    /// The values of the `authorization` headers that must open nothing, by what is wrong with them.
    fn bad(&self) -> BTreeMap<String, Vec<String>> {
        let good = self.token(&Self::header(), &self.claims());
        let (message, signature) = good.rsplit_once('.').unwrap();
        let (_, claims) = message.split_once('.').unwrap();
        let none = |alg: &str| BASE64.encode(json!({ "alg": alg, "kid": KID }).to_string());
        let (their_key, _) = generate_ed25519().unwrap();
        let theirs = EncodingKey::from_ed_pem(their_key.expose().as_bytes()).unwrap();
        let theirs = jsonwebtoken::crypto::sign(message.as_bytes(), &theirs, Algorithm::EdDSA).unwrap();
        let shared = |header: Value| {
            let message = format!("{}.{claims}", BASE64.encode(header.to_string()));
            let key = EncodingKey::from_secret(self.mint.public_key().as_bytes());
            let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
            format!("{message}.{signature}")
        };
        let mut raised = self.claims();
        raised["account"] = json!("acme");

        let mut tokens: Vec<(String, String)> = Vec::new();
        let mut add = |what: &str, token: String| tokens.push((what.to_owned(), token));
        for alg in ["none", "None", "NONE", ""] {
            add(&format!("alg {alg:?}, no signature"), format!("{}.{claims}.", none(alg)));
            add(&format!("alg {alg:?}, a signature"), format!("{}.{claims}.{signature}", none(alg)));
        }
        add("the public key as a shared secret, HS256", shared(json!({ "alg": "HS256", "kid": KID })));
        add("the public key as a shared secret, EdDSA", shared(Self::header()));
        add("another algorithm's name", self.with_header("alg", json!("RS256")));
        add("no algorithm", self.with_header("alg", Value::Null));
        add("the signature stripped", format!("{message}."));
        add("the signature and its dot stripped", message.to_owned());
        add("the signature cut", format!("{message}.{}", &signature[..signature.len() - 4]));
        add("another key's signature", format!("{message}.{theirs}"));
        add(
            "other claims under the signature",
            format!(
                "{}.{}.{signature}",
                BASE64.encode(Self::header().to_string()),
                BASE64.encode(raised.to_string())
            ),
        );
        add("unknown kid", self.with_header("kid", json!("other")));
        add("no kid", self.with_header("kid", Value::Null));
        add("a kid that is a path", self.with_header("kid", json!("../../etc/passwd")));
        add("crit", self.with_header("crit", json!(["exp"])));
        add("another typ", self.with_header("typ", json!("dpop+jwt")));
        add(
            "a doubled alg",
            self.signed(
                &format!(r#"{{"alg":"none","alg":"EdDSA","kid":"{KID}"}}"#),
                &self.claims().to_string(),
            ),
        );
        for claim in ["iss", "aud", "sub", "iat", "nbf", "exp"] {
            add(&format!("without {claim}"), self.without_claim(claim));
            add(&format!("{claim} null"), self.with_claim(claim, Value::Null));
        }
        add("another issuer", self.with_claim("iss", json!("somebody-else")));
        for audience in [json!("other"), json!("Sluice"), json!(["other"]), json!([])] {
            add(&format!("audience {audience}"), self.with_claim("aud", audience));
        }
        add("not yet valid (nbf)", self.with_claim("nbf", json!(self.now + 300)));
        add("not yet valid (iat)", self.with_claim("iat", json!(self.now + 300)));
        let mut expired = self.claims();
        (expired["iat"], expired["nbf"]) = (json!(self.now - DAY), json!(self.now - DAY));
        expired["exp"] = json!(self.now - 60);
        add("expired", self.token(&Self::header(), &expired));
        add("exp a text", self.with_claim("exp", json!((self.now + 600).to_string())));
        add("a fraction", self.with_claim("exp", json!(self.now as f64 + 600.5)));
        add("good for a hundred days", self.with_claim("exp", json!(self.now + 100 * DAY)));
        add("good for ever", self.with_claim("exp", json!(i64::MAX)));
        add("an unknown role", self.with_claim("roles", json!(["global_admin", "root"])));
        add("roles a text", self.with_claim("roles", json!("global_admin")));
        add("scopes a list", self.with_claim("scope", json!(["internal"])));
        add("an account with a slash", self.with_claim("account", json!("acme/../globex")));
        add("account null", self.with_claim("account", Value::Null));
        for extra in [
            r#""account":"globex""#,
            r#""exp":9999999999"#,
            r#""roles":["global_admin"]"#,
            r#""odd":1,"odd":2"#,
        ] {
            add(&format!("{extra} twice, first"), self.doubled(extra, true));
            add(&format!("{extra} twice, last"), self.doubled(extra, false));
        }
        add("huge", self.with_claim("padding", json!("x".repeat(8 * 1_024))));
        for text in ["", ".", "..", "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
            add(&format!("{text:?}"), text.to_owned());
        }
        add("claims that are a list", self.signed(&Self::header().to_string(), "[]"));
        add("claims that are no JSON", self.signed(&Self::header().to_string(), "{"));
        add("padded base64", format!("{message}.{signature}=="));
        add("a fourth part", format!("{good}.{signature}"));

        let mut headers: BTreeMap<String, Vec<String>> =
            tokens.into_iter().map(|(what, token)| (what, vec![format!("Bearer {token}")])).collect();
        headers.insert("no header".to_owned(), Vec::new());
        headers.insert("two headers".to_owned(), vec![format!("Bearer {good}"), format!("Bearer {good}")]);
        for (what, value) in [
            ("no scheme", good.clone()),
            ("the scheme basic", format!("Basic {good}")),
            ("two spaces", format!("Bearer  {good}")),
            ("a token and more", format!("Bearer {good} x")),
            ("two tokens", format!("Bearer {good}, Bearer {good}")),
        ] {
            headers.insert(what.to_owned(), vec![value]);
        }
        headers
    }
}

/// A request that whoever may do everything is answered.
fn request(row: &Row, account: &Account) -> Vec<u8> {
    (row.request)(&Asked { account, fresh: "" })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_bad_token_opens_any_rpc_at_any_listener() {
    let receiver = Receiver::start().await;
    let house = House::open(Backend::Sqlite).await;
    let account = Account::furnish(&house, MINE, "plain", receiver.url("/plain/")).await;
    let forge = Forge { mint: &house.mint, now: Clock::system().now().to_unix().0 };
    let before = account.read_back(&house).await;
    let bad = forge.bad();

    let (mut calls, mut accepted) = (0, Vec::new());
    for listener in Listener::ALL {
        for row in rows().filter(|row| row.lets_in(listener).is_some()) {
            for (what, headers) in &bad {
                let reply = house.door(listener).call(row.rpc, headers, request(row, &account)).await;
                calls += 1;
                let refused = reply.refusal().is_some_and(|refusal| {
                    refusal.code == Code::Unauthenticated && refusal.reason == "UNAUTHENTICATED"
                });
                if !refused {
                    accepted.push(format!(
                        "{} at {}: {what}: {}",
                        row.title(),
                        listener.name(),
                        reply.told()
                    ));
                }
            }
        }
    }
    println!("{} bad tokens, {calls} calls, {} accepted", bad.len(), accepted.len());
    assert!(accepted.is_empty(), "{}", accepted.join("\n"));
    assert_eq!(account.read_back(&house).await, before, "nothing happened");

    // The same made well is let in, wherever anybody is.
    for listener in Listener::ALL {
        for row in rows().filter(|row| row.lets_in(listener).is_some_and(|callers| !callers.is_empty())) {
            let claims = if row.whose.is_empty() { forge.claims_of_all() } else { forge.claims() };
            let token = format!("Bearer {}", forge.token(&Forge::header(), &claims));
            let fresh = account.fresh(&house, row.needs).await;
            let request = (row.request)(&Asked { account: &account, fresh: &fresh });
            let reply = house.door(listener).call(row.rpc, &[token], request).await;
            assert!(reply.refusal().is_none(), "{} at {}: {}", row.title(), listener.name(), reply.told());
        }
    }
    house.close().await;
}
