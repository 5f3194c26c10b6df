//! external-dns beside Flywheel in one zone: each leaves the other's records alone,
//! since each reads the other's marks. external-dns is built for this alone, by
//! `make test-external-dns`.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use flywheel::{
    api::names::Fqdn,
    ports::dns::{AddressRecord, AddressSet, Holder, NameRemoved, Owner},
};
use serde::Deserialize;

use super::{
    bed::ready,
    contract::{state_file, zone},
};
use crate::support::variable;

/// What one sync of external-dns made of a name.
#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
struct Seen {
    owner: String,
    resource: String,
    targets: Option<Vec<String>>,
    create: usize,
    update: usize,
    delete: usize,
}

/// One sync over `name` on behalf of `owner`, which wants it to lead to `target`.
fn sync(owner: &str, name: &str, target: &str, apply: bool) -> Seen {
    let mut command = Command::new(variable("EXTERNAL_DNS"));
    command.args(["-server", &variable("DNS_SERVER"), "-zone", &variable("DNS_ZONE"), "-owner", owner, "-name", name]);
    command.args(["-target", target]).args(apply.then_some("-apply"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("external-dns starts");
    child.stdin.take().expect("its input").write_all(state_file("dns/tsig-secret").as_bytes()).expect("the key");
    let output = child.wait_with_output().expect("external-dns ends");
    assert!(output.status.success(), "{}", output.status);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stdout)))
}

#[tokio::test]
#[ignore = "needs external-dns: make test-external-dns"]
async fn external_dns_and_flywheel_leave_each_others_names_alone() {
    ready().await;
    let zone = zone();
    let name: Fqdn = "shared.prim.sh".parse().expect("name");
    let ours = Owner { id: "ours".into(), resource: "primitive/flywheel/shared".into() };
    let record = AddressRecord { name: name.clone(), address: "192.0.2.7".parse().expect("address"), ttl: 60, owner: ours.clone() };

    // Ours, as external-dns reads it: whose it is, and for what.
    zone.set_address(&record).await.expect("our record");
    let read = Seen { owner: "ours".into(), resource: ours.resource.clone(), targets: Some(vec!["192.0.2.7".into()]), ..Seen::default() };
    assert_eq!(sync("theirs", name.as_str(), "192.0.2.9", true), read, "external-dns wants the name, and leaves it to its owner");
    assert_eq!(sync("theirs", name.as_str(), "", true), read, "nor does it remove what is not its own");
    // With our owner id it would act: it takes our mark for a mark of its own.
    assert_eq!(sync("ours", name.as_str(), "192.0.2.9", false).update, 1);
    assert_eq!(sync("ours", name.as_str(), "", false).delete, 1);
    zone.remove(&name, &ours).await.expect("removed");

    // Theirs, as Flywheel reads it.
    assert_eq!(sync("theirs", name.as_str(), "192.0.2.9", true).create, 1);
    let theirs = Holder::Marked(Owner { id: "theirs".into(), resource: "service/shop/front".into() });
    assert_eq!(zone.set_address(&record).await.expect("the zone answers"), AddressSet::OwnedBy(theirs.clone()));
    assert_eq!(zone.remove(&name, &ours).await.expect("the zone answers"), NameRemoved::OwnedBy(theirs));
    let last = sync("theirs", name.as_str(), "", true);
    assert_eq!((last.targets.as_deref(), last.delete), (Some(&["192.0.2.9".to_owned()][..]), 1), "it takes its own away");
    assert_eq!(zone.remove(&name, &ours).await.expect("the zone answers"), NameRemoved::Absent);
}
