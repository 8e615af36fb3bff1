//! Role × RPC: who may call what on which listener. What has no row is closed.

use sluice_auth::{Access, AccessError, AccessTable, Grant, Role, Scope};

const USERS: &[Grant] = &[Grant::Role(Role::Member), Grant::Role(Role::GlobalAdmin)];
const BILLING: &[Grant] = &[Grant::Scope(Scope::EntitlementsWrite)];
const USERS_AND_BILLING: &[Grant] =
    &[Grant::Role(Role::Member), Grant::Role(Role::GlobalAdmin), Grant::Scope(Scope::EntitlementsWrite)];
const OWN_SERVICES: &[Grant] = &[Grant::Scope(Scope::Internal)];
const NOBODY: &[Grant] = &[];

const PUBLIC: &[(&str, &[Grant])] = &[
    ("/sluice.registry.v1.AccountService/GetAccount", USERS_AND_BILLING),
    ("/sluice.registry.v1.AccountService/PutEntitlements", BILLING),
    ("/sluice.registry.v1.WebhookService/CreateWebhook", USERS),
    ("/sluice.registry.v1.WebhookService/DeleteWebhook", USERS),
    ("/sluice.registry.v1.WebhookService/GetWebhook", USERS),
    ("/sluice.registry.v1.WebhookService/ListWebhooks", USERS),
    ("/sluice.registry.v1.WebhookService/UpdateWebhook", USERS),
];

const INTERNAL: &[(&str, &[Grant])] = &[
    ("/sluice.registry.v1.AccountService/GetAccount", OWN_SERVICES),
    ("/sluice.registry.v1.AccountService/PutEntitlements", NOBODY),
    ("/sluice.registry.v1.FeedService/DisableWebhook", OWN_SERVICES),
    ("/sluice.registry.v1.FeedService/ResolveTarget", OWN_SERVICES),
    ("/sluice.registry.v1.FeedService/WatchChanges", OWN_SERVICES),
    ("/sluice.registry.v1.WebhookService/CreateWebhook", NOBODY),
    ("/sluice.registry.v1.WebhookService/DeleteWebhook", NOBODY),
    ("/sluice.registry.v1.WebhookService/GetWebhook", OWN_SERVICES),
    ("/sluice.registry.v1.WebhookService/ListWebhooks", OWN_SERVICES),
    ("/sluice.registry.v1.WebhookService/UpdateWebhook", NOBODY),
];

/// The public listener's table: users and billing.
///
/// # Errors
/// Never for the rows of this file; a test builds it.
pub fn public() -> Result<AccessTable, AccessError> {
    of(PUBLIC)
}

/// The internal listener's table: Sluice's own services, which read, and write nothing but that a webhook is given up.
///
/// # Errors
/// Never for the rows of this file; a test builds it.
pub fn internal() -> Result<AccessTable, AccessError> {
    of(INTERNAL)
}

fn of(rows: &[(&'static str, &'static [Grant])]) -> Result<AccessTable, AccessError> {
    AccessTable::new(rows.iter().map(|(path, grants)| (*path, Access::AnyOf(grants))))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use sluice_auth::{Decision, Principal};
    use sluice_rpc::methods_of;

    use super::*;

    const FEED: &str = "sluice.registry.v1.FeedService";
    const BOTH: [&str; 2] = ["sluice.registry.v1.AccountService", "sluice.registry.v1.WebhookService"];

    fn methods(services: &[&str]) -> Vec<String> {
        methods_of(proto::DESCRIPTORS, services).unwrap()
    }

    /// The services of the contract, as its bytes name them: a new one has to be added to the tables, too.
    fn services() -> BTreeSet<String> {
        use prost::Message as _;
        let set = prost_types::FileDescriptorSet::decode(proto::DESCRIPTORS).unwrap();
        let ours = set.file.iter().filter(|file| file.package() == "sluice.registry.v1");
        ours.flat_map(|file| {
            file.service.iter().map(|service| format!("{}.{}", file.package(), service.name()))
        })
        .collect()
    }

    fn who(roles: &[Role], scopes: &[Scope]) -> Principal {
        Principal::new(None, "u".parse().unwrap(), roles.iter().copied(), scopes.iter().copied())
    }

    #[test]
    fn the_tables_cover_exactly_the_rpcs_of_the_contract() {
        assert_eq!(services(), BOTH.iter().chain([&FEED]).map(|name| (*name).to_owned()).collect());
        public().unwrap().check(methods(&BOTH)).unwrap();
        internal().unwrap().check(methods(&[BOTH[0], BOTH[1], FEED])).unwrap();
    }

    #[test]
    fn users_and_billing_get_nowhere_on_the_internal_listener() {
        let outsider = who(&Role::ALL, &[Scope::EntitlementsWrite, Scope::EventsWrite, Scope::AccountsAny]);
        for path in methods(&[BOTH[0], BOTH[1], FEED]) {
            assert_eq!(internal().unwrap().decide(&path, Some(&outsider)), Decision::Denied, "{path}");
        }
    }

    #[test]
    fn our_own_services_read_and_give_webhooks_up_and_write_nothing_else() {
        let service = Principal::service("dispatcher".parse().unwrap());
        let open: Vec<_> = methods(&[BOTH[0], BOTH[1], FEED])
            .into_iter()
            .filter(|path| internal().unwrap().decide(path, Some(&service)) == Decision::Allow)
            .map(|path| path.rsplit('/').next().unwrap().to_owned())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let meant =
            ["DisableWebhook", "GetAccount", "GetWebhook", "ListWebhooks", "ResolveTarget", "WatchChanges"];
        assert_eq!(open, meant);
    }

    #[test]
    fn entitlements_are_put_by_billing_alone() {
        let put = "/sluice.registry.v1.AccountService/PutEntitlements";
        let admin = who(&[Role::GlobalAdmin], &[Scope::AccountsAny]);
        assert_eq!(public().unwrap().decide(put, Some(&admin)), Decision::Denied);
        let billing = who(&[], &[Scope::EntitlementsWrite]);
        assert_eq!(public().unwrap().decide(put, Some(&billing)), Decision::Allow);
    }
}
