//! A room that is a namespace, on an API server in memory.

use flywheel::{
    ports::provisioner::{Provisioner, State},
    spawn::{Cluster, Ways},
};
use serde_json::Value;

use crate::{apiserver::ApiServer, contract};

const ROOM: &str = "room-0123456789";

/// Keys go with the Job, whoever is still there, and with what runs.
#[tokio::test]
async fn a_rooms_keys_are_its_jobs_and_go_when_it_is_stopped() {
    let api = ApiServer::default();
    let rooms = Cluster::new(api.client(), Ways { runtime_class: None, sealed_from: "10.0.0.1:443".into(), policies: Vec::new() });
    let order = contract::provisioner::order(ROOM, "image", "{}");
    rooms.make(&order).await.unwrap();
    let (secrets, jobs) = (format!("/api/v1/namespaces/{ROOM}/secrets"), format!("/apis/batch/v1/namespaces/{ROOM}/jobs"));
    let job = api.object(&format!("{jobs}/{ROOM}")).expect("its Job");
    let owners: Vec<Value> = api.objects(&secrets).iter().map(|secret| secret["metadata"]["ownerReferences"][0]["uid"].clone()).collect();
    assert_eq!(owners, [job["metadata"]["uid"].clone(), job["metadata"]["uid"].clone()]);
    let said = job.to_string() + &api.object(&format!("/api/v1/namespaces/{ROOM}")).unwrap().to_string();
    assert!(contract::provisioner::SECRETS.iter().all(|secret| !said.contains(secret)), "{said}");
    assert_eq!(job["metadata"]["annotations"]["room.flywheel.prim.sh/funder"], order.notes["funder"], "whose it is");

    rooms.stop(ROOM).await.unwrap();
    assert_eq!((api.objects(&secrets), api.objects(&jobs)), (vec![], vec![]));
    assert!(matches!(rooms.look(ROOM).await.unwrap(), State::Broken(_)), "its name is there");
    rooms.stop(ROOM).await.expect("twice");
}
