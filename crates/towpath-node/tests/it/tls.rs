//! TLS on real sockets: a door, who posts to it, the control API and the command line; certificates that change while they are in use.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Makes a certificate and its key: `NAME.pem` and `NAME.key`.
fn pair(folder: &Path, name: &str) {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    fs::write(folder.join(format!("{name}.pem")), made.cert.pem()).unwrap();
    fs::write(folder.join(format!("{name}.key")), made.signing_key.serialize_pem()).unwrap();
}

/// What a server says to a request by TLS, to somebody who believes only this root.
fn ask(to: SocketAddr, root: &Path, request: &str) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(root).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let socket = TcpStream::connect(to)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut stream = StreamOwned::new(client, socket);
    stream.write_all(request.as_bytes())?;
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    Ok(said)
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "{what} does not come");
        thread::sleep(Duration::from_millis(20));
    }
}

fn towpath(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_towpath"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

struct Node {
    child: Child,
    /// The lines that it says on its standard error.
    said: mpsc::Receiver<String>,
}

impl Node {
    fn start(folder: &Path, more: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_towpath"))
            .args(["run", "net.yaml", "--json"])
            .args(more)
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let errors = BufReader::new(child.stderr.take().unwrap());
        let (tx, said) = mpsc::channel();
        thread::spawn(move || {
            // It ends with the node, or with the test.
            errors.lines().map_while(Result::ok).all(|line| tx.send(line).is_ok())
        });
        Self { child, said }
    }

    /// The next line with this in it.
    fn says(&self, what: &str) -> String {
        loop {
            let line = self.said.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("it does not say {what}"));
            if line.contains(what) {
                return line;
            }
        }
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn all_doors_speak_tls_and_take_another_certificate_while_they_are_open() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    ["now", "next", "strange"].iter().for_each(|name| pair(folder, name));
    let door = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let port = door.port();
    let network = format!(
        "version: 1\nname: n\nchannels: {{made: , taken: , wrong: , bad: }}\nprocesses:\n  \
         load: {{uses: load, every: 10ms, count: 5, message: {{id: \"{{n}}\"}}, out: made}}\n  \
         tell: {{uses: http_out, url: \"https://localhost:{port}/\", tls: {{roots: now.pem}}, attempts: 50, in: made, on_error: bad}}\n  \
         door: {{uses: http, listen: \"{door}\", tls: {{cert: now.pem, key: now.key}}, out: taken, on_error: bad}}\n  \
         out: {{uses: write, path: out.ndjson, in: taken}}\n  \
         once: {{uses: load, every: 1ms, count: 1, message: {{id: lost}}, out: wrong}}\n  \
         lost: {{uses: http_out, url: \"https://localhost:{port}/\", tls: {{roots: strange.pem}}, attempts: 2, in: wrong, on_error: bad}}\n  \
         bad: {{uses: write, path: bad.ndjson, in: bad}}\n"
    );
    fs::write(folder.join("net.yaml"), network).unwrap();
    fs::write(folder.join("token"), "a-token-that-may-do-all\n").unwrap();
    let tls = ["--tls-cert", "now.pem", "--tls-key", "now.key"];
    let more = ["--listen", "127.0.0.1:0", "--token-file", "token"];
    let node = Node::start(folder, &[&tls[..], &more[..]].concat());
    let told: Value = serde_json::from_str(&node.says("\"url\"")).unwrap();
    let url = told["url"].as_str().unwrap().to_owned();
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");

    // Messages go through, but not to somebody who is not believed.
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
    until("five messages", || read("out.ndjson").lines().count() == 5);
    until("a refusal", || !read("bad.ndjson").is_empty());
    let bad: Value = serde_json::from_str(read("bad.ndjson").lines().next().unwrap()).unwrap();
    let error = bad["error"].as_str().unwrap();
    assert!(bad["from"] == "lost" && error.contains("tls: {roots: FILE}"), "{bad}");
    // Who speaks no TLS gets no answer.
    let mut plain = TcpStream::connect(door).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let mut said = Vec::new();
    let _ = plain.read_to_end(&mut said);
    assert!(!String::from_utf8_lossy(&said).contains("HTTP/1.1"));

    // The control API, by the command line.
    let ps = |url: &str, roots: &str| {
        towpath(folder, &["ps", "--json", "--url", url, "--token-file", "token", "--roots", roots])
    };
    let done = ps(&url, "now.pem");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let done = ps(&url, "strange.pem");
    let why = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(!done.status.success() && why.contains("--roots FILE"), "{why}");
    assert!(!ps(&url.replace("https", "http"), "now.pem").status.success());

    // Another certificate, for both doors; its key comes a moment later.
    let request = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let answers =
        |root: &str| ask(door, &folder.join(root), request).is_ok_and(|said| said.contains("405"));
    assert!(answers("now.pem") && !answers("next.pem"));
    fs::copy(folder.join("now.pem"), folder.join("before.pem")).unwrap();
    fs::copy(folder.join("next.pem"), folder.join("now.pem")).unwrap();
    node.signal("-HUP");
    node.says("cannot be used together");
    assert!(answers("before.pem") && !answers("next.pem"));
    fs::copy(folder.join("next.key"), folder.join("now.key")).unwrap();
    node.signal("-HUP");
    node.says("was read again");
    until("the new certificate", || answers("next.pem"));
    assert!(!answers("before.pem"));
    assert!(ps(&url, "next.pem").status.success() && !ps(&url, "before.pem").status.success());
}

#[test]
fn a_certificate_that_cannot_be_used_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    ["one", "other"].iter().for_each(|name| pair(folder, name));
    let network = |more: &str| {
        let text = format!(
            "version: 1\nname: n\nchannels: {{a: }}\nprocesses:\n  \
             door: {{uses: http, listen: \"127.0.0.1:0\", tls: {{cert: one.pem, key: other.key}}, out: a}}\n  {more}"
        );
        fs::write(folder.join("net.yaml"), text).unwrap();
    };
    network("out: {uses: log, in: a}\n");
    let done =
        towpath(folder, &["run", "net.yaml", "--tls-cert", "one.pem", "--tls-key", "other.key"]);
    let why = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(!done.status.success() && why.contains("cannot be used together"), "{why}");
    let _node = Node::start(folder, &["--listen", "none"]);
    until("the error of the door", || {
        let told = towpath(folder, &["ps", "--json"]);
        String::from_utf8_lossy(&told.stdout).contains("cannot be used together")
    });
    network("tell: {uses: http_out, url: \"http://a/\", tls: {roots: one.pem}, in: a}\n");
    let done = towpath(folder, &["check", "net.yaml"]);
    let why = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(!done.status.success() && why.contains("begins with https://"), "{why}");
}
