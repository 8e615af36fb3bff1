//! Everybody who may knock, each with a token.

use jsonwebtoken::{Algorithm, EncodingKey};
use sluice_auth::{Key, Principal, Role, Scope, Signer, Verifier};
use sluice_domain::{Secret, Span, Timestamp};
use sluice_runtime::Clock;

pub(crate) const ISSUER: &str = "sluice-tests";
pub(crate) const KID: &str = "house";
/// How long a token is good.
const LIFETIME: Span = Span::from_secs(600);

/// The issuer whose tokens the house takes.
pub(crate) struct Mint {
    signer: Signer,
    private_key: Secret,
    public_key: String,
}

impl Mint {
    pub(crate) fn new(private_key: Secret, public_key: &str) -> Self {
        let signer = Signer::from_ed25519_pkcs8_pem(ISSUER, KID, &private_key);
        let signer = signer.expect("the private key should sign");
        Self { signer, private_key, public_key: public_key.to_owned() }
    }

    /// Who takes these tokens.
    pub(crate) fn verifier(&self) -> Verifier {
        let key = Key::ed25519(KID, &self.public_key).expect("the public key");
        Verifier::new(ISSUER, vec![key]).expect("the verifier")
    }

    /// A token of this user with these roles and scopes; without an account it names none.
    pub(crate) fn token(
        &self,
        account: Option<&str>,
        user: &str,
        roles: &[Role],
        scopes: &[Scope],
    ) -> String {
        self.token_at(Clock::system().now(), account, user, roles, scopes)
    }

    /// One that was minted then.
    pub(crate) fn token_at(
        &self,
        at: Timestamp,
        account: Option<&str>,
        user: &str,
        roles: &[Role],
        scopes: &[Scope],
    ) -> String {
        let account = account.map(|name| name.parse().expect("an account's name"));
        let user = user.parse().expect("a user's name");
        let who = Principal::new(account, user, roles.iter().copied(), scopes.iter().copied());
        self.signer.mint(&who, at, LIFETIME).expect("a token should be mintable")
    }

    /// A global admin of an account.
    pub(crate) fn admin(&self, account: &str) -> String {
        self.token(Some(account), "ada", &[Role::GlobalAdmin], &[])
    }

    /// The product that sends an account's events.
    pub(crate) fn producer(&self, account: &str) -> String {
        self.token(Some(account), "crm", &[], &[Scope::EventsWrite])
    }

    /// The plan-billing system.
    pub(crate) fn billing(&self) -> String {
        self.token(None, "billing", &[], &[Scope::EntitlementsWrite, Scope::AccountsAny])
    }

    /// One of Sluice's own services.
    pub(crate) fn service(&self) -> String {
        self.token(None, "dispatcher", &[], &[Scope::Internal, Scope::AccountsAny])
    }

    /// The public key, as everybody can have it.
    pub(crate) fn public_key(&self) -> &str {
        &self.public_key
    }

    /// The signature of the house's own key on whatever it is.
    pub(crate) fn sign(&self, message: &str) -> String {
        let key = EncodingKey::from_ed_pem(self.private_key.expose().as_bytes()).expect("the private key");
        jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::EdDSA).expect("a signature")
    }
}

/// What a token opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grant {
    /// Nothing: no role, no scope.
    Nothing,
    /// A role.
    Role(Role),
    /// A scope.
    Scope(Scope),
}

/// Somebody who calls about an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Without a token.
    NoToken,
    /// With something that is no token.
    Garbage,
    /// With a global admin's token that was good an hour ago.
    Expired,
    /// Of another account, with every role and scope there is.
    Foreigner,
    /// Of no account, with every role and scope but `accounts.any`.
    Homeless,
    /// Of the account, with one role or scope.
    Of(Grant),
    /// For any account (scope `accounts.any`), with one role or scope.
    Any(Grant),
}

impl Caller {
    /// Everybody, in the order of the table.
    pub(crate) const ALL: [Self; 21] = [
        Self::NoToken,
        Self::Garbage,
        Self::Expired,
        Self::Foreigner,
        Self::Homeless,
        Self::Of(Grant::Role(Role::Member)),
        Self::Of(Grant::Role(Role::GlobalAdmin)),
        Self::Of(Grant::Scope(Scope::EventsWrite)),
        Self::Of(Grant::Scope(Scope::EntitlementsWrite)),
        Self::Of(Grant::Scope(Scope::UsageRead)),
        Self::Of(Grant::Scope(Scope::ExecutionsRead)),
        Self::Of(Grant::Scope(Scope::AccountsAny)),
        Self::Of(Grant::Scope(Scope::Internal)),
        Self::Any(Grant::Nothing),
        Self::Any(Grant::Role(Role::Member)),
        Self::Any(Grant::Role(Role::GlobalAdmin)),
        Self::Any(Grant::Scope(Scope::EventsWrite)),
        Self::Any(Grant::Scope(Scope::EntitlementsWrite)),
        Self::Any(Grant::Scope(Scope::UsageRead)),
        Self::Any(Grant::Scope(Scope::ExecutionsRead)),
        Self::Any(Grant::Scope(Scope::Internal)),
    ];

    /// The `authorization` header of a call about this account; `elsewhere` is another one.
    pub(crate) fn authorization(self, mint: &Mint, account: &str, elsewhere: &str) -> Vec<String> {
        let but_any: Vec<Scope> =
            Scope::ALL.into_iter().filter(|scope| *scope != Scope::AccountsAny).collect();
        let token = match self {
            Self::NoToken => return Vec::new(),
            Self::Garbage => "no.token.atall".to_owned(),
            Self::Expired => {
                let then = Clock::system().now().minus(Span::from_secs(3_600));
                mint.token_at(then, Some(account), "ada", &[Role::GlobalAdmin], &[])
            }
            Self::Foreigner => mint.token(Some(elsewhere), "eve", &Role::ALL, &Scope::ALL),
            Self::Homeless => mint.token(None, "hal", &Role::ALL, &but_any),
            Self::Of(grant) => mint.token(Some(account), grant.user(), grant.roles(), &grant.scopes()),
            Self::Any(grant) => {
                let scopes = [grant.scopes(), vec![Scope::AccountsAny]].concat();
                mint.token(None, grant.user(), grant.roles(), &scopes)
            }
        };
        vec![format!("Bearer {token}")]
    }

    /// The column's head: whose account, and the role or scope.
    pub(crate) const fn head(self) -> [&'static str; 2] {
        match self {
            Self::NoToken => ["", "none"],
            Self::Garbage => ["", "junk"],
            Self::Expired => ["", "late"],
            Self::Foreigner => ["", "frgn"],
            Self::Homeless => ["", "home"],
            Self::Of(grant) => ["of", grant.head()],
            Self::Any(grant) => ["any", grant.head()],
        }
    }
}

impl Grant {
    const fn user(self) -> &'static str {
        match self {
            Self::Role(Role::Member) => "max",
            Self::Role(Role::GlobalAdmin) => "ada",
            Self::Nothing | Self::Scope(_) => "svc",
        }
    }

    fn roles(&self) -> &[Role] {
        match self {
            Self::Role(role) => std::slice::from_ref(role),
            Self::Nothing | Self::Scope(_) => &[],
        }
    }

    fn scopes(self) -> Vec<Scope> {
        match self {
            Self::Scope(scope) => vec![scope],
            Self::Nothing | Self::Role(_) => Vec::new(),
        }
    }

    const fn head(self) -> &'static str {
        match self {
            Self::Nothing => "-",
            Self::Role(Role::Member) => "memb",
            Self::Role(Role::GlobalAdmin) => "admn",
            Self::Scope(Scope::EventsWrite) => "ev.w",
            Self::Scope(Scope::EntitlementsWrite) => "en.w",
            Self::Scope(Scope::UsageRead) => "us.r",
            Self::Scope(Scope::ExecutionsRead) => "ex.r",
            Self::Scope(Scope::AccountsAny) => "acc*",
            Self::Scope(Scope::Internal) => "intl",
        }
    }
}
