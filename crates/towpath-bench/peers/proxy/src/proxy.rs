//! Pingora as a reverse proxy, doing what ours does: `towpath-bench gateway --pingora` builds and runs this.
//!
//! ```text
//! proxy AT TO THREADS
//! ```

#![forbid(unsafe_code)]

use std::net::SocketAddr;

use async_trait::async_trait;
use pingora_core::{prelude::*, server::configuration::ServerConf, upstreams::peer::HttpPeer};
use pingora_http::RequestHeader;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

/// Connections at rest for each thread, as ours has them.
const REST_MAX: usize = 256;

struct To(SocketAddr);

#[async_trait]
impl ProxyHttp for To {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, _: &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.0, false, String::new())))
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        _: &mut (),
    ) -> Result<()> {
        let client = session.client_addr().and_then(|it| it.as_inet());
        let client = client.map(|it| it.ip().to_string()).unwrap_or_default();
        request.insert_header("x-forwarded-for", client)
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [at, to, threads] = arguments.as_slice() else { panic!("usage: proxy AT TO THREADS") };
    let to = to.parse().expect("the host's address");
    let conf = ServerConf {
        threads: threads.parse().expect("a number of threads"),
        upstream_keepalive_pool_size: REST_MAX,
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, To(to));
    service.add_tcp(at);
    server.add_service(service);
    server.run_forever()
}
