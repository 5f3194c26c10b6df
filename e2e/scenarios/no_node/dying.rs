//! A controller that is started again whenever it died, until what it should do is
//! done.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{Bed, places::Place};
use crate::controller::{Controller, Manner};

/// Longest wait for a death after the journey's end.
const LAST: Duration = Duration::from_secs(5);

/// Goes on the journey while the controller dies once at each of `places`, in
/// whatever order it reaches them; returns those that it never did. With `every` it
/// goes on until there are none.
pub(super) async fn dying(bed: &Bed, places: Vec<Place>, every: bool, journey: impl Future<Output = ()>) -> Vec<Place> {
    let (left, mut watched) = watch::channel(places);
    let all = async {
        journey.await;
        if every {
            // The last effect may be seen before the process has died of it. Where a
            // place stays, the caller says what becomes of it.
            let _ = tokio::time::timeout(LAST, watched.wait_for(Vec::is_empty)).await;
        }
    };
    tokio::select! {
        () = all => {}
        never = keep_alive(bed, &left) => match never {},
    }
    left.borrow().clone()
}

async fn keep_alive(bed: &Bed, left: &watch::Sender<Vec<Place>>) -> Infallible {
    // The forge delivers to an address among the Services': here every one is this machine's.
    let manner = Manner { kubeconfig: &bed.kubeconfig, webhook: "0.0.0.0:9443" };
    loop {
        let places: Vec<_> = left.borrow().iter().map(ToString::to_string).collect();
        let began = Instant::now();
        let (action, side) = Controller::start(&places.join(","), manner).died().await;
        eprintln!("died at {action}:{side} after {:.1} s", began.elapsed().as_secs_f64());
        left.send_modify(|left| left.retain(|place| place.action != action || place.side != side));
    }
}
