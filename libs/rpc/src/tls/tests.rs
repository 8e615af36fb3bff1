//! What is taken, and what is said of what is not.

use sluice_testkit::{Authority, Certified};

use super::*;

fn identity(certified: &Certified) -> Result<Identity, TlsError> {
    Identity::from_pem(&certified.chain, &Secret::new(certified.key.as_str()))
}

#[test]
fn certificates_keys_and_authorities_come_from_pem() {
    let authority = Authority::new();
    let certified = authority.certify(&["registry"]);
    let own = || identity(&certified).unwrap();
    let bundle = format!("# old\n{}# new\n{}", Authority::new().pem(), authority.pem());
    let authorities = Authorities::from_pem(&bundle).unwrap();
    assert_eq!(authorities.0.len(), 2);
    assert_eq!(format!("{:?}", ServerTls::new(own()).unwrap()), "ServerTls");
    assert_eq!(format!("{:?}", ServerTls::mutual(own(), &authorities).unwrap()), "ServerTls(mutual)");
    assert!(ClientTls::trusting(&authorities).is_ok() && ClientTls::mutual(&authorities, own()).is_ok());
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let authority = Authority::new();
    let (one, other) = (authority.certify(&["registry"]), authority.certify(&["registry"]));
    let mixed = || identity(&Certified { chain: one.chain.clone(), key: other.key.clone() }).unwrap();
    let authorities = Authorities::from_pem(&authority.pem()).unwrap();
    assert_eq!(ServerTls::new(mixed()).unwrap_err(), TlsError::KeyMismatch);
    assert_eq!(ServerTls::mutual(mixed(), &authorities).unwrap_err(), TlsError::KeyMismatch);
    assert_eq!(ClientTls::mutual(&authorities, mixed()).unwrap_err(), TlsError::KeyMismatch);
}

#[test]
fn what_is_cut_off_empty_or_of_another_kind_is_refused_and_not_repeated() {
    let certified = Authority::new().certify(&["registry"]);
    let cut = |pem: &str| pem[..pem.len() / 2].to_owned();
    let odd = "-----BEGIN s3cret\nAAAA\n-----END CERTIFICATE-----\n";
    let no_certificate = "-----BEGIN CERTIFICATE-----\nczNjcmV0\n-----END CERTIFICATE-----\n";
    let of = |chain: &str, key: &str| {
        let parts = Certified { chain: chain.to_owned(), key: key.to_owned() };
        identity(&parts).and_then(ServerTls::new).unwrap_err()
    };
    for chain in [cut(&certified.chain).as_str(), "", odd, certified.key.as_str(), no_certificate] {
        let refused = of(chain, &certified.key);
        assert!(matches!(refused, TlsError::Certificate(_)), "{refused:?}");
        let authorities = Authorities::from_pem(chain).err().unwrap();
        assert!(matches!(authorities, TlsError::Authorities(_)), "{authorities:?}");
        assert!(!format!("{refused:?} {authorities:?}").contains("3cret"));
    }
    for key in [cut(&certified.key).as_str(), "", odd, certified.chain.as_str()] {
        assert_eq!(of(&certified.chain, key), TlsError::Key);
    }
}
