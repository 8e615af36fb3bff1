//! Where settings come from, and what weighs more: the file, then the environment, then flags.

use sluice_tests::{Backend, Deployment, House, Process, Service, until};

/// A value that nobody may see again.
const CANARY: &str = "canary-7f3a9c";

/// Starts a service with variables and flags more.
fn started(house: &House, service: Service, variables: &[(&str, &str)], flags: &[&str]) -> Process {
    let mut command = house.command(service);
    command.envs(variables.iter().copied());
    for flag in flags {
        command.args(["--set", flag]);
    }
    // One file each, so that nothing is read that another said.
    let said = tempfile::Builder::new().tempfile_in(house.folder()).unwrap().keep().unwrap().1;
    Process::start(service.name(), command, &said)
}

#[tokio::test]
async fn flags_weigh_more_than_the_environment_and_that_more_than_the_file_and_what_is_in_force_is_printed() {
    let house = House::setup(Deployment::three_processes(Backend::Sqlite)).empty().await;
    let variable = ("SLUICE_PROCESS__RELOAD_INTERVAL", "7s");
    for service in Service::ALL {
        for (variables, flags, printed) in [
            (&[][..], &[][..], "reload_interval: 5s"),
            (&[variable][..], &[][..], "reload_interval: 7s"),
            (&[variable][..], &["process.reload_interval=9s"][..], "reload_interval: 9s"),
        ] {
            let process = started(&house, service, variables, flags);
            let line = until("the settings are printed", async || {
                process.said().lines().find(|line| line.contains("\"starting\"")).map(str::to_owned)
            })
            .await;
            assert!(line.contains(printed), "{}: {line}", service.name());
        }
    }
}

#[tokio::test]
async fn unknown_variables_are_refused_and_named_and_secrets_of_the_environment_are_not_told() {
    let house = House::setup(Deployment::three_processes(Backend::Sqlite)).empty().await;
    for service in Service::ALL {
        let own = format!("SLUICE_{}__COLOUR", service.name().to_uppercase());
        let group = format!("{}: unknown field `colour`", service.name());
        for (variable, named) in [
            ("SLUICE_COLOUR", "unknown field `colour`"),
            ("SLUICE_PROCESS__COLOUR", "process: unknown field `colour`"),
            ("SLUICE_PROCESS__TOKENS__COLOUR", "process.tokens: unknown field `colour`"),
            (own.as_str(), group.as_str()),
        ] {
            let mut process = started(&house, service, &[(variable, CANARY)], &[]);
            assert_eq!(process.end_of().await.code(), Some(1));
            let said = process.said();
            assert!(said.contains(named) && !said.contains(CANARY), "{variable}: {said}");
        }
        // The flag for the database wins over it; printed is neither.
        let password = format!("postgres://sluice:{CANARY}@127.0.0.1:1/x?schema=s");
        let variables = [("SLUICE_PROCESS__DATABASE", password.as_str())];
        let process = started(&house, service, &variables, &[&format!("process.database={password}")]);
        until("the settings are printed", async || process.said().contains("\"starting\"").then_some(()))
            .await;
        assert!(
            process.said().contains("127.0.0.1:1") && !process.said().contains(CANARY),
            "{}",
            process.said()
        );
    }
}
