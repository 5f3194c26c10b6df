//! Addresses of this machine.

use std::net::SocketAddr;

use tokio::net::TcpSocket;

/// An address at which nobody listens, and that nobody is given until the process ends:
/// it can only be had by its port. One that was merely free a moment ago may be another
/// test's by now.
pub fn reserved() -> SocketAddr {
    let socket = TcpSocket::new_v4().expect("a socket");
    // Who asks for it by its port must do the same, as whoever listens does.
    socket.set_reuseaddr(true).expect("an option");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let address = socket.local_addr().expect("an address");
    Box::leak(Box::new(socket));
    address
}
